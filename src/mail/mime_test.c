/*
 * Unit tests of the MIME scanner: small messages written here, and every message of the shared
 * suite against the answers that Dovecot gives (suites/README.md: imap/dovecot-golden.jsonl).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "base/cursor.h"
#include "base/utf8.h"
#include "mail/mime_check.h"

enum { MESSAGE_MAX_BYTES = 16 * 1024 * 1024, HASH_CHARS = 16 };

/* --- small messages --- */

static void expect_body(const char *message, const char *expected)
{
    struct mime_scanner *s = mime_scanner_new();
    struct buf out;

    buf_init(&out, CHECK_MAX_BYTES);
    struct summary_part *root = check_scan(s, str_from_c(message), 0);
    summary_print_body(root, false, &out);
    assert_string_equal(buf_c_str(&out), expected);
    buf_done(&out);
    mime_scanner_free(s);
}

#define TEXT(size, lines)                                                                          \
    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" " #size " " #lines ")"
#define MIXED(children)           "(" children " \"mixed\")"
#define NO_ENVELOPE_BUT_SUBJECT_S "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL)"

static void defaults_are_those_of_mime(void **state)
{
    (void)state;
    expect_body("", TEXT(0, 0));
    expect_body("no header at all", TEXT(0, 0));
    expect_body("\r\nbody\r\n", TEXT(6, 1));
    expect_body("\nbody\nof bare LF", TEXT(15, 1));
    expect_body("Content-Type: nonsense\r\n\r\nx", "(\"nonsense\" \"\" NIL NIL NIL \"7bit\" 1)");
    expect_body("Content-Type: multipart/mixed\r\n\r\n--\r\n", MIXED(TEXT(0, 0)));
}

static void boundaries_make_parts(void **state)
{
    (void)state;
    expect_body("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n",
                MIXED(TEXT(1, 0)));
    /* the closing line without a line end */
    expect_body("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--",
                MIXED(TEXT(1, 0)));
    /* pieces as in RFC 2231 */
    expect_body("Content-Type: multipart/mixed; boundary*0=\"a\"; boundary*1*=%62\r\n\r\n"
                "--ab\r\n\r\nx\r\n--ab--",
                MIXED(TEXT(1, 0)));
    /* the outer boundary ends what the inner part left open */
    expect_body("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--a\r\n\r\n2",
                MIXED(MIXED(TEXT(1, 0)) TEXT(1, 0)));
    /* "--a--" closes "a" even where "a--" is the boundary outside */
    expect_body("Content-Type: multipart/mixed; boundary=\"a--\"\r\n\r\n--a--\r\n"
                "Content-Type: multipart/mixed; boundary=a\r\n\r\n"
                "--a\r\n\r\n1\r\n--a--\r\n--a----\r\n",
                MIXED(MIXED(TEXT(1, 0))));
}

static void messages_inside_have_structure(void **state)
{
    (void)state;
    expect_body("Content-Type: multipart/digest; boundary=a\r\n\r\n"
                "--a\r\n\r\nSubject: s\r\n\r\nx\r\n--a--",
                "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 " NO_ENVELOPE_BUT_SUBJECT_S
                " " TEXT(1, 0) " 2) \"digest\")");
    expect_body("Content-Type: MESSAGE/Global\r\n\r\nSubject: s\r\n\r\nx",
                "(\"message\" \"global\" NIL NIL NIL \"7bit\" 15 " NO_ENVELOPE_BUT_SUBJECT_S
                " " TEXT(1, 0) " 2)");
    expect_body("Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\nU3Vi",
                "(\"message\" \"global\" NIL NIL NIL \"base64\" 4)");
}

static struct mime_facts facts_of(struct str message)
{
    struct mime_scanner *s = mime_scanner_new();

    (void)check_scan(s, message, 0);
    struct mime_facts facts = *mime_scanner_facts(s);
    mime_scanner_free(s);
    return facts;
}

static void facts_are_those_of_the_outermost_header(void **state)
{
    (void)state;
    struct mime_facts f = facts_of(
        STR("From x@y Mon\r\nReceived: a\r\n b\r\nRECEIVED : c\r\nFrom: a\r\nDate:\r\nMessage-Id: "
            "<x>\r\n\r\nReceived: body\r\nno field \xe6\r\n"));
    assert_int_equal(f.received_count, 2);
    assert_true(f.has_from && f.has_date && f.has_message_id);
    assert_false(f.has_header_8bit || f.has_bad_header_line);
    assert_int_equal(f.header_bytes, 80);

    f = facts_of(STR("Subject: \xe9\r\nnot a field\r\n"));
    assert_true(f.has_header_8bit && f.has_bad_header_line);
    assert_false(f.has_from || f.has_date || f.has_message_id);
    assert_int_equal(f.header_bytes, 25);
    assert_true(facts_of(STR(" starts with a space: x\r\n\r\n")).has_bad_header_line);
    assert_true(facts_of(STR("a: b\r\nFrom later\r\n\r\n")).has_bad_header_line);
    assert_true(facts_of(STR(": no name\r\n\r\n")).has_bad_header_line);
}

