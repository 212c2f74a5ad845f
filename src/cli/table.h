/*
 * Tables for people: rows of cells under a heading, aligned by the columns they take on a terminal.
 *
 * On a terminal the last column is cut at its right edge; into a file everything is written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

enum { TABLE_COLUMNS_MAX = 10, TABLE_CELL_MAX_BYTES = 4096 };

struct table_column {
    const char *heading;
    bool is_right;      /* aligned to the right: numbers */
    size_t max_columns; /* longer cells are cut; 0: not */
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells; /* row by row */
    size_t cell_count;
    size_t cell_cap;
    const char *indent;
};

/* Pair: table_done. `columns` must stay valid. */
void table_init(struct table *t, const struct table_column *columns, size_t count);
void table_done(struct table *t);
/* Adds the next cell, made safe to print. */
void table_put(struct table *t, struct str text);
void table_put_c(struct table *t, const char *text);
void table_put_number(struct table *t, uint64_t value);
void table_put_size(struct table *t, uint64_t bytes);
void table_put_time(struct table *t, int64_t real_ms);
/* Prints on standard output; prints `nothing` instead when there is no row. */
void table_print(const struct table *t, const char *nothing);
