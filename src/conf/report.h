/*
 * What is wrong with a configuration file: one line for each mistake, in the order of the file, and
 * no more of them than a person can use.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { REPORT_MAX_ERRORS = 20, REPORT_LINE_MAX_BYTES = 1024, REPORT_QUOTE_MAX_CHARS = 60 };

/* Where something stands. */
struct report_place {
    const char *file; /* path as it was given or included; outlives the report */
    int file_order;   /* files in the order they were opened, from 0 */
    int line;         /* from 1; 0: the file as a whole */
};

struct report_error {
    struct report_place place;
    size_t sequence;
    char *text;
};

struct report {
    struct report_error errors[REPORT_MAX_ERRORS];
    size_t count; /* may be above REPORT_MAX_ERRORS: the rest was dropped */
};

/* Pair: report_done. */
void report_init(struct report *r);
void report_done(struct report *r);

/* `text` says what is wrong and, after "; ", what to do. */
void report_add(struct report *r, struct report_place place, const char *fmt, ...)
    ATTR_PRINTF(3, 4);
/* Writes the lines "FILE:LINE: text". */
void report_print(struct report *r, struct buf *out);

/* Somebody's text in double quotes, shortened, safe to print on one line. */
void report_put_quoted(struct buf *out, struct str s);
