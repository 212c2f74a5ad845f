/* Where mail for a domain goes: see mx.h. */
#include "dns/mx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "dns/mx_hosts.h"

enum {
    TTL_MIN_S = 60,
    TTL_MAX_S = 24 * 3600,
    TTL_NEGATIVE_MAX_S = 15 * 60,
    WHY_MAX_BYTES = 500,
    KEY_MAX_BYTES = 2000,
    KEY_HASH_CHARS = 17,
    WHY_NAME_MAX_CHARS = 255,
};

/* One resolution. */
struct mx_search {
    const struct mx_config *config;
    int64_t deadline_ms;
    struct arena *arena;
    struct mx_result *out;
    struct str domain; /* as it is asked for */
    struct mx_candidates hosts;
    bool has_own;            /* ourselves were among the hosts, by name or address ... */
    uint16_t own_preference; /* ... best at this preference */
    bool may_be_private;
    bool is_relay; /* a smarthost */
};

static uint32_t clamp_ttl(uint32_t ttl_s, enum mx_outcome outcome)
{
    uint32_t max_s = outcome == MX_OK ? TTL_MAX_S : TTL_NEGATIVE_MAX_S;

    return MAX(MIN(ttl_s, max_s), (uint32_t)TTL_MIN_S);
}

/* Texts come from strangers as well: cut, and without what a terminal would obey. */
static struct str cleaned(struct mx_search *s, struct str text, size_t max_bytes)
{
    struct str cut = str_sub(text, 0, max_bytes);
    char *copy = arena_alloc(s->arena, cut.len + 1);

    for (size_t i = 0; i < cut.len; i++)
        copy[i] = cut.ptr[i] >= ' ' && cut.ptr[i] < 0x7f ? cut.ptr[i] : '?';
    return str_from_mem(copy, cut.len);
}

static struct str shown(struct mx_search *s, struct str name)
{
    return cleaned(s, name, WHY_NAME_MAX_CHARS);
}

static int conclude(struct mx_search *s, enum mx_outcome outcome, const char *why)
{
    s->out->outcome = outcome;
    s->out->why = str_from_c(why);
    s->out->ttl_s = clamp_ttl(s->out->ttl_s, outcome);
    return 0;
}

static const char *print_failure(struct mx_search *s, const char *what, struct str name,
                                 struct str why)
{
    return arena_printf(s->arena, "%s of %.*s could not be looked up: %.*s", what,
                        STR_ARG(shown(s, name)), STR_ARG(cleaned(s, why, WHY_MAX_BYTES)));
}

/* The resolver itself cannot be asked. */
static int conclude_unasked(struct mx_search *s, int error)
{
    if (error == -ECANCELED)
        return error;
    s->out->ttl_s = TTL_MIN_S;
    const char *why = error == -ETIMEDOUT ? "the resolver did not answer in time"
                                          : "the resolver cannot be asked at the moment";
    return conclude(s, MX_TEMPORARY, why);
}

/* --- ourselves --- */

static void note_own(struct mx_search *s, uint16_t preference)
{
    if (!s->has_own || preference < s->own_preference)
        s->own_preference = preference;
    s->has_own = true;
}

/* RFC 5321 section 5.1: our own record and all that are not better are discarded. */
static void discard_from_own(struct mx_search *s)
{
    if (s->has_own)
        mx_cut_candidates(&s->hosts, s->own_preference);
}

static bool is_own_name(const struct mx_search *s, struct str name)
{
    const struct mx_config *c = s->config;

    if (c->own_name == NULL || !str_eq_nocase(name, str_from_c(c->own_name)))
        return false;
    return !s->is_relay || c->own_port == c->port;
}

static void discard_own_names(struct mx_search *s)
{
    for (size_t i = 0; i < s->hosts.count; i++) {
        if (is_own_name(s, s->hosts.items[i].host.name))
            note_own(s, s->hosts.items[i].host.preference);
    }
    discard_from_own(s);
}

