/*
 * Which addresses an account may send as: its own, also with a detail; aliases that lead to it,
 * alone or among others; addresses that were delegated to it. The catch-all of a domain makes
 * nobody the owner of all its addresses.
 */
#include <errno.h>
#include <string.h>

#include "mail/address.h"
#include "store/auth_wire.h"
#include "store/directory.h"
#include "store/store.h"
#include "store/verbs.h"

enum { DELEGATIONS_MAX = 100 };

/* What is looked at: the address, or the address without its detail. */
struct candidate {
    struct str local, domain, lookup;
};

/* 1 when the key is the account's own or delegated to it; 0; negative errno. */
static int is_own(struct job *job, int64_t account, struct str lookup)
{
    int64_t one;

    return db_get_int(job->db, &one,
                      "SELECT 1 FROM account WHERE id = ?1 AND lookup = ?2"
                      " UNION ALL SELECT 1 FROM delegation WHERE account = ?1 AND lookup = ?2",
                      DB_INT(account), DB_TEXT(lookup));
}

/* 1 when the key is an alias that leads to the account; 0; negative errno. */
static int leads_to(struct store *store, struct job *job, int64_t account,
                    const struct candidate *at)
{
    struct directory_result result;
    struct arena arena;
    int64_t one;

    int r = db_get_int(job->db, &one, "SELECT 1 FROM alias WHERE lookup = ?1 LIMIT 1",
                       DB_TEXT(at->lookup));
    if (r <= 0)
        return r;
    arena_init(&arena, DIRECTORY_ARENA_BYTES);
    r = directory_resolve(job->db, &arena, at->local, at->domain,
                          store->settings->smtp_recipient_separators, NULL, &result);
    bool is_found = false;
    for (size_t i = 0; r == 0 && i < result.count; i++)
        is_found |= result.targets[i].account == account;
    arena_done(&arena);
    return r < 0 ? r : is_found;
}

static int try_candidate(struct store *store, struct job *job, int64_t account,
                         const struct candidate *at)
{
    int r = is_own(job, account, at->lookup);

    return r != 0 ? r : leads_to(store, job, account, at);
}

static struct str make_lookup(struct job *job, struct str local, struct str domain)
{
    struct str folded = address_fold_local(local, &job->arena);

    return str_from_c(arena_printf(&job->arena, "%.*s@%.*s", STR_ARG(folded), STR_ARG(domain)));
}

/* Whether it is an account's address or an alias. 1, 0 or negative errno. */
static int is_somebodys(struct job *job, struct str lookup)
{
    int64_t one;
    int r = db_get_int(job->db, &one, "SELECT 1 FROM account WHERE lookup = ?1", DB_TEXT(lookup));

    if (r == 0)
        r = db_get_int(job->db, &one, "SELECT 1 FROM alias WHERE lookup = ?1 LIMIT 1",
                       DB_TEXT(lookup));
    return r;
}

static int may_send_as(struct store *store, struct job *job, int64_t account, struct str text)
{
    struct str separators = str_from_c(store->settings->smtp_recipient_separators), detail;
    struct candidate at;
    struct address a;

    if (address_parse(text, ADDRESS_MAY_BE_UTF8, &job->arena, &a) != ADDRESS_OK)
        return 0;
    at = (struct candidate){.local = a.local, .domain = a.domain};
    at.lookup = make_lookup(job, at.local, at.domain);
    int r = try_candidate(store, job, account, &at);
    if (r != 0 || !address_split_detail(a.local, separators, &at.local, &detail))
        return r;
    /* One that somebody has as a whole is no detail of another: mail for it goes there, too. */
    r = is_somebodys(job, at.lookup);
    if (r != 0)
        return MIN(r, 0);
    at.lookup = make_lookup(job, at.local, at.domain);
    return try_candidate(store, job, account, &at);
}

/* --- what a refusal names --- */

static void add_sender(struct job *job, struct auth_senders *s, struct str address)
{
    for (size_t i = 0; i < s->count; i++) {
        if (str_eq(s->addresses[i], address))
            return;
    }
    if (s->count < AUTH_SENDERS_MAX)
        s->addresses[s->count++] = arena_str(&job->arena, address);
}

static int add_senders(struct job *job, struct auth_senders *s, struct db_stmt *stmt)
{
    int r;

    while ((r = db_step(stmt)) > 0)
        add_sender(job, s, db_column_text(stmt, 0));
    return MIN(r, 0);
}

/* Its own address, the aliases that lead there, what is delegated. Aliases of aliases come after
 * the aliases they lead through: the list grows while it is walked. */
static int list_senders(struct job *job, int64_t account, struct auth_senders *s)
{
    int r = add_senders(
        job, s, db_query(job->db, "SELECT address FROM account WHERE id = ?1", DB_INT(account)));

    for (size_t i = 0; r == 0 && i < s->count; i++)
        r = add_senders(job, s,
                        db_query(job->db,
                                 "SELECT DISTINCT address FROM alias WHERE LOWER(target) ="
                                 " LOWER(?1) ORDER BY address LIMIT ?2",
                                 DB_TEXT(s->addresses[i]), DB_INT(AUTH_SENDERS_MAX)));
    if (r == 0)
        r = add_senders(job, s,
                        db_query(job->db,
                                 "SELECT address FROM delegation WHERE account = ?1"
                                 " ORDER BY lookup LIMIT ?2",
                                 DB_INT(account), DB_INT(AUTH_SENDERS_MAX)));
    return r;
}

