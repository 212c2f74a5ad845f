/*
 * The queue's requests as bytes, and the words that the store, the outbound worker and the command
 * line share about it. Encoded as base/buf.h does; decoding never trusts the bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"

enum {
    QUEUE_BATCH_RECIPIENTS_MAX = 1000, /* of one take */
    QUEUE_BATCH_MESSAGES_MAX = 100,
    QUEUE_BATCH_TEXT_MAX_BYTES = 256 * 1024,
    QUEUE_DESTINATIONS_MAX = 64, /* of one open */
    QUEUE_DESTINATION_MAX_BYTES = 400,
    QUEUE_REPLY_MAX_BYTES = 1000, /* of a remote's words that are kept */
    QUEUE_REPORT_RECIPIENTS_MAX = 100,
    QUEUE_READ_MAX_BYTES = 128 * 1024, /* of one piece of a message */
    QUEUE_LIST_ROWS_MAX = 500,
    QUEUE_ROW_TEXT_MAX_BYTES = 2000, /* of each text in a row of queue.list; none is that long */
    QUEUE_ROW_MAX_BYTES = 7 * (4 + QUEUE_ROW_TEXT_MAX_BYTES) + 100,
    QUEUE_ACT_ROWS_MAX = 500,
};

/* Of a recipient. */
enum queue_state {
    QUEUE_READY = 0,    /* to be delivered in its order */
    QUEUE_DEFERRED = 1, /* not before its time */
    QUEUE_LEASED = 2,   /* in the hands of the outbound worker */
    QUEUE_HELD = 3,     /* until an administrator releases it */
    QUEUE_DONE = 4,     /* decided; the row waits for its report to be written */
    /* Not before the time its sender asked for, or until an administrator releases it
     * (QUEUE_NO_TIME). Where it leads is looked up when it is released: so it may be for a mailbox
     * here, and its destination is only the domain. */
    QUEUE_SCHEDULED = 5,
    QUEUE_STATES, /* how many there are */
};
/* `due` of what is scheduled and was held by an administrator. */
#define QUEUE_NO_TIME INT64_MAX

/* What the sender is still to be told about a recipient. */
enum queue_report {
    QUEUE_REPORT_NONE = 0,
    QUEUE_REPORT_FAILED = 1,
    QUEUE_REPORT_DELAYED = 2,
    QUEUE_REPORT_DELIVERED = 3,
    QUEUE_REPORT_RELAYED = 4,
};

enum queue_destination_state {
    QUEUE_DESTINATION_READY = 0,   /* in its order */
    QUEUE_DESTINATION_WAITING = 1, /* until its time */
    QUEUE_DESTINATION_ACTIVE = 2,  /* the outbound worker has it */
};

enum queue_verdict {
    QUEUE_DELIVERED = 1,
    QUEUE_DEFER = 2,
    QUEUE_FAIL = 3,
    QUEUE_RETURN = 4, /* was not tried: stays ready */
};

enum queue_action {
    QUEUE_ACT_RETRY = 1,
    QUEUE_ACT_HOLD = 2,
    QUEUE_ACT_RELEASE = 3,
    QUEUE_ACT_DROP = 4,   /* forgotten without a word */
    QUEUE_ACT_BOUNCE = 5, /* returned to its sender */
    QUEUE_ACT_CANCEL = 6, /* forgotten, if it is scheduled */
};

/* queue.open: u32 how many, -> this. */
struct queue_opened {
    uint64_t generation; /* for queue.wait */
    int64_t next_ms;     /* real time when something will be due; INT64_MAX: nothing */
    bool has_reports;    /* queue.reports has something */
    bool has_alarms;     /* queue.alarms has something */
    struct queue_destination {
        struct str name;
        uint32_t failures; /* attempts in a row that found it down */
        uint64_t lease;    /* for queue.close */
        int64_t place;     /* of its first message (fair.h): who comes first where many wait */
        bool is_asked;     /* an administrator wants an attempt, whatever is known of its hosts */
    } * destinations;
    size_t count;
};
void queue_put_opened(struct buf *out, const struct queue_opened *o);
MUST_CHECK int queue_get_opened(struct cursor *c, struct arena *arena, struct queue_opened *out);

