/*
 * demo: two throwaway servers on loopback, Tokyo and Osaka, and mail between them: put off while
 * Osaka is down, delivered, answered, returned.
 *
 * Everything goes the way that real mail goes: over SMTP to the real processes, by the DNS from one
 * to the other, and is looked at over the control socket. What it shows it also checks; the exit
 * status tells.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/demo_letter.h"
#include "cli/demo_look.h"
#include "cli/demo_world.h"
#include "cli/text.h"
#include "config.h"

/* Kyoto has a zone, and nobody at its address. */
static const struct demo_site sites[DEMO_SITES] = {
    {"tokyo", "tokyo.example", "mx.tokyo.example", "127.0.0.1", DEMO_TARO},
    {"osaka", "osaka.example", "mx.osaka.example", "127.0.0.2", DEMO_HANAKO},
    {"kyoto", "kyoto.example", "mx.kyoto.example", "127.0.0.3", NULL},
};

struct story {
    struct cli *cli;
    struct demo_world world;
    struct demo_server *tokyo, *osaka; /* in the world */
    uint64_t letter;                   /* the first one, in Tokyo */
};

/* Taro's letter waits, because nobody listens at Osaka's address. */
static int tell_put_off(struct story *s)
{
    int status = demo_letter_send(s->tokyo, &demo_letter_japanese, &s->letter);

    if (status == CLI_DONE)
        status = demo_look_await_event(s->tokyo, s->letter, "deferred");
    if (status == CLI_DONE)
        status = demo_look_show_trace(s->tokyo, s->letter);
    return status == CLI_DONE ? demo_look_show_why(s->cli, s->tokyo, s->osaka->site->domain)
                              : status;
}

static int tell_arrival(struct story *s)
{
    struct message_row row;

    demo_look_print_command(s->osaka, "serve");
    int status = demo_server_start(s->osaka);
    if (status == CLI_DONE)
        status = demo_look_await_message(s->osaka, 1, demo_letter_japanese.subject, &row);
    if (status == CLI_DONE)
        status = demo_look_await_event(s->tokyo, s->letter, "relayed");
    if (status == CLI_DONE)
        status = demo_look_await_event(s->osaka, row.id, "delivered");
    if (status == CLI_DONE)
        status = demo_look_show_trace(s->tokyo, s->letter);
    if (status == CLI_DONE)
        status = demo_look_show_trace(s->osaka, row.id);
    return status == CLI_DONE ? demo_look_show_message(s->osaka, &row) : status;
}

static int tell_answer(struct story *s)
{
    struct message_row row;
    uint64_t id;

    int status = demo_letter_send(s->osaka, &demo_letter_english, &id);
    if (status == CLI_DONE)
        status = demo_look_await_message(s->tokyo, 1, demo_letter_english.subject, &row);
    if (status == CLI_DONE)
        status = demo_look_show_mailbox(s->tokyo);
    return status == CLI_DONE ? demo_look_show_message(s->tokyo, &row) : status;
}

static int tell_return(struct story *s)
{
    struct message_row row;
    uint64_t id;

    int status = demo_letter_send(s->tokyo, &demo_letter_lost, &id);
    if (status == CLI_DONE)
        status = demo_look_await_message(s->tokyo, 2, NULL, &row);
    if (status == CLI_DONE)
        status = demo_look_await_event(s->tokyo, id, "notified");
    if (status == CLI_DONE)
        status = demo_look_show_trace(s->tokyo, id);
    if (status == CLI_DONE)
        status = demo_look_show_message(s->tokyo, &row);
    if (status != CLI_DONE)
        return status;
    (void)printf("\nThe same for programs (message/delivery-status):\n\n");
    return demo_look_show_report(s->tokyo, &row, DEMO_NOBODY);
}

