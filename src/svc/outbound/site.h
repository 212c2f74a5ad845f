/*
 * Sites: what is really one place on the other side. All destinations whose MX hosts are the same
 * (and that are sent to in the same way) share one: its number of connections, its rate, what is
 * known of its health, its idle connections.
 *
 * Here is also the bound on the sockets to all sites together, outbound.max_connections. It is
 * counted in places: a line has one as long as it works, for the one socket that it may have, be it
 * dialling or connected; an idle connection has one, which it gives up to whoever has work. When
 * lines have all places, the sites that want one get theirs in turn.
 *
 * The number of connections of a site starts small, grows by one with every message that is
 * delivered while all are busy, and is halved when the site says "later" or fails. Memory only;
 * bounded: sites without use are forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "conf/settings.h"
#include "svc/outbound/connection.h"

enum {
    SITES_MAX = 20000,
    SITE_FIRST_CONNECTIONS = 5,
    SITE_WAITERS_MAX = 200, /* destinations that wait for a connection of one site */
    SITE_BLAMED_MAX = 3,    /* failures of the server in a row until it is left alone */
    SITE_BURST = 5,         /* messages that may go at once under a rate */
};

/* Why a destination could not be reached: of the host that was tried last, with what the others
 * did in `why`. */
struct trouble {
    char status[16];
    uint16_t code; /* of the host's reply; 0: it did not come to one */
    char why[512];
    char host[256];
};

struct site {
    char *key;
    struct list link; /* of all sites */
    struct list idle; /* struct connection, the one used last at the end */
    struct list waiters;
    struct list turn; /* of the sites that wait for a place */
    unsigned waiter_count;
    unsigned users;  /* destinations at work with it */
    unsigned in_use; /* places that lines have */
    unsigned limit, limit_max;
    unsigned blamed;         /* in a row */
    int messages_per_minute; /* 0: any */
    int messages_per_connection;
    int max_recipients;
    int64_t next_slot_ms;  /* of the rate */
    int64_t down_until_ms; /* mono; 0: as far as is known, it works */
    unsigned failures;
    struct trouble down;
    int64_t used_ms;
};

void sites_init(void);
/* Closes what is idle; no destination is at work any more. */
void sites_done(void);
/* The site of this key, made if it is new, with one more user. NULL when there are too many. */
struct site *site_use(struct str key);
void site_leave(struct site *s);
/* Takes the limits of the shipped and own `destination` sections that fit, and the defaults. */
void site_set_limits(struct site *s, const struct settings *settings,
                     const struct settings_destination *limits);

/* Waits for a place, that is for the right to one socket; among others by `order`, the lowest
 * first. Yields. 0, and an idle connection of the site if there is one, else NULL; -EAGAIN: too
 * many wait who come before, or the deadline (ms) has passed; -ECANCELED. Pair: site_release. */
MUST_CHECK int site_acquire(struct site *s, int64_t order, int64_t deadline_ms,
                            struct connection **out_idle);
/* Gives the place back. The connection (NULL: there is none), which must owe nobody anything, is
 * kept for others for a while; closed when it is of no use, or there is no time. Takes ownership.
 * Yields. */
void site_release(struct site *s, struct connection *c, int64_t idle_ms);
/* Whether one more place could be had at once. */
bool site_has_room(const struct site *s);
/* Whether a destination with so many lines is to end one, because others wait. */
bool site_must_give_way(const struct site *s, unsigned lines);
/* For a line that has a place and no connection: an idle one of the site that is still alive, or
 * NULL; the caller owns it. */
struct connection *site_take_idle(struct site *s);

/* When the next message may go (mono ms); takes the slot. 0: now. */
int64_t site_take_slot(struct site *s);
/* The slot that was taken last is not used. */
void site_give_slot_back(struct site *s);

/* A message got through; the site said "later" or failed; a site could not be reached at all. */
void site_note_success(struct site *s, bool was_busy);
void site_note_blame(struct site *s);
/* It refused one more connection than there are. */
void site_note_limit(struct site *s);
void site_note_down(struct site *s, int64_t until_ms, const struct trouble *why);

/* Closes what has been idle for too long, forgets unused sites. Yields. */
void sites_sweep(void);
