/* Unit tests of header fields and of the address lists in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mail/addrlist.h"
#include "mail/header.h"

enum { TEST_BYTES = 4 * 1024 * 1024 };

/* name|adl|mailbox|host, "-" for what is absent, ";" between mailboxes. */
static void print_list(const struct summary_mailbox *m, struct buf *out)
{
    for (; m != NULL; m = m->next) {
        buf_printf(out, "%.*s|", STR_ARG(m->has_name ? m->name : STR("-")));
        buf_printf(out, "%.*s|", STR_ARG(m->has_adl ? m->adl : STR("-")));
        buf_printf(out, "%.*s|", STR_ARG(m->has_mailbox ? m->mailbox : STR("-")));
        buf_printf(out, "%.*s", STR_ARG(m->has_host ? m->host : STR("-")));
        buf_put_c(out, m->next != NULL ? ";" : "");
    }
}

static void expect_list(const char *body, const char *expected)
{
    struct arena arena;
    struct buf out;

    arena_init(&arena, TEST_BYTES);
    buf_init(&out, TEST_BYTES);
    print_list(addrlist_parse(str_from_c(body), 100, &arena), &out);
    if (strcmp(buf_c_str(&out), expected) != 0)
        print_message("of <%s>\n", body);
    assert_string_equal(buf_c_str(&out), expected);
    buf_done(&out);
    arena_done(&arena);
}

