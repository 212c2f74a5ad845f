/* What is kept of a password: see password.h. */
#include "store/password.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "crypt/foreign_hash.h"
#include "crypt/saslprep.h"
#include "crypt/start.h"
#include "store/store.h"

/* argon2id: 2 passes over 19 MiB, about 15 ms (OWASP's first recommendation). */
static const unsigned long long argon2_ops = 2;
static const size_t argon2_memory_bytes = 19 * 1024 * 1024;

enum { STEP_MAX_MS = 10 * 1000 };

static const char native_prefix[] = "$argon2id$";

/* --- hashes of other systems --- */

static bool is_native(struct str secret)
{
    char text[crypto_pwhash_STRBYTES];

    /* With parameters like ours it is one of ours, wherever it was made. */
    return str_has_prefix(secret, str_from_c(native_prefix)) &&
           str_copy(secret, text, sizeof(text)) &&
           crypto_pwhash_str_needs_rehash(text, argon2_ops, argon2_memory_bytes) == 0;
}

/* From any thread. */
static void widen_step(struct store *store, int64_t ms)
{
    int64_t now = store->wrong_step_ms;

    while (now < ms && !atomic_compare_exchange_weak(&store->wrong_step_ms, &now, ms))
        ;
}

/* With room for a machine that is busy. */
static bool verify_foreign(struct store *store, struct str secret, struct str password)
{
    int64_t began_ms = clock_mono_ms();
    bool is_right = foreign_hash_verify(secret, password) == 1;

    widen_step(store, MIN((clock_mono_ms() - began_ms) * 5 / 4, (int64_t)STEP_MAX_MS));
    return is_right;
}

static int look_for_foreign(struct store *store, struct db *db)
{
    int64_t one;
    int r = db_get_int(db, &one,
                       "SELECT EXISTS (SELECT 1 FROM account WHERE secret <> ''"
                       " AND secret NOT GLOB ?1)",
                       DB_TEXT(STR("$argon2id$*")));

    if (r > 0 && one != 0)
        widen_step(store, PASSWORD_STEP_MS);
    return MIN(r, 0);
}

/* --- the secret of this store --- */

_Static_assert((int)PASSWORD_DUMMY_BYTES == (int)crypto_pwhash_STRBYTES, "a hash must fit");

static int insert_login_secret(struct db *db, uint8_t *out_secret)
{
    randombytes_buf(out_secret, PASSWORD_LOGIN_SECRET_BYTES);
    int64_t rows = db_run(db, "INSERT INTO server_secret(name, value) VALUES('login', ?1)",
                          DB_BLOB(str_from_mem(out_secret, PASSWORD_LOGIN_SECRET_BYTES)));
    return rows < 0 ? (int)rows : 0;
}

/* Rows of scram that are read for names that do not exist. */
static int insert_nobodys_keys(struct db *db)
{
    struct password_rows rows = {.has_keys = true};
    int64_t one;
    int r = db_get_int(db, &one, "SELECT 1 FROM scram WHERE account = ?1 AND iterations = ?2",
                       DB_INT(PASSWORD_NOBODY), DB_INT(PASSWORD_SCRAM_ITERATIONS));

    if (r != 0)
        return MIN(r, 0);
    for (int hash = 0; hash < PASSWORD_SCRAM_HASHES; hash++) {
        struct scram_keys *k = &rows.keys[hash];
        *k = (struct scram_keys){.hash = (enum scram_hash)hash,
                                 .iterations = PASSWORD_SCRAM_ITERATIONS,
                                 .salt_bytes = SCRAM_SALT_BYTES,
                                 .key_bytes = scram_hash_bytes((enum scram_hash)hash)};
        randombytes_buf(k->stored_key, k->key_bytes);
        randombytes_buf(k->server_key, k->key_bytes);
    }
    return password_write_keys(db, PASSWORD_NOBODY, 0, &rows);
}

static int load_login_secret(struct db *db, uint8_t *out_secret)
{
    struct db_stmt *stmt = db_query(db, "SELECT value FROM server_secret WHERE name = 'login'");
    int r = db_step(stmt);

    struct str value = r > 0 ? db_column_blob(stmt, 0) : STR_NONE;
    bool is_whole = value.len == PASSWORD_LOGIN_SECRET_BYTES;
    if (is_whole)
        memcpy(out_secret, value.ptr, value.len);
    db_reset(stmt);
    if (r == 0)
        return insert_login_secret(db, out_secret);
    return r < 0 ? r : is_whole ? 0 : -EUCLEAN;
}

