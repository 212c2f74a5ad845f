/* The SMTP session's backend (smtp/backend.h) by calls to the store. */
#pragma once

#include "base/id.h"
#include "rt/rpc.h"
#include "smtp/backend.h"
#include "store/wire.h"

struct store_backend {
    struct smtp_backend smtp;
    struct rpc_client *client;
    struct id_maker *ids;
};

void store_backend_init(struct store_backend *b, struct rpc_client *client, struct id_maker *ids);
/* Asks whether a session from this address may begin. Yields. 0 or negative errno. */
MUST_CHECK int store_backend_open_session(struct store_backend *b, const struct ip_addr *peer,
                                          enum session_verdict *out);
void store_backend_close_session(struct store_backend *b, const struct ip_addr *peer);
