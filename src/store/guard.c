/* Who may come in and who may try to log in: see guard.h. */
#include "store/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "store/ban_wire.h"
#include "store/brake.h"

enum {
    /* 16 bytes each: 2 MiB, 1 MiB, ... */
    ADDRESS_SLOTS = 131072,
    NETWORK_SLOTS = 32768,
    ACCOUNT_SLOTS = 32768,
    KNOWN_SLOTS = 65536,
    CONNECTION_SLOTS = 131072,
    MESSAGE_SLOTS = 131072,
    EXEMPT_MAX = 256,
    NET_V4_BITS = 24, /* what counts as one network around an address */
    NET_V6_BITS = 48,
    NAME_KEY_BYTES = 320,
    MINUTE_MS = 60 * 1000,
    SAY_FULL_EVERY_MS = 3600 * 1000,
    /* Of failures: for how many there is no delay, and what one of an address weighs against those
     * of a network and of an account. */
    FREE_FAILURES = 2,
    NETWORK_SHARE = 10,
    ACCOUNT_SHARE = 3,
    FIRST_DELAY_MS = 250,
};

/* How long a successful login makes an address known to the account; and how long a ban that is
 * over is held against its network. */
#define KNOWN_FOR_MS   ((int64_t)30 * 24 * 3600 * 1000)
#define STRIKES_FOR_MS ((int64_t)30 * 24 * 3600 * 1000)

struct guard {
    struct brake addresses, networks, accounts; /* failed logins */
    struct brake connections, messages;
    struct brake known; /* (account, address) that have logged in */
    struct map bans;    /* network -> struct guard_ban, owned */
    size_t wide_bans;   /* of other sizes than an address' */
    struct ip_net exempt[EXEMPT_MAX], relays[EXEMPT_MAX];
    size_t exempt_count, relay_count;
    struct brake_rule address_rule, network_rule, account_rule, connection_rule, message_rule;
    int64_t ban_ms, max_ban_ms;
    int64_t said_full_ms; /* when it was last said that there are too many bans */
    bool has_said_full;
};

static const struct brake_rule known_rule = {.burst = 1, .interval_ms = KNOWN_FOR_MS};

/* --- keys --- */

static struct str peer_key(const struct ip_rate_key *peer, char out[9])
{
    memcpy(out, &peer->prefix, 8);
    out[8] = (char)peer->family;
    return str_from_mem(out, 9);
}

/* The network around it. */
static struct ip_rate_key wider(struct ip_rate_key peer)
{
    unsigned bits = peer.family == IP_V4 ? NET_V4_BITS : NET_V6_BITS;

    peer.prefix &= ~(uint64_t)0 << (64 - bits);
    return peer;
}

struct ip_net guard_net_of(struct ip_rate_key key)
{
    struct ip_net net = {.base = {.family = (enum ip_family)key.family},
                         .prefix_bits = key.family == IP_V4 ? 32 : 64};

    for (unsigned i = 0; i < 8; i++)
        net.base.bytes[i] = (uint8_t)(key.prefix >> (56 - 8 * i));
    return net;
}

static struct str net_key(const struct ip_net *net, char out[IP_V6_BYTES + 2])
{
    memcpy(out, net->base.bytes, IP_V6_BYTES);
    out[IP_V6_BYTES] = (char)net->base.family;
    out[IP_V6_BYTES + 1] = (char)net->prefix_bits;
    return str_from_mem(out, IP_V6_BYTES + 2);
}

/* Names in any case are one account's; a longer one than any address is cut. */
static struct str name_key(struct str name, char out[NAME_KEY_BYTES])
{
    struct str s = str_trim(name); /* as credential_find does */
    size_t len = MIN(s.len, (size_t)NAME_KEY_BYTES);

    for (size_t i = 0; i < len; i++)
        out[i] = ascii_lower(s.ptr[i]);
    return str_from_mem(out, len);
}

static struct str known_key(struct ip_rate_key peer, struct str name, char out[NAME_KEY_BYTES + 9])
{
    (void)peer_key(&peer, out);
    struct str rest = name_key(name, out + 9);
    return str_from_mem(out, 9 + rest.len);
}

