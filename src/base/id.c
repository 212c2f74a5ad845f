/* Identifiers made without asking anybody: see id.h. */
#include "base/id.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

enum { COUNTER_BITS = 11, SLOT_BITS = 5, NODE_BITS = 6, TIME_BITS = 41 };

static const int64_t EPOCH_MS = 1577836800000; /* 2020-01-01T00:00:00Z */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void id_maker_init(struct id_maker *m, unsigned node, unsigned slot)
{
    ASSERT(node <= ID_MAX_NODE && slot <= ID_MAX_SLOT);
    *m = (struct id_maker){.prefix = ((uint64_t)node << SLOT_BITS | slot) << COUNTER_BITS};
}

uint64_t id_at_ms(int64_t real_ms)
{
    int64_t since = MAX(real_ms - EPOCH_MS, (int64_t)0);
    uint64_t mask = ((uint64_t)1 << TIME_BITS) - 1;

    return ((uint64_t)since & mask) << (NODE_BITS + SLOT_BITS + COUNTER_BITS);
}

int64_t id_time_ms(uint64_t id)
{
    return (int64_t)(id >> (NODE_BITS + SLOT_BITS + COUNTER_BITS)) + EPOCH_MS;
}

uint64_t id_make(struct id_maker *m)
{
    int64_t now_ms = clock_real_ms();

    if (now_ms > m->last_ms) {
        m->last_ms = now_ms;
        m->counter = 0;
    } else if (++m->counter >> COUNTER_BITS != 0) {
        m->last_ms++;
        m->counter = 0;
    }
    return id_at_ms(m->last_ms) | m->prefix | m->counter;
}

const char *id_format(uint64_t id, char out[ID_TEXT_CHARS + 1])
{
    for (int i = ID_TEXT_CHARS - 1; i >= 0; i--) {
        out[i] = alphabet[id & 31];
        id >>= 5;
    }
    out[ID_TEXT_CHARS] = '\0';
    return out;
}

static int digit_value(char c)
{
    c = ascii_lower(c);
    if (c == 'i' || c == 'l')
        c = '1';
    if (c == 'o')
        c = '0';
    const char *hit = c != '\0' ? strchr(alphabet, c) : NULL;
    return hit != NULL ? (int)(hit - alphabet) : -1;
}

int id_parse(struct str text, uint64_t *out_id)
{
    uint64_t id = 0;

    if (text.len != ID_TEXT_CHARS)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit_value(text.ptr[i]);
        if (value < 0 || id >> 58 != 0)
            return -EINVAL;
        id = id << 5 | (uint64_t)value;
    }
    *out_id = id;
    return 0;
}
