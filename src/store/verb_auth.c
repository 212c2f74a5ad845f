/*
 * Logins: whether a password is right, and what a worker needs to check the other mechanisms.
 *
 * Names that do not exist, accounts without a password and disabled ones are answered like a wrong
 * password: by the same bytes, after the same work. What a login should change (an old hash, the
 * last use of an app password) is written afterwards by jobs of the store's own.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "store/auth_desk.h"
#include "store/credential.h"
#include "store/store.h"
#include "store/verbs.h"

enum { USED_EVERY_MS = 3600 * 1000, FAKE_PASSWORD_BYTES = 16 };

/* --- auth.password --- */

struct attempt {
    struct auth_request request;
    struct credential credential;
    struct auth_answer answer;
};

static bool is_for(uint8_t scope, uint8_t service)
{
    return (scope & service) == service;
}

/* 1: the password is an app password, and the answer is given; 0; negative errno. */
static int try_app_password(struct job *job, struct attempt *a)
{
    int64_t account = a->credential.who.account;
    struct app_password app;
    uint8_t digest[32];

    credential_app_digest(account, a->request.password, digest);
    int r = credential_find_app_password(job->db, account, str_from_mem(digest, sizeof(digest)),
                                         job->now_ms, &app);
    if (r <= 0)
        return r;
    a->answer = (struct auth_answer){
        .verdict = AUTH_OK, .scope = app.scope, .app_password = app.id, .who = a->credential.who};
    if (!is_for(app.scope, a->request.service))
        a->answer.verdict = AUTH_NEEDS_APP_PASSWORD;
    else if (job->now_ms - app.used_ms >= USED_EVERY_MS)
        auth_desk_note_use(job, account, app.id);
    job->is_lasting = app.expires_ms == 0;
    return 1;
}

/* The password was right: now is the time to make what can only be made of it. */
static void renew(struct store *store, struct job *job, const struct attempt *a,
                  struct str prepared)
{
    const struct credential *c = &a->credential;
    struct password_rows rows;

    if (c->has_keys && !password_is_outdated(c->secret))
        return;
    if (password_renew(store, job, c->lookup, prepared, &rows) == 0)
        auth_desk_note_renewal(job, c->who.account, c->secret, &rows);
    buf_reset(&job->reply);
}

static void try_own_password(struct store *store, struct job *job, struct attempt *a)
{
    const struct credential *c = &a->credential;
    struct str prepared = password_prepare(job, a->request.password);

    bool is_right = password_matches(store, c->secret, prepared);
    /* Hashes of other systems are of the password as it was typed. It is tried with every kind, and
     * with names that nobody has: else the time would tell of them. */
    if (!is_right && !str_eq(prepared, a->request.password))
        is_right = password_matches(store, c->secret, a->request.password);
    if (!is_right || c->is_disabled)
        return;
    a->answer = (struct auth_answer){.verdict = AUTH_OK, .scope = AUTH_ALL, .who = c->who};
    if (c->has_second_factor)
        a->answer.verdict = AUTH_NEEDS_APP_PASSWORD;
    job->is_lasting = true;
    renew(store, job, a, prepared);
}

/* Whether somebody outside has to say: of accounts without a password here, and of names that
 * nobody has, which must not look different. */
static bool is_elsewhere(const struct store *store, const struct credential *c)
{
    return store->settings->auth_backend != SETTINGS_AUTH_INTERNAL && c->secret.len == 0;
}

/* Of whoever has not logged in nothing is told; but of where to ask, by what name. */
static void hide(struct attempt *a)
{
    a->answer.who = (struct auth_identity){.account = 0};
    a->answer.scope = 0;
    if (a->answer.verdict == AUTH_ELSEWHERE)
        a->answer.who.address = a->credential.lookup;
}

/* auth.password: see auth_wire.h */
int verb_auth_password(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct attempt a = {.answer = {.verdict = AUTH_BAD}};

    if (auth_get_request(&c, &a.request) < 0)
        return -EBADMSG;
    int r = credential_find(job->db, &job->arena, a.request.username, &a.credential);
    if (r == 0 && !a.credential.is_disabled)
        r = try_app_password(job, &a);
    if (r < 0)
        return r;
    if (r == 0 && is_elsewhere(store, &a.credential))
        a.answer.verdict = AUTH_ELSEWHERE;
    else if (r == 0)
        try_own_password(store, job, &a);
    if (a.answer.verdict != AUTH_OK)
        hide(&a);
    auth_put_answer(&job->reply, &a.answer);
    return buf_status(&job->reply);
}