/* --- bans --- */

static bool is_host(const struct ip_net *net)
{
    return net->prefix_bits == (net->base.family == IP_V4 ? 32 : 64);
}

static struct guard_ban *find_exact(const struct guard *g, const struct ip_net *net)
{
    char key[IP_V6_BYTES + 2];

    return map_get(&g->bans, net_key(net, key));
}

/* Whether the ban holds for a service of this kind now. */
static bool holds(const struct guard_ban *ban, bool has_login, int64_t now_ms)
{
    return ban->until_ms > now_ms && (has_login || ban->is_for_all);
}

static bool is_banned_widely(const struct guard *g, const struct ip_addr *ip, bool has_login,
                             int64_t now_ms)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&g->bans, &at, &key, &value)) {
        const struct guard_ban *ban = value;
        if (!is_host(&ban->net) && holds(ban, has_login, now_ms) && ip_net_contains(&ban->net, ip))
            return true;
    }
    return false;
}

static bool is_banned(const struct guard *g, struct ip_rate_key peer, bool has_login,
                      int64_t now_ms)
{
    struct ip_net net = guard_net_of(peer);
    const struct guard_ban *ban = find_exact(g, &net);

    if (ban != NULL && holds(ban, has_login, now_ms))
        return true;
    return g->wide_bans > 0 && is_banned_widely(g, &net.base, has_login, now_ms);
}

static void drop_ban(struct guard *g, struct guard_ban *ban)
{
    char key[IP_V6_BYTES + 2];

    (void)map_remove(&g->bans, net_key(&ban->net, key));
    g->wide_bans -= !is_host(&ban->net);
    free(ban);
}

/* Forgets bans that are long over; when it is about room, all that are over. */
static void sweep(struct guard *g, int64_t before_ms)
{
    struct guard_ban *old[64];
    size_t count;

    do {
        size_t at = 0;
        struct str key;
        void *value;
        count = 0;
        while (count < ARRAY_LEN(old) && map_next(&g->bans, &at, &key, &value)) {
            struct guard_ban *ban = value;
            if (ban->until_ms < before_ms)
                old[count++] = ban;
        }
        for (size_t i = 0; i < count; i++)
            drop_ban(g, old[i]);
    } while (count == ARRAY_LEN(old));
}

/* The one of those that failed logins have brought that ends first. */
static struct guard_ban *find_shortest(const struct guard *g)
{
    struct guard_ban *best = NULL;
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&g->bans, &at, &key, &value)) {
        struct guard_ban *ban = value;
        if (!ban->is_for_all && (best == NULL || ban->until_ms < best->until_ms))
            best = ban;
    }
    return best;
}

static void make_room(struct guard *g, int64_t now_ms)
{
    sweep(g, now_ms);
    struct guard_ban *shortest = g->bans.count == GUARD_BANS_MAX ? find_shortest(g) : NULL;
    if (shortest == NULL)
        return;
    /* An attack makes many of them: it is said at most once an hour. */
    if (!g->has_said_full || now_ms - g->said_full_ms >= SAY_FULL_EVERY_MS) {
        LOG(LOG_WARNING, "guard.many-bans", LOG_INT("bans", GUARD_BANS_MAX),
            LOG_C("effect", "there is no room for more: those that end first are lifted"),
            LOG_C("hint", "many addresses guess passwords; ban their networks: hikyaku ban add"));
        g->said_full_ms = now_ms;
        g->has_said_full = true;
    }
    drop_ban(g, shortest);
}

int guard_add_ban(struct guard *g, const struct guard_ban *ban)
{
    struct guard_ban *old = find_exact(g, &ban->net);
    char key[IP_V6_BYTES + 2];

    if (old != NULL) {
        *old = *ban;
        return 0;
    }
    if (g->bans.count == GUARD_BANS_MAX)
        make_room(g, ban->since_ms);
    struct guard_ban *copy = xmalloc(sizeof(*copy));
    *copy = *ban;
    if (map_set(&g->bans, net_key(&ban->net, key), copy) < 0) {
        free(copy);
        return -ENOSPC;
    }
    g->wide_bans += !is_host(&ban->net);
    return 0;
}

