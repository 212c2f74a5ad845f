/*
 * The mbox format, as the variant mboxrd writes it: "From " lines between messages, and ">From "
 * (with any number of ">") for such lines inside of them.
 *
 * Pure: bytes in pieces of any size in, events out. Files of other variants are read as well: a
 * "From " line counts only behind an empty line and with a date at its end. The flags that mail
 * readers keep in Status, X-Status and X-Keywords fields are taken out of the header when reading,
 * and put in front of it when writing a message that has any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "cli/lines.h"

enum { MBOX_LINE_MAX_BYTES = 64 * 1024, MBOX_KEYWORDS_MAX_BYTES = 1024 };

/* What the file says of a message beside its text; known at its end. */
struct mbox_facts {
    int64_t received_ms;
    bool has_date;
    uint32_t flags;      /* enum message_flags */
    struct str keywords; /* separated by spaces */
};

/* A negative result of any of them ends the reading and is returned. */
struct mbox_events {
    void *arg;
    int (*begin)(void *arg);
    int (*data)(void *arg, struct str piece); /* with CRLF line ends */
    int (*end)(void *arg, const struct mbox_facts *facts);
};

struct mbox_reader;

struct mbox_reader *mbox_reader_new(const struct mbox_events *events);
void mbox_reader_free(struct mbox_reader *r);
/* 0; -EBADMSG when the file does not begin with a "From " line; or what an event returned. */
MUST_CHECK int mbox_reader_feed(struct mbox_reader *r, struct str piece);
/* At the end of the file. */
MUST_CHECK int mbox_reader_finish(struct mbox_reader *r);

struct mbox_writer {
    struct lines lines;
    bool is_inside;    /* of a line, past where quoting matters */
    size_t held_marks; /* ">" at the line's start, not written yet */
    size_t held_from;  /* and bytes of "From " */
};

/* Begins a message: its "From " line and what the facts say. */
void mbox_writer_begin(struct mbox_writer *w, struct str sender, const struct mbox_facts *facts,
                       struct buf *out);
/* Appends a piece of the text (CRLF), quoted. */
void mbox_writer_put(struct mbox_writer *w, struct str piece, struct buf *out);
/* Ends the message with the empty line that must follow it. */
void mbox_writer_end(struct mbox_writer *w, struct buf *out);
