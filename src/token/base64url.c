/* base64url: see base64url.h. */
#include "token/base64url.h"

#include <errno.h>
#include <stdint.h>

enum { BITS_PER_CHAR = 6, BITS_PER_BYTE = 8 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

int base64url_take(struct str text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;

    if (text.len % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0)
            return -EINVAL;
        bits = bits << BITS_PER_CHAR | (uint32_t)value;
        count += BITS_PER_CHAR;
        if (count < BITS_PER_BYTE)
            continue;
        count -= BITS_PER_BYTE;
        buf_put_char(out, (char)(bits >> count & 0xff));
    }
    /* What is left over has to be zero, or two texts would mean the same bytes. */
    if ((bits & ((1U << count) - 1)) != 0)
        return -EINVAL;
    return buf_status(out);
}

void base64url_put(struct str bytes, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << BITS_PER_BYTE | (unsigned char)bytes.ptr[i];
        count += BITS_PER_BYTE;
        while (count >= BITS_PER_CHAR) {
            count -= BITS_PER_CHAR;
            buf_put_char(out, alphabet[bits >> count & 63]);
        }
    }
    if (count > 0)
        buf_put_char(out, alphabet[bits << (BITS_PER_CHAR - count) & 63]);
}