struct queue_recipient {
    uint32_t n;
    struct str address; /* printed mailbox */
    struct str orcpt;
    uint8_t notify;
    uint32_t attempts;
};

/* One message and those of its recipients that go to the same destination. */
struct queue_message {
    uint64_t id;
    struct str sender; /* printed; empty: null */
    struct str envid;
    uint8_t ret;
    uint8_t flags;         /* enum deliver_flags */
    int8_t priority;       /* what its sender asked for, with DELIVER_HAS_PRIORITY */
    uint8_t by;            /* enum deliver_by bits (store/wire.h); 0: deliver_by_ms is none */
    int64_t deliver_by_ms; /* real time */
    int64_t created_ms, expires_ms;
    uint64_t bytes;  /* of the text as it is relayed */
    struct str text; /* all of it, or empty: to be had by queue.read */
    struct queue_recipient *recipients;
    size_t count;
};

/* queue.take: lp destination, u32 messages, u32 recipients, u32 bytes of texts that may go along ->
 * this. */
struct queue_batch {
    struct queue_message *messages;
    size_t count;
    bool has_more;
};
/* The reply is u8 has_more, u32 count, the messages; then, to its end, u64 id and lp text of some
 * of them, in the same order. It is written in this order: begin gives the place that end_messages
 * needs, begin_text the place that end_text needs; what is put between them is the text. */
size_t queue_begin_batch(struct buf *out);
void queue_put_message(struct buf *out, const struct queue_message *m);
void queue_end_messages(struct buf *out, size_t batch, uint32_t count, bool has_more);
size_t queue_begin_text(struct buf *out, uint64_t id);
void queue_end_text(struct buf *out, size_t text);
/* The texts are views into what `c` reads. 0 or -EBADMSG. */
MUST_CHECK int queue_get_batch(struct cursor *c, struct arena *arena, struct queue_batch *out);

struct queue_result_recipient {
    uint32_t n;
    uint8_t verdict;   /* enum queue_verdict */
    uint16_t code;     /* 0: no reply of a server */
    struct str status; /* "5.1.1" */
    struct str text;   /* the remote's words, or ours when code is 0 */
    struct str stage;  /* of the dialogue; may be empty */
};

/* queue.result: what became of one transaction. -> nothing */
struct queue_result {
    uint64_t message;
    int64_t at_ms;         /* real time of the attempt's begin */
    struct str host;       /* name of the server */
    struct str ip;         /* its address */
    struct str tls;        /* "none" until there is TLS */
    struct str tried;      /* what failed before, for the trace */
    bool knows_deliver_by; /* the server offers DELIVERBY (RFC 2852) */
    bool knows_dsn;        /* the server tells about success itself (RFC 3461 section 5.2.2) */
    struct queue_result_recipient *recipients;
    size_t count;
};
void queue_put_result(struct buf *out, const struct queue_result *r);
MUST_CHECK int queue_get_result(struct cursor *c, struct arena *arena, struct queue_result *out);

/* queue.close: the worker lays a destination down. -> nothing */
struct queue_closed {
    struct str name;
    uint64_t lease;        /* that queue.open gave */
    bool is_down;          /* it could not be reached: all its mail waits */
    bool is_untried;       /* other mail has found its hosts down, it was not tried for this */
    struct str status;     /* "4.4.1" */
    uint16_t code;         /* of the server's reply; 0: it did not come to one */
    struct str why;        /* for people */
    struct str host;       /* the server that was tried last, for the trace */
    int64_t at_ms;         /* real time of the attempt */
    int64_t not_before_ms; /* real time; 0: as the settings say */
};
void queue_put_closed(struct buf *out, const struct queue_closed *d);
MUST_CHECK int queue_get_closed(struct cursor *c, struct queue_closed *out);

