/*
 * The second factor of an account: codes by time (RFC 6238) and recovery codes.
 *
 * It is set, then confirmed with a first code, so that nobody locks himself out with an app that
 * has not taken the secret. From then on mail programs need app passwords, and pages ask for a
 * code. Each code works once; guessing is slowed down here, for whichever process asks.
 */
#include <errno.h>
#include <sodium.h>

#include "crypt/code_text.h"
#include "crypt/totp.h"
#include "store/credential.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    RECOVERY_CODES = 10,
    /* Five guesses in a quarter of an hour: one in two thousand chances a day. */
    FAILURES_MAX = 5,
    BLOCK_MS = 15 * 60 * 1000,
    CODE_ROOM_BYTES = 64,
};

struct second_factor {
    struct str secret;
    bool is_confirmed;
    int64_t last_step, failures, blocked_until_ms;
};

/* 1, 0 when there is none, negative errno. */
static int read_factor(struct job *job, int64_t account, struct second_factor *out)
{
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT secret, is_confirmed, last_step, failures,"
                                    " blocked_until FROM second_factor WHERE account = ?1",
                                    DB_INT(account));
    int r = db_step(stmt);

    if (r > 0)
        *out = (struct second_factor){.secret = arena_str(&job->arena, db_column_blob(stmt, 0)),
                                      .is_confirmed = db_column_int(stmt, 1) != 0,
                                      .last_step = db_column_int(stmt, 2),
                                      .failures = db_column_int(stmt, 3),
                                      .blocked_until_ms = db_column_int(stmt, 4)};
    db_reset(stmt);
    return r;
}

/* --- setting up --- */

/* totp.set: lp address -> lp secret, lp issuer's host name, lp address as printed. Not asked for
 * until it is confirmed; refused while another one is in force. */
int verb_totp_set(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c), key, printed, domain;
    struct second_factor old = {.is_confirmed = false};
    char *secret = arena_alloc(&job->arena, TOTP_SECRET_BYTES);
    int64_t account;

    int r = verb_find_account(job, address, &account);
    if (r == 0)
        r = read_factor(job, account, &old);
    if (r < 0)
        return r;
    if (old.is_confirmed)
        return job_fail(job, -EEXIST,
                        "%.*s has a second factor; remove it first: hikyaku account totp %.*s "
                        "disable",
                        STR_ARG(address), STR_ARG(address));
    randombytes_buf(secret, TOTP_SECRET_BYTES);
    int64_t rows = db_run(job->db, "DELETE FROM second_factor WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db,
                      "INSERT INTO second_factor(account, secret, is_confirmed, last_step,"
                      " failures, blocked_until, created) VALUES(?1, ?2, 0, 0, 0, 0, ?3)",
                      DB_INT(account), DB_BLOB(str_from_mem(secret, TOTP_SECRET_BYTES)),
                      DB_INT(job->now_ms));
    r = verb_get_address(job, address, &key, &printed, &domain);
    if (rows < 0 || r < 0)
        return rows < 0 ? (int)rows : r;
    buf_put_lp(&job->reply, str_from_mem(secret, TOTP_SECRET_BYTES));
    buf_put_lp(&job->reply, str_from_c(store->settings->server_hostname));
    buf_put_lp(&job->reply, printed);
    return buf_status(&job->reply);
}

/* totp.confirm: lp address, lp code -> (nothing) */
int verb_totp_confirm(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c), code = cursor_lp(&c);
    struct second_factor factor = {.is_confirmed = false};
    int64_t account, step;

    (void)store;
    int r = verb_find_account(job, address, &account);
    if (r == 0)
        r = read_factor(job, account, &factor);
    if (r < 0)
        return r;
    if (r == 0 || factor.is_confirmed)
        return job_fail(job, -ENOENT,
                        r == 0 ? "there is nothing to confirm; first: hikyaku account "
                                 "totp %.*s enable"
                               : "the second factor of %.*s is confirmed already",
                        STR_ARG(address));
    if (!totp_check(factor.secret, code, job->now_ms / 1000, factor.last_step, &step))
        return job_fail(job, -EACCES,
                        "this is not the code of now; take the next one, and see that the clocks "
                        "of this machine and of the phone are right");
    int64_t rows = db_run(job->db,
                          "UPDATE second_factor SET is_confirmed = 1, last_step = ?2,"
                          " failures = 0 WHERE account = ?1",
                          DB_INT(account), DB_INT(step));
    return rows < 0 ? (int)rows : credential_end_logins(job->db, account);
}

static int drop_recovery_codes(struct job *job, int64_t account)
{
    int64_t rows = db_run(job->db, "DELETE FROM recovery_code WHERE account = ?1", DB_INT(account));

    return rows < 0 ? (int)rows : 0;
}

/* totp.remove: lp address -> (nothing). With its recovery codes; app passwords stay. */
int verb_totp_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c);
    int64_t account;

    (void)store;
    int r = verb_find_account(job, address, &account);
    if (r == 0)
        r = drop_recovery_codes(job, account);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "DELETE FROM second_factor WHERE account = ?1", DB_INT(account));
    if (rows == 0)
        return job_fail(job, -ENOENT, "%.*s has no second factor", STR_ARG(address));
    return rows < 0 ? (int)rows : 0;
}

/* --- recovery codes --- */

static void recovery_digest(int64_t account, struct str code, uint8_t out[CODE_TEXT_DIGEST_BYTES])
{
    struct buf what;

    buf_init(&what, CODE_ROOM_BYTES);
    buf_put_c(&what, "recovery code");
    buf_put_u64(&what, (uint64_t)account);
    code_text_digest(code, buf_str(&what), out);
    buf_done(&what);
}

