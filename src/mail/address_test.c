/*
 * Unit tests of address.h: own tables, then the public suites is_email (isemail/tests.xml) and the
 * published half of mox's cases, where those are present ($SUITES).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/utf8.h"
#include "mail/address.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 16 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

struct good_case {
    const char *text, *local, *domain;
};

static void check_good(const struct good_case *good, const char *printed_text)
{
    struct address a;
    struct buf printed;
    enum address_error error = address_parse(str_from_c(good->text), 0, &arena, &a);

    if (error != ADDRESS_OK)
        fail_msg("%s: %s", good->text, address_error_text(error));
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(&a, &printed);
    if (!str_eq_c(a.local, good->local) || !str_eq_c(a.domain, good->domain))
        fail_msg("%s: local \"%.*s\" domain \"%.*s\"", good->text, STR_ARG(a.local),
                 STR_ARG(a.domain));
    assert_string_equal(buf_c_str(&printed), printed_text);
    assert_true(str_eq_c(a.raw, good->text));
    assert_int_equal(a.is_literal, good->domain[0] == '[');
    assert_int_equal(a.is_utf8, utf8_has_non_ascii(str_from_c(good->local)));
    buf_done(&printed);
}

static void mailboxes_have_one_form(void **state)
{
    static const struct good_case cases[] = {
        {"a@example.org", "a", "example.org"},
        {"A.b@EXAMPLE.Org", "A.b", "example.org"},
        {"a!b%c@x", "a!b%c", "x"},
        {"#$&'*+-/=?^_`{|}~@x", "#$&'*+-/=?^_`{|}~", "x"},
        {"\"a\"@x", "a", "x"},
        {"\"a.b\"@x", "a.b", "x"},
        {"\"\\a\"@x", "a", "x"},
        {"a@_x.under_score", "a", "_x.under_score"},
        {"a@1.a-b.c--d", "a", "1.a-b.c--d"},
        /* The grammar has numeric top-level domains, and so has is_email's list of what to take. */
        {"a@example.123", "a", "example.123"},
        {"a@192.0.2.1", "a", "192.0.2.1"},
        {"a@[192.0.2.1]", "a", "[192.0.2.1]"},
        {"a@[010.001.000.9]", "a", "[10.1.0.9]"},
        {"a@[ipv6:2001:DB8:0:0::1]", "a", "[IPv6:2001:db8::1]"},
        {"a@[IPv6:::ffff:192.0.2.1]", "a", "[IPv6:::ffff:192.0.2.1]"},
        {"太郎@example.jp", "太郎", "example.jp"},
        {"\"太郎\"@example.jp", "太郎", "example.jp"},
        {"a@例え.jp", "a", "xn--r8jz45g.jp"},
        {"a@XN--R8JZ45G.jp", "a", "xn--r8jz45g.jp"},
        {"a@BÜCHER.example", "a", "xn--bcher-kva.example"},
        {"a@bu\xcc\x88"
         "cher.example",
         "a", "xn--bcher-kva.example"}, /* not NFC */
        {"a@faß.de", "a", "xn--fa-hia.de"},
        {"a@_dmarc.例え.jp", "a", "_dmarc.xn--r8jz45g.jp"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_good(&cases[i], arena_printf(&arena, "%s@%s", cases[i].local, cases[i].domain));
}

