/* What a session keeps to: see policy.h. */
#include "smtp/policy.h"

#include <stdlib.h>

struct smtp_policy *smtp_policy_new(struct settings *settings)
{
    struct smtp_policy *p = xcalloc(1, sizeof(*p));
    const struct settings_list *nets = &settings->smtp_relay_networks;

    p->settings = settings;
    p->refs = 1;
    p->relay_nets = xcalloc(nets->count, sizeof(*p->relay_nets));
    for (size_t i = 0; i < nets->count; i++) {
        /* The settings were checked; a network that does not parse lets nobody relay. */
        if (ip_net_parse(str_from_c(nets->items[i]), &p->relay_nets[p->relay_net_count]) == 0)
            p->relay_net_count++;
    }
    return p;
}

struct smtp_policy *smtp_policy_ref(struct smtp_policy *p)
{
    p->refs++;
    return p;
}

void smtp_policy_unref(struct smtp_policy *p)
{
    if (p == NULL || --p->refs > 0)
        return;
    settings_free(p->settings);
    free(p->relay_nets);
    free(p);
}

bool smtp_policy_may_relay(const struct smtp_policy *p, const struct ip_addr *peer)
{
    for (size_t i = 0; i < p->relay_net_count; i++) {
        if (ip_net_contains(&p->relay_nets[i], peer))
            return true;
    }
    return false;
}
