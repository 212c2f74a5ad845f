/* Tables for people: see table.h. */
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/text.h"

enum { LINE_MAX_BYTES = TABLE_COLUMNS_MAX * TABLE_CELL_MAX_BYTES, GAP = 2 };

void table_init(struct table *t, const struct table_column *columns, size_t count)
{
    ASSERT(count > 0 && count <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns = columns, .column_count = count, .indent = ""};
}

void table_done(struct table *t)
{
    for (size_t i = 0; i < t->cell_count; i++)
        free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->cell_count = t->cell_cap = 0;
}

void table_put(struct table *t, struct str text)
{
    size_t limit = t->columns[t->cell_count % t->column_count].max_columns;
    struct buf safe, cell;

    buf_init(&safe, 4 * TABLE_CELL_MAX_BYTES);
    buf_init(&cell, 4 * TABLE_CELL_MAX_BYTES);
    text_put_safe(&safe, str_sub(text, 0, TABLE_CELL_MAX_BYTES));
    text_put_cut(&cell, buf_str(&safe), limit > 0 ? limit : SIZE_MAX - 1);
    if (t->cell_count == t->cell_cap) {
        t->cell_cap = t->cell_cap == 0 ? 64 : 2 * t->cell_cap;
        t->cells = xrealloc(t->cells, t->cell_cap * sizeof(t->cells[0]));
    }
    t->cells[t->cell_count++] = xstrdup(buf_c_str(&cell));
    buf_done(&cell);
    buf_done(&safe);
}

void table_put_c(struct table *t, const char *text)
{
    table_put(t, str_from_c(text));
}

void table_put_number(struct table *t, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    table_put_c(t, text);
}

static void put_made(struct table *t, struct buf *text)
{
    table_put(t, buf_str(text));
    buf_done(text);
}

void table_put_size(struct table *t, uint64_t bytes)
{
    struct buf text;

    buf_init(&text, 64);
    text_put_size(&text, bytes);
    put_made(t, &text);
}

void table_put_time(struct table *t, int64_t real_ms)
{
    struct buf text;

    buf_init(&text, 64);
    text_put_time(&text, real_ms);
    put_made(t, &text);
}

static size_t terminal_columns(void)
{
    struct winsize size;

    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return SIZE_MAX / 2;
}

/* Adds one cell with its gap; the last one of a line is not filled up. */
static void put_cell(const struct table *t, size_t column, struct str text, size_t width,
                     struct buf *line)
{
    size_t columns = text_columns(text), fill = width > columns ? width - columns : 0;
    bool is_last = column + 1 == t->column_count;

    if (t->columns[column].is_right)
        buf_printf(line, "%*s", (int)fill, "");
    buf_put_str(line, text);
    if (!t->columns[column].is_right && !is_last)
        buf_printf(line, "%*s", (int)fill, "");
    if (!is_last)
        buf_printf(line, "%*s", GAP, "");
}

static void print_row(const struct table *t, const char *const *cells, const size_t *widths,
                      size_t room)
{
    struct buf line, cut;

    buf_init(&line, LINE_MAX_BYTES);
    buf_init(&cut, LINE_MAX_BYTES);
    buf_put_c(&line, t->indent);
    for (size_t i = 0; i < t->column_count; i++)
        put_cell(t, i, str_from_c(cells[i]), widths[i], &line);
    text_put_cut(&cut, buf_str(&line), room);
    (void)printf("%s\n", buf_c_str(&cut));
    buf_done(&cut);
    buf_done(&line);
}

void table_print(const struct table *t, const char *nothing)
{
    const char *headings[TABLE_COLUMNS_MAX];
    size_t widths[TABLE_COLUMNS_MAX];
    size_t room = terminal_columns();

    ASSERT(t->column_count > 0);
    if (t->cell_count == 0) {
        (void)printf("%s%s\n", t->indent, nothing);
        return;
    }
    for (size_t i = 0; i < t->column_count; i++) {
        headings[i] = t->columns[i].heading;
        widths[i] = text_columns(str_from_c(headings[i]));
    }
    for (size_t i = 0; i < t->cell_count; i++) {
        size_t width = text_columns(str_from_c(t->cells[i]));
        widths[i % t->column_count] = MAX(widths[i % t->column_count], width);
    }
    print_row(t, headings, widths, room);
    for (size_t i = 0; i + t->column_count <= t->cell_count; i += t->column_count)
        print_row(t, (const char *const *)&t->cells[i], widths, room);
}
