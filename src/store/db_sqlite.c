/*
 * SQLite behind db.h: WAL, synchronous=FULL for the durable handle, 4 KiB pages, checkpoints by the
 * writer alone. Every statement is prepared once per handle.
 */
#include "store/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
    STATEMENTS_MAX = 256,
    CHECKPOINT_PAGES = 4096, /* 16 MiB of log */
    BUSY_TIMEOUT_MS = 5000,
    CACHE_KIB = 8192,
};

struct db_stmt {
    sqlite3_stmt *handle;
    struct db *db;
    const char *sql;
};

struct db {
    sqlite3 *handle;
    int last_error;
    int wal_pages;
    size_t stmt_count;
    struct db_stmt stmts[STATEMENTS_MAX];
};

static int to_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        return -EIO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return -EROFS;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOMEM:
        die_at(__FILE__, __LINE__, "out of memory in the database");
    default:
        return -EINVAL;
    }
}

/* Remembers the failure; what is not an expected outcome is logged here, once. */
static int note_error(struct db *db, int rc, const char *sql)
{
    int r = to_errno(rc);

    db->last_error = r;
    if (r < 0 && r != -EEXIST)
        LOG(LOG_ERROR, "store.database-error", LOG_ERR(r),
            LOG_C("engine", db->handle != NULL ? sqlite3_errmsg(db->handle) : ""),
            LOG_INT("code", rc), LOG_STR("sql", str_sub(str_from_c(sql), 0, 120)));
    return r;
}

