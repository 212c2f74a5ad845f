/*
 * The guard as the server uses it: asked at each connection and each login, its bans kept as rows.
 * Belongs to the loop thread.
 */
#pragma once

#include "store/guard.h"
#include "store/job.h"
#include "store/watch.h"
#include "store/wire.h"

struct gate {
    struct guard *guard;
    char *primary_domain; /* of names without a domain; NULL: not known, or there is none */
    struct watch_hooks hooks;
    struct watch watch;
};

/* Embedded. Loads the bans that there are. Pair: gate_done, which records what is left to tell. */
void gate_init(struct gate *g, const struct settings *settings, const struct watch_hooks *hooks);
void gate_done(struct gate *g);
/* From the next question on. */
void gate_configure(struct gate *g, const struct settings *settings);

/* What a worker's session.open says of its peer: u64 prefix, u8 family (ip_rate_key). */
MUST_CHECK int gate_get_peer(struct cursor *c, struct ip_rate_key *out);
/* Whether the session may begin: SESSION_WELCOME, or why not. */
enum session_verdict gate_connect(struct gate *g, struct ip_rate_key peer, bool has_login);
/* Takes the peer off the front of a recipient.check; IP_NONE is whoever is not to be counted, else
 * it begins a message. True when it may not: then the answer is appended to out_reply. */
bool gate_stops_message(struct gate *g, struct str *request, struct buf *out_reply);
/* Before a request is worked on: whether it is a login that may not even be tried; then its answer
 * is appended to out_reply. */
bool gate_stops_login(struct gate *g, enum store_verb verb, struct str request,
                      struct buf *out_reply);
/* How long whoever has failed is to wait, ms: guard_delay_ms. The request is auth.delay's;
 * -EBADMSG. */
MUST_CHECK int gate_find_delay(struct gate *g, struct str request, int64_t *out_ms);
/* Counts how a login ended: of auth.password and auth.outside with their answers, and as a worker
 * tells (auth.note). */
void gate_note_password(struct gate *g, struct str request, struct str answer);
void gate_note_outside(struct gate *g, struct str request, struct str answer);
void gate_note_told(struct gate *g, struct str note);
/* The request could not be answered. */
void gate_note_unjudged(struct gate *g, enum store_verb verb, struct str request);

/* Keeps what a request about bans or domains that has ended well has changed, and tells what there
 * is to tell of others (watch.h). True when it was the gate's own, and nobody waits for it. */
bool gate_note_job(struct gate *g, const struct job *job);
