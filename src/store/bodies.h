/*
 * The bytes of messages: append-only segment files behind append, sync, read, drop.
 *
 * A segment is <dir>/<number>.seg: records one after the other, each a header (magic, id, length,
 * CRC-32 of the bytes, CRC-32 of the header) and the bytes, padded to 8. Small bodies share the
 * active segment; a body that was streamed in is a segment of its own ("solo"), written while it
 * arrives and taken over by renaming. One thread appends; any thread reads. Which bodies are alive,
 * and how much of a segment, is kept in rows (table segment), not here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    BODIES_RECORD_HEADER_BYTES = 32,
    BODIES_WRITE_BUFFER_BYTES = 1024 * 1024,
    BODIES_OPEN_MAX = 64,
};

struct bodies;

struct body_place {
    int64_t segment;
    int64_t offset; /* of the record's header */
    int64_t length; /* of the bytes */
    uint32_t crc;
};

/* Opens the folder, which must exist. 0 or negative errno. */
MUST_CHECK int bodies_open(const char *dir, int64_t segment_max_bytes, struct bodies **out);
void bodies_close(struct bodies *b);
const char *bodies_dir(const struct bodies *b);

/* --- the writer thread --- */

/* Makes `segment` the active one, appending at `end` (the file is made, or cut to it). */
MUST_CHECK int bodies_activate(struct bodies *b, int64_t segment, int64_t end);
/* The active segment and its end, buffered bytes included. */
void bodies_active(const struct bodies *b, int64_t *out_segment, int64_t *out_end);
/* Whether the active segment has reached its size and a new one should be activated. */
bool bodies_is_full(const struct bodies *b);
/* Appends a body; a large one is written at once. 0 or negative errno (-ENOSPC, -EIO): then it is
 * as if it had not been tried. */
MUST_CHECK int bodies_append(struct bodies *b, uint64_t id, struct str text,
                             struct body_place *out_place);
/* Writes the buffer out. 0 or negative errno; then nothing since the last success is in the file.
 */
MUST_CHECK int bodies_flush(struct bodies *b);
/* Forgets what was appended after `end`: after a group failed. */
void bodies_cut_back(struct bodies *b, int64_t end);
/* Makes all that was flushed durable; may run in another thread while the writer commits rows. */
MUST_CHECK int bodies_sync(struct bodies *b);
/* Removes a segment's file. 0, also when it is gone already. */
MUST_CHECK int bodies_drop(struct bodies *b, int64_t segment);

/* --- spool files: bodies that arrive in pieces (one owner each, any thread) --- */

struct spool {
    int fd;
    int64_t segment;
    int64_t written; /* bytes of the body so far */
    uint32_t crc;
};

/* Starts <segment>.tmp. 0 or negative errno. */
MUST_CHECK int spool_open(struct bodies *b, int64_t segment, struct spool *out);
MUST_CHECK int spool_write(struct spool *s, struct str piece);
/* Writes the header, makes the file durable and closes it. 0 or negative errno. */
MUST_CHECK int spool_finish(struct spool *s, uint64_t id, struct body_place *out_place);
/* Drops the file, finished or not. */
void spool_discard(struct bodies *b, struct spool *s);
/* The writer thread: makes a finished spool file a segment; the next bodies_sync makes that
 * durable. */
MUST_CHECK int spool_adopt(struct bodies *b, int64_t segment);

/* --- reading, any thread --- */

/* Appends `length` bytes from `from` of the body to `out`; a whole body is checked by its CRC. 0;
 * -ENOENT when the segment is gone (look the place up again); -EBADMSG when the record is not what
 * the place says; -EIO. */
MUST_CHECK int bodies_read(struct bodies *b, const struct body_place *place, uint64_t id,
                           int64_t from, int64_t length, struct buf *out);
/* Checks header and CRC of the whole record. 0, -ENOENT, -EBADMSG, -EIO. */
MUST_CHECK int bodies_verify(struct bodies *b, const struct body_place *place, uint64_t id);
/* Size in bytes that a body of this length takes in a segment. */
int64_t body_record_bytes(int64_t length);
/* Calls fn for every segment and spool file in the folder. 0 or negative errno. */
MUST_CHECK int bodies_list(struct bodies *b, void (*fn)(void *arg, int64_t segment, bool is_spool),
                           void *arg);
/* Makes a segment that others wrote durable: at recovery. 0 or negative errno. */
MUST_CHECK int bodies_sync_segment(struct bodies *b, int64_t segment);
/* Makes the names in the folder durable. */
MUST_CHECK int bodies_sync_names(struct bodies *b);
/* A segment that no row knows: an empty one is removed, another is renamed to <number>.orphan. 1
 * when it was renamed; 0; negative errno. */
MUST_CHECK int bodies_set_aside(struct bodies *b, int64_t segment);
/* Removes .orphan files that were written before this time (seconds since 1970). */
void bodies_expire_orphans(struct bodies *b, int64_t before_s);
/* Removes a left-over spool file. */
void bodies_remove_spool(struct bodies *b, int64_t segment);
