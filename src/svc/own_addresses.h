/*
 * Where other servers find this one: the addresses and the port at which it takes mail. Mail must
 * not be sent there (RFC 5321 section 5.1).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "conf/settings.h"

enum { OWN_ADDRESSES_MAX = 256 };

struct own_addresses {
    struct ip_addr list[OWN_ADDRESSES_MAX];
    size_t count;
    uint16_t port;
};

/* Of the listeners, and of the interfaces if one listens on all of them. */
void own_addresses_learn(const struct settings *settings, struct own_addresses *out);
