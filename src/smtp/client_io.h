/*
 * What the parts of the client session share: replies from the connection. Internal to client*.c.
 */
#pragma once

#include "smtp/client.h"
#include "smtp/client_ehlo.h"
#include "smtp/client_reply.h"

/* Sends what has gathered and reads one whole reply within the time its stage has. Yields. A `ehlo`
 * that is not NULL gets the lines after the first. 0: a reply, also a refusal; else negative errno
 * as in smtp_client_reply.error. After an error or a 421 the connection is marked as unusable. */
MUST_CHECK int smtp_client_read(struct smtp_client *c, enum smtp_client_stage stage,
                                struct smtp_reply_reader *reader, struct smtp_ehlo *ehlo);
/* The reply that was read, its text in the arena. */
struct smtp_client_reply smtp_client_reply_from(const struct smtp_reply_reader *reader,
                                                enum smtp_client_stage stage, struct arena *arena);
/* What stands for a reply that could not be read; of one that is none (-EPROTO), text is what was
 * read. */
struct smtp_client_reply smtp_client_error_from(const struct smtp_reply_reader *reader,
                                                enum smtp_client_stage stage, int error,
                                                struct arena *arena);
/* Forgets output that cannot be sent any more, so that the peer's last words can be read. */
void smtp_client_drop_output(struct smtp_client *c);
/* client_tls.c: after EHLO. 1: encrypted, EHLO is due once more; 0: goes on as it is; -1 and *out.
 * Yields. */
MUST_CHECK int smtp_client_start_tls(struct smtp_client *c, struct arena *arena,
                                     struct smtp_client_reply *out);
/* Before the greeting. 0, or -1 and *out. Yields. */
MUST_CHECK int smtp_client_begin_tls(struct smtp_client *c, struct arena *arena,
                                     struct smtp_client_reply *out);
/* client_auth.c: after EHLO and TLS. 0, or -1 and *out. Yields. */
MUST_CHECK int smtp_client_authenticate(struct smtp_client *c, struct arena *arena,
                                        struct smtp_client_reply *out);
/* The connection is lost: neither transactions nor QUIT. */
void smtp_client_give_up(struct smtp_client *c);
