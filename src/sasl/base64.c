/* Canonical base64: see base64.h. */
#include "sasl/base64.h"

#include <errno.h>
#include <stdint.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t byte_at(struct str s, size_t i)
{
    return i < s.len ? (unsigned char)s.ptr[i] : 0;
}

void sasl_base64_put(struct str bytes, struct buf *out)
{
    if (buf_reserve(out, (bytes.len + 2) / 3 * 4) == NULL)
        return;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group =
            byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8 | byte_at(bytes, i + 2);
        buf_put_char(out, ALPHABET[group >> 18]);
        buf_put_char(out, ALPHABET[group >> 12 & 63]);
        buf_put_char(out, left > 1 ? ALPHABET[group >> 6 & 63] : '=');
        buf_put_char(out, left > 2 ? ALPHABET[group & 63] : '=');
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* How many pads end the text: 0, 1 or 2. More are caught as characters. */
static size_t count_pads(struct str text)
{
    size_t pads = 0;

    while (pads < 2 && pads < text.len && text.ptr[text.len - 1 - pads] == '=')
        pads++;
    return pads;
}

int sasl_base64_take(struct str text, struct buf *out)
{
    size_t before = out->len;
    uint32_t bits = 0;
    unsigned bit_count = 0;

    if (text.len == 0)
        return 0;
    if (text.len % 4 != 0)
        return -EINVAL;
    size_t pads = count_pads(text);
    if (buf_reserve(out, text.len / 4 * 3 - pads) == NULL)
        return -EMSGSIZE;
    size_t len = text.len - pads;
    for (size_t i = 0; i < len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0) {
            buf_cut(out, before);
            return -EINVAL;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count < 8)
            continue;
        bit_count -= 8;
        buf_put_char(out, (char)(bits >> bit_count & 0xff));
    }
    /* What is left over has to be zero, or two texts would mean the same bytes. */
    if ((bits & ((1U << bit_count) - 1)) != 0) {
        buf_cut(out, before);
        return -EINVAL;
    }
    return 0;
}
