/* Domains, accounts and aliases: what the command line changes and shows. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "mail/address.h"
#include "store/directory.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    PASSWORD_MIN_BYTES = 8,
    PASSWORD_MAX_BYTES = 1024,
    LIST_PAGE_ROWS = 400, /* of at most 1100 bytes or so each: fits into a reply */
};
/* argon2id: 2 passes over 19 MiB, about 15 ms (OWASP's first recommendation). */
static const unsigned long long password_ops = 2;
static const size_t password_memory_bytes = 19 * 1024 * 1024;

/* Reads a domain name argument; fails the job with a reason. */
static int get_domain(struct job *job, struct cursor *c, struct str *out)
{
    struct str text = cursor_lp(c);
    enum address_error e = domain_parse(text, &job->arena, out);

    if (e != ADDRESS_OK)
        return job_fail(job, -EINVAL, "%.*s is not a domain name", STR_ARG(text));
    return 0;
}

static int require_domain(struct job *job, struct str domain)
{
    int r = directory_has_domain(job->db, domain);

    if (r == 0)
        return job_fail(job, -ENOENT,
                        "%.*s is not one of this server's domains; add it: hikyaku domain add %.*s",
                        STR_ARG(domain), STR_ARG(domain));
    return r < 0 ? r : 0;
}

static int get_key(struct job *job, struct str address, struct str *out_key,
                   struct str *out_printed, struct str *out_domain)
{
    const char *why = NULL;

    int r = directory_key(&job->arena, address, out_key, out_printed, out_domain, &why);
    if (r < 0)
        return job_fail(job, r, "%.*s is not an address: %s", STR_ARG(address), why);
    return 0;
}

struct new_account {
    struct str printed, key, domain, secret;
};

/* 1; 0 when the address is taken; negative errno. */
static int insert_account(struct store *store, struct job *job, const struct new_account *a)
{
    int64_t rows = db_run(job->db,
                          "INSERT INTO account(id, address, lookup, domain, secret, created)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                          DB_INT(id_make(&store->ids)), DB_TEXT(a->printed), DB_TEXT(a->key),
                          DB_TEXT(a->domain), DB_TEXT(a->secret), DB_INT(job->now_ms));
    return (int)rows;
}

/* domain.add: lp name -> (nothing). Brings an account for postmaster (RFC 5321 section 4.5.1). */
int verb_domain_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str name;
    int64_t count = 0;

    int r = get_domain(job, &c, &name);
    if (r == 0)
        r = db_get_int(job->db, &count, "SELECT COUNT(*) FROM domain");
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db,
                          "INSERT INTO domain(name, catchall, is_primary, created)"
                          " VALUES(?1, '', ?2, ?3)",
                          DB_TEXT(name), DB_INT(count == 0), DB_INT(job->now_ms));
    if (rows == -EEXIST)
        return job_fail(job, -EEXIST, "the domain %.*s exists already", STR_ARG(name));
    if (rows < 0)
        return (int)rows;
    struct str postmaster = str_from_c(arena_printf(&job->arena, "postmaster@%.*s", STR_ARG(name)));
    struct new_account account = {
        .printed = postmaster, .key = postmaster, .domain = name, .secret = STR("")};
    r = insert_account(store, job, &account);
    return r < 0 ? r : 0;
}

/* Lists come in pages: each request names the last key it has seen (empty: from the start), and an
 * empty page is the end. */

/* domain.list: lp after name -> lp name, lp catchall, u8 primary, u64 created, accounts, aliases
 * ... */
