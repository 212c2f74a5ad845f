/*
 * Who logs in, for src/sasl: what the mechanisms ask is asked of the store (store/auth_wire.h); and
 * where the store says so, of the auth process (svc/outside_wire.h), whose answer the store is
 * told.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "conf/settings.h"
#include "rt/rpc.h"
#include "sasl/backend.h"
#include "store/auth_wire.h"

/* Where to ask, and how: of the worker. */
struct login_peers {
    struct rpc_client *store;
    struct rpc_client *auth;
    /* Passwords may be checked outside: then a wrong one is answered after a fixed time, whoever
     * has found out, so that the time tells nothing. */
    bool has_outside;
    int64_t outside_wait_ms;
};
/* As the settings are now. */
struct login_peers login_peers_of(struct rpc_client *store, struct rpc_client *auth,
                                  const struct settings *settings);

/* Of one session. The store's answers to SCRAM and CRAM-MD5 are kept until the proof is judged. */
struct login {
    struct login_peers peers;
    struct ip_rate_key peer;
    char peer_text[IP_TEXT_BYTES];
    uint8_t service; /* enum auth_scope: what is to be done */
    struct arena arena;
    struct buf reply;        /* the answer below lies in it */
    struct auth_scram scram; /* or */
    struct auth_cram cram;
    size_t key; /* of scram.keys, that was given last */
};

/* ctx is struct login. */
extern const struct sasl_backend login_backend;

/* Embedded; pair: login_done, which wipes what was answered. */
void login_init(struct login *l, const struct login_peers *peers, const struct ip_addr *peer,
                enum auth_scope service);
void login_done(struct login *l);
/* SASL_SET bits of the mechanisms that the settings allow. */
unsigned login_mechanisms(const struct settings *settings);