int password_start(struct store *store, struct db *db)
{
    char nobodys[PASSWORD_LOGIN_SECRET_BYTES];

    crypt_start();
    randombytes_buf(nobodys, sizeof(nobodys));
    if (crypto_pwhash_str_alg(store->dummy_secret, nobodys, sizeof(nobodys), argon2_ops,
                              argon2_memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return -ENOMEM;
    int r = load_login_secret(db, store->login_secret);
    if (r == 0)
        r = insert_nobodys_keys(db);
    return r < 0 ? r : look_for_foreign(store, db);
}

void password_derive(const struct store *store, const char *purpose, struct str name, uint8_t *out,
                     size_t bytes)
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, store->login_secret, PASSWORD_LOGIN_SECRET_BYTES, bytes);
    (void)crypto_generichash_update(&state, (const uint8_t *)purpose, strlen(purpose) + 1);
    (void)crypto_generichash_update(&state, (const uint8_t *)name.ptr, name.len);
    (void)crypto_generichash_final(&state, out, bytes);
    sodium_memzero(&state, sizeof(state));
}

/* --- sealing --- */

static void seal_key(const struct store *store, uint8_t out[crypto_secretbox_KEYBYTES])
{
    password_derive(store, "recoverable password", STR(""), out, crypto_secretbox_KEYBYTES);
}

static struct str seal(const struct store *store, struct job *job, struct str password)
{
    size_t bytes = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + password.len;
    uint8_t *sealed = arena_alloc(&job->arena, bytes), key[crypto_secretbox_KEYBYTES];

    seal_key(store, key);
    randombytes_buf(sealed, crypto_secretbox_NONCEBYTES);
    (void)crypto_secretbox_easy(&sealed[crypto_secretbox_NONCEBYTES], (const uint8_t *)password.ptr,
                                password.len, sealed, key);
    sodium_memzero(key, sizeof(key));
    return str_from_mem(sealed, bytes);
}

int password_unseal(const struct store *store, struct job *job, struct str sealed,
                    struct str *out_password)
{
    struct str nonce = str_sub(sealed, 0, crypto_secretbox_NONCEBYTES);
    struct str box = str_sub(sealed, crypto_secretbox_NONCEBYTES, sealed.len);
    uint8_t key[crypto_secretbox_KEYBYTES];

    if (nonce.len < crypto_secretbox_NONCEBYTES || box.len < crypto_secretbox_MACBYTES)
        return -EBADMSG;
    size_t bytes = box.len - crypto_secretbox_MACBYTES;
    uint8_t *password = arena_alloc(&job->arena, bytes + 1);
    seal_key(store, key);
    int r = crypto_secretbox_open_easy(password, (const uint8_t *)box.ptr, box.len,
                                       (const uint8_t *)nonce.ptr, key);
    sodium_memzero(key, sizeof(key));
    *out_password = str_from_mem(password, bytes);
    return r == 0 ? 0 : -EBADMSG;
}

/* --- making --- */

static int try_prepare(struct job *job, struct str password, struct str *out)
{
    struct buf prepared;

    buf_init(&prepared, SASLPREP_OUT_MAX_BYTES);
    int r = saslprep(password, SASLPREP_QUERY, &prepared);
    *out = r == 0 ? arena_str(&job->arena, buf_str(&prepared)) : password;
    if (prepared.ptr != NULL)
        sodium_memzero(prepared.ptr, prepared.cap);
    buf_done(&prepared);
    return r;
}

struct str password_prepare(struct job *job, struct str password)
{
    struct str prepared;

    (void)!try_prepare(job, password, &prepared);
    return prepared;
}

int password_make_keys(const struct store *store, struct job *job, struct str lookup,
                       struct str password, struct password_rows *out)
{
    uint8_t salt[SCRAM_SALT_BYTES];

    password_derive(store, "salt", lookup, salt, sizeof(salt));
    for (int hash = 0; hash < PASSWORD_SCRAM_HASHES; hash++) {
        int r = scram_keys_derive((enum scram_hash)hash, password, str_from_mem(salt, sizeof(salt)),
                                  PASSWORD_SCRAM_ITERATIONS, &out->keys[hash]);
        if (r < 0)
            return job_fail(job, r, "no login keys can be made of this password");
    }
    out->has_keys = true;
    return 0;
}

/* Of `prepared`, whatever it is. */
static int make_rows(struct store *store, struct job *job, struct str lookup, struct str prepared,
                     struct password_rows *out)
{
    char *hash = arena_alloc(&job->arena, crypto_pwhash_STRBYTES);

