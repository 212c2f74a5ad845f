/*
 * What can be done with the field of any row: see settings_table.h. The only place that knows how
 * each type lies in struct settings or in the object of a labelled section.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/report.h"
#include "conf/settings_table.h"
#include "conf/value.h"

static void *field(const struct setting *row, void *object)
{
    return (char *)object + row->offset;
}

static const void *const_field(const struct setting *row, const void *object)
{
    return (const char *)object + row->offset;
}

bool setting_is_number(const struct setting *row)
{
    return row->type != SETTING_STRING && row->type != SETTING_LIST;
}

int64_t setting_number(const struct setting *row, const void *object)
{
    switch (row->type) {
    case SETTING_BOOL:
        return *(const bool *)const_field(row, object);
    case SETTING_INT:
    case SETTING_ENUM:
        return *(const int *)const_field(row, object);
    case SETTING_SIZE:
        return (int64_t) * (const uint64_t *)const_field(row, object);
    case SETTING_DURATION:
        return *(const int64_t *)const_field(row, object);
    case SETTING_STRING:
    case SETTING_LIST:
        break;
    }
    die_at(__FILE__, __LINE__, row->name);
}

void setting_set_number(const struct setting *row, void *object, int64_t value)
{
    void *target = field(row, object);

    ASSERT(setting_is_number(row) && value >= row->min && value <= row->max);
    if (row->type == SETTING_BOOL)
        *(bool *)target = value != 0;
    else if (row->type == SETTING_SIZE)
        *(uint64_t *)target = (uint64_t)value;
    else if (row->type == SETTING_DURATION)
        *(int64_t *)target = value;
    else
        *(int *)target = (int)value;
}

const char *setting_string(const struct setting *row, const void *object)
{
    ASSERT(row->type == SETTING_STRING);
    return *(char *const *)const_field(row, object);
}

const struct settings_list *setting_list(const struct setting *row, const void *object)
{
    ASSERT(row->type == SETTING_LIST);
    return const_field(row, object);
}

/* 0, -EINVAL or -ERANGE. */
static int parse_number(const struct setting *row, struct str text, int64_t *out)
{
    int rc = -EINVAL;
    uint64_t bytes = 0;
    bool truth = false;

    switch (row->type) {
    case SETTING_BOOL:
        rc = value_parse_bool(text, &truth);
        *out = truth;
        break;
    case SETTING_INT:
        rc = value_parse_int(text, out);
        break;
    case SETTING_SIZE:
        rc = value_parse_size(text, &bytes);
        *out = (int64_t)MIN(bytes, (uint64_t)INT64_MAX);
        break;
    case SETTING_DURATION:
        rc = value_parse_duration(text, out);
        break;
    case SETTING_ENUM:
        *out = value_find_name(text, row->choices);
        rc = *out < 0 ? -EINVAL : 0;
        break;
    case SETTING_STRING:
    case SETTING_LIST:
        break;
    }
    if (rc == 0 && (*out < row->min || *out > row->max))
        return -ERANGE;
    return rc;
}

static const char *type_name(const struct setting *row)
{
    switch (row->type) {
    case SETTING_BOOL:
        return "yes or no";
    case SETTING_INT:
        return "a whole number";
    case SETTING_SIZE:
        return "a size";
    case SETTING_DURATION:
        return "a duration";
    case SETTING_ENUM:
        return "a word it knows";
    case SETTING_STRING:
    case SETTING_LIST:
        break;
    }
    return row->form->description;
}

static void put_wrong(const struct setting *row, struct str text, struct buf *out)
{
    buf_printf(out, "\"%s\" %s ", row->name, row->type == SETTING_LIST ? "has" : "is");
    report_put_quoted(out, text);
}

static bool check_number(const struct setting *row, struct str text, struct buf *out_why)
{
    int64_t value;
    int rc = parse_number(row, text, &value);

    if (rc < 0 && out_why != NULL) {
        put_wrong(row, text, out_why);
        if (rc == -ERANGE)
            buf_put_c(out_why, ", which is out of range; write ");
        else
            buf_printf(out_why, ", which is not %s; write ", type_name(row));
        setting_describe(row, out_why);
    }
    return rc == 0;
}

static bool check_length(const struct setting *row, struct str text, struct buf *out_why)
{
    size_t max = row->type == SETTING_LIST ? SETTING_TEXT_MAX_BYTES : (size_t)row->max;
    size_t min = row->type == SETTING_LIST ? 1 : (size_t)row->min;

    if (text.len >= min && text.len <= max)
        return true;
    if (out_why != NULL) {
        buf_printf(out_why, "\"%s\" has %zu characters; write ", row->name, text.len);
        setting_describe(row, out_why);
    }
    return false;
}

