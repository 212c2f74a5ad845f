/*
 * The master's children: started, told what they need, started again with growing pauses when they
 * die.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/str.h"
#include "rt/loop.h"
#include "svc/control.h"
#include "svc/master/kinds.h"

enum {
    CHILDREN_MAX = 33, /* as many as there are slots */
    RESTART_FIRST_MS = 50,
    RESTART_MAX_MS = 10000,
    RECONNECT_MS = 100,       /* between a worker's loss of its channel and the next one */
    CHANNEL_ASSUMED_MS = 500, /* a loss that is told later than this cannot be old news */
    LONG_LIFE_MS = 10000,     /* who lived as long starts again without a pause to speak of */
};

struct child_process;

/* A worker's channel to a peer. */
struct child_channel {
    struct child_process *worker;
    enum control_peer peer;
    struct loop_timer timer; /* to connect the worker anew */
    uint32_t number;         /* of its last channel */
    int64_t connected_ms;
};

struct child_process {
    const struct child_kind *kind;
    unsigned slot; /* for ids; unique */
    pid_t pid;     /* 0: not running */
    struct loop_watch control;
    struct loop_timer restart_timer;
    struct child_channel channels[CONTROL_PEERS];
    int64_t started_ms;
    int64_t pause_ms;
    bool is_ready;
    bool was_ever_ready;
    bool is_stopping; /* told to end: do not start again */
};

/* Forks and executes this program as the child's service, with a short environment and nothing to
 * read from; its control socket is child->control.fd. 0 or negative errno. */
MUST_CHECK int child_start(struct child_process *child);
/* Sends a message with an optional descriptor. A failure is logged: the child is gone or stuck. */
void child_send(struct child_process *child, uint16_t type, struct str payload, int fd);
/* Takes note that the process has ended; how long to wait before starting it again, in ms. */
int64_t child_note_end(struct child_process *child, int wait_status);
