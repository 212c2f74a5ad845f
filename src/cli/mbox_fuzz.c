/*
 * Fuzz target of the mbox and Maildir readers: any bytes are read the same however they are cut,
 * and what was read comes back when it is written and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/maildir.h"
#include "cli/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { TEXT_MAX_BYTES = 1 << 26, MESSAGES_MAX = 1000 };

/* All messages one behind the other; where each ends, and its facts. */
struct reading {
    struct buf text;
    size_t ends[MESSAGES_MAX];
    struct mbox_facts facts[MESSAGES_MAX];
    size_t count;
    int result;
};

static int on_begin(void *arg)
{
    const struct reading *r = arg;

    return r->count == MESSAGES_MAX ? -1000 : 0;
}

static int on_data(void *arg, struct str piece)
{
    struct reading *r = arg;

    buf_put_str(&r->text, piece);
    return 0;
}

static int on_end(void *arg, const struct mbox_facts *facts)
{
    struct reading *r = arg;

    r->ends[r->count] = r->text.len;
    r->facts[r->count] = *facts;
    r->facts[r->count++].keywords = STR("");
    return 0;
}

static struct reading *read_mbox(struct str text, size_t piece_bytes)
{
    struct reading *r = xcalloc(1, sizeof(*r));
    struct mbox_events events = {.arg = r, .begin = on_begin, .data = on_data, .end = on_end};
    struct mbox_reader *reader = mbox_reader_new(&events);

    buf_init(&r->text, TEXT_MAX_BYTES);
    while (r->result == 0 && text.len > 0) {
        struct str piece = str_sub(text, 0, piece_bytes);
        r->result = mbox_reader_feed(reader, piece);
        text = str_sub(text, piece.len, text.len);
    }
    if (r->result == 0)
        r->result = mbox_reader_finish(reader);
    mbox_reader_free(reader);
    return r;
}

static void free_reading(struct reading *r)
{
    buf_done(&r->text);
    free(r);
}

static void check_same(const struct reading *a, const struct reading *b)
{
    ASSERT(a->result == b->result && a->count == b->count);
    ASSERT(str_eq(buf_str(&a->text), buf_str(&b->text)));
    ASSERT(memcmp(a->ends, b->ends, a->count * sizeof(a->ends[0])) == 0);
    for (size_t i = 0; i < a->count; i++)
        ASSERT(a->facts[i].flags == b->facts[i].flags &&
               a->facts[i].received_ms == b->facts[i].received_ms);
}

/* Writes what was read; reading that again gives as many messages, of the same text but for a line
 * end that was missing. Dates before 1970 or behind 9999 cannot be written. */
static void check_round_trip(const struct reading *a)
{
    struct mbox_writer w;
    struct buf out;
    size_t at = 0;

    buf_init(&out, TEXT_MAX_BYTES);
    for (size_t i = 0; i < a->count; i++) {
        struct mbox_facts facts = {.received_ms = 1000, .has_date = true};
        mbox_writer_begin(&w, STR("a@b.example"), &facts, &out);
        mbox_writer_put(&w, str_sub(buf_str(&a->text), at, a->ends[i] - at), &out);
        mbox_writer_end(&w, &out);
        at = a->ends[i];
    }
    struct reading *b = read_mbox(buf_str(&out), 1 << 20);
    ASSERT(b->result == 0 && b->count == a->count);
    free_reading(b);
    buf_done(&out);
}

static void check_names(struct str name)
{
    struct buf folder, back, again;

    buf_init(&folder, 4096);
    buf_init(&back, 4096);
    buf_init(&again, 4096);
    (void)maildir_parse_flags(name);
    name = str_sub(name, 0, 255);
    maildir_put_folder(&folder, name);
    /* A NUL is written, but never read: it cannot be part of a mailbox's name. */
    if (str_find(name, '\0') < 0 && maildir_parse_folder(buf_str(&folder), &back)) {
        maildir_put_folder(&again, buf_str(&back));
        ASSERT(str_eq(buf_str(&folder), buf_str(&again)));
    }
    buf_done(&again);
    buf_done(&back);
    buf_done(&folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_from_mem(bytes, len);
    struct reading *whole = read_mbox(text, 1 << 20), *cut = read_mbox(text, 3);

    check_same(whole, cut);
    if (whole->result == 0)
        check_round_trip(whole);
    check_names(text);
    free_reading(cut);
    free_reading(whole);
    return 0;
}
