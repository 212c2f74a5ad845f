/*
 * The rows of the queue: messages, their recipients, the destinations they share.
 *
 * A destination is what is delivered over the same connections: "example.com" (by MX),
 * "example.com/NAME" (by MX, under the route NAME) or "/NAME" (the hosts of the route NAME, for all
 * domains). Only destinations are scheduled by time; what waits for one that is down is not
 * touched, however much it is. Within a destination, ready recipients go in the order of `due`
 * (fair.h).
 *
 * All functions run on the writer thread inside a job; failures are negative errno of the database.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/queue_wire.h"
#include "store/store.h"
#include "store/trace_event.h"

/* Where a recipient's mail goes under the settings in force. */
struct queue_route {
    int via;                /* enum settings_via */
    struct str destination; /* in `text`'s buffer; the domain itself for hold, discard, fail */
    const char *text;       /* of fail; "" else */
};
/* `out_text` (reset first) keeps the destination. */
void queue_route_find(const struct settings *settings, struct str sender, struct str domain,
                      struct buf *out_text, struct queue_route *out);

/* Something of this destination became ready at `place`: it will be opened in its turn. */
MUST_CHECK int queue_wake_destination(struct job *job, const struct settings *settings,
                                      struct str destination, int64_t place);
/* The pause after `failures` failed attempts (0: after the first), with jitter, in ms. */
int64_t queue_pause_ms(const struct settings *settings, uint32_t failures);
/* Whether a sender wants to hear of this (RFC 3461 section 4.1); the null sender never does, unless
 * the message is a notice of our own (its failure is for postmaster). */
bool queue_wants_report(struct str sender, unsigned flags, unsigned notify,
                        enum queue_report report);

/* Whether a sender who gave BY hears of what it brought about: RFC 2852 section 4.1.4.2. */
bool queue_wants_by_report(struct str sender, unsigned notify);

/* Why mail is late in the eyes of its sender (RFC 2852); notices know it by "deliver-by". */
#define QUEUE_BY_TEXT "the deliver-by time that the sender asked for has passed"

/* When something is due about a message as a whole, real time; 0: not, or not any more. */
struct queue_times {
    int64_t release_ms; /* of its recipients that are scheduled, the first */
    int64_t by_ms;      /* what its sender asked for with BY */
    int64_t warn_ms;
    int64_t expires_ms;
};
/* Sets the warning and the end of a message that may go from `from_ms` on. */
void queue_count_times(const struct settings *settings, struct str sender, int64_t from_ms,
                       struct queue_times *io_times);
/* The first of them. */
int64_t queue_next_alarm(const struct queue_times *times);
/* Sets the message's alarm to the first of the times in its rows; what is no release is not
 * looked at before `not_before_ms`. 0 or negative errno. */
MUST_CHECK int queue_set_alarm(struct job *job, uint64_t id, int64_t not_before_ms);
/* In queue.by_mode beside enum deliver_by: its sender was told that its time is over. */
enum { QUEUE_BY_TOLD = 8 };

/* Removes the recipient's row. */
MUST_CHECK int queue_remove_recipient(struct job *job, uint64_t message, uint32_t n);
/* Removes the message if it has no recipients left; *out_gone says so. */
MUST_CHECK int queue_remove_if_empty(struct job *job, uint64_t message, bool *out_gone);

/* How many recipients of the destination (empty: of all) are in each state, by reading the rows.
 * Also for reader threads. */
MUST_CHECK int queue_count_states(struct db *db, struct str destination,
                                  int64_t out_counts[QUEUE_STATES]);

/* A failure for good of this address counts towards its suppression; a success forgets it. */
MUST_CHECK int suppression_count(struct store *store, struct job *job, struct str address,
                                 struct str reply);
MUST_CHECK int suppression_forget(const struct store *store, struct job *job, struct str address);
/* Whether the address is suppressed now: 1, and the last refusal in out_reply (reset first, may be
 * NULL); 0; negative errno. Also for reader threads. */
MUST_CHECK int suppression_find(struct db *db, struct str address, int64_t now_ms,
                                struct buf *out_reply);
/* Whether a failure says that the address itself is bad (and not the message, the sender or the
 * route): RFC 3463 X.1.1 to X.1.3, X.1.6, X.1.10, X.2.1. */
bool suppression_is_about_address(uint16_t code, struct str status, struct str text);
