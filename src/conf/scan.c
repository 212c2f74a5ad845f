/* The syntax of the configuration file: see scan.h. */
#include "conf/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"

enum { SCAN_ARENA_MAX_BYTES = 1 << 23, SCAN_PATH_MAX_BYTES = 4096, SCAN_READ_BYTES = 65536 };

/* One file being read. */
struct scanner {
    struct scan *scan;
    struct report *report;
    struct cursor c;
    struct report_place place; /* its line is right up to counted_to */
    size_t counted_to;
    const char *text;
    struct str dropped; /* by the last skip_line */
    int include_depth;
};

struct block {
    struct str name;  /* "" at the top of the main file */
    struct str label; /* of this block or one around it; mostly "" */
    struct report_place opened_at;
    int depth;
    bool is_file; /* ends with the file, not with a brace */
};

static void scan_items(struct scanner *sc, struct block block);
static int include_file(struct scanner *sc, const char *path, struct block block);

static struct report_place here(struct scanner *sc)
{
    size_t offset = cursor_offset(&sc->c);

    for (; sc->counted_to < offset; sc->counted_to++) {
        if (sc->text[sc->counted_to] == '\n')
            sc->place.line++;
    }
    return sc->place;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_not_newline(char c)
{
    return c != '\n';
}

static bool is_name_char(char c)
{
    return ascii_is_alnum(c) || c == '_' || c == '-' || c == '.';
}

static bool is_word_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7F && strchr(";,{}[]\"#", c) == NULL;
}

static void skip_line(struct scanner *sc)
{
    sc->dropped = cursor_take_while(&sc->c, is_not_newline);
}

/* Takes a comment between slash-star and star-slash; they nest. */
static bool skip_long_comment(struct scanner *sc)
{
    struct report_place start = here(sc);
    int depth = 0;

    if (!str_has_prefix(cursor_rest(&sc->c), STR("/*")))
        return false;
    do {
        if (cursor_take_if_nocase(&sc->c, STR("/*"))) {
            depth++;
        } else if (cursor_take_if_nocase(&sc->c, STR("*/"))) {
            depth--;
        } else if (cursor_peek(&sc->c) < 0) {
            report_add(sc->report, start, "this comment is not closed; end it with \"*/\"");
            return true;
        } else {
            (void)cursor_next(&sc->c);
        }
    } while (depth > 0);
    return true;
}

/* Blanks and long comments, not past the end of the line unless a comment goes there. */
static void skip_blanks(struct scanner *sc)
{
    do
        (void)cursor_take_while(&sc->c, is_blank);
    while (skip_long_comment(sc));
}

/* All that means nothing, over lines. */
static void skip_space(struct scanner *sc)
{
    for (;;) {
        skip_blanks(sc);
        if (cursor_peek(&sc->c) == '#')
            skip_line(sc);
        if (!cursor_take_if(&sc->c, '\n'))
            return;
    }
}

static void skip_space_and_separators(struct scanner *sc)
{
    do
        skip_space(sc);
    while (cursor_take_if(&sc->c, ';') || cursor_take_if(&sc->c, ','));
}

/* Reports what comes next as a surprise and drops the rest of the line. */
static void fail_unexpected(struct scanner *sc, const char *where, const char *advice)
{
    struct report_place place = here(sc);
    struct cursor ahead = sc->c;
    struct str word = cursor_take_while(&ahead, is_word_char);
    struct buf shown;

    buf_init(&shown, REPORT_LINE_MAX_BYTES);
    if (cursor_peek(&sc->c) < 0 || cursor_peek(&sc->c) == '\n')
        buf_put_c(&shown, "end of the line");
    else
        report_put_quoted(&shown, word.len > 0 ? word : str_sub(cursor_rest(&sc->c), 0, 1));
    report_add(sc->report, place, "unexpected %s %s; %s", buf_c_str(&shown), where, advice);
    buf_done(&shown);
    skip_line(sc);
}

static bool is_at_end_of_value(const struct scanner *sc)
{
    int c = cursor_peek(&sc->c);

    return c < 0 || c == '\n' || c == '#' || c == ';' || c == ',' || c == '}';
}

