/* Names in a Maildir: see maildir.h. */
#include "cli/maildir.h"

#include "base/cursor.h"
#include "store/wire.h"

static const struct {
    char letter;
    uint32_t flag;
} letters[] = {
    {'D', MESSAGE_DRAFT},    {'F', MESSAGE_FLAGGED}, {'P', 0},
    {'R', MESSAGE_ANSWERED}, {'S', MESSAGE_SEEN},    {'T', MESSAGE_DELETED},
};

/* What follows ":2,"; ";2," is the same on file systems without colons. */
static struct str info_of(struct str name)
{
    ptrdiff_t at = str_rfind(name, ',');

    if (at < 2 || name.ptr[at - 1] != '2' || (name.ptr[at - 2] != ':' && name.ptr[at - 2] != ';'))
        return STR("");
    return str_sub(name, (size_t)at + 1, name.len);
}

uint32_t maildir_parse_flags(struct str file_name)
{
    struct str info = info_of(file_name);
    uint32_t flags = 0;

    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (str_find(info, letters[i].letter) >= 0)
            flags |= letters[i].flag;
    }
    return flags;
}

bool maildir_is_forwarded(struct str file_name)
{
    return str_find(info_of(file_name), 'P') >= 0;
}

void maildir_put_flags(struct buf *out, uint32_t flags, bool is_forwarded)
{
    buf_put_c(out, ":2,");
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        bool is_set = letters[i].flag == 0 ? is_forwarded : (flags & letters[i].flag) != 0;
        if (is_set)
            buf_put_char(out, letters[i].letter);
    }
}

void maildir_put_folder(struct buf *out, struct str mailbox)
{
    buf_put_char(out, '.');
    for (size_t i = 0; i < mailbox.len; i++) {
        unsigned char c = (unsigned char)mailbox.ptr[i];
        if (c == '/')
            buf_put_char(out, '.');
        else if (c == '.' || c == '\\' || c < 0x20 || c == 0x7f)
            buf_printf(out, "\\%02x", c);
        else
            buf_put_char(out, (char)c);
    }
}

/* A backslash that begins no escape is itself: other servers write names as they are. */
static char take_escape(struct cursor *c)
{
    struct str digits = str_sub(cursor_rest(c), 0, 2);

    if (digits.len < 2)
        return '\\';
    int high = ascii_hex_value(digits.ptr[0]), low = ascii_hex_value(digits.ptr[1]);
    if (high < 0 || low < 0 || high * 16 + low == 0)
        return '\\';
    (void)cursor_take(c, 2);
    return (char)(high * 16 + low);
}

bool maildir_parse_folder(struct str dir_name, struct buf *out_mailbox)
{
    struct cursor c = cursor_from(dir_name);

    if (!cursor_take_if(&c, '.') || cursor_left(&c) == 0 || cursor_peek(&c) == '.')
        return false;
    while (cursor_left(&c) > 0) {
        char ch = (char)cursor_next(&c);
        if (ch == '.')
            ch = '/';
        else if (ch == '\\')
            ch = take_escape(&c);
        buf_put_char(out_mailbox, ch);
    }
    return buf_status(out_mailbox) == 0;
}
