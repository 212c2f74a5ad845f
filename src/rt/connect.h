/* Connecting out, from a fiber: TCP to an address, from an address if wanted. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/ip.h"

/* Connects to the address and port. `source` may be NULL: the system chooses; else an address of
 * the same family. Yields. The connected non-blocking close-on-exec socket with TCP_NODELAY, or
 * negative errno: -ETIMEDOUT, -ECONNREFUSED, -ENETUNREACH, -EADDRNOTAVAIL (source is not ours),
 * -ECANCELED... */
MUST_CHECK int connect_tcp(const struct ip_addr *to, uint16_t port, const struct ip_addr *source,
                           int64_t deadline_ms);
