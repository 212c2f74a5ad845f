/* Unit tests of the summary: its bytes, its IMAP text, its section numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/mime_check.h"

static const char sample[] =
    "From: =?ISO-2022-JP?B?GyRCSHQ1UxsoQg==?= <a@example.jp>\r\n"
    "To: \"B \\\"Bee\\\" B\" <b@example.jp>, G: c@example.jp;\r\n"
    "Subject: 飛脚\r\n"
    "Date: Mon, 1 Jan 2024 00:00:00 +0900\r\n"
    "Message-ID: <1@example.jp>\r\n"
    "Content-Type: multipart/mixed; boundary=o\r\n"
    "Content-Language: ja, en\r\n"
    "\r\n"
    "--o\r\n"
    "Content-Type: text/plain; charset=ISO-2022-JP\r\n"
    "Content-Disposition: attachment; filename*=UTF-8''%E9%A3%9B; size=1\r\n"
    "Content-Location: l\r\n"
    "Content-MD5: m\r\n"
    "\r\n"
    "1\r\n"
    "--o\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: inner\r\n"
    "Content-Type: multipart/alternative; boundary=i\r\n"
    "\r\n"
    "--i\r\n\r\n22\r\n"
    "--i\r\nContent-Type: text/html\r\n\r\n333\r\n--i--\r\n"
    "--o\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: leaf\r\n\r\n4444\r\n"
    "--o--\r\n";

static void envelope_prints_as_imap_says(void **state)
{
    (void)state;
    struct mime_scanner *s = mime_scanner_new();
    struct buf out;

    buf_init(&out, CHECK_MAX_BYTES);
    summary_print_envelope(check_scan(s, str_from_c(sample), 0)->envelope, &out);
#define FROM "((\"=?ISO-2022-JP?B?GyRCSHQ1UxsoQg==?=\" NIL \"a\" \"example.jp\"))"
    assert_string_equal(buf_c_str(&out),
                        "(\"Mon, 1 Jan 2024 00:00:00 +0900\" {6}\r\n飛脚 " FROM " " FROM " " FROM
                        " ((\"B \\\"Bee\\\" B\" NIL \"b\" \"example.jp\")(NIL NIL \"G\" NIL)"
                        "(NIL NIL \"c\" \"example.jp\")(NIL NIL NIL NIL)) NIL NIL NIL "
                        "\"<1@example.jp>\")");
    buf_reset(&out);
    summary_print_envelope(NULL, &out);
    assert_string_equal(buf_c_str(&out), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    buf_done(&out);
    mime_scanner_free(s);
}

static void bodystructure_has_what_body_leaves_out(void **state)
{
    (void)state;
    static const char part_1[] =
        "(\"text\" \"plain\" (\"charset\" \"ISO-2022-JP\") NIL NIL \"7bit\" "
        "1 0 \"m\" (\"attachment\" (\"filename*\" "
        "\"UTF-8''%E9%A3%9B\" \"size\" \"1\")) NIL \"l\")";
    struct mime_scanner *s = mime_scanner_new();
    struct buf out;

    buf_init(&out, CHECK_MAX_BYTES);
    struct summary_part *root = check_scan(s, str_from_c(sample), 0);
    summary_print_body(root, true, &out);
    assert_non_null(strstr(buf_c_str(&out), part_1));
    assert_non_null(
        strstr(buf_c_str(&out), ") \"mixed\" (\"boundary\" \"o\") NIL (\"ja\" \"en\") NIL)"));
    buf_reset(&out);
    summary_print_body(root, false, &out);
    assert_null(strstr(buf_c_str(&out), "attachment"));
    assert_non_null(strstr(buf_c_str(&out), " \"mixed\")"));
    buf_done(&out);
    mime_scanner_free(s);
}

static void sections_name_parts(void **state)
{
    (void)state;
    static const struct {
        const char *section, *body;
    } cases[] = {
        {"1", "1"},      {"2.1", "22"},   {"2.2", "333"},
        {"3.1", "4444"}, {"4", NULL},     {"0", NULL},
        {"1.1", NULL},   {"2.3", NULL},   {"3.2", NULL},
        {"3.1.1", NULL}, {"1.", NULL},    {".1", NULL},
        {"1..1", NULL},  {"x", NULL},     {"-1", NULL},
        {"2.1x", NULL},  {"2.1.1", NULL}, {"99999999999999999999", NULL},
    };
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *root = check_scan(s, str_from_c(sample), 0);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct summary_part *p = summary_find(root, str_from_c(cases[i].section));
        assert_int_equal(p != NULL, cases[i].body != NULL);
        if (p == NULL)
            continue;
        assert_int_equal(p->body_bytes, strlen(cases[i].body));
        assert_memory_equal(sample + p->body_offset, cases[i].body, p->body_bytes);
    }
    assert_ptr_equal(summary_find(root, STR("")), root);
    mime_scanner_free(s);
}

static void encoded_summaries_decode_and_are_small(void **state)
{
    (void)state;
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *root = check_scan(s, str_from_c(sample), 0);
    struct buf out;

    check_round_trip(root);
    buf_init(&out, SUMMARY_MAX_BYTES);
    summary_encode(root, &out);
    assert_true(out.len < sizeof(sample) - 1);
    buf_done(&out);
    mime_scanner_free(s);
}

static void damaged_summaries_are_refused_or_harmless(void **state)
{
    (void)state;
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *root = check_scan(s, str_from_c(sample), 0), *decoded;
    struct arena arena;
    struct buf bytes, text;

    arena_init(&arena, CHECK_MAX_BYTES);
    buf_init(&bytes, SUMMARY_MAX_BYTES);
    buf_init(&text, CHECK_MAX_BYTES);
    summary_encode(root, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(summary_decode(str_sub(buf_str(&bytes), 0, len), &arena, &decoded),
                         -EBADMSG);
    for (size_t i = 0; i < bytes.len * 8; i++) {
        bytes.ptr[i / 8] = (char)(bytes.ptr[i / 8] ^ 1 << i % 8);
        buf_reset(&text);
        if (summary_decode(buf_str(&bytes), &arena, &decoded) == 0) {
            check_places(decoded, 0, UINT64_MAX, 1);
            check_dump(decoded, &text);
        }
        bytes.ptr[i / 8] = (char)(bytes.ptr[i / 8] ^ 1 << i % 8);
    }
    buf_put_char(&bytes, '\0');
    assert_int_equal(summary_decode(buf_str(&bytes), &arena, &decoded), -EBADMSG);
    buf_done(&text);
    buf_done(&bytes);
    arena_done(&arena);
    mime_scanner_free(s);
}

static void decoding_stays_inside_the_arena(void **state)
{
    (void)state;
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *root = check_scan(s, str_from_c(sample), 0), *decoded;
    struct buf bytes;

    buf_init(&bytes, SUMMARY_MAX_BYTES);
    summary_encode(root, &bytes);
    for (size_t max = 0; max < 4000; max += 50) {
        struct arena arena;
        arena_init(&arena, max);
        int ret = summary_decode(buf_str(&bytes), &arena, &decoded);
        assert_true(ret == 0 || ret == -EBADMSG);
        assert_true(arena.used_bytes <= max);
        arena_done(&arena);
    }
    buf_done(&bytes);
    mime_scanner_free(s);
}

/* What does not fit is left out from the deep end; root and envelope stay. */
static void large_summaries_lose_their_depth_first(void **state)
{
    (void)state;
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *decoded;
    struct arena arena;
    struct buf m, bytes;

    arena_init(&arena, CHECK_MAX_BYTES);
    buf_init(&m, CHECK_MAX_BYTES);
    buf_init(&bytes, SUMMARY_MAX_BYTES);
    buf_put_c(&m, "Subject: kept\r\nTo: x");
    for (int i = 0; i < 1000; i++)
        buf_printf(&m, ",a%d@example.jp", i);
    buf_put_c(&m, "\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n");
    for (int i = 0; i < 400; i++) {
        buf_printf(&m, "--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: %0600d\r\n\r\n", i);
    }
    struct summary_part *root = check_scan(s, buf_str(&m), 0);
    summary_encode(root, &bytes);
    assert_int_equal(buf_status(&bytes), 0);
    assert_int_equal(summary_decode(buf_str(&bytes), &arena, &decoded), 0);
    assert_true(str_eq(decoded->envelope->subject, STR("kept")));
    assert_non_null(decoded->envelope->lists[SUMMARY_TO]);
    assert_non_null(decoded->children);
    assert_null(decoded->children->children);
    assert_int_equal(decoded->body_bytes, root->body_bytes);
    buf_done(&bytes);
    buf_done(&m);
    arena_done(&arena);
    mime_scanner_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_prints_as_imap_says),
        cmocka_unit_test(bodystructure_has_what_body_leaves_out),
        cmocka_unit_test(sections_name_parts),
        cmocka_unit_test(encoded_summaries_decode_and_are_small),
        cmocka_unit_test(damaged_summaries_are_refused_or_harmless),
        cmocka_unit_test(decoding_stays_inside_the_arena),
        cmocka_unit_test(large_summaries_lose_their_depth_first),
    };
    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
