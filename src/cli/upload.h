/*
 * One message on its way into a mailbox (import): text in pieces, then flags and date.
 *
 * Small messages ride in one request; larger ones go to the server's spool in pieces, so that no
 * process needs memory for the whole. The summary is made on the way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/id.h"
#include "cli/client.h"
#include "mail/mime.h"
#include "store/wire.h"

struct upload {
    struct client *client;
    struct id_maker *ids;
    struct str account, mailbox;
    struct buf text; /* not sent yet */
    struct buf args, reply;
    struct mime_scanner *scanner;
    uint64_t spool; /* 0: none */
    uint64_t bytes;
    int error; /* of this message; client->error says why */
};

/* What is known of the message beside its text. */
struct upload_facts {
    uint32_t flags;
    struct str keywords;
    int64_t received_ms;
};

/* The views must stay valid. Pair: upload_done. */
void upload_init(struct upload *u, struct client *client, struct id_maker *ids, struct str account,
                 struct str mailbox);
void upload_done(struct upload *u);

/* A message begins; adds text (CRLF). A failure shows at the end. */
void upload_begin(struct upload *u);
void upload_put(struct upload *u, struct str piece);
/* Stores it. 0, or negative errno and client->error; -EPIPE, -ETIMEDOUT, -EPROTO: the connection is
 * lost. */
MUST_CHECK int upload_end(struct upload *u, const struct upload_facts *facts);
/* Forgets the message. */
void upload_drop(struct upload *u);
/* Whether further messages are in vain. */
bool upload_is_fatal(int error);
