/*
 * How the demonstration looks at its servers: waits until something has come or happened, and shows
 * it as the commands do, below the line that one would type.
 */
#pragma once

#include <stdint.h>

#include "cli/cli.h"
#include "cli/demo_server.h"
#include "cli/messages.h"

/* The line that one would type, at the server that it is for; but for its "-c FILE". */
void demo_look_print_command(const struct demo_server *s, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* The others return CLI_DONE or CLI_FAILED, said. */

/* Waits until the user's INBOX holds `count` messages; the newest must have this subject, if not
 * NULL. */
MUST_CHECK int demo_look_await_message(struct demo_server *s, size_t count, const char *subject,
                                       struct message_row *out_newest);
/* Waits until such an event is in the message's trace. */
MUST_CHECK int demo_look_await_event(struct demo_server *s, uint64_t id, const char *event);
MUST_CHECK int demo_look_show_trace(struct demo_server *s, uint64_t id);
MUST_CHECK int demo_look_show_mailbox(struct demo_server *s);
MUST_CHECK int demo_look_show_message(struct demo_server *s, const struct message_row *row);
MUST_CHECK int demo_look_show_why(struct cli *cli, struct demo_server *s, const char *domain);
/* The fields of a bounce that are for programs (RFC 3464); they must tell of a failure for good of
 * the recipient. */
MUST_CHECK int demo_look_show_report(struct demo_server *s, const struct message_row *row,
                                     const char *recipient);
