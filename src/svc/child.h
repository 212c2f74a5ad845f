/*
 * What all children of the master have in common: their start, their talk with the master, their
 * end.
 */
#pragma once

#include <stdint.h>

#include "base/cursor.h"
#include "conf/settings.h"
#include "rt/loop.h"
#include "rt/sandbox.h"

/* One message of the master; fd is the receiver's to keep, or -1. */
struct control_event {
    uint16_t type;
    struct cursor payload;
    int fd;
};

/* A process of the server: what it may do and what it does. */
struct service {
    const char *name;
    /* Fills the profile's paths from the settings; called once, before the sandbox. */
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
