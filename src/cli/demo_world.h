/*
 * The little world of the demonstration: a folder, name service, two servers that do not know more
 * of each other than the DNS says.
 */
#pragma once

#include "cli/demo_dns.h"
#include "cli/demo_server.h"

enum { DEMO_SITES = 3, DEMO_SERVERS = 2 }; /* all are in the DNS; the first have a server */

struct demo_world {
    char *dir;
    int port; /* SMTP, of both servers */
    struct demo_dns dns;
    struct demo_server servers[DEMO_SERVERS];
};

/* Makes the folder, starts the name service, makes both servers; they are not started. CLI_DONE or
 * CLI_FAILED, said. Pair: demo_world_remove, also after a failure. */
MUST_CHECK int demo_world_make(struct demo_world *w, const struct demo_site sites[DEMO_SITES],
                               const char *nsd_path);
/* Stops everything as it should be stopped. As above. */
MUST_CHECK int demo_world_stop(struct demo_world *w);
/* Kills what still runs, removes the folder. */
void demo_world_remove(struct demo_world *w);
/* The ends of all logs, on standard error. */
void demo_world_print_logs(const struct demo_world *w);