static void names_longer_than_a_line_head_are_fields(void **state)
{
    (void)state;
    char message[400];

    memset(message, 'n', sizeof(message));
    memcpy(message + 300, ": x\r\n\r\n", 7);
    assert_false(facts_of(str_from_mem(message, 307)).has_bad_header_line);
    message[300] = 'n';
    assert_true(facts_of(str_from_mem(message, 307)).has_bad_header_line);
    message[299] = ' ';
    assert_true(facts_of(str_from_mem(message, 307)).has_bad_header_line);
}

static void limits_cut_the_description_and_not_the_message(void **state)
{
    (void)state;
    struct buf m;
    struct mime_scanner *s = mime_scanner_new();
    size_t count = 0;

    buf_init(&m, CHECK_MAX_BYTES);
    for (int i = 0; i < 20000; i++)
        buf_printf(&m, "To: someone%d@example.jp, \"Another %d\" <another%d@example.jp>\r\n", i, i,
                   i);
    for (int i = 0; i < 2000; i++)
        buf_printf(&m, "Content-Description: %060d\r\n", i);
    buf_put_c(&m, "Subject: s\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n");
    for (int i = 0; i < 3000; i++)
        buf_printf(&m, "--a\r\nContent-Type: text/html; a=b; c=\"%0500d\"\r\n\r\nx\r\n", i);
    struct summary_part *root = check_scan(s, buf_str(&m), 0);
    check_places(root, 0, m.len, 1);
    check_round_trip(root);
    for (struct summary_part *p = root->children; p != NULL; p = p->next)
        count++;
    assert_int_equal(count, SUMMARY_MAX_PARTS - 1);
    assert_true(str_eq(root->type, STR("multipart")));
    assert_int_equal(root->body_offset + root->body_bytes, m.len);
    mime_scanner_free(s);
    buf_done(&m);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct buf m;
    struct mime_scanner *s = mime_scanner_new();

    buf_init(&m, CHECK_MAX_BYTES);
    for (int i = 0; i < 500; i++)
        buf_printf(&m, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    for (int i = 0; i < 500; i++)
        buf_put_c(&m, "Content-Type: message/rfc822\r\n\r\n");
    struct summary_part *root = check_scan(s, buf_str(&m), 7);
    check_places(root, 0, m.len, 1);
    check_round_trip(root);
    mime_scanner_free(s);
    buf_done(&m);
}

/* --- the suite --- */

struct suite {
    const char *folder;
    size_t entries, agreeing, sections;
    size_t size_passed, envelope_passed, body_passed, section_passed;
};

/* File-normalised: NUL-free, every line end CRLF. */
static bool read_message(const char *folder, const char *name, struct buf *out)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", folder, name);
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "rb");
    int c, last = 0;

    if (file == NULL)
        return false;
    buf_reset(out);
    for (; (c = getc(file)) != EOF; last = c) {
        if (c == '\n' && last != '\r')
            buf_put_char(out, '\r');
        if (c != '\0')
            buf_put_char(out, (char)c);
    }
    return buf_status(out) == 0;
}

/* JSON holds bytes that are no UTF-8 as the text "\udcXX". */
static json_t *text_to_json(struct str text)
{
    struct buf utf8;

    buf_init(&utf8, MESSAGE_MAX_BYTES);
    while (text.len > 0) {
        size_t len = utf8_char_len(text);
        if (len == 0)
            buf_printf(&utf8, "\\udc%02x", (unsigned char)text.ptr[0]);
        buf_put(&utf8, text.ptr, len);
        text = str_sub(text, MAX(len, 1), text.len);
    }
    json_t *json = json_stringn(utf8.len > 0 ? utf8.ptr : "", utf8.len);
    buf_done(&utf8);
    return json;
}

static bool is_imap_atom(char c)
{
    return c != ' ' && c != '(' && c != ')';
}

