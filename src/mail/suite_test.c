/*
 * The parsers of this folder against the answers of other projects, as the shared suites have them:
 * mail-parser's header vectors and dates, mime4j's part trees, and the dates of every message.
 *
 * Another answer than theirs is a choice: it stands in a table with ours and the reason. The test
 * fails for all other differences, and for a choice that no longer differs.
 */
#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"
#include "mail/addrlist.h"
#include "mail/date.h"
#include "mail/encoded_word.h"
#include "mail/header.h"
#include "mail/mime_check.h"
#include "mail/mime_param.h"

enum { FILE_MAX_BYTES = 16 * 1024 * 1024, MAILBOXES_MAX = 100 };

struct choice {
    const char *file;
    size_t number;      /* of the vector in the file, from 1 */
    const char *ours;   /* what we answer */
    const char *reason; /* for the reader */
};

struct tally {
    const char *name;
    const struct choice *choices;
    size_t choice_count;
    size_t total, passed, chosen, failed;
};

/* --- choices --- */

/* Reasons that several choices share. */
#define COMMENT    "comments are no part of a name that is there"
#define COMMA      "RFC 5322 address-list: a comma follows a group; the list ends without"
#define NO_ADDRESS "List-* fields hold no addresses (RFC 2369)"
#define SEMICOLON  "RFC 2045 5.1: a parameter follows a semicolon"
#define BROKEN     "what stands at and behind a broken parameter is left out"
#define NO_TOKEN   "RFC 2045 5.1: = is no token character"
#define NO_SUBTYPE "a type without subtype has no parameters"
#define SLASH      "RFC 2045 5.1: / is no token character; then broken"
#define EMPTY      "RFC 2046 5.1.1: a multipart has a part, here an empty one (Dovecot)"

