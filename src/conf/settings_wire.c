/*
 * Settings as bytes, for the way from the master, which may read the file, to its children, which
 * may not. Row by row in the order of the table, then the labelled sections in the same way, so
 * only the same program can read it; what comes in is checked all the same, because a child trusts
 * nobody.
 */
#include <errno.h>

#include "base/cursor.h"
#include "conf/settings.h"
#include "conf/settings_table.h"

enum { COPY_MAX_BYTES = 16 << 20, WIRE_MAGIC = 0x43594b48 }; /* "HKYC" */

static void encode_list(const struct settings_list *list, struct buf *out)
{
    buf_put_u32(out, (uint32_t)list->count);
    for (size_t i = 0; i < list->count; i++)
        buf_put_lp(out, str_from_c(list->items[i]));
}

static void encode_row(const struct setting *row, const void *object, struct buf *out)
{
    buf_put_u8(out, (uint8_t)row->type);
    if (row->type == SETTING_LIST)
        encode_list(setting_list(row, object), out);
    else if (row->type == SETTING_STRING)
        buf_put_lp(out, str_from_c(setting_string(row, object)));
    else
        buf_put_u64(out, (uint64_t)setting_number(row, object));
}

static void encode_kind(const struct setting_kind *kind, const struct settings *s, struct buf *out)
{
    size_t count = setting_object_count(kind, s);

    buf_put_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const void *object = setting_object(kind, s, i);
        encode_row(kind->label, object, out);
        for (size_t j = 0; j < kind->row_count; j++)
            encode_row(&kind->rows[j], object, out);
    }
}

void settings_encode(const struct settings *s, struct buf *out)
{
    size_t count, kind_count;
    const struct setting *table = setting_table(&count);
    const struct setting_kind *kinds = setting_kinds(&kind_count);

    buf_put_u32(out, WIRE_MAGIC);
    buf_put_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        encode_row(&table[i], s, out);
    for (size_t i = 0; i < kind_count; i++)
        encode_kind(&kinds[i], s, out);
}

static void decode_list(const struct setting *row, void *object, struct cursor *c)
{
    uint32_t count = cursor_u32(c);

    setting_clear(row, object);
    if (count < row->min || count > row->max)
        cursor_fail(c);
    for (uint32_t i = 0; i < count && cursor_status(c) == 0; i++) {
        struct str item = cursor_lp(c);
        if (cursor_status(c) == 0 && setting_check(row, item, NULL))
            setting_add_item(row, object, item);
        else
            cursor_fail(c);
    }
}

static void decode_string(const struct setting *row, void *object, struct cursor *c)
{
    struct str text = cursor_lp(c);
    /* The defaults can be sent too, and there what has no default is empty. */
    bool is_unset = row->text_default == NULL && text.len == 0;

    if (cursor_status(c) == 0 && (is_unset || setting_check(row, text, NULL)))
        setting_set_text(row, object, text);
    else
        cursor_fail(c);
}

static void decode_number(const struct setting *row, void *object, struct cursor *c)
{
    int64_t value = (int64_t)cursor_u64(c);

    if (value >= row->min && value <= row->max)
        setting_set_number(row, object, value);
    else
        cursor_fail(c);
}

static void decode_row(const struct setting *row, void *object, struct cursor *c)
{
    if (cursor_u8(c) != (uint8_t)row->type) {
        cursor_fail(c);
        return;
    }
    if (row->type == SETTING_LIST)
        decode_list(row, object, c);
    else if (row->type == SETTING_STRING)
        decode_string(row, object, c);
    else
        decode_number(row, object, c);
}

static void decode_kind(const struct setting_kind *kind, struct settings *s, struct cursor *c)
{
    uint32_t count = cursor_u32(c);

    for (uint32_t i = 0; i < count && cursor_status(c) == 0; i++) {
        void *object = setting_object_add(kind, s);
        if (object == NULL) {
            cursor_fail(c);
            return;
        }
        decode_row(kind->label, object, c);
        for (size_t j = 0; j < kind->row_count && cursor_status(c) == 0; j++)
            decode_row(&kind->rows[j], object, c);
    }
}

int settings_decode(struct str bytes, struct settings **out)
{
    struct cursor c = cursor_from(bytes);
    size_t count, kind_count;
    const struct setting *table = setting_table(&count);
    const struct setting_kind *kinds = setting_kinds(&kind_count);
    struct settings *s = settings_defaults();

    *out = NULL;
    if (cursor_u32(&c) != WIRE_MAGIC || cursor_u32(&c) != count)
        cursor_fail(&c);
    for (size_t i = 0; i < count && cursor_status(&c) == 0; i++)
        decode_row(&table[i], s, &c);
    for (size_t i = 0; i < kind_count && cursor_status(&c) == 0; i++)
        decode_kind(&kinds[i], s, &c);
    if (cursor_finish(&c) < 0) {
        settings_free(s);
        return -EBADMSG;
    }
    *out = s;
    return 0;
}

struct settings *settings_copy(const struct settings *s)
{
    struct settings *copy;
    struct buf bytes;

    buf_init(&bytes, COPY_MAX_BYTES);
    settings_encode(s, &bytes);
    ASSERT(buf_status(&bytes) == 0 && settings_decode(buf_str(&bytes), &copy) == 0);
    buf_done(&bytes);
    return copy;
}