static int on_wal(void *arg, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((struct db *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

static int configure(struct db *db, enum db_mode mode, bool is_durable)
{
    char cache[64];

    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(db->handle, 1);
    (void)snprintf(cache, sizeof(cache), "PRAGMA cache_size=-%d", CACHE_KIB);
    int r = db_script(db, cache);
    if (r == 0)
        r = db_script(db, "PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF;");
    if (r < 0 || mode == DB_READER)
        return r;
    sqlite3_wal_hook(db->handle, on_wal, db);
    r = db_script(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
                      "PRAGMA journal_size_limit=33554432;");
    /* Setting wal_autocheckpoint replaces the hook. */
    sqlite3_wal_hook(db->handle, on_wal, db);
    if (r == 0)
        r = db_script(db, is_durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    return r;
}

/* Statistics of memory take a global lock for every allocation. */
static void configure_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int db_open(const char *path, enum db_mode mode, bool is_durable, struct db **out_db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct db *db = xcalloc(1, sizeof(*db));
    int flags =
        mode == DB_WRITER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;

    (void)pthread_once(&once, configure_library);
    int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    int r = rc == SQLITE_OK ? configure(db, mode, is_durable) : note_error(db, rc, path);
    if (r < 0) {
        db_close(db);
        return r;
    }
    *out_db = db;
    return 0;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < db->stmt_count; i++)
        sqlite3_finalize(db->stmts[i].handle);
    sqlite3_close(db->handle);
    free(db);
}

const char *db_error(const struct db *db)
{
    return sqlite3_errmsg(db->handle);
}

static struct db_stmt *prepare(struct db *db, const char *sql)
{
    for (size_t i = 0; i < db->stmt_count; i++) {
        if (db->stmts[i].sql == sql)
            return &db->stmts[i];
    }
    ASSERT(db->stmt_count < STATEMENTS_MAX);
    struct db_stmt *stmt = &db->stmts[db->stmt_count];
    int rc =
        sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->handle, NULL);
    if (rc != SQLITE_OK) {
        (void)note_error(db, rc, sql);
        return NULL;
    }
    stmt->db = db;
    stmt->sql = sql;
    db->stmt_count++;
    return stmt;
}

static int bind_value(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
    const char *bytes = v->bytes.ptr != NULL ? v->bytes.ptr : "";

    switch (v->kind) {
    case DB_VALUE_INT:
        return sqlite3_bind_int64(stmt, at, v->number);
    case DB_VALUE_TEXT:
        return sqlite3_bind_text64(stmt, at, bytes, v->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case DB_VALUE_BLOB:
        return sqlite3_bind_blob64(stmt, at, bytes, v->bytes.len, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(stmt, at);
    }
}

struct db_stmt *db_query_values(struct db *db, const char *sql, const struct db_value *values,
                                size_t count)
{
    struct db_stmt *stmt = prepare(db, sql);

    if (stmt == NULL)
        return NULL;
    sqlite3_reset(stmt->handle);
    for (size_t i = 0; i < count; i++) {
        int rc = bind_value(stmt->handle, (int)i + 1, &values[i]);
        if (rc != SQLITE_OK) {
            (void)note_error(db, rc, sql);
            return NULL;
        }
    }
    return stmt;
}

int db_step(struct db_stmt *stmt)
{
    /* The failure of preparing was logged where it happened. */
    if (stmt == NULL)
        return -EIO;
    int rc = sqlite3_step(stmt->handle);
    if (rc == SQLITE_ROW)
        return 1;
    sqlite3_reset(stmt->handle);
    return rc == SQLITE_DONE ? 0 : note_error(stmt->db, rc, stmt->sql);
}

void db_reset(struct db_stmt *stmt)
{
    if (stmt != NULL)
        sqlite3_reset(stmt->handle);
}

int64_t db_column_int(struct db_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

struct str db_column_text(struct db_stmt *stmt, int column)
{
    const void *text = sqlite3_column_text(stmt->handle, column);

    return str_from_mem(text, (size_t)sqlite3_column_bytes(stmt->handle, column));
}

struct str db_column_blob(struct db_stmt *stmt, int column)
{
    const void *blob = sqlite3_column_blob(stmt->handle, column);

    return str_from_mem(blob, (size_t)sqlite3_column_bytes(stmt->handle, column));
}

int64_t db_run_values(struct db *db, const char *sql, const struct db_value *values, size_t count)
{
    struct db_stmt *stmt = db_query_values(db, sql, values, count);
    int r;

    do {
        r = db_step(stmt);
    } while (r > 0);
    return r < 0 ? r : sqlite3_changes64(db->handle);
}

int db_get_int_values(struct db *db, int64_t *out, const char *sql, const struct db_value *values,
                      size_t count)
{
    struct db_stmt *stmt = db_query_values(db, sql, values, count);
    int r = db_step(stmt);

    if (r > 0)
        *out = db_column_int(stmt, 0);
    db_reset(stmt);
    return r;
}

int db_script(struct db *db, const char *sql)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : note_error(db, rc, sql);
}

static int run_plain(struct db *db, const char *sql)
{
    int64_t r = db_run_values(db, sql, NULL, 0);

    return r < 0 ? (int)r : 0;
}

int db_begin(struct db *db)
{
    return run_plain(db, "BEGIN IMMEDIATE");
}

int db_commit(struct db *db)
{
    int r = run_plain(db, "COMMIT");

    /* The frames are written, commit mark and all; only their sync failed. */
    bool is_unknown = r < 0 && sqlite3_extended_errcode(db->handle) == SQLITE_IOERR_FSYNC;
    return is_unknown ? -ENOTRECOVERABLE : r;
}

void db_rollback(struct db *db)
{
    if (db_has_transaction(db))
        (void)run_plain(db, "ROLLBACK");
}

int db_savepoint(struct db *db)
{
    return run_plain(db, "SAVEPOINT request");
}

int db_release(struct db *db)
{
    return run_plain(db, "RELEASE request");
}

int64_t db_changes(struct db *db)
{
    return sqlite3_total_changes64(db->handle);
}

bool db_has_transaction(struct db *db)
{
    return sqlite3_get_autocommit(db->handle) == 0;
}

int db_rollback_to(struct db *db)
{
    /* After some I/O errors SQLite has rolled everything back already. */
    if (!db_has_transaction(db))
        return -EIO;
    int r = run_plain(db, "ROLLBACK TO request");
    return r < 0 ? r : run_plain(db, "RELEASE request");
}

int db_copy_to(struct db *db, const char *path)
{
    struct db_value value = DB_TEXT(str_from_c(path));
    int64_t r = db_run_values(db, "VACUUM INTO ?1", &value, 1);

    return r < 0 ? (int)r : 0;
}

void db_checkpoint_if_due(struct db *db)
{
    int total = 0, done = 0;

    if (db->wal_pages < CHECKPOINT_PAGES)
        return;
    int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &total, &done);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        (void)note_error(db, rc, "checkpoint");
    db->wal_pages = 0;
}
