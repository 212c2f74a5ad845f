/*
 * What goes wrong around logins and limits, gathered for the trace: many failures are one event,
 * whose count grows. Strangers can cause as many as they like, so the table has a fixed size, an
 * event lasts for an hour, and what has no place in the table is counted together.
 *
 * An event is recorded at its first occurrence; later ones replace it, at most once in
 * INCIDENT_WRITE_EVERY_MS (trace_event.h: gathered). Pure: time is given, and what is to be
 * recorded is appended to a buffer. Belongs to the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/ip.h"

enum incident_kind {
    INCIDENT_FAILED = 0,     /* logins to an account */
    INCIDENT_GUESSED,        /* logins to names that nobody has, by address */
    INCIDENT_SLOWED,         /* logins that were turned away because of others' failures */
    INCIDENT_MESSAGES,       /* refused by a limit of the account: in the order of usage_limit */
    INCIDENT_RECIPIENTS,     /* the same */
    INCIDENT_NEW_RECIPIENTS, /* the same */
    INCIDENT_BANNED,         /* networks for which there was no place of their own */
    INCIDENT_KIND_END,
};

enum {
    INCIDENT_WINDOW_MS = 3600 * 1000,
    INCIDENT_WRITE_EVERY_MS = 10 * 1000,
    INCIDENT_PEERS_MAX = 4, /* that an event names; others are counted */
    INCIDENT_OF_A_KIND_MAX = 512,
    INCIDENT_BANS_MAX = 512, /* in a window, told one by one */
    /* All that can be recorded at once. */
    INCIDENT_RECORD_MAX_BYTES = 4 * 1024 * 1024,
};

struct incidents;

/* One occurrence. */
struct incident {
    enum incident_kind kind;
    struct str key;     /* what makes it the same event: the name that is looked up, the network */
    struct str address; /* the account's, printed; empty: it is about no account */
    struct ip_rate_key peer; /* IP_NONE: from nowhere */
    int64_t limit;           /* that was hit; 0: none */
};

/* `ids` makes the refs of the events and must stay. */
struct incidents *incidents_new(struct id_maker *ids);
/* NULL is taken. */
void incidents_free(struct incidents *i);

/* Counts it. True when it begins an event of its own. Appends to `out` what is to be recorded now.
 */
bool incidents_add(struct incidents *i, const struct incident *what, int64_t now_ms,
                   struct buf *out);
/* The same, if the event has begun already (then the address is known): whether it has. */
bool incidents_add_known(struct incidents *i, const struct incident *what, int64_t now_ms,
                         struct buf *out);
/* How often the event has happened in its window; 0: there is none. */
uint64_t incidents_count(const struct incidents *i, enum incident_kind kind, struct str key);
/* Appends "192.0.2.1 (12), 198.51.100.7 (3)": from where, as the event says. */
void incidents_put_peers(const struct incidents *i, enum incident_kind kind, struct str key,
                         struct buf *out);

/* A network that is banned, told to the accounts that it guessed at: one event for each of them (at
 * most a few), or one for nobody. Beyond INCIDENT_BANS_MAX in a window they are only counted. */
struct incident_ban {
    struct ip_rate_key peer; /* IP_NONE: an administrator's; no account is told */
    struct str network, reason;
    struct str address; /* the account whose login brought it; empty: none */
    int64_t until_ms;   /* INT64_MAX: until it is lifted */
    bool is_for_all;
};
void incidents_ban(struct incidents *i, const struct incident_ban *ban, int64_t now_ms,
                   struct buf *out);

/* Now and then: forgets events whose window is over; appends what has not been recorded for a
 * while, or with `is_all` all that has changed. */
void incidents_write(struct incidents *i, bool is_all, int64_t now_ms, struct buf *out);
