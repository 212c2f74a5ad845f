/*
 * The one table of commands: what can be typed, what help says of it, who does it. Parsing, help,
 * suggestions and completion all follow from these rows.
 */
#include "cli/commands.h"

static const struct cli_option init_options[] = {
    {"--hostname", "NAME", "this machine's full name, such as mx.example.jp"},
    {"--domain", "NAME", "the first domain whose mail is taken, such as example.jp"},
    {"--dir", "DIR", "keep everything below DIR; default: the system's own folders"},
    {"--address", "ADDRESS", "listen on this address only; default: on all of them"},
    {"--port-offset", "N", "listen on port 25 + N: to try without being root"},
    {"--user", "USER", "whom the server becomes when root starts it"},
    {NULL, NULL, NULL},
};
static const struct cli_option demo_options[] = {
    {"--once", NULL, "end after one round, with status 0 if all went well"},
    {"--nsd", "PATH", "the program nsd: DNS of their own, by a name server and zones"},
    {NULL, NULL, NULL},
};
static const struct cli_option domain_set_options[] = {
    {"--catch-all", "ADDRESS", "mail to unknown users of the domain goes to ADDRESS"},
    {"--no-catch-all", NULL, "mail to unknown users is refused"},
    {NULL, NULL, NULL},
};
static const struct cli_option account_password_options[] = {
    {"--password-stdin", NULL, "the password is the first line of standard input"},
    {"--hash-stdin", NULL, "so is its hash from another system; see below"},
    {"--no-password", NULL, "nobody can log in, unless auth.backend says so; mail is kept"},
    {NULL, NULL, NULL},
};
static const struct cli_option account_check_options[] = {
    {"--for", "PURPOSE", "send (the default) or read"},
    {"--password-stdin", NULL, "the password is the first line of standard input"},
    {NULL, NULL, NULL},
};
static const struct cli_option account_totp_options[] = {
    {"--png", "FILE", "enable: write the QR code into this new file, too"},
    {NULL, NULL, NULL},
};
static const struct cli_option account_app_password_options[] = {
    {"--scope", "SCOPE", "add: send, read or send,read (the default)"},
    {"--expires", "SPAN", "add: until when it works: 90d, 12h; default: for ever"},
    {NULL, NULL, NULL},
};
static const struct cli_option account_limits_options[] = {
    {"--messages-per-minute", "N", "messages that it may send in a minute"},
    {"--recipients-per-day", "N", "recipients that it may send to in a day (of UTC)"},
    {"--new-recipients-per-day", "N", "those of them to whom it never wrote before"},
    {NULL, NULL, NULL},
};
#define ACCOUNT_PASSWORD_SYNOPSIS "ADDRESS [--password-stdin | --hash-stdin | --no-password]"
#define ACCOUNT_PASSWORD_MORE                                                                      \
    "Asks for the password twice, unless an option says otherwise. Hashes that are taken: of\n"    \
    "crypt(3) ($y$, $2b$, $6$, $5$; also behind {CRYPT}), argon2id, {SSHA}, {SSHA256}, "           \
    "{SSHA512},\n"                                                                                 \
    "{PBKDF2-SHA256} and the like; the first login replaces them. While auth.cram_md5 is on, "     \
    "new\n"                                                                                        \
    "passwords are also kept in a form that can be recovered."
static const struct cli_option account_remove_options[] = {
    {"--with-mail", NULL, "also when there are messages: they are gone for good"},
    {NULL, NULL, NULL},
};
static const struct cli_option mailbox_show_options[] = {
    {"--raw", NULL, "the exact bytes of the message"},
    {NULL, NULL, NULL},
};
static const struct cli_option export_options[] = {
    {"--format", "FORMAT", "mbox or maildir"},
    {"--mailbox", "NAME", "only this mailbox; default: INBOX for mbox, all for Maildir"},
    {NULL, NULL, NULL},
};
static const struct cli_option import_options[] = {
    {"--format", "FORMAT", "mbox or maildir"},
    {"--mailbox", "NAME", "into this mailbox; default: INBOX, and a Maildir's folders as such"},
    {NULL, NULL, NULL},
};
static const struct cli_option trace_options[] = {
    {"--since", "TIME", "what happened since then: 45min, 2h, 7d"},
    {"--limit", "N", "at most N events, the newest"},
    {NULL, NULL, NULL},
};
static const struct cli_option backup_options[] = {
    {"--force", NULL, "overwrite FILE"},
    {NULL, NULL, NULL},
};
static const struct cli_option restore_options[] = {
    {"--dir", "DIR", "fill this data folder instead of that of the configuration"},
    {NULL, NULL, NULL},
};

