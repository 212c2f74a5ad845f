/* The table of SMTP commands: see commands.h. */
#include "smtp/commands.h"

static const struct smtp_command commands[] = {
    /* Section 4.1.4: they end a transaction, also one between two chunks. */
    {"HELO", 0, smtp_cmd_helo},
    {"EHLO", 0, smtp_cmd_ehlo},
    {"MAIL", SMTP_NEEDS_HELLO, smtp_cmd_mail},
    {"RCPT", SMTP_NEEDS_HELLO | SMTP_NEEDS_MAIL | SMTP_NOT_IN_CHUNKS, smtp_cmd_rcpt},
    {"DATA", SMTP_NEEDS_HELLO | SMTP_NEEDS_MAIL | SMTP_NEEDS_RECIPIENT | SMTP_TAKES_NO_ARGS,
     smtp_cmd_data},
    /* BDAT looks for itself: its chunk must be read even when it is refused. */
    {"BDAT", 0, smtp_cmd_bdat},
    /* Without EHLO too, as gsasl says it: all that came before counts for nothing after it. */
    {"STARTTLS", SMTP_TAKES_NO_ARGS, smtp_cmd_starttls},
    {"AUTH", SMTP_NEEDS_HELLO, smtp_cmd_auth},
    {"RSET", SMTP_TAKES_NO_ARGS, smtp_cmd_rset},
    {"NOOP", 0, smtp_cmd_noop},
    {"VRFY", 0, smtp_cmd_vrfy},
    {"EXPN", 0, smtp_cmd_expn},
    {"HELP", 0, smtp_cmd_help},
    {"QUIT", SMTP_TAKES_NO_ARGS, smtp_cmd_quit},
};

const struct smtp_command *smtp_command_find(struct str verb)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (str_eq_nocase(verb, str_from_c(commands[i].verb)))
            return &commands[i];
    }
    return NULL;
}

bool smtp_command_is_foreign(struct str verb)
{
    static const char *const requests[] = {"GET",     "POST",    "HEAD",   "PUT",
                                           "CONNECT", "OPTIONS", "DELETE", "PATCH"};

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (str_eq_c(verb, requests[i]))
            return true;
    }
    /* "Host:", "Content-Length:" */
    for (size_t i = 0; i + 1 < verb.len; i++) {
        if (!ascii_is_alnum(verb.ptr[i]) && verb.ptr[i] != '-')
            return false;
    }
    return verb.len > 1 && verb.ptr[verb.len - 1] == ':';
}
