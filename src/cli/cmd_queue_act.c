/*
 * queue retry, hold, release, drop, bounce, cancel: what an administrator does to what waits.
 *
 * Which recipients are meant is said by a message's id, by --sender, --recipient and --domain
 * (all that are given must fit), or by --all: never by nothing. What cannot be undone and concerns
 * more than one message wants a yes.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/queue_query.h"
#include "cli/text.h"
#include "store/wire.h"

enum { COUNT_ROWS_MAX = 20000, ANSWER_BYTES = 64 };

struct action {
    enum queue_action code;
    const char *name;
    bool is_final; /* cannot be undone */
    /* "1 recipient ...", "3 recipients ..." */
    const char *one, *english, *japanese;
    const char *not_applied; /* which rows it does not apply to */
};

static const struct action actions[] = {
    {QUEUE_ACT_RETRY, "retry", false, "will be tried again at once", "will be tried again at once",
     "をすぐに再送します", "held and scheduled ones need hikyaku queue release"},
    {QUEUE_ACT_HOLD, "hold", false, "held until hikyaku queue release",
     "held until hikyaku queue release", "を保留しました（hikyaku queue release で解除）",
     "those that are held stay so"},
    {QUEUE_ACT_RELEASE, "release", false, "released", "released", "を送信に回しました",
     "only held and scheduled ones can be released"},
    {QUEUE_ACT_DROP, "drop", true, "dropped, nobody is told", "dropped, nobody is told",
     "を通知なしで取り除きました", ""},
    {QUEUE_ACT_BOUNCE, "bounce", true, "returned to its sender", "returned to their senders",
     "を差出人に返しました", ""},
    {QUEUE_ACT_CANCEL, "cancel", true, "cancelled, nobody is told", "cancelled, nobody is told",
     "の送信を取り消しました", "only scheduled ones can be cancelled"},
};

/* --- which --- */

static int get_targets(const struct cli *cli, bool must_be_scheduled, struct queue_filter *out)
{
    bool has_id = cli->args.word_count > 0, is_all = cli_option(cli, "--all") != NULL;

    int status = queue_query_filter(cli, out);
    if (status == CLI_DONE && must_be_scheduled)
        out->state_plus_1 = QUEUE_SCHEDULED + 1;
    if (status == CLI_DONE && has_id)
        status = queue_query_id(cli, cli_word(cli, 0), &out->id);
    if (status != CLI_DONE)
        return status;
    bool has_some =
        out->id != 0 || out->sender.len > 0 || out->recipient.len > 0 || out->domain.len > 0;
    if (has_some && is_all)
        return cli_usage(cli, "say either --all or what to choose");
    if (!has_some && !is_all)
        return cli_usage(cli, "say an id, --sender, --recipient, --domain or --all");
    return CLI_DONE;
}

struct tally {
    uint64_t messages, recipients, last_id;
};

static int count_row(void *arg, const struct queue_row *row)
{
    struct tally *t = arg;

    if (row->state == QUEUE_DONE)
        return CLI_DONE;
    t->recipients++;
    if (row->id != t->last_id)
        t->messages++;
    t->last_id = row->id;
    return CLI_DONE;
}

/* --- a yes --- */

static void print_question(const struct action *action, const struct tally *t)
{
    const char *more = t->recipients >= COUNT_ROWS_MAX ? "+" : "";
    unsigned long long messages = t->messages, recipients = t->recipients;

    (void)fflush(stdout);
    if (text_is_japanese())
        (void)fprintf(
            stderr,
            "%llu%s 通のメール（宛先 %llu%s 件）に %s を行います。よろしいですか？ [yes/no] ",
            messages, more, recipients, more, action->name);
    else
        (void)fprintf(stderr, "%s %llu%s messages to %llu%s recipients? [yes/no] ", action->name,
                      messages, more, recipients, more);
}

/* CLI_DONE when it may go on. */
static int ask(struct cli *cli, const struct action *action, const struct queue_filter *filter)
{
    struct tally tally = {0};
    char line[ANSWER_BYTES];

    if (!action->is_final || cli_option(cli, "--yes") != NULL)
        return CLI_DONE;
    int status = queue_query_rows(&cli->client, filter, COUNT_ROWS_MAX, count_row, &tally);
    if (status != CLI_DONE || tally.messages <= 1)
        return status;
    if (!isatty(STDIN_FILENO))
        return cli_fail("that concerns %llu messages; nothing was changed: add --yes if it is "
                        "meant",
                        (unsigned long long)tally.messages);
    print_question(action, &tally);
    if (fgets(line, sizeof(line), stdin) == NULL || !queue_query_is_yes(str_from_c(line)))
        return cli_fail("nothing was changed");
    return CLI_DONE;
}

