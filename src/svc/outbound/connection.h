/*
 * Connections to other servers, and those among them that are idle: kept for a while for whoever
 * has mail for the same site.
 *
 * An idle connection owes nobody anything, since the results of all it has carried are settled
 * before. So it may be closed at any time, when its place is needed. How many there may be is none
 * of this module's business: see site.h.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "smtp/client.h"

/* One connection and how it was made. */
struct connection {
    struct list link;   /* of the site's idle ones */
    struct list in_all; /* of all idle ones */
    struct smtp_client client;
    struct smtp_client_config config;
    char ehlo_name[256];
    char host[256]; /* of the server, as MX named it */
    char ip[64];
    size_t host_index; /* in the order of the MX result it was made from */
    int64_t idle_until_ms;
    struct buf password; /* while the connection is made */
};

/* Wipes the password that was used. */
void connection_forget_password(struct connection *c);

/* An empty record, to be opened by the caller. */
struct connection *connection_new(void);
/* Says QUIT if it can, waits a little for the answer, closes, frees. Yields. NULL is taken. */
void connection_free(struct connection *c);

/* --- idle ones; none of these yields --- */

void connections_init(void);
/* How many are idle. */
unsigned connections_idle(void);
/* Keeps it at the end of its site's list. Takes ownership. */
void connection_keep(struct connection *c, struct list *of_site, int64_t until_ms);
/* The one of the site that was used last, is still alive and has time left, or NULL; the caller
 * owns it. */
struct connection *connection_take(struct list *of_site);
/* One whose time is over, or NULL; the caller owns it. */
struct connection *connection_take_expired(void);
/* Closes the one that has been idle for longest, of all sites; there must be one. Says QUIT and
 * does not wait for the answer. */
void connection_drop_oldest(void);
/* Closes those that the other side has left. */
void connections_drop_dead(void);
