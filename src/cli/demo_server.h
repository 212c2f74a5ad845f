/*
 * One of the throwaway servers of the demonstration: a place, a folder, a child process, and the
 * connection to its control socket.
 */
#pragma once

#include "cli/client.h"
#include "cli/demo_process.h"
#include "cli/instance.h"

/* Who lives where, as the DNS tells. */
struct demo_site {
    const char *name; /* "tokyo" */
    const char *domain, *hostname, *address;
    const char *user; /* the one account, where there is a server */
};

struct demo_server {
    const struct demo_site *site;
    struct instance instance;
    int port;
    struct demo_process process;
    struct client client; /* while it runs */
};

enum { DEMO_SMTP_PORT = 25 }; /* before the offset that all ports of a server have */

/* Makes the instance in the folder `dir`, SMTP at `port`, with `settings` added to its
 * configuration. CLI_DONE or CLI_FAILED, said. Pair: demo_server_done, also after a failure. */
MUST_CHECK int demo_server_make(struct demo_server *s, const struct demo_site *site,
                                const char *dir, int port, struct str settings);
/* Kills what still runs; the folder stays. */
void demo_server_done(struct demo_server *s);
/* Starts it, waits until it greets, connects to it and makes the account. As above. */
MUST_CHECK int demo_server_start(struct demo_server *s);
