/*
 * Documents made from the table of settings: the help text, the manual page, the sample file, and
 * the values in force.
 */
#include <string.h>

#include "conf/settings.h"
#include "conf/settings_table.h"
#include "conf/value.h"

enum { DOC_COLUMNS = 80, DOC_INDENT = 4 };

/* Shown in the sample where the file must say something. */
#define SAMPLE_HOSTNAME "mx.example.org"
#define MAN_DATE        "November 24, 2026"
#define SHIPPED_FILE    CONF_SHARE_DIR "/destinations.conf"

/* A field at its default, as the file would have it. */
static void put_default(const struct setting *row, const void *defaults, struct buf *out)
{
    if (row->text_default == NULL)
        buf_put_c(out, "none, it must be set");
    else
        setting_format(row, defaults, out);
}

/* Words of `text` in lines that begin with `lead`. */
static void put_wrapped(const char *lead, struct str text, struct buf *out)
{
    size_t column = 0;

    while (text.len > 0) {
        struct str word;
        (void)str_cut(text, ' ', &word, &text);
        if (column > 0 && column + 1 + word.len > DOC_COLUMNS) {
            buf_put_char(out, '\n');
            column = 0;
        }
        buf_put_c(out, column == 0 ? lead : " ");
        buf_put_str(out, word);
        column += word.len + (column == 0 ? strlen(lead) : 1);
    }
    buf_put_char(out, '\n');
}

static bool is_in(const struct setting *row, const struct setting_section *section)
{
    return str_eq_c(setting_section_name(row), section->name);
}

/* Sections and their rows: `begin` and `end` once for each section, `each` for each of its rows. Of
 * a kind of labelled section `begin_kind`, `each_of_kind` and `end_kind`, if they are not NULL. */
struct walk {
    void (*begin)(const struct setting_section *section, struct buf *out);
    void (*each)(const struct setting *row, const void *s, const void *defaults, struct buf *out);
    void (*end)(struct buf *out);
    void (*begin_kind)(const struct setting_kind *kind, struct buf *out);
    void (*each_of_kind)(const struct setting *row, const void *s, const void *defaults,
                         struct buf *out);
    void (*end_kind)(struct buf *out);
};

static void walk_kinds(const struct walk *walk, struct settings *defaults, struct buf *out)
{
    size_t count;
    const struct setting_kind *kinds = setting_kinds(&count);

    for (size_t i = 0; i < count; i++) {
        const void *object = setting_object_add(&kinds[i], defaults);
        walk->begin_kind(&kinds[i], out);
        for (size_t j = 0; j < kinds[i].row_count; j++)
            walk->each_of_kind(&kinds[i].rows[j], NULL, object, out);
        walk->end_kind(out);
    }
}

static void walk_table(const struct walk *walk, const struct settings *s, struct buf *out)
{
    size_t section_count, row_count;
    const struct setting_section *sections = setting_sections(&section_count);
    const struct setting *table = setting_table(&row_count);
    struct settings *defaults = settings_defaults();

    for (size_t i = 0; i < section_count; i++) {
        walk->begin(&sections[i], out);
        for (size_t j = 0; j < row_count; j++) {
            if (is_in(&table[j], &sections[i]))
                walk->each(&table[j], s, defaults, out);
        }
        walk->end(out);
    }
    if (walk->begin_kind != NULL)
        walk_kinds(walk, defaults, out);
    settings_free(defaults);
}

/* "Value: a size from 64K to 1G. Default: 50M." */
static void put_facts(const char *lead, const struct setting *row, const void *defaults,
                      struct buf *out)
{
    struct buf text;

    buf_init(&text, SETTINGS_DOC_MAX_BYTES);
    buf_put_c(&text, "Value: ");
    setting_describe(row, &text);
    buf_put_c(&text, ". Default: ");
    put_default(row, defaults, &text);
    buf_put_char(&text, '.');
    put_wrapped(lead, buf_str(&text), out);
    buf_done(&text);
}

/* --- help --- */

static void begin_help(const struct setting_section *section, struct buf *out)
{
    buf_printf(out, "\n%s: %s\n", section->name, section->help);
}

static void put_help(const struct setting *row, const void *s, const void *defaults,
                     struct buf *out)
{
    (void)s;
    buf_printf(out, "\n  %s\n", row->name);
    put_wrapped("      ", str_from_c(row->help), out);
    put_facts("      ", row, defaults, out);
}

static void end_nothing(struct buf *out)
{
    (void)out;
}

