/* How much an account sends: see usage.h. */
#include "store/usage.h"

#include <errno.h>

#include <sodium.h>

enum { DAY_MS = 24 * 3600 * 1000, MINUTE_MS = 60 * 1000, DAYS_KEPT = 32 };

#define CORRESPONDENT_MS ((int64_t)400 * DAY_MS)

static int64_t day_of(int64_t now_ms)
{
    return now_ms / DAY_MS;
}

/* 63 bits of a hash stand for an address in any case: a list of who writes to whom is not to be
 * read from the database, and one in nine billion billions is nobody's loss. */
static uint64_t recipient_hash(const struct deliver_recipient *r)
{
    crypto_generichash_state state;
    uint64_t hash = 0;

    (void)crypto_generichash_init(&state, NULL, 0, crypto_generichash_BYTES_MIN);
    for (size_t i = 0; i < r->local.len; i++) {
        unsigned char c = (unsigned char)ascii_lower(r->local.ptr[i]);
        (void)crypto_generichash_update(&state, &c, 1);
    }
    (void)crypto_generichash_update(&state, (const unsigned char *)"@", 1);
    (void)crypto_generichash_update(&state, (const unsigned char *)r->domain.ptr, r->domain.len);
    unsigned char bytes[crypto_generichash_BYTES_MIN];
    (void)crypto_generichash_final(&state, bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(hash); i++)
        hash = hash << 8 | bytes[i];
    return hash >> 1;
}

int64_t usage_day_end_ms(int64_t now_ms)
{
    return (day_of(now_ms) + 1) * (int64_t)DAY_MS;
}

/* --- limits --- */

const char *usage_limit_setting(enum usage_limit which)
{
    static const char *const names[USAGE_LIMIT_END] = {
        [USAGE_MESSAGES] = "submission.messages_per_minute",
        [USAGE_RECIPIENTS] = "submission.recipients_per_day",
        [USAGE_NEW_RECIPIENTS] = "submission.new_recipients_per_day",
    };

    return names[which];
}

int64_t usage_limit_of(const struct usage_limits *limits, enum usage_limit which)
{
    int64_t own = limits->own[which];

    return own != USAGE_AS_SET ? own : limits->of_all[which];
}

int usage_read_limits(const struct store *store, struct job *job, uint64_t account,
                      struct usage_limits *out)
{
    const struct settings *s = store->settings;
    struct db_stmt *stmt = db_query(
        job->db, "SELECT messages, recipients, fresh FROM account_limit WHERE account = ?1",
        DB_INT(account));
    int r = db_step(stmt);

    *out = (struct usage_limits){
        .of_all = {[USAGE_MESSAGES] = s->submission_messages_per_minute,
                   [USAGE_RECIPIENTS] = s->submission_recipients_per_day,
                   [USAGE_NEW_RECIPIENTS] = s->submission_new_recipients_per_day}};
    for (int i = 0; i < USAGE_LIMIT_END; i++)
        out->own[i] = r > 0 ? db_column_int(stmt, i) : USAGE_AS_SET;
    db_reset(stmt);
    return MIN(r, 0);
}

/* Refuses the message by this limit. */
static int refuse(struct job *job, const struct deliver_request *q,
                  const struct usage_limits *limits, enum usage_limit which)
{
    static const int errors[USAGE_LIMIT_END] = {
        [USAGE_MESSAGES] = -EAGAIN, [USAGE_RECIPIENTS] = -EDQUOT, [USAGE_NEW_RECIPIENTS] = -EUSERS};
    static const char *const texts[USAGE_LIMIT_END] = {
        [USAGE_MESSAGES] = "messages a minute",
        [USAGE_RECIPIENTS] = "recipients a day",
        [USAGE_NEW_RECIPIENTS] = "recipients a day to whom it never wrote before",
    };
    bool is_own = limits->own[which] != USAGE_AS_SET;

    job->over = (struct job_over){.is_over = true,
                                  .which = (uint8_t)which,
                                  .limit = usage_limit_of(limits, which),
                                  .account = q->account,
                                  .login = q->login};
    return job_fail(job, errors[which], "at most %lld %s (%s)",
                    (long long)usage_limit_of(limits, which), texts[which],
                    is_own ? "set for the account" : usage_limit_setting(which));
}

/* --- what was done --- */