static void expect_end_of_value(struct scanner *sc)
{
    skip_blanks(sc);
    if (!is_at_end_of_value(sc))
        fail_unexpected(sc, "after the value",
                        "end a value with \";\" or the line, and put double quotes around one that "
                        "contains spaces or any of [ ] { } , ; #");
}

static void put_utf8(struct buf *out, unsigned code)
{
    if (code < 0x80) {
        buf_put_u8(out, (uint8_t)code);
        return;
    }
    if (code < 0x800) {
        buf_put_u8(out, (uint8_t)(0xC0 | code >> 6));
    } else {
        buf_put_u8(out, (uint8_t)(0xE0 | code >> 12));
        buf_put_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3F)));
    }
    buf_put_u8(out, (uint8_t)(0x80 | (code & 0x3F)));
}

/* The four digits after \u; characters above U+FFFF are written as themselves. */
static bool take_unicode(struct scanner *sc, struct buf *out)
{
    unsigned code = 0;

    for (int i = 0; i < 4; i++) {
        int value = cursor_peek(&sc->c) < 0 ? -1 : ascii_hex_value((char)cursor_peek(&sc->c));
        if (value < 0)
            return false;
        code = code << 4 | (unsigned)value;
        (void)cursor_next(&sc->c);
    }
    bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code == 0 || is_surrogate)
        return false;
    put_utf8(out, code);
    return true;
}

static bool take_escape(struct scanner *sc, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";

    if (cursor_take_if(&sc->c, 'u'))
        return take_unicode(sc, out);
    if (cursor_peek(&sc->c) < 0)
        return false;
    ptrdiff_t index = str_find(STR(from), (char)cursor_peek(&sc->c));
    if (index < 0)
        return false;
    (void)cursor_next(&sc->c);
    buf_put_char(out, to[index]);
    return true;
}

static bool is_plain_string_char(char c)
{
    return c != '"' && c != '\\' && c != '\n';
}

/* After the opening quote. False: reported, and the line is dropped. */
static bool take_string_tail(struct scanner *sc, struct buf *out)
{
    for (;;) {
        buf_put_str(out, cursor_take_while(&sc->c, is_plain_string_char));
        if (cursor_take_if(&sc->c, '"'))
            return true;
        if (cursor_take_if(&sc->c, '\\')) {
            if (take_escape(sc, out))
                continue;
            report_add(sc->report, here(sc),
                       "a backslash in double quotes must begin one of \\\" \\\\ \\/ \\b \\f \\n "
                       "\\r \\t \\uXXXX; write \\\\ for a backslash");
        } else {
            report_add(sc->report, here(sc),
                       "this string has no closing quote; end it with \" on the same line");
        }
        skip_line(sc);
        return false;
    }
}

static bool take_string(struct scanner *sc, struct str *out)
{
    struct buf text;

    buf_init(&text, SCAN_MAX_BYTES);
    (void)cursor_take_if(&sc->c, '"');
    bool is_whole = take_string_tail(sc, &text);
    if (is_whole)
        *out = arena_str(&sc->scan->arena, buf_str(&text));
    buf_done(&text);
    return is_whole;
}

/* A bare word or a string; false when it is neither (with the advice) or a broken string. */
static bool take_text(struct scanner *sc, const char *where, const char *advice, struct str *out)
{
    if (cursor_peek(&sc->c) == '"')
        return take_string(sc, out);
    struct str word = cursor_take_while(&sc->c, is_word_char);
    if (word.len == 0) {
        fail_unexpected(sc, where, advice);
        return false;
    }
    if (str_has_prefix(word, STR("<<"))) {
        report_add(sc->report, here(sc),
                   "values over several lines are not possible; write one "
                   "line in double quotes");
        skip_line(sc);
        return false;
    }
    *out = arena_str(&sc->scan->arena, word);
    return true;
}

static void add_value(struct scanner *sc, struct str text, struct report_place place)
{
    struct scan *s = sc->scan;

    if (s->value_count == SCAN_MAX_VALUES) {
        report_add(sc->report, place, "there are more than %d values; remove some",
                   SCAN_MAX_VALUES);
        cursor_fail(&sc->c);
        return;
    }
    s->values[s->value_count++] = (struct scan_value){.text = text, .place = place};
}

