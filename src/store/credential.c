/* What the rows say of somebody who logs in: see credential.h. */
#include "store/credential.h"

#include "crypt/code_text.h"
#include "store/directory.h"

int credential_primary_domain(struct db *db, struct arena *arena, struct str *out)
{
    struct db_stmt *stmt = db_query(db, "SELECT name FROM domain WHERE is_primary = 1");
    int r = db_step(stmt);

    *out = r > 0 ? arena_str(arena, db_column_text(stmt, 0)) : STR("");
    db_reset(stmt);
    return MIN(r, 0);
}

static bool is_local_part(struct str name)
{
    return name.len > 0 && str_find(name, '@') < 0;
}

struct str credential_key(struct arena *arena, struct str username, struct str primary)
{
    struct str name = str_trim(username), key, printed, domain;
    const char *why;

    if (is_local_part(name) && primary.len > 0)
        name = str_from_c(arena_printf(arena, "%.*s@%.*s", STR_ARG(name), STR_ARG(primary)));
    /* What is no address at all is looked up as it is, and nobody has it. */
    if (directory_key(arena, name, &key, &printed, &domain, &why) < 0)
        return arena_str(arena, name);
    return key;
}

int credential_find(struct db *db, struct arena *arena, struct str username, struct credential *out)
{
    struct str primary = STR("");
    int r = 0;

    *out = (struct credential){.lookup = STR("")};
    if (is_local_part(str_trim(username)))
        r = credential_primary_domain(db, arena, &primary);
    if (r < 0)
        return r;
    out->lookup = credential_key(arena, username, primary);
    struct db_stmt *stmt =
        db_query(db,
                 "SELECT id, address, language, secret, is_disabled, EXISTS (SELECT 1 FROM"
                 " second_factor f WHERE f.account = account.id AND f.is_confirmed = 1),"
                 " EXISTS (SELECT 1 FROM scram s WHERE s.account = account.id AND"
                 " s.app_password = 0),"
                 " EXISTS (SELECT 1 FROM scram s WHERE s.account = account.id), login_epoch"
                 " FROM account WHERE lookup = ?1",
                 DB_TEXT(out->lookup));
    r = db_step(stmt);
    if (r > 0) {
        out->who = (struct auth_identity){.account = db_column_int(stmt, 0),
                                          .address = arena_str(arena, db_column_text(stmt, 1)),
                                          .language = arena_str(arena, db_column_text(stmt, 2)),
                                          .epoch = db_column_int(stmt, 8)};
        out->secret = arena_str(arena, db_column_text(stmt, 3));
        out->is_disabled = db_column_int(stmt, 4) != 0;
        out->has_second_factor = db_column_int(stmt, 5) != 0;
        out->has_keys = db_column_int(stmt, 6) != 0;
        out->has_any_keys = db_column_int(stmt, 7) != 0;
    }
    db_reset(stmt);
    return r < 0 ? r : 0;
}

int credential_find_app_password(struct db *db, int64_t account, struct str digest, int64_t now_ms,
                                 struct app_password *out)
{
    /* The digest in the condition: an index that told by its time how much of it is right would
     * tell nothing, because nobody can choose digests. */
    struct db_stmt *stmt =
        db_query(db,
                 "SELECT id, scope, used, expires FROM app_password WHERE account = ?1"
                 " AND digest = ?2 AND (expires = 0 OR expires > ?3)",
                 DB_INT(account), DB_BLOB(digest), DB_INT(now_ms));
    int r = db_step(stmt);

    if (r > 0)
        *out = (struct app_password){.id = db_column_int(stmt, 0),
                                     .scope = (uint8_t)db_column_int(stmt, 1),
                                     .used_ms = db_column_int(stmt, 2),
                                     .expires_ms = db_column_int(stmt, 3)};
    db_reset(stmt);
    return r;
}

void credential_app_digest(int64_t account, struct str password, uint8_t out[32])
{
    struct buf what;

    buf_init(&what, 64);
    buf_put_c(&what, "app password");
    buf_put_u64(&what, (uint64_t)account);
    code_text_digest(password, buf_str(&what), out);
    buf_done(&what);
}

int credential_end_logins(struct db *db, int64_t account)
{
    int64_t rows = db_run(db, "UPDATE account SET login_epoch = login_epoch + 1 WHERE id = ?1",
                          DB_INT(account));

    return rows < 0 ? (int)rows : 0;
}

int credential_forget_address(struct db *db, struct str lookup)
{
    int64_t rows = db_run(db,
                          "DELETE FROM delegation WHERE lookup = ?1 AND NOT EXISTS"
                          " (SELECT 1 FROM account WHERE lookup = ?1) AND NOT EXISTS"
                          " (SELECT 1 FROM alias WHERE lookup = ?1)",
                          DB_TEXT(lookup));

    return rows < 0 ? (int)rows : 0;
}

int credential_forget(struct db *db, int64_t account)
{
    int64_t rows = db_run(db, "DELETE FROM scram WHERE account = ?1", DB_INT(account));

    if (rows >= 0)
        rows = db_run(db, "DELETE FROM app_password WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(db, "DELETE FROM recoverable_password WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(db, "DELETE FROM second_factor WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(db, "DELETE FROM recovery_code WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(db, "DELETE FROM delegation WHERE account = ?1", DB_INT(account));
    if (rows >= 0)
        rows = db_run(db, "DELETE FROM login WHERE account = ?1", DB_INT(account));
    return rows < 0 ? (int)rows : 0;
}
