/*
 * The keys of the issuer: from a file, from where the settings say, or from where the issuer says
 * (OpenID Connect Discovery section 4). For any number of threads.
 *
 * Fetched keys are good for an hour. A token that names a key which is not among them makes them be
 * fetched again, because issuers change keys, but not more often than every 30 seconds, because
 * anybody can make up names. One thread fetches, and those that cannot go on without wait for it;
 * while the issuer cannot be reached, old keys serve for a day.
 */
#pragma once

#include "conf/settings.h"
#include "token/fetch.h"
#include "token/jwt.h"

enum {
    KEYS_LIFE_MS = 3600 * 1000,
    KEYS_STALE_MAX_MS = 24 * 3600 * 1000,
    KEYS_PAUSE_MS = 30 * 1000,
    KEYS_RETRY_MS = 5 * 1000, /* after a failure */
};

struct keys;

/* The settings and the texts have to stay. `file_json` is what is in auth.oauth_keys_file; empty:
 * keys are fetched, at the first need. 0; -EINVAL: the file has no keys, and *out_why says why. */
MUST_CHECK int keys_new(const struct settings *settings, struct str ca_pem, struct str file_json,
                        struct keys **out, const char **out_why);
/* NULL is taken. */
void keys_free(struct keys *k);

/* Whether the issuer has signed the token. 0; -EKEYREJECTED; -EAGAIN: it cannot be found out now.
 * Then why, in one line, is in out_why. May wait for auth.oauth_timeout. */
MUST_CHECK int keys_verify(struct keys *k, const struct jwt *jwt, char out_why[FETCH_WHY_BYTES]);
