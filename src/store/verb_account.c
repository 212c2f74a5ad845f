/* Accounts: made, shown, given a password, disabled, removed; what the command line asks for. */
#include <errno.h>

#include "store/credential.h"
#include "store/password.h"
#include "store/queue_wire.h"
#include "store/store.h"
#include "store/usage.h"
#include "store/verbs.h"

enum { LIST_PAGE_ROWS = 400 }; /* of at most 1100 bytes or so each: fits into a reply */

int verb_find_account(struct job *job, struct str address, int64_t *out_account)
{
    struct str key, printed, domain;

    *out_account = 0;
    int r = verb_get_address(job, address, &key, &printed, &domain);
    if (r == 0)
        r = db_get_int(job->db, out_account, "SELECT id FROM account WHERE lookup = ?1",
                       DB_TEXT(key));
    else
        return r;
    if (r == 0)
        return job_fail(job, -ENOENT, "there is no account %.*s", STR_ARG(printed));
    job->login_account = *out_account;
    return r < 0 ? r : 0;
}

/* --- passwords --- */

/* Reads lp address, u8 form, lp text, and makes of it what is to be written: job->extra. On a hash
 * thread. */
static int prepare_password(struct store *store, struct job *job)
{
    struct password_rows *rows = arena_alloc(&job->arena, sizeof(*rows));
    struct cursor c = job_args(job);
    struct str key, printed, domain, address = cursor_lp(&c);
    uint8_t form = cursor_u8(&c);
    struct str text = cursor_lp(&c);

    if (cursor_finish(&c) < 0 || form > PASSWORD_HASH)
        return -EBADMSG;
    job->extra = rows;
    if (form == PASSWORD_NONE)
        return 0;
    if (form == PASSWORD_HASH)
        return password_import(store, job, text, rows);
    int r = verb_get_address(job, address, &key, &printed, &domain);
    return r < 0 ? r : password_make(store, job, key, text, rows);
}

int verb_account_add_prepare(struct store *store, struct job *job)
{
    return prepare_password(store, job);
}

/* account.add: lp address, u8 enum password_form, lp password or hash -> (nothing) */
int verb_account_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct new_account account;
    int64_t one, id;

    int r = verb_get_address(job, cursor_lp(&c), &account.key, &account.printed, &account.domain);
    if (r == 0)
        r = verb_require_domain(job, account.domain);
    if (r < 0)
        return r;
    r = db_get_int(job->db, &one, "SELECT 1 FROM alias WHERE lookup = ?1", DB_TEXT(account.key));
    if (r > 0)
        return job_fail(job, -EEXIST,
                        "%.*s is an alias; remove it first: hikyaku alias remove %.*s",
                        STR_ARG(account.printed), STR_ARG(account.printed));
    if (r == 0)
        r = verb_insert_account(store, job, &account, &id);
    if (r == 0)
        return job_fail(job, -EEXIST, "the account %.*s exists already", STR_ARG(account.printed));
    return r < 0 ? r : password_write(job->db, id, job->extra);
}

int verb_account_password_prepare(struct store *store, struct job *job)
{
    return prepare_password(store, job);
}

/* account.password: lp address, u8 enum password_form, lp password or hash -> (nothing). With
 * PASSWORD_NONE nobody logs in with it any more. */
int verb_account_password(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account;

    (void)store;
    int r = verb_find_account(job, cursor_lp(&c), &account);
    if (r == 0)
        r = password_write(job->db, account, job->extra);
    return r < 0 ? r : credential_end_logins(job->db, account);
}

/* Who is kept from sending may have mail that waits, also for a later day: u64 recipients of it,
 * u64 those of them that are scheduled. */
static int put_waiting(struct job *job, struct str sender)
{
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT COUNT(*), COALESCE(SUM(r.state = ?2), 0) FROM queue q"
                                    " JOIN recipient r ON r.queue = q.id WHERE q.sender = ?1",
                                    DB_TEXT(sender), DB_INT(QUEUE_SCHEDULED));
    int r = db_step(stmt);

    buf_put_u64(&job->reply, r > 0 ? (uint64_t)db_column_int(stmt, 0) : 0);
    buf_put_u64(&job->reply, r > 0 ? (uint64_t)db_column_int(stmt, 1) : 0);
    db_reset(stmt);
    return r < 0 ? r : buf_status(&job->reply);
}

