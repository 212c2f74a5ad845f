/* "Did you mean ...?": see suggest.h. */
#include "conf/suggest.h"

#include <stdlib.h>

#include "base/error.h"

/* Three rows of the table of distances are enough: a swap looks back two. */
struct rows {
    int before_last[SUGGEST_MAX_CHARS + 1];
    int last[SUGGEST_MAX_CHARS + 1];
    int current[SUGGEST_MAX_CHARS + 1];
};

static bool is_same(struct str a, size_t i, struct str b, size_t j)
{
    return ascii_lower(a.ptr[i]) == ascii_lower(b.ptr[j]);
}

/* The cost of making the first i of a into the first j of b. */
static int step(const struct rows *rows, struct str a, size_t i, struct str b, size_t j)
{
    int replace = rows->last[j - 1] + (is_same(a, i - 1, b, j - 1) ? 0 : 1);
    int cost = MIN(replace, MIN(rows->last[j], rows->current[j - 1]) + 1);

    if (i > 1 && j > 1 && is_same(a, i - 1, b, j - 2) && is_same(a, i - 2, b, j - 1))
        cost = MIN(cost, rows->before_last[j - 2] + 1);
    return cost;
}

int suggest_distance(struct str a, struct str b, int bound)
{
    struct rows rows;

    if (a.len > SUGGEST_MAX_CHARS || b.len > SUGGEST_MAX_CHARS)
        return bound + 1;
    for (size_t j = 0; j <= b.len; j++)
        rows.last[j] = (int)j;
    for (size_t i = 1; i <= a.len; i++) {
        int best = rows.current[0] = (int)i;
        for (size_t j = 1; j <= b.len; j++) {
            rows.current[j] = step(&rows, a, i, b, j);
            best = MIN(best, rows.current[j]);
        }
        /* Rows never get cheaper than their cheapest cell, but for a swap, which costs one. */
        if (best > bound + 1)
            return bound + 1;
        for (size_t j = 0; j <= b.len; j++) {
            rows.before_last[j] = rows.last[j];
            rows.last[j] = rows.current[j];
        }
    }
    return MIN(rows.last[b.len], bound + 1);
}

const char *suggest_nearest(struct str word, const char *const *names, size_t count, int bound)
{
    const char *nearest = NULL;

    for (size_t i = 0; i < count && bound >= 0; i++) {
        int distance = suggest_distance(word, str_from_c(names[i]), bound);
        if (distance > bound)
            continue;
        nearest = names[i];
        bound = distance - 1;
    }
    return nearest;
}
