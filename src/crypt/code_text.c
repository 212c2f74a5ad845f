/* Secrets that people copy or type: see code_text.h. */
#include "crypt/code_text.h"

#include <sodium.h>
#include <string.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

void code_text_make(struct buf *out, size_t chars)
{
    uint8_t random[CODE_TEXT_MAX_CHARS];

    ASSERT(chars <= sizeof(random));
    randombytes_buf(random, chars);
    for (size_t i = 0; i < chars; i++) {
        if (i > 0 && i % CODE_TEXT_GROUP_CHARS == 0)
            buf_put_char(out, '-');
        buf_put_char(out, letters[random[i] % 32]);
    }
    sodium_memzero(random, sizeof(random));
}

/* Lower case, without what stands between groups; the number of characters. */
static size_t normalise(struct str typed, char out[CODE_TEXT_MAX_CHARS])
{
    size_t count = 0;

    for (size_t i = 0; i < typed.len; i++) {
        char c = ascii_lower(typed.ptr[i]);
        if (c == '-' || c == ' ')
            continue;
        if (count == CODE_TEXT_MAX_CHARS)
            return 0;
        out[count++] = c;
    }
    return count;
}

void code_text_digest(struct str typed, struct str what, uint8_t out[CODE_TEXT_DIGEST_BYTES])
{
    char text[CODE_TEXT_MAX_CHARS];
    size_t bytes = normalise(typed, text);
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, CODE_TEXT_DIGEST_BYTES);
    (void)crypto_generichash_update(&state, (const uint8_t *)what.ptr, what.len);
    (void)crypto_generichash_update(&state, (const uint8_t *)text, bytes);
    (void)crypto_generichash_final(&state, out, CODE_TEXT_DIGEST_BYTES);
    sodium_memzero(text, sizeof(text));
    sodium_memzero(&state, sizeof(state));
}

void code_text_put_base32(struct buf *out, struct str bytes, size_t group, char separator)
{
    size_t bits = bytes.len * 8;

    for (size_t at = 0; at < bits; at += 5) {
        uint32_t high = (uint8_t)bytes.ptr[at / 8];
        uint32_t low = at / 8 + 1 < bytes.len ? (uint8_t)bytes.ptr[at / 8 + 1] : 0;
        char c = letters[(high << 8 | low) >> (11 - at % 8) & 31];
        if (group > 0 && at > 0 && (at / 5) % group == 0)
            buf_put_char(out, separator);
        buf_put_char(out, c >= 'a' ? (char)(c - 'a' + 'A') : c);
    }
}
