/*
 * Answers of recipient.check that the loop thread gives without asking the rows: senders repeat
 * their recipients. Any change of the directory forgets all; bounded. Belongs to the loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/map.h"

enum { RECIPIENT_CACHE_MAX = 4096, RECIPIENT_ANSWER_MAX_BYTES = 16, RECIPIENT_KEY_MAX_BYTES = 512 };

struct recipient_cache {
    struct map answers;
    uint64_t generation; /* counts the changes of the directory */
};

void recipient_cache_init(struct recipient_cache *c);
void recipient_cache_done(struct recipient_cache *c);
/* The answer to the request, or the empty view. Valid until the next change. */
struct str recipient_cache_get(const struct recipient_cache *c, struct str request);
/* Keeps an answer, unless the directory has changed since `generation`. */
void recipient_cache_put(struct recipient_cache *c, struct str request, struct str answer,
                         uint64_t generation);
/* The directory has changed. */
void recipient_cache_forget(struct recipient_cache *c);
