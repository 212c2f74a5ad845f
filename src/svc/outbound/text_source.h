/*
 * The text of a queued message in pieces, as an SMTP transaction takes it: read from the store,
 * made fit for the peer where that is needed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "mail/mime_7bit.h"
#include "store/queue_wire.h"

struct text_source {
    uint64_t id;
    uint64_t bytes; /* of the whole text */
    uint64_t at;
    struct str whole;        /* all of it, if it came along with the message */
    struct buf reply;        /* of the store: the piece lies in it */
    struct mime_7bit *seven; /* once the text was looked at */
    struct buf converted;
    size_t taken;                 /* of the converted bytes */
    struct mime_7bit_facts facts; /* after looking */
    bool converts;                /* to be set after looking */
    bool has_finished;
    int conversion; /* after looking: 0 not needed, 1 possible, negative errno: impossible */
};

/* The message's text, if it has it, must outlive the source. */
void text_source_init(struct text_source *s, const struct queue_message *m);
void text_source_done(struct text_source *s);
/* Reads all of it once, to know what it needs to be as the peer wants it (MIME_7BIT_ bits). Yields.
 * 0 or negative errno. */
MUST_CHECK int text_source_look(struct text_source *s, unsigned wants);
/* The next piece: as smtp_client_message.next_piece. Yields. */
MUST_CHECK int text_source_next(struct text_source *s, struct str *out_piece);
