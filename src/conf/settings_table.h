/*
 * The one table of settings, and what can be done with a field by its row: check, set, compare,
 * print. The reader, the wire form and the documents walk the table and know no setting by name.
 * Sections with a label, of which there may be many (route "NAME" { ... }), have a table each and
 * an object for each section; what is called `object` below is struct settings or one of those.
 *
 * Private to src/conf; others use settings.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "conf/settings.h"

enum {
    SETTING_MAX_ROWS = 160,
    SETTING_KIND_MAX_ROWS = 16,
    SETTING_TEXT_MAX_BYTES = 4096, /* longest string or list item of any row */
};

enum setting_type {
    SETTING_BOOL,     /* bool */
    SETTING_INT,      /* int */
    SETTING_SIZE,     /* uint64_t, bytes */
    SETTING_DURATION, /* int64_t, ms */
    SETTING_ENUM,     /* int, index into choices */
    SETTING_STRING,   /* char * */
    SETTING_LIST,     /* struct settings_list of strings */
};

/* What a string, or each item of a list, must look like. */
struct setting_form {
    bool (*is_valid)(struct str s);
    const char *description; /* "an absolute path without \"..\" in it" */
    /* Adds advice about this very text, if there is any better than the description; may be NULL.
     */
    bool (*put_advice)(struct str s, struct buf *out);
    bool may_repeat; /* an item may stand in a list more than once */
};

struct setting {
    const char *name; /* "section.name" */
    enum setting_type type;
    size_t offset; /* in the object */
    /* As in the file; of a list the items with one space between; NULL: the file must set it. */
    const char *text_default;
    int64_t min, max;                /* number; or characters of a string; or items of a list */
    const char *const *choices;      /* of an enum; ends in NULL */
    const struct setting_form *form; /* of a string or list */
    const char *help;                /* sentences */
};

struct setting_section {
    const char *name;
    const char *help;
};

/* Two settings that cannot both be as they are; or one that cannot, without something that is no
 * row of the table. */
struct setting_conflict {
    const char *first, *second; /* names; the second may be NULL */
    bool (*is_impossible)(const struct settings *s);
    const char *text; /* what is wrong; what to do */
};

/* What must not be so in one labelled section. */
struct setting_rule {
    const char *name; /* of the row where it is reported, if the file sets it */
    bool (*is_broken)(const void *object);
    const char *text; /* what is wrong; what to do */
};

/* A kind of labelled section. */
struct setting_kind {
    const char *name;   /* "route" */
    const char *plural; /* in JSON */
    const char *help;
    const struct setting *label; /* the row of its name, which stands behind the kind in the file */
    const struct setting *rows;  /* named "route.via"; all have a default */
    size_t row_count;
    const struct setting_rule *rules;
    size_t rule_count;
    size_t object_bytes;
    size_t objects_offset, count_offset; /* in struct settings */
    size_t max_count;
};

/* All three sorted as they are documented; the rows of a section stand together. */
const struct setting *setting_table(size_t *out_count);
const struct setting_section *setting_sections(size_t *out_count);
const struct setting_conflict *setting_conflicts(size_t *out_count);

/* The row of that name and its index, or NULL. */
const struct setting *setting_find(struct str name, size_t *out_index);

const struct setting_kind *setting_kinds(size_t *out_count);
/* The kind of that name, or NULL; its row of that name ("route.via") and the index, or NULL. */
const struct setting_kind *setting_kind_find(struct str name);
const struct setting *setting_kind_row(const struct setting_kind *kind, struct str name,
                                       size_t *out_index);
size_t setting_object_count(const struct setting_kind *kind, const struct settings *s);
const void *setting_object(const struct setting_kind *kind, const struct settings *s, size_t index);
/* Adds one with all at its default, also the label, which is empty; NULL when there are as many as
 * may be. It moves when the next is added. */
void *setting_object_add(const struct setting_kind *kind, struct settings *s);
void setting_objects_clear(struct settings *s);

/* "smtp" of "smtp.max_errors", and "max_errors". */
struct str setting_section_name(const struct setting *row);
const char *setting_leaf_name(const struct setting *row);

/* Whether `text` may be the value, or one item of the list. If not, what is wrong and what to do is
 * added to out_why, which may be NULL. */
bool setting_check(const struct setting *row, struct str text, struct buf *out_why);
/* Sets the field from a text that passed; not of a list. */
void setting_set_text(const struct setting *row, void *object, struct str text);
/* Adds to a list, which is not full, a text that passed. */
void setting_add_item(const struct setting *row, void *object, struct str text);
void setting_set_default(const struct setting *row, void *object);
/* Frees what the field owns: a string is NULL then, a list empty. */
void setting_clear(const struct setting *row, void *object);

/* Numbers, truth and enums alike; the value is in the row's range. */
bool setting_is_number(const struct setting *row);
int64_t setting_number(const struct setting *row, const void *object);
void setting_set_number(const struct setting *row, void *object, int64_t value);
const char *setting_string(const struct setting *row, const void *object);
const struct settings_list *setting_list(const struct setting *row, const void *object);

bool setting_is_equal(const struct setting *row, const void *a, const void *b);
/* The value as the file has it: 50M, "Hikyaku", [ "a", "b" ]. */
void setting_format(const struct setting *row, const void *object, struct buf *out);
/* "a size from 64K to 1G", "one of text, json": after "write ", and in the documents. */
void setting_describe(const struct setting *row, struct buf *out);
