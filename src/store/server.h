/*
 * The store's side of its channels: connections with a role, sessions they count, spool files they
 * fill, jobs they wait for. Everything here belongs to the loop thread.
 */
#pragma once

#include "rt/rpc.h"
#include "store/store.h"

struct store_server;

struct store_server_config {
    struct store *store;
    unsigned max_sessions;
    unsigned max_sessions_per_address;
    /* An administrator asks to reload; answered by store_server_reload_done with this token. */
    void (*on_reload)(void *arg, uint64_t token);
    void *arg;
};

MUST_CHECK int store_server_new(const struct store_server_config *config,
                                struct store_server **out);
/* Stops the store, answers what it has finished, closes all connections. NULL is taken. */
void store_server_free(struct store_server *s);
/* Takes over a connected socket that speaks with this role. 0 or negative errno. */
MUST_CHECK int store_server_add(struct store_server *s, int fd, enum rpc_role role);
/* Takes over a listening socket for the role admin (the control socket). */
MUST_CHECK int store_server_listen(struct store_server *s, int fd);
void store_server_set_limits(struct store_server *s, unsigned max_sessions,
                             unsigned max_sessions_per_address);
/* Answers a reload: status 0 or errno, and a text. */
void store_server_reload_done(struct store_server *s, uint64_t token, int status, struct str text);
/* The routes have changed: what waits is looked at anew. */
void store_server_reroute(struct store_server *s);
/* Starts a maintenance step unless one is under way. */
void store_server_maintain(struct store_server *s);