static const struct cli_option send_options[] = {
    {"-f", "ADDRESS", "send as ADDRESS; default: the user's own address"},
    {"-s", "TEXT", "the subject, in any language"},
    {"-a", "FILE", "a file to go along; may be given several times"},
    {"--at", "TIME",
     "send it then: 18:30 (the next), \"2026-11-21 18:30\", or with a zone as RFC "
     "3339 has it"},
    {"--in", "TIME", "send it after that time: 30min, 2h, 1d"},
    {"--by", "TIME", "tell me if it is not delivered within that time of being sent"},
    {"--return", NULL, "and return it then; only to servers that promise that (DELIVERBY)"},
    {"--priority", "N", "from -9, last, to 9, first, among what waits; 0 is usual"},
    {NULL, NULL, NULL},
};

static const struct cli_option queue_list_options[] = {
    {"--id", "ID", "only this message"},
    {"--sender", "ADDRESS", "only from this sender; \"<>\" is the null sender"},
    {"--recipient", "ADDRESS", "only to this recipient"},
    {"--domain", "DOMAIN", "only to recipients of this domain"},
    {"--state", "STATE", "ready, deferred, held, scheduled, sending or reporting"},
    {"--scheduled", NULL, "only what waits for the time that its sender asked for"},
    {"--limit", "N", "at most N recipients; default: 1000, with --json all"},
    {NULL, NULL, NULL},
};
#define QUEUE_CHOICE                                                                               \
    {"--sender", "ADDRESS", "all from this sender; \"<>\" is the null sender"},                    \
        {"--recipient", "ADDRESS", "all to this recipient"},                                       \
        {"--domain", "DOMAIN", "all to recipients of this domain"},                                \
    {                                                                                              \
        "--all", NULL, "everything in the queue"                                                   \
    }
static const struct cli_option queue_act_options[] = {
    QUEUE_CHOICE,
    {NULL, NULL, NULL},
};
static const struct cli_option queue_end_options[] = {
    QUEUE_CHOICE,
    {"--yes", NULL, "do not ask, also when it concerns several messages"},
    {NULL, NULL, NULL},
};
static const struct cli_option ban_add_options[] = {
    {"--for", "TIME", "for so long: 45min, 2h, 7d; default: until it is lifted"},
    {"--reason", "TEXT", "why, for those who look at the list"},
    {NULL, NULL, NULL},
};
static const struct cli_option suppression_clear_options[] = {
    {"--yes", NULL, "do not ask"},
    {NULL, NULL, NULL},
};
#define QUEUE_CHOICE_SYNOPSIS                                                                      \
    "(ID | [--sender ADDRESS] [--recipient ADDRESS] [--domain DOMAIN] | --all)"
#define QUEUE_CHOICE_MORE                                                                          \
    "Of several choices all must fit. With an ID, --recipient chooses among its recipients."

enum { MANY = 1000 };

