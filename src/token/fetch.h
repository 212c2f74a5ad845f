/*
 * One request to an identity provider over https, by libcurl; the calling thread waits.
 *
 * Nothing is taken from the environment (no proxy, no netrc), nothing is followed (no redirects),
 * and what comes is bounded in size and time. The certificate is verified by the authorities that
 * are given, and by no others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum { FETCH_MAX_BYTES = 256 * 1024, FETCH_WHY_BYTES = 300 };

/* Before threads and sandbox. */
void fetch_start(void);

/* A client, used by one thread at a time; it keeps its connections. */
struct fetcher;
struct fetcher *fetcher_new(void) __attribute__((returns_nonnull));
/* NULL is taken. */
void fetcher_free(struct fetcher *f);

struct fetch_request {
    const char *url;
    struct str ca_pem;       /* whom to trust */
    bool may_http;           /* on loopback: see url.h */
    const char *form;        /* what to POST (application/x-www-form-urlencoded); NULL: GET */
    const char *id, *secret; /* of a client (RFC 6749 section 2.3.1); NULL: none */
    int64_t timeout_ms;      /* for all of it */
};

/*
 * Appends the body of an answer with status 200 to out_body. 0, or a negative errno and why, in one
 * line, in out_why: -EINVAL (no address that may be asked), -ETIMEDOUT, -EPROTO (another status),
 * -EMSGSIZE (too long), -ECONNREFUSED (cannot be reached, or its certificate is bad).
 */
MUST_CHECK int fetch(struct fetcher *f, const struct fetch_request *request, struct buf *out_body,
                     char out_why[FETCH_WHY_BYTES]);
/* Appends the text in the coding of forms. */
void fetch_put_form(struct str text, struct buf *out);