int verb_domain_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT name, catchall, is_primary, created,"
                 " (SELECT COUNT(*) FROM account a WHERE a.domain = domain.name),"
                 " (SELECT COUNT(DISTINCT lookup) FROM alias l WHERE l.domain = domain.name)"
                 " FROM domain WHERE name > ?1 ORDER BY name LIMIT ?2",
                 DB_TEXT(cursor_lp(&c)), DB_INT(LIST_PAGE_ROWS));
    int r;

    (void)store;
    while ((r = db_step(stmt)) > 0) {
        buf_put_lp(&job->reply, db_column_text(stmt, 0));
        buf_put_lp(&job->reply, db_column_text(stmt, 1));
        buf_put_u8(&job->reply, (uint8_t)db_column_int(stmt, 2));
        for (int i = 3; i <= 5; i++)
            buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, i));
    }
    return r < 0 ? r : buf_status(&job->reply);
}

/* domain.set: lp name, lp catchall (empty: none) -> (nothing) */
int verb_domain_set(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str name, key, printed = STR(""), domain;

    (void)store;
    int r = get_domain(job, &c, &name);
    if (r == 0)
        r = require_domain(job, name);
    struct str catchall = cursor_lp(&c);
    if (r == 0 && catchall.len > 0)
        r = get_key(job, catchall, &key, &printed, &domain);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "UPDATE domain SET catchall = ?2 WHERE name = ?1", DB_TEXT(name),
                          DB_TEXT(printed));
    return rows < 0 ? (int)rows : 0;
}

/* domain.remove: lp name -> (nothing). Refused while somebody has letters there. */
int verb_domain_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str name;
    int64_t count = 0;

    (void)store;
    int r = get_domain(job, &c, &name);
    if (r == 0)
        r = require_domain(job, name);
    if (r < 0)
        return r;
    struct str postmaster = str_from_c(arena_printf(&job->arena, "postmaster@%.*s", STR_ARG(name)));
    /* The postmaster that came with the domain goes with it, unless letters lie there. */
    r = db_get_int(job->db, &count,
                   "SELECT COUNT(*) FROM account a WHERE a.domain = ?1 AND NOT"
                   " (a.lookup = ?2 AND a.secret = '' AND NOT EXISTS"
                   " (SELECT 1 FROM mailbox m WHERE m.account = a.id AND m.messages > 0))",
                   DB_TEXT(name), DB_TEXT(postmaster));
    if (r < 0)
        return r;
    if (count > 0)
        return job_fail(job, -EBUSY, "%.*s still has %lld accounts; remove them first",
                        STR_ARG(name), (long long)count);
    int64_t rows = db_run(job->db,
                          "DELETE FROM mailbox WHERE account IN (SELECT id FROM account WHERE"
                          " lookup = ?1)",
                          DB_TEXT(postmaster));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM account WHERE lookup = ?1", DB_TEXT(postmaster));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM alias WHERE domain = ?1", DB_TEXT(name));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM domain WHERE name = ?1", DB_TEXT(name));
    return rows < 0 ? (int)rows : 0;
}

/* Hashes the password into job->extra (a NUL-terminated text in the arena). On a reader thread. */
static int hash_password(struct job *job, struct str password)
{
    char *hash = arena_alloc(&job->arena, crypto_pwhash_STRBYTES);

    if (password.len < PASSWORD_MIN_BYTES || password.len > PASSWORD_MAX_BYTES)
        return job_fail(job, -EINVAL, "a password has %d to %d bytes", PASSWORD_MIN_BYTES,
                        PASSWORD_MAX_BYTES);
    if (crypto_pwhash_str_alg(hash, password.ptr, password.len, password_ops, password_memory_bytes,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return job_fail(job, -ENOMEM, "there is not enough memory to hash the password");
    job->extra = hash;
    return 0;
}

/* account.add: lp address, u8 has password, lp password -> (nothing) */
int verb_account_add_prepare(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);

    (void)store;
    (void)cursor_lp(&c);
    bool has_password = cursor_u8(&c) != 0;
    struct str password = cursor_lp(&c);
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    return has_password ? hash_password(job, password) : 0;
}

int verb_account_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key, printed, domain;
    int64_t one;

    int r = get_key(job, cursor_lp(&c), &key, &printed, &domain);
    if (r == 0)
        r = require_domain(job, domain);
    if (r < 0)
        return r;
    r = db_get_int(job->db, &one, "SELECT 1 FROM alias WHERE lookup = ?1", DB_TEXT(key));
    if (r > 0)
        return job_fail(job, -EEXIST,
                        "%.*s is an alias; remove it first: hikyaku alias remove %.*s",
                        STR_ARG(printed), STR_ARG(printed));
    struct new_account account = {
        .printed = printed, .key = key, .domain = domain, .secret = str_from_c(job->extra)};
    if (r == 0)
        r = insert_account(store, job, &account);
    if (r == 0)
        return job_fail(job, -EEXIST, "the account %.*s exists already", STR_ARG(printed));
    return r < 0 ? r : 0;
}

