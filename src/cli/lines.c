/* Line ends: see lines.h. */
#include "cli/lines.h"

void lines_put_lf(struct lines *l, struct str piece, struct buf *out)
{
    while (piece.len > 0) {
        if (l->has_cr && piece.ptr[0] != '\n')
            buf_put_char(out, '\r');
        ptrdiff_t at = str_find(piece, '\r');
        l->has_cr = at >= 0;
        buf_put_str(out, at >= 0 ? str_sub(piece, 0, (size_t)at) : piece);
        piece = at >= 0 ? str_sub(piece, (size_t)at + 1, piece.len) : STR("");
    }
}

void lines_end_lf(struct lines *l, struct buf *out)
{
    if (l->has_cr)
        buf_put_char(out, '\r');
    l->has_cr = false;
}

void lines_put_crlf(struct lines *l, struct str piece, struct buf *out)
{
    while (piece.len > 0) {
        ptrdiff_t at = str_find(piece, '\n');
        size_t len = at >= 0 ? (size_t)at : piece.len;
        buf_put_str(out, str_sub(piece, 0, len));
        bool ends_in_cr = len > 0 ? piece.ptr[len - 1] == '\r' : l->has_cr;
        l->has_cr = at < 0 && ends_in_cr;
        if (at >= 0)
            buf_put_c(out, ends_in_cr ? "\n" : "\r\n");
        piece = str_sub(piece, len + (at >= 0), piece.len);
    }
}
