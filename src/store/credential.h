/*
 * What the rows say of somebody who logs in: found by the name that was typed.
 *
 * A name is the account's own address, in any case and either form of its domain; or the local part
 * alone, of the primary domain. Aliases and details (user+x) are no names: they are addresses.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/auth_wire.h"
#include "store/db.h"

struct credential {
    struct auth_identity who; /* account 0: nobody has that name */
    struct str lookup;        /* the name as it is looked up; also of names that nobody has */
    struct str secret;        /* account.secret; "" for nobody */
    bool is_disabled;
    bool has_second_factor; /* it was confirmed */
    bool has_keys;          /* of SCRAM, for its own password */
    bool has_any_keys;      /* the same, or for an app password */
};

/* The key that a login's name is looked up by, whether anybody has it or not: one for each account,
 * however it is written. `primary` completes a local part. Lives in the arena, which must have room
 * for CREDENTIAL_KEY_ARENA_BYTES. Pure. */
enum { CREDENTIAL_KEY_ARENA_BYTES = 64 * 1024 };
struct str credential_key(struct arena *arena, struct str username, struct str primary);
/* The primary domain, or the empty view when there is none. 0 or negative errno. */
MUST_CHECK int credential_primary_domain(struct db *db, struct arena *arena, struct str *out);

/* 0 and *out (who may be nobody), or negative errno. Views live in the arena. */
MUST_CHECK int credential_find(struct db *db, struct arena *arena, struct str username,
                               struct credential *out);

struct app_password {
    int64_t id;
    uint8_t scope;
    int64_t used_ms, expires_ms;
};
/* The app password with this digest that has not expired: 1, 0 or negative errno. */
MUST_CHECK int credential_find_app_password(struct db *db, int64_t account, struct str digest,
                                            int64_t now_ms, struct app_password *out);
/* The digest by which an app password is kept. */
void credential_app_digest(int64_t account, struct str password, uint8_t out[32]);

/* The password has changed: logins by it that are open end at their next message. From a write
 * handler. */
MUST_CHECK int credential_end_logins(struct db *db, int64_t account);
/* Forgets all that an account logs in with, and has logged in from; from a write handler that
 * removes it. */
MUST_CHECK int credential_forget(struct db *db, int64_t account);
/* Once nobody has the address any more, neither as an account nor as an alias, nobody may send as
 * it: who has it next is somebody else. From a write handler that has removed one or the other. 0
 * or negative errno. */
MUST_CHECK int credential_forget_address(struct db *db, struct str lookup);
