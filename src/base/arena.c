/* Memory that is given back all at once: see arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t cap;
    _Alignas(max_align_t) char bytes[];
};

enum { ARENA_FIRST_CHUNK_BYTES = 448, ARENA_LARGEST_CHUNK_BYTES = 32768 };

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max_bytes = max_bytes};
}

void arena_done(struct arena *a)
{
    if (a == NULL)
        return;
    while (a->chunks != NULL) {
        struct arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    a->used_bytes = 0;
}

void arena_wipe(struct arena *a)
{
    for (struct arena_chunk *chunk = a->chunks; chunk != NULL; chunk = chunk->next)
        explicit_bzero(chunk->bytes, chunk->used);
    arena_done(a);
}

static void add_chunk(struct arena *a, size_t need)
{
    size_t cap = a->chunks != NULL ? a->chunks->cap * 2 : ARENA_FIRST_CHUNK_BYTES;

    cap = MIN(cap, (size_t)ARENA_LARGEST_CHUNK_BYTES);
    cap = MAX(cap, need);
    struct arena_chunk *chunk = xmalloc(sizeof(*chunk) + cap);
    chunk->next = a->chunks;
    chunk->used = 0;
    chunk->cap = cap;
    a->chunks = chunk;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t align = _Alignof(max_align_t);
    size_t need = (bytes + align - 1) / align * align;

    ASSERT(bytes <= a->max_bytes && a->used_bytes + need <= a->max_bytes + align);
    if (a->chunks == NULL || a->chunks->cap - a->chunks->used < need)
        add_chunk(a, need);
    void *ptr = a->chunks->bytes + a->chunks->used;
    a->chunks->used += need;
    a->used_bytes += need;
    memset(ptr, 0, need);
    return ptr;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return (struct str){.ptr = copy, .len = s.len};
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;

    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    ASSERT(len >= 0);
    char *text = arena_alloc(a, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}
