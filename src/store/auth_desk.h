/*
 * Logins on the loop thread: those that were right a moment ago, how many there were, and what a
 * login changes afterwards.
 *
 * A mail program may log in every minute; an argon2id each time would be most of a server's work.
 * So a login that was right is remembered for auth.cache, by a hash under a key that is drawn at
 * the start: of the memory alone nobody can try passwords faster than with that key. Wrong ones are
 * never remembered. Any change of an account forgets its logins before the change is answered.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "store/job.h"
#include "store/password.h"

enum { AUTH_CACHE_MAX = 20000, AUTH_CACHE_KEY_BYTES = 32 };

struct auth_desk {
    struct store *store;
    struct map logins;   /* keyed hash -> struct remembered */
    struct list oldest;  /* all of them, the oldest first */
    uint64_t generation; /* counts the changes of accounts */
    uint8_t key[AUTH_CACHE_KEY_BYTES];
};

void auth_desk_init(struct auth_desk *d, struct store *store);
void auth_desk_done(struct auth_desk *d);
/* The answer to an auth.password request that is remembered, or the empty view. Valid until the
 * next call. Counts the login. */
struct str auth_desk_answer(struct auth_desk *d, struct str request);
/* A job has ended: an answer is counted, and remembered unless an account has changed since
 * job->generation; a change forgets. Before the reply. */
void auth_desk_finish(struct auth_desk *d, const struct job *job);

/* From the hash threads: what is to be written once the login is answered. */
void auth_desk_note_use(struct job *job, int64_t account, int64_t app_password);
void auth_desk_note_renewal(struct job *job, int64_t account, struct str old_secret,
                            const struct password_rows *rows);
