/*
 * From the entries of the file to struct settings: finds the row of each, checks, sets; then what
 * must be there and what cannot go together. It goes on after a mistake, to report all at once.
 * Entries of a labelled section follow it at once, so one object is open at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/report.h"
#include "conf/scan.h"
#include "conf/settings.h"
#include "conf/settings_table.h"
#include "conf/suggest.h"

enum { SUGGEST_MAX_EDITS = 3, CHARS_PER_EDIT = 4, WHY_MAX_BYTES = 1024 };

_Static_assert((int)SETTINGS_MAX_ERRORS == (int)REPORT_MAX_ERRORS, "settings.h tells the limit");

struct seen {
    bool is_set;
    bool is_bad;
    struct report_place place;
};

struct loader {
    struct settings *settings;
    struct scan scan;
    struct report report;
    struct seen seen[SETTING_MAX_ROWS];
    struct str skipped; /* an unknown section: what is in it was reported with it */
    /* The labelled section that is being read; object is NULL where there is none. */
    const struct setting_kind *kind;
    void *object;
    struct str label;
    struct report_place object_place;
    struct seen object_seen[SETTING_KIND_MAX_ROWS];
};

static bool is_section(struct str name)
{
    size_t count;
    const struct setting_section *sections = setting_sections(&count);

    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(name, sections[i].name))
            return true;
    }
    return false;
}

static int edits_allowed(struct str word)
{
    return (int)MAX((size_t)1, MIN(word.len / CHARS_PER_EDIT, (size_t)SUGGEST_MAX_EDITS));
}

/* The setting that has the same last part, if it only stands in the wrong section. */
static const char *find_same_leaf(struct str name)
{
    size_t count;
    const struct setting *table = setting_table(&count);
    struct str leaf = str_sub(name, (size_t)(str_rfind(name, '.') + 1), name.len);

    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(leaf, setting_leaf_name(&table[i])))
            return table[i].name;
    }
    return NULL;
}

static const char *suggest_in_kind(const struct setting_kind *kind, struct str name)
{
    const char *names[SETTING_KIND_MAX_ROWS];

    for (size_t i = 0; i < kind->row_count; i++)
        names[i] = kind->rows[i].name;
    return suggest_nearest(name, names, kind->row_count, edits_allowed(name));
}

/* The kind of labelled section that "route.via" belongs to, or NULL. */
static const struct setting_kind *kind_of(struct str name)
{
    struct str section, leaf;

    (void)str_cut(name, '.', &section, &leaf);
    return setting_kind_find(section);
}

static const char *suggest_setting(struct str name)
{
    const char *names[SETTING_MAX_ROWS];
    const struct setting_kind *kind = kind_of(name);
    const char *found = find_same_leaf(name);

    if (kind != NULL)
        return suggest_in_kind(kind, name);
    for (size_t i = 0; i < settings_count(); i++)
        names[i] = settings_name(i);
    if (found != NULL)
        return found;
    return suggest_nearest(name, names, settings_count(), edits_allowed(name));
}

static const char *suggest_section(struct str name)
{
    size_t count, kind_count;
    const struct setting_section *sections = setting_sections(&count);
    const struct setting_kind *kinds = setting_kinds(&kind_count);
    const char *names[SETTING_MAX_ROWS];

    ASSERT(count + kind_count <= ARRAY_LEN(names));
    for (size_t i = 0; i < count; i++)
        names[i] = sections[i].name;
    for (size_t i = 0; i < kind_count; i++)
        names[count + i] = kinds[i].name;
    return suggest_nearest(name, names, count + kind_count, edits_allowed(name));
}

static void report_unknown(struct loader *l, const struct scan_entry *entry)
{
    bool is_section_entry = entry->kind == SCAN_SECTION;
    const char *what = is_section_entry ? "section" : "setting";
    const char *nearest =
        is_section_entry ? suggest_section(entry->name) : suggest_setting(entry->name);
    struct buf name;

    buf_init(&name, WHY_MAX_BYTES);
    report_put_quoted(&name, entry->name);
    if (nearest != NULL)
        report_add(&l->report, entry->place, "unknown %s %s; did you mean \"%s\"?", what,
                   buf_c_str(&name), nearest);
    else
        report_add(&l->report, entry->place,
                   "unknown %s %s; remove it, or see hikyaku.conf(5) for those there are", what,
                   buf_c_str(&name));
    buf_done(&name);
}