static const struct cli_command commands[] = {
    {"init", "--hostname NAME --domain NAME [--dir DIR] [--address ADDRESS] [--port-offset N]",
     "first set-up: folders, configuration, domain; prints the DNS records", cmd_init, 0, 0, 0,
     init_options, NULL},
    {"serve", "", "run the server in the foreground", cmd_serve, 0, 0, 0, NULL,
     "SIGTERM stops it after its sessions have come to an end; SIGHUP is hikyaku reload."},
    {"demo", "[--once] [--nsd PATH]", "two throwaway servers on loopback, mail between them",
     cmd_demo, 0, 0, 0, demo_options, NULL},

    {"domain add", "NAME", "take mail for a domain", cmd_domain_add, CLI_CONNECTS, 1, 1, NULL,
     "Brings an account postmaster@NAME with it."},
    {"domain list", "", "the domains of this server", cmd_domain_list, CLI_CONNECTS | CLI_JSON, 0,
     0, NULL, NULL},
    {"domain set", "NAME --catch-all ADDRESS | --no-catch-all", "change a domain", cmd_domain_set,
     CLI_CONNECTS, 1, 1, domain_set_options, NULL},
    {"domain remove", "NAME", "take no more mail for a domain", cmd_domain_remove, CLI_CONNECTS, 1,
     1, NULL, "Refused while the domain has accounts."},

    {"account add", ACCOUNT_PASSWORD_SYNOPSIS, "make an account", cmd_account_add, CLI_CONNECTS, 1,
     1, account_password_options, ACCOUNT_PASSWORD_MORE},
    {"account list", "", "the accounts of this server", cmd_account_list, CLI_CONNECTS | CLI_JSON,
     0, 0, NULL, NULL},
    {"account show", "ADDRESS", "one account, and what it logs in with", cmd_account_show,
     CLI_CONNECTS | CLI_JSON, 1, 1, NULL, NULL},
    {"account password", ACCOUNT_PASSWORD_SYNOPSIS, "set a new password", cmd_account_password,
     CLI_CONNECTS, 1, 1, account_password_options, ACCOUNT_PASSWORD_MORE},
    {"account check", "ADDRESS [--for PURPOSE] [--password-stdin]",
     "whether a mail program would be let in with a password", cmd_account_check, CLI_CONNECTS, 1,
     1, account_check_options, NULL},
    {"account totp", "ADDRESS [enable | confirm CODE | check CODE | disable] [--png FILE]",
     "codes of an app as a second factor", cmd_account_totp, CLI_CONNECTS | CLI_JSON, 1, 3,
     account_totp_options,
     "enable shows a QR code for the app; confirm turns it on with a first code of the app. From\n"
     "then on mail programs, which cannot ask for a code, need app passwords. check tells whether "
     "a\n"
     "code of the app, or of recovery, is right: when somebody who asks for help has to show who "
     "he\n"
     "is."},
    {"account recovery-codes", "ADDRESS", "ten codes for the day when the phone is lost",
     cmd_account_recovery_codes, CLI_CONNECTS | CLI_JSON, 1, 1, NULL,
     "Older ones are void. Each stands once for a code of the app, in: account totp ADDRESS "
     "check."},
    {"account app-password",
     "list ADDRESS | add ADDRESS NAME [--scope SCOPE] [--expires SPAN] | remove ADDRESS NAME|ID",
     "passwords for single mail programs", cmd_account_app_password, CLI_CONNECTS | CLI_JSON, 2, 3,
     account_app_password_options,
     "Each is shown once, when it is made, and can be revoked without changing anything else."},
    {"account delegate", "list ADDRESS | add ADDRESS OTHER | remove ADDRESS OTHER",
     "addresses of others that an account may send as", cmd_account_delegate,
     CLI_CONNECTS | CLI_JSON, 2, 3, NULL, "Its own address and its aliases need no mention."},
    {"account limits",
     "ADDRESS [--messages-per-minute N] [--recipients-per-day N] [--new-recipients-per-day N]",
     "what an account may send, and has sent today", cmd_account_limits, CLI_CONNECTS | CLI_JSON, 1,
     1, account_limits_options,
     "An option sets a limit of the account's own, from its next message on: a number, none, or\n"
     "default, which is what the settings submission.* say."},
    {"account sessions", "[ADDRESS]", "who is logged in, and from where accounts were",
     cmd_account_sessions, CLI_CONNECTS | CLI_JSON, 0, 1, NULL,
     "Of each account the last fifty places of ninety days. To end a session, change the "
     "password,\n"
     "remove the app password or disable the account: it may not send its next message then."},
    {"account disable", "ADDRESS", "let nobody log in to an account; mail is kept",
     cmd_account_disable, CLI_CONNECTS, 1, 1, NULL, NULL},
    {"account enable", "ADDRESS", "undo that", cmd_account_enable, CLI_CONNECTS, 1, 1, NULL, NULL},
    {"account language", "ADDRESS en|ja|both",
     "in which language notices are written to an account", cmd_account_language, CLI_CONNECTS, 2,
     2, NULL, "For notices about mail that could not be delivered. New accounts have both."},
    {"account remove", "ADDRESS [--with-mail]", "remove an account", cmd_account_remove,
     CLI_CONNECTS, 1, 1, account_remove_options, NULL},

    {"alias add", "ADDRESS TARGET...", "another address for one or more targets", cmd_alias_add,
     CLI_CONNECTS, 2, MANY, NULL,
     "Targets may be elsewhere. ADDRESS \"@example.jp\" means all unknown users of the domain."},
    {"alias list", "", "the aliases and where they go", cmd_alias_list, CLI_CONNECTS | CLI_JSON, 0,
     0, NULL, NULL},
    {"alias remove", "ADDRESS [TARGET...]", "remove an alias, or some of its targets",
     cmd_alias_remove, CLI_CONNECTS, 1, MANY, NULL, NULL},

    {"mailbox list", "ADDRESS", "the mailboxes of an account", cmd_mailbox_list,
     CLI_CONNECTS | CLI_JSON, 1, 1, NULL, NULL},
    {"mailbox show", "ADDRESS [MAILBOX] [UID]", "the messages of a mailbox, or one of them",
     cmd_mailbox_show, CLI_CONNECTS | CLI_JSON, 1, 3, mailbox_show_options,
     "Without MAILBOX it is INBOX. Flags: Seen, Answered, Flagged, Deleted, draft."},
    {"mailbox export", "ADDRESS --format FORMAT [--mailbox NAME] PATH",
     "write messages to an mbox file or a Maildir", cmd_mailbox_export, CLI_CONNECTS, 2, 2,
     export_options,
     "PATH must be new or empty; - is standard output, for mbox. Lines end in LF; \"From \" lines\n"
     "are quoted as mboxrd does. A Maildir keeps dates as the files' times."},
    {"mailbox import", "ADDRESS --format FORMAT [--mailbox NAME] PATH",
     "add messages from an mbox file or a Maildir", cmd_mailbox_import, CLI_CONNECTS, 2, 2,
     import_options,
     "PATH - is standard input, for mbox. Flags and dates are kept. Nothing is compared with what\n"
     "is there: importing a second time adds everything again."},
    {"mailbox expunge", "ADDRESS MAILBOX UID", "remove a message", cmd_mailbox_expunge,
     CLI_CONNECTS, 3, 3, NULL, NULL},
    {"mailbox undelete", "ADDRESS MAILBOX UID", "bring an expunged message back",
     cmd_mailbox_undelete, CLI_CONNECTS, 3, 3, NULL,
     "Possible until store.expunged_retention ends. It gets a new UID."},

    {"send",
     "[-f ADDRESS] [-s TEXT] [-a FILE]... [--at TIME | --in TIME] [--by TIME [--return]] "
     "[--priority N] ADDRESS...",
     "send a mail; its text is read from standard input", cmd_send, 0, 1, MANY, send_options,
     "Any user may, also while no server runs. The server mends the header and says by mail what\n"
     "could not be sent. See also sendmail(8)."},
    {"trace", "ID | ADDRESS | --since TIME [--limit N]", "what became of a message", cmd_trace,
     CLI_CONNECTS | CLI_JSON, 0, 1, trace_options,
     "ID is that of a message or a session, as replies, headers and the log have it."},
    {"queue list",
     "[--id ID] [--sender ADDRESS] [--recipient ADDRESS] [--domain DOMAIN] [--state STATE] "
     "[--scheduled] [--limit N]",
     "what waits to go out", cmd_queue_list, CLI_CONNECTS | CLI_JSON, 0, 0, queue_list_options,
     "One line for each recipient."},
    {"queue show", "ID", "a message that waits: each recipient, and its trace", cmd_queue_show,
     CLI_CONNECTS | CLI_JSON, 1, 1, NULL, NULL},
    {"queue why", "DOMAIN", "why mail for a domain waits, and what can be done", cmd_queue_why,
     CLI_CONNECTS | CLI_JSON, 1, 1, NULL, NULL},
    {"queue stats", "", "the queue in numbers, and where most of it waits", cmd_queue_stats,
     CLI_CONNECTS | CLI_JSON, 0, 0, NULL, NULL},
    {"queue retry", QUEUE_CHOICE_SYNOPSIS, "try again at once", cmd_queue_retry,
     CLI_CONNECTS | CLI_JSON, 0, 1, queue_act_options, QUEUE_CHOICE_MORE},
    {"queue hold", QUEUE_CHOICE_SYNOPSIS, "keep back until it is released", cmd_queue_hold,
     CLI_CONNECTS | CLI_JSON, 0, 1, queue_act_options, QUEUE_CHOICE_MORE},
    {"queue release", QUEUE_CHOICE_SYNOPSIS, "let go what was held or is scheduled, now",
     cmd_queue_release, CLI_CONNECTS | CLI_JSON, 0, 1, queue_act_options, QUEUE_CHOICE_MORE},
    {"queue cancel", QUEUE_CHOICE_SYNOPSIS " [--yes]", "forget what is scheduled", cmd_queue_cancel,
     CLI_CONNECTS | CLI_JSON, 0, 1, queue_end_options,
     QUEUE_CHOICE_MORE "\nWhat is on its way already is left alone. Asks, or refuses where nobody "
                       "can be\nasked, when it concerns several messages."},
    {"queue drop", QUEUE_CHOICE_SYNOPSIS " [--yes]", "forget without a word", cmd_queue_drop,
     CLI_CONNECTS | CLI_JSON, 0, 1, queue_end_options,
     QUEUE_CHOICE_MORE "\nAsks, or refuses where nobody can be asked, when it concerns several "
                       "messages."},
    {"queue bounce", QUEUE_CHOICE_SYNOPSIS " [--yes]", "return to the sender", cmd_queue_bounce,
     CLI_CONNECTS | CLI_JSON, 0, 1, queue_end_options,
     QUEUE_CHOICE_MORE "\nAsks, or refuses where nobody can be asked, when it concerns several "
                       "messages."},
    {"suppression list", "", "addresses elsewhere that are not tried any more",
     cmd_suppression_list, CLI_CONNECTS | CLI_JSON, 0, 0, NULL,
     "Those that refused mail for good, again and again; also those whose refusals are counted."},
    {"suppression remove", "ADDRESS", "let mail to an address through again",
     cmd_suppression_remove, CLI_CONNECTS | CLI_JSON, 1, 1, NULL, NULL},
    {"suppression clear", "[--yes]", "let mail to all of them through again", cmd_suppression_clear,
     CLI_CONNECTS | CLI_JSON, 0, 0, suppression_clear_options, NULL},
    {"ban list", "", "networks that may not connect or log in", cmd_ban_list,
     CLI_CONNECTS | CLI_JSON, 0, 0, NULL,
     "Those that failed logins have brought bar from logging in only; one that was added by hand\n"
     "bars from everything."},
    {"ban add", "NETWORK [--for TIME] [--reason TEXT]", "let a network not connect any more",
     cmd_ban_add, CLI_CONNECTS | CLI_JSON, 1, 1, ban_add_options, NULL},
    {"ban remove", "NETWORK", "let it connect again, and forget its failures", cmd_ban_remove,
     CLI_CONNECTS | CLI_JSON, 1, 1, NULL, NULL},
    {"dns", "NAME [TYPE]", "what the resolver says of a name; without TYPE: where its mail goes",
     cmd_dns, CLI_JSON, 1, 2, NULL,
     "Asks by the settings of the file, through a resolver of its own. TYPE: A, AAAA, MX, PTR,\n"
     "TLSA, TXT. NAME - takes names from standard input, one a line; answers come as they come."},
    {"status", "", "the running server in numbers", cmd_status, CLI_CONNECTS | CLI_JSON, 0, 0, NULL,
     NULL},
    {"reload", "", "let the server read its configuration again", cmd_reload, CLI_CONNECTS, 0, 0,
     NULL, NULL},
    {"backup", "FILE [--force]", "write everything into one file while the server runs", cmd_backup,
     CLI_CONNECTS, 1, 1, backup_options,
     "FILE is a tar archive. It is read back before this ends. Run it as root or as the server's\n"
     "user."},
    {"restore", "FILE [--dir DIR]", "fill an empty data folder from a backup", cmd_restore, 0, 1, 1,
     restore_options,
     "No server may be running. Where there is no configuration yet, that of the backup is put in\n"
     "place."},
    {"config check", "", "read the configuration and its keys, and say what is wrong",
     cmd_config_check, 0, 0, 0, NULL, NULL},
    {"config show", "", "the settings in force", cmd_config_show, CLI_JSON, 0, 0, NULL, NULL},
    {"config sample", "", "a file in which every setting is explained", cmd_config_sample, 0, 0, 0,
     NULL, NULL},
    {"config man", "", "the manual page hikyaku.conf(5), in mdoc", cmd_config_man, 0, 0, 0, NULL,
     NULL},
    {"config help", "", "every setting, explained", cmd_config_help, 0, 0, 0, NULL, NULL},
    {"version", "", "versions of the program and its libraries", cmd_version, CLI_JSON, 0, 0, NULL,
     NULL},
};

const struct cli_command *cli_commands(size_t *out_count)
{
    *out_count = ARRAY_LEN(commands);
    return commands;
}
