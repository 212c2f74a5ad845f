/* Hosts that could take the mail: see mx_hosts.h. */
#include "dns/mx_hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The special-purpose registries of RFC 6890, as far as no mail server can be there. */
#define V4(a, b, c, d, bits)                                                                       \
    {                                                                                              \
        .base = {.family = IP_V4, .bytes = {a, b, c, d}}, .prefix_bits = (bits)                    \
    }
#define V6(a, b, bits)                                                                             \
    {                                                                                              \
        .base = {.family = IP_V6, .bytes = {a, b}}, .prefix_bits = (bits)                          \
    }
static const struct ip_net special_networks[] = {
    V4(0, 0, 0, 0, 8),     /* this network */
    V4(10, 0, 0, 0, 8),    /* private use */
    V4(100, 64, 0, 0, 10), /* between provider and customer */
    V4(127, 0, 0, 0, 8),   /* loopback */
    V4(169, 254, 0, 0, 16) /* link-local */,
    V4(172, 16, 0, 0, 12), /* private use */
    V4(192, 0, 0, 0, 24),  /* protocol assignments */
    V4(192, 88, 99, 0, 24) /* 6to4 relays, as they were */,
    V4(192, 168, 0, 0, 16) /* private use */,
    V4(198, 18, 0, 0, 15), /* benchmarks */
    V4(224, 0, 0, 0, 4),   /* multicast */
    V4(240, 0, 0, 0, 4),   /* reserved, broadcast */
    V6(0, 0, 96),          /* unspecified, loopback, v4-compatible */
    V6(0x01, 0, 64),       /* discard-only */
    V6(0xfc, 0, 7),        /* unique local */
    V6(0xfe, 0x80, 10),    /* link-local */
    V6(0xfe, 0xc0, 10),    /* site-local, as they were */
    V6(0xff, 0, 8),        /* multicast */
    {.base = {.family = IP_V6, .bytes = {0, 0x64, 0xff, 0x9b, 0, 1}},
     .prefix_bits = 48}, /* NAT64 */
};

/* Networks whose addresses have one of v4 inside, which is what counts. */
static const struct {
    struct ip_net net;
    size_t at;
} embedding_networks[] = {
    {V6(0x20, 0x02, 16), 2}, /* 6to4 */
    {{.base = {.family = IP_V6, .bytes = {0, 0x64, 0xff, 0x9b}}, .prefix_bits = 96},
     12}, /* NAT64 */
};

static uint32_t draw(void)
{
    uint32_t number = 0;

    (void)!getrandom(&number, sizeof(number), 0);
    return number;
}

uint32_t (*mx_random)(void) = draw;

size_t mx_address_types(int families, enum dns_type out[MX_FAMILIES])
{
    out[0] = families == SETTINGS_FAMILIES_IPV4 || families == SETTINGS_FAMILIES_IPV4_FIRST
                 ? DNS_A
                 : DNS_AAAA;
    out[1] = out[0] == DNS_A ? DNS_AAAA : DNS_A;
    return families == SETTINGS_FAMILIES_IPV4 || families == SETTINGS_FAMILIES_IPV6 ? 1 : 2;
}

/* --- the list --- */

void mx_add_candidate(struct mx_candidates *list, struct str name, uint16_t preference,
                      struct arena *arena)
{
    for (size_t i = 0; i < list->count; i++) {
        struct mx_host *host = &list->items[i].host;
        if (!str_eq_nocase(host->name, name))
            continue;
        host->preference = MIN(host->preference, preference);
        return;
    }
    if (list->items == NULL)
        list->items = arena_alloc(arena, DNS_RECORDS_MAX * sizeof(list->items[0]));
    if (list->count == DNS_RECORDS_MAX)
        return;
    list->items[list->count++] = (struct mx_candidate){
        .host = {.name = arena_str(arena, name), .preference = preference}, .tie = mx_random()};
}

static int compare_candidates(const void *a, const void *b)
{
    const struct mx_candidate *x = a, *y = b;

    if (x->host.preference != y->host.preference)
        return x->host.preference < y->host.preference ? -1 : 1;
    if (x->tie != y->tie)
        return x->tie < y->tie ? -1 : 1;
    return str_cmp(x->host.name, y->host.name);
}

void mx_sort_candidates(struct mx_candidates *list)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(list->items[0]), compare_candidates);
}

void mx_cut_candidates(struct mx_candidates *list, uint16_t preference)
{
    while (list->count > 0 && list->items[list->count - 1].host.preference >= preference)
        list->count--;
}

/* --- addresses --- */

bool mx_is_own_address(const struct mx_config *config, const struct ip_addr *ip)
{
    struct ip_addr plain = ip_unmap(*ip);

    for (size_t i = 0; config->own_port == config->port && i < config->own_address_count; i++) {
        struct ip_addr own = ip_unmap(config->own_addresses[i]);
        if (ip_eq(&own, &plain))
            return true;
    }
    return false;
}

