/*
 * The syntax of the configuration file: names, values and sections with the lines they stand on.
 *
 * A subset of UCL, the nginx-like language of rspamd:
 *     section { name = value; name: value, name value    # also just a line each
 *               list = [ "a", b ] }                      / * comments, nested * /
 *     section "LABEL" { ... }                            may be there many times
 *     .include "FILE"                                    relative to the file that includes
 *     .include(try=true) "FILE"                          the same, if there is such a file
 * A value is one bare word or a string in double quotes with the escapes of JSON. Left out of UCL
 * on purpose: variables, multi-line strings, other macros, other options of .include, lists in
 * lists; and a name that is repeated is two entries here, not a list. Meaning and types are not
 * known here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "conf/report.h"

enum {
    SCAN_MAX_BYTES = 1 << 20, /* of all files together */
    SCAN_MAX_FILES = 64,
    SCAN_MAX_INCLUDE_DEPTH = 8,
    SCAN_MAX_SECTION_DEPTH = 8,
    SCAN_MAX_ENTRIES = 8192,
    SCAN_MAX_VALUES = 16384,
    SCAN_MAX_NAME_CHARS = 128,
};

enum scan_kind {
    SCAN_SECTION, /* its entries follow it, their names beginning with its own and a dot */
    SCAN_SCALAR,
    SCAN_LIST,
};

struct scan_value {
    struct str text;
    struct report_place place;
};

struct scan_entry {
    enum scan_kind kind;
    struct str name;  /* "section.name" */
    struct str label; /* of this section or the innermost around it that has one; or "" */
    struct report_place place;
    size_t first_value;
    size_t value_count; /* of a scalar 1 */
};

struct scan {
    struct arena arena; /* holds all text and the paths */
    struct scan_entry *entries;
    size_t entry_count;
    struct scan_value *values;
    size_t value_count;
    size_t file_count;
    size_t total_bytes;
};

/* Pair: scan_done. What the report says of places points into the scan: print it before. */
void scan_init(struct scan *s);
void scan_done(struct scan *s);

/* Reads the file and what it includes; mistakes of syntax go to the report, what could be
 * understood becomes entries. 0, or the negative errno with which the file itself could not be
 * read, which is in the report too. */
MUST_CHECK int scan_file(struct scan *s, const char *path, struct report *report);
/* The same for a text in memory; `path` names it in errors and is where includes are relative to.
 */
void scan_text(struct scan *s, const char *path, struct str text, struct report *report);
