/* Where a recipient address leads: see directory.h. */
#include "store/directory.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "mail/address.h"

int directory_has_domain(struct db *db, struct str domain)
{
    int64_t one;

    return db_get_int(db, &one, "SELECT 1 FROM domain WHERE name = ?1", DB_TEXT(domain));
}

static struct str make_key(struct arena *arena, struct str local, struct str domain)
{
    struct str folded = address_fold_local(local, arena);

    return str_from_c(arena_printf(arena, "%.*s@%.*s", STR_ARG(folded), STR_ARG(domain)));
}

int directory_key(struct arena *arena, struct str address, struct str *out_key,
                  struct str *out_printed, struct str *out_domain, const char **out_why)
{
    struct address a;
    struct buf printed;

    enum address_error e = address_parse(address, ADDRESS_MAY_BE_UTF8, arena, &a);
    if (e != ADDRESS_OK || a.is_literal) {
        *out_why = e != ADDRESS_OK ? address_error_text(e) : "an address literal is not a mailbox";
        return -EINVAL;
    }
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(&a, &printed);
    *out_printed = arena_str(arena, buf_str(&printed));
    buf_done(&printed);
    *out_key = make_key(arena, a.local, a.domain);
    *out_domain = a.domain;
    return 0;
}

int directory_find_account(struct db *db, struct arena *arena, struct str address,
                           int64_t *out_account)
{
    struct str key, printed, domain;
    const char *why;

    if (directory_key(arena, address, &key, &printed, &domain, &why) < 0)
        return 0;
    return db_get_int(db, out_account, "SELECT id FROM account WHERE lookup = ?1", DB_TEXT(key));
}

struct walk {
    struct db *db;
    struct arena *arena;
    const char *separators;
    struct directory_result *out;
    struct directory_memory *memory; /* may be NULL */
    struct map targets;              /* what is in out already */
    struct buf followed;             /* lp keys of the aliases followed by this walk */
    bool has_found;
    int steps; /* alias targets read so far */
};

void directory_memory_init(struct directory_memory *m)
{
    map_init(&m->followed, DIRECTORY_STEPS_MAX);
}

void directory_memory_done(struct directory_memory *m)
{
    map_done(&m->followed);
}

static int walk_address(struct walk *w, struct str local, struct str domain, int depth);

/* Doubles the room for targets; the old list stays in the arena until it ends. */
static void grow_targets(struct walk *w)
{
    struct directory_result *out = w->out;
    struct directory_target *bigger =
        arena_alloc(w->arena, MAX(out->count * 2, (size_t)4) * sizeof(*bigger));

    if (out->count > 0)
        memcpy(bigger, out->targets, out->count * sizeof(*bigger));
    out->targets = bigger;
}

/* Whether the target is new; then it is noted. */
static bool note_target(struct walk *w, int64_t account, struct str address)
{
    struct str key = account != 0 ? str_from_mem(&account, sizeof(account)) : address;
    static char mark;

    return map_get(&w->targets, key) == NULL && map_set(&w->targets, key, &mark) == 0;
}

static void add_target(struct walk *w, int64_t account, struct str address, struct str domain)
{
    struct directory_result *out = w->out;

    w->has_found = true;
    if (out->count == DIRECTORY_TARGETS_MAX) {
        out->kind = RECIPIENT_ALIAS_LOOP;
        return;
    }
    if (!note_target(w, account, address))
        return;
    /* Full at 0, 4, 8, 16, ... */
    if (out->count == 0 || (out->count >= 4 && (out->count & (out->count - 1)) == 0))
        grow_targets(w);
    out->targets[out->count++] = (struct directory_target){.account = account,
                                                           .address = arena_str(w->arena, address),
                                                           .domain = arena_str(w->arena, domain)};
}

/* Follows one target of an alias, given as text. */
static int walk_target(struct walk *w, struct str target, int depth)
{
    struct address a;

    if (depth > DIRECTORY_ALIAS_DEPTH_MAX) {
        w->out->kind = RECIPIENT_ALIAS_LOOP;
        return 1;
    }
    if (address_parse(target, ADDRESS_MAY_BE_UTF8, w->arena, &a) != ADDRESS_OK)
        return 0;
    int r = directory_has_domain(w->db, a.domain);
    if (r < 0)
        return r;
    if (r > 0)
        return walk_address(w, a.local, a.domain, depth);
    add_target(w, 0, target, a.domain);
    return 1;
}

/* Reads the targets of an alias: following one uses the same statement, so all are read first. */
static int read_targets(struct walk *w, struct str key, struct buf *out)
{
    struct db_stmt *stmt =
        db_query(w->db, "SELECT target FROM alias WHERE lookup = ?1 ORDER BY target", DB_TEXT(key));
    int r;

    while ((r = db_step(stmt)) > 0) {
        if (++w->steps > DIRECTORY_STEPS_MAX) {
            w->out->kind = RECIPIENT_ALIAS_LOOP;
            break;
        }
        buf_put_lp(out, db_column_text(stmt, 0));
    }
    db_reset(stmt);
    return r < 0 ? r : 0;
}

