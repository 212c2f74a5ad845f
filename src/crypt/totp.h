/*
 * One-time codes by time (RFC 6238), by liboath, and what an authenticator app is told.
 *
 * Pure: the time comes in, nothing is kept. Whoever checks keeps the step of the last code and
 * hands it in again, so that a code works once (RFC 6238 section 5.2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum totp_hash { TOTP_SHA_1, TOTP_SHA_256, TOTP_SHA_512 };

enum {
    TOTP_SECRET_BYTES = 20, /* as long as the hash, RFC 4226 section 4 */
    TOTP_STEP_S = 30,
    TOTP_DIGITS = 6,
    TOTP_DIGITS_MAX = 8,
    TOTP_WINDOW_STEPS = 1, /* before and after now: clocks differ, people type slowly */
};

/* The code of one step: `digits` (6 to 8) characters and a NUL. 0, or -EINVAL. */
MUST_CHECK int totp_code(enum totp_hash hash, struct str secret, int64_t step, unsigned digits,
                         char out[TOTP_DIGITS_MAX + 1]);
/* Whether the typed code (spaces are ignored) is one of the steps around now, and of a later one
 * than `last_step`; then the step is in *out_step. SHA-1 and 6 digits: what every app knows. */
bool totp_check(struct str secret, struct str typed, int64_t now_s, int64_t last_step,
                int64_t *out_step);

/* The secret in base 32, in groups of four for people who type it. */
void totp_put_secret(struct buf *out, struct str secret);
/* "otpauth://totp/ISSUER:ACCOUNT?secret=...&issuer=...", as apps read it from a QR code. */
void totp_put_uri(struct buf *out, struct str issuer, struct str account, struct str secret);
