/* Whether a token is good: see check.h. */
#include "token/check.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypt/secret.h"
#include "crypt/start.h"
#include "token/introspect.h"
#include "token/jwt.h"
#include "token/keys.h"

struct token_checker {
    atomic_uint refs;
    struct settings *settings;
    char *ca_pem;
    struct keys *keys; /* one of the two */
    struct introspector *introspector;
};

void token_start(void)
{
    size_t seed;

    crypt_start();
    fetch_start();
    /* jansson would read a file for it, and has none in a sandbox. 0 would mean: not given. */
    secret_random(&seed, sizeof(seed));
    json_object_seed(seed | 1);
}

int token_checker_new(const struct token_config *config, struct token_checker **out,
                      const char **out_why)
{
    struct token_checker *c = xcalloc(1, sizeof(*c));
    int r = 0;

    *out = NULL;
    *out_why = "";
    atomic_init(&c->refs, 1);
    c->settings = settings_copy(config->settings);
    c->ca_pem = str_dup(config->ca_pem);
    if (c->settings->auth_oauth == SETTINGS_OAUTH_KEYS)
        r = keys_new(c->settings, str_from_c(c->ca_pem), config->keys_json, &c->keys, out_why);
    else
        c->introspector =
            introspector_new(c->settings, str_from_c(c->ca_pem), config->client_secret);
    if (r < 0) {
        token_checker_unref(c);
        return r;
    }
    *out = c;
    return 0;
}

struct token_checker *token_checker_ref(struct token_checker *c)
{
    if (c != NULL)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

void token_checker_unref(struct token_checker *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    keys_free(c->keys);
    introspector_free(c->introspector);
    settings_free(c->settings);
    free(c->ca_pem);
    free(c);
}

/* The claims are looked at after the signature: nothing is said about a token that is forged. */
static int check_jwt(const struct token_checker *c, struct str token, struct token_verdict *out)
{
    struct jwt jwt;
    const char *why;

    int r = jwt_parse(token, &jwt, &why) < 0 ? -EKEYREJECTED : 0;
    if (r < 0)
        (void)snprintf(out->why, sizeof(out->why), "%s", why);
    else
        r = keys_verify(c->keys, &jwt, out->why);
    if (r == 0 && claims_judge(jwt.claims, CLAIMS_OF_JWT, c->settings, clock_real_ms(),
                               &out->claims, &why) < 0) {
        (void)snprintf(out->why, sizeof(out->why), "%s", why);
        r = -EKEYREJECTED;
    }
    jwt_done(&jwt);
    return r;
}

void token_check(struct token_checker *c, struct str token, struct token_verdict *out)
{
    int r;

    *out = (struct token_verdict){.result = TOKEN_BAD};
    if (token.len == 0 || token.len > JWT_MAX_BYTES) {
        (void)snprintf(out->why, sizeof(out->why), "it is empty or too long");
        return;
    }
    r = c->keys != NULL ? check_jwt(c, token, out)
                        : introspect(c->introspector, token, &out->claims, out->why);
    if (r == 0)
        out->result = TOKEN_GOOD;
    else if (r != -EKEYREJECTED)
        out->result = TOKEN_TEMPORARY;
    if (r < 0)
        out->claims = (struct claims){.until_ms = 0};
}