int usage_read_today(struct job *job, uint64_t account, struct usage *out)
{
    struct db_stmt *stmt =
        db_query(job->db, "SELECT recipients, fresh FROM usage WHERE account = ?1 AND day = ?2",
                 DB_INT(account), DB_INT(day_of(job->now_ms)));
    int r = db_step(stmt);

    *out = (struct usage){.recipients = 0};
    if (r > 0) {
        out->recipients = db_column_int(stmt, 0);
        out->fresh = db_column_int(stmt, 1);
    }
    db_reset(stmt);
    return MIN(r, 0);
}

/* Finds those to whom the account has not written before. */
static int find_new(struct job *job, const struct deliver_request *q, struct usage *out)
{
    int r = 0;

    out->new_ones = arena_alloc(&job->arena, q->recipient_count * sizeof(out->new_ones[0]));
    for (size_t i = 0; r >= 0 && i < q->recipient_count; i++) {
        int64_t known = 0;
        if (!q->recipients[i].is_relay)
            continue;
        uint64_t hash = recipient_hash(&q->recipients[i]);
        r = db_get_int(job->db, &known,
                       "SELECT 1 FROM correspondent WHERE account = ?1 AND recipient = ?2",
                       DB_INT(q->account), DB_INT(hash));
        if (r == 0)
            out->new_ones[out->new_count++] = hash;
    }
    return MIN(r, 0);
}

static bool is_above(int64_t value, const struct usage_limits *limits, enum usage_limit which)
{
    int64_t limit = usage_limit_of(limits, which);

    return limit > 0 && value > limit;
}

static int judge(struct job *job, const struct deliver_request *q, const struct usage *u,
                 const struct usage_limits *limits)
{
    if (is_above(u->recipients, limits, USAGE_RECIPIENTS))
        return refuse(job, q, limits, USAGE_RECIPIENTS);
    if (u->new_count > 0 && is_above(u->fresh, limits, USAGE_NEW_RECIPIENTS))
        return refuse(job, q, limits, USAGE_NEW_RECIPIENTS);
    return 0;
}

int usage_check(struct store *store, struct job *job, const struct deliver_request *q,
                struct usage *out)
{
    struct usage_limits limits = {.own = {0}};

    int r = usage_read_today(job, q->account, out);
    if (r == 0)
        r = find_new(job, q, out);
    if (r == 0)
        r = usage_read_limits(store, job, q->account, &limits);
    if (r < 0)
        return r;
    out->recipients += (int64_t)q->recipient_count;
    out->fresh += (int64_t)out->new_count;
    r = judge(job, q, out, &limits);
    if (r < 0)
        return r;
    struct brake_rule rule =
        brake_rule_of((unsigned)usage_limit_of(&limits, USAGE_MESSAGES), MINUTE_MS);
    if (!brake_take(&store->sending, str_from_mem(&q->account, sizeof(q->account)), &rule, 1,
                    job->now_ms, NULL))
        return refuse(job, q, &limits, USAGE_MESSAGES);
    return 0;
}

int usage_count(struct job *job, const struct deliver_request *q, const struct usage *u)
{
    int64_t rows = db_run(
        job->db,
        "INSERT INTO usage(account, day, recipients, fresh) VALUES(?1, ?2, ?3, ?4)"
        " ON CONFLICT(account, day) DO UPDATE SET recipients = ?3, fresh = ?4",
        DB_INT(q->account), DB_INT(day_of(job->now_ms)), DB_INT(u->recipients), DB_INT(u->fresh));

    for (size_t i = 0; rows >= 0 && i < u->new_count; i++)
        rows = db_run(job->db,
                      "INSERT INTO correspondent(account, recipient, last) VALUES(?1, ?2, ?3)"
                      " ON CONFLICT(account, recipient) DO UPDATE SET last = ?3",
                      DB_INT(q->account), DB_INT(u->new_ones[i]), DB_INT(day_of(job->now_ms)));
    return rows < 0 ? (int)rows : 0;
}

int usage_forget(struct job *job)
{
    int64_t rows = db_run(job->db, "DELETE FROM usage WHERE day < ?1",
                          DB_INT(day_of(job->now_ms) - DAYS_KEPT));

    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM correspondent WHERE last < ?1",
                      DB_INT(day_of(job->now_ms - CORRESPONDENT_MS)));
    return rows < 0 ? (int)rows : 0;
}

int usage_forget_account(struct db *db, int64_t account)
{
    int64_t rows = db_run(db, "DELETE FROM usage WHERE account = ?1", DB_INT(account));

    if (rows >= 0)
        rows = db_run(db, "DELETE FROM correspondent WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(db, "DELETE FROM account_limit WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(db, "DELETE FROM alarm WHERE account = ?1", DB_INT(account));
    return rows < 0 ? (int)rows : 0;
}
