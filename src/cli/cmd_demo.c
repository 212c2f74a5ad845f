/*
 * demo: a throwaway server on 127.0.0.1, two users, mail flowing, and what became of it.
 *
 * Everything goes the way that real mail goes: over SMTP to the real processes, and is looked at
 * over the control socket. What it shows it also checks; the exit status tells.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/demo_server.h"
#include "cli/demo_smtp.h"
#include "cli/headline.h"
#include "cli/show.h"
#include "config.h"
#include "store/wire.h"

#define DOMAIN   "example.jp"
#define HOSTNAME "mx.example.jp"
#define TARO     "taro@" DOMAIN
#define HANAKO   "hanako@" DOMAIN
#define NOBODY   "nobody@" DOMAIN
#define COURIER  "courier@edo.example"

#define JAPANESE_SUBJECT "飛脚のお知らせ"
#define ENGLISH_SUBJECT  "Timetable of the couriers"

enum { TEXT_MAX_BYTES = 64 * 1024, ARGS_MAX_BYTES = 1024, MESSAGES_MAX = 4 };

struct letter {
    const char *subject;
    const char *to[2];
    const char *text; /* what follows Date and Message-ID */
    bool is_refused;
};

/* The Japanese texts are ISO-2022-JP, as mail in Japan has been written since the 1980s. The body
 * says: "Dear Taro and Hanako, a letter has arrived. From Edo to Kyoto, it takes six days." */
static const struct letter letters[] = {
    {JAPANESE_SUBJECT,
     {TARO, HANAKO},
     "From: =?ISO-2022-JP?B?GyRCSHQ1UxsoQg==?= <" COURIER ">\r\n"
     "To: " TARO ", " HANAKO "\r\n"
     "Subject: =?ISO-2022-JP?B?GyRCSHQ1UyROJCpDTiRpJDsbKEI=?=\r\n"
     "MIME-Version: 1.0\r\n"
     "Content-Type: text/plain; charset=ISO-2022-JP\r\n"
     "Content-Transfer-Encoding: 7bit\r\n"
     "\r\n"
     "\033$BB@O:MM!\"2V;RMM!\"\033(B\r\n"
     "\r\n"
     "\033$B$*<j;f$,FO$-$^$7$?!#\033(B\r\n"
     "\033$B9>8M$+$i5~$^$G!\"O;F|$G;2$j$^$9!#\033(B\r\n",
     false},
    {ENGLISH_SUBJECT,
     {TARO, NULL},
     "From: \"Courier\" <" COURIER ">\r\n"
     "To: " TARO "\r\n"
     "Subject: " ENGLISH_SUBJECT "\r\n"
     "MIME-Version: 1.0\r\n"
     "Content-Type: multipart/mixed; boundary=\"tokaido\"\r\n"
     "\r\n"
     "--tokaido\r\n"
     "Content-Type: text/plain; charset=us-ascii\r\n"
     "\r\n"
     "Dear Taro,\r\n"
     "\r\n"
     "the timetable is attached.\r\n"
     "\r\n"
     "--tokaido\r\n"
     "Content-Type: text/csv; name=\"timetable.csv\"\r\n"
     "Content-Disposition: attachment; filename=\"timetable.csv\"\r\n"
     "Content-Transfer-Encoding: base64\r\n"
     "\r\n"
     "c3RhdGlvbixkYXkNCkVkbywxDQpIYWtvbmUsMg0KS3lvdG8sNg0K\r\n"
     "--tokaido--\r\n",
     false},
    {"To nobody", {NOBODY, NULL}, "Subject: To nobody\r\n\r\n", true},
};

/* --- sending --- */

static int fail_smtp(int r)
{
    return cli_fail("the SMTP dialogue broke off: %s", strerror(-r));
}

/* A reply that the demonstration did not expect. */
static int fail_reply(const struct demo_smtp *s)
{
    return cli_fail("the server answered what it should not: %.*s", STR_ARG(buf_str(&s->reply)));
}

static void put_letter(const struct letter *letter, size_t number, struct buf *out)
{
    char date[CLOCK_TEXT_BYTES];

    buf_printf(out, "Date: %s\r\nMessage-ID: <demo-%zu-%lld@edo.example>\r\n%s",
               clock_format_mail(clock_real_ms(), date), number, (long long)clock_real_ms(),
               letter->text);
}