    *out = (struct password_rows){0};
    if (crypto_pwhash_str_alg(hash, prepared.ptr, prepared.len, argon2_ops, argon2_memory_bytes,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return job_fail(job, -ENOMEM, "there is not enough memory to hash the password");
    out->secret = str_from_c(hash);
    if (store->settings->auth_cram_md5)
        out->sealed = seal(store, job, prepared);
    return password_make_keys(store, job, lookup, prepared, out);
}

int password_make(struct store *store, struct job *job, struct str lookup, struct str password,
                  struct password_rows *out)
{
    struct str prepared;

    if (password.len < PASSWORD_MIN_BYTES || password.len > PASSWORD_MAX_BYTES)
        return job_fail(job, -EINVAL, "a password has %d to %d bytes", PASSWORD_MIN_BYTES,
                        PASSWORD_MAX_BYTES);
    if (try_prepare(job, password, &prepared) < 0)
        return job_fail(job, -EINVAL,
                        "the password must be UTF-8 without control characters, in one direction "
                        "of writing");
    return make_rows(store, job, lookup, prepared, out);
}

int password_renew(struct store *store, struct job *job, struct str lookup, struct str password,
                   struct password_rows *out)
{
    return make_rows(store, job, lookup, password_prepare(job, password), out);
}

int password_import(struct store *store, struct job *job, struct str hash,
                    struct password_rows *out)
{
    const char *why;

    *out = (struct password_rows){.secret = hash};
    if (foreign_hash_check(hash, &why) < 0)
        return job_fail(job, -EINVAL, "this is %s", why);
    if (!is_native(hash))
        widen_step(store, PASSWORD_STEP_MS);
    return 0;
}

/* --- verifying --- */

bool password_is_outdated(struct str secret)
{
    return !is_native(secret);
}

static bool verify_native(const char *secret, struct str password)
{
    return crypto_pwhash_str_verify(secret, password.ptr, password.len) == 0;
}

bool password_matches(struct store *store, struct str secret, struct str password)
{
    char text[crypto_pwhash_STRBYTES];

    if (is_native(secret) && str_copy(secret, text, sizeof(text)))
        return verify_native(text, password);
    if (secret.len > 0 && verify_foreign(store, secret, password))
        return true;
    (void)!verify_native(store->dummy_secret, password);
    return false;
}

/* --- rows --- */

int password_write_keys(struct db *db, int64_t account, int64_t app_password,
                        const struct password_rows *rows)
{
    int64_t n = db_run(db, "DELETE FROM scram WHERE account = ?1 AND app_password = ?2",
                       DB_INT(account), DB_INT(app_password));

    for (int hash = 0; n >= 0 && rows->has_keys && hash < PASSWORD_SCRAM_HASHES; hash++) {
        const struct scram_keys *k = &rows->keys[hash];
        n = db_run(db,
                   "INSERT INTO scram(account, app_password, hash, salt, iterations, stored_key,"
                   " server_key) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   DB_INT(account), DB_INT(app_password), DB_INT(hash),
                   DB_BLOB(str_from_mem(k->salt, k->salt_bytes)), DB_INT(k->iterations),
                   DB_BLOB(str_from_mem(k->stored_key, k->key_bytes)),
                   DB_BLOB(str_from_mem(k->server_key, k->key_bytes)));
    }
    return n < 0 ? (int)n : 0;
}

int password_write(struct db *db, int64_t account, const struct password_rows *rows)
{
    int64_t n = db_run(db, "UPDATE account SET secret = ?2 WHERE id = ?1", DB_INT(account),
                       DB_TEXT(rows->secret));

    if (n >= 0)
        n = db_run(db, "DELETE FROM recoverable_password WHERE account = ?1", DB_INT(account));
    if (n >= 0 && rows->sealed.len > 0)
        n = db_run(db, "INSERT INTO recoverable_password(account, sealed) VALUES(?1, ?2)",
                   DB_INT(account), DB_BLOB(rows->sealed));
    return n < 0 ? (int)n : password_write_keys(db, account, 0, rows);
}

void password_put_rows(struct buf *out, const struct password_rows *rows)
{
    buf_put_lp(out, rows->secret);
    buf_put_lp(out, rows->sealed);
    buf_put_u8(out, rows->has_keys);
    buf_put(out, rows->keys, sizeof(rows->keys));
}

int password_get_rows(struct cursor *c, struct password_rows *out)
{
    *out = (struct password_rows){.secret = cursor_lp(c)};
    out->sealed = cursor_lp(c);
    out->has_keys = cursor_u8(c) != 0;
    struct str keys = cursor_take(c, sizeof(out->keys));
    if (cursor_status(c) == 0)
        memcpy(out->keys, keys.ptr, keys.len);
    return cursor_finish(c);
}
