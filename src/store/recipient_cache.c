/* Answers of recipient.check: see recipient_cache.h. */
#include "store/recipient_cache.h"

#include <stdlib.h>
#include <string.h>

struct answer {
    size_t bytes;
    char text[RECIPIENT_ANSWER_MAX_BYTES];
};

void recipient_cache_init(struct recipient_cache *c)
{
    *c = (struct recipient_cache){0};
    map_init(&c->answers, RECIPIENT_CACHE_MAX);
}

static void drop_answers(struct recipient_cache *c)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&c->answers, &at, &key, &value))
        free(value);
    map_done(&c->answers);
}

void recipient_cache_done(struct recipient_cache *c)
{
    drop_answers(c);
}

struct str recipient_cache_get(const struct recipient_cache *c, struct str request)
{
    const struct answer *a = map_get(&c->answers, request);

    return a != NULL ? str_from_mem(a->text, a->bytes) : STR_NONE;
}

void recipient_cache_put(struct recipient_cache *c, struct str request, struct str answer,
                         uint64_t generation)
{
    if (generation != c->generation || answer.len > RECIPIENT_ANSWER_MAX_BYTES ||
        request.len > RECIPIENT_KEY_MAX_BYTES || map_get(&c->answers, request) != NULL)
        return;
    if (c->answers.count == RECIPIENT_CACHE_MAX)
        drop_answers(c);
    struct answer *a = xmalloc(sizeof(*a));
    a->bytes = answer.len;
    memcpy(a->text, answer.ptr, answer.len);
    if (map_set(&c->answers, request, a) < 0)
        free(a);
}

void recipient_cache_forget(struct recipient_cache *c)
{
    c->generation++;
    drop_answers(c);
}
