/* Edits of a message on its way: see mime_edit.h. */
#include "mail/mime_edit.h"

#include <string.h>

#include "mail/mime.h"

enum {
    ESCAPE_COLUMN = 70, /* where a mended line of quoted-printable is broken */
    BASE64_COLUMN = 76,
};

void mime_editor_init(struct mime_editor *m, const struct mime_edit *edits, size_t count,
                      uint64_t bytes)
{
    *m = (struct mime_editor){.edits = edits, .count = count, .bytes = bytes};
}

static void begin_edit(struct mime_editor *m, const struct mime_edit *e, struct buf *out)
{
    m->is_editing = true;
    m->column = 0;
    m->escape_left = 0;
    transfer_init(&m->encoder, e->encoding);
    if (e->action == EDIT_FOLD)
        buf_put_c(out, "\r\n");
    if (e->has_mime_version)
        buf_put_c(out, "MIME-Version: 1.0\r\n");
    if (e->field != NULL)
        buf_printf(out, "Content-Transfer-Encoding: %s\r\n", e->field);
}

static void end_edit(struct mime_editor *m, const struct mime_edit *e, struct buf *out)
{
    if (e->action == EDIT_ENCODE) {
        transfer_finish(&m->encoder, out);
        /* Where a boundary follows, its line end was left in place. */
        if (e->end == m->bytes && m->encoder.column > 0)
            buf_put_c(out, e->encoding == TRANSFER_BASE64 ? "\r\n" : "=\r\n");
    }
    if (e->action == EDIT_REWRAP && e->end == m->bytes && m->column > 0)
        buf_put_c(out, "\r\n");
    m->is_editing = false;
    m->next++;
}

/* Before a byte of quoted-printable, if it does not stand in the middle of an escape. */
static void break_softly(struct mime_editor *m, char c, struct buf *out)
{
    bool is_inside = m->escape_left > 0;

    if (c == '=')
        m->escape_left = 2;
    else if (is_inside)
        m->escape_left--;
    size_t limit =
        c == '\r' ? MIME_LINE_TEXT_MAX_BYTES - 1 : ESCAPE_COLUMN; /* a CR may stand alone */
    if (is_inside || m->column < limit || c == '\n')
        return;
    buf_put_c(out, "=\r\n");
    m->column = 0;
}

/* Neither may a line come to look like a boundary that was none before. */
static void put_escaped(struct mime_editor *m, char c, struct buf *out)
{
    bool is_second_dash = c == '-' && m->column == 1 && m->begins_with_dash;

    if ((c & '\x80') == 0 && !is_second_dash) {
        m->begins_with_dash = m->column == 0 && c == '-';
        buf_put_char(out, c);
        m->column = c == '\n' ? 0 : m->column + 1;
        return;
    }
    if (m->column >= ESCAPE_COLUMN) {
        buf_put_c(out, "=\r\n");
        m->column = 0;
    }
    buf_printf(out, "=%02X", (unsigned char)c);
    m->column += 3;
}

static bool is_base64_char(char c)
{
    return ascii_is_alnum(c) || c == '+' || c == '/' || c == '=';
}

static void put_rewrapped(struct mime_editor *m, char c, struct buf *out)
{
    if (m->column == BASE64_COLUMN) {
        buf_put_c(out, "\r\n");
        m->column = 0;
    }
    buf_put_char(out, c);
    m->column++;
}

/* Text around parts. What begins with a space is no boundary. */
static void put_loose(struct mime_editor *m, const struct mime_edit *e, char c, struct buf *out)
{
    bool is_full = m->column >= MIME_LINE_TEXT_MAX_BYTES + (size_t)(c == '\r');

    if (e->action == EDIT_MASK && (c & '\x80') != 0)
        c = '*';
    if (e->breaks_lines && is_full && c != '\n') {
        buf_put_c(out, "\r\n ");
        m->column = 1;
    }
    buf_put_char(out, c);
    m->column = c == '\n' ? 0 : m->column + 1;
}

static void put_byte(struct mime_editor *m, const struct mime_edit *e, char c, struct buf *out)
{
    switch (e->action) {
    case EDIT_MASK:
    case EDIT_BREAK:
        put_loose(m, e, c, out);
        break;
    case EDIT_ESCAPE:
        if (e->breaks_lines)
            break_softly(m, c, out);
        put_escaped(m, c, out);
        break;
    case EDIT_REWRAP:
        if (is_base64_char(c))
            put_rewrapped(m, c, out);
        break;
    case EDIT_FILTER:
        if (is_base64_char(c) || c == '\r' || c == '\n')
            buf_put_char(out, c);
        break;
    default: /* it has no bytes of its own, or they are dropped */
        break;
    }
}

static void apply_edit(struct mime_editor *m, const struct mime_edit *e, struct str bytes,
                       struct buf *out)
{
    if (e->action == EDIT_ENCODE) {
        transfer_put(&m->encoder, bytes, out);
        return;
    }
    for (size_t i = 0; i < bytes.len; i++)
        put_byte(m, e, bytes.ptr[i], out);
}

void mime_editor_push(struct mime_editor *m, struct str piece, struct buf *out)
{
    while (piece.len > 0) {
        const struct mime_edit *e = m->next < m->count ? &m->edits[m->next] : NULL;
        size_t len = piece.len;
        if (e == NULL || e->start > m->pushed) {
            len = e == NULL ? len : (size_t)MIN((uint64_t)len, e->start - m->pushed);
            buf_put(out, piece.ptr, len);
        } else {
            if (!m->is_editing)
                begin_edit(m, e, out);
            len = (size_t)MIN((uint64_t)len, e->end - m->pushed);
            apply_edit(m, e, str_sub(piece, 0, len), out);
            if (m->pushed + len == e->end)
                end_edit(m, e, out);
        }
        m->pushed += len;
        piece = str_sub(piece, len, piece.len);
    }
}

void mime_editor_finish(struct mime_editor *m, struct buf *out)
{
    ASSERT(m->pushed == m->bytes);
    for (; m->next < m->count; m->next++)
        begin_edit(m, &m->edits[m->next], out);
    m->is_editing = false;
}