static void what_is_no_dot_string_is_printed_in_quotes(void **state)
{
    /* No row is written otherwise than it is printed. */
    static const struct good_case cases[] = {
        {"\"\"@x", "", "x"},
        {"\".a\"@x", ".a", "x"},
        {"\"a.\"@x", "a.", "x"},
        {"\"a..b\"@x", "a..b", "x"},
        {"\"a b\"@x", "a b", "x"},
        {"\"a@b\"@x", "a@b", "x"},
        {"\"\\\"\\\\>\"@x", "\"\\>", "x"},
        {"\"太 郎\"@x", "太 郎", "x"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_good(&cases[i], cases[i].text);
}

static void check_refused(const struct str *texts, size_t count, enum address_error expected)
{
    struct address a;

    for (size_t i = 0; i < count; i++) {
        enum address_error error = address_parse(texts[i], 0, &arena, &a);
        if (error != expected)
            fail_msg("%.*s: %d instead of %d", STR_ARG(texts[i]), error, expected);
    }
}

static void what_is_no_mailbox_is_refused(void **state)
{
    const struct str texts[] = {
        STR(""),
        STR("a"),
        STR("postmaster"),
        STR("a@"),
        STR("@x"),
        STR("@r:a@x"),
        STR("<a@x>"),
        STR("a@x>"),
        STR("a@@x"),
        STR("a@b@x"),
        STR(".a@x"),
        STR("a.@x"),
        STR("a..b@x"),
        STR("a b@x"),
        STR(" a@x"),
        STR("a@x "),
        STR("a@ x"),
        STR("a@x\r\n"),
        STR("a\0@x"),
        STR("a@x\0"),
        STR("a@\0x"),
        STR("\"a\0\"@x"),
        STR("\"a\tb\"@x"),
        STR("\"a\\\tb\"@x"),
        STR("\"a\r\n b\"@x"),
        STR("\"\x7f\"@x"),
        STR("\"a\"b@x"),
        STR("a\"b\"@x"),
        STR("\"a\".\"b\"@x"),
        STR("\"a@x"),
        STR("\"a\\"),
        STR("\"\\太\"@x"),
        STR("(c)a@x"),
        STR("a@x(c)"),
        STR("a\xff@x"),
        STR("a\xc2\x85@x"),
        STR("\"\xed\xa0\x80\"@x"),
        STR("a@[1.2.3.4"),
        STR("a@[1.2.3.4]x"),
        STR("a@x[1.2.3.4]"),
    };
    (void)state;

    check_refused(texts, ARRAY_LEN(texts), ADDRESS_BAD_SYNTAX);
}

static void what_is_no_domain_is_refused(void **state)
{
    const struct str texts[] = {
        STR("a@-x"),
        STR("a@x-"),
        STR("a@x-.y"),
        STR("a@.x"),
        STR("a@x."),
        STR("a@x..y"),
        STR("a@例え.jp."),
        STR("a@例え..jp"),
        STR("a@例え。"),
        STR("a@\xff.jp"),
        STR("a@\xcc\x88.jp"),       /* begins with a combining mark */
        STR("a@x\xef\xbc\xa0y.jp"), /* fullwidth @ */
        STR("a@xn--.jp"),
        STR("a@xn--a.jp"),
        STR("a@xn--abc-.jp"),
        STR("a@xn--99999999.jp"),
        STR("a@xn--例え.jp"),
        STR("a@[]"),
        STR("a@[1.2.3]"),
        STR("a@[1.2.3.4.5]"),
        STR("a@[1.2.3.]"),
        STR("a@[1.2.3.256]"),
        STR("a@[1.2.3.0004]"),
        STR("a@[1.2.3.4 ]"),
        STR("a@[2001:db8::1]"),
        STR("a@[IPv6:1.2.3.4]"),
        STR("a@[IPv6:1::2::3]"),
        STR("a@[IPv6:]"),
        STR("a@[IPv6:::1\0]"),
        STR("a@[tag:anything]"),
    };
    (void)state;

    check_refused(texts, ARRAY_LEN(texts), ADDRESS_BAD_DOMAIN);
}

static void good_paths_are_read_up_to_the_bracket(void **state)
{
    static const struct {
        const char *text;
        unsigned flags;
        const char *raw, *rest;
    } cases[] = {
        {"<a@x> SIZE=1", 0, "a@x", " SIZE=1"},
        {"<\">\"@x>", 0, "\">\"@x", ""},
        {"<@r:a@x>", 0, "a@x", ""},
        {"<@r.example,@s:a@x>y", 0, "a@x", "y"},
        {"<@例:a@x>", ADDRESS_MAY_BE_UTF8, "a@x", ""},
        {"<>", ADDRESS_MAY_BE_NULL, "", ""},
        {"<PostMaster>", ADDRESS_MAY_LACK_DOMAIN, "PostMaster", ""},
        {"<太@x>", ADDRESS_MAY_BE_UTF8, "太@x", ""},
    };
    struct address a;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cursor c = cursor_from(str_from_c(cases[i].text));
        if (path_parse(&c, cases[i].flags, &arena, &a) != ADDRESS_OK)
            fail_msg("refused: %s", cases[i].text);
        assert_true(str_eq_c(a.raw, cases[i].raw));
        assert_true(str_eq_c(cursor_rest(&c), cases[i].rest));
        assert_int_equal(a.is_null, a.raw.len == 0);
    }
}

static void bad_paths_are_refused(void **state)
{
    static const struct {
        const char *text;
        unsigned flags;
        enum address_error error;
    } cases[] = {
        {"", ADDRESS_MAY_BE_NULL, ADDRESS_BAD_SYNTAX},
        {"<", ADDRESS_MAY_BE_NULL, ADDRESS_BAD_SYNTAX},
        {"<>", 0, ADDRESS_BAD_SYNTAX},
        {"< >", ADDRESS_MAY_BE_NULL, ADDRESS_BAD_SYNTAX},
        {"a@x", 0, ADDRESS_BAD_SYNTAX},
        {"<a@x", 0, ADDRESS_BAD_SYNTAX},
        {"<a@x >", 0, ADDRESS_BAD_SYNTAX},
        {"<@r,@[x", 0, ADDRESS_BAD_SYNTAX},
        {"<@r:>", ADDRESS_MAY_BE_NULL, ADDRESS_BAD_SYNTAX},
        {"<@r,:a@x>", 0, ADDRESS_BAD_SYNTAX},
        {"<@:a@x>", 0, ADDRESS_BAD_SYNTAX},
        {"<@r:postmaster>", ADDRESS_MAY_LACK_DOMAIN, ADDRESS_BAD_SYNTAX},
        {"<postmaster>", 0, ADDRESS_BAD_SYNTAX},
        {"<postmaster@>", ADDRESS_MAY_LACK_DOMAIN, ADDRESS_BAD_SYNTAX},
        {"<root>", ADDRESS_MAY_LACK_DOMAIN, ADDRESS_BAD_SYNTAX},
        {"<@例:a@x>", 0, ADDRESS_NEEDS_SMTPUTF8},
        {"<太@x>", 0, ADDRESS_NEEDS_SMTPUTF8},
        {"<a@例え.jp>", 0, ADDRESS_NEEDS_SMTPUTF8},
    };
    struct address a;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cursor c = cursor_from(str_from_c(cases[i].text));
        enum address_error error = path_parse(&c, cases[i].flags, &arena, &a);
        if (error != cases[i].error)
            fail_msg("%s: %d instead of %d", cases[i].text, error, cases[i].error);
    }
}

