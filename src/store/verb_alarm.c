/*
 * Alarms: one letter to postmaster for each account, day and kind of trouble, from the store
 * itself. That it was told is a row of the same transaction, so that a restart tells nothing twice;
 * after a failure it is told when it happens again. Where postmaster cannot be reached, the log
 * says it.
 */
#include <errno.h>

#include "base/log.h"
#include "mail/mime.h"
#include "mail/summary.h"
#include "store/alarm_wire.h"
#include "store/deliver_plan.h"
#include "store/store.h"
#include "store/verbs.h"

enum { DAY_MS = 24 * 3600 * 1000, KIND_SENDING = 1, KIND_GUESSING = 2 };

/* Both limits of a day are one trouble. 1: it was told today; 0; negative errno. */
static int was_told(struct job *job, const struct alarm *a)
{
    int kind = a->cause == ALARM_GUESSING ? KIND_GUESSING : KIND_SENDING;
    int64_t today = job->now_ms / DAY_MS;
    int64_t rows = db_run(job->db,
                          "INSERT INTO alarm(account, kind, day) VALUES(?1, ?2, ?3)"
                          " ON CONFLICT(account, kind) DO UPDATE SET day = ?3 WHERE day <> ?3",
                          DB_INT(a->account), DB_INT(kind), DB_INT(today));

    return rows < 0 ? (int)rows : rows == 0;
}

static unsigned languages_of(const struct settings *settings)
{
    switch (settings->queue_languages) {
    case SETTINGS_LANGUAGES_ENGLISH:
        return DSN_ENGLISH;
    case SETTINGS_LANGUAGES_JAPANESE:
        return DSN_JAPANESE;
    default:
        return DSN_ENGLISH | DSN_JAPANESE;
    }
}

static void write_letter(const struct store *store, const struct job *job, const struct alarm *a,
                         struct buf *out)
{
    char id[ID_TEXT_CHARS + 1];
    struct alarm_letter letter = {.cause = a->cause,
                                  .languages = languages_of(store->settings),
                                  .host = str_from_c(store->settings->server_hostname),
                                  .id = str_from_c(id_format(a->notice_id, id)),
                                  .account = a->address,
                                  .limit = a->limit,
                                  .count = a->count,
                                  .peers = a->peers,
                                  .now_ms = job->now_ms};

    alarm_print(&letter, out);
}

static void summarise(struct str text, struct buf *out)
{
    struct mime_scanner *scanner = mime_scanner_new();

    mime_scanner_feed(scanner, text);
    summary_encode(mime_scanner_finish(scanner), out);
    mime_scanner_free(scanner);
}

/* From the null sender, so that no notice comes back; nobody's account, so that no limit counts it.
 */
static int send_letter(struct store *store, struct job *job, const struct alarm *a)
{
    struct deliver_recipient to = {.local = STR("postmaster"), .domain = STR(""), .is_relay = true};
    struct buf text, summary;

    buf_init(&text, ALARM_MAX_BYTES + 64);
    buf_init(&summary, SUMMARY_MAX_BYTES);
    buf_put_c(&text, "Return-Path: <>\r\n");
    struct deliver_request request = {.message_id = a->notice_id,
                                      .received_ms = job->now_ms,
                                      .prefix_bytes = (uint32_t)text.len,
                                      .recipients = &to,
                                      .recipient_count = 1};
    write_letter(store, job, a, &text);
    summarise(buf_str(&text), &summary);
    request.text = buf_str(&text);
    request.summary = buf_str(&summary);
    int r = buf_status(&text);
    if (r == 0)
        r = deliver_message(store, job, &request);
    buf_done(&text);
    buf_done(&summary);
    return r;
}

static void log_unreachable(const struct job *job, const struct alarm *a)
{
    LOG(LOG_ERROR, "store.alarm-undeliverable", LOG_STR("account", a->address),
        LOG_C("why", a->cause == ALARM_GUESSING ? "its password is guessed at"
                                                : "it has reached a limit of the day"),
        LOG_STR("postmaster", buf_str(&job->reply)),
        LOG_C("hint", "postmaster should have been told, but the address leads nowhere: make an "
                      "account or an alias postmaster@ of the first domain; see: hikyaku trace "
                      "ADDRESS"));
}

/* alarm: struct alarm -> nothing */
int verb_alarm(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct alarm alarm;

    if (alarm_get(&c, &alarm) < 0)
        return -EBADMSG;
    int r = was_told(job, &alarm);
    if (r != 0)
        return MIN(r, 0);
    r = send_letter(store, job, &alarm);
    if (r == -ENOENT || r == -E2BIG) {
        /* It was told as well as it can be: nothing of the letter was kept. */
        log_unreachable(job, &alarm);
        buf_reset(&job->trace);
        r = 0;
    }
    return r;
}

/* auth.whose: lp name as it is looked up, and what the watch needs to know then -> u64 account (0:
 * nobody's), lp its address */
int verb_auth_whose(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct db_stmt *stmt = db_query(job->db, "SELECT id, address FROM account WHERE lookup = ?1",
                                    DB_TEXT(cursor_lp(&c)));
    int r = db_step(stmt);

    (void)store;
    buf_put_u64(&job->reply, r > 0 ? (uint64_t)db_column_int(stmt, 0) : 0);
    buf_put_lp(&job->reply, r > 0 ? db_column_text(stmt, 1) : STR(""));
    db_reset(stmt);
    return MIN(r, 0);
}
