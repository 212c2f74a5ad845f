/* Unit tests of dns_wire.h and record.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns/dns_wire.h"
#include "dns/record.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4 * DNS_ANSWER_ARENA_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void questions_come_back(void **state)
{
    const struct dns_question questions[] = {
        {STR("example.net"), DNS_MX}, {STR("a.example.net."), DNS_A}, {STR(""), DNS_TLSA}};
    struct dns_question again[DNS_QUESTIONS_MAX] = {{STR_NONE, DNS_A}};
    struct buf out;
    size_t count = 0;

    (void)state;
    buf_init(&out, DNS_WIRE_QUESTIONS_MAX_BYTES);
    dns_wire_put_questions(&out, questions, ARRAY_LEN(questions));
    assert_int_equal(dns_wire_read_questions(buf_str(&out), again, &count), 0);
    assert_int_equal(count, ARRAY_LEN(questions));
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        assert_true(str_eq(again[i].name, questions[i].name));
        assert_int_equal(again[i].type, questions[i].type);
    }
    /* Whatever is cut off, it is refused. */
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(dns_wire_read_questions(str_sub(buf_str(&out), 0, len), again, &count),
                         -EBADMSG);
    buf_put_u8(&out, 0);
    assert_int_equal(dns_wire_read_questions(buf_str(&out), again, &count), -EBADMSG);
    buf_done(&out);
}

static void the_largest_call_fits_and_long_names_go(void **state)
{
    struct dns_question questions[DNS_QUESTIONS_MAX], again[DNS_QUESTIONS_MAX];
    char name[DNS_NAME_MAX_BYTES + 2];
    struct buf out;
    size_t count = 0;

    (void)state;
    memset(name, 'a', sizeof(name));
    for (size_t i = 0; i < DNS_QUESTIONS_MAX; i++)
        questions[i] = (struct dns_question){str_from_mem(name, DNS_NAME_MAX_BYTES), DNS_A};
    questions[7].name.len++;
    buf_init(&out, DNS_WIRE_QUESTIONS_MAX_BYTES);
    dns_wire_put_questions(&out, questions, DNS_QUESTIONS_MAX);
    assert_int_equal(buf_status(&out), 0);
    assert_int_equal(dns_wire_read_questions(buf_str(&out), again, &count), 0);
    assert_int_equal(count, DNS_QUESTIONS_MAX);
    assert_int_equal(again[6].name.len, DNS_NAME_MAX_BYTES);
    assert_int_equal(again[7].name.len, 0);
    buf_done(&out);
}

static void answers_come_back(void **state)
{
    struct str data[] = {STR("one"), STR(""), STR("three")};
    const struct dns_answer answers[] = {
        {.status = DNS_OK,
         .is_secure = true,
         .ttl_s = 77,
         .name = STR("a.example"),
         .data = data,
         .count = 3},
        {.status = DNS_BOGUS, .why = STR("DNSSEC validation failed")},
        {.status = DNS_NO_NAME, .is_secure = true, .ttl_s = UINT32_MAX},
    };
    struct dns_answer again[3];
    struct buf out;

    (void)state;
    buf_init(&out, DNS_WIRE_MAX_BYTES);
    for (size_t i = 0; i < 3; i++)
        dns_wire_put_answer(&out, &answers[i], DNS_WIRE_MAX_BYTES / 3);
    assert_int_equal(dns_wire_read_answers(buf_str(&out), 3, &arena, again), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(again[i].status, answers[i].status);
        assert_int_equal(again[i].is_secure, answers[i].is_secure);
        assert_int_equal(again[i].ttl_s, answers[i].ttl_s);
        assert_true(str_eq(again[i].name, answers[i].name));
        assert_true(str_eq(again[i].why, answers[i].why));
        assert_int_equal(again[i].count, answers[i].count);
    }
    for (size_t i = 0; i < 3; i++)
        assert_true(str_eq(again[0].data[i], data[i]));
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(dns_wire_read_answers(str_sub(buf_str(&out), 0, len), 3, &arena, again),
                         -EBADMSG);
    assert_int_equal(dns_wire_read_answers(buf_str(&out), 2, &arena, again), -EBADMSG);
    buf_done(&out);
}

/* 64 answers of 256 records of 16 KiB are 256 MiB; a frame takes half of one. */
static void answers_that_are_too_large_lose_records_only(void **state)
{
    struct str data[DNS_RECORDS_MAX + 1];
    struct dns_answer answer = {.status = DNS_OK, .data = data, .count = ARRAY_LEN(data)};
    struct dns_answer again[DNS_QUESTIONS_MAX];
    char *large = xcalloc(1, DNS_RDATA_MAX_BYTES + 1);
    struct buf out;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(data); i++)
        data[i] = str_from_mem(large, i % 2 == 0 ? DNS_RDATA_MAX_BYTES + 1 : 1000);
    buf_init(&out, DNS_WIRE_MAX_BYTES);
    for (size_t i = 0; i < DNS_QUESTIONS_MAX; i++)
        dns_wire_put_answer(&out, &answer, DNS_WIRE_MAX_BYTES / DNS_QUESTIONS_MAX);
    assert_int_equal(buf_status(&out), 0);
    assert_int_equal(dns_wire_read_answers(buf_str(&out), DNS_QUESTIONS_MAX, &arena, again), 0);
    for (size_t i = 0; i < DNS_QUESTIONS_MAX; i++) {
        assert_int_equal(again[i].count, 8);
        assert_int_equal(again[i].data[0].len, 1000);
    }
    buf_done(&out);
    free(large);
}