static json_t *parse_quoted(struct cursor *c)
{
    struct buf text;

    buf_init(&text, MESSAGE_MAX_BYTES);
    while (!cursor_take_if(c, '"')) {
        (void)cursor_take_if(c, '\\');
        int ch = cursor_next(c);
        assert_true(ch > 0 && ch < 0x80 && ch != '\r' && ch != '\n');
        buf_put_char(&text, (char)ch);
    }
    json_t *json = text_to_json(buf_str(&text));
    buf_done(&text);
    return json;
}

static json_t *parse_literal(struct cursor *c)
{
    uint64_t len;

    assert_int_equal(str_to_u64(cursor_take_until(c, '}'), MESSAGE_MAX_BYTES, &len), 0);
    assert_true(cursor_take_if_nocase(c, STR("}\r\n")));
    return text_to_json(cursor_take(c, len));
}

/* One value of an IMAP response as JSON. */
static json_t *parse_imap(struct cursor *c)
{
    if (cursor_take_if(c, '"'))
        return parse_quoted(c);
    if (cursor_take_if(c, '{'))
        return parse_literal(c);
    if (cursor_take_if(c, '(')) {
        json_t *list = json_array();
        while (!cursor_take_if(c, ')')) {
            assert_int_equal(cursor_status(c), 0);
            assert_true(cursor_left(c) > 0);
            json_array_append_new(list, parse_imap(c));
            (void)cursor_take_if(c, ' ');
        }
        return list;
    }
    struct str atom = cursor_take_while(c, is_imap_atom);
    return str_eq(atom, STR("NIL")) ? json_null() : json_stringn(atom.ptr, atom.len);
}

static bool is_equal(struct str imap, const json_t *expected, const char *what, const char *file)
{
    struct cursor c = cursor_from(imap);
    json_t *json = parse_imap(&c);
    bool is_same = json_equal(json, expected);

    assert_int_equal(cursor_finish(&c), 0);
    if (!is_same) {
        CLEANUP(cleanup_free) char *have = json_dumps(json, 0);
        CLEANUP(cleanup_free) char *want = json_dumps(expected, 0);
        print_message("%s of %s\n  have %s\n  want %s\n", what, file, have, want);
    }
    json_decref(json);
    return is_same;
}

/* The bytes that BODY[name] names. */
static bool cut_section(const struct summary_part *root, struct str message, struct str name,
                        struct str *out)
{
    bool is_mime = false;
    const struct summary_part *part = root;

    if (str_eq(name, STR("HEADER")) || str_eq(name, STR("TEXT")) || name.len == 0) {
        *out = str_eq(name, STR("HEADER")) ? str_sub(message, 0, root->header_bytes)
               : name.len == 0             ? message
                                           : str_sub(message, root->body_offset, root->body_bytes);
        return true;
    }
    if (str_has_suffix_nocase(name, STR(".MIME"))) {
        name.len -= strlen(".MIME");
        is_mime = true;
    }
    part = summary_find(root, name);
    if (part == NULL)
        return false;
    *out = is_mime ? str_sub(message, part->header_offset, part->header_bytes)
                   : str_sub(message, part->body_offset, part->body_bytes);
    return true;
}

static void check_sections(struct suite *suite, const json_t *sections, const char *file,
                           const struct summary_part *root, struct str message)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)sections, key, value)
    {
        struct str name, section = STR_NONE;
        unsigned char hash[crypto_hash_sha256_BYTES];
        char hex[2 * sizeof(hash) + 1];
        suite->sections++;
        name = str_sub(str_from_c(key), strlen("BODY["), strlen(key) - strlen("BODY[]"));
        bool is_found = cut_section(root, message, name, &section);
        crypto_hash_sha256(hash, (const unsigned char *)(section.ptr ? section.ptr : ""),
                           section.len);
        sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
        const char *want = json_string_value(json_array_get(value, 1));
        if (is_found && strncmp(hex, want, HASH_CHARS) == 0 &&
            section.len == (size_t)json_integer_value(json_array_get(value, 0)))
            suite->section_passed++;
        else
            print_message("%s of %s: found %d, %zu bytes, want %lld\n", key, file, is_found,
                          section.len, (long long)json_integer_value(json_array_get(value, 0)));
    }
}

