/*
 * Short answers that the loop thread gives without asking the rows: of recipient.check, because
 * senders repeat their recipients, and of sender.check, because users repeat themselves. Any change
 * of what they rest on forgets all; bounded. Belongs to the loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/map.h"

enum {
    ANSWER_CACHE_MAX = 4096,
    ANSWER_CACHE_ANSWER_MAX_BYTES = 16,
    ANSWER_CACHE_REQUEST_MAX_BYTES = 512
};

struct answer_cache {
    struct map answers;
    uint64_t generation; /* counts the changes of what they rest on */
};

void answer_cache_init(struct answer_cache *c);
void answer_cache_done(struct answer_cache *c);
/* The answer to the request, or the empty view. Valid until the next change. */
struct str answer_cache_get(const struct answer_cache *c, struct str request);
/* Keeps an answer, unless something has changed since `generation`. */
void answer_cache_put(struct answer_cache *c, struct str request, struct str answer,
                      uint64_t generation);
/* Something has changed. */
void answer_cache_forget(struct answer_cache *c);