/* --- labelled sections --- */

/* What is wrong between the settings of the section that ends here. */
static void close_object(struct loader *l)
{
    bool is_bad = false;

    if (l->object == NULL)
        return;
    for (size_t i = 0; i < l->kind->row_count; i++)
        is_bad |= l->object_seen[i].is_bad;
    for (size_t i = 0; !is_bad && i < l->kind->rule_count; i++) {
        const struct setting_rule *rule = &l->kind->rules[i];
        size_t index = 0;
        ASSERT(setting_kind_row(l->kind, str_from_c(rule->name), &index) != NULL);
        if (rule->is_broken(l->object))
            report_add(&l->report,
                       l->object_seen[index].is_set ? l->object_seen[index].place : l->object_place,
                       "%s \"%.*s\": %s", l->kind->name, STR_ARG(l->label), rule->text);
    }
    l->object = NULL;
}

/* The entry that opened the first section of this name and label; the section itself at last. */
static const struct scan_entry *find_first(const struct loader *l, const struct scan_entry *entry)
{
    const struct scan_entry *first = l->scan.entries;

    while (first < entry && !(first->kind == SCAN_SECTION && str_eq(first->name, entry->name) &&
                              str_eq_nocase(first->label, entry->label)))
        first++;
    return first;
}

static bool has_label(const struct setting_kind *kind, const struct settings *s, struct str label)
{
    for (size_t i = 0; i < setting_object_count(kind, s); i++) {
        const char *other = setting_string(kind->label, setting_object(kind, s, i));
        if (str_eq_nocase(label, str_from_c(other)))
            return true;
    }
    return false;
}

/* Whether the section may be there; if not, why is reported. */
static bool check_label(struct loader *l, const struct setting_kind *kind,
                        const struct scan_entry *entry)
{
    struct buf why;

    if (entry->label.len == 0) {
        report_add(&l->report, entry->place,
                   "section \"%s\" has no name; write %s \"NAME\" { ... }", kind->name, kind->name);
        return false;
    }
    if (has_label(kind, l->settings, entry->label)) {
        const struct scan_entry *first = find_first(l, entry);
        report_add(&l->report, entry->place,
                   "%s \"%.*s\" is there twice, first at %s:%d; give one another name", kind->name,
                   STR_ARG(entry->label), first->place.file, first->place.line);
        return false;
    }
    buf_init(&why, WHY_MAX_BYTES);
    bool is_good = setting_check(kind->label, entry->label, &why);
    if (!is_good)
        report_add(&l->report, entry->place, "%s", buf_c_str(&why));
    buf_done(&why);
    return is_good;
}

static void open_object(struct loader *l, const struct setting_kind *kind,
                        const struct scan_entry *entry)
{
    l->skipped = entry->name;
    if (!check_label(l, kind, entry))
        return;
    void *object = setting_object_add(kind, l->settings);
    if (object == NULL) {
        report_add(&l->report, entry->place, "there are more than %zu sections \"%s\"; remove some",
                   kind->max_count, kind->name);
        return;
    }
    setting_set_text(kind->label, object, entry->label);
    l->skipped = STR_NONE;
    l->kind = kind;
    l->object = object;
    l->label = entry->label;
    l->object_place = entry->place;
    memset(l->object_seen, 0, sizeof(l->object_seen));
}

/* --- entries --- */

/* A row by its full name, with what was seen of it and where its field is; NULL: unknown. */
static const struct setting *find_row(struct loader *l, const struct scan_entry *entry,
                                      struct seen **out_seen, void **out_object)
{
    const struct setting *row;
    size_t index = 0;

    if (l->object != NULL && entry->label.len > 0) {
        row = setting_kind_row(l->kind, entry->name, &index);
        *out_seen = &l->object_seen[index];
        *out_object = l->object;
        return row;
    }
    row = setting_find(entry->name, &index);
    *out_seen = &l->seen[index];
    *out_object = l->settings;
    return row;
}