static const struct {
    const char *english, *japanese;
    int (*tell)(struct story *s);
} chapters[] = {
    {"Taro writes to Hanako. Osaka is down: the letter is put off, not lost.",
     "太郎から花子へ。大阪は止まっています。手紙は失われず、延期されます。", tell_put_off},
    {"Osaka starts: the letter arrives.", "大阪が動き出し、手紙が届きます。", tell_arrival},
    {"Hanako answers.", "花子からの返事。", tell_answer},
    {"Taro writes to somebody whom Osaka does not know: the letter comes back.",
     "大阪にいない人への手紙は、太郎に戻ってきます。", tell_return},
};

static void print_world(const struct story *s)
{
    (void)printf("Hikyaku %s: two servers for trying out\n\n", HIKYAKU_VERSION);
    for (size_t i = 0; i < DEMO_SERVERS; i++)
        (void)printf("  %s   %s:%d   %s\n", sites[i].hostname, sites[i].address, s->world.port,
                     sites[i].user);
    if (s->world.dns.port != 0)
        (void)printf("  DNS                NSD at 127.0.0.1:%d, a zone for each domain\n",
                     s->world.dns.port);
    else
        (void)printf("  DNS                resolver.local_records of both servers, for want of "
                     "--nsd\n");
    (void)printf("  folder             %s\n", s->world.dir);
}

static int tell_story(struct story *s)
{
    bool is_japanese = text_is_japanese();
    int status = demo_server_start(s->tokyo);

    if (status == CLI_DONE)
        print_world(s);
    for (size_t i = 0; status == CLI_DONE && i < ARRAY_LEN(chapters); i++) {
        (void)printf("\n--- %zu. %s\n", i + 1,
                     is_japanese ? chapters[i].japanese : chapters[i].english);
        status = chapters[i].tell(s);
        (void)fflush(stdout);
    }
    if (status == CLI_DONE)
        (void)printf("\n--- %s\n", is_japanese ? "すべて順調でした。" : "All went as it should.");
    return status;
}

/* Waits for Ctrl-C (which is blocked, so that it always ends here). */
static void stay(const struct story *s, const sigset_t *signals)
{
    CLEANUP(cleanup_free) char *program = realpath("/proc/self/exe", NULL);
    int signal_number, port = s->world.port;

    (void)printf("\nBoth servers stay up. Try, in another terminal:\n\n");
    for (size_t i = 0; i < DEMO_SERVERS; i++)
        (void)printf("  alias %s='%s -c %s'\n", sites[i].name,
                     program != NULL ? program : "hikyaku",
                     s->world.servers[i].instance.config_path);
    (void)printf("\n"
                 "  swaks --server 127.0.0.1:%d --from " DEMO_TARO " --to " DEMO_HANAKO "\n"
                 "  echo 元気ですか | tokyo send -f " DEMO_TARO " -s 花子様 " DEMO_HANAKO "\n"
                 "  osaka mailbox show " DEMO_HANAKO "\n"
                 "  osaka trace " DEMO_HANAKO "\n"
                 "  tokyo dns osaka.example\n"
                 "  echo hello | tokyo send -f " DEMO_TARO " you@kyoto.example   # is down\n"
                 "  tokyo queue list\n"
                 "  tokyo queue why kyoto.example\n"
                 "  tail -f %s/*/log\n\n"
                 "Ctrl-C stops everything and removes the folder.\n",
                 port, s->world.dir);
    (void)fflush(stdout);
    (void)sigwait(signals, &signal_number);
    (void)printf("\n");
}

int cmd_demo(struct cli *cli)
{
    struct story story = {.cli = cli};
    sigset_t signals;

    story.tokyo = &story.world.servers[0];
    story.osaka = &story.world.servers[1];
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    int status = demo_world_make(&story.world, sites, cli_option(cli, "--nsd"));
    if (status == CLI_DONE)
        status = tell_story(&story);
    if (status == CLI_DONE && cli_option(cli, "--once") == NULL)
        stay(&story, &signals);
    if (status == CLI_DONE)
        status = demo_world_stop(&story.world);
    if (status != CLI_DONE && !demo_is_interrupted())
        demo_world_print_logs(&story.world);
    demo_world_remove(&story.world);
    return status;
}
