/*
 * Takes Return-Path fields out of a header that streams by: the one that final delivery puts in
 * front must be the only one (RFC 5321 section 4.4). Pure; pieces of any size give the same result.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

enum { HEADER_FILTER_NAME_BYTES = 12 }; /* "Return-Path:" */

struct header_filter {
    enum { FILTER_LINE_START, FILTER_KEEP, FILTER_DROP, FILTER_DONE } state;
    bool has_dropped_line; /* the line before was dropped: so are its continuations */
    char head[HEADER_FILTER_NAME_BYTES];
    size_t head_bytes;
};

void header_filter_init(struct header_filter *f);
/* Whether the header has ended: everything passes from now on. */
bool header_filter_is_done(const struct header_filter *f);
/* Passes on what is kept: at most input.len + HEADER_FILTER_NAME_BYTES bytes. */
void header_filter_feed(struct header_filter *f, struct str input, struct buf *out);
/* The end of the message: passes on what was held back. */
void header_filter_finish(struct header_filter *f, struct buf *out);
