/*
 * For tests: a backend with three accounts that counts how it is asked, and helpers to write
 * dialogues readably.
 *
 * taro@example.jp has the password "pencil" (and the alias "taro", which may act as
 * office@example.jp); hanako@example.jp has a second factor; jiro@example.jp the password
 * "p\xc3\xa9ncil". Tokens and certificate names: "token-taro", "taro.cert".
 */
#pragma once

#include "sasl/server.h"

struct check_backend {
    unsigned passwords, scrams, crams, tokens, certificates, successes, failures;
    enum sasl_verdict failure_verdict;     /* of note_failure; BAD is the usual one */
    enum sasl_verdict first_verdict;       /* of everything else, when it is not OK */
    char authcid[SASL_NAME_MAX_BYTES + 1]; /* of the last call */
    char authzid[SASL_NAME_MAX_BYTES + 1];
    char password[4 * SASL_PASSWORD_MAX_BYTES];
};

extern const struct sasl_backend CHECK_BACKEND;

/* A fresh one, on which everything goes its usual way. */
struct check_backend check_backend_usual(void);
/* The password of an account; NULL when there is none. */
const char *check_backend_password(struct str name);

/* All that can be offered, over TLS with both bindings and a certificate. */
struct sasl_offer check_offer_full(void);
struct sasl_bindings check_bindings_full(void);

/* Text with "|" for NUL and "^" for control A, as base64; text behind "raw:" as it is. */
void check_put_line(const char *text, struct buf *out);