/* --- auth.outside --- */

/* Of somebody who is right outside. */
static void judge_outside(const struct store *store, struct job *job,
                          const struct auth_outside *outside, struct attempt *a)
{
    const struct credential *c = &a->credential;
    bool is_password = outside->kind == AUTH_OUTSIDE_PASSWORD;

    if (c->who.account == 0 || c->is_disabled)
        return;
    /* Meanwhile it may have got one of its own. */
    if (is_password && !is_elsewhere(store, c))
        return;
    a->answer = (struct auth_answer){.verdict = AUTH_OK, .scope = AUTH_ALL, .who = c->who};
    /* Whoever gave the token has asked for all factors that he wants; and the key of a certificate
     * can be neither guessed nor typed into a false page. */
    if (is_password && c->has_second_factor)
        a->answer.verdict = AUTH_NEEDS_APP_PASSWORD;
    job->is_lasting = is_password;
}

/* auth.outside: see auth_wire.h */
int verb_auth_outside(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct attempt a = {.answer = {.verdict = AUTH_BAD}};
    struct auth_outside outside;

    if (auth_get_outside(&c, &outside) < 0)
        return -EBADMSG;
    int r = credential_find(job->db, &job->arena, outside.login.username, &a.credential);
    if (r < 0)
        return r;
    if (outside.outcome == AUTH_OUTSIDE_ASK)
        a.answer.verdict = AUTH_ELSEWHERE;
    else if (outside.outcome == AUTH_OUTSIDE_RIGHT)
        judge_outside(store, job, &outside, &a);
    if (a.answer.verdict != AUTH_OK)
        hide(&a);
    auth_put_answer(&job->reply, &a.answer);
    return buf_status(&job->reply);
}

/* --- auth.scram --- */

static void add_key(struct job *job, const struct credential *who, struct db_stmt *stmt,
                    const struct auth_request *request, struct auth_scram *out,
                    struct auth_scram_key *keys)
{
    struct auth_scram_key *key = &keys[out->count++];

    *key = (struct auth_scram_key){
        .verdict = AUTH_OK,
        .app_password = db_column_int(stmt, 0),
        .stored_key = arena_str(&job->arena, db_column_blob(stmt, 3)),
        .server_key = arena_str(&job->arena, db_column_blob(stmt, 4)),
    };
    key->scope = key->app_password == 0 ? AUTH_ALL : (uint8_t)db_column_int(stmt, 5);
    bool is_refused =
        key->app_password == 0 ? who->has_second_factor : !is_for(key->scope, request->service);
    if (is_refused)
        key->verdict = AUTH_NEEDS_APP_PASSWORD;
    if (db_column_int(stmt, 6) == PASSWORD_NOBODY)
        key->verdict = AUTH_BAD;
}

/* The keys of one salt; should a release have changed the iterations, the most of them count, and
 * older app passwords log in by PLAIN. */
static int read_keys(struct job *job, const struct credential *who, int64_t account,
                     const struct auth_request *request, struct auth_scram *out)
{
    struct auth_scram_key *keys = arena_alloc(&job->arena, AUTH_KEYS_MAX * sizeof(*keys));
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT s.app_password, s.salt, s.iterations, s.stored_key, s.server_key, p.scope,"
                 " s.account FROM scram s LEFT JOIN app_password p ON p.account = s.account"
                 " AND p.id = s.app_password WHERE s.account = ?1 AND s.hash = ?2 AND"
                 " (s.app_password = 0 OR p.expires = 0 OR p.expires > ?3)"
                 " ORDER BY s.iterations DESC, s.app_password",
                 DB_INT(account), DB_INT(request->hash), DB_INT(job->now_ms));
    int r;

    out->keys = keys;
    while ((r = db_step(stmt)) > 0 && out->count < AUTH_KEYS_MAX) {
        if (out->count == 0) {
            out->salt = arena_str(&job->arena, db_column_blob(stmt, 1));
            out->iterations = (uint32_t)db_column_int(stmt, 2);
        }
        if (str_eq(out->salt, db_column_blob(stmt, 1)) &&
            out->iterations == (uint32_t)db_column_int(stmt, 2))
            add_key(job, who, stmt, request, out, keys);
    }
    db_reset(stmt);
    return MIN(r, 0);
}

/* Nobody's keys, with the salt of the name, which is always the same and the one the account would
 * have. No proof fits them, and they are read as real ones are, in the same time. */
