/*
 * Bans as rows: what administrators add and lift, what the guard has made (guard.h keeps them in
 * memory and is told by gate.c what has changed here), what is loaded at the start.
 */
#include <errno.h>

#include "base/ip.h"
#include "store/ban_wire.h"
#include "store/store.h"
#include "store/verbs.h"

enum { PAGE_ROWS = 500 };

/* ban.list: lp network after which the page begins -> struct ban_row ... */
int verb_ban_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str after = cursor_lp(&c);
    int r;

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT network, since, until, strikes, is_for_all, reason FROM"
                                    " ban WHERE network > ?1 ORDER BY network LIMIT ?2",
                                    DB_TEXT(after), DB_INT(PAGE_ROWS));
    while ((r = db_step(stmt)) > 0) {
        struct ban_row row = {.network = db_column_text(stmt, 0),
                              .since_ms = db_column_int(stmt, 1),
                              .until_ms = db_column_int(stmt, 2),
                              .strikes = (uint32_t)db_column_int(stmt, 3),
                              .is_for_all = db_column_int(stmt, 4) != 0,
                              .reason = db_column_text(stmt, 5)};
        ban_put_row(&job->reply, &row);
    }
    return r;
}

/* Where there is no more room, the one of those that failed logins have brought that ends first, or
 * ended first, goes. */
static int make_room(struct job *job, struct str network)
{
    int64_t count = 0, known = 0;
    int r = db_get_int(job->db, &known, "SELECT 1 FROM ban WHERE network = ?1", DB_TEXT(network));

    if (r == 0)
        r = db_get_int(job->db, &count, "SELECT COUNT(*) FROM ban");
    if (r < 0 || count < BAN_ROWS_MAX)
        return MIN(r, 0);
    int64_t rows = db_run(job->db, "DELETE FROM ban WHERE network = (SELECT network FROM ban"
                                   " WHERE is_for_all = 0 ORDER BY until LIMIT 1)");
    if (rows == 0)
        return job_fail(job, -ENOSPC, "there are %d bans already; lift some", BAN_ROWS_MAX);
    return rows < 0 ? (int)rows : 0;
}

/* Whether some of the network is exempt from all brakes: a ban does not hold there. */
static bool touches_exempt(const struct store *store, struct str network)
{
    const struct settings_list *exempt = &store->settings->brakes_exempt_networks;
    struct ip_net net, other;

    if (ip_net_parse(network, &net) < 0)
        return false;
    for (size_t i = 0; i < exempt->count; i++) {
        if (ip_net_parse(str_from_c(exempt->items[i]), &other) == 0 &&
            (ip_net_contains(&other, &net.base) || ip_net_contains(&net, &other.base)))
            return true;
    }
    return false;
}

/* ban.add: struct ban_row; replaces one of the same network -> u8 whether some of the network is
 * exempt */
int verb_ban_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct ban_row row;

    if (ban_get_row(&c, &row) < 0 || cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = make_room(job, row.network);
    if (r < 0)
        return r;
    int64_t rows = db_run(
        job->db,
        "INSERT INTO ban(network, since, until, strikes, is_for_all, reason)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(network) DO UPDATE SET since = ?2,"
        " until = ?3, strikes = ?4, is_for_all = ?5, reason = ?6",
        DB_TEXT(row.network), DB_INT(row.since_ms), DB_INT(row.until_ms), DB_INT(row.strikes),
        DB_INT(row.is_for_all), DB_TEXT(str_sub(row.reason, 0, BAN_REASON_MAX_BYTES)));
    buf_put_u8(&job->reply, touches_exempt(store, row.network));
    return rows < 0 ? (int)rows : buf_status(&job->reply);
}

/* ban.remove: lp network -> u8 whether there was one */
int verb_ban_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str network = cursor_lp(&c);

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int64_t rows = db_run(job->db, "DELETE FROM ban WHERE network = ?1", DB_TEXT(network));
    buf_put_u8(&job->reply, rows > 0);
    return rows < 0 ? (int)rows : 0;
}
