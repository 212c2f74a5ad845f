/*
 * The keys of SCRAM (RFC 5802 section 3, RFC 7677): what a server keeps instead of a password, and
 * the two functions that the mechanism is made of.
 *
 * Nothing here keeps, compares or prepares anything: passwords come in as crypt/saslprep.h has
 * prepared them. Deriving takes as long as the iterations ask for (about half a microsecond each),
 * so servers do it on worker threads. The first call loads libcrypto's settings: call it once
 * before a sandbox forbids files.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum scram_hash { SCRAM_SHA_1, SCRAM_SHA_256 };

enum {
    SCRAM_KEY_MAX_BYTES = 32,
    SCRAM_SALT_BYTES = 16,       /* of the salts that we draw, and the most that is kept */
    SCRAM_SALT_MAX_BYTES = 1024, /* of salts that others send us */
    SCRAM_ITERATIONS_MIN = 4096, /* RFC 5802 section 5.1, RFC 7677 section 3 */
    SCRAM_ITERATIONS_DEFAULT = 4096,
    SCRAM_ITERATIONS_MAX = 1000000,
    SCRAM_PASSWORD_MAX_BYTES = 12000, /* SASLPREP_OUT_MAX_BYTES */
};

/* What is kept for an account. With the keys anybody can play the server, and try passwords. */
struct scram_keys {
    enum scram_hash hash;
    uint32_t iterations;
    size_t salt_bytes;
    size_t key_bytes; /* of each key: 20 or 32 */
    uint8_t salt[SCRAM_SALT_BYTES];
    uint8_t stored_key[SCRAM_KEY_MAX_BYTES];
    uint8_t server_key[SCRAM_KEY_MAX_BYTES];
};

/* What a client makes of the password for one login. */
struct scram_client_keys {
    size_t key_bytes;
    uint8_t client_key[SCRAM_KEY_MAX_BYTES];
    uint8_t stored_key[SCRAM_KEY_MAX_BYTES];
    uint8_t server_key[SCRAM_KEY_MAX_BYTES];
};

/* Bytes of a key: 20 or 32. */
size_t scram_hash_bytes(enum scram_hash hash);
/* HMAC(key, text) and H(text) of RFC 5802 section 2.2; scram_hash_bytes of them are written. */
void scram_hmac(enum scram_hash hash, struct str key, struct str text,
                uint8_t out_mac[SCRAM_KEY_MAX_BYTES]);
void scram_digest(enum scram_hash hash, struct str text, uint8_t out_digest[SCRAM_KEY_MAX_BYTES]);

/*
 * Derives what a server keeps: 0, or -EINVAL when the prepared password is empty or too long, the
 * salt is empty or longer than SCRAM_SALT_BYTES, or the iterations are out of range. The caller
 * draws the salt and wipes the keys.
 */
MUST_CHECK int scram_keys_derive(enum scram_hash hash, struct str password, struct str salt,
                                 uint32_t iterations, struct scram_keys *out_keys);

/* The same for a client, with the salt that a server sent: up to SCRAM_SALT_MAX_BYTES. */
MUST_CHECK int scram_client_keys_derive(enum scram_hash hash, struct str password, struct str salt,
                                        uint32_t iterations, struct scram_client_keys *out_keys);
