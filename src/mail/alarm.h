/*
 * The letter that tells postmaster of an account that may have been stolen: it sends too much, or
 * its password is guessed at. Plain text in Japanese, English or both; from a program (RFC 3834).
 *
 * Pure: the caller gathers the facts. The account's address is cleaned.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "mail/dsn.h"

enum alarm_cause { ALARM_TOO_MANY_RECIPIENTS = 1, ALARM_TOO_MANY_NEW_RECIPIENTS, ALARM_GUESSING };

enum { ALARM_MAX_BYTES = 32 * 1024 };

struct alarm_letter {
    enum alarm_cause cause;
    unsigned languages; /* enum dsn_language bits; none: English */
    struct str host;    /* this server's name */
    struct str id;      /* of the letter: makes its Message-ID */
    struct str account; /* its address */
    int64_t limit;      /* that was hit; not of ALARM_GUESSING */
    uint64_t count;     /* failed logins of late; of ALARM_GUESSING */
    struct str peers;   /* from where; of ALARM_GUESSING; may be empty */
    int64_t now_ms;
};

/* Appends the whole message, ASCII, with CR LF line ends. The buffer needs room for
 * ALARM_MAX_BYTES. */
void alarm_print(const struct alarm_letter *l, struct buf *out);
