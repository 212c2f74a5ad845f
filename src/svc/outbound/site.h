/*
 * Sites: what is really one place on the other side. All destinations whose MX hosts are the same
 * (and that are sent to in the same way) share one: its number of connections, its rate, what is
 * known of its health, its idle connections.
 *
 * The number of connections starts small, grows by one with every message that is delivered while
 * all are busy, and is halved when the site says "later" or fails. Memory only; bounded: sites
 * without use are forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "conf/settings.h"
#include "rt/fiber.h"
#include "smtp/client.h"

enum {
    SITES_MAX = 20000,
    SITE_FIRST_CONNECTIONS = 5,
    SITE_WAITERS_MAX = 200, /* destinations that wait for a connection of one site */
    SITE_BLAMED_MAX = 3,    /* failures of the server in a row until it is left alone */
    SITE_BURST = 5,         /* messages that may go at once under a rate */
};

/* One connection and how it was made. */
struct connection {
    struct list link; /* of the site's idle ones */
    struct smtp_client client;
    struct smtp_client_config config;
    char ehlo_name[256];
    char host[256]; /* of the server, as MX named it */
    char ip[64];
    size_t host_index; /* in the order of the MX result it was made from */
    int64_t idle_until_ms;
};

struct site {
    char *key;
    struct list link; /* of all sites */
    struct list idle; /* struct connection, the one used last at the end */
    struct list waiters;
    unsigned waiter_count;
    unsigned users;  /* destinations at work with it */
    unsigned in_use; /* connections, or attempts to make one */
    unsigned limit, limit_max;
    unsigned blamed;         /* in a row */
    int messages_per_minute; /* 0: any */
    int messages_per_connection;
    int max_recipients;
    int64_t next_slot_ms;  /* of the rate */
    int64_t down_until_ms; /* mono; 0: as far as is known, it works */
    unsigned failures;
    char down_status[16];
    char down_why[512];
    int64_t used_ms;
};

void sites_init(void);
/* Closes what is idle. From a fiber; Yields. */
void sites_done(void);
/* The site of this key, made if it is new, with one more user. NULL when there are too many. */
struct site *site_use(struct str key);
void site_leave(struct site *s);
/* Takes the limits of the shipped and own `destination` sections that fit, and the defaults. */
void site_set_limits(struct site *s, const struct settings *settings,
                     const struct settings_destination *limits);

/* Waits for the right to one connection. Yields. 0; -EAGAIN: too many wait already, or the deadline
 * (ms) has passed; -ECANCELED. Pair: site_release. */
MUST_CHECK int site_acquire(struct site *s, int64_t deadline_ms);
void site_release(struct site *s);
/* Whether one more connection could be had at once. */
bool site_has_room(const struct site *s);

/* When the next message may go (mono ms); takes the slot. 0: now. */
int64_t site_take_slot(struct site *s);
/* The slot that was taken last is not used. */
void site_give_slot_back(struct site *s);

/* A message got through; the site said "later" or failed; a site could not be reached at all. */
void site_note_success(struct site *s, bool was_busy);
void site_note_blame(struct site *s);
/* It refused one more connection than there are. */
void site_note_limit(struct site *s);
void site_note_down(struct site *s, int64_t until_ms, struct str status, struct str why);

/* An idle connection that is still alive, or NULL; the caller owns it. May yield. */
struct connection *site_take_idle(struct site *s);
/* Keeps a usable connection for others for a while; closes it when it is not, or there is no time.
 * Takes ownership. Yields. */
void site_give_idle(struct site *s, struct connection *c, int64_t idle_ms);
/* An empty record, counted; to be opened by the caller. */
struct connection *connection_new(void);
/* Says QUIT if it can, closes, frees. Yields. NULL is taken. */
void connection_free(struct connection *c);
/* Closes what has been idle for too long, forgets unused sites. Yields. */
void sites_sweep(void);
