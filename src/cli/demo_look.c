/* How the demonstration looks at its servers: see demo_look.h. */
#include "cli/demo_look.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "cli/commands.h"
#include "cli/headline.h"
#include "cli/show.h"
#include "cli/text.h"
#include "mail/mime.h"
#include "store/wire.h"

enum {
    WAIT_MS = 20000,
    ARGS_MAX_BYTES = 1024,
    REPORT_MAX_BYTES = 256 * 1024,
};

void demo_look_print_command(const struct demo_server *s, const char *fmt, ...)
{
    va_list args;

    (void)printf("\n%s$ hikyaku ", s->site->name);
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)putchar('\n');
}

static int fail_wait(const char *what, const char *where)
{
    return demo_is_interrupted()
               ? CLI_FAILED
               : cli_fail("%s in %s: waited %d s in vain", what, where, WAIT_MS / 1000);
}

/* --- messages --- */

struct newest {
    struct message_row row; /* views in it are dead */
    struct buf subject;
    size_t count;
};

static int note_message(void *arg, const struct message_row *row)
{
    struct newest *newest = arg;
    struct headline h;

    headline_init(&h, row->summary);
    newest->row = *row;
    newest->count++;
    buf_reset(&newest->subject);
    buf_put_str(&newest->subject, buf_str(&h.subject));
    headline_done(&h);
    return CLI_DONE;
}

/* A new account has no mailbox before its first message. */
static int read_inbox(struct demo_server *s, struct newest *newest)
{
    struct str user = str_from_c(s->site->user);
    bool has_inbox;

    newest->count = 0;
    int status = messages_has_mailbox(&s->client, user, STR("INBOX"), &has_inbox);
    return status == CLI_DONE && has_inbox
               ? messages_list(&s->client, user, STR("INBOX"), note_message, newest)
               : status;
}

int demo_look_await_message(struct demo_server *s, size_t count, const char *subject,
                            struct message_row *out_newest)
{
    CLEANUP(cleanup_free)
    char *what = xasprintf("message %zu of %s", count, s->site->user);
    struct newest newest = {0};
    struct demo_wait wait;

    buf_init(&newest.subject, ARGS_MAX_BYTES);
    demo_wait_begin(&wait, WAIT_MS);
    int status = read_inbox(s, &newest);
    while (status == CLI_DONE && newest.count < count)
        status = demo_wait_again(&wait) ? read_inbox(s, &newest) : fail_wait(what, s->site->name);
    if (status == CLI_DONE && newest.count > count)
        status = cli_fail("%s has more messages than were sent", s->site->user);
    if (status == CLI_DONE && subject != NULL && !str_eq_c(buf_str(&newest.subject), subject))
        status = cli_fail("%s is \"%s\", and should be \"%s\"", what, buf_c_str(&newest.subject),
                          subject);
    *out_newest = newest.row;
    buf_done(&newest.subject);
    return status;
}

int demo_look_show_mailbox(struct demo_server *s)
{
    demo_look_print_command(s, "mailbox show %s", s->site->user);
    return mailbox_print_messages(&s->client, str_from_c(s->site->user), STR("INBOX"), "  ");
}

int demo_look_show_message(struct demo_server *s, const struct message_row *row)
{
    demo_look_print_command(s, "mailbox show %s %llu", s->site->user, (unsigned long long)row->uid);
    return show_message(&s->client, row);
}

/* --- traces --- */

static int find_event(struct demo_server *s, uint64_t id, const char *name, bool *out_found)
{
    CLEANUP(buf_done) struct buf args, reply;
    struct trace_event event;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_u64(&args, id);
    buf_put_lp(&args, STR(""));
    buf_put_u64(&args, 0);
    buf_put_u32(&args, TRACE_QUERY_ROWS_MAX);
    *out_found = false;
    int status = client_do(&s->client, STORE_TRACE_QUERY, buf_str(&args), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    while (status == CLI_DONE && !*out_found && trace_next_event(&c, &event) > 0)
        *out_found = str_eq_c(event.event, name);
    return status;
}

int demo_look_await_event(struct demo_server *s, uint64_t id, const char *event)
{
    char text[ID_TEXT_CHARS + 1];
    struct demo_wait wait;
    bool is_found;

    demo_wait_begin(&wait, WAIT_MS);
    int status = find_event(s, id, event, &is_found);
    while (status == CLI_DONE && !is_found) {
        if (!demo_wait_again(&wait)) {
            CLEANUP(cleanup_free)
            char *what = xasprintf("\"%s\" in the trace of %s", event, id_format(id, text));
            return fail_wait(what, s->site->name);
        }
        status = find_event(s, id, event, &is_found);
    }
    return status;
}

int demo_look_show_trace(struct demo_server *s, uint64_t id)
{
    struct trace_query q = {.ref = id, .max_rows = TRACE_QUERY_ROWS_MAX};
    char text[ID_TEXT_CHARS + 1];
    size_t events;

    demo_look_print_command(s, "trace %s", id_format(id, text));
    int status = trace_print(&s->client, &q, "  ", &events);
    if (status == CLI_DONE && events == 0)
        return cli_fail("nothing was recorded about a message");
    return status;
}

/* --- the queue --- */

/* The command itself, as if it had been typed; the connection is lent to it. */
int demo_look_show_why(struct cli *cli, struct demo_server *s, const char *domain)
{
    struct cli typed = {.config_path = s->instance.config_path, .client = s->client};

    typed.args = (struct cli_args){.command = cli->args.command, .words = &domain, .word_count = 1};
    demo_look_print_command(s, "queue why %s", domain);
    int status = cmd_queue_why(&typed);
    s->client = typed.client;
    return status;
}

/* --- reports --- */

static int keep_piece(void *arg, struct str piece)
{
    buf_put_str(arg, piece);
    return CLI_DONE;
}

/* The body of the second part of a multipart/report (RFC 3464 section 2); empty when the message
 * is something else. */
static struct str find_report(const struct summary_part *root, struct str text)
{
    for (const struct summary_part *part = root->children; part != NULL; part = part->next) {
        if (str_eq_nocase(part->type, STR("message")) &&
            (str_eq_nocase(part->subtype, STR("delivery-status")) ||
             str_eq_nocase(part->subtype, STR("global-delivery-status"))))
            return str_sub(text, (size_t)part->body_offset, (size_t)part->body_bytes);
    }
    return STR("");
}

static int check_report(struct str report, const char *recipient)
{
    static const char *const facts[] = {"Action: failed", "Status: 5.1.1"};

    if (!str_contains_nocase(report, str_from_c(recipient)))
        return cli_fail("the bounce does not speak of %s", recipient);
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        if (!str_contains_nocase(report, str_from_c(facts[i])))
            return cli_fail("the bounce does not say \"%s\"", facts[i]);
    }
    return CLI_DONE;
}

int demo_look_show_report(struct demo_server *s, const struct message_row *row,
                          const char *recipient)
{
    struct mime_scanner *scanner = mime_scanner_new();
    CLEANUP(buf_done) struct buf text, safe;

    buf_init(&text, REPORT_MAX_BYTES);
    buf_init(&safe, 4 * REPORT_MAX_BYTES);
    int status = messages_read(&s->client, row->id, keep_piece, &text);
    if (status == CLI_DONE) {
        mime_scanner_feed(scanner, buf_str(&text));
        struct str report = find_report(mime_scanner_finish(scanner), buf_str(&text));
        status = check_report(report, recipient);
        text_put_safe_lines(&safe, str_trim(report));
    }
    mime_scanner_free(scanner);
    (void)printf("%s\n", buf_c_str(&safe));
    return status;
}
