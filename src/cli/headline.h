/*
 * What a listing says of a message: who and about what, decoded to UTF-8 that is safe to print.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

struct headline {
    struct buf from;    /* the name, else the address */
    struct buf address; /* the first one of From */
    struct buf subject;
};

/* From a message's summary; empty where that says nothing. Pair: headline_done. */
void headline_init(struct headline *h, struct str summary);
void headline_done(struct headline *h);
