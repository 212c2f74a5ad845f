/*
 * The mechanisms of SASL that we speak, their names and what each of them is: one table, for server
 * and client. Sets of mechanisms are bits, so that what is offered, allowed and chosen are sets,
 * too.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* In the order of preference, the best first. */
enum sasl_mechanism {
    SASL_EXTERNAL,           /* RFC 4422 appendix A */
    SASL_SCRAM_SHA_256_PLUS, /* RFC 7677 */
    SASL_SCRAM_SHA_1_PLUS,   /* RFC 5802 */
    SASL_SCRAM_SHA_256,
    SASL_SCRAM_SHA_1,
    SASL_OAUTHBEARER, /* RFC 7628 */
    SASL_XOAUTH2,     /* Google's and Microsoft's, before it was a standard */
    SASL_CRAM_MD5,    /* RFC 2195 */
    SASL_PLAIN,       /* RFC 4616 */
    SASL_LOGIN,       /* draft-murchison-sasl-login */
    SASL_MECHANISM_COUNT,
};

#define SASL_SET(mechanism) (1U << (mechanism))

enum sasl_mechanism_trait {
    SASL_TRAIT_PLAINTEXT = 1 << 0,    /* who listens learns what opens the account */
    SASL_TRAIT_BINDING = 1 << 1,      /* bound to the TLS connection */
    SASL_TRAIT_SERVER_FIRST = 1 << 2, /* the server begins: no initial response (RFC 4422 5) */
    SASL_TRAIT_SHA_256 = 1 << 3,      /* of SCRAM; the others take SHA-1 */
};

/* Names are at most 20 characters (RFC 4422 section 3.1). */
struct str sasl_mechanism_name(enum sasl_mechanism mechanism);
unsigned sasl_mechanism_traits(enum sasl_mechanism mechanism);
/* False when we know no mechanism of this name; case does not matter. */
MUST_CHECK bool sasl_mechanism_find(struct str name, enum sasl_mechanism *out_mechanism);

/* Appends the names of a set, blanks between them, the best first: what EHLO says behind AUTH. */
void sasl_mechanisms_put(unsigned set, struct buf *out);
/* The set of the names in a text of words, as the other end lists them; others are passed over. */
unsigned sasl_mechanisms_read(struct str words);
