/*
 * What the parts of the master share: one process, one loop, no fibers, so plain variables.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "conf/settings.h"
#include "rt/fdpass.h"
#include "svc/master/children.h"
#include "svc/master/keyring.h"
#include "svc/master/listen.h"

enum {
    MASTER_ERRORS_MAX_BYTES = 64 * 1024,
    MASTER_SETTINGS_MAX_BYTES = FDPASS_MAX_BYTES - 16, /* encoded, with the type of the message */
};

struct master {
    const char *config_path;
    struct settings *settings;
    struct buf encoded_settings;
    struct listen_set listeners;
    struct keyring *keyring;
    int control_fd;
    int lock_fd;
    struct child_process children[CHILDREN_MAX];
    size_t child_count;
    struct child_process *peers[CONTROL_PEERS]; /* of these; NULL: the settings need none */
    char *buffer;                               /* FDPASS_MAX_BYTES */
    bool is_stopping;
    bool was_ready;
};

extern struct master master;
