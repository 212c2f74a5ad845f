/*
 * The outcome of a command as a value: code, enhanced status code (RFC 3463, RFC 2034), text.
 * Handlers return it; one place (session.c) sends, logs and counts it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

struct reply {
    uint16_t code;        /* 0: nothing is to be said */
    const char *enhanced; /* "5.1.1"; "" where RFC 2034 section 4 wants none */
    const char *text;     /* lines separated by \n; never from the peer without being cleaned */
    bool is_last;         /* the session ends after it */
    bool is_forgiven;     /* a refusal that is nobody's mistake: neither counted nor traced */
    struct str recipient; /* whom a refusal is about, printed; valid until the reply is sent */
    struct str sender;    /* the same of a MAIL that was refused */
};

/* A reply with a fixed text. */
struct reply reply_of(uint16_t code, const char *enhanced, const char *text);
/* A reply with a formatted text in the arena. */
struct reply reply_printf(struct arena *arena, uint16_t code, const char *enhanced, const char *fmt,
                          ...) ATTR_PRINTF(4, 5);
/* The same, and the session ends after it. */
struct reply reply_last(struct reply reply);
/* Appends the reply's lines with CRLF (RFC 5321 section 4.2.1); long texts are cut at 500 bytes. */
void reply_print(const struct reply *reply, struct buf *out);

static inline bool reply_is_failure(const struct reply *reply)
{
    return reply->code >= 400;
}
