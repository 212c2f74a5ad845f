/*
 * Who logs in, for src/sasl: what the mechanisms ask is asked of the store (store/auth_wire.h).
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "conf/settings.h"
#include "rt/rpc.h"
#include "sasl/backend.h"
#include "store/auth_wire.h"

/* Of one session. The store's answers to SCRAM and CRAM-MD5 are kept until the proof is judged. */
struct login {
    struct rpc_client *store;
    struct ip_rate_key peer;
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
void login_init(struct login *l, struct rpc_client *store, const struct ip_addr *peer,
                enum auth_scope service);
void login_done(struct login *l);
/* SASL_SET bits of the mechanisms that the settings allow. */
unsigned login_mechanisms(const struct settings *settings);
