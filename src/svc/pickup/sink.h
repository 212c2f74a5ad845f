/*
 * Where the text of a picked up message gathers on its way to the store: in memory, or in a spool
 * of the store once it has grown; described by the MIME scanner as it passes. The counterpart of
 * smtp/intake for what does not come in a session.
 */
#pragma once

#include "mail/mime.h"
#include "smtp/backend.h"

struct sink {
    const struct smtp_backend *backend;
    struct mime_scanner *mime;
    struct buf text;
    uint64_t spool; /* 0: all is in `text` */
    uint64_t bytes;
    int error; /* the first failure; the rest is dropped */
};

void sink_init(struct sink *s, const struct smtp_backend *backend);
/* Drops what is left, also in the store. */
void sink_done(struct sink *s);
/* Takes a piece of at most SMTP_SPOOL_PIECE_BYTES. Yields. 0 or negative errno. */
MUST_CHECK int sink_put(struct sink *s, struct str piece);
/* Hands the message over; `message` lacks only text, spool and summary. Yields. As
 * smtp_backend.deliver: 0 when it is durable. */
MUST_CHECK int sink_deliver(struct sink *s, struct smtp_message *message);
