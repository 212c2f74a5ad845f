/* Domains and aliases: what the command line changes and shows. */
#include <errno.h>

#include "mail/address.h"
#include "store/credential.h"
#include "store/directory.h"
#include "store/store.h"
#include "store/usage.h"
#include "store/verbs.h"

enum { LIST_PAGE_ROWS = 400 }; /* of at most 1100 bytes or so each: fits into a reply */

/* Reads a domain name argument; fails the job with a reason. */
static int get_domain(struct job *job, struct cursor *c, struct str *out)
{
    struct str text = cursor_lp(c);
    enum address_error e = domain_parse(text, &job->arena, out);

    if (e != ADDRESS_OK)
        return job_fail(job, -EINVAL, "%.*s is not a domain name", STR_ARG(text));
    return 0;
}

int verb_require_domain(struct job *job, struct str domain)
{
    int r = directory_has_domain(job->db, domain);

    if (r == 0)
        return job_fail(job, -ENOENT,
                        "%.*s is not one of this server's domains; add it: hikyaku domain add %.*s",
                        STR_ARG(domain), STR_ARG(domain));
    return r < 0 ? r : 0;
}

int verb_get_address(struct job *job, struct str address, struct str *out_key,
                     struct str *out_printed, struct str *out_domain)
{
    const char *why = NULL;

    int r = directory_key(&job->arena, address, out_key, out_printed, out_domain, &why);
    if (r < 0)
        return job_fail(job, r, "%.*s is not an address: %s", STR_ARG(address), why);
    return 0;
}

int verb_insert_account(struct store *store, struct job *job, const struct new_account *a,
                        int64_t *out_account)
{
    *out_account = (int64_t)id_make(&store->ids);
    int64_t rows = db_run(job->db,
                          "INSERT INTO account(id, address, lookup, domain, secret, created)"
                          " VALUES(?1, ?2, ?3, ?4, '', ?5) ON CONFLICT DO NOTHING",
                          DB_INT(*out_account), DB_TEXT(a->printed), DB_TEXT(a->key),
                          DB_TEXT(a->domain), DB_INT(job->now_ms));
    return (int)rows;
}

/* domain.add: lp name -> (nothing). Brings an account for postmaster (RFC 5321 section 4.5.1). */
int verb_domain_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str name;
    int64_t count = 0, id;

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
    struct new_account account = {.printed = postmaster, .key = postmaster, .domain = name};
    r = verb_insert_account(store, job, &account, &id);
    return r < 0 ? r : 0;
}

/* domain.primary: -> lp name, empty when there is no domain */
int verb_domain_primary(struct store *store, struct job *job)
{
    struct str name;
    int r = credential_primary_domain(job->db, &job->arena, &name);

    (void)store;
    if (r == 0)
        buf_put_lp(&job->reply, name);
    return r;
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
        r = verb_require_domain(job, name);
    struct str catchall = cursor_lp(&c);
    if (r == 0 && catchall.len > 0)
        r = verb_get_address(job, catchall, &key, &printed, &domain);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "UPDATE domain SET catchall = ?2 WHERE name = ?1", DB_TEXT(name),
                          DB_TEXT(printed));
    return rows < 0 ? (int)rows : 0;
}

/* The account that came with a domain. */
static int remove_postmaster(struct job *job, struct str address)
{
    int64_t account;
    int r =
        db_get_int(job->db, &account, "SELECT id FROM account WHERE lookup = ?1", DB_TEXT(address));

    if (r <= 0)
        return r;
    r = credential_forget(job->db, account);
    if (r == 0)
        r = usage_forget_account(job->db, account);
    if (r < 0)
        return r;
    job->login_account = account;
    int64_t rows = db_run(job->db, "DELETE FROM mailbox WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM account WHERE id = ?1", DB_INT(account));
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
        r = verb_require_domain(job, name);
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
    r = remove_postmaster(job, postmaster);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "DELETE FROM alias WHERE domain = ?1", DB_TEXT(name));
    if (rows >= 0)
        rows = db_run(job->db,
                      "DELETE FROM delegation WHERE substr(lookup, -length(?1) - 1) = '@' || ?1",
                      DB_TEXT(name));
    if (rows >= 0)
        rows = db_run(job->db, "DELETE FROM domain WHERE name = ?1", DB_TEXT(name));
    return rows < 0 ? (int)rows : 0;
}

/* alias.add: lp address, u32 n, n * lp target -> (nothing) */
int verb_alias_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str key, printed, domain;

    (void)store;
    int r = verb_get_address(job, cursor_lp(&c), &key, &printed, &domain);
    if (r == 0)
        r = verb_require_domain(job, domain);
    uint32_t count = cursor_u32(&c);
    if (r == 0 && (count == 0 || count > DIRECTORY_TARGETS_MAX))
        return job_fail(job, -EINVAL, "an alias has 1 to %d targets", DIRECTORY_TARGETS_MAX);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        struct str target_key, target, target_domain;
        r = verb_get_address(job, cursor_lp(&c), &target_key, &target, &target_domain);
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
    int r = verb_get_address(job, cursor_lp(&c), &key, &printed, &domain);
    struct str given = cursor_lp(&c);
    if (r == 0 && given.len > 0)
        r = verb_get_address(job, given, &target_key, &target, &domain);
    if (r < 0)
        return r;
    int64_t rows = given.len > 0
                       ? db_run(job->db, "DELETE FROM alias WHERE lookup = ?1 AND target = ?2",
                                DB_TEXT(key), DB_TEXT(target))
                       : db_run(job->db, "DELETE FROM alias WHERE lookup = ?1", DB_TEXT(key));
    if (rows == 0)
        return job_fail(job, -ENOENT, "there is no such alias");
    return rows < 0 ? (int)rows : credential_forget_address(job->db, key);
}
