/* Which route and which destination section mail falls under: see route.h. */
#include "conf/route.h"

bool route_pattern_matches(struct str pattern, struct str name)
{
    if (str_eq(pattern, STR("*")))
        return true;
    if (!str_has_prefix(pattern, STR("*.")))
        return str_eq_nocase(pattern, name);
    struct str suffix = str_sub(pattern, 1, pattern.len);
    return name.len > suffix.len && str_has_suffix_nocase(name, suffix);
}

/* "<>", a whole address, or a pattern of its domain. The null sender has no domain: of those only
 * "*" is meant for it. */
static bool sender_matches(struct str pattern, struct str sender)
{
    ptrdiff_t at = str_rfind(sender, '@');

    if (str_eq(pattern, STR("<>")))
        return sender.len == 0;
    if (str_find(pattern, '@') >= 0)
        return str_eq_nocase(pattern, sender);
    return route_pattern_matches(pattern, str_sub(sender, (size_t)(at + 1), sender.len));
}

static bool any_matches(const struct settings_list *patterns, struct str name,
                        bool (*matches)(struct str pattern, struct str name))
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (matches(str_from_c(patterns->items[i]), name))
            return true;
    }
    return false;
}

static bool takes_domain(const struct settings_route *route, struct str domain)
{
    return route->to.count == 0 || any_matches(&route->to, domain, route_pattern_matches);
}

const struct settings_route *route_next(const struct settings *s, size_t from, struct str domain)
{
    for (size_t i = from; i < s->route_count; i++) {
        if (takes_domain(&s->routes[i], domain))
            return &s->routes[i];
    }
    return NULL;
}

const struct settings_route *route_find(const struct settings *s, struct str sender,
                                        struct str domain)
{
    for (size_t i = 0; i < s->route_count; i++) {
        const struct settings_route *route = &s->routes[i];
        if (!takes_domain(route, domain))
            continue;
        if (route->from.count == 0 || any_matches(&route->from, sender, sender_matches))
            return route;
    }
    return NULL;
}

const struct settings_destination *destination_find_domain(const struct settings *s,
                                                           struct str domain)
{
    for (size_t i = 0; i < s->destination_count; i++) {
        if (any_matches(&s->destinations[i].domains, domain, route_pattern_matches))
            return &s->destinations[i];
    }
    return NULL;
}

const struct settings_destination *destination_find_mx(const struct settings *s, struct str host)
{
    for (size_t i = 0; i < s->destination_count; i++) {
        if (any_matches(&s->destinations[i].mx, host, route_pattern_matches))
            return &s->destinations[i];
    }
    return NULL;
}
