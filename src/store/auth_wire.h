/*
 * Logins as bytes: what the workers that serve users ask the store, and what it answers. Encoded as
 * base/buf.h does; decoding never trusts the bytes.
 *
 * Passwords come prepared by SASLprep or as they were typed: the store prepares them again, which
 * changes nothing. Whoever encodes or decodes a password wipes its buffer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/ip.h"

enum {
    AUTH_USERNAME_MAX_BYTES = 512,
    AUTH_PASSWORD_MAX_BYTES = 1024,
    AUTH_MECHANISM_MAX_BYTES = 32,
    AUTH_ADDRESS_MAX_BYTES = 512,
    AUTH_SALT_MAX_BYTES = 64,
    AUTH_KEY_MAX_BYTES = 32,
    AUTH_APP_PASSWORDS_MAX = 50, /* of one account */
    AUTH_KEYS_MAX = AUTH_APP_PASSWORDS_MAX + 1,
    AUTH_SENDERS_MAX = 20, /* addresses that a refusal names */
    AUTH_CODE_MAX_BYTES = 64,
    AUTH_PROTOCOL_MAX_BYTES = 16,
};

/* What somebody wants to do, or may do: bits. */
enum auth_scope { AUTH_SEND = 1, AUTH_READ = 2, AUTH_ALL = AUTH_SEND | AUTH_READ };

enum auth_verdict {
    AUTH_OK = 0,
    AUTH_BAD = 1, /* wrong password, unknown name, disabled: nobody is told which */
    /* The password is right, but this protocol and this purpose need an app password: the account
     * has a second factor, or the app password is for something else. */
    AUTH_NEEDS_APP_PASSWORD = 2,
    AUTH_BANNED = 3,   /* this address or network failed too often: not before some time */
    AUTH_TOO_MANY = 4, /* this account: come again later */
    /* Not for the store to say: ask outside (auth.backend), by the address in the answer, which is
     * the name as accounts are looked up, whether there is one or not; then tell auth.outside. */
    AUTH_ELSEWHERE = 5,
    AUTH_VERDICT_END,
};

/* auth.password, and auth.scram, auth.cram without a password. A failed call (negative errno) is a
 * temporary failure. */
struct auth_request {
    struct str username; /* an address in any form, or a local part of the primary domain */
    struct str password;
    uint8_t service; /* AUTH_SEND or AUTH_READ */
    uint8_t hash;    /* of auth.scram: enum scram_hash */
    struct ip_rate_key peer;
};
void auth_put_request(struct buf *out, const struct auth_request *r);
MUST_CHECK int auth_get_request(struct cursor *c, struct auth_request *out);

/* Who has logged in. */
struct auth_identity {
    int64_t account;     /* 0: nobody */
    struct str address;  /* its own, as it is printed */
    struct str language; /* "", "en", "ja" */
    int64_t epoch;       /* counts the changes of its password */
};

/* auth.password -> this */
struct auth_answer {
    uint8_t verdict;      /* enum auth_verdict */
    uint8_t scope;        /* bits of enum auth_scope: what this login may do */
    int64_t app_password; /* its id; 0: the account's own password */
    struct auth_identity who;
};
void auth_put_answer(struct buf *out, const struct auth_answer *a);
MUST_CHECK int auth_get_answer(struct cursor *c, struct auth_answer *out);

/*
 * auth.outside: this -> struct auth_answer. What somebody outside said of a password or a token, or
 * that TLS has verified a certificate:
 * the store counts it, remembers a right password as its own, and says who that is, and whether he
 * may; for whoever is right outside need not have an account here. With AUTH_OUTSIDE_ASK, before a
 * token is shown to anybody: AUTH_ELSEWHERE if it may be, or why it may not.
 */
enum auth_outside_kind {
    AUTH_OUTSIDE_PASSWORD = 0, /* the login is what auth.password was asked */
    AUTH_OUTSIDE_TOKEN, /* the user name is the token's; or, if wrong, the claimed one, or "" */
    AUTH_OUTSIDE_CERTIFICATE, /* the user name is the certificate's address */
    AUTH_OUTSIDE_KIND_END,
};
enum auth_outside_outcome {
    AUTH_OUTSIDE_ASK = 0,
    AUTH_OUTSIDE_RIGHT,
    AUTH_OUTSIDE_WRONG,
    AUTH_OUTSIDE_OUTCOME_END,
};
struct auth_outside {
    uint8_t kind, outcome;
    struct auth_request login;
};
void auth_put_outside(struct buf *out, const struct auth_outside *o);
MUST_CHECK int auth_get_outside(struct cursor *c, struct auth_outside *out);

