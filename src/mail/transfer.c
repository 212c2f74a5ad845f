/* Writing quoted-printable, base64 and encoded words: see transfer.h. */
#include "mail/transfer.h"

#include "base/utf8.h"

enum { WORD_TEXT_MAX_BYTES = 36 }; /* 48 characters of base64, and 12 around them */

static const char hex_digits[] = "0123456789ABCDEF";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void transfer_init(struct transfer_encoder *e, enum transfer_encoding encoding)
{
    *e = (struct transfer_encoder){.encoding = encoding};
}

const char *transfer_name(enum transfer_encoding encoding)
{
    return encoding == TRANSFER_BASE64 ? "base64" : "quoted-printable";
}

/* --- quoted-printable --- */

/* The last column belongs to the '=' of a soft line end. */
static void qp_put(struct transfer_encoder *e, const char *text, size_t len, struct buf *out)
{
    if (e->column + len > TRANSFER_LINE_MAX_BYTES - 1) {
        buf_put_c(out, "=\r\n");
        e->column = 0;
    }
    if (e->column == 0)
        e->begins_with_dash = text[0] == '-';
    buf_put(out, text, len);
    e->column += len;
}

static void qp_put_hex(struct transfer_encoder *e, unsigned char byte, struct buf *out)
{
    char text[3] = {'=', hex_digits[byte >> 4], hex_digits[byte & 15]};

    qp_put(e, text, sizeof(text), out);
}

/* A space, tab or CR waits for what follows it: in front of a line end white space must be encoded,
 * and a CR is a line end only with its LF. */
static void qp_release(struct transfer_encoder *e, unsigned char next, struct buf *out)
{
    unsigned char byte = e->held[0];

    if (e->held_count == 0)
        return;
    e->held_count = 0;
    if (byte == '\r' || next == '\r')
        qp_put_hex(e, byte, out);
    else
        qp_put(e, (const char *)&byte, 1, out);
}

static void qp_put_byte(struct transfer_encoder *e, unsigned char byte, struct buf *out)
{
    if (byte == '\n' && e->held_count > 0 && e->held[0] == '\r') {
        e->held_count = 0;
        e->column = 0;
        buf_put_c(out, "\r\n");
        return;
    }
    qp_release(e, byte, out);
    if (byte == '\r' || byte == ' ' || byte == '\t') {
        e->held[0] = byte;
        e->held_count = 1;
        return;
    }
    bool is_second_dash = byte == '-' && e->column == 1 && e->begins_with_dash;
    if (byte > ' ' && byte < 0x7f && byte != '=' && !is_second_dash)
        qp_put(e, (const char *)&byte, 1, out);
    else
        qp_put_hex(e, byte, out);
}

/* --- base64 --- */

static void base64_put_group(struct transfer_encoder *e, size_t bytes, struct buf *out)
{
    const unsigned char *in = e->held;
    char text[4] = {base64_digits[in[0] >> 2], base64_digits[(in[0] & 3) << 4 | in[1] >> 4],
                    base64_digits[(in[1] & 15) << 2 | in[2] >> 6], base64_digits[in[2] & 63]};

    for (size_t i = bytes + 1; i < sizeof(text); i++)
        text[i] = '=';
    if (e->column + sizeof(text) > TRANSFER_LINE_MAX_BYTES) {
        buf_put_c(out, "\r\n");
        e->column = 0;
    }
    buf_put(out, text, sizeof(text));
    e->column += sizeof(text);
    e->held_count = 0;
}

static void base64_put_byte(struct transfer_encoder *e, unsigned char byte, struct buf *out)
{
    e->held[e->held_count++] = byte;
    if (e->held_count == sizeof(e->held))
        base64_put_group(e, sizeof(e->held), out);
}

/* --- the public side --- */

void transfer_put(struct transfer_encoder *e, struct str piece, struct buf *out)
{
    for (size_t i = 0; i < piece.len; i++) {
        if (e->encoding == TRANSFER_BASE64)
            base64_put_byte(e, (unsigned char)piece.ptr[i], out);
        else
            qp_put_byte(e, (unsigned char)piece.ptr[i], out);
    }
}

void transfer_finish(struct transfer_encoder *e, struct buf *out)
{
    size_t held_count = e->held_count;

    if (e->encoding == TRANSFER_QUOTED_PRINTABLE) {
        /* White space at the very end stands before a line end too. */
        qp_release(e, '\r', out);
        return;
    }
    for (size_t i = held_count; i < sizeof(e->held); i++)
        e->held[i] = 0;
    if (held_count > 0)
        base64_put_group(e, held_count, out);
}

/* The longest head of whole characters that one word may hold; never empty. */
static size_t word_bytes(struct str text)
{
    size_t len = 0;

    while (len < text.len) {
        size_t char_len = MAX(utf8_char_len(str_sub(text, len, text.len)), (size_t)1);
        if (len + char_len > WORD_TEXT_MAX_BYTES)
            break;
        len += char_len;
    }
    return len;
}

void transfer_put_words(struct str text, struct buf *out)
{
    if (!utf8_has_non_ascii(text)) {
        buf_put_str(out, text);
        return;
    }
    while (text.len > 0) {
        struct transfer_encoder e;
        size_t len = word_bytes(text);
        transfer_init(&e, TRANSFER_BASE64);
        buf_put_c(out, "=?UTF-8?B?");
        transfer_put(&e, str_sub(text, 0, len), out);
        transfer_finish(&e, out);
        buf_put_c(out, "?=");
        text = str_sub(text, len, text.len);
        if (text.len > 0)
            buf_put_c(out, "\r\n ");
    }
}
