/*
 * Settings as bytes, for the way from the master, which may read the file, to its children, which
 * may not. Row by row in the order of the table, so only the same program can read it; what comes
 * in is checked all the same, because a child trusts nobody.
 */
#include <errno.h>

#include "base/cursor.h"
#include "conf/settings.h"
#include "conf/settings_table.h"

enum { WIRE_MAGIC = 0x43594b48 }; /* "HKYC" */

static void encode_list(const struct settings_list *list, struct buf *out)
{
    buf_put_u32(out, (uint32_t)list->count);
    for (size_t i = 0; i < list->count; i++)
        buf_put_lp(out, str_from_c(list->items[i]));
}

void settings_encode(const struct settings *s, struct buf *out)
{
    size_t count;
    const struct setting *table = setting_table(&count);

    buf_put_u32(out, WIRE_MAGIC);
    buf_put_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        buf_put_u8(out, (uint8_t)table[i].type);
        if (table[i].type == SETTING_LIST)
            encode_list(setting_list(&table[i], s), out);
        else if (table[i].type == SETTING_STRING)
            buf_put_lp(out, str_from_c(setting_string(&table[i], s)));
        else
            buf_put_u64(out, (uint64_t)setting_number(&table[i], s));
    }
}

static void decode_list(const struct setting *row, struct settings *s, struct cursor *c)
{
    uint32_t count = cursor_u32(c);

    setting_clear(row, s);
    if (count > row->max)
        cursor_fail(c);
    for (uint32_t i = 0; i < count && cursor_status(c) == 0; i++) {
        struct str item = cursor_lp(c);
        if (cursor_status(c) == 0 && setting_check(row, item, NULL))
            setting_add_item(row, s, item);
        else
            cursor_fail(c);
    }
}

static void decode_string(const struct setting *row, struct settings *s, struct cursor *c)
{
    struct str text = cursor_lp(c);
    /* The defaults can be sent too, and there what has no default is empty. */
    bool is_unset = row->text_default == NULL && text.len == 0;

    if (cursor_status(c) == 0 && (is_unset || setting_check(row, text, NULL)))
        setting_set_text(row, s, text);
    else
        cursor_fail(c);
}

static void decode_number(const struct setting *row, struct settings *s, struct cursor *c)
{
    int64_t value = (int64_t)cursor_u64(c);

    if (value >= row->min && value <= row->max)
        setting_set_number(row, s, value);
    else
        cursor_fail(c);
}

static void decode_row(const struct setting *row, struct settings *s, struct cursor *c)
{
    if (cursor_u8(c) != (uint8_t)row->type) {
        cursor_fail(c);
        return;
    }
    if (row->type == SETTING_LIST)
        decode_list(row, s, c);
    else if (row->type == SETTING_STRING)
        decode_string(row, s, c);
    else
        decode_number(row, s, c);
}

int settings_decode(struct str bytes, struct settings **out)
{
    struct cursor c = cursor_from(bytes);
    size_t count;
    const struct setting *table = setting_table(&count);
    struct settings *s = settings_defaults();

    *out = NULL;
    if (cursor_u32(&c) != WIRE_MAGIC || cursor_u32(&c) != count)
        cursor_fail(&c);
    for (size_t i = 0; i < count && cursor_status(&c) == 0; i++)
        decode_row(&table[i], s, &c);
    if (cursor_finish(&c) < 0) {
        settings_free(s);
        return -EBADMSG;
    }
    *out = s;
    return 0;
}