static void discard_own_addresses(struct mx_search *s)
{
    for (size_t i = 0; i < s->hosts.count; i++) {
        if (s->hosts.items[i].is_own)
            note_own(s, s->hosts.items[i].host.preference);
    }
    discard_from_own(s);
}

/* --- the outcome --- */

static int conclude_loop(struct mx_search *s)
{
    return conclude(s, MX_LOOP,
                    arena_printf(s->arena,
                                 "the best mail host of %.*s is this server, which does not take "
                                 "its mail: the mail would run in a circle",
                                 STR_ARG(shown(s, s->domain))));
}

static const char *print_no_host(struct mx_search *s)
{
    struct str name = shown(s, s->domain);

    if (s->is_relay)
        return arena_printf(s->arena, "the host %.*s has no address", STR_ARG(name));
    if (s->out->is_implicit)
        return arena_printf(s->arena, "the domain %.*s has neither a mail host nor an address",
                            STR_ARG(name));
    return arena_printf(s->arena, "no mail host of %.*s has an address", STR_ARG(name));
}

/* No host can be used: says why, the mendable reasons first. */
static int conclude_without_host(struct mx_search *s)
{
    const struct mx_candidate *failed = NULL, *forbidden = NULL;
    bool is_nonexistent = true;

    for (size_t i = 0; i < s->hosts.count; i++) {
        const struct mx_candidate *c = &s->hosts.items[i];
        s->out->ttl_s = MIN(s->out->ttl_s, c->ttl_s);
        if (c->has_failed && (failed == NULL || (c->is_bogus && !failed->is_bogus)))
            failed = c;
        if (c->has_forbidden)
            forbidden = c;
        is_nonexistent = is_nonexistent && c->is_nonexistent;
    }
    if (failed != NULL)
        return conclude(s, MX_TEMPORARY,
                        print_failure(s, "the address", failed->host.name, failed->why));
    if (s->has_own)
        return conclude_loop(s);
    if (forbidden != NULL)
        return conclude(
            s, MX_FORBIDDEN,
            arena_printf(s->arena,
                         "the mail host %.*s of %.*s has only private addresses, where no mail is "
                         "sent to",
                         STR_ARG(shown(s, forbidden->host.name)), STR_ARG(shown(s, s->domain))));
    if (s->is_relay && is_nonexistent)
        return conclude(s, MX_NO_NAME,
                        arena_printf(s->arena, "there is no host %.*s in the DNS",
                                     STR_ARG(shown(s, s->domain))));
    return conclude(s, MX_NO_HOST, print_no_host(s));
}

static int conclude_with_hosts(struct mx_search *s)
{
    struct mx_result *out = s->out;

    out->hosts = arena_alloc(s->arena, MAX(s->hosts.count, (size_t)1) * sizeof(out->hosts[0]));
    for (size_t i = 0; i < s->hosts.count; i++) {
        const struct mx_candidate *c = &s->hosts.items[i];
        if (c->host.address_count == 0)
            continue;
        out->ttl_s = MIN(out->ttl_s, c->ttl_s);
        out->hosts[out->host_count++] = c->host;
    }
    if (out->host_count == 0)
        return conclude_without_host(s);
    out->outcome = MX_OK;
    out->ttl_s = clamp_ttl(out->ttl_s, MX_OK);
    return 0;
}

/* From names to addresses; the list is not empty. Yields. */
static int resolve_hosts(struct mx_search *s)
{
    discard_own_names(s);
    if (s->hosts.count == 0)
        return conclude_loop(s);
    s->hosts.count = MIN(s->hosts.count, (size_t)MX_HOSTS_MAX);
    int r = mx_find_addresses(s->config, &s->hosts, s->may_be_private, s->deadline_ms, s->arena);
    if (r < 0)
        return conclude_unasked(s, r);
    discard_own_addresses(s);
    return conclude_with_hosts(s);
}

/* --- MX records --- */

