/*
 * A resolver process of our own, as the server has one: the same program in the same sandbox with
 * the settings of the file, for commands that ask the DNS whether or not a server runs.
 */
#pragma once

#include "conf/settings.h"
#include "rt/rpc.h"
#include "svc/master/children.h"

struct own_resolver {
    struct child_process child;
    struct rpc_client client;
};

/* Starts it; the loop is there already. 0, or negative errno. The process says on standard error
 * what it does not like; calls fail with -EPIPE once it has ended. */
MUST_CHECK int own_resolver_start(struct own_resolver *r, const struct settings *settings);
/* Ends it and waits for its end. Safe after a failed start. */
void own_resolver_stop(struct own_resolver *r);