bool guard_remove_ban(struct guard *g, const struct ip_net *net)
{
    struct guard_ban *ban = find_exact(g, net);
    struct ip_rate_key peer = ip_rate_key(&net->base);
    char key[9];

    brake_forget(&g->addresses, peer_key(&peer, key));
    struct ip_rate_key around = wider(peer);
    brake_forget(&g->networks, peer_key(&around, key));
    if (ban == NULL)
        return false;
    drop_ban(g, ban);
    return true;
}

size_t guard_ban_count(const struct guard *g)
{
    return g->bans.count;
}

/* --- life --- */

/* All that is known of a v6 peer here is its /64: whoever names one address of it means that. */
static bool parse_network(const char *text, struct ip_net *out)
{
    if (ip_net_parse(str_from_c(text), out) < 0)
        return false;
    if (out->base.family != IP_V6 || out->prefix_bits <= 64)
        return true;
    out->prefix_bits = 64;
    memset(out->base.bytes + 8, 0, 8);
    return true;
}

static size_t parse_networks(const struct settings_list *list, struct ip_net *out)
{
    size_t count = 0;

    for (size_t i = 0; i < list->count && count < EXEMPT_MAX; i++)
        count += parse_network(list->items[i], &out[count]);
    return count;
}

/* So many are let pass: the one after them brings the ban. */
static struct brake_rule failure_rule(int64_t failures, int64_t period_ms)
{
    struct brake_rule rule = brake_rule_of((unsigned)failures, period_ms);

    rule.burst += rule.burst > 0;
    return rule;
}

void guard_configure(struct guard *g, const struct settings *s)
{
    g->exempt_count = parse_networks(&s->brakes_exempt_networks, g->exempt);
    g->relay_count = parse_networks(&s->smtp_relay_networks, g->relays);
    g->address_rule = failure_rule(s->brakes_failures, s->brakes_period);
    g->network_rule = failure_rule(s->brakes_network_failures, s->brakes_period);
    g->account_rule = brake_rule_of((unsigned)s->brakes_account_failures, s->brakes_period);
    g->connection_rule = brake_rule_of((unsigned)s->brakes_connections, MINUTE_MS);
    g->message_rule = brake_rule_of((unsigned)s->brakes_messages, MINUTE_MS);
    g->ban_ms = s->brakes_ban_time;
    g->max_ban_ms = s->brakes_max_ban_time;
}

struct guard *guard_new(const struct settings *settings)
{
    struct guard *g = xcalloc(1, sizeof(*g));

    brake_init(&g->addresses, ADDRESS_SLOTS);
    brake_init(&g->networks, NETWORK_SLOTS);
    brake_init(&g->accounts, ACCOUNT_SLOTS);
    brake_init(&g->connections, CONNECTION_SLOTS);
    brake_init(&g->messages, MESSAGE_SLOTS);
    brake_init(&g->known, KNOWN_SLOTS);
    map_init(&g->bans, GUARD_BANS_MAX);
    guard_configure(g, settings);
    return g;
}

void guard_free(struct guard *g)
{
    size_t at = 0;
    struct str key;
    void *value;

    if (g == NULL)
        return;
    while (map_next(&g->bans, &at, &key, &value))
        free(value);
    map_done(&g->bans);
    brake_done(&g->addresses);
    brake_done(&g->networks);
    brake_done(&g->accounts);
    brake_done(&g->connections);
    brake_done(&g->messages);
    brake_done(&g->known);
    free(g);
}

/* --- questions --- */

static bool is_in(const struct ip_net *nets, size_t count, struct ip_rate_key peer)
{
    struct ip_net net = guard_net_of(peer);

    for (size_t i = 0; i < count; i++) {
        if (ip_net_contains(&nets[i], &net.base))
            return true;
    }
    return false;
}