static void begin_kind_help(const struct setting_kind *kind, struct buf *out)
{
    buf_printf(out, "\n%s \"NAME\", which may be there many times:\n", kind->name);
    put_wrapped("  ", str_from_c(kind->help), out);
}

void settings_print_help(struct buf *out)
{
    static const struct walk walk = {.begin = begin_help,
                                     .each = put_help,
                                     .end = end_nothing,
                                     .begin_kind = begin_kind_help,
                                     .each_of_kind = put_help,
                                     .end_kind = end_nothing};

    buf_put_c(out,
              "Settings of hikyaku.conf. \"smtp.max_errors\" means: max_errors in the section\n"
              "smtp { ... }. Sizes take K, M, G or T (1K is 1024 bytes); durations need one of\n"
              "ms, s, min, h, d. The manual page hikyaku.conf(5) has the syntax.\n");
    walk_table(&walk, NULL, out);
}

/* --- manual page --- */

/* One sentence a line, as mdoc wants it; nothing that the text contains is taken for markup. */
static void put_mdoc(struct str text, struct buf *out)
{
    bool is_line_start = true;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool ends_sentence = i > 0 && c == ' ' && text.ptr[i - 1] == '.';
        if (is_line_start && (c == '.' || c == '\''))
            buf_put_c(out, "\\&");
        if (c == '\\')
            buf_put_c(out, "\\e");
        else if (c == '"')
            buf_put_c(out, "\\(dq");
        else if (c == '-')
            buf_put_c(out, "\\-");
        else
            buf_put_char(out, ends_sentence ? '\n' : c);
        is_line_start = ends_sentence;
    }
    buf_put_char(out, '\n');
}

static void begin_man(const struct setting_section *section, struct buf *out)
{
    buf_printf(out, ".Ss %s\n", section->name);
    put_mdoc(str_from_c(section->help), out);
    buf_put_c(out, ".Bl -tag -width Ds\n");
}

static void put_man(const struct setting *row, const void *s, const void *defaults, struct buf *out)
{
    struct buf text;

    (void)s;
    buf_init(&text, SETTINGS_DOC_MAX_BYTES);
    buf_printf(out, ".It Ic %s\n", row->name);
    put_mdoc(str_from_c(row->help), out);
    buf_put_c(out, ".br\n");
    buf_put_c(&text, "Value: ");
    setting_describe(row, &text);
    buf_put_c(&text, ". Default: ");
    put_default(row, defaults, &text);
    buf_put_char(&text, '.');
    put_mdoc(buf_str(&text), out);
    buf_done(&text);
}

static void end_man(struct buf *out)
{
    buf_put_c(out, ".El\n");
}

static void begin_kind_man(const struct setting_kind *kind, struct buf *out)
{
    buf_printf(out, ".Ss %s \\(dqNAME\\(dq\n", kind->name);
    put_mdoc(str_from_c(kind->help), out);
    buf_put_c(out, ".Bl -tag -width Ds\n");
}

static const char man_head[] =
    ".Dd " MAN_DATE "\n"
    ".Dt HIKYAKU.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm hikyaku.conf\n"
    ".Nd settings of the Hikyaku mail server\n"
    ".Sh DESCRIPTION\n"
    "The file holds what belongs to the machine.\n"
    "What changes daily, such as domains, accounts and aliases, is changed by command, see\n"
    ".Xr hikyaku 1 .\n"
    ".Pp\n"
    "The syntax is a part of UCL, the language like that of nginx which rspamd reads:\n"
    ".Bd -literal -offset indent\n"
    "# a comment\n"
    "server {\n"
    "    hostname = mx.example.org\n"
    "}\n"
    "smtp {\n"
    "    max_message_size = 50M;        /* another comment */\n"
    "    relay_networks = [ 192.0.2.0/24, \"2001:db8::/32\" ]\n"
    "}\n"
    "route \"campus\" {\n"
    "    to = [ campus.example, \"*.campus.example\" ]\n"
    "    via = hosts\n"
    "    hosts = [ \"mail.campus.example weight=3\", \"192.0.2.7:2525 backup\" ]\n"
    "}\n"
    "\\&.include \"more.conf\"\n"
    ".Ed\n"
    ".Pp\n"
    "A setting ends with its line, a semicolon or a comma.\n"
    "A value that contains spaces, brackets, braces, a comma, a semicolon or a number sign needs\n"
    "double quotes, in which the escapes are those of JSON.\n"
    "A section may be given in several places; a setting that is given twice is an error, and so "
    "is\n"
    "a name that is not listed here.\n"
    "Sections with a name of their own, such as the route above, may be many; their order counts.\n"
    "Such a name has 1 to 64 letters, digits, dots, hyphens and underscores.\n"
    "There are no variables, no strings of several lines and no macros but .include.\n"
    "Relative paths of included files begin at the file that includes them.\n"
    "With .include(try=true) it is no error if there is no such file.\n"
    ".Pp\n"
    "Sizes are in bytes or have one of the suffixes K, M, G and T, where 1K is 1024 bytes and 1M "
    "is\n"
    "1024K.\n"
    "In this they differ from other programs that read UCL, for which 1M would be a million.\n"
    "Durations need one of the units ms, s, min, h and d.\n"
    ".Sh SETTINGS\n";

