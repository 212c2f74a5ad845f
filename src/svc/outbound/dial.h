/* Making a connection to one of a target's hosts: in their order, address by address. */
#pragma once

#include "conf/settings.h"
#include "svc/outbound/site.h"
#include "svc/outbound/target.h"

/* Connects, greets, says EHLO; begins with hosts[first_host]. A host that fails is followed by the
 * next one, at most TARGET_TRIES_MAX addresses in all. Yields. 1 and a connection that is ready and
 * the caller's; 0 and the failure; -ECANCELED. */
MUST_CHECK int dial(const struct settings *settings, const struct target *target, size_t first_host,
                    struct connection **out, struct trouble *out_failure);
