/*
 * The parts of mx.c: hosts that could take the mail, their addresses, and which of them may be
 * used. Private to mx.c and its tests.
 */
#pragma once

#include "dns/mx.h"
#include "dns/record.h"

enum { MX_FAMILIES = 2 };

/* A host that might be asked. */
struct mx_candidate {
    struct mx_host host;
    uint32_t tie; /* random: the order among equal preferences */
    bool is_own;
    bool has_failed;     /* an address question of it had no answer, and no other had records */
    bool is_bogus;       /* of those, by DNSSEC */
    bool has_forbidden;  /* it has addresses that may not be used */
    bool is_nonexistent; /* all its address questions said so */
    uint32_t ttl_s;
    struct str why; /* of has_failed */
};

struct mx_candidates {
    struct mx_candidate *items; /* DNS_RECORDS_MAX of them */
    size_t count;
};

/* Which address types are asked for, in the order in which they are tried. */
size_t mx_address_types(int families, enum dns_type out[MX_FAMILIES]);

/* Adds a host, unless its name is there already: then the better preference counts. */
void mx_add_candidate(struct mx_candidates *list, struct str name, uint16_t preference,
                      struct arena *arena);
/* By preference, equal ones by chance. */
void mx_sort_candidates(struct mx_candidates *list);
/* Drops all hosts of this preference and worse from a sorted list. */
void mx_cut_candidates(struct mx_candidates *list, uint16_t preference);

/* Asks for the addresses of all of them at once and fills them in; `may_be_private` lets any
 * address pass. Yields. 0 or negative errno of the lookup. */
MUST_CHECK int mx_find_addresses(const struct mx_config *config, struct mx_candidates *list,
                                 bool may_be_private, int64_t deadline_ms, struct arena *arena);

/* Whether the address is one of ours, and mail to it would come back to us. */
bool mx_is_own_address(const struct mx_config *config, const struct ip_addr *ip);
/* Whether the address is of a kind that is not for mail between strangers (RFC 6890: private,
 * loopback, link-local, multicast, ...) and lies in none of the allowed networks. Addresses for
 * documentation are not: they are harmless, and lead nowhere by themselves. */
bool mx_is_forbidden(const struct mx_config *config, const struct ip_addr *ip);

/* Where chance comes from; tests put in their own. */
extern uint32_t (*mx_random)(void);
