/*
 * Channel bindings (RFC 5056): what both ends of one TLS connection know and nobody between two
 * connections does. TLS gives the bytes; SCRAM mixes them into its proof.
 *
 * tls-unique (RFC 5929 section 3) is left out: it is not safe without the extended master secret,
 * and TLS 1.3 has none (RFC 9266).
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* In the order in which a client takes them. */
enum sasl_binding {
    SASL_BINDING_TLS_EXPORTER,         /* RFC 9266; not of TLS 1.2 without extended master secret */
    SASL_BINDING_TLS_SERVER_END_POINT, /* RFC 5929 section 4: the hash of the certificate */
    SASL_BINDING_COUNT,
};

struct sasl_bindings {
    struct str data[SASL_BINDING_COUNT]; /* empty: not there */
};

/* "tls-exporter" and so on, as in p=. */
struct str sasl_binding_name(enum sasl_binding binding);
/* Whether it is one of those names. */
bool sasl_binding_is_known(struct str name);
bool sasl_bindings_are_there(const struct sasl_bindings *bindings);
/* The data of a named binding; empty when it is unknown or not there. */
struct str sasl_bindings_find(const struct sasl_bindings *bindings, struct str name);