/* account.list: lp after key -> lp address, u8 has password, u64 created, messages, bytes, lp key
 */
int verb_account_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT a.address, a.secret <> '', a.created, COALESCE(SUM(m.messages), 0),"
                 " COALESCE(SUM(m.bytes), 0), a.lookup FROM account a LEFT JOIN mailbox m"
                 " ON m.account = a.id WHERE a.lookup > ?1"
                 " GROUP BY a.id, a.address, a.secret, a.created, a.lookup ORDER BY a.lookup"
                 " LIMIT ?2",
                 DB_TEXT(cursor_lp(&c)), DB_INT(LIST_PAGE_ROWS));
    int r;

    (void)store;
    while ((r = db_step(stmt)) > 0) {
        buf_put_lp(&job->reply, db_column_text(stmt, 0));
        buf_put_u8(&job->reply, (uint8_t)db_column_int(stmt, 1));
        for (int i = 2; i <= 4; i++)
            buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, i));
        buf_put_lp(&job->reply, db_column_text(stmt, 5));
    }
    return r < 0 ? r : buf_status(&job->reply);
}

/* account.password: lp address, lp password -> (nothing) */
int verb_account_password_prepare(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);

    (void)store;
    (void)cursor_lp(&c);
    struct str password = cursor_lp(&c);
    return cursor_finish(&c) < 0 ? -EBADMSG : hash_password(job, password);
}

int verb_account_password(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key, printed, domain;

    (void)store;
    int r = get_key(job, cursor_lp(&c), &key, &printed, &domain);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "UPDATE account SET secret = ?2 WHERE lookup = ?1", DB_TEXT(key),
                          DB_TEXT(str_from_c(job->extra)));
    if (rows == 0)
        return job_fail(job, -ENOENT, "there is no account %.*s", STR_ARG(printed));
    return rows < 0 ? (int)rows : 0;
}

/* account.language: lp address, lp language ("", "en", "ja") -> nothing */
int verb_account_language(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key, printed, domain;

    (void)store;
    int r = get_key(job, cursor_lp(&c), &key, &printed, &domain);
    struct str language = cursor_lp(&c);
    if (r < 0)
        return r;
    if (language.len > 0 && !str_eq_c(language, "en") && !str_eq_c(language, "ja"))
        return job_fail(job, -EINVAL, "the language is en or ja, or empty for both");
    int64_t rows = db_run(job->db, "UPDATE account SET language = ?2 WHERE lookup = ?1",
                          DB_TEXT(key), DB_TEXT(language));
    if (rows == 0)
        return job_fail(job, -ENOENT, "there is no account %.*s", STR_ARG(printed));
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

/* account.remove: lp address, u8 even with mail -> (nothing) */
int verb_account_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key, printed, domain;
    int64_t account, messages = 0;

    (void)store;
    int r = get_key(job, cursor_lp(&c), &key, &printed, &domain);
    bool even_with_mail = cursor_u8(&c) != 0;
    if (r < 0)
        return r;
    r = db_get_int(job->db, &account, "SELECT id FROM account WHERE lookup = ?1", DB_TEXT(key));
    if (r == 0)
        return job_fail(job, -ENOENT, "there is no account %.*s", STR_ARG(printed));
    if (r > 0)
        r = db_get_int(job->db, &messages,
                       "SELECT COALESCE(SUM(messages), 0) FROM mailbox WHERE account = ?1",
                       DB_INT(account));
    if (r < 0)
        return r;
    if (messages > 0 && !even_with_mail)
        return job_fail(job, -EBUSY,
                        "%.*s holds %lld messages; to remove them for good, add --with-mail",
                        STR_ARG(printed), (long long)messages);
    r = unref_bodies(job, account,
                     "SELECT mailbox, uid, body FROM message WHERE mailbox IN"
                     " (SELECT id FROM mailbox WHERE account = ?1) LIMIT 1");
    if (r == 0)
        r = unref_bodies(job, account,
                         "SELECT mailbox, uid, body FROM expunged WHERE body <> 0 AND mailbox IN"
                         " (SELECT id FROM mailbox WHERE account = ?1) LIMIT 1");
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db,
                          "DELETE FROM expunged WHERE mailbox IN"
                          " (SELECT id FROM mailbox WHERE account = ?1)",
                          DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM mailbox WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM usage WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM correspondent WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM account WHERE id = ?1", DB_INT(account));
    return rows < 0 ? (int)rows : 0;
}