struct queue_report_recipient {
    uint32_t n;
    uint8_t report; /* enum queue_report */
    struct str address, orcpt, status, remote, reply;
    bool is_remote_words;
    int64_t last_attempt_ms;
};

/* queue.reports: -> messages to be reported about, each this */
struct queue_report_message {
    uint64_t id;
    struct str sender;   /* empty: one of our own notices has failed */
    struct str language; /* of the sender's account: "", "en", "ja" */
    struct str envid;
    struct str release_request; /* as in struct deliver_request */
    uint8_t ret;
    uint8_t flags;
    int8_t priority;
    uint8_t by; /* enum deliver_by bits */
    int64_t deliver_by_ms;
    int64_t created_ms, expires_ms;
    uint64_t bytes;
    struct queue_report_recipient *recipients;
    size_t count;
};
void queue_put_report(struct buf *out, const struct queue_report_message *m);
/* 1, 0 at the end, -EBADMSG. */
MUST_CHECK int queue_next_report(struct cursor *c, struct arena *arena,
                                 struct queue_report_message *out);

/* Which recipients an administrator means; empty and zero fields mean any. */
struct queue_filter {
    uint64_t id;
    struct str sender, recipient; /* printed mailboxes; "<>" is the null sender */
    struct str domain;            /* of the recipient */
    uint8_t state_plus_1;
    uint64_t after_id; /* rows behind this one: for paging */
    uint32_t after_n;
};
void queue_put_filter(struct buf *out, const struct queue_filter *f);
void queue_get_filter(struct cursor *c, struct queue_filter *out);

/* queue.list: filter, u32 rows -> u8 whether more follow, then rows to the end of the reply, each
 * this. A page has fewer rows than were asked for when they would not fit into one reply. */
struct queue_row {
    uint64_t id;
    uint32_t n;
    struct str sender, address, destination;
    int64_t created_ms, expires_ms, due_ms, last_attempt_ms;
    uint64_t bytes;
    uint8_t state, report, priority_plus_100;
    uint32_t attempts;
    struct str status, remote, reply;
    /* Of the destination; its state is 255 when it has no row. */
    uint8_t destination_state;
    int64_t destination_due_ms;
    uint32_t destination_failures;
    struct str destination_why;
    int64_t release_ms; /* what its sender asked for, also when it is over; 0: nothing */
    int64_t deliver_by_ms;
    uint8_t by; /* enum deliver_by bits */
};
/* At most QUEUE_ROW_MAX_BYTES, whatever the texts are. */
void queue_put_row(struct buf *out, const struct queue_row *row);
/* 1, 0 at the end, -EBADMSG. */
MUST_CHECK int queue_next_row(struct cursor *c, struct queue_row *out);

/* queue.act: u8 action, filter -> u32 rows changed, u32 of which nobody is told, u8 more, u64
 * after_id, u32 after_n (continue with these).
 * queue.why: lp domain -> u32 destinations, each: lp name, u8 state, u64 due_ms, u32 failures, u64
 * since_ms, u64 last_attempt_ms, lp status, u32 code, lp why, then QUEUE_STATES times u64
 * recipients by enum queue_state, then u32 replies, each: u64 how many of the newest
 * QUEUE_WHY_SAMPLE, u64 next_due_ms, lp status, lp remote, lp reply. queue.stats: -> u64 messages,
 * QUEUE_STATES times u64 recipients by state, u64 oldest_ms (0: none), then the destinations with
 * most recipients: u32 count, each: lp name, u8 state, u64 due_ms, u32 failures, lp why, u64
 * recipients, u64 of these not held. suppression.list: lp after, u32 rows -> each: lp address, u32
 * failures, u8 is_active, u64 first, last, expires, lp reply. suppression.remove: lp address (""
 * for all) -> u32 removed. */
enum { QUEUE_WHY_SAMPLE = 2000, QUEUE_WHY_REPLIES_MAX = 10, QUEUE_STATS_DESTINATIONS = 20 };