/* One value and the comma after it. False: reported, and the rest of the line is dropped. */
static bool take_list_value(struct scanner *sc)
{
    struct report_place place = here(sc);
    struct str text;

    if (!take_text(sc, "in a list", "put double quotes around an address such as \"[::1]:25\"",
                   &text))
        return false;
    add_value(sc, text, place);
    skip_space(sc);
    int next = cursor_peek(&sc->c);
    if (next < 0 || next == ']' || next == '}')
        return true;
    if (cursor_take_if(&sc->c, ',') || cursor_take_if(&sc->c, ';'))
        return true;
    fail_unexpected(sc, "in a list", "put \",\" between its values and \"]\" at its end");
    return false;
}

/* After the opening bracket. False: reported. */
static bool take_list(struct scanner *sc, struct report_place start)
{
    bool is_good = true;

    for (;;) {
        skip_space(sc);
        if (cursor_take_if(&sc->c, ']'))
            return is_good;
        if (cursor_peek(&sc->c) < 0 || cursor_peek(&sc->c) == '}')
            break;
        if (take_list_value(sc))
            continue;
        is_good = false;
        /* Most lists end on the line where they begin: then what follows is no longer the list. */
        if (str_find(sc->dropped, ']') >= 0)
            return false;
    }
    report_add(sc->report, start, "this list is not closed; put \"]\" after its last value");
    return false;
}

/* The entry for the values from `first_value` on. */
static void add_entry(struct scanner *sc, struct scan_entry entry)
{
    struct scan *s = sc->scan;

    entry.value_count = s->value_count - entry.first_value;
    if (s->entry_count == SCAN_MAX_ENTRIES) {
        report_add(sc->report, entry.place, "there are more than %d settings; remove some",
                   SCAN_MAX_ENTRIES);
        cursor_fail(&sc->c);
        return;
    }
    s->entries[s->entry_count++] = entry;
}

/* After the opening brace. */
static void scan_section(struct scanner *sc, struct scan_entry entry, int depth)
{
    entry.kind = SCAN_SECTION;
    add_entry(sc, entry);
    if (depth > SCAN_MAX_SECTION_DEPTH) {
        report_add(sc->report, entry.place, "sections are more than %d deep; close some with \"}\"",
                   SCAN_MAX_SECTION_DEPTH);
        cursor_fail(&sc->c);
        return;
    }
    scan_items(sc, (struct block){.name = entry.name,
                                  .label = entry.label,
                                  .opened_at = entry.place,
                                  .depth = depth});
}

/* False: reported. */
static bool join_name(struct scanner *sc, struct str outer, struct str inner, struct str *out)
{
    struct arena *arena = &sc->scan->arena;

    if (inner.len == 0 || outer.len + 1 + inner.len > SCAN_MAX_NAME_CHARS) {
        report_add(sc->report, here(sc), "this name is %s; correct it",
                   inner.len == 0 ? "empty" : "too long");
        return false;
    }
    *out = inner;
    if (outer.len > 0)
        *out = str_from_c(arena_printf(arena, "%.*s.%.*s", STR_ARG(outer), STR_ARG(inner)));
    return true;
}

/* Takes the brace that opens a section, also from one of the next lines. */
static bool take_opening(struct scanner *sc)
{
    struct scanner before = *sc;

    skip_space(sc);
    if (cursor_take_if(&sc->c, '{'))
        return true;
    *sc = before;
    return false;
}

/* A value in the form of a bare word or string; with a brace after it, it is a section's label. */
static void scan_scalar(struct scanner *sc, struct scan_entry entry, bool has_equals, int depth)
{
    struct str text;

    if (!take_text(sc, "where a value should be", "write NAME = VALUE", &text))
        return;
    skip_blanks(sc);
    bool may_open = cursor_peek(&sc->c) == '{' || cursor_peek(&sc->c) == '\n';
    if (!has_equals && may_open && take_opening(sc)) {
        entry.label = text;
        scan_section(sc, entry, depth);
        return;
    }
    add_value(sc, text, entry.place);
    add_entry(sc, entry);
    expect_end_of_value(sc);
}

