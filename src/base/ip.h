/*
 * IP addresses and networks as values: parse, print, compare, match.
 *
 * No names, no scopes, no ports. A v4 address that arrives mapped into v6 (::ffff:192.0.2.1, as
 * dual-stack sockets hand it out) is the v4 address: ip_from_sockaddr and the matching unmap it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct sockaddr;

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

enum { IP_V4_BYTES = 4, IP_V6_BYTES = 16, IP_TEXT_BYTES = 46, IP_NET_TEXT_BYTES = 50 };

struct ip_addr {
    enum ip_family family;
    uint8_t bytes[IP_V6_BYTES]; /* network order; v4 uses the first four, the rest is zero */
};

struct ip_net {
    struct ip_addr base; /* host bits are zero */
    uint8_t prefix_bits;
};

/* What limits per client count by: a v4 address, a v6 /64 (the least a site is given). */
struct ip_rate_key {
    uint64_t prefix;
    uint8_t family;
};

/* All of `text` as dotted decimal (four numbers, no leading zeros) or as v6 of RFC 4291 section 2.2
 * without a scope. A mapped v6 address stays v6. 0 or -EINVAL. */
MUST_CHECK int ip_parse(struct str text, struct ip_addr *out);
/* The address of an AF_INET or AF_INET6 peer, unmapped; IP_NONE for anything else. */
struct ip_addr ip_from_sockaddr(const struct sockaddr *sa);
/* ::ffff:192.0.2.1 as 192.0.2.1, others as they are. */
struct ip_addr ip_unmap(struct ip_addr ip);
/* The text of RFC 5952, as inet_ntop makes it; "-" for IP_NONE. Returns `out`. */
const char *ip_print(const struct ip_addr *ip, char out[IP_TEXT_BYTES]);
bool ip_eq(const struct ip_addr *a, const struct ip_addr *b);
/* 127.0.0.0/8, ::1 and their mapped forms. */
bool ip_is_loopback(const struct ip_addr *ip);

/* "192.0.2.0/24", "2001:db8::/32"; a bare address is the network of itself; host bits are cleared.
 * A mapped v6 network of 96 bits or more becomes v4. 0 or -EINVAL. */
MUST_CHECK int ip_net_parse(struct str text, struct ip_net *out);
/* "192.0.2.0/24"; of a single address without the length: one text for one network. Returns `out`.
 */
const char *ip_net_print(const struct ip_net *net, char out[IP_NET_TEXT_BYTES]);
/* Whether the (unmapped) address lies inside; never across families. */
bool ip_net_contains(const struct ip_net *net, const struct ip_addr *ip);

struct ip_rate_key ip_rate_key(const struct ip_addr *ip);