static void check_entry(struct suite *suite, const json_t *entry, struct str message)
{
    const char *file = json_string_value(json_object_get(entry, "file"));
    struct mime_scanner *s = mime_scanner_new();
    struct buf out;

    buf_init(&out, MESSAGE_MAX_BYTES);
    struct summary_part *root = check_scan(s, message, 0);
    suite->entries++;
    check_sections(suite, json_object_get(entry, "sections"), file, root, message);
    if (json_is_true(json_object_get(entry, "main_agrees"))) {
        suite->agreeing++;
        buf_printf(&out, "%zu", message.len);
        suite->size_passed +=
            str_eq_c(buf_str(&out), json_string_value(json_object_get(entry, "rfc822_size")));
        buf_reset(&out);
        summary_print_envelope(root->envelope, &out);
        suite->envelope_passed +=
            is_equal(buf_str(&out), json_object_get(entry, "envelope"), "ENVELOPE", file);
        buf_reset(&out);
        summary_print_body(root, true, &out);
        suite->body_passed +=
            is_equal(buf_str(&out), json_object_get(entry, "bodystructure"), "BODYSTRUCTURE", file);
    }
    check_round_trip(root);
    buf_done(&out);
    mime_scanner_free(s);
}

static void check_cuts(struct str message)
{
    static const size_t max_pieces[] = {1, 2, 3, 17, 100, 1000, 20000};
    struct buf whole, pieces;

    buf_init(&whole, MESSAGE_MAX_BYTES);
    buf_init(&pieces, MESSAGE_MAX_BYTES);
    check_dump_message(message, 0, &whole);
    for (size_t i = 0; i < ARRAY_LEN(max_pieces); i++) {
        buf_reset(&pieces);
        check_dump_message(message, max_pieces[i], &pieces);
        assert_string_equal(buf_c_str(&whole), buf_c_str(&pieces));
    }
    buf_done(&pieces);
    buf_done(&whole);
}

/* Calls `check` for each line of the golden file whose message is there. */
static void for_each_entry(struct suite *suite,
                           void (*check)(struct suite *, const json_t *, struct str))
{
    suite->folder = getenv("SUITES");
    if (suite->folder == NULL) {
        print_message("SUITES is not set: nothing to compare with\n");
        skip();
    }
    CLEANUP(cleanup_free) char *path = xasprintf("%s/imap/dovecot-golden.jsonl", suite->folder);
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "r");
    if (file == NULL) {
        print_message("%s is absent: nothing to compare with\n", path);
        skip();
    }
    CLEANUP(cleanup_free) char *line = NULL;
    size_t line_cap = 0;
    struct buf message;
    buf_init(&message, MESSAGE_MAX_BYTES);
    while (getline(&line, &line_cap, file) > 0) {
        json_t *entry = json_loads(line, 0, NULL);
        assert_non_null(entry);
        const char *name = json_string_value(json_object_get(entry, "file"));
        assert_true(read_message(suite->folder, name, &message));
        check(suite, entry, buf_str(&message));
        json_decref(entry);
    }
    buf_done(&message);
}

static void answers_are_those_of_dovecot(void **state)
{
    (void)state;
    struct suite suite = {0};

    for_each_entry(&suite, check_entry);
    print_message("of %zu messages, %zu agreeing: size %zu, ENVELOPE %zu, BODYSTRUCTURE %zu; "
                  "sections %zu of %zu\n",
                  suite.entries, suite.agreeing, suite.size_passed, suite.envelope_passed,
                  suite.body_passed, suite.section_passed, suite.sections);
    assert_int_equal(suite.size_passed, suite.agreeing);
    assert_int_equal(suite.envelope_passed, suite.agreeing);
    assert_int_equal(suite.body_passed, suite.agreeing);
    assert_int_equal(suite.section_passed, suite.sections);
}

static void check_entry_cuts(struct suite *suite, const json_t *entry, struct str message)
{
    (void)suite;
    (void)entry;
    check_cuts(message);
}

static void cutting_the_message_changes_nothing(void **state)
{
    (void)state;
    struct suite suite = {0};

    check_cuts(STR("Subject: x\r\nContent-Type: multipart/mixed; boundary=\"-\"\r\n\r\n-\r\n--\r\n"
                   "---\r\n\r\n--\r\n-----\r\n"));
    for_each_entry(&suite, check_entry_cuts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_mime),
        cmocka_unit_test(boundaries_make_parts),
        cmocka_unit_test(messages_inside_have_structure),
        cmocka_unit_test(facts_are_those_of_the_outermost_header),
        cmocka_unit_test(names_longer_than_a_line_head_are_fields),
        cmocka_unit_test(limits_cut_the_description_and_not_the_message),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(answers_are_those_of_dovecot),
        cmocka_unit_test(cutting_the_message_changes_nothing),
    };
    return cmocka_run_group_tests_name("mime", tests, NULL, NULL);
}