static const char man_tail[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa /etc/hikyaku/hikyaku.conf\n"
    "The file that is read unless another is named with\n"
    ".Fl c .\n"
    ".It Pa " SHIPPED_FILE "\n"
    "Careful limits for large providers, to be included.\n"
    ".El\n"
    ".Sh EXAMPLES\n"
    "The smallest file there can be:\n"
    ".Bd -literal -offset indent\n"
    "server { hostname = " SAMPLE_HOSTNAME " }\n"
    ".Ed\n"
    ".Sh DIAGNOSTICS\n"
    "Each mistake is one line with the file, the line, what is wrong and what to do.\n"
    ".Sh SEE ALSO\n"
    ".Xr hikyaku 1\n";

void settings_print_man(struct buf *out)
{
    static const struct walk walk = {.begin = begin_man,
                                     .each = put_man,
                                     .end = end_man,
                                     .begin_kind = begin_kind_man,
                                     .each_of_kind = put_man,
                                     .end_kind = end_man};

    buf_put_c(out, man_head);
    walk_table(&walk, NULL, out);
    buf_put_c(out, man_tail);
}

/* --- sample --- */

static void begin_sample(const struct setting_section *section, struct buf *out)
{
    buf_printf(out, "\n# %s\n%s {", section->help, section->name);
}

static void put_sample(const struct setting *row, const void *s, const void *defaults,
                       struct buf *out)
{
    (void)s;
    buf_put_char(out, '\n');
    put_wrapped("    # ", str_from_c(row->help), out);
    put_facts("    # ", row, defaults, out);
    if (row->text_default == NULL) {
        buf_printf(out, "    %s = " SAMPLE_HOSTNAME "\n", setting_leaf_name(row));
        return;
    }
    buf_printf(out, "    #%s = ", setting_leaf_name(row));
    setting_format(row, defaults, out);
    buf_put_char(out, '\n');
}

static void end_block(struct buf *out)
{
    buf_put_c(out, "}\n");
}

static void begin_kind_sample(const struct setting_kind *kind, struct buf *out)
{
    buf_put_char(out, '\n');
    put_wrapped("# ", str_from_c(kind->help), out);
    buf_printf(out, "#%s \"NAME\" {\n", kind->name);
}

static void put_kind_sample(const struct setting *row, const void *s, const void *defaults,
                            struct buf *out)
{
    (void)s;
    put_wrapped("#    # ", str_from_c(row->help), out);
    put_facts("#    # ", row, defaults, out);
    buf_printf(out, "#    %s = ", setting_leaf_name(row));
    setting_format(row, defaults, out);
    buf_put_char(out, '\n');
}

static void end_kind_sample(struct buf *out)
{
    buf_put_c(out, "#}\n");
}

void settings_print_include(struct buf *out)
{
    buf_put_c(out, "# Careful limits for large providers. The first section that fits counts: put\n"
                   "# your own before this line.\n"
                   ".include(try=true) \"" SHIPPED_FILE "\"\n");
}

void settings_print_sample(struct buf *out)
{
    static const struct walk walk = {.begin = begin_sample,
                                     .each = put_sample,
                                     .end = end_block,
                                     .begin_kind = begin_kind_sample,
                                     .each_of_kind = put_kind_sample,
                                     .end_kind = end_kind_sample};

    buf_put_c(out,
              "# Settings of the Hikyaku mail server; see hikyaku.conf(5).\n"
              "#\n"
              "# A line such as \"#node = 0\" shows a default: to change it, remove the # and\n"
              "# change the value. Sizes take K, M, G or T (1K is 1024 bytes); durations need\n"
              "# one of ms, s, min, h, d.\n");
    walk_table(&walk, NULL, out);
    buf_put_char(out, '\n');
    settings_print_include(out);
}

/* --- values in force --- */

static void begin_values(const struct setting_section *section, struct buf *out)
{
    buf_printf(out, "%s {\n", section->name);
}

static void put_value(const struct setting *row, const void *s, const void *defaults,
                      struct buf *out)
{
    buf_printf(out, "%*s%s = ", DOC_INDENT, "", setting_leaf_name(row));
    setting_format(row, s, out);
    if (!setting_is_equal(row, s, defaults)) {
        buf_put_c(out, "  # changed, default: ");
        put_default(row, defaults, out);
    }
    buf_put_char(out, '\n');
}

/* Only what is not at its default: of many sections the rest would hide it. */
static void put_object(const struct setting_kind *kind, const void *object, const void *defaults,
                       struct buf *out)
{
    buf_printf(out, "%s ", kind->name);
    value_format_quoted(str_from_c(setting_string(kind->label, object)), out);
    buf_put_c(out, " {\n");
    for (size_t i = 0; i < kind->row_count; i++) {
        const struct setting *row = &kind->rows[i];
        if (setting_is_equal(row, object, defaults))
            continue;
        buf_printf(out, "%*s%s = ", DOC_INDENT, "", setting_leaf_name(row));
        setting_format(row, object, out);
        buf_put_char(out, '\n');
    }
    buf_put_c(out, "}\n");
}

void settings_print(const struct settings *s, struct buf *out)
{
    static const struct walk walk = {.begin = begin_values, .each = put_value, .end = end_block};
    size_t count;
    const struct setting_kind *kinds = setting_kinds(&count);
    struct settings *defaults = settings_defaults();

    walk_table(&walk, s, out);
    for (size_t i = 0; i < count; i++) {
        const void *object = setting_object_add(&kinds[i], defaults);
        for (size_t j = 0; j < setting_object_count(&kinds[i], s); j++)
            put_object(&kinds[i], setting_object(&kinds[i], s, j), object, out);
    }
    settings_free(defaults);
}

/* Numbers are bytes and milliseconds here; enums are their names, lists are arrays. */
static void put_json_value(const struct setting *row, const void *s, struct buf *out)
{
    if (row->type == SETTING_BOOL) {
        buf_put_c(out, setting_number(row, s) != 0 ? "true" : "false");
        return;
    }
    if (row->type == SETTING_ENUM) {
        value_format_quoted(str_from_c(row->choices[setting_number(row, s)]), out);
        return;
    }
    if (setting_is_number(row)) {
        buf_printf(out, "%lld", (long long)setting_number(row, s));
        return;
    }
    if (row->type == SETTING_STRING) {
        value_format_quoted(str_from_c(setting_string(row, s)), out);
        return;
    }
    const struct settings_list *list = setting_list(row, s);
    buf_put_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_put_c(out, i > 0 ? ", " : "");
        value_format_quoted(str_from_c(list->items[i]), out);
    }
    buf_put_char(out, ']');
}

