/*
 * MAIL, RCPT and BDAT as they are written to a server (RFC 5321 section 4.1.1; parameters of RFC
 * 1870, 6152, 6531, 3461, 2852, 6710, 8689; RFC 3030). Pure, and without printf: this is the hot
 * path.
 *
 * A parameter is written only when the server offers its extension. Nothing that could end a line
 * or begin another parameter gets through.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "smtp/client.h"

enum { SMTP_COMMAND_FIXED_BYTES = 160 }; /* of a command, beside addresses and xtext */

/* Whether a printed mailbox may stand between the brackets; the empty one too. */
bool smtp_command_is_safe(struct str address);

/* `extensions` are those of the server. The addresses are safe. */
void smtp_command_put_mail(const struct smtp_client_message *m, unsigned extensions,
                           struct buf *out);
void smtp_command_put_rcpt(const struct smtp_client_recipient *r, unsigned extensions,
                           struct buf *out);
/* BDAT of so many bytes, with LAST. */
void smtp_command_put_bdat(uint64_t bytes, struct buf *out);
