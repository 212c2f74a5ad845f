/*
 * The DNS of the demonstration: NSD, where a program is given, on a loopback port with a zone for
 * each domain; else records that the servers themselves are told of. Nobody outside is ever asked.
 */
#pragma once

#include "base/buf.h"
#include "cli/demo_process.h"
#include "cli/demo_server.h"

struct demo_dns {
    const struct demo_site *sites; /* the domains */
    size_t site_count;
    char *dir;
    int port; /* 0: no name server */
    struct demo_process process;
};

/* With nsd_path, writes zones and configuration into the folder `dir` (which is made), starts NSD
 * and waits until it answers. CLI_DONE or CLI_FAILED, said. Pair: demo_dns_done, also after a
 * failure. */
MUST_CHECK int demo_dns_start(struct demo_dns *d, const char *nsd_path, const char *dir,
                              const struct demo_site *sites, size_t site_count);
void demo_dns_done(struct demo_dns *d);
/* The resolver's settings of a server that is to ask here, and nobody else. */
void demo_dns_put_settings(const struct demo_dns *d, struct buf *out);