static bool is_exempt(const struct guard *g, struct ip_rate_key peer)
{
    /* Programs that speak over local sockets have no address. */
    return peer.family == IP_NONE || is_in(g->exempt, g->exempt_count, peer);
}

/* Whoever relays through this server brings the mail of many; he may guess no more than others. */
static bool is_relay(const struct guard *g, struct ip_rate_key peer)
{
    return is_in(g->relays, g->relay_count, peer);
}

enum guard_verdict guard_connect(struct guard *g, struct ip_rate_key peer, bool has_login,
                                 int64_t now_ms)
{
    char key[9];

    if (is_exempt(g, peer))
        return GUARD_OK;
    if (is_banned(g, peer, has_login, now_ms))
        return GUARD_BANNED;
    if (!has_login && is_relay(g, peer))
        return GUARD_OK;
    if (!brake_take(&g->connections, peer_key(&peer, key), &g->connection_rule, 1, now_ms, NULL))
        return GUARD_TOO_MANY;
    return GUARD_OK;
}

enum guard_verdict guard_message(struct guard *g, struct ip_rate_key peer, int64_t now_ms)
{
    char key[9];

    if (is_exempt(g, peer))
        return GUARD_OK;
    if (is_banned(g, peer, false, now_ms))
        return GUARD_BANNED;
    if (is_relay(g, peer))
        return GUARD_OK;
    return brake_take(&g->messages, peer_key(&peer, key), &g->message_rule, 1, now_ms, NULL)
               ? GUARD_OK
               : GUARD_TOO_MANY;
}

static bool is_known(const struct guard *g, struct ip_rate_key peer, struct str name,
                     int64_t now_ms)
{
    char key[NAME_KEY_BYTES + 9];

    return !brake_has_room(&g->known, known_key(peer, name, key), &known_rule, now_ms);
}

/* A site of IPv6 has more addresses than there can be bans: where many of a network have failed,
 * those of it that are not known have to wait. Of IPv4 they are banned one by one. */
static bool has_network_room(const struct guard *g, struct ip_rate_key peer, int64_t now_ms)
{
    struct ip_rate_key around = wider(peer);
    char key[9];

    return peer.family != IP_V6 ||
           brake_has_room(&g->networks, peer_key(&around, key), &g->network_rule, now_ms);
}

static bool take_place(struct guard *g, const struct guard_attempt *a, int64_t now_ms)
{
    char key[NAME_KEY_BYTES];
    struct str name = name_key(a->name, key);

    if (a->name.len == 0)
        return true;
    if (!a->is_guess)
        return brake_has_room(&g->accounts, name, &g->account_rule, now_ms);
    return brake_take(&g->accounts, name, &g->account_rule, 1, now_ms, NULL);
}

enum guard_verdict guard_login(struct guard *g, const struct guard_attempt *a, int64_t now_ms)
{
    char key[9];

    if (is_exempt(g, a->peer))
        return GUARD_OK;
    if (is_banned(g, a->peer, true, now_ms))
        return GUARD_BANNED;
    if (!brake_has_room(&g->addresses, peer_key(&a->peer, key), &g->address_rule, now_ms))
        return GUARD_TOO_MANY;
    if (is_known(g, a->peer, a->name, now_ms))
        return GUARD_OK;
    if (!has_network_room(g, a->peer, now_ms))
        return GUARD_TOO_MANY;
    return take_place(g, a, now_ms) ? GUARD_OK : GUARD_SLOWED;
}

int64_t guard_delay_ms(const struct guard *g, struct ip_rate_key peer, struct str name,
                       int64_t now_ms)
{
    struct ip_rate_key around = wider(peer);
    char by_name[NAME_KEY_BYTES], key[9];
    int64_t delay_ms = FIRST_DELAY_MS;

    if (is_exempt(g, peer))
        return 0;
    unsigned count = brake_count(&g->addresses, peer_key(&peer, key), &g->address_rule, now_ms);
    unsigned near =
        brake_count(&g->networks, peer_key(&around, key), &g->network_rule, now_ms) / NETWORK_SHARE;
    unsigned same = 0;
    if (name.len > 0 && !is_known(g, peer, name, now_ms))
        same = brake_count(&g->accounts, name_key(name, by_name), &g->account_rule, now_ms) /
               ACCOUNT_SHARE;
    count = MAX(count, MAX(near, same));
    if (count <= FREE_FAILURES)
        return 0;
    for (unsigned i = FREE_FAILURES + 1; i < count && delay_ms < GUARD_DELAY_MAX_MS; i++)
        delay_ms *= 2;
    return MIN(delay_ms, (int64_t)GUARD_DELAY_MAX_MS);
}

