/*
 * Password hashes that other systems made: recognised when they are imported, verified until the
 * first login replaces them. Pure; it never makes such a hash, and takes none without a salt, none
 * that holds the password itself, and none so dear that one login would stop the others.
 *
 * Taken: what crypt(3) makes ($y$, $2a$ $2b$ $2y$, $6$, $5$), bare or behind {CRYPT},
 * {SHA512-CRYPT}, {SHA256-CRYPT}, {BLF-CRYPT}; argon2id, bare or behind {ARGON2ID}; {SSHA},
 * {SSHA256}, {SSHA512} (base 64 of digest and salt); PBKDF2 as passlib ($pbkdf2-sha256$...), LDAP
 * ({PBKDF2-SHA256}rounds$salt$hash) and Dovecot ({PBKDF2}$1$salt$rounds$hex) write it.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { FOREIGN_HASH_MAX_BYTES = 512, FOREIGN_PASSWORD_MAX_BYTES = 1024 };

/* Whether the text is a hash that can be verified: 0; -EINVAL, and *out_why is a constant text for
 * people, after "this is ". */
MUST_CHECK int foreign_hash_check(struct str text, const char **out_why);

/* Whether the password is right: 1 or 0; -EINVAL when foreign_hash_check would refuse the text or
 * the library cannot read it. Takes as long as the hash asks for, up to about a second: on worker
 * threads only. Compares in constant time. */
MUST_CHECK int foreign_hash_verify(struct str text, struct str password);
