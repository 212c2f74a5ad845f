/* Bodies of MIME parts to UTF-8: see decode.h. */
#include "cli/decode.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/cursor.h"

#define REPLACEMENT "\xef\xbf\xbd"

enum { CHARSET_MAX_BYTES = 64, CONVERT_BYTES = 1024 };

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* RFC 2045 section 6.8: all other characters are ignored. */
static void decode_base64(struct str body, struct buf *out)
{
    unsigned value = 0, bits = 0;

    for (size_t i = 0; i < body.len; i++) {
        int v = base64_value(body.ptr[i]);
        if (v < 0)
            continue;
        value = (value << 6 | (unsigned)v) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_put_char(out, (char)(value >> bits & 0xff));
        }
    }
}

static struct str without_final_blanks(struct str line)
{
    while (line.len > 0 && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\t' ||
                            line.ptr[line.len - 1] == '\r'))
        line.len--;
    return line;
}

/* RFC 2045 section 6.7. */
static void decode_quoted(struct str body, struct buf *out)
{
    while (body.len > 0) {
        struct str line;
        bool has_end = str_cut(body, '\n', &line, &body);
        struct cursor c = cursor_from(without_final_blanks(line));
        bool is_soft = false;
        while (cursor_left(&c) > 0) {
            buf_put_str(out, cursor_take_until(&c, '='));
            struct str next = str_sub(cursor_rest(&c), 0, 3);
            int high = next.len == 3 ? ascii_hex_value(next.ptr[1]) : -1;
            int low = next.len == 3 ? ascii_hex_value(next.ptr[2]) : -1;
            if (high >= 0 && low >= 0)
                buf_put_char(out, (char)(high * 16 + low));
            else if (next.len > 1)
                buf_put_char(out, '=');
            is_soft = next.len == 1;
            (void)cursor_take(&c, high >= 0 && low >= 0 ? 3 : MIN(next.len, (size_t)1));
        }
        if (has_end && !is_soft)
            buf_put_c(out, "\r\n");
    }
}

void decode_transfer(struct str encoding, struct str body, struct buf *out)
{
    encoding = str_trim(encoding);
    if (str_eq_nocase(encoding, STR("base64")))
        decode_base64(body, out);
    else if (str_eq_nocase(encoding, STR("quoted-printable")))
        decode_quoted(body, out);
    else
        buf_put_str(out, body);
}

static void convert(iconv_t cd, struct str text, struct buf *out)
{
    char *from = (char *)(uintptr_t)text.ptr; /* iconv() reads only, but has the old prototype */
    size_t left = text.len;

    while (left > 0) {
        char piece[CONVERT_BYTES], *to = piece;
        size_t room = sizeof(piece);
        size_t r = iconv(cd, &from, &left, &to, &room);
        buf_put(out, piece, sizeof(piece) - room);
        if (r != (size_t)-1 || errno == E2BIG)
            continue;
        buf_put_c(out, REPLACEMENT);
        from++;
        left--;
    }
}

void decode_charset(struct str charset, struct str text, struct buf *out)
{
    char name[CHARSET_MAX_BYTES];
    bool is_utf8 = charset.len == 0 || str_eq_nocase(charset, STR("utf-8")) ||
                   str_eq_nocase(charset, STR("us-ascii")) ||
                   !str_copy(charset, name, sizeof(name));
    iconv_t cd = (iconv_t)-1;

    /* "//" would choose transliteration. */
    if (!is_utf8 && strchr(name, '/') == NULL)
        cd = iconv_open("UTF-8", name);
    if (cd == (iconv_t)-1) {
        buf_put_str(out, text);
        return;
    }
    convert(cd, text, out);
    (void)iconv_close(cd);
}
