/*
 * One message for people: the header fields of interest and the first text, decoded to UTF-8.
 *
 * Decodes quoted-printable, base64 and what iconv knows. Long texts are cut and say so; attachments
 * are listed, never opened.
 */
#pragma once

#include "cli/client.h"
#include "cli/messages.h"

/* All return CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int show_message(struct client *client, const struct message_row *row);
MUST_CHECK int show_message_json(struct client *client, const struct message_row *row);
/* The exact bytes. */
MUST_CHECK int show_raw(struct client *client, uint64_t id);
