/*
 * What a sender's wishes mean on the way to one server: the time that is left (RFC 2852), the
 * priority (RFC 6710), encryption (RFC 8689). Pure.
 */
#pragma once

#include <stdbool.h>

#include "smtp/client.h"
#include "store/queue_wire.h"

/* What the server of a connection is worth. */
struct urgency_peer {
    unsigned extensions; /* enum smtp_client_extension */
    uint32_t min_by_s;   /* RFC 2852; 0: none */
    bool is_encrypted;   /* and verified, as RFC 8689 section 4.2.1 asks */
    bool is_sure;        /* it is the right one: DNSSEC or the configuration named it */
};

/* Puts the wishes into the message for the peer; `now_ms` is real time. False when it may not have
 * the message: then *out_reply says why. */
MUST_CHECK bool urgency_apply(const struct queue_message *m, const struct urgency_peer *peer,
                              int64_t now_ms, struct smtp_client_message *out,
                              struct smtp_client_reply *out_reply);
/* NOTIFY for a recipient: a server that does not know the time that was asked for is to tell of
 * delays instead (RFC 2852 section 4.1.4.2). */
uint8_t urgency_notify(const struct queue_message *m, unsigned extensions, uint8_t notify);
