/* Mailboxes and their messages: listing, reading, adding, expunging, undeleting. */
#include <errno.h>

#include "base/clock.h"
#include "store/directory.h"
#include "store/store.h"
#include "store/verbs.h"

enum { LIST_PAGE_ROWS = 500, READ_PIECE_MAX_BYTES = 512 * 1024, NAME_MAX_BYTES = 255 };

/* Seconds since 1970, but never a value twice: a mailbox that is made again under its old name must
 * not be taken for the old one (RFC 3501 section 2.3.1.1). */
static int next_uidvalidity(struct job *job, int64_t *out)
{
    int64_t now_s = job->now_ms / 1000;
    int64_t rows = db_run(job->db,
                          "UPDATE counter SET value = CASE WHEN value < ?1 THEN ?1 ELSE value + 1"
                          " END WHERE name = 'uidvalidity'",
                          DB_INT(now_s));
    if (rows <= 0)
        return rows < 0 ? (int)rows : -EUCLEAN;
    int r = db_get_int(job->db, out, "SELECT value FROM counter WHERE name = 'uidvalidity'");
    return r < 0 ? r : 0;
}

int mailbox_open(struct store *store, struct job *job, int64_t account, struct str name,
                 int64_t *out_mailbox)
{
    int r =
        db_get_int(job->db, out_mailbox, "SELECT id FROM mailbox WHERE account = ?1 AND name = ?2",
                   DB_INT(account), DB_TEXT(name));
    if (r != 0)
        return r > 0 ? 0 : r;
    *out_mailbox = (int64_t)id_make(&store->ids);
    int64_t uidvalidity;
    r = next_uidvalidity(job, &uidvalidity);
    if (r < 0)
        return r;
    int64_t rows =
        db_run(job->db,
               "INSERT INTO mailbox(id, account, name, uidvalidity, uidnext, modseq,"
               " messages, unseen, bytes) VALUES(?1, ?2, ?3, ?4, 1, 1, 0, 0, 0)",
               DB_INT(*out_mailbox), DB_INT(account), DB_TEXT(name), DB_INT(uidvalidity));
    return rows < 0 ? (int)rows : 0;
}

int mailbox_add(struct job *job, const struct mailbox_entry *entry, int64_t *out_uid)
{
    bool is_unseen = (entry->flags & MESSAGE_SEEN) == 0;
    struct db_stmt *stmt =
        db_query(job->db,
                 "UPDATE mailbox SET uidnext = uidnext + 1, modseq = modseq + 1,"
                 " messages = messages + 1, unseen = unseen + ?2,"
                 " bytes = bytes + ?3 WHERE id = ?1 RETURNING uidnext, modseq",
                 DB_INT(entry->mailbox), DB_INT(is_unseen), DB_INT(entry->bytes));
    int r = db_step(stmt);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *out_uid = db_column_int(stmt, 0) - 1;
    int64_t modseq = db_column_int(stmt, 1);
    r = db_step(stmt);
    if (r < 0)
        return r;
    int64_t rows =
        db_run(job->db,
               "INSERT INTO message(mailbox, uid, body, flags, keywords, modseq, received,"
               " saved, bytes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
               DB_INT(entry->mailbox), DB_INT(*out_uid), DB_INT(entry->body), DB_INT(entry->flags),
               DB_TEXT(entry->keywords), DB_INT(modseq), DB_INT(entry->received_ms),
               DB_INT(job->now_ms), DB_INT(entry->bytes));
    return rows < 0 ? (int)rows : 0;
}

/* The account of that address, or a failed job. */
static int find_account(struct job *job, struct str address, int64_t *out_account)
{
    int r = directory_find_account(job->db, &job->arena, address, out_account);

    if (r == 0)
        return job_fail(job, -ENOENT, "there is no account %.*s; see: hikyaku account list",
                        STR_ARG(address));
    return r < 0 ? r : 0;
}

static int find_mailbox(struct job *job, struct str address, struct str name, int64_t *out_mailbox)
{
    int64_t account = 0;

    int r = find_account(job, address, &account);
    if (r < 0)
        return r;
    r = db_get_int(job->db, out_mailbox, "SELECT id FROM mailbox WHERE account = ?1 AND name = ?2",
                   DB_INT(account), DB_TEXT(name));
    if (r == 0)
        return job_fail(job, -ENOENT, "%.*s has no mailbox %.*s; see: hikyaku mailbox list %.*s",
                        STR_ARG(address), STR_ARG(name), STR_ARG(address));
    return r < 0 ? r : 0;
}

/* Arguments that several verbs share: lp account, lp mailbox, u64 uid. */
static int get_place(struct job *job, int64_t *out_mailbox, int64_t *out_uid)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c), name = cursor_lp(&c);

    *out_uid = (int64_t)cursor_u64(&c);
    int r = cursor_finish(&c);
    return r < 0 ? r : find_mailbox(job, address, name, out_mailbox);
}

