/* IP addresses and networks as values: see ip.h. */
#include "base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { IP_V4_BITS = 32, IP_V6_BITS = 128, IP_MAPPED_BITS = 96, IP_RATE_V6_BYTES = 8 };

static const uint8_t mapped_prefix[IP_MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const struct ip_addr *ip)
{
    return ip->family == IP_V6 && memcmp(ip->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

int ip_parse(struct str text, struct ip_addr *out)
{
    char c_text[IP_TEXT_BYTES];
    struct ip_addr ip = {.family = IP_NONE};

    /* inet_pton stops at a NUL, which a view may hold. */
    if (str_find(text, '\0') >= 0 || !str_copy(text, c_text, sizeof(c_text)))
        return -EINVAL;
    if (inet_pton(AF_INET, c_text, ip.bytes) == 1)
        ip.family = IP_V4;
    else if (inet_pton(AF_INET6, c_text, ip.bytes) == 1)
        ip.family = IP_V6;
    if (ip.family == IP_NONE)
        return -EINVAL;
    *out = ip;
    return 0;
}

struct ip_addr ip_from_sockaddr(const struct sockaddr *sa)
{
    struct ip_addr ip = {.family = IP_NONE};

    /* Copied, because the caller's storage may be declared as any of the sockaddr types. */
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        memcpy(ip.bytes, &in.sin_addr, IP_V4_BYTES);
        ip.family = IP_V4;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        memcpy(ip.bytes, &in6.sin6_addr, IP_V6_BYTES);
        ip.family = IP_V6;
    }
    return ip_unmap(ip);
}

struct ip_addr ip_unmap(struct ip_addr ip)
{
    struct ip_addr v4 = {.family = IP_V4};

    if (!is_mapped(&ip))
        return ip;
    memcpy(v4.bytes, ip.bytes + sizeof(mapped_prefix), IP_V4_BYTES);
    return v4;
}

const char *ip_print(const struct ip_addr *ip, char out[IP_TEXT_BYTES])
{
    int family = ip->family == IP_V4 ? AF_INET : AF_INET6;

    if (ip->family == IP_NONE || inet_ntop(family, ip->bytes, out, IP_TEXT_BYTES) == NULL)
        memcpy(out, "-", sizeof("-"));
    return out;
}

bool ip_eq(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_is_loopback(const struct ip_addr *ip)
{
    static const struct ip_addr v6_loopback = {.family = IP_V6, .bytes = {[15] = 1}};
    struct ip_addr plain = ip_unmap(*ip);

    return plain.family == IP_V4 ? plain.bytes[0] == 127 : ip_eq(&plain, &v6_loopback);
}

static uint8_t mask_of_byte(unsigned prefix_bits, unsigned index)
{
    if (prefix_bits >= 8 * (index + 1))
        return 0xff;
    if (prefix_bits <= 8 * index)
        return 0;
    return (uint8_t)(0xff00U >> (prefix_bits - 8 * index));
}

int ip_net_parse(struct str text, struct ip_net *out)
{
    struct str address, bits_text;
    struct ip_net net = {.prefix_bits = 0};
    bool has_bits = str_cut(text, '/', &address, &bits_text);

    if (ip_parse(address, &net.base) < 0)
        return -EINVAL;
    uint64_t max_bits = net.base.family == IP_V4 ? IP_V4_BITS : IP_V6_BITS;
    uint64_t bits = max_bits;
    if (has_bits && str_to_u64(bits_text, max_bits, &bits) < 0)
        return -EINVAL;
    if (is_mapped(&net.base) && bits >= IP_MAPPED_BITS) {
        net.base = ip_unmap(net.base);
        bits -= IP_MAPPED_BITS;
    }
    net.prefix_bits = (uint8_t)bits;
    for (unsigned i = 0; i < IP_V6_BYTES; i++)
        net.base.bytes[i] &= mask_of_byte(net.prefix_bits, i);
    *out = net;
    return 0;
}

bool ip_net_contains(const struct ip_net *net, const struct ip_addr *ip)
{
    struct ip_addr plain = ip_unmap(*ip);

    if (plain.family != net->base.family || plain.family == IP_NONE)
        return false;
    for (unsigned i = 0; i < IP_V6_BYTES; i++) {
        if ((plain.bytes[i] & mask_of_byte(net->prefix_bits, i)) != net->base.bytes[i])
            return false;
    }
    return true;
}

const char *ip_net_print(const struct ip_net *net, char out[IP_NET_TEXT_BYTES])
{
    unsigned whole = net->base.family == IP_V4 ? 32 : 128;
    char address[IP_TEXT_BYTES];

    (void)ip_print(&net->base, address);
    if (net->prefix_bits == whole)
        (void)snprintf(out, IP_NET_TEXT_BYTES, "%s", address);
    else
        (void)snprintf(out, IP_NET_TEXT_BYTES, "%s/%u", address, net->prefix_bits);
    return out;
}

struct ip_rate_key ip_rate_key(const struct ip_addr *ip)
{
    struct ip_addr plain = ip_unmap(*ip);
    struct ip_rate_key key = {.family = (uint8_t)plain.family};

    /* The bytes of a v4 address fill the upper half; the lower one is zero. */
    for (unsigned i = 0; i < IP_RATE_V6_BYTES; i++)
        key.prefix = key.prefix << 8 | plain.bytes[i];
    return key;
}