static int read_fake(struct job *job, const struct credential *who, struct str salt,
                     const struct auth_request *request, struct auth_scram *out)
{
    *out = (struct auth_scram){.verdict = AUTH_OK};
    int r = read_keys(job, who, PASSWORD_NOBODY, request, out);

    out->salt = salt;
    return r == 0 && out->count == 0 ? -EUCLEAN : r;
}

/* auth.scram: see auth_wire.h */
int verb_auth_scram(struct store *store, struct job *job)
{
    uint8_t salt[SCRAM_SALT_BYTES] = {0};
    struct str own_salt = str_from_mem(salt, sizeof(salt));
    struct cursor c = job_args(job);
    struct auth_scram scram = {.verdict = AUTH_OK};
    struct auth_request request;
    struct credential who;
    int r;

    if (auth_get_request(&c, &request) < 0)
        return -EBADMSG;
    r = credential_find(job->db, &job->arena, request.username, &who);
    if (r < 0)
        return r;
    password_derive(store, "salt", who.lookup, salt, sizeof(salt));
    bool is_real = who.has_any_keys && !who.is_disabled;
    if (is_real)
        r = read_keys(job, &who, who.who.account, &request, &scram);
    /* Also when every app password has expired. */
    if (r == 0 && scram.count == 0)
        r = read_fake(job, &who, own_salt, &request, &scram);
    else
        scram.who = who.who;
    if (r < 0)
        return r;
    auth_put_scram(&job->reply, &scram);
    return buf_status(&job->reply);
}

/* --- auth.cram --- */

static int read_recoverable(const struct store *store, struct job *job, int64_t account,
                            struct str *out_password)
{
    struct db_stmt *stmt = db_query(
        job->db, "SELECT sealed FROM recoverable_password WHERE account = ?1", DB_INT(account));
    int r = db_step(stmt);

    struct str sealed = r > 0 ? arena_str(&job->arena, db_column_blob(stmt, 0)) : STR_NONE;
    db_reset(stmt);
    if (r <= 0)
        return r;
    /* One that cannot be opened is of no use: as if there was none. */
    return password_unseal(store, job, sealed, out_password) == 0;
}

/* auth.cram: see auth_wire.h */
int verb_auth_cram(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct auth_cram cram = {.answer = {.verdict = AUTH_BAD}};
    struct auth_request request;
    struct credential who;

    if (auth_get_request(&c, &request) < 0)
        return -EBADMSG;
    if (!store->settings->auth_cram_md5)
        return job_fail(job, -EPERM, "CRAM-MD5 is off (auth.cram_md5)");
    int r = credential_find(job->db, &job->arena, request.username, &who);
    if (r == 0)
        r = read_recoverable(store, job, who.who.account, &cram.password);
    if (r < 0)
        return r;
    if (r > 0 && !who.is_disabled) {
        cram.answer = (struct auth_answer){.scope = AUTH_ALL, .who = who.who};
        cram.answer.verdict = who.has_second_factor ? AUTH_NEEDS_APP_PASSWORD : AUTH_OK;
    } else {
        char *nobodys = arena_alloc(&job->arena, FAKE_PASSWORD_BYTES);
        randombytes_buf(nobodys, FAKE_PASSWORD_BYTES);
        cram.password = str_from_mem(nobodys, FAKE_PASSWORD_BYTES);
    }
    auth_put_cram(&job->reply, &cram);
    return buf_status(&job->reply);
}

/* --- what a login changes --- */

/* auth.renew: u64 account, lp the secret it replaces, then the rows -> nothing. */
int verb_auth_renew(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account = (int64_t)cursor_u64(&c), one;
    struct str old = cursor_lp(&c);
    struct password_rows rows;

    (void)store;
    if (password_get_rows(&c, &rows) < 0)
        return -EBADMSG;
    /* Unless the password was changed meanwhile. */
    int r = db_get_int(job->db, &one, "SELECT 1 FROM account WHERE id = ?1 AND secret = ?2",
                       DB_INT(account), DB_TEXT(old));
    return r <= 0 ? r : password_write(job->db, account, &rows);
}

/* auth.used: u64 account, u64 app password -> nothing. */
int verb_auth_used(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account = (int64_t)cursor_u64(&c), id = (int64_t)cursor_u64(&c);

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int64_t rows = db_run(job->db,
                          "UPDATE app_password SET used = ?3 WHERE account = ?1 AND id = ?2"
                          " AND used <= ?4",
                          DB_INT(account), DB_INT(id), DB_INT(job->now_ms),
                          DB_INT(job->now_ms - USED_EVERY_MS));
    return rows < 0 ? (int)rows : 0;
}