/* `local_len` and `domain_len` bytes (labels of at most 63), the local part quoted if asked. */
static enum address_error parse_sized(size_t local_len, size_t domain_len, bool is_quoted)
{
    char text[1600];
    size_t len = 0;
    struct address a;

    if (is_quoted)
        text[len++] = '"';
    memset(text + len, 'a', local_len);
    len += local_len;
    if (is_quoted)
        text[len++] = '"';
    text[len++] = '@';
    for (size_t i = 0; i < domain_len; i++)
        text[len++] = i % 64 == 63 ? '.' : 'd';
    return address_parse(str_from_mem(text, len), 0, &arena, &a);
}

static void sizes_of_the_rfc_hold(void **state)
{
    (void)state;
    assert_int_equal(parse_sized(64, 100, false), ADDRESS_OK);
    assert_int_equal(parse_sized(65, 100, false), ADDRESS_TOO_LONG);
    assert_int_equal(parse_sized(64, 100, true), ADDRESS_OK);
    assert_int_equal(parse_sized(65, 100, true), ADDRESS_TOO_LONG);
    assert_int_equal(parse_sized(64, 189, false), ADDRESS_OK);
    assert_int_equal(parse_sized(64, 190, false), ADDRESS_TOO_LONG);
    assert_int_equal(parse_sized(1, 252, false), ADDRESS_OK);
    assert_int_equal(parse_sized(1, 253, false), ADDRESS_TOO_LONG);
    assert_int_equal(parse_sized(1, 1500, false), ADDRESS_TOO_LONG);
    assert_int_equal(parse_sized(1500, 10, true), ADDRESS_TOO_LONG);
}

static void labels_and_names_are_limited(void **state)
{
    char label[65];
    struct str domain;
    (void)state;

    memset(label, 'a', sizeof(label));
    assert_int_equal(domain_parse(str_from_mem(label, 63), &arena, &domain), ADDRESS_OK);
    assert_int_equal(domain_parse(str_from_mem(label, 64), &arena, &domain), ADDRESS_BAD_DOMAIN);
    assert_int_equal(domain_parse(STR_NONE, &arena, &domain), ADDRESS_BAD_DOMAIN);
    assert_int_equal(domain_parse(STR("[1.2.3.4]"), &arena, &domain), ADDRESS_BAD_DOMAIN);
    assert_int_equal(domain_parse(STR("a b.例"), &arena, &domain), ADDRESS_BAD_DOMAIN);
    assert_int_equal(domain_parse(STR("a\0.例"), &arena, &domain), ADDRESS_BAD_DOMAIN);
}

