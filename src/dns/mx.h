/*
 * Where mail for a domain goes: MX records by preference, equal ones shuffled, their addresses; the
 * implicit MX; the null MX; ourselves recognised (RFC 5321 section 5.1, RFC 7505, RFC 3974).
 *
 * The decision is made of answers alone; the questions are asked through a function, so that tests
 * need no DNS. CNAMEs are followed by the resolver, boundedly.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ip.h"
#include "base/str.h"
#include "conf/settings.h"
#include "dns/dns.h"

enum {
    MX_HOSTS_MAX = 20,                /* the best ones of a domain that has more */
    MX_ADDRESSES_MAX = 16,            /* of one host */
    MX_ARENA_BYTES = 4 * 1024 * 1024, /* what one resolution may need at worst */
};

enum mx_outcome {
    MX_OK = 1,
    MX_NULL,      /* the domain takes no mail: 5.1.10, RFC 7505 */
    MX_NO_NAME,   /* the domain does not exist: 5.1.2 */
    MX_NO_HOST,   /* nothing that has an address, for sure: 5.4.4 */
    MX_TEMPORARY, /* the DNS cannot be asked now: 4.4.3 */
    MX_LOOP,      /* the best host is this server, which does not keep this domain: 5.4.6 */
    MX_FORBIDDEN, /* only private or loopback addresses that are not allowed: 5.4.4 */
};

struct mx_host {
    struct str name; /* lower case, no final dot; of a literal the literal itself */
    uint16_t preference;
    bool is_secure;            /* its addresses were validated */
    struct ip_addr *addresses; /* in the order to be tried; at least one */
    size_t address_count;
};

struct mx_result {
    enum mx_outcome outcome;
    struct str why;   /* for people, English: what was looked up and found; never empty unless OK */
    bool is_secure;   /* the MX records (or their absence) were validated */
    bool is_implicit; /* no MX records: the domain's own addresses */
    uint32_t ttl_s;   /* how long the result may be kept: at least 1 */
    struct mx_host *hosts; /* in the order to be tried: by preference, equal ones shuffled */
    size_t host_count;
};

struct mx_config {
    /* As dns_lookup; `arg` is passed on. Yields if that does. */
    int (*lookup)(void *arg, const struct dns_question *questions, size_t count,
                  int64_t deadline_ms, struct arena *arena, struct dns_answer *out_answers);
    void *arg;
    const char *own_name;                /* server.hostname: an MX of this name is ourselves */
    const struct ip_addr *own_addresses; /* of the listeners and interfaces */
    size_t own_address_count;
    uint16_t own_port, port; /* an address of ours is ourselves only if the ports are the same */
    const struct settings_list *allowed_networks; /* private networks that mail may go to */
    int families; /* enum settings_families: which, and in what order */
};

/* Resolves a recipient domain (A-labels) or an address literal ("[192.0.2.1]", "[IPv6:...]").
 * Yields. Hosts with the preference of ourselves or worse are left out (RFC 5321 section 5.1). 0
 * and *out, in the arena; -ECANCELED. Whatever else goes wrong is an outcome. */
MUST_CHECK int mx_resolve(const struct mx_config *config, struct str domain, int64_t deadline_ms,
                          struct arena *arena, struct mx_result *out);
/* Resolves a smarthost: a host name without MX, or an address (brackets may be left out). The same
 * outcomes; private addresses are allowed, because the operator wrote them. Yields. */
MUST_CHECK int mx_resolve_host(const struct mx_config *config, struct str host, int64_t deadline_ms,
                               struct arena *arena, struct mx_result *out);
/* A key that is equal for equal sets of MX hosts, whatever their order: lower-case names sorted and
 * joined; bounded. Destinations with the same key count as one. */
struct str mx_site_key(const struct mx_result *result, struct arena *arena);
