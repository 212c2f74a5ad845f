/* How many sessions are open: see session_count.h. */
#include "store/session_count.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

enum { ADDRESSES_MAX = 1000000, KEY_MAX_BYTES = 32 };

struct counter {
    size_t open;
};

/* Two maps: address -> count, and (owner, address) -> count, so that an owner's share can be taken
 * back when it dies. */
struct session_count {
    struct map by_address;
    struct map by_owner;
    size_t total;
    unsigned max_total;
    unsigned max_per_address;
};

struct session_count *session_count_new(unsigned max_total, unsigned max_per_address)
{
    struct session_count *s = xcalloc(1, sizeof(*s));

    map_init(&s->by_address, ADDRESSES_MAX);
    map_init(&s->by_owner, ADDRESSES_MAX);
    session_count_set_limits(s, max_total, max_per_address);
    return s;
}

static void free_values(struct map *m)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(m, &at, &key, &value))
        free(value);
    map_done(m);
}

void session_count_free(struct session_count *s)
{
    if (s == NULL)
        return;
    free_values(&s->by_address);
    free_values(&s->by_owner);
    free(s);
}

void session_count_set_limits(struct session_count *s, unsigned max_total, unsigned max_per_address)
{
    s->max_total = max_total;
    s->max_per_address = max_per_address;
}

struct owner_key {
    char bytes[sizeof(void *) + KEY_MAX_BYTES];
};

static struct str make_owner_key(struct owner_key *out, const void *owner, struct str key)
{
    memcpy(out->bytes, &owner, sizeof(owner));
    memcpy(out->bytes + sizeof(owner), key.ptr, key.len);
    return str_from_mem(out->bytes, sizeof(owner) + key.len);
}

static bool add(struct map *m, struct str key)
{
    struct counter *c = map_get(m, key);

    if (c == NULL) {
        c = xcalloc(1, sizeof(*c));
        if (map_set(m, key, c) < 0) {
            free(c);
            return false;
        }
    }
    c->open++;
    return true;
}

/* Takes up to `n` away; how many were taken. */
static size_t take(struct map *m, struct str key, size_t n)
{
    struct counter *c = map_get(m, key);

    if (c == NULL)
        return 0;
    n = MIN(n, c->open);
    c->open -= n;
    if (c->open == 0)
        free(map_remove(m, key));
    return n;
}

enum session_verdict session_count_open(struct session_count *s, const void *owner, struct str key)
{
    struct owner_key owner_key;
    const struct counter *c;

    if (key.len == 0 || key.len > KEY_MAX_BYTES || s->total >= s->max_total)
        return SESSION_TOO_MANY;
    c = map_get(&s->by_address, key);
    if (c != NULL && c->open >= s->max_per_address)
        return SESSION_TOO_MANY_FROM_ADDRESS;
    if (!add(&s->by_owner, make_owner_key(&owner_key, owner, key)))
        return SESSION_TOO_MANY;
    if (!add(&s->by_address, key)) {
        (void)take(&s->by_owner, make_owner_key(&owner_key, owner, key), 1);
        return SESSION_TOO_MANY;
    }
    s->total++;
    return SESSION_WELCOME;
}

void session_count_close(struct session_count *s, const void *owner, struct str key)
{
    struct owner_key owner_key;

    if (key.len == 0 || key.len > KEY_MAX_BYTES)
        return;
    /* Only what the owner opened itself: a worker cannot close the sessions of another. */
    if (take(&s->by_owner, make_owner_key(&owner_key, owner, key), 1) == 0)
        return;
    s->total -= take(&s->by_address, key, 1);
}

void session_count_drop_owner(struct session_count *s, const void *owner)
{
    struct str prefix = str_from_mem(&owner, sizeof(owner));
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&s->by_owner, &at, &key, &value)) {
        struct counter *c = value;
        if (!str_has_prefix(key, prefix))
            continue;
        s->total -= take(&s->by_address, str_sub(key, prefix.len, key.len), c->open);
        map_remove(&s->by_owner, key);
        free(c);
        at--; /* removing may have moved another key here */
    }
}

size_t session_count_total(const struct session_count *s)
{
    return s->total;
}