/* account.enable: lp address, u8 whether -> what waits of it (put_waiting). A disabled account
 * still gets mail. */
int verb_account_enable(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c);
    bool is_enabled = cursor_u8(&c) != 0;
    struct str key, printed = STR(""), domain;
    int64_t account;

    (void)store;
    int r = verb_find_account(job, address, &account);
    if (r == 0)
        r = verb_get_address(job, address, &key, &printed, &domain);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "UPDATE account SET is_disabled = ?2 WHERE id = ?1",
                          DB_INT(account), DB_INT(!is_enabled));
    return rows < 0 ? (int)rows : put_waiting(job, printed);
}

/* --- showing --- */

#define ACCOUNT_COLUMNS                                                                            \
    "SELECT a.address, a.created,"                                                                 \
    " (SELECT COALESCE(SUM(m.messages), 0) FROM mailbox m WHERE m.account = a.id),"                \
    " (SELECT COALESCE(SUM(m.bytes), 0) FROM mailbox m WHERE m.account = a.id),"                   \
    " (SELECT COUNT(*) FROM app_password p WHERE p.account = a.id),"                               \
    " (SELECT COUNT(*) FROM recovery_code r WHERE r.account = a.id AND r.used = 0),"               \
    " a.lookup, a.language, a.secret, a.is_disabled,"                                              \
    " COALESCE((SELECT f.is_confirmed FROM second_factor f WHERE f.account = a.id), -1),"          \
    " EXISTS (SELECT 1 FROM scram s WHERE s.account = a.id AND s.app_password = 0),"               \
    " EXISTS (SELECT 1 FROM recoverable_password w WHERE w.account = a.id)"                        \
    " FROM account a"

static unsigned account_flags(struct db_stmt *stmt)
{
    struct str secret = db_column_text(stmt, 8);
    int64_t second_factor = db_column_int(stmt, 10);
    unsigned flags = 0;

    if (secret.len > 0)
        flags |= ACCOUNT_HAS_PASSWORD;
    if (secret.len > 0 && password_is_outdated(secret))
        flags |= ACCOUNT_IS_IMPORTED;
    if (db_column_int(stmt, 9) != 0)
        flags |= ACCOUNT_IS_DISABLED;
    if (second_factor >= 0)
        flags |= second_factor > 0 ? ACCOUNT_HAS_TOTP : ACCOUNT_AWAITS_TOTP;
    if (db_column_int(stmt, 11) != 0)
        flags |= ACCOUNT_HAS_SCRAM;
    if (db_column_int(stmt, 12) != 0)
        flags |= ACCOUNT_IS_RECOVERABLE;
    return flags;
}

static void put_account(struct job *job, struct db_stmt *stmt)
{
    buf_put_lp(&job->reply, db_column_text(stmt, 0));
    buf_put_u32(&job->reply, account_flags(stmt));
    for (int i = 1; i <= 5; i++)
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, i));
    buf_put_lp(&job->reply, db_column_text(stmt, 6));
    buf_put_lp(&job->reply, db_column_text(stmt, 7));
}

/* account.list: lp after key -> rows, each: lp address, u32 enum account_flags, u64 created,
 * messages, bytes, app passwords, recovery codes left, lp key, lp language */
int verb_account_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct db_stmt *stmt =
        db_query(job->db, ACCOUNT_COLUMNS " WHERE a.lookup > ?1 ORDER BY a.lookup LIMIT ?2",
                 DB_TEXT(cursor_lp(&c)), DB_INT(LIST_PAGE_ROWS));
    int r;

    (void)store;
    while ((r = db_step(stmt)) > 0)
        put_account(job, stmt);
    return r < 0 ? r : buf_status(&job->reply);
}