static void put_json_object(const struct setting_kind *kind, const void *object, struct buf *out)
{
    buf_put_c(out, "{\"name\": ");
    put_json_value(kind->label, object, out);
    for (size_t i = 0; i < kind->row_count; i++) {
        buf_printf(out, ", \"%s\": ", setting_leaf_name(&kind->rows[i]));
        put_json_value(&kind->rows[i], object, out);
    }
    buf_put_char(out, '}');
}

static void put_json_kind(const struct setting_kind *kind, const struct settings *s,
                          struct buf *out)
{
    size_t count = setting_object_count(kind, s);

    buf_printf(out, "  \"%s\": [", kind->plural);
    for (size_t i = 0; i < count; i++) {
        buf_put_c(out, i > 0 ? ",\n    " : "\n    ");
        put_json_object(kind, setting_object(kind, s, i), out);
    }
    buf_put_c(out, count > 0 ? "\n  ]" : "]");
}

void settings_print_json(const struct settings *s, struct buf *out)
{
    size_t count, kind_count;
    const struct setting *table = setting_table(&count);
    const struct setting_kind *kinds = setting_kinds(&kind_count);

    buf_put_c(out, "{\n");
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "  \"%s\": ", table[i].name);
        put_json_value(&table[i], s, out);
        buf_put_c(out, ",\n");
    }
    for (size_t i = 0; i < kind_count; i++) {
        put_json_kind(&kinds[i], s, out);
        buf_put_c(out, i + 1 < kind_count ? ",\n" : "\n");
    }
    buf_put_c(out, "}\n");
}
