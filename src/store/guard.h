/*
 * Who may come in and who may try to log in: failed logins slow down their address, their network
 * and the account they are about, and then the address is banned for a while, longer each time.
 *
 * An account is never locked by strangers: whoever has logged in from an address of late may go on
 * from there, however many others fail elsewhere. One truth for all workers, in memory of fixed
 * size; bans are rows, too, so that they outlive a restart: what changes among them is told to the
 * caller. Belongs to the loop thread; pure but for the log: time is given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/str.h"
#include "conf/settings.h"

struct guard;

enum { GUARD_REASON_MAX_BYTES = 200, GUARD_BANS_MAX = 20000, GUARD_DELAY_MAX_MS = 5000 };

enum guard_verdict {
    GUARD_OK = 0,
    GUARD_BANNED,   /* the address, for a while */
    GUARD_TOO_MANY, /* from its address or network lately: later */
    GUARD_SLOWED,   /* too many failures for the account lately: later */
};

struct guard_ban {
    struct ip_net net;
    int64_t since_ms, until_ms; /* real time; until INT64_MAX: until it is lifted */
    unsigned strikes;           /* the bans of this network so far, this one too */
    /* An administrator's is for all that the network does; one that failed logins have brought, for
     * logins only: mail servers may live at the same address, and their mail is not at fault. */
    bool is_for_all;
    char reason[GUARD_REASON_MAX_BYTES];
};

struct guard *guard_new(const struct settings *settings);
/* NULL is taken. */
void guard_free(struct guard *g);
/* From the next question on. */
void guard_configure(struct guard *g, const struct settings *settings);

/* Whether a connection may begin, to a service where one logs in or to another; at the moment of
 * connecting. BANNED, or TOO_MANY when it connects too often. */
enum guard_verdict guard_connect(struct guard *g, struct ip_rate_key peer, bool has_login,
                                 int64_t now_ms);
/* Whether the peer may begin another message, of one who has not logged in; then it is counted.
 * BANNED, if that has come while it was connected, or TOO_MANY. */
enum guard_verdict guard_message(struct guard *g, struct ip_rate_key peer, int64_t now_ms);
/* A login that is tried. */
struct guard_attempt {
    struct ip_rate_key peer;
    struct str name; /* of the account, as it is looked up; "": a token that does not say whose */
    /* By a password or a proof of one. Its place among the account's failures is taken before it is
     * judged and given back if it was right: however many come at once, they are no more. */
    bool is_guess;
};
enum guard_outcome {
    GUARD_FAILED,
    GUARD_SUCCEEDED,
    GUARD_UNDECIDED, /* it could not be judged; or it was right, and may not be used here */
};
/* Whether it may be tried; if so, guard_note_login is due. */
enum guard_verdict guard_login(struct guard *g, const struct guard_attempt *a, int64_t now_ms);
/* How it ended. True when that brings a new ban, which is in *out_ban then. */
bool guard_note_login(struct guard *g, const struct guard_attempt *a, enum guard_outcome outcome,
                      int64_t now_ms, struct guard_ban *out_ban);
/* How long whoever has failed just now is to wait for the answer, ms: nothing after two failures of
 * his address, then ever longer, up to GUARD_DELAY_MAX_MS; sooner where many of his network fail,
 * or many strangers for the same name. */
int64_t guard_delay_ms(const struct guard *g, struct ip_rate_key peer, struct str name,
                       int64_t now_ms);
/* Somebody logged in from there at that time: before the server was started. */
void guard_know(struct guard *g, struct ip_rate_key peer, struct str name, int64_t then_ms);

/* A ban as an administrator, or the rows at the start, have it; replaces one of the same network.
 * 0, or -ENOSPC when there are GUARD_BANS_MAX of administrators; where others fill the table, the
 * one that ends first makes room. */
MUST_CHECK int guard_add_ban(struct guard *g, const struct guard_ban *ban);
/* Lifts the ban of just this network and forgets what its addresses have done: whether there was
 * one.
 */
bool guard_remove_ban(struct guard *g, const struct ip_net *net);
size_t guard_ban_count(const struct guard *g);

/* The network that a key stands for: a v4 address, a v6 /64. */
struct ip_net guard_net_of(struct ip_rate_key key);