/* account.show: lp address -> the same row, then lp of each address it may send as by delegation */
int verb_account_show(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account;

    (void)store;
    int r = verb_find_account(job, cursor_lp(&c), &account);
    if (r < 0)
        return r;
    job->login_account = 0;
    struct db_stmt *stmt = db_query(job->db, ACCOUNT_COLUMNS " WHERE a.id = ?1", DB_INT(account));
    r = db_step(stmt);
    if (r > 0)
        put_account(job, stmt);
    db_reset(stmt);
    stmt = db_query(job->db, "SELECT address FROM delegation WHERE account = ?1 ORDER BY lookup",
                    DB_INT(account));
    while (r >= 0 && (r = db_step(stmt)) > 0)
        buf_put_lp(&job->reply, db_column_text(stmt, 0));
    return r < 0 ? r : buf_status(&job->reply);
}

/* --- language, removal --- */

/* account.language: lp address, lp language ("", "en", "ja") -> nothing */
int verb_account_language(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account;

    (void)store;
    int r = verb_find_account(job, cursor_lp(&c), &account);
    struct str language = cursor_lp(&c);
    if (r < 0)
        return r;
    if (language.len > 0 && !str_eq_c(language, "en") && !str_eq_c(language, "ja"))
        return job_fail(job, -EINVAL, "the language is en or ja, or empty for both");
    int64_t rows = db_run(job->db, "UPDATE account SET language = ?2 WHERE id = ?1",
                          DB_INT(account), DB_TEXT(language));
    return rows < 0 ? (int)rows : 0;
}

/* Drops the bodies that only this account used; in the job's transaction. */
static int unref_bodies(struct job *job, int64_t account, const char *sql)
{
    for (;;) {
        struct db_stmt *stmt = db_query(job->db, sql, DB_INT(account));
        int r = db_step(stmt);
        if (r <= 0)
            return r;
        int64_t mailbox = db_column_int(stmt, 0), uid = db_column_int(stmt, 1);
        int64_t body = db_column_int(stmt, 2);
        db_reset(stmt);
        int64_t rows = db_run(job->db, "DELETE FROM message WHERE mailbox = ?1 AND uid = ?2",
                              DB_INT(mailbox), DB_INT(uid));
        if (rows == 0)
            rows = db_run(job->db, "DELETE FROM expunged WHERE mailbox = ?1 AND uid = ?2",
                          DB_INT(mailbox), DB_INT(uid));
        r = rows < 0 ? (int)rows : store_body_unref(job, body, 1);
        if (r < 0)
            return r;
    }
}

/* account.remove: lp address, u8 even with mail -> what waits of it (put_waiting) */
int verb_account_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c);
    struct str key = STR(""), printed = STR(""), domain;
    int64_t account, messages = 0;

    (void)store;
    bool even_with_mail = cursor_u8(&c) != 0;
    int r = verb_find_account(job, address, &account);
    if (r == 0)
        r = verb_get_address(job, address, &key, &printed, &domain);
    if (r == 0)
        r = db_get_int(job->db, &messages,
                       "SELECT COALESCE(SUM(messages), 0) FROM mailbox WHERE account = ?1",
                       DB_INT(account));
    if (r < 0)
        return r;
    if (messages > 0 && !even_with_mail)
        return job_fail(job, -EBUSY,
                        "%.*s holds %lld messages; to remove them for good, add --with-mail",
                        STR_ARG(address), (long long)messages);
    r = unref_bodies(job, account,
                     "SELECT mailbox, uid, body FROM message WHERE mailbox IN"
                     " (SELECT id FROM mailbox WHERE account = ?1) LIMIT 1");
    if (r == 0)
        r = unref_bodies(job, account,
                         "SELECT mailbox, uid, body FROM expunged WHERE body <> 0 AND mailbox IN"
                         " (SELECT id FROM mailbox WHERE account = ?1) LIMIT 1");
    if (r < 0)
        return r;
    r = credential_forget(job->db, account);
    if (r == 0)
        r = usage_forget_account(job->db, account);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db,
                          "DELETE FROM expunged WHERE mailbox IN"
                          " (SELECT id FROM mailbox WHERE account = ?1)",
                          DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM mailbox WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM account WHERE id = ?1", DB_INT(account));
    r = rows < 0 ? (int)rows : credential_forget_address(job->db, key);
    return r < 0 ? r : put_waiting(job, printed);
}