/* 1 when the key is an alias (its targets are added), 0 when not, negative errno. */
static int walk_alias(struct walk *w, struct str key, int depth)
{
    struct buf targets;

    if (w->memory != NULL && map_get(&w->memory->followed, key) != NULL) {
        w->has_found = true;
        return 1;
    }
    buf_init(&targets, DIRECTORY_STEPS_MAX * 512);
    int r = read_targets(w, key, &targets);
    if (r == 0 && targets.len > 0) {
        buf_put_lp(&w->followed, key);
        r = 1;
    }
    struct cursor c = cursor_from(buf_str(&targets));
    while (r > 0 && cursor_left(&c) > 0 && w->out->kind != RECIPIENT_ALIAS_LOOP) {
        int walked = walk_target(w, cursor_lp(&c), depth + 1);
        r = walked < 0 ? walked : 1;
    }
    buf_done(&targets);
    return r;
}

static int walk_account(struct walk *w, struct str key)
{
    struct db_stmt *stmt =
        db_query(w->db, "SELECT id, address FROM account WHERE lookup = ?1", DB_TEXT(key));
    int r = db_step(stmt);

    if (r > 0)
        add_target(w, db_column_int(stmt, 0), db_column_text(stmt, 1), STR_NONE);
    db_reset(stmt);
    return r;
}

static int walk_key(struct walk *w, struct str local, struct str domain, int depth)
{
    struct str key = make_key(w->arena, local, domain);

    int r = walk_alias(w, key, depth);
    return r != 0 ? r : walk_account(w, key);
}

static int walk_catchall(struct walk *w, struct str domain, int depth)
{
    struct db_stmt *stmt =
        db_query(w->db, "SELECT catchall FROM domain WHERE name = ?1", DB_TEXT(domain));
    int r = db_step(stmt);

    struct str target = r > 0 ? arena_str(w->arena, db_column_text(stmt, 0)) : STR_NONE;
    db_reset(stmt);
    if (r < 0 || target.len == 0)
        return r < 0 ? r : 0;
    return walk_target(w, target, depth + 1);
}

static int walk_address(struct walk *w, struct str local, struct str domain, int depth)
{
    struct str user, detail;

    int r = walk_key(w, local, domain, depth);
    if (r != 0)
        return r;
    if (address_split_detail(local, str_from_c(w->separators), &user, &detail)) {
        r = walk_key(w, user, domain, depth);
        if (r != 0)
            return r;
    }
    return walk_catchall(w, domain, depth);
}

static int find_primary(struct db *db, struct arena *arena, struct str *out_domain)
{
    struct db_stmt *stmt =
        db_query(db, "SELECT name FROM domain ORDER BY is_primary DESC, created LIMIT 1");
    int r = db_step(stmt);

    if (r > 0)
        *out_domain = arena_str(arena, db_column_text(stmt, 0));
    db_reset(stmt);
    return r;
}

/* What this walk followed need not be followed again for the message's other recipients. */
static void remember(struct walk *w)
{
    struct cursor c = cursor_from(buf_str(&w->followed));
    static char mark;

    while (w->memory != NULL && cursor_left(&c) > 0 && cursor_status(&c) == 0) {
        /* One that does not fit is followed again: slower, not wrong. */
        (void)!map_set(&w->memory->followed, cursor_lp(&c), &mark);
    }
}

static int resolve(struct walk *w, struct str local, struct str domain)
{
    int r = domain.len > 0 ? directory_has_domain(w->db, domain)
                           : find_primary(w->db, w->arena, &domain);
    if (r < 0)
        return r;
    if (r == 0) {
        w->out->kind = RECIPIENT_REMOTE;
        return 0;
    }
    r = walk_address(w, local, domain, 0);
    if (r < 0)
        return r;
    if (w->has_found && w->out->kind != RECIPIENT_ALIAS_LOOP) {
        w->out->kind = RECIPIENT_LOCAL;
        remember(w);
    }
    return 0;
}

int directory_resolve(struct db *db, struct arena *arena, struct str local, struct str domain,
                      const char *separators, struct directory_memory *memory,
                      struct directory_result *out)
{
    struct walk w = {
        .db = db, .arena = arena, .separators = separators, .memory = memory, .out = out};

    *out = (struct directory_result){.kind = RECIPIENT_UNKNOWN_USER};
    map_init(&w.targets, DIRECTORY_TARGETS_MAX);
    buf_init(&w.followed, DIRECTORY_STEPS_MAX * 512);
    int r = resolve(&w, local, domain);
    map_done(&w.targets);
    buf_done(&w.followed);
    return r;
}
