/*
 * Whether a token that somebody else gave is good, and whose it is: what OAUTHBEARER and XOAUTH2
 * need (RFC 7628, 6750). By the issuer's signature or by asking the issuer, as auth.oauth says.
 *
 * Blocking: for the threads of a process that may connect out. Any number of them may share one
 * checker. Whether the account exists, and may log in, is the store's to say.
 */
#pragma once

#include "conf/settings.h"
#include "token/claims.h"
#include "token/fetch.h"

enum token_result {
    TOKEN_GOOD,
    TOKEN_BAD,
    TOKEN_TEMPORARY, /* the issuer could not be asked: nobody's fault that should be counted */
};

struct token_verdict {
    enum token_result result;
    struct claims claims;      /* of a good one */
    char why[FETCH_WHY_BYTES]; /* it is not good, in one line for the log; nothing secret in it */
};

struct token_config {
    const struct settings *settings; /* auth.oauth is not "off" */
    struct str ca_pem;               /* tls.ca_file */
    struct str keys_json;            /* auth.oauth_keys_file */
    struct str client_secret;        /* auth.oauth_client_secret_file */
};

struct token_checker;

/* Makes the libraries ready: once, before threads and sandbox. */
void token_start(void);
/* Everything of the configuration is copied. 0: *out has one reference, the caller's. -EINVAL: the
 * keys of the file are of no use, and *out_why says why in a few words. */
MUST_CHECK int token_checker_new(const struct token_config *config, struct token_checker **out,
                                 const char **out_why);
/* Counted, so that checks under way outlive a change of the settings. From any thread; NULL is
 * taken. */
struct token_checker *token_checker_ref(struct token_checker *c);
void token_checker_unref(struct token_checker *c);

/* Checks a token. Waits for auth.oauth_timeout at most (twice that behind another thread's wait).
 */
void token_check(struct token_checker *c, struct str token, struct token_verdict *out);
