/*
 * A destination at work, as its fibers share it, and one of them: a line, which has a connection
 * and sends one message after another over it. Private to runner.c and line.c.
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "store/queue_wire.h"
#include "svc/outbound/courier.h"
#include "svc/outbound/site.h"
#include "svc/outbound/target.h"

enum { LINE_BATCH_MAX = 20 /* messages */, LINE_COME_BACK_MS = 1000 };

/* One destination; its fibers share it. */
struct job_of_destination {
    struct list link;
    char *name;
    uint64_t lease; /* of the store */
    int64_t place;  /* of its first message, when it was opened: lower ones come first */
    bool is_probing;
    bool is_asked; /* as in struct queue_destination */
    const struct settings *settings;
    struct arena arena; /* of the target */
    struct target target;
    struct site *site;
    unsigned lines; /* fibers with a connection, or on their way to one */
    bool is_empty;  /* the store had nothing more */
    /* Why it is laid down; the first reason counts. */
    bool is_down, is_untried; /* as in struct queue_closed */
    struct trouble down;
    int64_t not_before_ms; /* mono */
    int64_t begun_ms;      /* real */
};

/* A fiber of a destination: one connection after another, one message after another. It has one
 * place of its site, hence never two connections, nor one while it dials. */
struct line {
    struct job_of_destination *job;
    struct connection *connection; /* NULL: none now */
    struct courier courier;
    struct buf reply; /* of queue.take: the batch lies in it */
    struct buf tried;
    uint32_t batch_size;
    bool is_over;   /* it has no connection and gets none: what is left goes back */
    bool is_reused; /* the connection has carried something before, maybe for others */
};

/* Messages, and the replies to their recipients, on the way to the store's result. */
struct delivery {
    const struct queue_message *message;
    struct smtp_client_reply *replies; /* of all recipients; stage and host of the last try */
    size_t *open;                      /* indexes of those that are to be tried (again) */
    size_t open_count;
    int64_t begun_ms;
    /* Who was tried last; the connection may be gone. "": nobody was asked. */
    char host[256];
    char ip[64];
    bool knows_dsn, knows_deliver_by;
};

/* It gets a connection that is at hand (else NULL), and owns it. batch_size 0: the usual one. */
void line_init(struct line *l, struct job_of_destination *d, struct connection *c,
               uint32_t batch_size);
/* Settles the last result; what is left of the line is its connection. Yields. 0 or -ECANCELED. */
MUST_CHECK int line_done(struct line *l);
/* Works as long as there is something to take and the site is reached. Yields. 0 or -ECANCELED. */
MUST_CHECK int line_run(struct line *l);
/* Takes the next batch; its texts lie in l->reply. Yields. 1, 0 when there is none, -ECANCELED. */
MUST_CHECK int line_take(struct line *l, struct arena *arena, struct queue_batch *out);
/* Logs what became of a message and tells the store. Yields. 0 or -ECANCELED. */
MUST_CHECK int line_tell(struct line *l, const struct delivery *del, struct arena *arena);

/* runner.c: the destination cannot be reached (the first reason counts); it is to be taken up again
 * after a while, though nothing is wrong with it; one more line, if the site has room for it. */
void runner_note_down(struct job_of_destination *d, const struct trouble *why);
void runner_note_busy(struct job_of_destination *d, int64_t until_ms);
void runner_add_line(struct job_of_destination *d);
