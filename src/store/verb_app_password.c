/*
 * App passwords: one for each mail program, with a name, for sending or reading or both, revoked
 * one by one. Shown once, when made; kept as a digest and as keys of SCRAM.
 */
#include <errno.h>
#include <sodium.h>

#include "base/utf8.h"
#include "crypt/code_text.h"
#include "store/credential.h"
#include "store/password.h"
#include "store/store.h"
#include "store/verbs.h"

enum { NAME_MAX_BYTES = 100, TEXT_MAX_BYTES = 64 };

/* What is made on a hash thread. */
struct made {
    struct str text; /* as it is shown, and as mail programs hash it for SCRAM */
    struct password_rows rows;
};

int verb_app_password_add_prepare(struct store *store, struct job *job)
{
    struct made *made = arena_alloc(&job->arena, sizeof(*made));
    struct cursor c = job_args(job);
    struct str key, printed, domain;
    struct buf text;

    int r = verb_get_address(job, cursor_lp(&c), &key, &printed, &domain);
    if (r < 0)
        return r;
    job->extra = made;
    buf_init(&text, TEXT_MAX_BYTES);
    code_text_make(&text, CODE_TEXT_APP_CHARS);
    made->text = arena_str(&job->arena, buf_str(&text));
    sodium_memzero(text.ptr, text.cap);
    buf_done(&text);
    return password_make_keys(store, job, key, made->text, &made->rows);
}

static int check_name(struct job *job, struct str name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES || !utf8_is_valid(name))
        return job_fail(job, -EINVAL, "the name of an app password has 1 to %d bytes of UTF-8",
                        NAME_MAX_BYTES);
    return 0;
}

static int check_count(struct job *job, int64_t account, struct str address)
{
    int64_t count = 0;
    int r = db_get_int(job->db, &count, "SELECT COUNT(*) FROM app_password WHERE account = ?1",
                       DB_INT(account));

    if (r >= 0 && count >= AUTH_APP_PASSWORDS_MAX)
        return job_fail(job, -ENOSPC,
                        "%.*s has %d app passwords, which is the limit; remove one first",
                        STR_ARG(address), AUTH_APP_PASSWORDS_MAX);
    return MIN(r, 0);
}

struct request {
    struct str address, name;
    uint8_t scope;
    int64_t expires_ms;
};

static int get_request(struct job *job, struct request *out)
{
    struct cursor c = job_args(job);

    *out = (struct request){.address = cursor_lp(&c)};
    out->name = cursor_lp(&c);
    out->scope = cursor_u8(&c);
    out->expires_ms = (int64_t)cursor_u64(&c);
    bool is_sound =
        cursor_finish(&c) == 0 && out->scope > 0 && out->scope <= AUTH_ALL && out->expires_ms >= 0;
    return is_sound ? check_name(job, out->name) : -EBADMSG;
}

/* app-password.add: lp address, lp name, u8 scope, u64 expires (ms; 0: never) -> u64 id, lp the
 * password */
int verb_app_password_add(struct store *store, struct job *job)
{
    const struct made *made = job->extra;
    uint8_t digest[CODE_TEXT_DIGEST_BYTES];
    struct request q;
    int64_t account = 0;

    int r = get_request(job, &q);
    if (r == 0)
        r = verb_find_account(job, q.address, &account);
    if (r == 0)
        r = check_count(job, account, q.address);
    if (r < 0)
        return r;
    int64_t id = (int64_t)id_make(&store->ids);
    credential_app_digest(account, made->text, digest);
    int64_t rows = db_run(job->db,
                          "INSERT INTO app_password(account, id, name, scope, digest, created,"
                          " used, expires) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)",
                          DB_INT(account), DB_INT(id), DB_TEXT(q.name), DB_INT(q.scope),
                          DB_BLOB(str_from_mem(digest, sizeof(digest))), DB_INT(job->now_ms),
                          DB_INT(q.expires_ms));
    if (rows == -EEXIST)
        return job_fail(job, -EEXIST,
                        "%.*s has an app password named %.*s already; remove it, or "
                        "choose another name",
                        STR_ARG(q.address), STR_ARG(q.name));
    if (rows < 0)
        return (int)rows;
    buf_put_u64(&job->reply, (uint64_t)id);
    buf_put_lp(&job->reply, made->text);
    return password_write_keys(job->db, account, id, &made->rows);
}

/* app-password.list: lp address -> rows, each: u64 id, lp name, u8 scope, u64 created, used,
 * expires */
int verb_app_password_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account;

    (void)store;
    int r = verb_find_account(job, cursor_lp(&c), &account);
    if (r < 0)
        return r;
    job->login_account = 0;
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT id, name, scope, created, used, expires"
                                    " FROM app_password WHERE account = ?1 ORDER BY id",
                                    DB_INT(account));
    while ((r = db_step(stmt)) > 0) {
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 0));
        buf_put_lp(&job->reply, db_column_text(stmt, 1));
        buf_put_u8(&job->reply, (uint8_t)db_column_int(stmt, 2));
        for (int i = 3; i <= 5; i++)
            buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, i));
    }
    return r < 0 ? r : buf_status(&job->reply);
}

/* app-password.remove: lp address, lp name, u64 id (0: by name) -> (nothing) */
int verb_app_password_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c), name = cursor_lp(&c);
    int64_t given = (int64_t)cursor_u64(&c), account, id;

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = verb_find_account(job, address, &account);
    if (r < 0)
        return r;
    /* A name may look like an id: then the name is meant. */
    r = db_get_int(job->db, &id,
                   "SELECT id FROM app_password WHERE account = ?1 AND (name = ?2 OR id = ?3)"
                   " ORDER BY name <> ?2 LIMIT 1",
                   DB_INT(account), DB_TEXT(name), DB_INT(given));
    if (r == 0)
        return job_fail(
            job, -ENOENT,
            "%.*s has no app password %.*s; see: hikyaku account app-password list %.*s",
            STR_ARG(address), STR_ARG(name), STR_ARG(address));
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "DELETE FROM app_password WHERE account = ?1 AND id = ?2",
                          DB_INT(account), DB_INT(id));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM scram WHERE account = ?1 AND app_password = ?2",
                      DB_INT(account), DB_INT(id));
    return rows < 0 ? (int)rows : 0;
}