void guard_know(struct guard *g, struct ip_rate_key peer, struct str name, int64_t then_ms)
{
    char key[NAME_KEY_BYTES + 9];
    struct str pair = known_key(peer, name, key);

    /* The time begins anew. */
    brake_forget(&g->known, pair);
    (void)brake_take(&g->known, pair, &known_rule, 1, then_ms, NULL);
}

/* What was right was no failure. */
static void note_right(struct guard *g, const struct guard_attempt *a, enum guard_outcome outcome,
                       int64_t now_ms)
{
    char key[NAME_KEY_BYTES];

    if (a->is_guess && a->name.len > 0 && !is_known(g, a->peer, a->name, now_ms))
        brake_give(&g->accounts, name_key(a->name, key), &g->account_rule, 1, now_ms);
    if (outcome != GUARD_SUCCEEDED)
        return;
    brake_forget(&g->addresses, peer_key(&a->peer, key));
    guard_know(g, a->peer, a->name, now_ms);
}

/* The first ban is short, each further one twice as long. */
static void fill_ban(struct guard *g, struct ip_rate_key peer, int64_t now_ms,
                     struct guard_ban *out)
{
    struct ip_net net = guard_net_of(peer);
    const struct guard_ban *old = find_exact(g, &net);
    bool is_lasting = old != NULL && now_ms - old->until_ms < STRIKES_FOR_MS;
    unsigned strikes = is_lasting ? old->strikes + 1 : 1;
    int64_t length_ms = g->ban_ms;

    for (unsigned i = 1; i < strikes && length_ms < g->max_ban_ms; i++)
        length_ms *= 2;
    *out = (struct guard_ban){.net = net,
                              .since_ms = now_ms,
                              .until_ms = now_ms + MIN(length_ms, g->max_ban_ms),
                              .strikes = strikes};
    (void)snprintf(out->reason, sizeof(out->reason), BAN_FOR_FAILURES);
}

/* Whether the address may go on; that it may not is a ban. */
static bool note_wrong(struct guard *g, const struct guard_attempt *a, int64_t now_ms)
{
    struct ip_rate_key around = wider(a->peer);
    char key[NAME_KEY_BYTES], peer[9], network[9];
    struct str by_peer = peer_key(&a->peer, peer), by_network = peer_key(&around, network);

    bool has_place = a->is_guess && !is_known(g, a->peer, a->name, now_ms);
    if (a->name.len > 0 && !has_place)
        (void)brake_take(&g->accounts, name_key(a->name, key), &g->account_rule, 1, now_ms, NULL);
    (void)brake_take(&g->addresses, by_peer, &g->address_rule, 1, now_ms, NULL);
    (void)brake_take(&g->networks, by_network, &g->network_rule, 1, now_ms, NULL);
    return brake_has_room(&g->addresses, by_peer, &g->address_rule, now_ms) &&
           brake_has_room(&g->networks, by_network, &g->network_rule, now_ms);
}

bool guard_note_login(struct guard *g, const struct guard_attempt *a, enum guard_outcome outcome,
                      int64_t now_ms, struct guard_ban *out_ban)
{
    if (is_exempt(g, a->peer))
        return false;
    if (outcome != GUARD_FAILED) {
        note_right(g, a, outcome, now_ms);
        return false;
    }
    if (note_wrong(g, a, now_ms) || is_banned(g, a->peer, true, now_ms))
        return false;
    fill_ban(g, a->peer, now_ms, out_ban);
    return guard_add_ban(g, out_ban) == 0;
}