static void domains_are_shown_in_their_own_script(void **state)
{
    static const struct {
        const char *domain, *shown;
    } cases[] = {
        {"xn--r8jz45g.jp", "例え.jp"},  {"xn--bcher-kva.example", "bücher.example"},
        {"example.org", "example.org"}, {"xn--a.jp", "xn--a.jp"},
        {"[192.0.2.1]", "[192.0.2.1]"}, {"", ""},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str shown = domain_to_unicode(str_from_c(cases[i].domain), &arena);
        if (!str_eq_c(shown, cases[i].shown))
            fail_msg("%s: %.*s", cases[i].domain, STR_ARG(shown));
    }
}

static void local_parts_are_folded_to_one_key(void **state)
{
    static const struct {
        const char *local, *key;
    } cases[] = {
        {"Taro.YAMADA+x", "taro.yamada+x"},
        {"", ""},
        {"Ünï", "ünï"},
        {"U\xcc\x88n", "ün"}, /* decomposed */
        {"STRASSE", "strasse"},
        {"Straße", "strasse"},
        {"ΣΊΣΥΦΟΣ", "σίσυφοσ"},
        {"σίσυφος", "σίσυφοσ"},
        {"太郎", "太郎"},
        {"A\xff", "a\xff"}, /* not UTF-8: ASCII is folded */
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str key = address_fold_local(str_from_c(cases[i].local), &arena);
        if (!str_eq_c(key, cases[i].key))
            fail_msg("%s: %.*s", cases[i].local, STR_ARG(key));
    }
}

static void details_are_split_at_the_first_separator(void **state)
{
    static const struct {
        const char *local, *separators, *user, *detail;
        bool is_split;
    } cases[] = {
        {"a+b", "+", "a", "b", true},      {"a+b+c", "+", "a", "b+c", true},
        {"a-b+c", "+-", "a", "b+c", true}, {"a+", "+", "a", "", true},
        {"+a+b", "+", "+a", "b", true},    {"+a", "+", "+a", "", false},
        {"a+b", "", "a+b", "", false},     {"ab", "+", "ab", "", false},
        {"", "+", "", "", false},
    };
    struct str user, detail;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool is_split = address_split_detail(str_from_c(cases[i].local),
                                             str_from_c(cases[i].separators), &user, &detail);
        assert_int_equal(is_split, cases[i].is_split);
        assert_true(str_eq_c(user, cases[i].user) && str_eq_c(detail, cases[i].detail));
    }
}

/* --- the public suites --- */

/* All of a suite's file in the arena, or an empty view. */
static struct str read_suite(const char *name)
{
    const char *suites = getenv("SUITES");
    char *path = arena_printf(&arena, "%s/%s", suites != NULL ? suites : "", name);
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "rb");
    enum { SUITE_MAX_BYTES = 1 << 20 };

    if (file == NULL) {
        print_message("%s is absent\n", path);
        return STR_NONE;
    }
    char *bytes = arena_alloc(&arena, SUITE_MAX_BYTES);
    return str_from_mem(bytes, fread(bytes, 1, SUITE_MAX_BYTES, file));
}

/* The text between <name> and </name>, and what follows in *rest; ptr NULL if there is none. */
static struct str cut_element(struct str *rest, const char *name)
{
    const char *open = arena_printf(&arena, "<%s>", name);
    const char *close = arena_printf(&arena, "</%s>", name);
    const char *from = memmem(rest->ptr, rest->len, open, strlen(open));

    if (from == NULL)
        return STR_NONE;
    from += strlen(open);
    size_t left = rest->len - (size_t)(from - rest->ptr);
    const char *end = memmem(from, left, close, strlen(close));
    if (end == NULL)
        return STR_NONE;
    *rest = str_from_mem(end, left - (size_t)(end - from));
    return str_from_mem(from, (size_t)(end - from));
}

static void put_code_point(struct buf *out, unsigned long point)
{
    /* The suite writes control characters as U+2400 and up. */
    if (point >= 0x2400 && point < 0x2420)
        point -= 0x2400;
    if (point < 0x80) {
        buf_put_u8(out, (uint8_t)point);
        return;
    }
    assert_true(point < 0x800);
    buf_put_u8(out, (uint8_t)(0xc0 | point >> 6));
    buf_put_u8(out, (uint8_t)(0x80 | (point & 0x3f)));
}

static void xml_decode(struct str xml, struct buf *out)
{
    static const struct {
        struct str name;
        char ch;
    } entities[] = {
        {{"&lt;", 4}, '<'}, {{"&gt;", 4}, '>'}, {{"&amp;", 5}, '&'}, {{"&quot;", 6}, '"'}};
    struct cursor c = cursor_from(xml);

    while (cursor_left(&c) > 0) {
        bool is_named = false;
        for (size_t i = 0; !is_named && i < ARRAY_LEN(entities); i++) {
            is_named = cursor_take_if_nocase(&c, entities[i].name);
            if (is_named)
                buf_put_char(out, entities[i].ch);
        }
        if (is_named)
            continue;
        if (cursor_take_if_nocase(&c, STR("&#x"))) {
            put_code_point(out, strtoul(cursor_take_until(&c, ';').ptr, NULL, 16));
            (void)cursor_next(&c);
            continue;
        }
        buf_put_char(out, (char)cursor_next(&c));
    }
}