static int send_text(struct demo_smtp *s, const struct letter *letter, size_t number)
{
    struct buf text;

    int r = demo_smtp_command(s, "DATA");
    if (r < 0)
        return fail_smtp(r);
    if (s->code != 354)
        return fail_reply(s);
    buf_init(&text, TEXT_MAX_BYTES);
    put_letter(letter, number, &text);
    r = demo_smtp_text(s, buf_str(&text));
    buf_done(&text);
    if (r < 0)
        return fail_smtp(r);
    return s->code == 250 ? CLI_DONE : fail_reply(s);
}

/* The envelope. CLI_DONE when the server says of each recipient what it should. */
static int send_envelope(struct demo_smtp *s, const struct letter *letter)
{
    int expected = letter->is_refused ? 550 : 250;

    int r = demo_smtp_command(s, "MAIL FROM:<%s>", COURIER);
    if (r == 0 && s->code != 250)
        return fail_reply(s);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(letter->to) && letter->to[i] != NULL; i++) {
        r = demo_smtp_command(s, "RCPT TO:<%s>", letter->to[i]);
        if (r == 0 && s->code != expected)
            return fail_reply(s);
    }
    return r < 0 ? fail_smtp(r) : CLI_DONE;
}

static int send_letter(struct demo_smtp *s, const struct letter *letter, size_t number)
{
    bool has_two = letter->to[1] != NULL;

    int status = send_envelope(s, letter);
    if (status == CLI_DONE && !letter->is_refused)
        status = send_text(s, letter, number);
    if (status != CLI_DONE)
        return status;
    (void)printf("  \"%s\" to %s%s%s\n      %s\n", letter->subject, letter->to[0],
                 has_two ? " and " : "", has_two ? letter->to[1] : "", buf_c_str(&s->reply));
    int r = letter->is_refused ? demo_smtp_command(s, "RSET") : 0;
    return r < 0 ? fail_smtp(r) : CLI_DONE;
}

static int send_letters(const struct demo_server *server)
{
    struct demo_smtp smtp;
    int status = CLI_DONE;

    (void)printf("\nMail comes in by SMTP\n");
    int r = demo_smtp_open(&smtp, demo_server_smtp_port(server));
    if (r == 0)
        r = demo_smtp_command(&smtp, "EHLO edo.example");
    if (r < 0 || smtp.code != 250)
        status = r < 0 ? fail_smtp(r) : fail_reply(&smtp);
    for (size_t i = 0; status == CLI_DONE && i < ARRAY_LEN(letters); i++)
        status = send_letter(&smtp, &letters[i], i + 1);
    if (status == CLI_DONE && (r = demo_smtp_command(&smtp, "QUIT")) < 0)
        status = fail_smtp(r);
    demo_smtp_close(&smtp);
    return status;
}

/* --- looking --- */

struct inbox {
    struct message_row rows[MESSAGES_MAX]; /* views in them are dead */
    char *subjects[MESSAGES_MAX];
    size_t count;
};

static int note_message(void *arg, const struct message_row *row)
{
    struct inbox *inbox = arg;
    struct headline h;

    if (inbox->count == MESSAGES_MAX)
        return cli_fail("there are more messages than were sent");
    headline_init(&h, row->summary);
    inbox->rows[inbox->count] = *row;
    inbox->subjects[inbox->count++] = xstrdup(buf_c_str(&h.subject));
    headline_done(&h);
    return CLI_DONE;
}

static void inbox_done(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->count; i++)
        free(inbox->subjects[i]);
}

/* Whether exactly the letters sent to the account lie there, in their order. */
static int check_inbox(const char *account, const struct inbox *inbox)
{
    size_t found = 0;

    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        const struct letter *l = &letters[i];
        bool is_for_it =
            strcmp(l->to[0], account) == 0 || (l->to[1] != NULL && strcmp(l->to[1], account) == 0);
        if (!is_for_it)
            continue;
        if (found >= inbox->count || strcmp(inbox->subjects[found], l->subject) != 0)
            return cli_fail("\"%s\" has not arrived at %s", l->subject, account);
        found++;
    }
    return found == inbox->count ? CLI_DONE
                                 : cli_fail("%s has more messages than were sent", account);
}

static int read_inbox(struct client *client, const char *account, struct inbox *out)
{
    int status = messages_list(client, str_from_c(account), STR("INBOX"), note_message, out);

    return status == CLI_DONE ? check_inbox(account, out) : status;
}

static int print_trace(struct client *client, uint64_t ref, struct str address)
{
    struct trace_query q = {.ref = ref, .address = address, .max_rows = TRACE_QUERY_ROWS_MAX};
    size_t events;

    int status = trace_print(client, &q, "  ", &events);
    if (status == CLI_DONE && events == 0)
        return cli_fail("nothing was recorded about a message");
    return status;
}

