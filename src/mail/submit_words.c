/* Encoded words and base64: see submit_words.h. */
#include "mail/submit_words.h"

#include "base/utf8.h"

/* A word is at most 75 characters: "=?utf-8?B?", 60 of base64, "?=" are 72. */
enum { WORD_BYTES = 45 };

void submit_put_base64(struct buf *out, struct str bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    while (bytes.len > 0) {
        struct str three = str_sub(bytes, 0, 3);
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < three.len ? (unsigned char)three.ptr[i] : 0U);
        for (size_t i = 0; i < 4; i++)
            buf_put_char(out, i <= three.len ? letters[bits >> (18 - 6 * i) & 63U] : '=');
        bytes = str_sub(bytes, three.len, bytes.len);
    }
}

static bool is_clean(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return utf8_is_valid(text);
}

bool submit_put_words(struct buf *out, struct str text)
{
    if (!is_clean(text))
        return false;
    for (bool is_first = true; text.len > 0; is_first = false) {
        size_t len = 0, next;
        while ((next = utf8_char_len(str_sub(text, len, text.len))) > 0 && len + next <= WORD_BYTES)
            len += next;
        buf_put_c(out, is_first ? "=?utf-8?B?" : "\r\n\t=?utf-8?B?");
        submit_put_base64(out, str_sub(text, 0, len));
        buf_put_c(out, "?=");
        text = str_sub(text, len, text.len);
    }
    return true;
}
