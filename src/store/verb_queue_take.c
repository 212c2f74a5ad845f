/*
 * queue.take and queue.read: the outbound worker takes messages of a destination, in fair order,
 * and their texts. What it has taken is leased: see verb_queue.c.
 *
 * Short texts go along with the messages, read after the commit, so that most messages need no
 * further request. They are checked against their CRC as a whole.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    PROMOTED_MAX = 1000, /* deferred recipients that become ready in one take */
    FIRST_ROWS = 32,
};

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

struct taken {
    uint64_t id;
    struct queue_recipient to;
};

/* A request under way. */
struct taking {
    struct str destination;
    uint32_t max_messages, max_recipients;
    uint32_t messages;   /* in the reply */
    uint64_t text_bytes; /* that may still go along */
    size_t text_count;
    struct text {
        uint64_t id;
        struct body_place place;
        int64_t prefix_bytes;
    } * texts; /* that go along: room for max_messages */
};

/* Recipients whose time has come are ready, in front of the others. */
static int promote(struct job *job, struct str destination)
{
    int64_t due_ms = 0;
    int r = db_get_int(job->db, &due_ms,
                       "SELECT due FROM recipient WHERE destination = ?1 AND state = 1"
                       " ORDER BY due LIMIT 1",
                       DB_TEXT(destination));

    if (r <= 0 || due_ms > job->now_ms)
        return MIN(r, 0);
    return changed(db_run(job->db,
                          "UPDATE recipient SET state = 0 WHERE (queue, n) IN (SELECT queue, n"
                          " FROM recipient WHERE destination = ?1 AND state = 1 AND due <= ?2"
                          " ORDER BY due LIMIT ?3)",
                          DB_TEXT(destination), DB_INT(job->now_ms), DB_INT(PROMOTED_MAX)));
}

static void read_taken(struct job *job, struct db_stmt *stmt, struct taken *out)
{
    out->id = (uint64_t)db_column_int(stmt, 0);
    out->to = (struct queue_recipient){.n = (uint32_t)db_column_int(stmt, 1),
                                       .address = arena_str(&job->arena, db_column_text(stmt, 2)),
                                       .orcpt = arena_str(&job->arena, db_column_text(stmt, 3)),
                                       .notify = (uint8_t)db_column_int(stmt, 4),
                                       .attempts = (uint32_t)db_column_int(stmt, 5)};
}

/* The first ready recipients, one page of rows after the other. */
static int select_ready(struct job *job, const struct taking *t, struct taken **out_rows,
                        uint32_t *out_count)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT queue, n, address, orcpt, notify, attempts FROM recipient"
                 " WHERE destination = ?1 AND state = 0 ORDER BY due, queue, n LIMIT ?2",
                 DB_TEXT(t->destination), DB_INT(t->max_recipients));
    struct taken *rows = NULL;
    uint32_t count = 0, room = 0;
    int r;

    while ((r = db_step(stmt)) > 0) {
        if (count == room) {
            room = room > 0 ? 4 * room : FIRST_ROWS;
            struct taken *more = arena_alloc(&job->arena, room * sizeof(rows[0]));
            if (count > 0)
                memcpy(more, rows, count * sizeof(rows[0]));
            rows = more;
        }
        read_taken(job, stmt, &rows[count++]);
    }
    *out_rows = rows;
    *out_count = count;
    return r;
}

static int read_message(struct job *job, struct queue_message *m, struct text *out_text)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT q.sender, q.envid, q.ret, q.flags, q.created,"
                 " q.expires, b.bytes, b.prefix, b.segment, b.place, b.crc, b.id,"
                 " q.priority, q.by_mode, q.deliver_by"
                 " FROM queue q JOIN body b ON b.id = q.body WHERE q.id = ?1",
                 DB_INT(m->id));
    int r = db_step(stmt);

    if (r > 0) {
        m->sender = arena_str(&job->arena, db_column_text(stmt, 0));
        m->envid = arena_str(&job->arena, db_column_text(stmt, 1));
        m->ret = (uint8_t)db_column_int(stmt, 2);
        m->flags = (uint8_t)db_column_int(stmt, 3);
        m->created_ms = db_column_int(stmt, 4);
        m->expires_ms = db_column_int(stmt, 5);
        m->bytes = (uint64_t)(db_column_int(stmt, 6) - db_column_int(stmt, 7));
        m->priority = (int8_t)db_column_int(stmt, 12);
        m->by = (uint8_t)(db_column_int(stmt, 13) & DELIVER_BY_ALL);
        m->deliver_by_ms = db_column_int(stmt, 14);
        out_text->id = (uint64_t)db_column_int(stmt, 11);
        out_text->prefix_bytes = db_column_int(stmt, 7);
        out_text->place = (struct body_place){.segment = db_column_int(stmt, 8),
                                              .offset = db_column_int(stmt, 9),
                                              .length = db_column_int(stmt, 6),
                                              .crc = (uint32_t)db_column_int(stmt, 10)};
    }
    db_reset(stmt);
    return r;
}