static const struct choice address_choices[] = {
    {"address.json", 9, "[Pete|pete@silly.test]", COMMENT},
    {"address.json", 10, "[A nice|Pete@MISSING_DOMAIN]",
     "the backslash quotes the fold, so ) ends the comment"},
    {"address.json", 11,
     "{A Group[Chris Jones|c@public.example][|joe@example.org][John|jdoe@one.test]}", COMMENT},
    {"address.json", 12, "{Hidden recipients}", COMMENT},
    {"address.json", 14,
     "[Mary "
     "Smith|@node.test:mary@example.net][|MISSING_MAILBOX@MISSING_DOMAIN][|jdoe@test.example]",
     "an empty element is shown as Dovecot shows it; white space around dots is none"},
    {"address.json", 15, "[John Doe|jdoe@machine.example]", COMMENT},
    {"address.json", 23, "[Nathaniel Borenstein|nsb@thumper.bellcore.com]", COMMENT},
    {"address.json", 34,
     "[James Smythe|james@example.com]{Friends[|jane@example.com][John Smîth|john@example.com]}",
     "runs of white space in a name are one space, none at its start"},
    {"address.json", 35, "{List 1[|addr1@test.com][|addr2@test.com]}", COMMA},
    {"address.json", 36, "{List 1[|addr1@test.com][|addr2@test.com]}", COMMA},
    {"address.json", 37, "{Thís ís válíd ÚTF8[|addr1@test.com][|addr2@test.com]}", COMMA},
    {"address.json", 38, "[|http@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 39, "[|mailto@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 40, "[|mailto@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 41, "[|mailto@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 42, "[|http@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 43, "[posting not allowed on this list|NO@MISSING_DOMAIN]", NO_ADDRESS},
    {"address.json", 44, "[|ftp@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 45, "[|http@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 46, "[|mailto@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 47, "[|http@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 48, "[|mailto@SYNTAX_ERROR]", NO_ADDRESS},
    {"address.json", 52, "[|phil@example.com]",
     "RFC 5322 phrase: no @ outside quotes; the address is read"},
    {"address.json", 56, "[|a@b.com]", "RFC 5322 mailbox: the name stands before the address"},
    {"address.json", 57, "[Name Doe|a@b.com]", COMMENT},
};

static const struct choice type_choices[] = {
    {"content_type.json", 13, "multipart/mixed;boundary=gc0pJq0M",
     "RFC 2045 5.1: the colon is no token character"},
    {"content_type.json", 24, "message/external-body;access-type=mail-server", SEMICOLON},
    {"content_type.json", 31, "application/x-stuff", SEMICOLON},
    {"content_type.json", 32, "application/pdf", SEMICOLON},
    {"content_type.json", 35, "image/jpeg;name=áéí.jpeg",
     "RFC 2047 6.2: no space between encoded words"},
    {"content_type.json", 36, "image/jpeg;name=á", "a value without quotes ends at the space"},
    {"content_type.json", 47, "text/plain", BROKEN},
    {"content_type.json", 48, "", NO_TOKEN},
    {"content_type.json", 49, "name/", NO_TOKEN},
    {"content_type.json", 56, "inva/lid", BROKEN},
    {"content_type.json", 57, "inva/lid", BROKEN},
    {"content_type.json", 59, "name/", NO_TOKEN},
    {"content_type.json", 60, "test/encoded;key4=foo;key=f�oobaz;key2=ab%;key3=xyzplop%;=test",
     "RFC 2231: no gaps in the numbers, a NUL is shown, * is a name"},
    {"content_type.json", 61, "text/plain;name=HasenundFr�sche.txt",
     "mime_param_join does not convert charsets"},
    {"content_type.json", 62, "malicious/attempt;1=;3=;4=;=;9=;15=",
     "RFC 2231: one number and one mark, and no space in a name; then broken"},
    {"content_type.json", 69, "text/", NO_SUBTYPE},
    {"content_type.json", 70, "text/", NO_SUBTYPE},
    {"content_type.json", 77, "text/plain", SLASH},
    {"content_type.json", 78, "text/plain", SLASH},
    {"content_type.json", 79, "text/plain", SLASH},
};

static const struct choice tree_choices[] = {
    {"base64encoded-rfc822message-nested.msg", 0, "message/rfc822(text/plain)",
     "RFC 2046 5.2.1: no base64 here; mime4j decodes it"},
    {"missing-boundary.msg", 0, "multipart/alternative(text/plain)", EMPTY},
    {"missing-inner-boundary.msg", 0,
     "multipart/mixed(text/plain)(multipart/alternative(text/plain))", EMPTY},
    {"missing-inner-start-boundary.msg", 0,
     "multipart/mixed(text/plain)(multipart/alternative(text/plain))", EMPTY},
    {"very-very-long-boundary.msg", 0, "multipart/mixed(text/plain)(text/plain)(text/plain)",
     "RFC 2046 5.1.1 allows 70 bytes; compared up to 80, Dovecot answers the same"},
};

/* --- files and counts --- */

/* The path of a file in the suites; skips the test when there is none. The caller frees. */
static char *suite_path(const char *place, const char *name)
{
    struct stat st;
    const char *folder = getenv("SUITES");

    if (folder == NULL) {
        print_message("SUITES is not set: nothing to compare with\n");
        skip();
    }
    char *path = xasprintf("%s/%s/%s", folder, place, name);
    if (stat(path, &st) != 0) {
        print_message("%s is absent: nothing to compare with\n", path);
        free(path);
        skip();
        return NULL;
    }
    return path;
}

/* As a message: NUL-free, every line end CRLF. */
static bool read_message(const char *path, struct buf *out)
{
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

/* The path with another ending. The caller frees. */
static char *path_with_ending(const char *path, const char *ending)
{
    struct str stem = str_from_c(path);

    stem = str_sub(stem, 0, (size_t)str_rfind(stem, '.'));
    return xasprintf("%.*s%s", STR_ARG(stem), ending);
}

static const char *name_of_path(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* Calls `visit` for every file below the suites' folder `name` whose name ends so. */
static void for_each_file(const char *name, const char *ending,
                          void (*visit)(struct tally *, const char *), struct tally *tally)
{
    CLEANUP(cleanup_free) char *path = suite_path(name, "");
    char *paths[] = {path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;

    assert_non_null(tree);
    while ((entry = fts_read(tree)) != NULL)
        if (entry->fts_info == FTS_F &&
            str_has_suffix_nocase(str_from_c(entry->fts_name), str_from_c(ending)))
            visit(tally, entry->fts_path);
    fts_close(tree);
}

static const struct choice *find_choice(const struct tally *tally, const char *file, size_t number)
{
    for (size_t i = 0; i < tally->choice_count; i++) {
        const struct choice *choice = &tally->choices[i];
        if (choice->number == number && strcmp(choice->file, file) == 0)
            return choice;
    }
    return NULL;
}

static void tally_compare(struct tally *tally, const char *file, size_t number,
                          const struct buf *have, const struct buf *want)
{
    const struct choice *choice = find_choice(tally, file, number);
    bool is_same = str_eq(buf_str(have), buf_str(want));

    assert_int_equal(buf_status(have), 0);
    assert_int_equal(buf_status(want), 0);
    tally->total++;
    if (choice == NULL && is_same) {
        tally->passed++;
        return;
    }
    if (choice != NULL && !is_same && str_eq_c(buf_str(have), choice->ours)) {
        tally->chosen++;
        return;
    }
    tally->failed++;
    print_message("%s %zu%s\n  have %.*s\n  want %.*s\n", file, number,
                  choice != NULL ? " (a choice)" : "", STR_ARG(buf_str(have)),
                  STR_ARG(buf_str(want)));
}

static void tally_finish(const struct tally *tally)
{
    print_message("%s: of %zu passed %zu, chosen otherwise %zu, failed %zu\n", tally->name,
                  tally->total, tally->passed, tally->chosen, tally->failed);
    assert_true(tally->total > 0);
    assert_int_equal(tally->failed, 0);
    assert_int_equal(tally->chosen, tally->choice_count);
}

/* --- answers as text --- */

static struct str json_str(const json_t *json)
{
    return str_from_mem(json_string_value(json), json_string_length(json));
}

static void put_lower(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        buf_put_char(out, ascii_lower(text.ptr[i]));
}

/* What the field's body is when a message has the header. */
static struct str body_of_header(struct str header, struct arena *arena)
{
    struct header_field field;
    struct str block = str_from_c(arena_printf(arena, "X:"));
    struct buf all;

    buf_init(&all, FILE_MAX_BYTES);
    buf_put_str(&all, block);
    buf_put_str(&all, header);
    block = arena_str(arena, buf_str(&all));
    buf_done(&all);
    assert_true(header_next(&block, &field));
    return field.body;
}

/* --- mail-parser: addresses --- */

static void put_mailbox(struct buf *out, const struct summary_mailbox *m)
{
    if (!m->has_mailbox || !m->has_host) { /* a mark of a group */
        buf_put_c(out, m->has_mailbox ? "{" : "}");
        encoded_word_decode(m->mailbox, out);
        return;
    }
    buf_put_char(out, '[');
    encoded_word_decode(m->name, out);
    buf_put_char(out, '|');
    if (m->has_adl)
        buf_printf(out, "%.*s:", STR_ARG(m->adl));
    buf_printf(out, "%.*s@%.*s]", STR_ARG(m->mailbox), STR_ARG(m->host));
}

static void put_addresses(struct buf *out, const json_t *list)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        buf_put_char(out, '[');
        buf_put_str(out, json_str(json_object_get(item, "name")));
        buf_put_char(out, '|');
        buf_put_str(out, json_str(json_object_get(item, "address")));
        buf_put_char(out, ']');
    }
}

static void put_groups(struct buf *out, const json_t *groups)
{
    size_t i;
    json_t *group;

    json_array_foreach(groups, i, group)
    {
        const json_t *name = json_object_get(group, "name");
        bool has_name = json_is_string(name);
        buf_put_c(out, has_name ? "{" : "");
        buf_put_str(out, json_str(name));
        put_addresses(out, json_object_get(group, "addresses"));
        buf_put_c(out, has_name ? "}" : "");
    }
}

static void answer_address(struct str body, const json_t *expected, struct arena *arena,
                           struct buf *have, struct buf *want)
{
    const struct summary_mailbox *m = addrlist_parse(body, MAILBOXES_MAX, arena);

    for (; m != NULL; m = m->next)
        put_mailbox(have, m);
    put_addresses(want, json_object_get(expected, "List"));
    put_groups(want, json_object_get(expected, "Group"));
}

/* --- mail-parser: types and parameters --- */

static struct str param_stem(const struct summary_param *param)
{
    struct str stem, rest;

    (void)str_cut(param->name, '*', &stem, &rest);
    return stem;
}

/* Each name once, its pieces joined, and encoded words decoded as for people. */
static void put_params(struct buf *out, const struct summary_param *params, struct arena *arena)
{
    for (const struct summary_param *p = params; p != NULL; p = p->next) {
        const struct summary_param *first = params;
        while (!str_eq_nocase(param_stem(first), param_stem(p)))
            first = first->next;
        if (first != p)
            continue;
        struct str value = mime_param_join(params, param_stem(p), FILE_MAX_BYTES, arena);
        buf_put_char(out, ';');
        put_lower(out, param_stem(p));
        buf_put_char(out, '=');
        encoded_word_decode(value, out);
    }
}

/* The languages of RFC 2231 are no parameters with us. */
static void put_attributes(struct buf *out, const json_t *attributes)
{
    size_t i;
    json_t *pair;

    json_array_foreach(attributes, i, pair)
    {
        struct str name = json_str(json_array_get(pair, 0));
        if (str_has_suffix_nocase(name, STR("-language")))
            continue;
        buf_put_char(out, ';');
        buf_put_str(out, name);
        buf_put_char(out, '=');
        buf_put_str(out, json_str(json_array_get(pair, 1)));
    }
}

static void put_disposition(struct buf *out, struct str body, struct arena *arena)
{
    struct summary_param *params;
    struct str token = mime_param_parse_disposition(body, arena, &params);

    put_lower(out, token);
    buf_put_char(out, '/');
    put_params(out, params, arena);
}

static void answer_content_type(struct str body, const json_t *expected, struct arena *arena,
                                struct buf *have, struct buf *want)
{
    struct summary_part part = {0};
    struct str type = json_str(json_object_get(expected, "c_type"));

    if (str_eq(type, STR("inline")) || str_eq(type, STR("attachment"))) {
        put_disposition(have, body, arena);
    } else if (mime_param_parse_type(body, arena, &part)) {
        put_lower(have, part.type);
        buf_put_char(have, '/');
        put_lower(have, part.subtype);
        put_params(have, part.params, arena);
    }
    if (!json_is_object(expected))
        return;
    buf_put_str(want, type);
    buf_put_char(want, '/');
    buf_put_str(want, json_str(json_object_get(expected, "c_subtype")));
    put_attributes(want, json_object_get(expected, "attributes"));
}

/* --- mail-parser: encoded words in lists of words --- */

static void answer_list(struct str body, const json_t *expected, struct arena *arena,
                        struct buf *have, struct buf *want)
{
    size_t i;
    json_t *item;
    struct buf text;
    struct str rest, word;

    buf_init(&text, FILE_MAX_BYTES);
    encoded_word_decode(header_unfold_text(body, arena), &text);
    for (rest = buf_str(&text); rest.len > 0;) {
        (void)str_cut(rest, ',', &word, &rest);
        if (str_trim(word).len > 0)
            buf_printf(have, "[%.*s]", STR_ARG(str_trim(word)));
    }
    json_array_foreach(expected, i, item) buf_printf(want, "[%.*s]", STR_ARG(json_str(item)));
    buf_done(&text);
}

static void check_vectors(struct tally *tally,
                          void (*answer)(struct str, const json_t *, struct arena *, struct buf *,
                                         struct buf *))
{
    CLEANUP(cleanup_free) char *path = suite_path("mime/mail-parser/header-vectors", tally->name);
    json_t *vectors = json_load_file(path, JSON_ALLOW_NUL, NULL);
    json_t *vector;
    size_t i;

    assert_true(json_is_array(vectors));
    json_array_foreach(vectors, i, vector)
    {
        struct arena arena;
        struct buf have, want;
        arena_init(&arena, FILE_MAX_BYTES);
        buf_init(&have, FILE_MAX_BYTES);
        buf_init(&want, FILE_MAX_BYTES);
        struct str body = body_of_header(json_str(json_object_get(vector, "header")), &arena);
        answer(body, json_object_get(vector, "expected"), &arena, &have, &want);
        tally_compare(tally, tally->name, i + 1, &have, &want);
        buf_done(&want);
        buf_done(&have);
        arena_done(&arena);
    }
    json_decref(vectors);
    tally_finish(tally);
}

static void addresses_are_those_of_mail_parser(void **state)
{
    (void)state;
    struct tally tally = {.name = "address.json",
                          .choices = address_choices,
                          .choice_count = ARRAY_LEN(address_choices)};

    check_vectors(&tally, answer_address);
}

static void types_are_those_of_mail_parser(void **state)
{
    (void)state;
    struct tally tally = {.name = "content_type.json",
                          .choices = type_choices,
                          .choice_count = ARRAY_LEN(type_choices)};

    check_vectors(&tally, answer_content_type);
}

static void words_are_those_of_mail_parser(void **state)
{
    (void)state;
    struct tally tally = {.name = "list.json"};

    check_vectors(&tally, answer_list);
}

/* --- mime4j: part trees --- */

static bool is_no_tag(char c)
{
    return c != '<';
}

/* Text in the XML is escaped, so that '<' always begins a tag. An empty name at the end. */
static struct str take_tag(struct cursor *c, struct str *out_text)
{
    *out_text = cursor_take_while(c, is_no_tag);
    if (!cursor_take_if(c, '<'))
        return STR("");
    struct str tag = cursor_take_until(c, '>');
    cursor_expect(c, '>');
    return tag;
}

/* The type in a field, where it is a Content-Type; read without our parsers. */
static void find_type(struct str field, struct str *type)
{
    struct str name, value, rest;

    if (!str_cut(field, ':', &name, &value) || !str_eq_nocase(str_trim(name), STR("Content-Type")))
        return;
    (void)str_cut(value, ';', &value, &rest);
    *type = str_trim(value);
}

/* Behind <message> or <body-part>, up to its end; a part's text and its ends are passed over. */
static void put_xml_part(struct cursor *c, struct str default_type, struct buf *out)
{
    struct str text, type = default_type, inner = STR("text/plain");

    for (;;) {
        struct str tag = take_tag(c, &text);
        assert_int_equal(cursor_status(c), 0);
        assert_true(tag.len > 0);
        if (str_eq(tag, STR("/field")))
            find_type(text, &type);
        if (str_eq(tag, STR("/header")))
            put_lower(out, type);
        if (str_eq(tag, STR("multipart")) && str_eq_nocase(type, STR("multipart/digest")))
            inner = STR("message/rfc822");
        if (str_eq(tag, STR("message")) || str_eq(tag, STR("body-part"))) {
            buf_put_char(out, '(');
            put_xml_part(c, inner, out);
            buf_put_char(out, ')');
        }
        if (str_eq(tag, STR("/message")) || str_eq(tag, STR("/body-part")))
            return;
    }
}

static void put_part(const struct summary_part *part, struct buf *out)
{
    put_lower(out, part->type);
    buf_put_char(out, '/');
    put_lower(out, part->subtype);
    for (const struct summary_part *child = part->children; child != NULL; child = child->next) {
        buf_put_char(out, '(');
        put_part(child, out);
        buf_put_char(out, ')');
    }
}

static void check_tree(struct tally *tally, const char *path)
{
    CLEANUP(cleanup_free) char *xml_path = path_with_ending(path, ".xml");
    struct buf message, xml, have, want;
    struct mime_scanner *s = mime_scanner_new();
    struct str text;

    buf_init(&message, FILE_MAX_BYTES);
    buf_init(&xml, FILE_MAX_BYTES);
    buf_init(&have, FILE_MAX_BYTES);
    buf_init(&want, FILE_MAX_BYTES);
    assert_true(read_message(path, &message));
    assert_true(read_message(xml_path, &xml));
    struct summary_part *root = check_scan(s, buf_str(&message), 0);
    check_places(root, 0, message.len, 1);
    put_part(root, &have);
    struct cursor c = cursor_from(buf_str(&xml));
    assert_true(str_eq(take_tag(&c, &text), STR("message")));
    put_xml_part(&c, STR("text/plain"), &want);
    tally_compare(tally, name_of_path(path), 0, &have, &want);
    buf_done(&want);
    buf_done(&have);
    buf_done(&xml);
    buf_done(&message);
    mime_scanner_free(s);
}

static void trees_are_those_of_mime4j(void **state)
{
    (void)state;
    struct tally tally = {
        .name = "mime4j trees", .choices = tree_choices, .choice_count = ARRAY_LEN(tree_choices)};

    for_each_file("mime/mime4j/testmsgs", ".msg", check_tree, &tally);
    tally_finish(&tally);
}

/* --- dates --- */

/* mail-parser's answer, where it has one. */
static bool read_date_answer(const char *path, struct date *out)
{
    static const char *const keys[] = {"year", "month", "day", "hour", "minute", "second"};
    CLEANUP(cleanup_free) char *json_path = path_with_ending(path, ".json");
    json_t *json = json_load_file(json_path, JSON_ALLOW_NUL, NULL);
    json_t *header, *time = NULL;
    size_t i;
    int v[ARRAY_LEN(keys)];

    json_array_foreach(
        json_object_get(json_array_get(json_object_get(json, "parts"), 0), "headers"), i,
        header) if (str_eq(json_str(json_object_get(header, "name")), STR("date"))) time =
        json_object_get(json_object_get(header, "value"), "DateTime");
    bool has_time = time != NULL;
    if (has_time) {
        for (i = 0; i < ARRAY_LEN(keys); i++)
            v[i] = (int)json_integer_value(json_object_get(time, keys[i]));
        struct tm tm = {.tm_year = v[0] - 1900,
                        .tm_mon = v[1] - 1,
                        .tm_mday = v[2],
                        .tm_hour = v[3],
                        .tm_min = v[4],
                        .tm_sec = v[5]};
        out->zone_minutes = (int)json_integer_value(json_object_get(time, "tz_hour")) * 60 +
                            (int)json_integer_value(json_object_get(time, "tz_minute"));
        if (json_is_true(json_object_get(time, "tz_before_gmt")))
            out->zone_minutes = -out->zone_minutes;
        out->real_ms = ((int64_t)timegm(&tm) - out->zone_minutes * 60) * 1000;
    }
    json_decref(json);
    return has_time;
}

static bool find_date(struct str message, struct str *out_body)
{
    struct header_field field;

    while (header_next(&message, &field)) {
        *out_body = field.body;
        if (str_eq_nocase(field.name, STR("Date")))
            return true;
    }
    return false;
}

static void put_date(struct buf *out, const struct date *date)
{
    buf_printf(out, "%jd %d", (intmax_t)date->real_ms, date->zone_minutes);
}

static void check_date_answer(struct tally *tally, const char *path)
{
    struct buf message, have, want;
    struct str body;
    struct date ours, theirs;

    if (!read_date_answer(path, &theirs))
        return;
    buf_init(&message, FILE_MAX_BYTES);
    buf_init(&have, FILE_MAX_BYTES);
    buf_init(&want, FILE_MAX_BYTES);
    assert_true(read_message(path, &message));
    if (find_date(buf_str(&message), &body) && date_parse(body, &ours) == 0)
        put_date(&have, &ours);
    put_date(&want, &theirs);
    tally_compare(tally, name_of_path(path), 0, &have, &want);
    buf_done(&want);
    buf_done(&have);
    buf_done(&message);
}

static void dates_are_those_of_mail_parser(void **state)
{
    (void)state;
    struct tally tally = {.name = "mail-parser dates"};

    for_each_file("mime/mail-parser", ".eml", check_date_answer, &tally);
    tally_finish(&tally);
}

/* The date of a field that has one: the whole body, or what follows the last semicolon. */
static bool cut_date(const struct header_field *field, struct str *out_text)
{
    *out_text = field->body;
    if (str_eq_nocase(field->name, STR("Date")) || str_eq_nocase(field->name, STR("Resent-Date")))
        return true;
    ptrdiff_t semicolon = str_rfind(field->body, ';');
    if (!str_eq_nocase(field->name, STR("Received")) || semicolon < 0)
        return false;
    *out_text = str_sub(field->body, (size_t)semicolon + 1, field->body.len);
    return true;
}

/* `chosen` counts what is refused: broken dates are expected here. */
static void check_dates(struct tally *tally, const char *path)
{
    struct header_field field;
    struct buf message;
    struct date date;
    struct str text;

    buf_init(&message, FILE_MAX_BYTES);
    assert_true(read_message(path, &message));
    struct str block = buf_str(&message);
    while (header_next(&block, &field)) {
        if (!cut_date(&field, &text))
            continue;
        /* A copy of its own, so that the sanitizer sees reads past the text. */
        char *copy = str_dup(text);
        tally->total++;
        bool is_read = date_parse(str_from_mem(copy, text.len), &date) == 0;
        tally->passed += is_read;
        tally->chosen += !is_read;
        if (is_read)
            assert_in_range(date.zone_minutes + 24 * 60, 0, 48 * 60);
        else
            print_message("refused in %s: \"%s\"\n", name_of_path(path), copy);
        free(copy);
    }
    buf_done(&message);
}

static void dates_of_all_messages_are_read_or_refused(void **state)
{
    (void)state;
    struct tally tally = {.name = "dates"};

    for_each_file("", ".eml", check_dates, &tally);
    for_each_file("", ".msg", check_dates, &tally);
    print_message("of %zu dates read %zu, refused %zu\n", tally.total, tally.passed, tally.chosen);
    assert_true(tally.passed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_those_of_mail_parser),
        cmocka_unit_test(types_are_those_of_mail_parser),
        cmocka_unit_test(words_are_those_of_mail_parser),
        cmocka_unit_test(trees_are_those_of_mime4j),
        cmocka_unit_test(dates_are_those_of_mail_parser),
        cmocka_unit_test(dates_of_all_messages_are_read_or_refused),
    };
    return cmocka_run_group_tests_name("suite", tests, NULL, NULL);
}
