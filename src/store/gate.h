/*
 * The guard as the server uses it: asked at each connection and each login, its bans kept as rows.
 * Belongs to the loop thread.
 */
#pragma once

#include "store/guard.h"
#include "store/job.h"
#include "store/wire.h"

struct gate {
    struct guard *guard;
    /* Hands a request of the store's own to the executor. */
    void (*run)(void *arg, enum store_verb verb, struct str args);
    void *arg;
};

/* Embedded. Loads the bans that there are. Pair: gate_done. */
void gate_init(struct gate *g, const struct settings *settings,
               void (*run)(void *arg, enum store_verb verb, struct str args), void *arg);
void gate_done(struct gate *g);

/* What a worker's session.open says of its peer: u64 prefix, u8 family (ip_rate_key). */
MUST_CHECK int gate_get_peer(struct cursor *c, struct ip_rate_key *out);
/* Whether the session may begin: SESSION_WELCOME, or why not. */
enum session_verdict gate_connect(struct gate *g, struct ip_rate_key peer, bool has_login);
/* How a login ended. */
void gate_note_login(struct gate *g, struct ip_rate_key peer, struct str name, bool is_success);

/* Keeps what a request about bans that has ended well has changed. Others are ignored. True when it
 * was the gate's own, and nobody waits for it. */
bool gate_note_job(struct gate *g, const struct job *job);
