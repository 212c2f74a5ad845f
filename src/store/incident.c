/* What goes wrong around logins and limits: see incident.h. */
#include "store/incident.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "store/guard.h"
#include "store/trace_event.h"

enum {
    KEY_MAX_BYTES = 340,
    BAN_ACCOUNTS_MAX = 8, /* that are told of one ban */
};

struct peer_count {
    struct ip_rate_key peer;
    uint64_t count;
};

struct event {
    enum incident_kind kind;
    char *key;     /* "": all that had no place */
    char *address; /* NULL: none */
    uint64_t ref;
    int64_t first_ms, last_ms, written_ms;
    uint64_t count, written_count;
    int64_t limit;
    struct peer_count peers[INCIDENT_PEERS_MAX];
    size_t peer_count;
    uint64_t elsewhere; /* occurrences from other peers */
};

struct incidents {
    struct id_maker *ids;
    struct map events; /* kind and key -> struct event, owned */
    size_t of_kind[INCIDENT_KIND_END];
    int64_t bans_since_ms;
    unsigned bans;
};

static const char *const names[INCIDENT_KIND_END] = {
    [INCIDENT_FAILED] = "login-failed",   [INCIDENT_GUESSED] = "login-guessed",
    [INCIDENT_SLOWED] = "login-slowed",   [INCIDENT_MESSAGES] = "over-limit",
    [INCIDENT_RECIPIENTS] = "over-limit", [INCIDENT_NEW_RECIPIENTS] = "over-limit",
    [INCIDENT_BANNED] = "banned-more",
};

static const char *const limits[INCIDENT_KIND_END] = {
    [INCIDENT_MESSAGES] = "messages a minute",
    [INCIDENT_RECIPIENTS] = "recipients a day",
    [INCIDENT_NEW_RECIPIENTS] = "new recipients a day",
};

/* --- the table --- */

struct incidents *incidents_new(struct id_maker *ids)
{
    struct incidents *i = xcalloc(1, sizeof(*i));

    i->ids = ids;
    map_init(&i->events, INCIDENT_KIND_END * (INCIDENT_OF_A_KIND_MAX + 1));
    return i;
}

static void free_event(struct event *e)
{
    free(e->key);
    free(e->address);
    free(e);
}

void incidents_free(struct incidents *i)
{
    size_t at = 0;
    struct str key;
    void *value;

    if (i == NULL)
        return;
    while (map_next(&i->events, &at, &key, &value))
        free_event(value);
    map_done(&i->events);
    free(i);
}

static struct str event_key(enum incident_kind kind, struct str key, char out[KEY_MAX_BYTES])
{
    size_t len = MIN(key.len, (size_t)KEY_MAX_BYTES - 1);

    out[0] = (char)('a' + kind);
    if (len > 0)
        memcpy(out + 1, key.ptr, len);
    return str_from_mem(out, len + 1);
}

static struct event *find(const struct incidents *i, enum incident_kind kind, struct str key)
{
    char room[KEY_MAX_BYTES];

    return map_get(&i->events, event_key(kind, key, room));
}

static void drop(struct incidents *i, struct event *e)
{
    char room[KEY_MAX_BYTES];

    (void)map_remove(&i->events, event_key(e->kind, str_from_c(e->key), room));
    i->of_kind[e->kind] -= e->key[0] != '\0';
    free_event(e);
}

static bool is_over(const struct event *e, int64_t now_ms)
{
    return now_ms - e->first_ms >= INCIDENT_WINDOW_MS || now_ms < e->first_ms;
}

/* --- writing --- */

static void put_peer(const struct ip_rate_key *peer, struct buf *out)
{
    struct ip_net net = guard_net_of(*peer);
    char text[IP_NET_TEXT_BYTES];

    buf_put_c(out, ip_net_print(&net, text));
}

static void put_peers(const struct event *e, struct buf *out)
{
    for (size_t k = 0; k < e->peer_count; k++) {
        buf_put_c(out, k > 0 ? ", " : "");
        put_peer(&e->peers[k].peer, out);
        if (e->count > 1)
            buf_printf(out, " (%llu)", (unsigned long long)e->peers[k].count);
    }
}