static void load_section(struct loader *l, const struct scan_entry *entry)
{
    const struct setting_kind *kind = setting_kind_find(entry->name);
    void *object;
    struct seen *seen;

    l->skipped = STR_NONE;
    if (entry->label.len == 0 || kind != NULL || is_section(entry->name))
        close_object(l);
    if (kind != NULL) {
        open_object(l, kind, entry);
        return;
    }
    bool is_known = is_section(entry->name);
    if (is_known && entry->label.len == 0)
        return;
    l->skipped = entry->name;
    const struct setting *row = find_row(l, entry, &seen, &object);
    if (is_known) {
        report_add(&l->report, entry->place, "section \"%.*s\" takes no name; write %.*s { ... }",
                   STR_ARG(entry->name), STR_ARG(entry->name));
        return;
    }
    if (row == NULL) {
        report_unknown(l, entry);
        return;
    }
    seen->is_bad = true;
    report_add(&l->report, entry->place, "\"%s\" is a setting, not a section; write %s = VALUE",
               row->name, setting_leaf_name(row));
}

/* Whether the entry stands inside the section that is being skipped. */
static bool is_skipped(const struct loader *l, const struct scan_entry *entry)
{
    return l->skipped.len > 0 && entry->name.len > l->skipped.len &&
           str_has_prefix(entry->name, l->skipped) && entry->name.ptr[l->skipped.len] == '.';
}

/* False: this entry must not be looked at any further. */
static bool check_first(struct loader *l, const struct scan_entry *entry, const struct setting *row,
                        struct seen *seen)
{
    if (!seen->is_set) {
        seen->is_set = true;
        seen->place = entry->place;
        return true;
    }
    const char *advice =
        row->type == SETTING_LIST ? "put all its values into one list" : "remove one of the two";
    if (seen->place.file_order == entry->place.file_order)
        report_add(&l->report, entry->place, "\"%s\" is set twice, first on line %d; %s", row->name,
                   seen->place.line, advice);
    else
        report_add(&l->report, entry->place, "\"%s\" is set twice, first at %s:%d; %s", row->name,
                   seen->place.file, seen->place.line, advice);
    seen->is_bad = true;
    return false;
}

static bool check_value(struct loader *l, const struct setting *row, const struct scan_value *value)
{
    struct buf why;

    buf_init(&why, WHY_MAX_BYTES);
    bool is_good = setting_check(row, value->text, &why);
    if (!is_good)
        report_add(&l->report, value->place, "%s", buf_c_str(&why));
    buf_done(&why);
    return is_good;
}

/* Whether the value number `index` of the entry also stands before it. */
static bool check_repeated(struct loader *l, const struct setting *row,
                           const struct scan_value *values, size_t index)
{
    for (size_t i = 0; i < index && !row->form->may_repeat; i++) {
        if (!str_eq_nocase(values[i].text, values[index].text))
            continue;
        report_add(&l->report, values[index].place, "\"%s\" has \"%.*s\" twice; remove one",
                   row->name, STR_ARG(values[index].text));
        return false;
    }
    return true;
}

static bool load_list(struct loader *l, const struct scan_entry *entry, const struct setting *row,
                      void *object)
{
    const struct scan_value *values = &l->scan.values[entry->first_value];
    bool is_good = true;

    if (entry->value_count > (size_t)row->max) {
        report_add(&l->report, entry->place, "\"%s\" has %zu values; write at most %lld", row->name,
                   entry->value_count, (long long)row->max);
        return false;
    }
    if (entry->value_count < (size_t)row->min) {
        report_add(&l->report, entry->place, "\"%s\" has no values; write at least %lld", row->name,
                   (long long)row->min);
        return false;
    }
    for (size_t i = 0; i < entry->value_count; i++)
        is_good &= check_value(l, row, &values[i]) && check_repeated(l, row, values, i);
    if (!is_good)
        return false;
    setting_clear(row, object);
    for (size_t i = 0; i < entry->value_count; i++)
        setting_add_item(row, object, values[i].text);
    return true;
}

static bool load_scalar(struct loader *l, const struct scan_entry *entry, const struct setting *row,
                        void *object)
{
    const struct scan_value *value = &l->scan.values[entry->first_value];
    struct buf expected;

    if (entry->kind == SCAN_LIST) {
        buf_init(&expected, WHY_MAX_BYTES);
        setting_describe(row, &expected);
        report_add(&l->report, entry->place, "\"%s\" takes one value, not a list; write %s",
                   row->name, buf_c_str(&expected));
        buf_done(&expected);
        return false;
    }
    if (!check_value(l, row, value))
        return false;
    setting_set_text(row, object, value->text);
    return true;
}

