/*
 * The kinds of children: one row says all that the master has to know of a process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"
#include "rt/rpc.h"
#include "svc/control.h"

/* Who ends before whom: the later outlive all who need them. */
enum child_stage {
    CHILD_STAGE_WORKERS,
    CHILD_STAGE_HELPERS, /* the resolver and the auth process */
    CHILD_STAGE_STORE,
    CHILD_STAGES, /* how many there are */
};

#define LISTENER_BIT(listener) (UINT32_C(1) << (listener))

struct child_kind {
    const char *service; /* "store", "inbound", ...: a struct service of that name */
    enum rpc_role role;  /* towards the store; 0: it has no channel to the store */
    bool asks_resolver;  /* has a channel to the resolver */
    bool asks_auth;      /* has a channel to the auth process, where there is one */
    bool is_peer;        /* the one that others have channels to, as: */
    enum control_peer peer;
    uint32_t listeners; /* whose sockets it gets: LISTENER_BIT of each control_listener */
    unsigned secrets;   /* which parts of svc/secrets.h it gets */
    enum child_stage stage;
    /* Slots make ids unique; each kind has its own range, so that no setting moves another's. */
    unsigned first_slot;
    int (*count)(const struct settings *settings);
};

/* In the order in which they are started; peers, of which there is one or none, come first. */
const struct child_kind *child_kinds(size_t *out_count);