static int show_mailboxes(struct client *client)
{
    static const char *const accounts[] = {TARO, HANAKO};
    int status = CLI_DONE;

    for (size_t i = 0; status == CLI_DONE && i < ARRAY_LEN(accounts); i++) {
        (void)printf("\nhikyaku mailbox list %s\n", accounts[i]);
        status = mailbox_print_list(client, str_from_c(accounts[i]), "  ");
    }
    if (status == CLI_DONE) {
        (void)printf("\nhikyaku mailbox show %s\n", TARO);
        status = mailbox_print_messages(client, STR(TARO), STR("INBOX"), "  ");
    }
    return status;
}

static int show_all(struct client *client)
{
    struct inbox taro = {0}, hanako = {0};

    int status = read_inbox(client, TARO, &taro);
    if (status == CLI_DONE)
        status = read_inbox(client, HANAKO, &hanako);
    if (status == CLI_DONE) {
        (void)printf("\nWhat became of it: hikyaku trace\n");
        for (size_t i = 0; status == CLI_DONE && i < taro.count; i++)
            status = print_trace(client, taro.rows[i].id, STR(""));
    }
    if (status == CLI_DONE)
        status = show_mailboxes(client);
    if (status == CLI_DONE) {
        const struct message_row *newest = &hanako.rows[hanako.count - 1];
        (void)printf("\nhikyaku mailbox show %s %llu\n", HANAKO, (unsigned long long)newest->uid);
        status = show_message(client, newest);
    }
    inbox_done(&hanako);
    inbox_done(&taro);
    return status;
}

/* --- the round --- */

static int add_account(struct client *client, const char *address)
{
    struct buf args, reply;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, str_from_c(address));
    buf_put_u8(&args, 0);
    buf_put_lp(&args, STR(""));
    int status = client_do(client, STORE_ACCOUNT_ADD, buf_str(&args), &reply);
    buf_done(&reply);
    buf_done(&args);
    return status;
}

static void print_server(const struct demo_server *server)
{
    (void)printf("Hikyaku %s: a server for trying out\n\n"
                 "  SMTP    127.0.0.1:%d\n"
                 "  users   " TARO ", " HANAKO "\n"
                 "  folder  %s\n",
                 HIKYAKU_VERSION, demo_server_smtp_port(server), server->dir);
}

static int run_round(const struct demo_server *server)
{
    struct client client;
    int status = CLI_DONE;

    if (client_open(&client, server->instance.run_dir, server->instance.config_path) < 0)
        status = cli_fail("%s", client.error);
    if (status == CLI_DONE)
        status = add_account(&client, TARO);
    if (status == CLI_DONE)
        status = add_account(&client, HANAKO);
    if (status == CLI_DONE)
        print_server(server);
    if (status == CLI_DONE)
        status = send_letters(server);
    if (status == CLI_DONE)
        status = show_all(&client);
    client_close(&client);
    if (status == CLI_DONE)
        (void)printf("\nAll letters have arrived.\n");
    return status;
}

/* Waits for Ctrl-C (which is blocked, so that it always ends here). */
static void stay(const struct demo_server *server, const sigset_t *signals)
{
    int signal_number;

    (void)printf("\nThe server stays up. Try:\n"
                 "  swaks --server 127.0.0.1:%d --from you@example.org --to " TARO "\n"
                 "  hikyaku mailbox show " TARO " -c %s\n"
                 "  hikyaku trace " TARO " -c %s\n"
                 "  tail -f %s\n\n"
                 "Ctrl-C stops it and removes the folder.\n",
                 demo_server_smtp_port(server), server->instance.config_path,
                 server->instance.config_path, server->log_path);
    (void)fflush(stdout);
    (void)sigwait(signals, &signal_number);
    (void)printf("\n");
}

int cmd_demo(struct cli *cli)
{
    bool is_once = cli_option(cli, "--once") != NULL;
    struct demo_server server;
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    int status = demo_server_make(&server, HOSTNAME, DOMAIN);
    if (status == CLI_DONE)
        status = demo_server_start(&server);
    if (status == CLI_DONE)
        status = run_round(&server);
    if (status == CLI_DONE && !is_once)
        stay(&server, &signals);
    if (status == CLI_DONE)
        status = demo_server_stop(&server);
    if (status != CLI_DONE)
        demo_server_print_log(&server);
    demo_server_remove(&server);
    return status;
}