/* A name that is no setting where it stands. */
static void report_misplaced(struct loader *l, const struct scan_entry *entry)
{
    const struct setting_kind *kind = kind_of(entry->name);

    if (is_section(entry->name))
        report_add(&l->report, entry->place, "\"%.*s\" is a section; write %.*s { NAME = VALUE }",
                   STR_ARG(entry->name), STR_ARG(entry->name));
    else if (kind != NULL && entry->label.len == 0)
        report_add(&l->report, entry->place,
                   "\"%.*s\" needs a section with a name around it; write %s \"NAME\" { ... }",
                   STR_ARG(entry->name), kind->name);
    else
        report_unknown(l, entry);
}

static void load_entry(struct loader *l, const struct scan_entry *entry)
{
    struct seen *seen;
    void *object;

    if (is_skipped(l, entry))
        return;
    if (entry->kind == SCAN_SECTION) {
        load_section(l, entry);
        return;
    }
    if (entry->label.len == 0)
        close_object(l);
    const struct setting *row = find_row(l, entry, &seen, &object);
    if (row == NULL) {
        report_misplaced(l, entry);
        return;
    }
    if (!check_first(l, entry, row, seen))
        return;
    bool is_good = row->type == SETTING_LIST ? load_list(l, entry, row, object)
                                             : load_scalar(l, entry, row, object);
    seen->is_bad |= !is_good;
}

/* What has no default must be in the file. */
static void check_required(struct loader *l, const char *path)
{
    size_t count;
    const struct setting *table = setting_table(&count);
    struct buf expected;

    buf_init(&expected, WHY_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (table[i].text_default != NULL || l->seen[i].is_set || l->seen[i].is_bad)
            continue;
        buf_reset(&expected);
        setting_describe(&table[i], &expected);
        report_add(&l->report, (struct report_place){.file = path},
                   "\"%s\" is not set and has no default; write %s", table[i].name,
                   buf_c_str(&expected));
    }
    buf_done(&expected);
}

static void put_name_and_value(const struct loader *l, const struct setting *row, struct buf *out)
{
    buf_printf(out, "\"%s\" is ", row->name);
    setting_format(row, l->settings, out);
}

/* Reported where the one of the two stands that the file sets. */
static void check_conflict(struct loader *l, const struct setting_conflict *conflict)
{
    size_t first, second;
    const struct setting *a = setting_find(str_from_c(conflict->first), &first);
    const struct setting *b = setting_find(
        str_from_c(conflict->second != NULL ? conflict->second : conflict->first), &second);
    struct buf values;

    ASSERT(a != NULL && b != NULL);
    if (l->seen[first].is_bad || l->seen[second].is_bad || !conflict->is_impossible(l->settings))
        return;
    buf_init(&values, 2 * WHY_MAX_BYTES);
    put_name_and_value(l, a, &values);
    if (b != a) {
        buf_put_c(&values, " and ");
        put_name_and_value(l, b, &values);
    }
    report_add(&l->report, l->seen[l->seen[first].is_set ? first : second].place, "%s: %s",
               buf_c_str(&values), conflict->text);
    buf_done(&values);
}

static void check_conflicts(struct loader *l)
{
    size_t count;
    const struct setting_conflict *conflicts = setting_conflicts(&count);

    for (size_t i = 0; i < count; i++)
        check_conflict(l, &conflicts[i]);
}

static int load(struct loader *l, const char *path)
{
    int rc = scan_file(&l->scan, path, &l->report);

    if (rc < 0)
        return rc;
    bool has_syntax_errors = l->report.count > 0;
    for (size_t i = 0; i < l->scan.entry_count; i++)
        load_entry(l, &l->scan.entries[i]);
    close_object(l);
    /* A line that could not be read may be the one that is missed. */
    if (!has_syntax_errors)
        check_required(l, path);
    check_conflicts(l);
    return l->report.count > 0 ? -EINVAL : 0;
}

int settings_load(const char *path, struct settings **out, struct buf *out_errors)
{
    struct loader *l = xcalloc(1, sizeof(*l));

    *out = NULL;
    l->settings = settings_defaults();
    scan_init(&l->scan);
    report_init(&l->report);
    int rc = load(l, path);
    report_print(&l->report, out_errors);
    if (rc == 0) {
        *out = l->settings;
        l->settings = NULL;
    }
    settings_free(l->settings);
    report_done(&l->report);
    scan_done(&l->scan);
    free(l);
    return rc;
}
