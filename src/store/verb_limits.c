/*
 * What an account may send, and has sent: shown to administrators, who may set limits of its own.
 * The limits themselves are in usage.h.
 */
#include <errno.h>

#include "store/usage.h"
#include "store/verbs.h"

enum { UNCHANGED = -2 };

/* account.limits: lp address -> lp address as it is printed; for each enum usage_limit: i64 of all,
 * i64 own, i64 used today (-1: is not counted by days); i64 when the day ends. */
int verb_account_limits(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c), key, printed = STR(""), domain;
    struct usage_limits limits = {.own = {0}};
    struct usage today = {.recipients = 0};
    int64_t account;

    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = verb_find_account(job, address, &account);
    job->login_account = 0; /* nothing of it changes */
    if (r == 0)
        r = verb_get_address(job, address, &key, &printed, &domain);
    if (r == 0)
        r = usage_read_limits(store, job, (uint64_t)account, &limits);
    if (r == 0)
        r = usage_read_today(job, (uint64_t)account, &today);
    if (r < 0)
        return r;
    const int64_t used[USAGE_LIMIT_END] = {[USAGE_MESSAGES] = -1,
                                           [USAGE_RECIPIENTS] = today.recipients,
                                           [USAGE_NEW_RECIPIENTS] = today.fresh};
    buf_put_lp(&job->reply, printed);
    for (int i = 0; i < USAGE_LIMIT_END; i++) {
        buf_put_u64(&job->reply, (uint64_t)limits.of_all[i]);
        buf_put_u64(&job->reply, (uint64_t)limits.own[i]);
        buf_put_u64(&job->reply, (uint64_t)used[i]);
    }
    buf_put_u64(&job->reply, (uint64_t)usage_day_end_ms(job->now_ms));
    return 0;
}

static int write_limits(struct job *job, int64_t account, const int64_t own[USAGE_LIMIT_END])
{
    bool has_any = false;
    int64_t rows;

    for (int i = 0; i < USAGE_LIMIT_END; i++)
        has_any |= own[i] != USAGE_AS_SET;
    if (!has_any)
        rows = db_run(job->db, "DELETE FROM account_limit WHERE account = ?1", DB_INT(account));
    else
        rows = db_run(job->db,
                      "INSERT INTO account_limit(account, messages, recipients, fresh)"
                      " VALUES(?1, ?2, ?3, ?4) ON CONFLICT(account) DO UPDATE SET messages = ?2,"
                      " recipients = ?3, fresh = ?4",
                      DB_INT(account), DB_INT(own[USAGE_MESSAGES]), DB_INT(own[USAGE_RECIPIENTS]),
                      DB_INT(own[USAGE_NEW_RECIPIENTS]));
    return rows < 0 ? (int)rows : 0;
}

/* account.limit-set: lp address; for each enum usage_limit: i64 the account's own from now on, or
 * USAGE_AS_SET, or -2: as it was -> nothing. Holds for the next message. */
int verb_account_limit_set(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c);
    int64_t wanted[USAGE_LIMIT_END], account;
    struct usage_limits limits = {.own = {0}};

    for (int i = 0; i < USAGE_LIMIT_END; i++) {
        wanted[i] = (int64_t)cursor_u64(&c);
        if (wanted[i] < UNCHANGED || wanted[i] > USAGE_LIMIT_MAX)
            return -EBADMSG;
    }
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = verb_find_account(job, address, &account);
    job->login_account = 0; /* its logins stay as they are */
    if (r == 0)
        r = usage_read_limits(store, job, (uint64_t)account, &limits);
    if (r < 0)
        return r;
    for (int i = 0; i < USAGE_LIMIT_END; i++)
        wanted[i] = wanted[i] == UNCHANGED ? limits.own[i] : wanted[i];
    return write_limits(job, account, wanted);
}
