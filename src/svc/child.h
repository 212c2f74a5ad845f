/*
 * What all children of the master have in common: their start, their talk with the master, their
 * channels to other processes, their end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"
#include "conf/settings.h"
#include "rt/loop.h"
#include "rt/rpc.h"
#include "rt/sandbox.h"
#include "svc/control.h"

/* One message of the master; fd is the receiver's to keep, or -1. */
struct control_event {
    uint16_t type;
    struct cursor payload;
    int fd;
};

/* A process of the server: what it may do and what it does. */
struct service {
    const char *name;
    bool uses_resolver; /* takes CONTROL_RESOLVER_CHANNEL; others never see one */
    /* Whom it becomes, where the server was started as root; "" and NULL: server.user. */
    const char *(*user)(const struct settings *settings);
    bool has_its_groups; /* those of that user; others have none */
    /* Fills the profile's paths from the settings; called once, before the sandbox. What has to be
     * read from files that the sandbox closes is read here. */
    const struct sandbox_profile *(*profile)(const struct settings *settings);
    /* Starts; runs inside the sandbox, before the loop. 0, or negative after logging why. */
    int (*start)(struct settings *settings, unsigned slot);
    /* A message other than the first settings. On the loop's stack. */
    void (*on_control)(struct control_event *event);
    /* The master is gone without a word: end soon. */
    void (*on_orphaned)(void);
    /* After the loop has ended. */
    void (*finish)(void);
};

/* The child process `name`: returns its exit status. Called by the command line's main. */
int svc_child_main(const char *name);

/* Runs a service. */
int child_run(const struct service *service);
/* Sends a message to the master; failures only matter if the master is gone, which is noticed. */
void child_tell_master(uint16_t type, struct str payload);

/* A worker's channel to one of the peers: taken from the master, asked for anew when it
 * is lost. Calls go through `client`; they fail with -EPIPE while there is no channel. */
struct child_link {
    struct rpc_client client;
    enum control_peer peer;
    uint32_t number; /* of the channel at hand, as the master counts */
    struct loop_timer timer;
};

/* Embedded; pair: child_link_done. */
void child_link_init(struct child_link *link, enum control_peer peer);
void child_link_done(struct child_link *link);
/* Takes CONTROL_STORE_CHANNEL or its like with the descriptor. 0 or negative errno; then it asks
 * for another one by itself. */
MUST_CHECK int child_link_take(struct child_link *link, struct control_event *event);
