/*
 * The rows of the store and their versions: see schema.h. SQL in the dialect that SQLite and
 * PostgreSQL share, but for two words: BLOB and WITHOUT ROWID.
 */
#include "store/schema.h"

#include <errno.h>
#include <unistd.h>

static const char *const main_steps[] = {
    /* 1: the beginning. Times are milliseconds since 1970; ids are of base/id.h. */
    "CREATE TABLE domain(name TEXT PRIMARY KEY, catchall TEXT NOT NULL,"
    " is_primary INTEGER NOT NULL, created BIGINT NOT NULL);"
    "CREATE TABLE account(id INTEGER PRIMARY KEY, address TEXT NOT NULL,"
    " lookup TEXT NOT NULL UNIQUE, domain TEXT NOT NULL, secret TEXT NOT NULL,"
    " created BIGINT NOT NULL);"
    "CREATE INDEX account_domain ON account(domain);"
    "CREATE TABLE alias(lookup TEXT NOT NULL, target TEXT NOT NULL, address TEXT NOT NULL,"
    " domain TEXT NOT NULL, created BIGINT NOT NULL, PRIMARY KEY(lookup, target));"
    "CREATE INDEX alias_domain ON alias(domain);"
    /* Numbers that never go back, whatever the clock does. */
    "CREATE TABLE counter(name TEXT PRIMARY KEY, value BIGINT NOT NULL);"
    "INSERT INTO counter(name, value) VALUES('uidvalidity', 0);"
    /* Files of message bytes. durable: up to here every record is known to be on disk. */
    "CREATE TABLE segment(id INTEGER PRIMARY KEY, is_solo INTEGER NOT NULL, bytes BIGINT NOT NULL,"
    " live BIGINT NOT NULL, durable BIGINT NOT NULL);"
    "CREATE INDEX segment_dead ON segment(id) WHERE live <= 0;"
    /* One row per stored text, shared by queue and mailboxes; refs counts its users. The first
     * `prefix` bytes are for mailboxes only (Return-Path, Delivered-To). state 1: set aside as
     * unreadable. */
    "CREATE TABLE body(id INTEGER PRIMARY KEY, segment BIGINT NOT NULL, place BIGINT NOT NULL,"
    " bytes BIGINT NOT NULL, prefix INTEGER NOT NULL, crc BIGINT NOT NULL, refs INTEGER NOT NULL,"
    " state INTEGER NOT NULL, summary BLOB NOT NULL);"
    "CREATE INDEX body_place ON body(segment, place);"
    "CREATE INDEX body_odd ON body(state) WHERE state <> 0;"
    "CREATE TABLE mailbox(id INTEGER PRIMARY KEY, account BIGINT NOT NULL, name TEXT NOT NULL,"
    " uidvalidity BIGINT NOT NULL, uidnext BIGINT NOT NULL, modseq BIGINT NOT NULL,"
    " messages BIGINT NOT NULL, unseen BIGINT NOT NULL, bytes BIGINT NOT NULL, UNIQUE(account, "
    "name));"
    "CREATE TABLE message(mailbox BIGINT NOT NULL, uid BIGINT NOT NULL, body BIGINT NOT NULL,"
    " flags INTEGER NOT NULL, keywords TEXT NOT NULL, modseq BIGINT NOT NULL,"
    " received BIGINT NOT NULL, saved BIGINT NOT NULL, bytes BIGINT NOT NULL,"
    " PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
    "CREATE INDEX message_modseq ON message(mailbox, modseq);"
    /* Expunged messages stay until their retention ends (undelete), then as a number (QRESYNC):
     * body is 0 from then on. */
    "CREATE TABLE expunged(mailbox BIGINT NOT NULL, uid BIGINT NOT NULL, modseq BIGINT NOT NULL,"
    " expunged BIGINT NOT NULL, body BIGINT NOT NULL, flags INTEGER NOT NULL, keywords TEXT NOT "
    "NULL,"
    " received BIGINT NOT NULL, saved BIGINT NOT NULL, bytes BIGINT NOT NULL,"
    " PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
    "CREATE INDEX expunged_due ON expunged(expunged) WHERE body <> 0;"
    "CREATE INDEX expunged_number ON expunged(expunged) WHERE body = 0;"
    "CREATE TABLE queue(id INTEGER PRIMARY KEY, body BIGINT NOT NULL, sender TEXT NOT NULL,"
    " envid TEXT NOT NULL, ret INTEGER NOT NULL, flags INTEGER NOT NULL, created BIGINT NOT NULL);"
    "CREATE TABLE recipient(queue BIGINT NOT NULL, n INTEGER NOT NULL, address TEXT NOT NULL,"
    " domain TEXT NOT NULL, orcpt TEXT NOT NULL, notify INTEGER NOT NULL, state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, next_attempt BIGINT NOT NULL, lease_owner BIGINT NOT NULL,"
    " lease_until BIGINT NOT NULL, last_reply TEXT NOT NULL, PRIMARY KEY(queue, n)) WITHOUT ROWID;"
    "CREATE INDEX recipient_due ON recipient(state, next_attempt);"
    "CREATE INDEX recipient_domain ON recipient(domain, state, next_attempt);",

    /* 2: the queue is worked on. queue.alarm: when something is due about the message as a whole (a
     * warning, its end). */
    "ALTER TABLE queue ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN alarm BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;"
    "UPDATE queue SET alarm = created + 14400000, expires = created + 432000000;"
    "CREATE INDEX queue_alarm ON queue(alarm);"
    "CREATE INDEX queue_sender ON queue(sender);"
    /* destination: what is delivered over the same connections (queue_rows.h). state, report: enum
     * queue_state, queue_report. due: the place in the order while ready, the time of the next
     * attempt while deferred. */
    "ALTER TABLE recipient RENAME TO recipient_1;"
    "CREATE TABLE recipient(queue BIGINT NOT NULL, n INTEGER NOT NULL, address TEXT NOT NULL,"
    " destination TEXT NOT NULL, orcpt TEXT NOT NULL, notify INTEGER NOT NULL,"
    " state INTEGER NOT NULL, due BIGINT NOT NULL, attempts INTEGER NOT NULL,"
    " report INTEGER NOT NULL, last_attempt BIGINT NOT NULL, status TEXT NOT NULL,"
    " remote TEXT NOT NULL, reply TEXT NOT NULL, PRIMARY KEY(queue, n)) WITHOUT ROWID;"
    "INSERT INTO recipient SELECT queue, n, address, domain, orcpt, notify, 1, next_attempt,"
    " attempts, 0, 0, '', '', last_reply FROM recipient_1;"
    "DROP TABLE recipient_1;"
    "CREATE INDEX recipient_order ON recipient(destination, state, due);"
    "CREATE INDEX recipient_report ON recipient(queue) WHERE report <> 0;"
    /* One row per destination with something to do. state: enum queue_destination_state. */
    "CREATE TABLE destination(name TEXT PRIMARY KEY, state INTEGER NOT NULL,"
    " lease BIGINT NOT NULL, due BIGINT NOT NULL,"
    " failures INTEGER NOT NULL, since BIGINT NOT NULL, last_attempt BIGINT NOT NULL,"
    " status TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX destination_order ON destination(state, due);"
    "INSERT INTO destination SELECT DISTINCT destination, 1, 0, 0, 0, 0, 0, '', '' FROM recipient;"
    /* Addresses that were refused for good, again and again: is_active from queue.suppress_after on
     * until expires. */
    "CREATE TABLE suppression(address TEXT PRIMARY KEY, failures INTEGER NOT NULL,"
    " is_active INTEGER NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,"
    " expires BIGINT NOT NULL, reply TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX suppression_expires ON suppression(expires);"
    "ALTER TABLE account ADD COLUMN language TEXT NOT NULL DEFAULT '';",

    /* 3: ids that were given with DELIVER_ONCE, for as long as they could come again. */
    "CREATE TABLE submitted(id BIGINT PRIMARY KEY);",

    /* 4: who may not come in. until: real time; is_for_all: not only where one logs in. */
    "CREATE TABLE ban(network TEXT PRIMARY KEY, since BIGINT NOT NULL, until BIGINT NOT NULL,"
    " strikes INTEGER NOT NULL, is_for_all INTEGER NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX ban_until ON ban(until);",

    /* 5: what accounts send in a day (days since 1970); fresh: recipients they never wrote to
     * before. correspondent: hashes of those they did write to, and the day of the first time. */
    "CREATE TABLE usage(account BIGINT NOT NULL, day INTEGER NOT NULL, recipients BIGINT NOT NULL,"
    " fresh BIGINT NOT NULL, PRIMARY KEY(account, day)) WITHOUT ROWID;"
    "CREATE INDEX usage_day ON usage(day);"
    "CREATE TABLE correspondent(account BIGINT NOT NULL, recipient BIGINT NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY(account, recipient)) WITHOUT ROWID;"
    "CREATE INDEX correspondent_last ON correspondent(last);",

    /* 6: mail for later and mail that is urgent. warn: when its sender is told of a delay (0: was
     * done, or never); release_at: when it may go (0: at once), as release_request asked for;
     * deliver_by, by_mode: enum queue_by. queue.alarm is the first of these times and expires.
     * next_n: the number of its next recipient, which no other has had. */
    "ALTER TABLE queue ADD COLUMN warn BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN release_at BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN release_request TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE queue ADD COLUMN deliver_by BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN by_mode INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN next_n INTEGER NOT NULL DEFAULT 0;"
    "UPDATE queue SET warn = alarm WHERE alarm < expires;",

    /* 7: how people log in. account.secret: an argon2id hash; or the hash of another system, until
     * its first login (crypt/foreign_hash.h); or empty: nobody logs in. */
    "ALTER TABLE account ADD COLUMN is_disabled INTEGER NOT NULL DEFAULT 0;"
    /* scope: enum auth_scope. used: the last login, to the hour. expires: 0 is never. */
    "CREATE TABLE app_password(account BIGINT NOT NULL, id BIGINT NOT NULL, name TEXT NOT NULL,"
    " scope INTEGER NOT NULL, digest BLOB NOT NULL, created BIGINT NOT NULL, used BIGINT NOT NULL,"
    " expires BIGINT NOT NULL, PRIMARY KEY(account, id), UNIQUE(account, name)) WITHOUT ROWID;"
    /* Of the account's own password (app_password 0) and of its app passwords. All of one account
     * have the same salt and iterations. hash: enum scram_hash. */
    "CREATE TABLE scram(account BIGINT NOT NULL, app_password BIGINT NOT NULL,"
    " hash INTEGER NOT NULL, salt BLOB NOT NULL, iterations INTEGER NOT NULL,"
    " stored_key BLOB NOT NULL, server_key BLOB NOT NULL,"
    " PRIMARY KEY(account, app_password, hash)) WITHOUT ROWID;"
    /* Only while auth.cram_md5 is on. The key of the seal is made from server_secret: whoever has
     * this file can read these passwords. */
    "CREATE TABLE recoverable_password(account BIGINT PRIMARY KEY, sealed BLOB NOT NULL);"
    "CREATE TABLE server_secret(name TEXT PRIMARY KEY, value BLOB NOT NULL);"
    /* is_confirmed: it is asked for. last_step: of the last code that was used. */
    "CREATE TABLE second_factor(account BIGINT PRIMARY KEY, secret BLOB NOT NULL,"
    " is_confirmed INTEGER NOT NULL, last_step BIGINT NOT NULL, failures INTEGER NOT NULL,"
    " blocked_until BIGINT NOT NULL, created BIGINT NOT NULL);"
    "CREATE TABLE recovery_code(account BIGINT NOT NULL, digest BLOB NOT NULL,"
    " used BIGINT NOT NULL, PRIMARY KEY(account, digest)) WITHOUT ROWID;"
    /* Addresses that an account may send as, besides its own and its aliases. */
    "CREATE TABLE delegation(account BIGINT NOT NULL, lookup TEXT NOT NULL, address TEXT NOT NULL,"
    " created BIGINT NOT NULL, PRIMARY KEY(account, lookup)) WITHOUT ROWID;"
    /* Which aliases lead to an address, for texts that name them. */
    "CREATE INDEX alias_target ON alias(LOWER(target));",

    /* 8: what single accounts may send, in the order of enum usage_limit; -1: as the settings say;
     * 0: not limited. */
    "CREATE TABLE account_limit(account BIGINT PRIMARY KEY, messages BIGINT NOT NULL,"
    " recipients BIGINT NOT NULL, fresh BIGINT NOT NULL) WITHOUT ROWID;",

    /* 9: on which day postmaster was told of an account last; kind: see verb_alarm.c. */
    "CREATE TABLE alarm(account BIGINT NOT NULL, kind INTEGER NOT NULL, day INTEGER NOT NULL,"
    " PRIMARY KEY(account, kind)) WITHOUT ROWID;",

    /* 10: counts the changes of the password: a login of an earlier one, but by an app password,
     * does not hold any more. */
    "ALTER TABLE account ADD COLUMN login_epoch BIGINT NOT NULL DEFAULT 0;",

    /* 11: from where accounts were logged in to. network: an address, of v6 a /64. app_password: 0:
     * the account's own, a token, a certificate. */
    "CREATE TABLE login(account BIGINT NOT NULL, network TEXT NOT NULL, protocol TEXT NOT NULL,"
    " mechanism TEXT NOT NULL, app_password BIGINT NOT NULL, first BIGINT NOT NULL,"
    " last BIGINT NOT NULL, count BIGINT NOT NULL,"
    " PRIMARY KEY(account, network, protocol, mechanism, app_password)) WITHOUT ROWID;"
    "CREATE INDEX login_last ON login(last);",

    /* 12: asked: 1: an administrator wants an attempt at once; 2: the worker was told so.
     * code: of the server's reply; 0: none. */
    "ALTER TABLE destination ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE destination ADD COLUMN code INTEGER NOT NULL DEFAULT 0;"
    "UPDATE OR REPLACE suppression SET address = LOWER(address);",
};