static int add_recovery_code(struct job *job, int64_t account)
{
    uint8_t digest[CODE_TEXT_DIGEST_BYTES];
    struct buf code;

    buf_init(&code, CODE_ROOM_BYTES);
    code_text_make(&code, CODE_TEXT_RECOVERY_CHARS);
    recovery_digest(account, buf_str(&code), digest);
    buf_put_lp(&job->reply, buf_str(&code));
    sodium_memzero(code.ptr, code.cap);
    buf_done(&code);
    int64_t rows =
        db_run(job->db, "INSERT INTO recovery_code(account, digest, used) VALUES(?1, ?2, 0)",
               DB_INT(account), DB_BLOB(str_from_mem(digest, sizeof(digest))));
    return rows < 0 ? (int)rows : 0;
}

/* recovery.codes: lp address -> lp of each new code. Older ones are void. */
int verb_recovery_codes(struct store *store, struct job *job)
{
    struct second_factor factor = {.is_confirmed = false};
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c);
    int64_t account;

    (void)store;
    int r = verb_find_account(job, address, &account);
    if (r == 0)
        r = read_factor(job, account, &factor);
    if (r >= 0 && !factor.is_confirmed)
        return job_fail(job, -ENOENT,
                        "%.*s has no second factor; first: hikyaku account totp %.*s enable",
                        STR_ARG(address), STR_ARG(address));
    if (r >= 0)
        r = drop_recovery_codes(job, account);
    for (int i = 0; r == 0 && i < RECOVERY_CODES; i++)
        r = add_recovery_code(job, account);
    return r < 0 ? r : buf_status(&job->reply);
}

/* 1 when the code was one that is now used up; 0; negative errno. */
static int use_recovery_code(struct job *job, int64_t account, struct str code)
{
    uint8_t digest[CODE_TEXT_DIGEST_BYTES];

    recovery_digest(account, code, digest);
    return (int)db_run(job->db,
                       "UPDATE recovery_code SET used = ?3 WHERE account = ?1 AND digest = ?2"
                       " AND used = 0",
                       DB_INT(account), DB_BLOB(str_from_mem(digest, sizeof(digest))),
                       DB_INT(job->now_ms));
}

/* --- asking --- */

static int count_failure(struct job *job, int64_t account, const struct second_factor *f)
{
    bool is_last = f->failures + 1 >= FAILURES_MAX;
    int64_t rows = db_run(job->db,
                          "UPDATE second_factor SET failures = ?2, blocked_until = ?3"
                          " WHERE account = ?1",
                          DB_INT(account), DB_INT(is_last ? 0 : f->failures + 1),
                          DB_INT(is_last ? job->now_ms + BLOCK_MS : 0));

    return rows < 0 ? (int)rows : AUTH_BAD;
}

static int note_code(struct job *job, int64_t account, int64_t step)
{
    int64_t rows = db_run(job->db,
                          "UPDATE second_factor SET failures = 0, last_step = ?2"
                          " WHERE account = ?1",
                          DB_INT(account), DB_INT(step));

    return rows < 0 ? (int)rows : AUTH_OK;
}

/* The verdict on a code, or negative errno. */
static int judge(struct job *job, int64_t account, struct str code)
{
    struct second_factor factor;
    int64_t step;

    int r = read_factor(job, account, &factor);
    if (r <= 0 || !factor.is_confirmed)
        return r < 0 ? r : AUTH_BAD;
    /* A clock that was set back must not lock anybody out for longer than a block lasts. */
    if (factor.blocked_until_ms > job->now_ms && factor.blocked_until_ms <= job->now_ms + BLOCK_MS)
        return AUTH_TOO_MANY;
    if (totp_check(factor.secret, code, job->now_ms / 1000, factor.last_step, &step))
        return note_code(job, account, step);
    r = use_recovery_code(job, account, code);
    if (r > 0)
        return note_code(job, account, factor.last_step);
    return r < 0 ? r : count_failure(job, account, &factor);
}

static int answer_code(struct job *job, int64_t account, struct str code)
{
    int verdict = judge(job, account, code);

    if (verdict < 0)
        return verdict;
    buf_put_u8(&job->reply, (uint8_t)verdict);
    return 0;
}

/* auth.code: see auth_wire.h */
int verb_auth_code(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account = (int64_t)cursor_u64(&c);
    struct str code = cursor_lp(&c);

    (void)store;
    if (cursor_finish(&c) < 0 || code.len > AUTH_CODE_MAX_BYTES)
        return -EBADMSG;
    return answer_code(job, account, code);
}

/* totp.check: lp address, lp code -> as auth.code; whether who asks an administrator for help is
 * who he says. */
int verb_totp_check(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c), code = cursor_lp(&c);
    struct second_factor factor = {.is_confirmed = false};
    int64_t account;

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = verb_find_account(job, address, &account);
    if (r == 0)
        r = read_factor(job, account, &factor);
    if (r < 0)
        return r;
    if (!factor.is_confirmed)
        return job_fail(job, -ENOENT, "%.*s has no second factor", STR_ARG(address));
    if (code.len == 0 || code.len > AUTH_CODE_MAX_BYTES)
        return job_fail(job, -EINVAL, "a code has 1 to %d characters", AUTH_CODE_MAX_BYTES);
    return answer_code(job, account, code);
}
