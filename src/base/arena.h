/*
 * Memory that is given back all at once: one arena per session, transaction or command.
 *
 * Nothing allocated here is freed singly. An arena has a maximum; passing it is a programming
 * error, because everything that is kept in one has been bounded by a limit before.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;
    size_t max_bytes;
};

/* Embedded arena; allocates nothing until it is used. Pair: arena_done. */
void arena_init(struct arena *a, size_t max_bytes);
/* Frees everything; the arena may be used again. NULL is taken. */
void arena_done(struct arena *a);

/* The same, and nothing of what was in it stays in memory: for secrets. */
void arena_wipe(struct arena *a);

/* Zeroed memory aligned for any object. */
void *arena_alloc(struct arena *a, size_t bytes) __attribute__((returns_nonnull));
/* A copy of the text, followed by a NUL that the view does not count. */
struct str arena_str(struct arena *a, struct str s);
/* Formatted text, NUL-terminated. */
char *arena_printf(struct arena *a, const char *fmt, ...) ATTR_PRINTF(2, 3);
