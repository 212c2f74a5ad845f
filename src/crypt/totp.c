/* One-time codes by time: see totp.h. */
#include "crypt/totp.h"

#include <errno.h>
#include <liboath/oath.h>
#include <openssl/crypto.h>
#include <string.h>

#include "crypt/code_text.h"

enum { SECRET_GROUP_CHARS = 4 };

int totp_code(enum totp_hash hash, struct str secret, int64_t step, unsigned digits,
              char out[TOTP_DIGITS_MAX + 1])
{
    static const int flags[] = {0, OATH_TOTP_HMAC_SHA256, OATH_TOTP_HMAC_SHA512};

    if (digits < TOTP_DIGITS || digits > TOTP_DIGITS_MAX || step < 0)
        return -EINVAL;
    int r = oath_totp_generate2(secret.ptr, secret.len, (time_t)(step * TOTP_STEP_S), TOTP_STEP_S,
                                0, digits, flags[hash], out);
    return r == OATH_OK ? 0 : -EINVAL;
}

/* The digits among what was typed; false when there are others or not six of them. */
static bool take_digits(struct str typed, char out[TOTP_DIGITS + 1])
{
    size_t count = 0;

    for (size_t i = 0; i < typed.len; i++) {
        char c = typed.ptr[i];
        if (c == ' ')
            continue;
        if (!ascii_is_digit(c) || count == TOTP_DIGITS)
            return false;
        out[count++] = c;
    }
    out[count] = '\0';
    return count == TOTP_DIGITS;
}

bool totp_check(struct str secret, struct str typed, int64_t now_s, int64_t last_step,
                int64_t *out_step)
{
    char digits[TOTP_DIGITS + 1], code[TOTP_DIGITS_MAX + 1];
    int64_t now_step = now_s / TOTP_STEP_S;
    bool is_right = false;

    if (!take_digits(typed, digits))
        return false;
    /* All steps are tried, whichever fits. */
    for (int64_t step = now_step - TOTP_WINDOW_STEPS; step <= now_step + TOTP_WINDOW_STEPS;
         step++) {
        if (totp_code(TOTP_SHA_1, secret, step, TOTP_DIGITS, code) < 0)
            continue;
        if (CRYPTO_memcmp(code, digits, TOTP_DIGITS) != 0 || step <= last_step || is_right)
            continue;
        is_right = true;
        *out_step = step;
    }
    OPENSSL_cleanse(code, sizeof(code));
    return is_right;
}

void totp_put_secret(struct buf *out, struct str secret)
{
    code_text_put_base32(out, secret, SECRET_GROUP_CHARS, ' ');
}

/* RFC 3986 section 2.3: all others are escaped. */
static void put_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (ascii_is_alnum(c) || str_find(STR("-._~"), c) >= 0)
            buf_put_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

void totp_put_uri(struct buf *out, struct str issuer, struct str account, struct str secret)
{
    buf_put_c(out, "otpauth://totp/");
    put_escaped(out, issuer);
    buf_put_char(out, ':');
    put_escaped(out, account);
    buf_put_c(out, "?secret=");
    code_text_put_base32(out, secret, 0, '\0');
    buf_put_c(out, "&issuer=");
    put_escaped(out, issuer);
}
