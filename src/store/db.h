/*
 * The small interface between the store's verbs and the engine that keeps the rows.
 *
 * One handle per thread. SQL is written in the dialect that SQLite and PostgreSQL share, with
 * parameters numbered ?1, ?2, ...; statements are prepared once per handle and found again by the
 * address of their text, which must be a literal. SQLite is the engine of today (db_sqlite.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct db;
struct db_stmt;

enum db_mode {
    DB_WRITER, /* creates the file; the only writer */
    DB_READER, /* read only */
};

struct db_value {
    enum { DB_VALUE_INT, DB_VALUE_TEXT, DB_VALUE_BLOB, DB_VALUE_NULL } kind;
    int64_t number;
    struct str bytes;
};
#define DB_INT(v)  ((struct db_value){.kind = DB_VALUE_INT, .number = (int64_t)(v)})
#define DB_TEXT(s) ((struct db_value){.kind = DB_VALUE_TEXT, .bytes = (s)})
#define DB_BLOB(s) ((struct db_value){.kind = DB_VALUE_BLOB, .bytes = (s)})
#define DB_NULL    ((struct db_value){.kind = DB_VALUE_NULL})

/* Failures are negative errno values: -EIO, -ENOSPC, -EROFS, -EEXIST (a unique key), -EUCLEAN (the
 * file is damaged), -EBUSY, -EINVAL (a bug in the SQL; logged). is_durable false leaves the syncing
 * of commits to checkpoints: for data that can be lost or made again. */
MUST_CHECK int db_open(const char *path, enum db_mode mode, bool is_durable, struct db **out_db);
void db_close(struct db *db);
/* What the engine says about the last failure of this handle. */
const char *db_error(const struct db *db);

/* A statement ready to be stepped, its parameters bound; NULL on failure. It stays valid until it
 * is prepared again or the handle is closed. Views that were bound must live until the last step.
 */
#define db_query(db, sql, ...)                                                                     \
    db_query_values((db), (sql), (struct db_value[]){__VA_ARGS__},                                 \
                    sizeof((struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value))
struct db_stmt *db_query_values(struct db *db, const char *sql, const struct db_value *values,
                                size_t count);
/* 1: a row; 0: no more; negative errno. NULL is taken and gives the handle's last error. */
MUST_CHECK int db_step(struct db_stmt *stmt);
/* Ends reading before the last row. NULL is taken. */
void db_reset(struct db_stmt *stmt);
int64_t db_column_int(struct db_stmt *stmt, int column);
/* Valid until the next step or reset; NULL gives the empty view. */
struct str db_column_text(struct db_stmt *stmt, int column);
struct str db_column_blob(struct db_stmt *stmt, int column);

/* Runs a statement that gives no rows. The number of changed rows, or negative errno. */
#define db_run(db, sql, ...)                                                                       \
    db_run_values((db), (sql), (struct db_value[]){__VA_ARGS__},                                   \
                  sizeof((struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value))
MUST_CHECK int64_t db_run_values(struct db *db, const char *sql, const struct db_value *values,
                                 size_t count);
/* Reads one number: 1 and *out; 0 when there is no row; negative errno. */
#define db_get_int(db, out, sql, ...)                                                              \
    db_get_int_values((db), (out), (sql), (struct db_value[]){__VA_ARGS__},                        \
                      sizeof((struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value))
MUST_CHECK int db_get_int_values(struct db *db, int64_t *out, const char *sql,
                                 const struct db_value *values, size_t count);
/* Runs several statements without parameters (schema). 0 or negative errno. */
MUST_CHECK int db_script(struct db *db, const char *sql);

MUST_CHECK int db_begin(struct db *db);
/* As the others; -ENOTRECOVERABLE: after a restart the transaction may turn out to be committed. */
MUST_CHECK int db_commit(struct db *db);
/* Safe when no transaction is open. */
void db_rollback(struct db *db);
MUST_CHECK int db_savepoint(struct db *db);
MUST_CHECK int db_release(struct db *db);
MUST_CHECK int db_rollback_to(struct db *db);
/* Rows that were changed since the database was opened, also if they were changed back. */
int64_t db_changes(struct db *db);
/* Whether a transaction is open: some failures end it by themselves. */
bool db_has_transaction(struct db *db);

/* Writes a consistent copy of the whole database to a new file. 0 or negative errno. */
MUST_CHECK int db_copy_to(struct db *db, const char *path);
/* Moves the log into the database when it has grown beyond its bound; cheap otherwise. */
void db_checkpoint_if_due(struct db *db);