static bool check_form(const struct setting *row, struct str text, struct buf *out_why)
{
    bool has_nul = text.len > 0 && memchr(text.ptr, 0, text.len) != NULL;

    if (!has_nul && row->form->is_valid(text))
        return true;
    if (out_why == NULL)
        return false;
    put_wrong(row, text, out_why);
    buf_put_c(out_why, ", which cannot be used; ");
    if (row->form->put_advice != NULL && row->form->put_advice(text, out_why))
        return false;
    buf_printf(out_why, "write %s", row->form->description);
    return false;
}

bool setting_check(const struct setting *row, struct str text, struct buf *out_why)
{
    if (setting_is_number(row))
        return check_number(row, text, out_why);
    return check_length(row, text, out_why) && check_form(row, text, out_why);
}

void setting_clear(const struct setting *row, void *object)
{
    if (row->type == SETTING_STRING) {
        char **text = field(row, object);
        free(*text);
        *text = NULL;
    }
    if (row->type != SETTING_LIST)
        return;
    struct settings_list *list = field(row, object);
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct settings_list){0};
}

void setting_set_text(const struct setting *row, void *object, struct str text)
{
    int64_t value;

    if (row->type == SETTING_STRING) {
        setting_clear(row, object);
        *(char **)field(row, object) = str_dup(text);
        return;
    }
    ASSERT(parse_number(row, text, &value) == 0);
    setting_set_number(row, object, value);
}

void setting_add_item(const struct setting *row, void *object, struct str text)
{
    struct settings_list *list = field(row, object);

    ASSERT(row->type == SETTING_LIST && list->count < (size_t)row->max);
    list->items = xrealloc(list->items, (list->count + 1) * sizeof(list->items[0]));
    list->items[list->count++] = str_dup(text);
}

void setting_set_default(const struct setting *row, void *object)
{
    struct str item, rest = str_from_c(row->text_default);

    setting_clear(row, object);
    if (row->type != SETTING_LIST) {
        setting_set_text(row, object, rest);
        return;
    }
    while (rest.len > 0) {
        (void)str_cut(rest, ' ', &item, &rest);
        setting_add_item(row, object, item);
    }
}

bool settings_list_is_equal(const struct settings_list *a, const struct settings_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

bool setting_is_equal(const struct setting *row, const void *a, const void *b)
{
    if (row->type == SETTING_LIST)
        return settings_list_is_equal(setting_list(row, a), setting_list(row, b));
    if (row->type == SETTING_STRING)
        return strcmp(setting_string(row, a), setting_string(row, b)) == 0;
    return setting_number(row, a) == setting_number(row, b);
}

static void format_list(const struct settings_list *list, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            buf_put_c(out, ", ");
        value_format_quoted(str_from_c(list->items[i]), out);
    }
    buf_put_char(out, ']');
}

static void format_number(const struct setting *row, int64_t value, struct buf *out)
{
    if (row->type == SETTING_BOOL)
        buf_put_c(out, value != 0 ? "yes" : "no");
    else if (row->type == SETTING_SIZE)
        value_format_size((uint64_t)value, out);
    else if (row->type == SETTING_DURATION)
        value_format_duration(value, out);
    else if (row->type == SETTING_ENUM)
        buf_put_c(out, row->choices[value]);
    else
        buf_printf(out, "%lld", (long long)value);
}

void setting_format(const struct setting *row, const void *object, struct buf *out)
{
    if (row->type == SETTING_LIST)
        format_list(setting_list(row, object), out);
    else if (row->type == SETTING_STRING)
        value_format_quoted(str_from_c(setting_string(row, object)), out);
    else
        format_number(row, setting_number(row, object), out);
}

static void describe_choices(const struct setting *row, struct buf *out)
{
    buf_put_c(out, "one of ");
    for (size_t i = 0; row->choices[i] != NULL; i++)
        buf_printf(out, "%s%s", i > 0 ? ", " : "", row->choices[i]);
}

void setting_describe(const struct setting *row, struct buf *out)
{
    switch (row->type) {
    case SETTING_BOOL:
        buf_put_c(out, "yes or no");
        return;
    case SETTING_ENUM:
        describe_choices(row, out);
        return;
    case SETTING_STRING:
        buf_printf(out, "%s; at most %lld characters", row->form->description, (long long)row->max);
        return;
    case SETTING_LIST:
        buf_printf(out, "a list of %s %lld, each %s", row->min > 0 ? "1 to" : "at most",
                   (long long)row->max, row->form->description);
        return;
    case SETTING_INT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        break;
    }
    buf_printf(out, "%s from ", type_name(row));
    format_number(row, row->min, out);
    buf_put_c(out, " to ");
    format_number(row, row->max, out);
}
