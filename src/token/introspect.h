/*
 * Asking the issuer what a token is worth (RFC 7662). For any number of threads.
 *
 * A token that was good is remembered for auth.oauth_cache, never beyond its end, by a hash under a
 * key that is drawn at the start; bad ones are asked for each time.
 */
#pragma once

#include "conf/settings.h"
#include "token/claims.h"
#include "token/fetch.h"

enum { INTROSPECT_CACHE_MAX = 10000, INTROSPECT_IDLE_MAX = 8 /* connections that are kept */ };

struct introspector;

/* The settings and the texts have to stay. */
struct introspector *introspector_new(const struct settings *settings, struct str ca_pem,
                                      struct str client_secret) __attribute__((returns_nonnull));
/* NULL is taken. */
void introspector_free(struct introspector *i);

/* 0 and the token's claims; -EKEYREJECTED: it is not good; -EAGAIN: that cannot be found out now.
 * Then why, in one line, is in out_why. May wait for auth.oauth_timeout. */
MUST_CHECK int introspect(struct introspector *i, struct str token, struct claims *out,
                          char out_why[FETCH_WHY_BYTES]);