/* No MX records: the domain, or what it is an alias of, is its own mail host (RFC 5321 section
 * 5.1). */
static int resolve_implicit(struct mx_search *s, const struct dns_answer *answer)
{
    bool is_name = dns_name_is_valid(answer->name) && !str_eq_c(answer->name, ".");

    s->out->is_implicit = true;
    mx_add_candidate(&s->hosts, is_name ? answer->name : s->domain, 0, s->arena);
    return resolve_hosts(s);
}

static int resolve_records(struct mx_search *s, const struct dns_answer *answer)
{
    char name[DNS_NAME_TEXT_BYTES];
    uint16_t preference;
    size_t root_count = 0, count = MIN(answer->count, (size_t)DNS_RECORDS_MAX);

    for (size_t i = 0; i < count; i++) {
        if (dns_mx_read(answer->data[i], &preference, name) < 0)
            continue;
        if (name[0] == '\0')
            root_count++;
        else
            mx_add_candidate(&s->hosts, str_from_c(name), preference, s->arena);
    }
    /* RFC 7505: alone; beside others it is only a host that does not exist. */
    if (root_count > 0 && root_count == count)
        return conclude(s, MX_NULL,
                        arena_printf(s->arena, "the domain %.*s takes no mail (null MX)",
                                     STR_ARG(shown(s, s->domain))));
    if (s->hosts.count == 0)
        return conclude(s, MX_NO_HOST,
                        arena_printf(s->arena, "the MX records of %.*s name no host",
                                     STR_ARG(shown(s, s->domain))));
    mx_sort_candidates(&s->hosts);
    return resolve_hosts(s);
}

static int resolve_domain(struct mx_search *s)
{
    struct dns_question question = {.name = s->domain, .type = DNS_MX};
    struct dns_answer answer;

    int r = s->config->lookup(s->config->arg, &question, 1, s->deadline_ms, s->arena, &answer);
    if (r < 0)
        return conclude_unasked(s, r);
    s->out->is_secure = answer.is_secure;
    s->out->ttl_s = answer.ttl_s;
    switch (answer.status) {
    case DNS_OK:
        return resolve_records(s, &answer);
    case DNS_NO_DATA:
        return resolve_implicit(s, &answer);
    case DNS_NO_NAME:
        return conclude(
            s, MX_NO_NAME,
            arena_printf(s->arena, "the domain %.*s does not exist", STR_ARG(shown(s, s->domain))));
    case DNS_FAILED:
    case DNS_BOGUS:
        break;
    }
    return conclude(s, MX_TEMPORARY, print_failure(s, "the mail host", s->domain, answer.why));
}

/* --- addresses --- */

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3); without brackets if `is_loose`. */
static int parse_literal(struct str text, bool is_loose, struct ip_addr *out)
{
    bool has_brackets = text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';

    if (has_brackets)
        text = str_sub(text, 1, text.len - 2);
    else if (!is_loose)
        return -EINVAL;
    bool has_tag = str_has_prefix_nocase(text, STR("IPv6:"));
    if (has_tag)
        text = str_sub(text, 5, text.len);
    int r = ip_parse(text, out);
    if (r == 0 && !is_loose && has_tag != (out->family == IP_V6))
        return -EINVAL;
    *out = ip_unmap(*out);
    return r;
}

static bool is_family_used(const struct mx_config *config, enum ip_family family)
{
    enum dns_type types[MX_FAMILIES];
    size_t count = mx_address_types(config->families, types);

    for (size_t i = 0; i < count; i++) {
        if ((types[i] == DNS_A) == (family == IP_V4))
            return true;
    }
    return false;
}

