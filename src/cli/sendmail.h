/*
 * The program under its traditional names: sendmail, mailq, newaliases. What cron, git send-email,
 * PHP and scripts call to send mail; see sendmail(8).
 *
 * Exit status as sysexits.h has it, because callers look at it. One line on standard error says
 * what is wrong. No right is needed and none is had: the mail is left in the spool folder, and the
 * server decides by the owner of the file who sent it.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "cli/sendmail_args.h"
#include "conf/settings.h"
#include "mail/submit_file.h"

/* Whether the program was called by one of these names (argv[0]). */
bool sendmail_is_called(const char *program);
/* All of it; the exit status. */
int sendmail_main(int argc, char **argv);

/* --- for its parts and for `hikyaku send` --- */

/* Recipients, as they are gathered: copies, checked for being addresses. */
struct sendmail_recipients {
    struct submit_recipient list[SUBMIT_RECIPIENTS_MAX];
    size_t count;
    unsigned notify; /* of all that are added */
    struct arena arena;
    const char *error; /* why the last one could not be added; NULL */
};

/* Pair: sendmail_recipients_free. */
struct sendmail_recipients *sendmail_recipients_new(void);
void sendmail_recipients_free(struct sendmail_recipients *r);
/* Adds the addresses of a list as it stands in a header. False with `error`; *out_bad is the one
 * that is wrong. */
MUST_CHECK bool sendmail_recipients_add(struct sendmail_recipients *r, struct str list,
                                        struct str *out_bad);
/* Whether this user may send as `sender`, as far as can be told without the server. */
bool sendmail_may_send_as(const struct settings *settings, struct str sender);
/* Says "sendmail: ..." on standard error; returns `status`. */
int sendmail_fail(int status, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* -bs: serves SMTP on standard input and output. */
int sendmail_serve(const struct settings *settings, const struct sendmail_args *args);
