/*
 * Secrets that people copy or type: random letters and digits in groups, told apart from what looks
 * alike, and read again however they were typed. Base 32 of RFC 4648 (a-z, 2-7), five bits each.
 *
 * Such a secret has so many random bits that guessing is hopeless even with its digest at hand: a
 * plain digest is enough to keep it by, where a password needs a slow hash.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    CODE_TEXT_APP_CHARS = 20,      /* an app password: 100 bits */
    CODE_TEXT_RECOVERY_CHARS = 16, /* a recovery code: 80 bits */
    CODE_TEXT_GROUP_CHARS = 4,
    CODE_TEXT_MAX_CHARS = 64,
    CODE_TEXT_DIGEST_BYTES = 32,
};

/* Appends a new random code in lower case, with '-' between the groups. */
void code_text_make(struct buf *out, size_t chars);
/* The digest (BLAKE2b) of a code, however its groups and letters were typed; `what` keeps digests
 * of different uses apart. Of any text: one that is no code has a digest nobody stored. */
void code_text_digest(struct str typed, struct str what, uint8_t out[CODE_TEXT_DIGEST_BYTES]);
/* Appends bytes as base 32 in upper case, without padding, `separator` after every `group`
 * characters (0: no groups). */
void code_text_put_base32(struct buf *out, struct str bytes, size_t group, char separator);