static void record(struct event *e, int64_t now_ms, struct buf *out)
{
    size_t at = out->len;
    struct buf peers;

    trace_put_event(out, &(struct trace_event){.ref = e->ref,
                                               .time_ms = e->first_ms,
                                               .event = str_from_c(names[e->kind]),
                                               .address = str_from_c(e->address)});
    trace_put_number(out, at, "count", (int64_t)e->count);
    if (limits[e->kind] != NULL) {
        trace_put_detail(out, at, "which", str_from_c(limits[e->kind]));
        trace_put_number(out, at, "limit", e->limit);
    }
    buf_init(&peers, 1024);
    put_peers(e, &peers);
    if (peers.len > 0)
        trace_put_detail(out, at, "from", buf_str(&peers));
    buf_done(&peers);
    if (e->elsewhere > 0)
        trace_put_number(out, at, "elsewhere", (int64_t)e->elsewhere);
    if (e->count > 1)
        trace_put_number(out, at, "last", e->last_ms);
    e->written_ms = now_ms;
    e->written_count = e->count;
}

static void record_if_due(struct event *e, bool is_now, int64_t now_ms, struct buf *out)
{
    bool is_due = is_now || e->written_count == 0 || now_ms < e->written_ms ||
                  now_ms - e->written_ms >= INCIDENT_WRITE_EVERY_MS;

    if (e->written_count < e->count && is_due)
        record(e, now_ms, out);
}

void incidents_write(struct incidents *i, bool is_all, int64_t now_ms, struct buf *out)
{
    struct event *old[64];
    size_t count;

    do {
        size_t at = 0;
        struct str key;
        void *value;
        count = 0;
        while (count < ARRAY_LEN(old) && map_next(&i->events, &at, &key, &value)) {
            struct event *e = value;
            record_if_due(e, is_all || is_over(e, now_ms), now_ms, out);
            if (is_over(e, now_ms))
                old[count++] = e;
        }
        for (size_t k = 0; k < count; k++)
            drop(i, old[k]);
    } while (count == ARRAY_LEN(old));
}

/* --- counting --- */

static void count_peer(struct event *e, struct ip_rate_key peer)
{
    if (peer.family == IP_NONE)
        return;
    for (size_t k = 0; k < e->peer_count; k++) {
        if (e->peers[k].peer.prefix == peer.prefix && e->peers[k].peer.family == peer.family) {
            e->peers[k].count++;
            return;
        }
    }
    if (e->peer_count < INCIDENT_PEERS_MAX)
        e->peers[e->peer_count++] = (struct peer_count){.peer = peer, .count = 1};
    else
        e->elsewhere++;
}

/* One whose window is over is told once more and makes room. */
static struct event *find_current(struct incidents *i, const struct incident *what, int64_t now_ms,
                                  struct buf *out)
{
    struct event *e = find(i, what->kind, what->key);

    if (e == NULL || !is_over(e, now_ms))
        return e;
    record_if_due(e, true, now_ms, out);
    drop(i, e);
    return NULL;
}

static struct event *begin(struct incidents *i, const struct incident *what, int64_t now_ms)
{
    struct event *e = xcalloc(1, sizeof(*e));
    struct str key = str_sub(what->key, 0, KEY_MAX_BYTES - 1);
    char room[KEY_MAX_BYTES];

    *e = (struct event){.kind = what->kind,
                        .key = str_dup(key),
                        .address = what->address.len > 0 ? str_dup(what->address) : NULL,
                        .ref = id_make(i->ids),
                        .first_ms = now_ms};
    int r = map_set(&i->events, event_key(what->kind, key, room), e);
    ASSERT(r == 0); /* there is room for as many of each kind */
    i->of_kind[what->kind] += key.len > 0;
    return e;
}

static void count_one(struct event *e, const struct incident *what, int64_t now_ms, struct buf *out)
{
    e->count++;
    e->last_ms = now_ms;
    e->limit = what->limit;
    if (e->key[0] != '\0')
        count_peer(e, what->peer);
    record_if_due(e, false, now_ms, out);
}