static int resolve_address(struct mx_search *s, const struct ip_addr *ip)
{
    struct mx_result *out = s->out;

    out->ttl_s = TTL_MAX_S;
    if (!is_family_used(s->config, ip->family))
        return conclude(s, MX_NO_HOST, "the address is of a family that this server does not use");
    if (mx_is_own_address(s->config, ip))
        return conclude_loop(s);
    if (!s->may_be_private && mx_is_forbidden(s->config, ip))
        return conclude(s, MX_FORBIDDEN, "the address is private, where no mail is sent to");
    out->hosts = arena_alloc(s->arena, sizeof(out->hosts[0]));
    out->hosts[0].name = arena_str(s->arena, s->domain);
    out->hosts[0].addresses = arena_alloc(s->arena, sizeof(*ip));
    out->hosts[0].addresses[0] = *ip;
    out->hosts[0].address_count = out->host_count = 1;
    out->outcome = MX_OK;
    return 0;
}

/* --- the public ones --- */

static struct str lower_case(struct str text, struct arena *arena)
{
    char *copy = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        copy[i] = ascii_lower(text.ptr[i]);
    return str_from_mem(copy, text.len);
}

/* The name in the form in which it is compared and shown; whether it can be asked for. */
static bool take_name(struct mx_search *s, struct str name)
{
    s->domain = name;
    /* A literal that is none must not be asked for as a name. */
    if (!dns_name_is_valid(name) || str_eq_c(name, ".") || name.ptr[0] == '[')
        return false;
    if (name.ptr[name.len - 1] == '.')
        name.len--;
    s->domain = lower_case(name, s->arena);
    return true;
}

static int conclude_no_name(struct mx_search *s)
{
    return conclude(s, MX_NO_NAME,
                    arena_printf(s->arena, "\"%.*s\" is neither a domain name nor an address",
                                 STR_ARG(shown(s, s->domain))));
}

int mx_resolve(const struct mx_config *config, struct str domain, int64_t deadline_ms,
               struct arena *arena, struct mx_result *out)
{
    struct mx_search s = {
        .config = config, .deadline_ms = deadline_ms, .arena = arena, .out = out, .domain = domain};
    struct ip_addr ip;

    *out = (struct mx_result){.ttl_s = TTL_MIN_S};
    if (parse_literal(domain, false, &ip) == 0)
        return resolve_address(&s, &ip);
    return take_name(&s, domain) ? resolve_domain(&s) : conclude_no_name(&s);
}

int mx_resolve_host(const struct mx_config *config, struct str host, int64_t deadline_ms,
                    struct arena *arena, struct mx_result *out)
{
    struct mx_search s = {.config = config,
                          .deadline_ms = deadline_ms,
                          .arena = arena,
                          .out = out,
                          .domain = host,
                          .may_be_private = true,
                          .is_relay = true};
    struct ip_addr ip;

    *out = (struct mx_result){.ttl_s = UINT32_MAX};
    if (parse_literal(host, true, &ip) == 0)
        return resolve_address(&s, &ip);
    if (!take_name(&s, host))
        return conclude_no_name(&s);
    mx_add_candidate(&s.hosts, s.domain, 0, arena);
    return resolve_hosts(&s);
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str mx_site_key(const struct mx_result *result, struct arena *arena)
{
    struct str *names = arena_alloc(arena, (result->host_count + 1) * sizeof(names[0]));
    struct buf key;

    for (size_t i = 0; i < result->host_count; i++)
        names[i] = lower_case(result->hosts[i].name, arena);
    qsort(names, result->host_count, sizeof(names[0]), compare_names);
    buf_init(&key, MX_HOSTS_MAX * (DNS_NAME_MAX_CHARS + 1));
    for (size_t i = 0; i < result->host_count; i++) {
        if (i > 0)
            buf_put_char(&key, ',');
        buf_put_str(&key, names[i]);
    }
    struct str whole = buf_str(&key), copy;
    if (whole.len <= KEY_MAX_BYTES)
        copy = arena_str(arena, whole);
    else
        copy = str_from_c(arena_printf(arena, "%.*s#%016llx",
                                       STR_ARG(str_sub(whole, 0, KEY_MAX_BYTES - KEY_HASH_CHARS)),
                                       (unsigned long long)map_hash(whole)));
    buf_done(&key);
    return copy;
}