static void the_most_views_fit_into_the_arena(void **state)
{
    struct str data[DNS_RECORDS_MAX] = {{0}};
    struct dns_answer answer = {.status = DNS_OK, .data = data, .count = ARRAY_LEN(data)};
    struct dns_answer again[DNS_QUESTIONS_MAX];
    struct arena own;
    struct buf out;

    (void)state;
    arena_init(&own, DNS_ANSWER_ARENA_BYTES);
    buf_init(&out, DNS_WIRE_MAX_BYTES);
    for (size_t i = 0; i < DNS_QUESTIONS_MAX; i++)
        dns_wire_put_answer(&out, &answer, DNS_WIRE_ANSWER_MIN_BYTES);
    while (buf_status(&out) == 0 && out.len < DNS_WIRE_MAX_BYTES)
        buf_put_u8(&out, 0);
    assert_int_equal(dns_wire_read_answers(buf_str(&out), DNS_QUESTIONS_MAX, &own, again),
                     -EBADMSG);
    arena_done(&own);
    buf_done(&out);
}

static void nonsense_in_answers_is_refused(void **state)
{
    static const struct {
        const char *what;
        struct str bytes;
    } frames[] = {
        {"status 0", STR("\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"status 6", STR("\6\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"secure 2", STR("\1\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"257 records", STR("\1\0\1\0\0\0\0\0\0\0\0\0\0\0\1\1")},
        {"a length without end", STR("\1\0\1\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0")},
    };
    struct dns_answer answer;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        if (dns_wire_read_answers(frames[i].bytes, 1, &arena, &answer) != -EBADMSG)
            fail_msg("%s was taken", frames[i].what);
    }
}

static void names_are_judged(void **state)
{
    static const struct {
        const char *name;
        bool is_valid;
    } names[] = {
        {"example.net", true},
        {"example.net.", true},
        {".", true},
        {"", false},
        {"..", false},
        {".example", false},
        {"a..b", false},
        {"a b", false},
        {"a\\b", false},
        {"\xc3\xa9.example", false},
        {"_25._tcp.m.example", true},
        {"1/2.example", true},
        {"localhost", true},
        {"a\tb", false},
    };
    char label[DNS_LABEL_MAX_BYTES + 2], longest[DNS_NAME_MAX_CHARS + 2];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (dns_name_is_valid(str_from_c(names[i].name)) != names[i].is_valid)
            fail_msg("%s", names[i].name);
    }
    memset(label, 'a', sizeof(label));
    assert_true(dns_name_is_valid(str_from_mem(label, DNS_LABEL_MAX_BYTES)));
    assert_false(dns_name_is_valid(str_from_mem(label, DNS_LABEL_MAX_BYTES + 1)));
    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = i % 2 == 0 ? 'a' : '.';
    assert_true(dns_name_is_valid(str_from_mem(longest, DNS_NAME_MAX_CHARS)));
    assert_false(dns_name_is_valid(str_from_mem(longest, DNS_NAME_MAX_CHARS + 2)));
}

static void record_data_is_read(void **state)
{
    static const struct {
        struct str data;
        int result;
        unsigned preference;
        const char *name;
    } records[] = {
        {STR("\0\012\1M\2Ex\0"), 0, 10, "m.ex"},     {STR("\377\377\0"), 0, 65535, ""},
        {STR("\0\012\1m"), -EBADMSG, 10, NULL},      {STR("\0\012\1m\0x"), -EBADMSG, 10, NULL},
        {STR("\0\012\300\014"), -EBADMSG, 10, NULL}, {STR("\0"), -EBADMSG, 0, NULL},
        {STR("\0\012\3a.b\0"), -EINVAL, 10, NULL},   {STR("\0\012\1\0\0"), -EINVAL, 10, NULL},
    };
    char name[DNS_NAME_TEXT_BYTES];
    uint16_t preference;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        assert_int_equal(dns_mx_read(records[i].data, &preference, name), records[i].result);
        if (records[i].result == 0) {
            assert_int_equal(preference, records[i].preference);
            assert_string_equal(name, records[i].name);
        }
    }
}

/* 127 labels of one byte are 255 in wire form: the most there can be. */
static void the_longest_name_fits(void **state)
{
    char wire[2 * 128 + 1], name[DNS_NAME_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(wire); i++)
        wire[i] = i % 2 == 0 ? 1 : 'x';
    wire[254] = 0;
    struct cursor c = cursor_from(str_from_mem(wire, 255));
    assert_int_equal(dns_name_read(&c, name), 0);
    assert_int_equal(strlen(name), DNS_NAME_MAX_CHARS);
    assert_int_equal(cursor_finish(&c), 0);
    wire[254] = 1;
    wire[256] = 0;
    c = cursor_from(str_from_mem(wire, 257));
    assert_int_equal(dns_name_read(&c, name), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_come_back),
        cmocka_unit_test(the_largest_call_fits_and_long_names_go),
        cmocka_unit_test(answers_come_back),
        cmocka_unit_test(answers_that_are_too_large_lose_records_only),
        cmocka_unit_test(the_most_views_fit_into_the_arena),
        cmocka_unit_test(nonsense_in_answers_is_refused),
        cmocka_unit_test(names_are_judged),
        cmocka_unit_test(record_data_is_read),
        cmocka_unit_test(the_longest_name_fits),
    };

    return cmocka_run_group_tests_name("dns_wire", tests, set_up, tear_down);
}
