/* RSET, NOOP, VRFY, EXPN, HELP, QUIT (RFC 5321 sections 4.1.1.5 to 4.1.1.10). */
#include "smtp/commands.h"

struct reply smtp_cmd_rset(struct smtp_session *s, struct str args)
{
    (void)args;
    smtp_transaction_reset(s);
    return reply_of(250, "2.0.0", "Forgotten");
}

struct reply smtp_cmd_noop(struct smtp_session *s, struct str args)
{
    (void)s;
    (void)args;
    return reply_of(250, "2.0.0", "OK");
}

/* Section 7.3: who exists is not told to everybody. */
struct reply smtp_cmd_vrfy(struct smtp_session *s, struct str args)
{
    (void)s;
    if (args.len == 0)
        return reply_of(501, "5.5.4", "The form is VRFY address");
    return reply_of(252, "2.5.2", "Not told here; send the mail and it will be tried");
}

struct reply smtp_cmd_expn(struct smtp_session *s, struct str args)
{
    (void)s;
    (void)args;
    return reply_of(502, "5.5.1", "EXPN is not offered");
}

struct reply smtp_cmd_help(struct smtp_session *s, struct str args)
{
    (void)s;
    (void)args;
    return reply_of(214, "2.0.0",
                    "Commands: HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET\n"
                    "NOOP VRFY EXPN HELP QUIT; EHLO lists what is offered here\n"
                    "Questions about mail here: write to postmaster");
}

struct reply smtp_cmd_quit(struct smtp_session *s, struct str args)
{
    (void)args;
    return reply_last(reply_printf(&s->command_arena, 221, "2.0.0", "%s closes; goodbye",
                                   s->policy->settings->server_hostname));
}