/* alias.add: lp address, u32 n, n * lp target -> (nothing) */
int verb_alias_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key, printed, domain;

    (void)store;
    int r = get_key(job, cursor_lp(&c), &key, &printed, &domain);
    if (r == 0)
        r = require_domain(job, domain);
    uint32_t count = cursor_u32(&c);
    if (r == 0 && (count == 0 || count > DIRECTORY_TARGETS_MAX))
        return job_fail(job, -EINVAL, "an alias has 1 to %d targets", DIRECTORY_TARGETS_MAX);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        struct str target_key, target, target_domain;
        r = get_key(job, cursor_lp(&c), &target_key, &target, &target_domain);
        if (r < 0)
            return r;
        int64_t rows = db_run(job->db,
                              "INSERT INTO alias(lookup, target, address, domain, created)"
                              " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                              DB_TEXT(key), DB_TEXT(target), DB_TEXT(printed), DB_TEXT(domain),
                              DB_INT(job->now_ms));
        r = rows < 0 ? (int)rows : 0;
    }
    return r;
}

/* alias.list: lp after key, lp after target -> lp address, lp target, lp key ... */
int verb_alias_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key = cursor_lp(&c), target = cursor_lp(&c);
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT address, target, lookup FROM alias WHERE lookup > ?1 OR (lookup = ?1 AND"
                 " target > ?2) ORDER BY lookup, target LIMIT ?3",
                 DB_TEXT(key), DB_TEXT(target), DB_INT(LIST_PAGE_ROWS));
    int r;

    (void)store;
    while ((r = db_step(stmt)) > 0) {
        for (int i = 0; i <= 2; i++)
            buf_put_lp(&job->reply, db_column_text(stmt, i));
    }
    return r < 0 ? r : buf_status(&job->reply);
}

/* alias.remove: lp address, lp target (empty: all of them) -> (nothing) */
int verb_alias_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key, printed, domain, target_key, target;

    (void)store;
    int r = get_key(job, cursor_lp(&c), &key, &printed, &domain);
    struct str given = cursor_lp(&c);
    if (r == 0 && given.len > 0)
        r = get_key(job, given, &target_key, &target, &domain);
    if (r < 0)
        return r;
    int64_t rows = given.len > 0
                       ? db_run(job->db, "DELETE FROM alias WHERE lookup = ?1 AND target = ?2",
                                DB_TEXT(key), DB_TEXT(target))
                       : db_run(job->db, "DELETE FROM alias WHERE lookup = ?1", DB_TEXT(key));
    if (rows == 0)
        return job_fail(job, -ENOENT, "there is no such alias");
    return rows < 0 ? (int)rows : 0;
}
