/*
 * The file that a program on this machine leaves for the server: an envelope of text lines, an
 * empty line, then the message as it was given.
 *
 *     hikyaku-mail 1
 *     from taro@example.org
 *     to 0 - jiro@example.net
 *
 * Written by `sendmail` and `hikyaku send`, read by the process that picks mail up, for which it is
 * a stranger's text: bounds are checked, unknown words are refused, nothing in it proves anything.
 * Who sends is not in the file: its owner is who sends. Values of SMTP parameters are checked
 * later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    SUBMIT_RECIPIENTS_MAX = 1000,
    SUBMIT_TEXT_MAX_BYTES = 512,
    SUBMIT_LINE_MAX_BYTES = 2 * SUBMIT_TEXT_MAX_BYTES + 16, /* "to" and two texts */
    SUBMIT_ENVELOPE_MAX_BYTES = (SUBMIT_RECIPIENTS_MAX + 16) * SUBMIT_LINE_MAX_BYTES,
    SUBMIT_NAME_MAX_BYTES = 200, /* of a person */
    SUBMIT_NOTIFY_ALL = 15,      /* never 1, success 2, failure 4, delay 8 */
};

struct submit_recipient {
    struct str address; /* as it was typed; may lack a domain */
    struct str orcpt;   /* "type;address", or empty */
    unsigned notify;    /* 0: not given */
};

struct submit_envelope {
    bool has_sender;      /* else the sender is the owner of the file */
    struct str sender;    /* as it was typed; empty: the null sender */
    struct str full_name; /* for a From field that has to be made; UTF-8, may be empty */
    struct str envid;     /* xtext, or empty */
    struct str ret;       /* "full", "hdrs" or empty */
    /* Values of HOLDUNTIL, BY (its seconds count from the time of the file) and MT-PRIORITY, or
     * empty; without spaces. */
    struct str hold_until, by, priority;
    const struct submit_recipient *recipients;
    size_t recipient_count;
};

/* Whether the text may stand in a line of the file: no control characters, not too long. */
bool submit_file_may_hold(struct str text);
/* Appends the envelope with its empty line. Texts must have passed submit_file_may_hold; ORCPT has
 * no spaces. */
void submit_file_put(struct buf *out, const struct submit_envelope *envelope);

/* Reads the envelope at the start of `file`; views point into it, the list lives in `arena`. 0 and
 * the bytes it takes; -EBADMSG. */
MUST_CHECK int submit_file_parse(struct str file, struct arena *arena, struct submit_envelope *out,
                                 size_t *out_bytes);