static void lists_are_read_as_the_grammar_says(void **state)
{
    (void)state;
    static const struct {
        const char *body, *list;
    } cases[] = {
        {"a@b.example", "-|-|a|b.example"},
        {"<a@b.example>", "-|-|a|b.example"},
        {"A B <a@b>, c@d", "A B|-|a|b;-|-|c|d"},
        {"\"A, \\\"B\\\"\" <a@b>", "A, \"B\"|-|a|b"},
        {"Joe Q. Public <j@x>", "Joe Q. Public|-|j|x"},
        {"A\r\n  B\r\n <a@b>", "A B|-|a|b"},
        {"a@b (The (nested) Name)", "The (nested) Name|-|a|b"},
        {"a@b (  Two   words\r\n\t) , c@d", "Two words|-|a|b;-|-|c|d"},
        {"(c) a (d) @ (e) b (f)", "f|-|a|b"},
        {"\"quoted local\"@x", "-|-|quoted local|x"},
        {"a . b @ c . d", "-|-|a.b|c.d"},
        {"a@[192.0.2.1]", "-|-|a|[192.0.2.1]"},
        {"<@r1,@r2:a@b>", "-|@r1,@r2|a|b"},
        {"飛脚 <hikyaku@飛脚.example>", "飛脚|-|hikyaku|飛脚.example"},
        {"=?ISO-2022-JP?B?GyRCSHRALTsrGyhC?= <a@b>", "=?ISO-2022-JP?B?GyRCSHRALTsrGyhC?=|-|a|b"},
        {"G: a@b, C <c@d>;, e@f", "-|-|G|-;-|-|a|b;C|-|c|d;-|-|-|-;-|-|e|f"},
        {"undisclosed-recipients:;", "-|-|undisclosed-recipients|-;-|-|-|-"},
        {"G: ;", "-|-|G|-;-|-|-|-"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_list(cases[i].body, cases[i].list);
}

static void broken_lists_are_shown_as_far_as_they_go(void **state)
{
    (void)state;
    static const struct {
        const char *body, *list;
    } cases[] = {
        {"", ""},
        {"  \t (only a comment)", ""},
        {"(open", ""},
        {"bob", "-|-|bob|MISSING_DOMAIN"},
        {"bob (Bob)", "Bob|-|bob|MISSING_DOMAIN"},
        {"Big Bug bb@bug.example", "Big Bug bb|-|MISSING_MAILBOX|MISSING_DOMAIN"},
        {"Nobody <>", "Nobody|-|MISSING_MAILBOX|MISSING_DOMAIN"},
        {"<a:b>", "-|-|a|SYNTAX_ERROR"},
        {"<a@b", "-|-|a|SYNTAX_ERROR"},
        {"A <@x a@b>", "A|INVALID_ROUTE|a|b"},
        {"a@b@c", "-|-|a|b"},
        {"a@", "-|-|a|MISSING_DOMAIN"},
        {"@b", "-|-|MISSING_MAILBOX|b"},
        {"a@b,", "-|-|a|b"},
        {"a@b, (open", "-|-|a|b;-|-|MISSING_MAILBOX|MISSING_DOMAIN"},
        {"a@b,,c@d", "-|-|a|b;-|-|MISSING_MAILBOX|MISSING_DOMAIN;-|-|c|d"},
        {"\"open", "-|-|MISSING_MAILBOX|MISSING_DOMAIN"},
        {"G: a@b", "-|-|G|-;-|-|a|b;-|-|-|-"},
        {"a@b c@d", "-|-|a|b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_list(cases[i].body, cases[i].list);
}

static void lists_end_at_their_maximum(void **state)
{
    (void)state;
    struct arena arena;
    struct buf out, text;

    arena_init(&arena, TEST_BYTES);
    buf_init(&out, TEST_BYTES);
    buf_init(&text, TEST_BYTES);
    print_list(addrlist_parse(STR("a@b,c@d,e@f"), 2, &arena), &out);
    assert_string_equal(buf_c_str(&out), "-|-|a|b;-|-|c|d");
    buf_reset(&out);
    print_list(addrlist_parse(STR("G:a@b,c@d;,e@f"), 3, &arena), &out);
    assert_string_equal(buf_c_str(&out), "-|-|G|-;-|-|a|b;-|-|-|-");
    buf_reset(&out);
    print_list(addrlist_parse(STR("a@b,G:c@d;"), 2, &arena), &out);
    assert_string_equal(buf_c_str(&out), "-|-|a|b");
    for (int i = 0; i < 300000; i++)
        buf_put_c(&text, "(a,");
    buf_put_c(&text, "x");
    assert_null(addrlist_parse(buf_str(&text), 1000, &arena));
    buf_done(&text);
    buf_done(&out);
    arena_done(&arena);
}

static void header_blocks_are_walked_field_by_field(void **state)
{
    (void)state;
    struct str block = STR("Subject : a\r\n b\nno field\r\n: x\r\nTo:\r\n\r\nbody: x\r\n");
    struct header_field f;

    assert_true(header_next(&block, &f) && f.is_field);
    assert_true(str_eq(f.name, STR("Subject")) && str_eq(f.body, STR(" a\r\n b")));
    assert_true(str_eq(f.raw, STR("Subject : a\r\n b\n")));
    assert_true(header_next(&block, &f) && !f.is_field && f.name.len == 0);
    assert_true(header_next(&block, &f) && !f.is_field);
    assert_true(header_next(&block, &f) && f.is_field);
    assert_true(str_eq(f.name, STR("To")) && f.body.len == 0);
    assert_false(header_next(&block, &f));
    assert_true(str_eq(block, STR("\r\nbody: x\r\n")));
    block = STR("");
    assert_false(header_next(&block, &f));
}

static void folds_go_away(void **state)
{
    (void)state;
    struct arena arena;

    arena_init(&arena, TEST_BYTES);
    assert_true(str_eq(header_unfold(STR(" \ta\r\n  b\n\tc "), &arena), STR("a  b\tc ")));
    assert_true(str_eq(header_unfold(STR("a\rb"), &arena), STR("a\rb")));
    assert_true(str_eq(header_unfold_text(STR(" \r\n a\r\n \r\n\tb  c "), &arena), STR("a b c")));
    assert_true(str_eq(header_unfold_text(STR(" \r\n "), &arena), STR("")));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_as_the_grammar_says),
        cmocka_unit_test(broken_lists_are_shown_as_far_as_they_go),
        cmocka_unit_test(lists_end_at_their_maximum),
        cmocka_unit_test(header_blocks_are_walked_field_by_field),
        cmocka_unit_test(folds_go_away),
    };
    return cmocka_run_group_tests_name("addrlist", tests, NULL, NULL);
}
