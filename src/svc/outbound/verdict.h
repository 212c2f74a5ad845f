/*
 * What a server's reply, or its silence, means for a recipient: delivered, later, or never (RFC
 * 5321 section 4.2.1, RFC 3463). Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "smtp/client.h"
#include "store/queue_wire.h"

/* The verdict of a reply for one recipient, with its enhanced code and the words to keep. Texts
 * live in the arena or are constant. */
struct queue_result_recipient verdict_of(const struct smtp_client_reply *reply,
                                         struct arena *arena);
/* Whether another host of the destination may do better with this recipient: the connection failed,
 * or the server is not able to serve now, or is not good enough for the message; never once the
 * peer may have taken the message. */
bool verdict_may_try_next(const struct smtp_client_reply *reply);
/* Whether the failure is the server's, not this message's: several in a row, and it is left alone
 * for a while. */
bool verdict_blames_server(const struct smtp_client_reply *reply);
/* The enhanced code of a reply without code, by its stage and error: "4.4.1" is a connection that
 * was not answered, "4.4.2" one that ended or fell silent (RFC 3463 section 3.5), "4.7.5" one that
 * could not be encrypted or whose certificate does not do (section 3.8). */
const char *verdict_error_status(const struct smtp_client_reply *reply);
/* The enhanced code for a host that did not come to a first transaction, whether it said why or
 * not: its mail waits, so the class is 4. */
enum { VERDICT_STATUS_BYTES = SMTP_CLIENT_ENHANCED_BYTES };
void verdict_host_status(const struct smtp_client_reply *reply, char out[VERDICT_STATUS_BYTES]);
/* The failure in words: "the connection timed out". */
const char *verdict_error_text(int error);
/* The same with what the peer said: "421 4.3.2 closing", "the server's answer is not SMTP: hello".
 * At most `bytes`, with NUL. */
void verdict_put_words(const struct smtp_client_reply *reply, char *out, size_t bytes);