static bool is_full(struct incidents *i, enum incident_kind kind, int64_t now_ms, struct buf *out)
{
    if (i->of_kind[kind] < INCIDENT_OF_A_KIND_MAX)
        return false;
    incidents_write(i, false, now_ms, out);
    return i->of_kind[kind] >= INCIDENT_OF_A_KIND_MAX;
}

bool incidents_add(struct incidents *i, const struct incident *what, int64_t now_ms,
                   struct buf *out)
{
    struct incident together = {.kind = what->kind, .key = STR(""), .limit = what->limit};
    struct event *e = find_current(i, what, now_ms, out);
    bool is_new = e == NULL;

    if (is_new && what->key.len > 0 && is_full(i, what->kind, now_ms, out)) {
        what = &together;
        e = find_current(i, what, now_ms, out);
        is_new = false;
    }
    if (e == NULL)
        e = begin(i, what, now_ms);
    count_one(e, what, now_ms, out);
    return is_new;
}

bool incidents_add_known(struct incidents *i, const struct incident *what, int64_t now_ms,
                         struct buf *out)
{
    struct event *e = find(i, what->kind, what->key);

    if (e == NULL || is_over(e, now_ms))
        return false;
    count_one(e, what, now_ms, out);
    return true;
}

uint64_t incidents_count(const struct incidents *i, enum incident_kind kind, struct str key)
{
    const struct event *e = find(i, kind, key);

    return e != NULL ? e->count : 0;
}

void incidents_put_peers(const struct incidents *i, enum incident_kind kind, struct str key,
                         struct buf *out)
{
    const struct event *e = find(i, kind, key);

    if (e != NULL)
        put_peers(e, out);
}

/* --- bans --- */

static bool has_peer(const struct event *e, struct ip_rate_key peer)
{
    for (size_t k = 0; k < e->peer_count; k++) {
        if (e->peers[k].peer.prefix == peer.prefix && e->peers[k].peer.family == peer.family)
            return true;
    }
    return false;
}

static void record_ban(struct incidents *i, const struct incident_ban *ban, struct str address,
                       int64_t now_ms, struct buf *out)
{
    size_t at = out->len;

    trace_put_event(out, &(struct trace_event){.ref = id_make(i->ids),
                                               .time_ms = now_ms,
                                               .event = STR("banned"),
                                               .address = address});
    trace_put_detail(out, at, "network", ban->network);
    if (ban->until_ms != INT64_MAX)
        trace_put_number(out, at, "until", ban->until_ms);
    trace_put_detail(out, at, "what", ban->is_for_all ? STR("everything") : STR("logins"));
    trace_put_detail(out, at, "reason", ban->reason);
}

/* Whether a window has room for one more of them. */
static bool may_tell_ban(struct incidents *i, int64_t now_ms)
{
    if (now_ms - i->bans_since_ms >= INCIDENT_WINDOW_MS || now_ms < i->bans_since_ms) {
        i->bans_since_ms = now_ms;
        i->bans = 0;
    }
    return i->bans++ < INCIDENT_BANS_MAX;
}

/* The other accounts at which the network guessed. */
static void tell_others(struct incidents *i, const struct incident_ban *ban, int64_t now_ms,
                        struct buf *out)
{
    size_t at = 0, told = 1;
    struct str key;
    void *value;

    while (told < BAN_ACCOUNTS_MAX && map_next(&i->events, &at, &key, &value)) {
        const struct event *e = value;
        bool is_other = e->kind == INCIDENT_FAILED && e->address != NULL &&
                        !str_eq_c(ban->address, e->address) && has_peer(e, ban->peer);
        if (!is_other)
            continue;
        record_ban(i, ban, str_from_c(e->address), now_ms, out);
        told++;
    }
}

void incidents_ban(struct incidents *i, const struct incident_ban *ban, int64_t now_ms,
                   struct buf *out)
{
    const struct incident more = {.kind = INCIDENT_BANNED, .key = STR("")};
    bool is_own = ban->peer.family == IP_NONE;

    if (!is_own && !may_tell_ban(i, now_ms)) {
        (void)incidents_add(i, &more, now_ms, out);
        return;
    }
    record_ban(i, ban, ban->address, now_ms, out);
    if (!is_own)
        tell_others(i, ban, now_ms, out);
}