/* mailbox.list: lp account -> lp name, u64 uidvalidity, uidnext, modseq, messages, unseen, bytes
 * ... */
int verb_mailbox_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account = 0;

    (void)store;
    int r = find_account(job, cursor_lp(&c), &account);
    if (r < 0)
        return r;
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT name, uidvalidity, uidnext, modseq, messages, unseen, bytes FROM mailbox"
                 " WHERE account = ?1 ORDER BY name",
                 DB_INT(account));
    while ((r = db_step(stmt)) > 0) {
        buf_put_lp(&job->reply, db_column_text(stmt, 0));
        for (int i = 1; i <= 6; i++)
            buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, i));
    }
    return r;
}

static void put_message_row(struct buf *out, struct db_stmt *stmt)
{
    for (int i = 0; i <= 6; i++)
        buf_put_u64(out, (uint64_t)db_column_int(stmt, i));
    buf_put_lp(out, db_column_text(stmt, 7));
    buf_put_lp(out, db_column_blob(stmt, 8));
}

/* message.list: lp account, lp mailbox, u64 after uid -> rows of u64 uid, id, flags, modseq,
 * received, bytes, is_expunged; lp keywords, lp summary; a page at a time, an empty page at the end
 */
int verb_message_list(struct store *store, struct job *job)
{
    int64_t after = 0, mailbox = 0;

    (void)store;
    int r = get_place(job, &mailbox, &after);
    if (r < 0)
        return r;
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT m.uid, m.body, m.flags, m.modseq, m.received, m.bytes, 0, m.keywords,"
                 " b.summary FROM message m JOIN body b ON b.id = m.body"
                 " WHERE m.mailbox = ?1 AND m.uid > ?2 ORDER BY m.uid LIMIT ?3",
                 DB_INT(mailbox), DB_INT(after), DB_INT(LIST_PAGE_ROWS));
    while ((r = db_step(stmt)) > 0) {
        size_t before = job->reply.len;
        put_message_row(&job->reply, stmt);
        if (buf_status(&job->reply) < 0) {
            /* The rest comes with the next page. */
            job->reply.has_overflowed = false;
            job->reply.len = before;
            break;
        }
    }
    db_reset(stmt);
    return r < 0 ? r : 0;
}

/* Where the text is; `out_prefix` are the bytes at its start that are for mailboxes only. */
static int find_place(struct job *job, uint64_t id, struct body_place *out_place,
                      int64_t *out_prefix)
{
    struct db_stmt *stmt = db_query(
        job->db, "SELECT segment, place, bytes, crc, state, prefix FROM body WHERE id = ?1",
        DB_INT(id));
    int r = db_step(stmt);
    bool is_damaged = r > 0 && db_column_int(stmt, 4) != 0;

    if (r > 0) {
        *out_place = (struct body_place){.segment = db_column_int(stmt, 0),
                                         .offset = db_column_int(stmt, 1),
                                         .length = db_column_int(stmt, 2),
                                         .crc = (uint32_t)db_column_int(stmt, 3)};
        *out_prefix = db_column_int(stmt, 5);
    }
    db_reset(stmt);
    if (r == 0)
        return job_fail(job, -ENOENT, "there is no such message");
    return is_damaged ? -EBADMSG : MIN(r, 0);
}

int message_read_part(struct store *store, struct job *job, const struct message_part *part)
{
    struct body_place place = {0};
    int64_t prefix = 0;
    int r = 0;

    /* Compaction may move the body between the two looks: then look again. */
    for (int tries = 0; r == 0 && tries < 3; tries++) {
        r = find_place(job, part->id, &place, &prefix);
        if (r < 0)
            break;
        int64_t skip = part->is_relayed ? prefix : 0;
        int64_t whole = place.length - skip;
        buf_reset(&job->reply);
        buf_put_u64(&job->reply, (uint64_t)whole);
        int64_t from = MIN(MAX(part->from, (int64_t)0), whole);
        int64_t length = MIN(MIN(part->length, (int64_t)READ_PIECE_MAX_BYTES), whole - from);
        r = bodies_read(store->bodies, &place, part->id, skip + from, length, &job->reply);
        if (r != -ENOENT)
            break;
        r = tries < 2 ? 0 : -EBADMSG;
    }
    if (r == -EBADMSG)
        return job_fail(job, r, "the stored bytes of this message are damaged");
    return r;
}

/* message.read: u64 id, u64 from, u32 length -> u64 whole length, the bytes */
int verb_message_read(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct message_part part = {
        .id = cursor_u64(&c), .from = (int64_t)cursor_u64(&c), .length = cursor_u32(&c)};

    int r = cursor_finish(&c);
    return r < 0 ? r : message_read_part(store, job, &part);
}

