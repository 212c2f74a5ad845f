/*
 * Keys, certificates and passwords on their way from the master, which may read their files, to the
 * workers, which may not: CONTROL_TLS carries them sealed (rt/sealed.h).
 *
 * Pure: bytes in and out. Everybody gets only the parts that are for him.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum secrets_part {
    SECRETS_IDENTITIES = 1,  /* with the keys of session tickets: who takes connections */
    SECRETS_CLIENT_CA = 2,   /* with the lists of those called back: who asks clients for them */
    SECRETS_CA = 4,          /* who verifies servers */
    SECRETS_CREDENTIALS = 8, /* who logs in elsewhere */
    SECRETS_TOKENS = 16,     /* who checks tokens */
    SECRETS_LDAP = 32,       /* who asks directories */
    SECRETS_ALL = 63,
};

enum {
    SECRETS_MAX_BYTES = 48 << 20, /* of all together, encoded */
    SECRETS_IDENTITIES_MAX = 64,
    SECRETS_CREDENTIALS_MAX = 256,
    SECRETS_TICKET_KEYS_MAX = 2,
    SECRETS_TICKET_KEY_BYTES = 80,
    SECRETS_ARENA_BYTES = 64 * 1024, /* enough for what secrets_decode allocates */
};

/* A certificate with those above it, and its key, both PEM. */
struct secrets_identity {
    struct str name; /* of its section */
    struct str chain;
    struct str key;
};

struct secrets_credential {
    struct str route; /* name of the section */
    struct str password;
};

struct secrets {
    const struct secrets_identity *identities; /* the default first */
    size_t identity_count;
    struct str ticket_keys[SECRETS_TICKET_KEYS_MAX]; /* the one in use first */
    size_t ticket_key_count;
    struct str client_ca; /* PEM; empty: none; these all */
    struct str client_crl;
    struct str ca;
    struct str token_keys;    /* a JWKS; empty: none */
    struct str token_secret;  /* by which the issuer of tokens knows us; empty: none */
    struct str ldap_password; /* by which directories know us; empty: none */
    const struct secrets_credential *credentials;
    size_t credential_count;
};

/* Writes the parts (bits of enum secrets_part) and leaves out the others. */
void secrets_encode(const struct secrets *s, unsigned parts, struct buf *out);
/* The bytes that secrets_encode writes. */
size_t secrets_length(const struct secrets *s, unsigned parts);
/* 0, with views into the bytes and arrays in the arena; -EBADMSG when that is not what
 * secrets_encode writes. Safe for any bytes. */
MUST_CHECK int secrets_decode(struct str bytes, struct arena *arena, struct secrets *out);