static const char *const trace_steps[] = {
    /* ref is the message id, or the session id where there is no message; ids sort by time. */
    "CREATE TABLE trace(ref BIGINT NOT NULL, seq BIGINT NOT NULL, session BIGINT NOT NULL,"
    " time BIGINT NOT NULL, event TEXT NOT NULL, address TEXT NOT NULL, detail BLOB NOT NULL,"
    " PRIMARY KEY(ref, seq)) WITHOUT ROWID;"
    "CREATE TABLE trace_address(address TEXT NOT NULL, ref BIGINT NOT NULL,"
    " PRIMARY KEY(address, ref)) WITHOUT ROWID;",
};

const struct schema schema_main = {
    .name = "mail", .steps = main_steps, .step_count = ARRAY_LEN(main_steps)};
const struct schema schema_trace = {
    .name = "trace", .steps = trace_steps, .step_count = ARRAY_LEN(trace_steps)};

static int read_version(struct db *db, int64_t *out_version)
{
    int r = db_script(db, "CREATE TABLE IF NOT EXISTS schema_version(version INTEGER NOT NULL)");

    *out_version = 0;
    if (r < 0)
        return r;
    r = db_get_int(db, out_version, "SELECT version FROM schema_version");
    return r < 0 ? r : 0;
}

static int take_snapshot(struct db *db, const char *path, int64_t version)
{
    CLEANUP(cleanup_free)
    char *copy = xasprintf("%s.before-version-%lld", path, (long long)version + 1);

    if (version == 0)
        return 0;
    (void)unlink(copy);
    return db_copy_to(db, copy);
}

