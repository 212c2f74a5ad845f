/*
 * Where a destination's mail goes: its route, its hosts in the order to be tried, the key of its
 * site. By MX through the resolver, or the hosts of a route with weights and backups.
 */
#pragma once

#include "base/arena.h"
#include "conf/settings.h"
#include "dns/mx.h"

enum { TARGET_HOSTS_MAX = 32, TARGET_TRIES_MAX = 12, TARGET_ARENA_BYTES = 2 * MX_ARENA_BYTES };

struct target_host {
    struct str name;
    uint16_t port;
    const struct ip_addr *addresses;
    size_t address_count;
};

struct target {
    enum mx_outcome outcome; /* MX_OK: there are hosts */
    struct str why;
    const struct settings_route *route;        /* NULL: the usual way */
    const struct settings_destination *limits; /* NULL: the usual ones */
    struct str site_key;
    struct target_host *hosts;
    size_t host_count;
    bool is_sure; /* nobody else could name the hosts: DNSSEC, or the configuration */
};

/* Resolves the destination (queue_rows.h says what its name means). Yields. Everything lives in the
 * arena or in the settings, which must be the worker's. 0 or -ECANCELED; what goes wrong is an
 * outcome. */
MUST_CHECK int target_resolve(const struct settings *settings, struct str destination,
                              struct arena *arena, struct target *out);
/* The permanent or temporary status of an outcome other than MX_OK: "5.1.2". */
const char *target_status(enum mx_outcome outcome);
/* Whether the mail is to be returned and not to be tried again. */
bool target_is_permanent(enum mx_outcome outcome);
/* Reads the machine's addresses once, before the sandbox: mail must not come back to them. */
void target_learn_own_addresses(const struct settings *settings);
