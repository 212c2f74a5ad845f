/* Hash map from bytes to a pointer: see map.h. Open addressing, linear probing, load at most 3/4.
 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { MAP_FIRST_CAP = 16 };

static uint64_t hash_key[2];
static bool has_hash_key;

static inline uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static void sip_block(uint64_t v[4], uint64_t block)
{
    v[3] ^= block;
    sip_round(v);
    sip_round(v);
    v[0] ^= block;
}

static void draw_hash_key(void)
{
    if (has_hash_key)
        return;
    ASSERT(getrandom(hash_key, sizeof(hash_key), 0) == (ssize_t)sizeof(hash_key));
    has_hash_key = true;
}

uint64_t map_hash(struct str key)
{
    draw_hash_key();
    uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575U, hash_key[1] ^ 0x646f72616e646f6dU,
                     hash_key[0] ^ 0x6c7967656e657261U, hash_key[1] ^ 0x7465646279746573U};
    size_t whole = key.len / 8 * 8;
    uint64_t tail = 0;

    for (size_t i = 0; i < whole; i += 8) {
        uint64_t block;
        memcpy(&block, key.ptr + i, 8);
        sip_block(v, block);
    }
    if (key.len > whole)
        memcpy(&tail, key.ptr + whole, key.len - whole);
    sip_block(v, tail | (uint64_t)key.len << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m, size_t max_count)
{
    *m = (struct map){.max_count = max_count};
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free(m->slots[i].key);
    free(m->slots);
    map_init(m, m->max_count);
}

/* The slot of the key, or the free slot where it would go. */
static struct map_slot *find_slot(const struct map *m, struct str key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);

    while (m->slots[i].key != NULL) {
        struct map_slot *slot = &m->slots[i];
        if (slot->hash == hash && str_eq(str_from_mem(slot->key, slot->key_len), key))
            return slot;
        i = (i + 1) & (m->cap - 1);
    }
    return &m->slots[i];
}

void *map_get(const struct map *m, struct str key)
{
    return m->count > 0 ? find_slot(m, key, map_hash(key))->value : NULL;
}

static void grow(struct map *m)
{
    struct map bigger = {.cap = m->cap > 0 ? m->cap * 2 : MAP_FIRST_CAP};

    bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
    for (size_t i = 0; i < m->cap; i++) {
        struct map_slot *old = &m->slots[i];
        if (old->key != NULL)
            *find_slot(&bigger, str_from_mem(old->key, old->key_len), old->hash) = *old;
    }
    free(m->slots);
    m->slots = bigger.slots;
    m->cap = bigger.cap;
}

int map_set(struct map *m, struct str key, void *value)
{
    uint64_t hash = map_hash(key);

    ASSERT(value != NULL);
    if (m->cap == 0 || (m->count + 1) * 4 > m->cap * 3)
        grow(m);
    struct map_slot *slot = find_slot(m, key, hash);
    if (slot->key != NULL) {
        slot->value = value;
        return 0;
    }
    if (m->count >= m->max_count)
        return -ENOSPC;
    *slot =
        (struct map_slot){.key = str_dup(key), .key_len = key.len, .hash = hash, .value = value};
    m->count++;
    return 0;
}

/* Closes the gap at `hole`, so that probing never meets a false end. */
static void close_gap(struct map *m, size_t hole)
{
    size_t mask = m->cap - 1;

    for (size_t i = (hole + 1) & mask; m->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){0};
}

void *map_remove(struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    struct map_slot *slot = find_slot(m, key, map_hash(key));
    if (slot->key == NULL)
        return NULL;
    void *value = slot->value;
    free(slot->key);
    close_gap(m, (size_t)(slot - m->slots));
    m->count--;
    return value;
}

bool map_next(const struct map *m, size_t *position, struct str *out_key, void **out_value)
{
    for (; *position < m->cap; (*position)++) {
        const struct map_slot *slot = &m->slots[*position];
        if (slot->key == NULL)
            continue;
        *out_key = str_from_mem(slot->key, slot->key_len);
        *out_value = slot->value;
        (*position)++;
        return true;
    }
    return false;
}
