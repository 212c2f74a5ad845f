/*
 * The table of SMTP commands: which may come when is in the flags, what they do in cmd_*.c.
 */
#pragma once

#include "smtp/session.h"

enum smtp_command_flags {
    SMTP_NEEDS_HELLO = 1,     /* 503 before HELO or EHLO */
    SMTP_NEEDS_MAIL = 2,      /* 503 outside of a transaction */
    SMTP_NEEDS_RECIPIENT = 4, /* 503/554 before an accepted RCPT */
    SMTP_TAKES_NO_ARGS = 8,   /* 501 with any */
    SMTP_NOT_IN_CHUNKS = 16,  /* 503 between the chunks of a message */
};

/* Yields if the command does. `args` is what follows the verb, without the space; it points into
 * the line and is valid until the stream is read. */
typedef struct reply smtp_command_fn(struct smtp_session *s, struct str args);

struct smtp_command {
    const char *verb;
    unsigned flags;
    smtp_command_fn *run;
};

/* The command of this verb in any case, or NULL. */
const struct smtp_command *smtp_command_find(struct str verb);
/* Whether it is HTTP's: a request, or the name of a header field. A browser can be made to send
 * such lines with commands of ours behind them. */
bool smtp_command_is_foreign(struct str verb);

smtp_command_fn smtp_cmd_helo, smtp_cmd_ehlo;
smtp_command_fn smtp_cmd_mail, smtp_cmd_rcpt;
smtp_command_fn smtp_cmd_data, smtp_cmd_bdat;
smtp_command_fn smtp_cmd_rset, smtp_cmd_noop, smtp_cmd_vrfy, smtp_cmd_expn, smtp_cmd_help,
    smtp_cmd_quit;
smtp_command_fn smtp_cmd_starttls, smtp_cmd_auth;
