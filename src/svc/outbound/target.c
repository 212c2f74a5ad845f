/* From a destination to hosts: see target.h. */
#include "svc/outbound/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "conf/route.h"
#include "conf/value.h"
#include "svc/outbound/worker.h"
#include "svc/own_addresses.h"

enum { RESOLVE_WAIT_MS = 120 * 1000, KEY_MAX_BYTES = 2048 };

static struct own_addresses own;

void target_learn_own_addresses(const struct settings *settings)
{
    own_addresses_learn(settings, &own);
}

static int ask(void *arg, const struct dns_question *questions, size_t count, int64_t deadline_ms,
               struct arena *arena, struct dns_answer *out_answers)
{
    return dns_lookup(arg, questions, count, deadline_ms, arena, out_answers);
}

static struct mx_config mx_config(const struct settings *settings)
{
    return (struct mx_config){.lookup = ask,
                              .arg = &worker.resolver.client,
                              .own_name = settings->server_hostname,
                              .own_addresses = own.list,
                              .own_address_count = own.count,
                              .own_port = own.port,
                              .port = (uint16_t)settings->outbound_port,
                              .allowed_networks = &settings->outbound_private_networks,
                              .families = settings->outbound_families};
}

const char *target_status(enum mx_outcome outcome)
{
    switch (outcome) {
    case MX_OK:
        return "2.0.0";
    case MX_NULL:
        return "5.1.10";
    case MX_NO_NAME:
        return "5.1.2";
    case MX_LOOP:
        return "5.4.6";
    case MX_TEMPORARY:
        return "4.4.3";
    case MX_NO_HOST:
    case MX_FORBIDDEN:
        break;
    }
    return "5.4.4";
}

bool target_is_permanent(enum mx_outcome outcome)
{
    return outcome != MX_OK && outcome != MX_TEMPORARY;
}

/* --- by MX --- */

static const struct settings_destination *find_limits(const struct settings *settings,
                                                      struct str domain, const struct mx_result *mx)
{
    const struct settings_destination *found = destination_find_domain(settings, domain);

    for (size_t i = 0; found == NULL && i < mx->host_count; i++)
        found = destination_find_mx(settings, mx->hosts[i].name);
    return found;
}

static int resolve_mx(const struct settings *settings, struct str domain, struct arena *arena,
                      struct target *out)
{
    struct mx_config config = mx_config(settings);
    struct mx_result mx;

    int r = mx_resolve(&config, domain, clock_mono_ms() + RESOLVE_WAIT_MS, arena, &mx);
    if (r < 0)
        return r;
    out->outcome = mx.outcome;
    out->why = mx.why;
    if (mx.outcome != MX_OK)
        return 0;
    out->is_sure = mx.is_secure;
    out->limits = find_limits(settings, domain, &mx);
    out->hosts = arena_alloc(arena, mx.host_count * sizeof(out->hosts[0]));
    for (size_t i = 0; i < mx.host_count; i++)
        out->hosts[out->host_count++] =
            (struct target_host){.name = mx.hosts[i].name,
                                 .port = (uint16_t)settings->outbound_port,
                                 .addresses = mx.hosts[i].addresses,
                                 .address_count = mx.hosts[i].address_count};
    struct str key = mx_site_key(&mx, arena);
    out->site_key =
        str_from_c(arena_printf(arena, "%.*s|%s", STR_ARG(str_sub(key, 0, KEY_MAX_BYTES)),
                                out->route != NULL ? out->route->name : ""));
    return 0;
}

/* --- by the hosts of a route --- */

static uint32_t draw(uint32_t below)
{
    uint32_t random = 0;

    if (below < 2 || getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return 0;
    return random % below;
}

/* Takes one of the hosts that are left, by weight; those that are no backup first. */
static size_t pick_host(const struct value_host *hosts, const bool *is_taken, size_t count)
{
    bool has_primary = false;
    uint32_t total = 0;

    for (size_t i = 0; i < count; i++)
        has_primary |= !is_taken[i] && !hosts[i].is_backup;
    for (size_t i = 0; i < count; i++) {
        if (!is_taken[i] && hosts[i].is_backup != has_primary)
            total += hosts[i].weight;
    }
    uint32_t at = draw(total);
    for (size_t i = 0; i < count; i++) {
        if (is_taken[i] || hosts[i].is_backup == has_primary)
            continue;
        if (at < hosts[i].weight)
            return i;
        at -= hosts[i].weight;
    }
    return count;
}

static int resolve_host(const struct settings *settings, const struct value_host *host,
                        struct arena *arena, struct target *out)
{
    struct mx_config config = mx_config(settings);
    struct mx_result mx;

    int r = mx_resolve_host(&config, host->name, clock_mono_ms() + RESOLVE_WAIT_MS, arena, &mx);
    if (r < 0)
        return r;
    if (mx.outcome != MX_OK) {
        out->why = mx.why;
        return 0;
    }
    out->hosts[out->host_count++] =
        (struct target_host){.name = mx.hosts[0].name,
                             .port = host->port,
                             .addresses = mx.hosts[0].addresses,
                             .address_count = mx.hosts[0].address_count};
    return 0;
}

static int resolve_hosts(const struct settings *settings, struct arena *arena, struct target *out)
{
    const struct settings_list *list = &out->route->hosts;
    struct value_host hosts[TARGET_HOSTS_MAX];
    bool is_taken[TARGET_HOSTS_MAX] = {false};
    size_t count = 0;
    int r = 0;

    for (size_t i = 0; i < list->count && count < TARGET_HOSTS_MAX; i++)
        count += value_parse_host(str_from_c(list->items[i]), &hosts[count]) == 0;
    out->hosts = arena_alloc(arena, TARGET_HOSTS_MAX * sizeof(out->hosts[0]));
    for (size_t i = 0; r == 0 && i < count; i++) {
        size_t at = pick_host(hosts, is_taken, count);
        is_taken[at] = true;
        r = resolve_host(settings, &hosts[at], arena, out);
    }
    /* What the operator wrote does not become wrong for good because a name is missing for now. */
    out->outcome = out->host_count > 0 ? MX_OK : MX_TEMPORARY;
    out->is_sure = true;
    out->site_key = str_from_c(arena_printf(arena, "/%s", out->route->name));
    return r;
}

/* --- both --- */

static const struct settings_route *find_route(const struct settings *settings, struct str name)
{
    for (size_t i = 0; i < settings->route_count; i++) {
        if (str_eq_c(name, settings->routes[i].name))
            return &settings->routes[i];
    }
    return NULL;
}

int target_resolve(const struct settings *settings, struct str destination, struct arena *arena,
                   struct target *out)
{
    struct str domain, name;

    *out = (struct target){.outcome = MX_TEMPORARY, .why = STR("")};
    bool has_route = str_cut(destination, '/', &domain, &name);
    if (has_route)
        out->route = find_route(settings, name);
    if (has_route && out->route == NULL) {
        out->why = str_from_c(
            arena_printf(arena, "the configuration has no route \"%.*s\" any more", STR_ARG(name)));
        return 0;
    }
    if (domain.len == 0 && out->route->via == SETTINGS_VIA_HOSTS)
        return resolve_hosts(settings, arena, out);
    if (domain.len == 0) {
        out->why = STR("the route's kind was changed");
        return 0;
    }
    return resolve_mx(settings, domain, arena, out);
}