/* --- doing it --- */

/* untold: those of a bounce whose sender may not be told, or does not want to be. */
struct changes {
    uint64_t recipients, untold;
};

/* One request; the filter moves on. */
static int act_once(struct client *client, const struct action *action, struct queue_filter *f,
                    struct changes *io_changes, bool *out_more)
{
    struct buf args, reply;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_u8(&args, (uint8_t)action->code);
    queue_put_filter(&args, f);
    int status = buf_status(&args) < 0 ? cli_fail("the addresses are too long")
                                       : client_do(client, STORE_QUEUE_ACT, buf_str(&args), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE) {
        io_changes->recipients += cursor_u32(&c);
        io_changes->untold += cursor_u32(&c);
        *out_more = cursor_u8(&c) != 0;
        f->after_id = cursor_u64(&c);
        f->after_n = cursor_u32(&c);
        if (cursor_finish(&c) < 0)
            status = queue_query_fail();
    }
    buf_done(&args);
    buf_done(&reply);
    return status;
}

static int report_nothing(const struct cli *cli, const struct action *action)
{
    const char *word = cli->args.word_count > 0 ? cli->args.words[0] : "";

    if (word[0] != '\0')
        return cli_fail("nothing was changed: %s is not in the queue, or that does not apply to "
                        "its state; see: hikyaku queue show %s",
                        word, word);
    if (text_is_japanese())
        (void)printf("変更はありません。該当する宛先がありません\n");
    else if (action->not_applied[0] != '\0')
        (void)printf("nothing was changed: no recipient fits (%s)\n", action->not_applied);
    else
        (void)printf("nothing was changed: no recipient fits\n");
    return CLI_DONE;
}

static void print_count(const struct action *action, uint64_t recipients)
{
    unsigned long long count = recipients;

    if (text_is_japanese())
        (void)printf("宛先 %llu 件%s\n", count, action->japanese);
    else if (count == 1)
        (void)printf("1 recipient %s\n", action->one);
    else if (count > 0)
        (void)printf("%llu recipients %s\n", count, action->english);
}

static int report(const struct cli *cli, const struct action *action, const struct changes *c)
{
    if (cli->args.is_json)
        return cli_print_json(json_pack("{s:s, s:I, s:I}", "action", action->name, "changed",
                                        (json_int_t)c->recipients, "untold",
                                        (json_int_t)c->untold));
    if (c->recipients == 0)
        return report_nothing(cli, action);
    if (c->untold < c->recipients)
        print_count(action, c->recipients - c->untold);
    if (c->untold == 0)
        return CLI_DONE;
    print_count(&actions[QUEUE_ACT_DROP - 1], c->untold);
    (void)printf(text_is_japanese() ? "（差出人が空か、通知を望んでいません）\n"
                                    : "(the sender is empty, or wants no notices)\n");
    return CLI_DONE;
}

static int run(struct cli *cli, enum queue_action code)
{
    const struct action *action = &actions[code - 1];
    struct changes changes = {0};
    struct queue_filter filter;
    bool has_more = true;

    ASSERT(action->code == code);
    /* What cannot be cancelled is not asked about either. */
    int status = get_targets(cli, code == QUEUE_ACT_CANCEL, &filter);
    if (status == CLI_DONE)
        status = ask(cli, action, &filter);
    while (status == CLI_DONE && has_more)
        status = act_once(&cli->client, action, &filter, &changes, &has_more);
    if (status != CLI_DONE && changes.recipients > 0)
        return cli_fail("%llu recipients were changed before that",
                        (unsigned long long)changes.recipients);
    return status == CLI_DONE ? report(cli, action, &changes) : status;
}

int cmd_queue_retry(struct cli *cli)
{
    return run(cli, QUEUE_ACT_RETRY);
}

int cmd_queue_hold(struct cli *cli)
{
    return run(cli, QUEUE_ACT_HOLD);
}

int cmd_queue_release(struct cli *cli)
{
    return run(cli, QUEUE_ACT_RELEASE);
}

int cmd_queue_drop(struct cli *cli)
{
    return run(cli, QUEUE_ACT_DROP);
}

int cmd_queue_cancel(struct cli *cli)
{
    return run(cli, QUEUE_ACT_CANCEL);
}

int cmd_queue_bounce(struct cli *cli)
{
    return run(cli, QUEUE_ACT_BOUNCE);
}
