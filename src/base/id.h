/*
 * Identifiers of messages, sessions and rows: 63 bits made without asking anybody.
 *
 * 41 bits of milliseconds since 2020, 6 bits of node, 5 bits of process slot, 11 bits of counter;
 * so ids sort by time and never repeat within a cluster. Their text is 13 characters of Crockford's
 * base 32 in lower case (no i, l, o, u), which sorts like the number and survives being read aloud.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

enum { ID_TEXT_CHARS = 13, ID_MAX_NODE = 63, ID_MAX_SLOT = 31 };

struct id_maker {
    uint64_t prefix;
    int64_t last_ms;
    uint32_t counter;
};

/* node 0..ID_MAX_NODE, slot 0..ID_MAX_SLOT: unique per process that lives at the same time. */
void id_maker_init(struct id_maker *m, unsigned node, unsigned slot);
/* A new id, larger than all that this maker gave before, also after the clock stepped back. */
uint64_t id_make(struct id_maker *m);
/* The real time in ms at which an id was made. */
int64_t id_time_ms(uint64_t id);
/* The smallest id of a moment. */
uint64_t id_at_ms(int64_t real_ms);

/* Writes the text and a NUL; returns `out`. */
const char *id_format(uint64_t id, char out[ID_TEXT_CHARS + 1]);
/* 0 or -EINVAL. Upper case and the look-alikes i, l, o are taken as Crockford says. */
MUST_CHECK int id_parse(struct str text, uint64_t *out_id);