/* message.append: struct append_request -> u64 uid */
int verb_message_append(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct append_request q;
    struct mailbox_entry entry = {0};
    int64_t account = 0, uid = 0;

    int r = wire_get_append(&c, &q);
    if (r < 0 || (q.spool != 0) != job->has_spool)
        return -EBADMSG;
    r = store_check_room(store);
    if (r < 0)
        return job_fail(job, r, "too little room is left on the disk (store.min_free_space)");
    if (q.mailbox.len == 0 || q.mailbox.len > NAME_MAX_BYTES)
        return job_fail(job, -EINVAL, "a mailbox name has 1 to %d bytes", NAME_MAX_BYTES);
    r = find_account(job, q.account, &account);
    if (r == 0)
        r = mailbox_open(store, job, account, q.mailbox, &entry.mailbox);
    if (r < 0)
        return r;
    struct store_body body = {.id = q.message_id, .text = q.text, .summary = q.summary, .refs = 1};
    r = store_body_add(store, job, &body);
    if (r < 0)
        return r;
    entry.body = q.message_id;
    entry.flags = q.flags;
    entry.keywords = q.keywords;
    entry.received_ms = q.received_ms;
    entry.bytes = job->has_spool ? job->spool_place.length : (int64_t)q.text.len;
    r = mailbox_add(job, &entry, &uid);
    buf_put_u64(&job->reply, (uint64_t)uid);
    return r;
}

/* message.expunge: lp account, lp mailbox, u64 uid -> (nothing) */
int verb_message_expunge(struct store *store, struct job *job)
{
    int64_t uid = 0, mailbox = 0;

    (void)store;
    int r = get_place(job, &mailbox, &uid);
    if (r < 0)
        return r;
    /* The row moves whole: undelete brings it back until the retention ends. */
    int64_t rows =
        db_run(job->db,
               "INSERT INTO expunged(mailbox, uid, modseq, expunged, body, flags,"
               " keywords, received, saved, bytes) SELECT mailbox, uid, (SELECT modseq + 1"
               " FROM mailbox WHERE id = ?1), ?3, body, flags, keywords, received, saved,"
               " bytes FROM message WHERE mailbox = ?1 AND uid = ?2",
               DB_INT(mailbox), DB_INT(uid), DB_INT(job->now_ms));
    if (rows == 0)
        return job_fail(job, -ENOENT, "there is no message with UID %lld", (long long)uid);
    if (rows > 0)
        rows =
            db_run(job->db,
                   "UPDATE mailbox SET modseq = modseq + 1, messages = messages - 1,"
                   " unseen = unseen - (SELECT CASE WHEN flags % 2 = 0 THEN 1 ELSE 0 END FROM"
                   " message WHERE mailbox = ?1 AND uid = ?2), bytes = bytes - (SELECT bytes FROM"
                   " message WHERE mailbox = ?1 AND uid = ?2) WHERE id = ?1",
                   DB_INT(mailbox), DB_INT(uid));
    if (rows > 0)
        rows = db_run(job->db, "DELETE FROM message WHERE mailbox = ?1 AND uid = ?2",
                      DB_INT(mailbox), DB_INT(uid));
    return rows < 0 ? (int)rows : 0;
}

/* Reads one expunged message that still has its body into an entry. 1, 0, negative errno. */
static int read_expunged(struct job *job, int64_t mailbox, int64_t uid, struct mailbox_entry *out)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT body, flags, keywords, received, bytes FROM expunged WHERE mailbox = ?1"
                 " AND uid = ?2 AND body <> 0",
                 DB_INT(mailbox), DB_INT(uid));
    int r = db_step(stmt);

    if (r > 0)
        *out = (struct mailbox_entry){.mailbox = mailbox,
                                      .body = (uint64_t)db_column_int(stmt, 0),
                                      .flags = (unsigned)db_column_int(stmt, 1),
                                      .keywords = arena_str(&job->arena, db_column_text(stmt, 2)),
                                      .received_ms = db_column_int(stmt, 3),
                                      .bytes = db_column_int(stmt, 4)};
    db_reset(stmt);
    return r;
}

/* message.undelete: lp account, lp mailbox, u64 uid -> u64 new uid. An expunged UID never comes
 * back (RFC 3501 section 2.3.1.1): the message returns as a new one. */
int verb_message_undelete(struct store *store, struct job *job)
{
    int64_t uid = 0, mailbox = 0, new_uid = 0;
    struct mailbox_entry entry;

    (void)store;
    int r = get_place(job, &mailbox, &uid);
    if (r < 0)
        return r;
    r = read_expunged(job, mailbox, uid, &entry);
    if (r == 0)
        return job_fail(job, -ENOENT, "no expunged message with UID %lld is kept", (long long)uid);
    if (r > 0)
        r = mailbox_add(job, &entry, &new_uid);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "UPDATE expunged SET body = 0 WHERE mailbox = ?1 AND uid = ?2",
                          DB_INT(mailbox), DB_INT(uid));
    buf_put_u64(&job->reply, (uint64_t)new_uid);
    return rows < 0 ? (int)rows : 0;
}
