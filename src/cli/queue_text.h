/*
 * The queue in plain words, English or Japanese: in which state a recipient is, when it is tried
 * next, what the other server said, what an operator can do about it. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "store/queue_wire.h"

enum { QUEUE_NO_DESTINATION = 255 }; /* destination_state when there is no row */

/* "ready", "deferred", "sending", "held", "reporting", "scheduled": for options. */
const char *queue_text_state_name(unsigned state);
/* The same of a row, for JSON: what is scheduled and was held by an administrator is held. */
const char *queue_text_row_state_name(const struct queue_row *row);
/* What happens to mail that is late, of enum deliver_by bits: "notify", "return" or "". */
const char *queue_text_if_late(unsigned by);
/* A recipient's state by its name: 0 or -EINVAL. */
MUST_CHECK int queue_text_parse_state(struct str name, enum queue_state *out);
/* "ready", "waiting", "active", "none". */
const char *queue_text_destination_name(unsigned state);

/* When the recipient is tried next, real time: not before its own time, nor that of a destination
 * that waits. 0 when it is not waiting for a time. */
int64_t queue_text_next_ms(const struct queue_row *row);
/* Whether it is ready and its destination is what waits. */
bool queue_text_waits_for_destination(const struct queue_row *row);

/* The state in a few words: "put off until 10:35 (in 5 min)". */
void queue_text_put_state(struct buf *out, const struct queue_row *row, int64_t now_ms,
                          bool is_japanese);
/* The state of a count: "ready", "put off", ... */
const char *queue_text_state_words(unsigned state, bool is_japanese);
/* "10:35 (in 5 min)"; "now" when it is over. */
void queue_text_put_when(struct buf *out, int64_t real_ms, int64_t now_ms, bool is_japanese);
/* "10:30 (5 min ago)". */
void queue_text_put_past(struct buf *out, int64_t real_ms, int64_t now_ms, bool is_japanese);
/* "mx.example.net: 4.7.1 its words", or "our own words (4.4.1)"; one line, safe to print. */
void queue_text_put_answer(struct buf *out, struct str status, struct str remote, struct str reply);
/* What an operator can do about such an answer; `is_remote`: another server spoke. */
void queue_text_put_remedy(struct buf *out, struct str status, bool is_remote, struct str domain,
                           bool is_japanese);
