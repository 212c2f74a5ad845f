/* The mbox format: see mbox.h. */
#include "cli/mbox.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "mail/date.h"
#include "store/wire.h"

struct mbox_reader {
    struct mbox_events events;
    struct buf line; /* what has come of the current line */
    bool is_cut;     /* its beginning was handed on already */
    bool in_message;
    bool in_header;
    bool has_blank;      /* an empty line that may be the one before the next "From " */
    bool is_dropping;    /* inside a field that is not the message's own */
    bool takes_keywords; /* that field is X-Keywords */
    struct mbox_facts facts;
    struct buf keywords;
};

static const struct str from = {.ptr = "From ", .len = 5};

struct mbox_reader *mbox_reader_new(const struct mbox_events *events)
{
    struct mbox_reader *r = xcalloc(1, sizeof(*r));

    r->events = *events;
    buf_init(&r->line, 2 * MBOX_LINE_MAX_BYTES);
    buf_init(&r->keywords, MBOX_KEYWORDS_MAX_BYTES);
    return r;
}

void mbox_reader_free(struct mbox_reader *r)
{
    if (r == NULL)
        return;
    buf_done(&r->line);
    buf_done(&r->keywords);
    free(r);
}

static struct str without_line_end(struct str line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static uint32_t flags_of(struct str letters)
{
    uint32_t flags = 0;

    for (size_t i = 0; i < letters.len; i++) {
        char c = letters.ptr[i];
        flags |= c == 'R' ? MESSAGE_SEEN : 0;
        flags |= c == 'A' ? MESSAGE_ANSWERED : 0;
        flags |= c == 'F' ? MESSAGE_FLAGGED : 0;
        flags |= c == 'D' ? MESSAGE_DELETED : 0;
        flags |= c == 'T' ? MESSAGE_DRAFT : 0;
    }
    return flags;
}

static void take_keywords(struct mbox_reader *r, struct str words)
{
    words = str_trim(words);
    if (words.len == 0)
        return;
    if (r->keywords.len > 0)
        buf_put_char(&r->keywords, ' ');
    for (size_t i = 0; i < words.len; i++) {
        char c = words.ptr[i];
        bool is_blank = c == ' ' || c == '\t' || c == ',';
        bool was_blank = r->keywords.len > 0 && r->keywords.ptr[r->keywords.len - 1] == ' ';
        if (!is_blank && c > 0x20 && c < 0x7f)
            buf_put_char(&r->keywords, c);
        else if (is_blank && !was_blank)
            buf_put_char(&r->keywords, ' ');
    }
}

/* Whether this header line belongs to the mbox and not to the message. */
static bool take_status(struct mbox_reader *r, struct str line)
{
    if (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
        if (r->is_dropping && r->takes_keywords)
            take_keywords(r, line);
        return r->is_dropping;
    }
    r->is_dropping = true;
    r->takes_keywords = str_has_prefix_nocase(line, STR("X-Keywords:"));
    if (r->takes_keywords)
        take_keywords(r, str_sub(line, 11, line.len));
    else if (str_has_prefix_nocase(line, STR("Status:")))
        r->facts.flags |= flags_of(str_sub(line, 7, line.len)) & MESSAGE_SEEN;
    else if (str_has_prefix_nocase(line, STR("X-Status:")))
        r->facts.flags |= flags_of(str_sub(line, 9, line.len)) & ~(uint32_t)MESSAGE_SEEN;
    else
        r->is_dropping = false;
    return r->is_dropping;
}

static int end_message(struct mbox_reader *r)
{
    if (!r->in_message)
        return 0;
    r->in_message = false;
    r->facts.keywords = str_trim(buf_str(&r->keywords));
    return r->events.end(r->events.arg, &r->facts);
}

static int begin_message(struct mbox_reader *r, struct str line)
{
    struct date date;

    int e = end_message(r);
    if (e < 0)
        return e;
    buf_reset(&r->keywords);
    r->facts = (struct mbox_facts){.has_date = date_parse_mbox_line(line, &date) == 0};
    r->facts.received_ms = r->facts.has_date ? date.real_ms : 0;
    r->in_message = r->in_header = true;
    r->has_blank = r->is_dropping = false;
    return r->events.begin(r->events.arg);
}

static bool is_separator(const struct mbox_reader *r, struct str line)
{
    struct date date;

    if (!str_has_prefix(line, from))
        return false;
    return !r->in_message || (r->has_blank && date_parse_mbox_line(line, &date) == 0);
}

/* The empty line that was held back belongs to the message after all. */
static int release_blank(struct mbox_reader *r)
{
    if (!r->has_blank)
        return 0;
    r->has_blank = false;
    return r->events.data(r->events.arg, STR("\r\n"));
}

static struct str unquote(struct str line)
{
    size_t marks = 0;

    while (marks < line.len && line.ptr[marks] == '>')
        marks++;
    bool is_quoted = marks > 0 && str_has_prefix(str_sub(line, marks, line.len), from);
    return is_quoted ? str_sub(line, 1, line.len) : line;
}

/* Hands on (a part of) a line; has_end: its line end came with it. */
static int put_line(struct mbox_reader *r, struct str line, bool has_end)
{
    int e = line.len > 0 ? r->events.data(r->events.arg, line) : 0;

    return e == 0 && has_end ? r->events.data(r->events.arg, STR("\r\n")) : e;
}

/* The beginning of a line, or all of it. */
static int take_line(struct mbox_reader *r, struct str line, bool has_end)
{
    bool is_blank = has_end && line.len == 0;

    if (is_separator(r, line))
        return begin_message(r, line);
    if (!r->in_message)
        return is_blank ? 0 : -EBADMSG;
    int e = release_blank(r);
    if (e < 0)
        return e;
    if (is_blank) {
        r->in_header = false;
        r->has_blank = true;
        return 0;
    }
    if (r->in_header && take_status(r, line))
        return 0;
    r->is_dropping = false;
    return put_line(r, unquote(line), has_end);
}

/* Takes the line that r->line holds. A line too long for it is handed on in parts. */
static int take_held(struct mbox_reader *r, bool has_end)
{
    struct str line = buf_str(&r->line);
    bool was_cut = r->is_cut;

    if (has_end)
        line = without_line_end(line);
    r->is_cut = !has_end;
    int e = 0;
    if (!was_cut)
        e = take_line(r, line, has_end);
    else if (!r->is_dropping)
        e = put_line(r, line, has_end);
    buf_reset(&r->line);
    return e;
}

int mbox_reader_feed(struct mbox_reader *r, struct str piece)
{
    int e = 0;

    while (e == 0 && piece.len > 0) {
        ptrdiff_t at = str_find(piece, '\n');
        size_t len = at >= 0 ? (size_t)at + 1 : piece.len;
        len = MIN(len, MBOX_LINE_MAX_BYTES - r->line.len);
        struct str part = str_sub(piece, 0, len);
        buf_put_str(&r->line, part);
        piece = str_sub(piece, len, piece.len);
        if (part.ptr[len - 1] == '\n') {
            e = take_held(r, true);
        } else if (r->line.len == MBOX_LINE_MAX_BYTES) {
            /* The last byte waits: it may be the CR of the line end. */
            char last = r->line.ptr[--r->line.len];
            e = take_held(r, false);
            buf_put_char(&r->line, last);
        }
    }
    return e;
}

int mbox_reader_finish(struct mbox_reader *r)
{
    int e = 0;

    if (r->line.len > 0)
        e = take_held(r, false);
    return e < 0 ? e : end_message(r);
}

/* --- writing --- */

static void put_letters(struct buf *out, const char *name, uint32_t flags, const char *letters,
                        const uint32_t *bits)
{
    uint32_t any = 0;

    for (size_t i = 0; letters[i] != '\0'; i++)
        any |= flags & bits[i];
    if (any == 0)
        return;
    buf_put_c(out, name);
    for (size_t i = 0; letters[i] != '\0'; i++) {
        if (flags & bits[i])
            buf_put_char(out, letters[i]);
    }
    buf_put_char(out, '\n');
}

void mbox_writer_begin(struct mbox_writer *w, struct str sender, const struct mbox_facts *facts,
                       struct buf *out)
{
    static const uint32_t status[] = {MESSAGE_SEEN};
    static const uint32_t x_status[] = {MESSAGE_ANSWERED, MESSAGE_FLAGGED, MESSAGE_DRAFT,
                                        MESSAGE_DELETED};
    time_t seconds = (time_t)(facts->received_ms / 1000);
    struct tm tm = {0};
    char date[64] = "Thu Jan  1 00:00:00 1970";

    *w = (struct mbox_writer){0};
    bool is_odd = sender.len == 0;
    for (size_t i = 0; i < sender.len; i++)
        is_odd = is_odd || (unsigned char)sender.ptr[i] <= ' ' || sender.ptr[i] == 0x7f;
    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
    if (is_odd)
        sender = STR("MAILER-DAEMON");
    buf_printf(out, "From %.*s %s\n", STR_ARG(sender), date);
    put_letters(out, "Status: ", facts->flags, "R", status);
    put_letters(out, "X-Status: ", facts->flags, "AFTD", x_status);
    if (facts->keywords.len > 0)
        buf_printf(out, "X-Keywords: %.*s\n", STR_ARG(facts->keywords));
}

/* Writes out what was held back at the line's start, quoted when it turned out to need that. */
static void release_start(struct mbox_writer *w, bool is_from, struct buf *out)
{
    if (is_from)
        buf_put_char(out, '>');
    for (size_t i = 0; i < w->held_marks; i++)
        buf_put_char(out, '>');
    buf_put(out, from.ptr, w->held_from);
    w->held_marks = w->held_from = 0;
    w->is_inside = true;
}

/* Takes bytes at the start of a line as long as it may become a ">From " line. */
static struct str put_start(struct mbox_writer *w, struct str text, struct buf *out)
{
    while (text.len > 0 && !w->is_inside) {
        char c = text.ptr[0];
        if (c == '>' && w->held_from == 0) {
            w->held_marks++;
        } else if (c == from.ptr[w->held_from]) {
            w->held_from++;
        } else {
            release_start(w, false, out);
            return text;
        }
        text = str_sub(text, 1, text.len);
        if (w->held_from == from.len)
            release_start(w, true, out);
    }
    return text;
}

void mbox_writer_put(struct mbox_writer *w, struct str piece, struct buf *out)
{
    struct buf text;

    buf_init(&text, piece.len + 1);
    lines_put_lf(&w->lines, piece, &text);
    struct str rest = buf_str(&text);
    while (rest.len > 0) {
        if (!w->is_inside)
            rest = put_start(w, rest, out);
        ptrdiff_t at = str_find(rest, '\n');
        size_t len = at >= 0 ? (size_t)at + 1 : rest.len;
        buf_put_str(out, str_sub(rest, 0, len));
        rest = str_sub(rest, len, rest.len);
        if (at >= 0)
            w->is_inside = false;
    }
    buf_done(&text);
}

void mbox_writer_end(struct mbox_writer *w, struct buf *out)
{
    bool is_at_start = !w->is_inside && w->held_marks + w->held_from == 0;
    bool has_cr = w->lines.has_cr;

    if (!w->is_inside)
        release_start(w, false, out);
    lines_end_lf(&w->lines, out);
    buf_put_c(out, is_at_start && !has_cr ? "\n" : "\n\n");
}