static bool is_allowed(const struct mx_config *config, const struct ip_addr *ip)
{
    struct ip_net net;

    for (size_t i = 0; config->allowed_networks != NULL && i < config->allowed_networks->count;
         i++) {
        if (ip_net_parse(str_from_c(config->allowed_networks->items[i]), &net) == 0 &&
            ip_net_contains(&net, ip))
            return true;
    }
    return false;
}

static bool is_special(const struct ip_addr *ip)
{
    for (size_t i = 0; i < ARRAY_LEN(special_networks); i++) {
        if (ip_net_contains(&special_networks[i], ip))
            return true;
    }
    return false;
}

bool mx_is_forbidden(const struct mx_config *config, const struct ip_addr *ip)
{
    struct ip_addr plain = ip_unmap(*ip);

    if (is_allowed(config, &plain))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(embedding_networks); i++) {
        if (!ip_net_contains(&embedding_networks[i].net, &plain))
            continue;
        struct ip_addr inner = {.family = IP_V4};
        memcpy(inner.bytes, plain.bytes + embedding_networks[i].at, IP_V4_BYTES);
        return is_special(&inner);
    }
    return is_special(&plain);
}

static bool has_address(const struct mx_host *host, const struct ip_addr *ip)
{
    for (size_t i = 0; i < host->address_count; i++) {
        if (ip_eq(&host->addresses[i], ip))
            return true;
    }
    return false;
}

static void take_address(const struct mx_config *config, struct mx_candidate *c,
                         const struct ip_addr *ip, bool may_be_private)
{
    struct mx_host *host = &c->host;

    if (mx_is_own_address(config, ip)) {
        c->is_own = true;
        return;
    }
    if (!may_be_private && mx_is_forbidden(config, ip)) {
        c->has_forbidden = true;
        return;
    }
    if (host->address_count < MX_ADDRESSES_MAX && !has_address(host, ip))
        host->addresses[host->address_count++] = *ip;
}

/* The answer to one address question of a host. */
static void take_answer(const struct mx_config *config, struct mx_candidate *c, enum dns_type type,
                        const struct dns_answer *answer, bool may_be_private)
{
    c->ttl_s = MIN(c->ttl_s, answer->ttl_s);
    if (answer->status != DNS_NO_NAME)
        c->is_nonexistent = false;
    if (answer->status == DNS_FAILED || answer->status == DNS_BOGUS) {
        c->has_failed = true;
        c->is_bogus = c->is_bogus || answer->status == DNS_BOGUS;
        c->why = answer->why;
    }
    if (answer->status != DNS_OK)
        return;
    c->host.is_secure = c->host.is_secure && answer->is_secure;
    for (size_t i = 0; i < answer->count; i++) {
        struct ip_addr ip;
        if (dns_address_read(type, answer->data[i], &ip) == 0) {
            ip = ip_unmap(ip);
            take_address(config, c, &ip, may_be_private);
        }
    }
}

static void take_answers(const struct mx_config *config, struct mx_candidate *c,
                         const enum dns_type *types, const struct dns_answer *answers, size_t count,
                         bool may_be_private)
{
    bool has_records = false;

    c->host.is_secure = c->is_nonexistent = true;
    c->ttl_s = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        take_answer(config, c, types[i], &answers[i], may_be_private);
        has_records = has_records || answers[i].status == DNS_OK;
    }
    c->has_failed = c->has_failed && !has_records;
    c->host.is_secure = c->host.is_secure && has_records;
}

int mx_find_addresses(const struct mx_config *config, struct mx_candidates *list,
                      bool may_be_private, int64_t deadline_ms, struct arena *arena)
{
    enum dns_type types[MX_FAMILIES];
    size_t type_count = mx_address_types(config->families, types);
    size_t count = 0;

    _Static_assert(MX_HOSTS_MAX * MX_FAMILIES <= DNS_QUESTIONS_MAX, "one call asks for all hosts");
    ASSERT(list->count >= 1 && list->count <= MX_HOSTS_MAX);
    struct dns_question *questions =
        arena_alloc(arena, list->count * type_count * sizeof(questions[0]));
    struct dns_answer *answers = arena_alloc(arena, list->count * type_count * sizeof(answers[0]));
    for (size_t i = 0; i < list->count; i++) {
        list->items[i].host.addresses =
            arena_alloc(arena, MX_ADDRESSES_MAX * sizeof(struct ip_addr));
        for (size_t t = 0; t < type_count; t++)
            questions[count++] =
                (struct dns_question){.name = list->items[i].host.name, .type = types[t]};
    }
    int r = config->lookup(config->arg, questions, count, deadline_ms, arena, answers);
    if (r < 0)
        return r;
    for (size_t i = 0; i < list->count; i++)
        take_answers(config, &list->items[i], types, answers + i * type_count, type_count,
                     may_be_private);
    return 0;
}
