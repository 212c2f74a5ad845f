/* Short answers: see answer_cache.h. */
#include "store/answer_cache.h"

#include <stdlib.h>
#include <string.h>

struct answer {
    size_t bytes;
    char text[ANSWER_CACHE_ANSWER_MAX_BYTES];
};

void answer_cache_init(struct answer_cache *c)
{
    *c = (struct answer_cache){0};
    map_init(&c->answers, ANSWER_CACHE_MAX);
}

static void drop_answers(struct answer_cache *c)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&c->answers, &at, &key, &value))
        free(value);
    map_done(&c->answers);
}

void answer_cache_done(struct answer_cache *c)
{
    drop_answers(c);
}

struct str answer_cache_get(const struct answer_cache *c, struct str request)
{
    const struct answer *a = map_get(&c->answers, request);

    return a != NULL ? str_from_mem(a->text, a->bytes) : STR_NONE;
}

void answer_cache_put(struct answer_cache *c, struct str request, struct str answer,
                      uint64_t generation)
{
    if (generation != c->generation || answer.len > ANSWER_CACHE_ANSWER_MAX_BYTES ||
        request.len > ANSWER_CACHE_REQUEST_MAX_BYTES || map_get(&c->answers, request) != NULL)
        return;
    if (c->answers.count == ANSWER_CACHE_MAX)
        drop_answers(c);
    struct answer *a = xmalloc(sizeof(*a));
    a->bytes = answer.len;
    memcpy(a->text, answer.ptr, answer.len);
    if (map_set(&c->answers, request, a) < 0)
        free(a);
}

void answer_cache_forget(struct answer_cache *c)
{
    c->generation++;
    drop_answers(c);
}
