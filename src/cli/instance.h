/*
 * A new instance of the server on this machine: its folders, its configuration, its first domain.
 * Used by init and by demo.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "conf/settings.h"

struct instance_plan {
    const char *dir; /* NULL: the system's own places */
    const char *hostname;
    const char *domain;
    const char *address; /* listen here; NULL: everywhere */
    const char *user;    /* NULL: choose */
    int port_offset;
};

struct instance {
    char *dir; /* real path; NULL: the system's own places */
    char *config_path;
    char *data_dir;
    char *run_dir;
    char *tls_dir;     /* with the server's own certificate and key */
    char *user;        /* whom the data belongs to, when made by root */
    struct str domain; /* A-labels, in `storage` */
    char storage[256];
    bool lacks_user; /* made by root, but there is no such user yet */
};

/* The ports are 25 + offset and so on: the largest offset that leaves them below 65536. */
enum { INSTANCE_MAX_PORT_OFFSET = 65535 - 4190 };

/* Checks the plan and makes everything. A failure leaves no configuration file behind, so that it
 * can be tried again. CLI_DONE, CLI_FAILED or CLI_USAGE; then out_error has the reason. */
MUST_CHECK int instance_make(const struct instance_plan *plan, struct instance *out,
                             struct buf *out_error);
void instance_done(struct instance *instance);

/* The configuration's text. */
void instance_put_config(struct buf *out, const struct instance_plan *plan,
                         const struct instance *instance);
