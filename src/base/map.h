/*
 * Hash map from bytes to a pointer, bounded, safe against chosen keys.
 *
 * Keys are copied. The hash is SipHash-2-4 under a key drawn when the process starts, so that
 * strangers who choose keys (addresses, names) cannot make it slow. The caller owns the values.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct map_slot {
    char *key; /* NULL: free */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_slot *slots;
    size_t cap; /* power of two or 0 */
    size_t count;
    size_t max_count;
};

/* Embedded map of at most `max_count` keys. Pair: map_done (which leaves the values alone). */
void map_init(struct map *m, size_t max_count);
void map_done(struct map *m);

/* The value of the key, or NULL. */
void *map_get(const struct map *m, struct str key);
/* Sets or replaces; value is not NULL. 0, or -ENOSPC when the map is full. */
MUST_CHECK int map_set(struct map *m, struct str key, void *value);
/* Removes the key; returns its value or NULL. */
void *map_remove(struct map *m, struct str key);
/* Walks all: start with *position = 0; false at the end. The map must not change meanwhile. */
bool map_next(const struct map *m, size_t *position, struct str *out_key, void **out_value);

/* The keyed hash by itself. */
uint64_t map_hash(struct str key);