static int lease(struct job *job, const struct queue_message *m)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->count; i++)
        r = changed(db_run(job->db, "UPDATE recipient SET state = 2 WHERE queue = ?1 AND n = ?2",
                           DB_INT(m->id), DB_INT(m->recipients[i].n)));
    return r;
}

/* Rows without a message would block the others for ever. */
static int drop_orphans(struct job *job, uint64_t id)
{
    LOG(LOG_ERROR, "store.queue-orphan", LOG_ID("message", id),
        LOG_C("hint", "its recipients are forgotten; look for the message in a backup"));
    int64_t rows = db_run(job->db, "DELETE FROM recipient WHERE queue = ?1", DB_INT(id));
    if (rows < 0)
        return (int)rows;
    job->queue_recipients -= rows;
    return 0;
}

static void note_text(struct taking *t, const struct queue_message *m, const struct text *text)
{
    if (m->bytes == 0 || m->bytes > t->text_bytes || text->id != m->id)
        return;
    t->text_bytes -= m->bytes;
    t->texts[t->text_count++] = *text;
}

/* The next message of the rows: how many rows it took, or negative errno. */
static int take_message(struct job *job, struct taking *t, const struct taken *rows, uint32_t count)
{
    uint32_t n = 0;
    struct queue_message m = {.id = rows[0].id};
    struct text text;

    while (n < count && rows[n].id == m.id)
        n++;
    m.recipients = arena_alloc(&job->arena, n * sizeof(m.recipients[0]));
    for (uint32_t i = 0; i < n; i++)
        m.recipients[i] = rows[i].to;
    m.count = n;
    int r = read_message(job, &m, &text);
    if (r == 0) {
        r = drop_orphans(job, m.id);
        return r < 0 ? r : (int)n;
    }
    if (r > 0)
        r = lease(job, &m);
    if (r < 0)
        return r;
    queue_put_message(&job->reply, &m);
    t->messages++;
    note_text(t, &m, &text);
    return (int)n;
}

static int get_request(struct job *job, struct taking *out)
{
    struct cursor c = job_args(job);

    *out = (struct taking){.destination = cursor_lp(&c),
                           .max_messages = cursor_u32(&c),
                           .max_recipients = cursor_u32(&c),
                           .text_bytes = cursor_u32(&c)};
    if (cursor_finish(&c) < 0 || out->max_messages == 0 ||
        out->max_messages > QUEUE_BATCH_MESSAGES_MAX || out->max_recipients == 0 ||
        out->max_recipients > QUEUE_BATCH_RECIPIENTS_MAX ||
        out->text_bytes > QUEUE_BATCH_TEXT_MAX_BYTES)
        return -EBADMSG;
    out->texts = arena_alloc(&job->arena, out->max_messages * sizeof(out->texts[0]));
    return 0;
}

/* queue.take: see struct queue_batch. */
int verb_queue_take(struct store *store, struct job *job)
{
    struct taking *t = arena_alloc(&job->arena, sizeof(*t));
    struct taken *rows = NULL;
    uint32_t count = 0, at = 0;

    (void)store;
    job->extra = t;
    int r = get_request(job, t);
    if (r < 0)
        return r;
    r = promote(job, t->destination);
    if (r == 0)
        r = select_ready(job, t, &rows, &count);
    size_t batch = queue_begin_batch(&job->reply);
    while (r >= 0 && t->messages < t->max_messages && at < count) {
        r = take_message(job, t, &rows[at], count - at);
        at += r > 0 ? (uint32_t)r : 0;
    }
    if (r < 0)
        return r;
    queue_end_messages(&job->reply, batch, t->messages, at < count || count == t->max_recipients);
    return 0;
}

/* After the commit, on a reader thread: the texts go along as far as they can be read; what cannot,
 * because compaction has moved it or it is damaged, the worker asks for by itself. */
int verb_queue_take_texts(struct store *store, struct job *job)
{
    const struct taking *t = job->extra;
    struct buf *reply = &job->reply;

    for (size_t i = 0; i < t->text_count; i++) {
        const struct text *text = &t->texts[i];
        size_t before = reply->len;
        size_t at = queue_begin_text(reply, text->id);
        int r = bodies_read(store->bodies, &text->place, text->id, 0, text->place.length, reply);
        if (r < 0 || buf_status(reply) < 0) {
            buf_cut(reply, before);
            continue;
        }
        buf_remove(reply, at, (size_t)text->prefix_bytes);
        queue_end_text(reply, at);
    }
    return 0;
}

/* queue.read: u64 message, u64 from, u32 length -> u64 whole length, the bytes as they are relayed
 */
int verb_queue_read(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct message_part part = {.id = cursor_u64(&c),
                                .is_relayed = true,
                                .from = (int64_t)cursor_u64(&c),
                                .length = cursor_u32(&c)};
    int64_t found = 0;

    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    /* The worker may read what it is to send, and nothing else. */
    int r = db_get_int(job->db, &found, "SELECT 1 FROM queue WHERE id = ?1", DB_INT(part.id));
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return message_read_part(store, job, &part);
}
