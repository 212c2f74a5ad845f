/*
 * Trace events on their way: what happened to which message, when, to whom, with details as pairs.
 *
 * Workers send them, the store keeps them, the command line tells them in plain words. Encoded as
 * in base/buf.h; decoding never trusts the bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"

enum { TRACE_DETAILS_MAX = 24, TRACE_VALUE_MAX_BYTES = 1024, TRACE_EVENT_NAME_MAX_BYTES = 32 };

struct trace_event {
    uint64_t ref;     /* message id; the session's where there is no message */
    uint64_t session; /* 0: none */
    int64_t time_ms;
    struct str event;   /* "accepted", "delivered", "queued", "refused", ... */
    struct str address; /* the sender or recipient it is about, normalised; may be empty */
    struct str details; /* encoded pairs, for trace_next_detail */
};

/* Starts an event; details may follow until the next start. */
void trace_put_event(struct buf *out, const struct trace_event *event);
/* Adds a pair to the event that was started last at `event_at` (the buffer's length before it).
 * Long values are cut. */
void trace_put_detail(struct buf *out, size_t event_at, const char *key, struct str value);
void trace_put_number(struct buf *out, size_t event_at, const char *key, int64_t value);

/* Whether the event is about logins or limits, and no message's or session's. */
bool trace_is_incident(struct str event);
/* Whether it is one of them that grows (incident.h): alone under its ref, and the next one of the
 * same ref replaces it. */
bool trace_is_gathered(struct str event);

/* Reads the next event. 1; 0 at the end; -EBADMSG. */
MUST_CHECK int trace_next_event(struct cursor *c, struct trace_event *out);
/* Walks the details: 1, 0 at the end, -EBADMSG. */
MUST_CHECK int trace_next_detail(struct cursor *c, struct str *out_key, struct str *out_value);