static int run_steps(struct db *db, const struct schema *schema, int64_t version)
{
    int r = db_begin(db);

    for (size_t i = (size_t)version; r == 0 && i < schema->step_count; i++)
        r = db_script(db, schema->steps[i]);
    if (r == 0)
        r = db_script(db, "DELETE FROM schema_version");
    if (r == 0) {
        int64_t rows = db_run(db, "INSERT INTO schema_version(version) VALUES(?1)",
                              DB_INT(schema->step_count));
        r = rows < 0 ? (int)rows : 0;
    }
    if (r == 0)
        r = db_commit(db);
    if (r < 0)
        db_rollback(db);
    return r;
}

int schema_migrate(struct db *db, const struct schema *schema, const char *path,
                   struct buf *out_text)
{
    int64_t version;

    int r = read_version(db, &version);
    if (r < 0)
        return r;
    if (version > (int64_t)schema->step_count) {
        buf_printf(out_text,
                   "%s has schema version %lld, but this program knows only up to %zu; "
                   "install the newer Hikyaku that wrote it",
                   path, (long long)version, schema->step_count);
        return -EPROTO;
    }
    if (version == (int64_t)schema->step_count)
        return 0;
    r = take_snapshot(db, path, version);
    if (r == 0)
        r = run_steps(db, schema, version);
    if (r < 0)
        buf_printf(out_text, "%s: the migration from version %lld failed and was undone: %s", path,
                   (long long)version, db_error(db));
    return r;
}