/*
 * auth.scram -> this. All passwords of an account share one salt and one number of iterations, so a
 * mail program logs in with the address and any of them: the worker tries the client's proof with
 * each key, and what that key says holds. Names that do not exist, and accounts without keys, get a
 * salt that is always the same for the name, and one key that no password has.
 */
struct auth_scram_key {
    uint8_t verdict; /* of a login whose proof fits this key */
    uint8_t scope;
    int64_t app_password;
    struct str stored_key, server_key;
};
struct auth_scram {
    uint8_t verdict; /* AUTH_OK: go on with the keys; AUTH_BANNED, AUTH_TOO_MANY */
    struct auth_identity who;
    uint32_t iterations;
    struct str salt;
    const struct auth_scram_key *keys;
    size_t count; /* at least 1 when the verdict is AUTH_OK */
};
void auth_put_scram(struct buf *out, const struct auth_scram *s);
MUST_CHECK int auth_get_scram(struct cursor *c, struct arena *arena, struct auth_scram *out);

/* auth.cram -> this: only while auth.cram_md5 is on. Unknown names get a password nobody has. */
struct auth_cram {
    struct auth_answer answer; /* of a login whose response fits the password */
    struct str password;
};
void auth_put_cram(struct buf *out, const struct auth_cram *a);
MUST_CHECK int auth_get_cram(struct cursor *c, struct auth_cram *out);

/* auth.note: how a login by SCRAM or CRAM-MD5 ended, which the worker decides.
 * auth.password and auth.outside note themselves. No reply. */
struct auth_note {
    struct str username, mechanism;
    uint8_t verdict;
    uint8_t service;
    int64_t account, app_password; /* 0: not known, none */
    struct ip_rate_key peer;
};
void auth_put_note(struct buf *out, const struct auth_note *n);
MUST_CHECK int auth_get_note(struct cursor *c, struct auth_note *out);

/* auth.delay: struct auth_request without a password, of a login that has failed and was noted ->
 * u32 step, u32 delay, ms: the answer comes a whole number of steps after the login began (0: at
 * once), so that the time does not tell how the password is kept, and then the delay later. */

/* session.login: a session has logged in. session.list: u64 account (0: all) -> these, the newest
 * first. session.logout, when it has ended: u64 session. No replies but of the list. */
struct auth_session {
    uint64_t session, account;
    int64_t app_password; /* 0: otherwise */
    int64_t since_ms;
    struct str address;  /* of the account, printed */
    struct str peer;     /* its IP address */
    struct str protocol; /* "submission", "submissions" */
    struct str mechanism;
};
void auth_put_session(struct buf *out, const struct auth_session *s);
/* From a list: 1; 0 at its end; -EBADMSG. */
MUST_CHECK int auth_next_session(struct cursor *c, struct auth_session *out);

/* sender.check: this -> struct auth_senders. Asked before each message: a session may last longer
 * than the right to it. */
struct auth_sender_check {
    uint64_t account;
    int64_t app_password; /* by which it has logged in; 0: otherwise */
    int64_t epoch;        /* of the account at that time */
    bool is_any;          /* in whose name it sends is not asked */
    struct str address;   /* in whose */
};
void auth_put_sender_check(struct buf *out, const struct auth_sender_check *q);
MUST_CHECK int auth_get_sender_check(struct cursor *c, struct auth_sender_check *out);

struct auth_senders {
    bool is_over; /* the login does not hold any more: nothing may be sent */
    bool may_send;
    struct str addresses[AUTH_SENDERS_MAX]; /* it may use these, if not this one; perhaps not all */
    size_t count;
};
void auth_put_senders(struct buf *out, const struct auth_senders *s);
MUST_CHECK int auth_get_senders(struct cursor *c, struct auth_senders *out);

/* Of account.list and account.show: what an account logs in with. */
enum account_flags {
    ACCOUNT_HAS_PASSWORD = 1,
    ACCOUNT_IS_IMPORTED = 2, /* its hash is another system's: nobody has logged in yet */
    ACCOUNT_IS_DISABLED = 4,
    ACCOUNT_HAS_TOTP = 8,
    ACCOUNT_AWAITS_TOTP = 16, /* set, not confirmed: not asked for yet */
    ACCOUNT_HAS_SCRAM = 32,
    ACCOUNT_IS_RECOVERABLE = 64, /* its password is kept for CRAM-MD5 */
};

/* auth.code: u64 account, lp code of the second factor or of recovery -> u8 verdict: AUTH_OK once
 * for each code, AUTH_BAD, AUTH_TOO_MANY. */
