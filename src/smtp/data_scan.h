/*
 * The bytes of a message on their way in: where it ends, which dots to remove, which line ends are
 * wrong.
 *
 * End of data is exactly CR LF . CR LF and nothing else (RFC 5321 section 4.1.1.4); what a server
 * in front or behind might take for an end is content here, so nothing can be smuggled. A CR or LF
 * by itself is noted, and either kept out (the message is refused) or made CR LF. Pure; pieces of
 * any size give the same result.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum data_mode {
    DATA_DOTTED,  /* DATA: dots are stuffed, the message ends itself */
    DATA_CHUNKED, /* BDAT (RFC 3030): neither; the caller knows the end */
};

struct data_scan {
    enum data_mode mode;
    bool may_normalise;
    enum { SCAN_LINE_START, SCAN_TEXT, SCAN_CR, SCAN_DOT, SCAN_DOT_CR } state;
    unsigned line_bytes; /* of the line at hand, up to 2 */
    bool is_line_dot;    /* its first byte is a dot */
    bool is_complete;    /* the end was seen */
    bool has_bare;       /* a CR or LF by itself was seen */
    bool has_nul;
    bool has_8bit;
    bool has_false_end; /* a dot alone between line ends of which some were wrong */
    /* The size of the message as RFC 1870 section 5 counts it: without stuffed dots and the end. */
    uint64_t content_bytes;
};

void data_scan_init(struct data_scan *d, enum data_mode mode, bool may_normalise);
/* Takes bytes of `input` up to the end of data, appends content to `out` (at most input.len + 2
 * more bytes). After a bare line end that may not be normalised, no more content comes out. Returns
 * the number of bytes taken: all, unless is_complete. */
size_t data_scan_feed(struct data_scan *d, struct str input, struct buf *out);
/* The end of a chunked message: a CR that waits for its LF is a bare one. */
void data_scan_finish(struct data_scan *d, struct buf *out);
