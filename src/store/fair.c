/* Fair order among senders: see fair.h. */
#include "store/fair.h"

enum { SWEEP_EVERY_MS = 1000, KEY_MAX_BYTES = 320 };

void fair_init(struct fair *f)
{
    *f = (struct fair){.swept_ms = 0};
    map_init(&f->senders, FAIR_SENDERS_MAX);
}

void fair_done(struct fair *f)
{
    map_done(&f->senders);
}

/* Forgets senders who are not ahead of now; when all are, everybody. */
static void sweep(struct fair *f, int64_t now_ms)
{
    struct map kept;
    struct str sender;
    void *value;
    size_t at = 0;

    f->swept_ms = now_ms;
    map_init(&kept, FAIR_SENDERS_MAX);
    while (map_next(&f->senders, &at, &sender, &value)) {
        if ((int64_t)(intptr_t)value > now_ms && kept.count < FAIR_SENDERS_MAX / 2)
            (void)!map_set(&kept, sender, value);
    }
    map_done(&f->senders);
    f->senders = kept;
}

int64_t fair_place(struct fair *f, struct str sender, int priority, int64_t now_ms)
{
    struct str key = str_sub(sender, 0, KEY_MAX_BYTES);
    int64_t place = (int64_t)(intptr_t)map_get(&f->senders, key);

    /* The null sender is many: notices of every server. It does not count as one. */
    if (sender.len == 0 || place < now_ms)
        place = now_ms;
    place = MIN(place, now_ms + FAIR_AHEAD_MAX_MS);
    if (sender.len > 0) {
        bool is_full = f->senders.count == FAIR_SENDERS_MAX;
        if (is_full && now_ms - f->swept_ms >= SWEEP_EVERY_MS)
            sweep(f, now_ms);
        (void)!map_set(&f->senders, key, (void *)(intptr_t)(place + FAIR_STEP_MS));
    }
    return place - (int64_t)priority * FAIR_PRIORITY_MS;
}
