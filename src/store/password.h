/*
 * What is kept of a password: made on the hash threads, written by the writer, verified on the hash
 * threads again.
 *
 * The account's own password is kept as argon2id; one that came from another system as that
 * system's hash, until the first login replaces it. Beside it are the keys of SCRAM, and, only
 * while auth.cram_md5 is on, the password itself, sealed with a key that lies in the same database:
 * that hides it from a passing look and from nobody else.
 *
 * App passwords are random (100 bits): a digest keeps them as well as argon2id would, because
 * trying 2^100 of them is out of reach however fast the digest is. So they cost no slow hash.
 */
#pragma once

#include "base/str.h"
#include "crypt/scram_keys.h"
#include "store/job.h"

enum {
    PASSWORD_MIN_BYTES = 8,
    PASSWORD_MAX_BYTES = 1000, /* SASLPREP_MAX_BYTES */
    /* RFC 7677 section 4 names 15,000 as the rule of thumb; 7 ms here, 0.1 s on an old phone. */
    PASSWORD_SCRAM_ITERATIONS = 15000,
    PASSWORD_SCRAM_HASHES = SCRAM_SHA_256 + 1,
    PASSWORD_LOGIN_SECRET_BYTES = 32,
    PASSWORD_DUMMY_BYTES = 128,
    PASSWORD_NOBODY = 0, /* the account of the keys that no password has */
};

/* How a password is given by an administrator. */
enum password_form { PASSWORD_NONE = 0, PASSWORD_TEXT = 1, PASSWORD_HASH = 2 };

/* Rows to be written; all in the arena of the job that made them. */
struct password_rows {
    struct str secret; /* of account.secret; "": nobody can log in */
    bool has_keys;
    struct scram_keys keys[PASSWORD_SCRAM_HASHES];
    struct str sealed; /* of recoverable_password; "": none */
};

/* Fills the store's login_secret, from which the salts of SCRAM are derived: the same for a name
 * whether it exists or not; made when it is not there. And what is checked for names that do not
 * exist: its dummy_secret, and the keys of SCRAM of nobody; and its wrong_step_ms. From store_open.
 * 0 or negative errno. */
MUST_CHECK int password_start(struct store *store, struct db *db);
/* `bytes` (16 to 64) for a purpose and a name, always the same, and nothing to whoever does not
 * know the secret. */
void password_derive(const struct store *store, const char *purpose, struct str name, uint8_t *out,
                     size_t bytes);

/* The password as it is hashed and compared: by SASLprep, or as it is where that refuses it. */
struct str password_prepare(struct job *job, struct str password);

/* Makes the rows for a new password of the account with this lookup key, or takes over a hash of
 * another system. On a hash thread; about 35 ms. 0, or negative errno with the reason in the job's
 * reply. */
MUST_CHECK int password_make(struct store *store, struct job *job, struct str lookup,
                             struct str password, struct password_rows *out);
MUST_CHECK int password_import(struct store *store, struct job *job, struct str hash,
                               struct password_rows *out);
/* The same for a password that was right by what is kept now, also one that nobody could set today:
 * a short one that came with the hash of another system. On a hash thread. 0 or negative errno. */
MUST_CHECK int password_renew(struct store *store, struct job *job, struct str lookup,
                              struct str password, struct password_rows *out);
/* The keys of SCRAM alone, for an app password. 0 or negative errno. */
MUST_CHECK int password_make_keys(const struct store *store, struct job *job, struct str lookup,
                                  struct str password, struct password_rows *out);

/* Whether `password` (prepared) belongs to what is kept. Without a secret, and when the hash of
 * another system fails, it takes the time of an argon2id all the same, so that nobody can tell by
 * the time which names exist. That does not hide a hash that is slower than ours: while there are
 * hashes of other systems, all answers to wrong passwords come in steps (the store's wrong_step_ms)
 * of at least PASSWORD_STEP_MS, which grow to what the slowest of them has taken. */
enum { PASSWORD_STEP_MS = 500 };
bool password_matches(struct store *store, struct str secret, struct str password);
/* Whether a login should replace what is kept. */
bool password_is_outdated(struct str secret);

/* Writes the keys of the account's own password (app_password 0) or of one of its app passwords.
 * From a write handler. */
MUST_CHECK int password_write_keys(struct db *db, int64_t account, int64_t app_password,
                                   const struct password_rows *rows);
/* Replaces all that is kept of the account's own password. From a write handler. */
MUST_CHECK int password_write(struct db *db, int64_t account, const struct password_rows *rows);
/* The sealed password again, in the job's arena; -EBADMSG when it cannot be opened. */
MUST_CHECK int password_unseal(const struct store *store, struct job *job, struct str sealed,
                               struct str *out_password);

/* Rows as bytes, from one job of the store to another: never over a channel. */
void password_put_rows(struct buf *out, const struct password_rows *rows);
MUST_CHECK int password_get_rows(struct cursor *c, struct password_rows *out);