struct suite_counts {
    int accepted, refused, free, failed;
};

/* suites/README.md: accept what is valid and what is unusual by RFC 5321, refuse errors. The other
 * categories (comments, folding, obsolete forms, what DNS lacks) are left to the program. */
static void check_isemail(struct str address, struct str category, struct suite_counts *counts)
{
    struct address a;
    bool must_accept =
        str_eq_c(category, "ISEMAIL_VALID_CATEGORY") || str_eq_c(category, "ISEMAIL_RFC5321");
    bool must_refuse = str_eq_c(category, "ISEMAIL_ERR");
    bool is_accepted = address_parse(address, 0, &arena, &a) == ADDRESS_OK;

    if (!must_accept && !must_refuse) {
        counts->free++;
        return;
    }
    if (is_accepted != must_accept) {
        print_error("%.*s: %.*s\n", STR_ARG(category), STR_ARG(address));
        counts->failed++;
        return;
    }
    *(must_accept ? &counts->accepted : &counts->refused) += 1;
}

static void the_suite_is_email_holds(void **state)
{
    struct str rest = read_suite("smtp/isemail/tests.xml");
    struct suite_counts counts = {.failed = 0};
    struct buf address;
    (void)state;

    if (rest.ptr == NULL) {
        skip();
        return;
    }
    buf_init(&address, 2000);
    const char *first = memmem(rest.ptr, rest.len, "<test id", 8);
    assert_non_null(first);
    rest = str_sub(rest, (size_t)(first - rest.ptr), rest.len);
    for (;;) {
        struct str test = rest;
        struct str category = cut_element(&rest, "category");
        if (category.ptr == NULL)
            break;
        /* Test 1 has <address/>: then the next <address> would be another test's. */
        test.len = (size_t)(category.ptr - test.ptr);
        struct str text = cut_element(&test, "address");
        buf_reset(&address);
        xml_decode(text, &address);
        check_isemail(buf_str(&address), category, &counts);
    }
    buf_done(&address);
    print_message("is_email: %d accepted, %d refused, %d free, %d wrong\n", counts.accepted,
                  counts.refused, counts.free, counts.failed);
    assert_int_equal(counts.failed, 0);
    assert_int_equal(counts.accepted + counts.refused + counts.free, 164);
}

static void the_cases_of_mox_hold(void **state)
{
    struct str text = read_suite("smtp/address-parse.half.json");
    json_t *entry, *cases = NULL;
    size_t i;
    (void)state;

    if (text.ptr == NULL)
        skip();
    cases = json_loadb(text.ptr, text.len, JSON_ALLOW_NUL, NULL);
    assert_non_null(cases);
    json_array_foreach(cases, i, entry)
    {
        struct address a;
        const char *group = json_string_value(json_object_get(entry, "group"));
        json_t *input = json_object_get(entry, "input");
        /* Its local parts are tested without a domain. No case differs from the RFC here. */
        const char *domain = strcmp(group, "TestParseLocalpart") == 0 ? "@example.org" : "";
        char *all = arena_printf(&arena, "%s%s", json_string_value(input), domain);
        bool is_ok = address_parse(str_from_c(all), 0, &arena, &a) == ADDRESS_OK;
        if (is_ok != json_is_true(json_object_get(entry, "valid")))
            fail_msg("%s: %d", all, is_ok);
    }
    print_message("mox: %zu cases\n", json_array_size(cases));
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailboxes_have_one_form),
        cmocka_unit_test(what_is_no_dot_string_is_printed_in_quotes),
        cmocka_unit_test(what_is_no_mailbox_is_refused),
        cmocka_unit_test(what_is_no_domain_is_refused),
        cmocka_unit_test(good_paths_are_read_up_to_the_bracket),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(sizes_of_the_rfc_hold),
        cmocka_unit_test(labels_and_names_are_limited),
        cmocka_unit_test(domains_are_shown_in_their_own_script),
        cmocka_unit_test(local_parts_are_folded_to_one_key),
        cmocka_unit_test(details_are_split_at_the_first_separator),
        cmocka_unit_test(the_suite_is_email_holds),
        cmocka_unit_test(the_cases_of_mox_hold),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
