/*
 * From where accounts were logged in to: rows that login_book.h gathers, shown to administrators.
 * Each account has a bounded number of them, and what is old is forgotten.
 */
#include <errno.h>

#include "store/login_book.h"
#include "store/verbs.h"

enum { ROWS_OF_ACCOUNT_MAX = 50, ROWS_SHOWN_MAX = 500, PAGE_ROWS = 1000 };

/* Of the rows beyond those that an account may have, the oldest go. */
static int trim(struct job *job, uint64_t account)
{
    int64_t rows = db_run(job->db,
                          "DELETE FROM login WHERE account = ?1 AND last < (SELECT last FROM login"
                          " WHERE account = ?1 ORDER BY last DESC LIMIT 1 OFFSET ?2)",
                          DB_INT((int64_t)account), DB_INT(ROWS_OF_ACCOUNT_MAX - 1));

    return rows < 0 ? (int)rows : 0;
}

static int write_entry(struct job *job, const struct login_entry *e)
{
    /* An account that was removed meanwhile leaves nothing behind. */
    int64_t rows = db_run(
        job->db,
        "INSERT INTO login(account, network, protocol, mechanism, app_password, first, last, count)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM account WHERE id = ?1"
        " ON CONFLICT(account, network, protocol, mechanism, app_password)"
        " DO UPDATE SET last = ?7, count = login.count + ?8",
        DB_INT((int64_t)e->account), DB_TEXT(e->network), DB_TEXT(e->protocol),
        DB_TEXT(e->mechanism), DB_INT(e->app_password), DB_INT(e->first_ms), DB_INT(e->last_ms),
        DB_INT((int64_t)e->count));

    return rows < 0 ? (int)rows : trim(job, e->account);
}

/* login.note: struct login_entry ... -> nothing */
int verb_login_note(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct login_entry e;
    int r;

    (void)store;
    while ((r = login_next_entry(&c, &e)) > 0) {
        r = write_entry(job, &e);
        if (r < 0)
            return r;
    }
    return r;
}

/* --- known addresses --- */

/* login.known: u64 account and lp network after which the page begins -> for each network that an
 * account was logged in to from: u64 account, lp its name as it is looked up, lp network, u64 when
 * it was the last time */
int verb_login_known(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account = (int64_t)cursor_u64(&c);
    struct str network = cursor_lp(&c);
    int r;

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT l.account, a.lookup, l.network, MAX(l.last) FROM login l"
                 " JOIN account a ON a.id = l.account"
                 " WHERE l.account > ?1 OR (l.account = ?1 AND l.network > ?2)"
                 " GROUP BY l.account, a.lookup, l.network ORDER BY l.account, l.network LIMIT ?3",
                 DB_INT(account), DB_TEXT(network), DB_INT(PAGE_ROWS));
    while ((r = db_step(stmt)) > 0) {
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 0));
        buf_put_lp(&job->reply, db_column_text(stmt, 1));
        buf_put_lp(&job->reply, db_column_text(stmt, 2));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 3));
    }
    db_reset(stmt);
    return MIN(r, 0);
}

/* --- showing --- */

static int put_rows(struct job *job, int64_t account)
{
    struct db_stmt *stmt = db_query(
        job->db,
        "SELECT l.account, l.app_password, l.network, l.protocol, l.mechanism, l.first, l.last,"
        " l.count, a.address, COALESCE(p.name, '') FROM login l JOIN account a ON a.id = l.account"
        " LEFT JOIN app_password p ON p.account = l.account AND p.id = l.app_password"
        " WHERE (?1 = 0 OR l.account = ?1) ORDER BY l.last DESC LIMIT ?2",
        DB_INT(account), DB_INT(ROWS_SHOWN_MAX));
    int r;

    while ((r = db_step(stmt)) > 0) {
        struct login_entry e = {.account = (uint64_t)db_column_int(stmt, 0),
                                .app_password = db_column_int(stmt, 1),
                                .network = db_column_text(stmt, 2),
                                .protocol = db_column_text(stmt, 3),
                                .mechanism = db_column_text(stmt, 4),
                                .first_ms = db_column_int(stmt, 5),
                                .last_ms = db_column_int(stmt, 6),
                                .count = (uint64_t)db_column_int(stmt, 7)};
        login_put_entry(&job->reply, &e);
        buf_put_lp(&job->reply, db_column_text(stmt, 8));
        buf_put_lp(&job->reply, db_column_text(stmt, 9));
    }
    db_reset(stmt);
    return MIN(r, 0);
}

/* account.sessions: lp address, or "" for all -> u64 its account (0: all); for each row, the last
 * ones first: struct login_entry, lp address of its account, lp name of its app password ("": none,
 * or it is gone). Of the writer, because what the loop has gathered is written just before. */
int verb_account_sessions(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c);
    int64_t account = 0;

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = address.len > 0 ? verb_find_account(job, address, &account) : 0;
    job->login_account = 0; /* nothing of it changes */
    if (r < 0)
        return r;
    buf_put_u64(&job->reply, (uint64_t)account);
    r = put_rows(job, account);
    return r < 0 ? r : buf_status(&job->reply);
}
