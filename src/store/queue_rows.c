/* The rows of the queue: see queue_rows.h. */
#include "store/queue_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "conf/route.h"
#include "conf/value.h"
#include "store/store.h"
#include "store/wire.h"

enum { PAUSE_DEFAULT_MS = 5 * 60 * 1000 };

void queue_route_find(const struct settings *settings, struct str sender, struct str domain,
                      struct buf *out_text, struct queue_route *out)
{
    const struct settings_route *route = route_find(settings, sender, domain);

    buf_reset(out_text);
    *out = (struct queue_route){
        .via = route != NULL ? route->via : SETTINGS_VIA_MX, .destination = domain, .text = ""};
    if (route == NULL)
        return;
    if (route->via == SETTINGS_VIA_FAIL)
        out->text = route->text;
    if (route->via != SETTINGS_VIA_MX && route->via != SETTINGS_VIA_HOSTS)
        return;
    if (route->via == SETTINGS_VIA_MX)
        buf_put_str(out_text, domain);
    buf_put_char(out_text, '/');
    buf_put_c(out_text, route->name);
    out->destination = buf_str(out_text);
}

/* A destination that is down is asked again when new mail comes for it, but not before the first
 * pause has passed since the last attempt. */
int queue_wake_destination(struct job *job, const struct settings *settings, struct str destination,
                           int64_t place)
{
    int64_t rows = db_run(
        job->db,
        "INSERT INTO destination(name, state, lease, due, failures, since, last_attempt, status,"
        " why) VALUES(?1, 0, 0, ?2, 0, 0, 0, '', '')"
        " ON CONFLICT(name) DO UPDATE SET"
        " state = CASE WHEN destination.state = 1 AND destination.failures > 0 THEN 1 ELSE 0 END,"
        " due = CASE WHEN destination.state = 0 OR destination.failures = 0 THEN excluded.due"
        " WHEN destination.last_attempt + ?4 > ?3 THEN destination.last_attempt + ?4 ELSE ?3 END"
        " WHERE (destination.state = 0 AND excluded.due < destination.due)"
        " OR (destination.state = 1 AND (destination.failures = 0"
        " OR (destination.due > ?3 AND destination.due > destination.last_attempt + ?4)))",
        DB_TEXT(destination), DB_INT(place), DB_INT(job->now_ms),
        DB_INT(queue_pause_ms(settings, 0)));

    job->wakes_queue |= rows > 0;
    return rows < 0 ? (int)rows : 0;
}

int64_t queue_pause_ms(const struct settings *settings, uint32_t failures)
{
    const struct settings_list *list = &settings->queue_retry;
    int64_t pause_ms = PAUSE_DEFAULT_MS;
    uint32_t random = 0;

    if (list->count > 0) {
        size_t at = MIN((size_t)failures, list->count - 1);
        if (value_parse_duration(str_from_c(list->items[at]), &pause_ms) < 0)
            pause_ms = PAUSE_DEFAULT_MS;
    }
    int64_t spread_ms = pause_ms * settings->queue_jitter / 100;
    if (spread_ms <= 0 || getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return pause_ms;
    /* Later only: nobody is asked sooner than the settings say. */
    return pause_ms + (int64_t)(random % (uint64_t)(spread_ms + 1));
}

bool queue_wants_report(struct str sender, unsigned flags, unsigned notify,
                        enum queue_report report)
{
    bool is_success = report == QUEUE_REPORT_DELIVERED || report == QUEUE_REPORT_RELAYED;

    if (sender.len == 0)
        return report == QUEUE_REPORT_FAILED && (flags & DELIVER_NOTICE) != 0;
    if (notify == 0)
        return !is_success;
    if (is_success)
        return (notify & DELIVER_NOTIFY_SUCCESS) != 0;
    return (notify &
            (report == QUEUE_REPORT_DELAYED ? DELIVER_NOTIFY_DELAY : DELIVER_NOTIFY_FAILURE)) != 0;
}

bool queue_wants_by_report(struct str sender, unsigned notify)
{
    return sender.len > 0 && (notify & DELIVER_NOTIFY_NEVER) == 0;
}

void queue_count_times(const struct settings *settings, struct str sender, int64_t from_ms,
                       struct queue_times *io_times)
{
    int64_t lifetime_ms =
        sender.len == 0 ? settings->queue_notice_lifetime : settings->queue_lifetime;
    bool may_warn = sender.len > 0 && settings->queue_warn_after > 0 &&
                    settings->queue_warn_after < lifetime_ms;

    io_times->warn_ms = may_warn ? from_ms + settings->queue_warn_after : 0;
    io_times->expires_ms = from_ms + lifetime_ms;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return b_ms != 0 && b_ms < a_ms ? b_ms : a_ms;
}

int64_t queue_next_alarm(const struct queue_times *times)
{
    int64_t next_ms = earlier(times->expires_ms, times->warn_ms);

    return earlier(earlier(next_ms, times->by_ms), times->release_ms);
}

static int read_times(struct job *job, uint64_t id, struct queue_times *out)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT warn, expires, deliver_by, by_mode, CASE WHEN release_at <> 0 THEN"
                 " (SELECT MIN(due) FROM recipient WHERE queue = ?1 AND state = 5) ELSE 0 END"
                 " FROM queue WHERE id = ?1",
                 DB_INT(id));
    int r = db_step(stmt);

    if (r > 0) {
        int64_t by = db_column_int(stmt, 3);
        bool is_told = by == 0 || (by & QUEUE_BY_TOLD) != 0;
        *out = (struct queue_times){.warn_ms = db_column_int(stmt, 0),
                                    .expires_ms = db_column_int(stmt, 1),
                                    .by_ms = is_told ? 0 : db_column_int(stmt, 2),
                                    .release_ms = db_column_int(stmt, 4)};
    }
    db_reset(stmt);
    return r;
}