/* Whether an app password still holds: 1, 0 or negative errno; *out_is_lasting: it does not expire.
 */
static int is_app_password_valid(struct job *job, const struct auth_sender_check *q,
                                 bool *out_is_lasting)
{
    int64_t expires_ms = 0;
    int r = db_get_int(job->db, &expires_ms,
                       "SELECT expires FROM app_password WHERE account = ?1 AND id = ?2",
                       DB_INT((int64_t)q->account), DB_INT(q->app_password));

    *out_is_lasting = expires_ms == 0;
    return r <= 0 ? r : expires_ms == 0 || expires_ms > job->now_ms;
}

/* Whether the account may still do what it has logged in for: not once it is disabled or removed,
 * nor after a change of the password that it came with. 1, 0 or negative errno. */
static int is_login_valid(struct job *job, const struct auth_sender_check *q, bool *out_is_lasting)
{
    int64_t epoch;
    int r = db_get_int(job->db, &epoch,
                       "SELECT login_epoch FROM account WHERE id = ?1 AND is_disabled = 0",
                       DB_INT((int64_t)q->account));

    *out_is_lasting = true;
    if (r <= 0)
        return r;
    return q->app_password != 0 ? is_app_password_valid(job, q, out_is_lasting) : q->epoch == epoch;
}

/* sender.check: see auth_wire.h */
int verb_sender_check(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct auth_sender_check q;
    struct auth_senders senders = {.count = 0};
    bool is_lasting = false;

    if (auth_get_sender_check(&c, &q) < 0)
        return -EBADMSG;
    int64_t account = (int64_t)q.account;
    int r = is_login_valid(job, &q, &is_lasting);
    senders.is_over = r == 0;
    if (r > 0)
        r = q.is_any ? 1 : may_send_as(store, job, account, q.address);
    senders.may_send = r > 0;
    job->is_lasting = is_lasting && senders.may_send;
    if (r == 0 && !senders.is_over)
        r = list_senders(job, account, &senders);
    if (r < 0)
        return r;
    auth_put_senders(&job->reply, &senders);
    return buf_status(&job->reply);
}

/* --- delegation --- */

struct delegation {
    int64_t account;
    struct str address, key, printed;
};

static int get_delegation(struct job *job, struct delegation *out)
{
    struct cursor c = job_args(job);
    struct str domain;

    out->address = cursor_lp(&c);
    struct str other = cursor_lp(&c);
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = verb_find_account(job, out->address, &out->account);
    if (r == 0)
        r = verb_get_address(job, other, &out->key, &out->printed, &domain);
    return r;
}

/* delegate.add: lp address of the account, lp address it may send as -> (nothing) */
int verb_delegate_add(struct store *store, struct job *job)
{
    struct delegation d;
    int64_t count = 0;

    (void)store;
    int r = get_delegation(job, &d);
    if (r == 0)
        r = db_get_int(job->db, &count, "SELECT COUNT(*) FROM delegation WHERE account = ?1",
                       DB_INT(d.account));
    if (r < 0)
        return r;
    if (count >= DELEGATIONS_MAX)
        return job_fail(job, -ENOSPC, "%.*s may send as %d addresses, which is the limit",
                        STR_ARG(d.address), DELEGATIONS_MAX);
    int64_t rows =
        db_run(job->db,
               "INSERT INTO delegation(account, lookup, address, created)"
               " VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
               DB_INT(d.account), DB_TEXT(d.key), DB_TEXT(d.printed), DB_INT(job->now_ms));
    return rows < 0 ? (int)rows : 0;
}

/* delegate.list: lp address of the account -> rows, each: lp address, u64 created */
int verb_delegate_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t account;

    (void)store;
    int r = verb_find_account(job, cursor_lp(&c), &account);
    if (r < 0)
        return r;
    job->login_account = 0;
    struct db_stmt *stmt = db_query(
        job->db, "SELECT address, created FROM delegation WHERE account = ?1 ORDER BY lookup",
        DB_INT(account));
    while ((r = db_step(stmt)) > 0) {
        buf_put_lp(&job->reply, db_column_text(stmt, 0));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 1));
    }
    return r < 0 ? r : buf_status(&job->reply);
}

/* delegate.remove: lp address of the account, lp address -> (nothing) */
int verb_delegate_remove(struct store *store, struct job *job)
{
    struct delegation d;

    (void)store;
    int r = get_delegation(job, &d);
    if (r < 0)
        return r;
    int64_t rows = db_run(job->db, "DELETE FROM delegation WHERE account = ?1 AND lookup = ?2",
                          DB_INT(d.account), DB_TEXT(d.key));
    if (rows == 0)
        return job_fail(job, -ENOENT, "%.*s was not delegated to %.*s", STR_ARG(d.printed),
                        STR_ARG(d.address));
    return rows < 0 ? (int)rows : 0;
}
