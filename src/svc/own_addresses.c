/* The server's own addresses: see own_addresses.h. */
#include "svc/own_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "conf/value.h"

enum { SMTP_PORT = 25 };

static void add(struct own_addresses *o, struct ip_addr ip)
{
    if (ip.family != IP_NONE && o->count < OWN_ADDRESSES_MAX)
        o->list[o->count++] = ip;
}

static void add_interfaces(struct own_addresses *o)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0)
        return;
    for (struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
        if (a->ifa_addr != NULL && (a->ifa_flags & IFF_UP) != 0)
            add(o, ip_from_sockaddr(a->ifa_addr));
    }
    freeifaddrs(all);
}

/* Who listens on every address is found at all of the machine's, else where he listens; at port 25,
 * or at the port he has instead. */
void own_addresses_learn(const struct settings *settings, struct own_addresses *out)
{
    bool is_everywhere = false;

    *out = (struct own_addresses){.port = SMTP_PORT};
    for (size_t i = 0; i < settings->listen_smtp.count; i++) {
        struct value_listen listen;
        struct ip_addr ip;
        if (value_parse_listen(str_from_c(settings->listen_smtp.items[i]), &listen) < 0 ||
            ip_parse(str_from_c(listen.address), &ip) < 0)
            continue;
        if (i == 0 || listen.port == SMTP_PORT)
            out->port = listen.port;
        if (strcmp(listen.address, "0.0.0.0") == 0 || strcmp(listen.address, "::") == 0)
            is_everywhere = true;
        else
            add(out, ip);
    }
    if (is_everywhere)
        add_interfaces(out);
}