/* After the name and the equals sign, if there is one. */
static void scan_value(struct scanner *sc, struct scan_entry entry, bool has_equals, int depth)
{
    if (has_equals ? cursor_take_if(&sc->c, '{') : take_opening(sc)) {
        scan_section(sc, entry, depth);
        return;
    }
    if (is_at_end_of_value(sc)) {
        report_add(sc->report, entry.place, "\"%.*s\" has no value; write it on the same line",
                   STR_ARG(entry.name));
        return;
    }
    if (!cursor_take_if(&sc->c, '[')) {
        scan_scalar(sc, entry, has_equals, depth);
        return;
    }
    entry.kind = SCAN_LIST;
    if (!take_list(sc, entry.place))
        return;
    add_entry(sc, entry);
    expect_end_of_value(sc);
}

static void scan_item(struct scanner *sc, struct block block)
{
    struct scan_entry entry = {.kind = SCAN_SCALAR,
                               .label = block.label,
                               .place = here(sc),
                               .first_value = sc->scan->value_count};
    struct str name;

    if (cursor_peek(&sc->c) == '"') {
        if (!take_string(sc, &name))
            return;
    } else {
        name = cursor_take_while(&sc->c, is_name_char);
        if (name.len == 0) {
            fail_unexpected(sc, "where a name should be", "write NAME = VALUE or NAME { ... }");
            return;
        }
        name = arena_str(&sc->scan->arena, name);
    }
    if (!join_name(sc, block.name, name, &entry.name)) {
        skip_line(sc);
        return;
    }
    skip_blanks(sc);
    bool has_equals = cursor_take_if(&sc->c, '=') || cursor_take_if(&sc->c, ':');
    if (has_equals)
        skip_blanks(sc);
    scan_value(sc, entry, has_equals, block.depth + 1);
}

/* The path as seen from the file that includes it. */
static const char *resolve_path(struct scanner *sc, struct str path)
{
    struct str own = str_from_c(sc->place.file);
    ptrdiff_t slash = str_rfind(own, '/');

    if (str_has_prefix(path, STR("/")) || slash < 0)
        return arena_printf(&sc->scan->arena, "%.*s", STR_ARG(path));
    return arena_printf(&sc->scan->arena, "%.*s/%.*s", STR_ARG(str_sub(own, 0, (size_t)slash)),
                        STR_ARG(path));
}

/* Reads the file of an .include; `is_optional`: only if it is there. */
static void include_path(struct scanner *sc, struct str path, bool is_optional, struct block block)
{
    struct report_place place = here(sc);

    if (sc->include_depth >= SCAN_MAX_INCLUDE_DEPTH) {
        report_add(sc->report, place,
                   "files are included more than %d deep; does one include itself?",
                   SCAN_MAX_INCLUDE_DEPTH);
        return;
    }
    bool is_possible =
        path.len > 0 && path.len < SCAN_PATH_MAX_BYTES && memchr(path.ptr, 0, path.len) == NULL;
    block.is_file = true;
    int rc = is_possible ? include_file(sc, resolve_path(sc, path), block) : -EINVAL;
    bool is_missing = rc == -ENOENT || rc == -ENOTDIR;
    if (rc < 0 && !(is_optional && is_missing)) {
        struct buf shown;
        buf_init(&shown, REPORT_LINE_MAX_BYTES);
        report_put_quoted(&shown, path);
        report_add(sc->report, place,
                   "%s cannot be read: %s; correct the path, the rights of the file or this line",
                   buf_c_str(&shown), strerror(-rc));
        buf_done(&shown);
    }
}