int queue_set_alarm(struct job *job, uint64_t id, int64_t not_before_ms)
{
    struct queue_times times;

    int r = read_times(job, id, &times);
    if (r <= 0)
        return r;
    int64_t release_ms = times.release_ms;
    times.release_ms = 0;
    int64_t next_ms = MAX(queue_next_alarm(&times), not_before_ms);
    int64_t rows = db_run(job->db, "UPDATE queue SET alarm = ?2 WHERE id = ?1", DB_INT(id),
                          DB_INT(earlier(next_ms, release_ms)));
    job->wakes_queue |= rows > 0;
    return rows < 0 ? (int)rows : 0;
}

int queue_remove_recipient(struct job *job, uint64_t message, uint32_t n)
{
    int64_t rows = db_run(job->db, "DELETE FROM recipient WHERE queue = ?1 AND n = ?2",
                          DB_INT(message), DB_INT(n));

    if (rows < 0)
        return (int)rows;
    job->queue_recipients -= rows;
    return 0;
}

int queue_remove_if_empty(struct job *job, uint64_t message, bool *out_gone)
{
    int64_t body = 0;

    *out_gone = false;
    int r = db_get_int(job->db, &body,
                       "SELECT body FROM queue WHERE id = ?1 AND NOT EXISTS"
                       " (SELECT 1 FROM recipient WHERE queue = ?1)",
                       DB_INT(message));
    if (r <= 0)
        return r;
    int64_t rows = db_run(job->db, "DELETE FROM queue WHERE id = ?1", DB_INT(message));
    if (rows < 0)
        return (int)rows;
    *out_gone = true;
    job->queue_messages--;
    return store_body_unref(job, body, 1);
}

int queue_count_states(struct db *db, struct str destination, int64_t out_counts[QUEUE_STATES])
{
    static const char of_all[] = "SELECT state, COUNT(*) FROM recipient GROUP BY state";
    static const char of_one[] = "SELECT state, COUNT(*) FROM recipient WHERE destination = ?1"
                                 " GROUP BY state";
    struct db_stmt *stmt =
        destination.len > 0 ? db_query(db, of_one, DB_TEXT(destination)) : db_query(db, of_all);
    int r;

    memset(out_counts, 0, QUEUE_STATES * sizeof(out_counts[0]));
    while ((r = db_step(stmt)) > 0) {
        int64_t state = db_column_int(stmt, 0);
        if (state >= 0 && state < QUEUE_STATES)
            out_counts[state] = db_column_int(stmt, 1);
    }
    return r;
}

/* --- suppression: no server that counts tells Taro from taro, so addresses are in small letters
 * --- */

bool suppression_is_about_address(uint16_t code, struct str status, struct str text)
{
    static const char *const statuses[] = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"};
    static const char *const words[] = {"unknown", "no such", "not exist", "not found"};

    /* What no server said is about the domain: it costs nothing to try again, and ends at once. */
    if (code == 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        if (str_eq_c(status, statuses[i]))
            return true;
    }
    /* Servers without enhanced codes say it in words only. */
    if ((code != 550 && code != 551 && code != 553) || !str_eq_c(status, "5.0.0"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_contains_nocase(text, str_from_c(words[i])))
            return true;
    }
    return false;
}

int suppression_count(struct store *store, struct job *job, struct str address, struct str reply)
{
    const struct settings *settings = store->settings;

    if (settings->queue_suppress_after == 0)
        return 0;
    int64_t rows =
        db_run(job->db,
               "INSERT INTO suppression(address, failures, is_active, first, last, expires, reply)"
               " VALUES(LOWER(?1), 1, CASE WHEN ?4 <= 1 THEN 1 ELSE 0 END, ?2, ?2, ?2 + ?3, ?5)"
               " ON CONFLICT(address) DO UPDATE SET failures = suppression.failures + 1,"
               " is_active = CASE WHEN suppression.failures + 1 >= ?4 THEN 1 ELSE 0 END,"
               " last = ?2, expires = ?2 + ?3, reply = ?5",
               DB_TEXT(address), DB_INT(job->now_ms), DB_INT(settings->queue_suppress_for),
               DB_INT(settings->queue_suppress_after), DB_TEXT(reply));

    job->changes_suppression = store->may_suppress = true;
    return rows < 0 ? (int)rows : 0;
}

int suppression_forget(const struct store *store, struct job *job, struct str address)
{
    if (!store->may_suppress)
        return 0;
    int64_t rows =
        db_run(job->db, "DELETE FROM suppression WHERE address = LOWER(?1)", DB_TEXT(address));

    job->changes_suppression |= rows > 0;
    return rows < 0 ? (int)rows : 0;
}

int suppression_find(struct db *db, struct str address, int64_t now_ms, struct buf *out_reply)
{
    struct db_stmt *stmt = db_query(db,
                                    "SELECT reply FROM suppression WHERE address = LOWER(?1) AND"
                                    " is_active = 1 AND expires > ?2",
                                    DB_TEXT(address), DB_INT(now_ms));
    int r = db_step(stmt);

    if (r > 0 && out_reply != NULL) {
        buf_reset(out_reply);
        buf_put_str(out_reply, db_column_text(stmt, 0));
    }
    db_reset(stmt);
    return r;
}
