/*
 * What a session keeps to, made from the settings once and shared by the sessions that began under
 * them: a reload gives new sessions a new policy and leaves the old ones theirs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"
#include "conf/settings.h"

struct smtp_policy {
    struct settings *settings; /* owned */
    struct ip_net *relay_nets;
    size_t relay_net_count;
    int refs;
};

/* Takes the settings over; one reference is the caller's. */
struct smtp_policy *smtp_policy_new(struct settings *settings);
struct smtp_policy *smtp_policy_ref(struct smtp_policy *p);
/* NULL is taken. */
void smtp_policy_unref(struct smtp_policy *p);
/* Whether this client may send mail to other domains. */
bool smtp_policy_may_relay(const struct smtp_policy *p, const struct ip_addr *peer);