static void scan_include(struct scanner *sc, struct block block)
{
    struct str path;

    if (!cursor_take_if_nocase(&sc->c, STR(".include"))) {
        fail_unexpected(sc, "where a name should be",
                        "the only line that may begin with a dot is .include \"FILE\"");
        return;
    }
    bool is_optional = cursor_take_if_nocase(&sc->c, STR("(try=true)"));
    skip_blanks(sc);
    if (cursor_peek(&sc->c) != '"') {
        fail_unexpected(sc, "after .include",
                        "write .include \"FILE\", or .include(try=true) \"FILE\" for one that may "
                        "be missing");
        return;
    }
    if (!take_string(sc, &path))
        return;
    include_path(sc, path, is_optional, block);
    expect_end_of_value(sc);
}

/* Until the closing brace, or the end of the file. */
static void scan_items(struct scanner *sc, struct block block)
{
    for (;;) {
        skip_space_and_separators(sc);
        int next = cursor_peek(&sc->c);
        if (next < 0)
            break;
        if (next == '}' && block.is_file) {
            fail_unexpected(sc, "without a \"{\" before it", "remove it");
        } else if (next == '}') {
            (void)cursor_next(&sc->c);
            return;
        } else if (next == '.') {
            scan_include(sc, block);
        } else {
            scan_item(sc, block);
        }
    }
    if (!block.is_file && cursor_status(&sc->c) == 0)
        report_add(sc->report, block.opened_at,
                   "section \"%.*s\" is not closed; put \"}\" after its last setting",
                   STR_ARG(block.name));
}

static int read_file(const char *path, size_t max_bytes, struct buf *out)
{
    struct stat st;
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    buf_init(out, max_bytes + SCAN_READ_BYTES);
    for (;;) {
        char *room = buf_reserve(out, SCAN_READ_BYTES);
        if (room == NULL)
            return -EFBIG;
        ssize_t got = read(fd, room, SCAN_READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        buf_commit(out, (size_t)got);
    }
}

static void scan_bytes(struct scanner *sc, struct str text, struct block block)
{
    sc->c = cursor_from(text);
    sc->text = text.ptr;
    sc->counted_to = 0;
    sc->place.line = 1;
    sc->place.file_order = (int)sc->scan->file_count;
    sc->scan->file_count++;
    sc->scan->total_bytes += text.len;
    (void)cursor_take_if_nocase(&sc->c, STR("\xEF\xBB\xBF"));
    scan_items(sc, block);
}

static int include_file(struct scanner *sc, const char *path, struct block block)
{
    struct scanner inner = {.scan = sc->scan,
                            .report = sc->report,
                            .place.file = path,
                            .include_depth = sc->include_depth + 1};
    struct buf text = {0};

    if (sc->scan->file_count >= SCAN_MAX_FILES)
        return -EMFILE;
    int rc = read_file(path, SCAN_MAX_BYTES - sc->scan->total_bytes, &text);
    if (rc == 0)
        scan_bytes(&inner, buf_str(&text), block);
    buf_done(&text);
    return rc;
}

void scan_init(struct scan *s)
{
    *s = (struct scan){.entries = xcalloc(SCAN_MAX_ENTRIES, sizeof(struct scan_entry)),
                       .values = xcalloc(SCAN_MAX_VALUES, sizeof(struct scan_value))};
    arena_init(&s->arena, SCAN_ARENA_MAX_BYTES);
}

void scan_done(struct scan *s)
{
    free(s->entries);
    free(s->values);
    arena_done(&s->arena);
    *s = (struct scan){0};
}

int scan_file(struct scan *s, const char *path, struct report *report)
{
    struct scanner outer = {.scan = s, .report = report, .include_depth = -1};
    const char *own_path = arena_str(&s->arena, str_from_c(path)).ptr;
    int rc = include_file(&outer, own_path, (struct block){.is_file = true});

    if (rc < 0)
        report_add(report, (struct report_place){.file = own_path},
                   "cannot read this file: %s; name the right one with -c FILE, or make one with "
                   "\"hikyaku init\"",
                   strerror(-rc));
    return rc;
}

void scan_text(struct scan *s, const char *path, struct str text, struct report *report)
{
    struct scanner sc = {
        .scan = s, .report = report, .place.file = arena_str(&s->arena, str_from_c(path)).ptr};

    scan_bytes(&sc, text, (struct block){.is_file = true});
}
