/* mailbox list, show (the table), expunge, undelete. One message is shown by show.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "cli/commands.h"
#include "cli/headline.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/wire.h"

enum { ARGS_MAX_BYTES = 4096, FROM_COLUMNS = 28 };

/* --- list --- */

struct listing {
    struct table *table; /* or */
    json_t *json;
};

static int add_mailbox(void *arg, const struct mailbox_row *row)
{
    struct listing *l = arg;

    if (l->json != NULL)
        return json_array_append_new(
            l->json,
            json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "name", cli_json_text(row->name),
                      "messages", (json_int_t)row->messages, "unseen", (json_int_t)row->unseen,
                      "bytes", (json_int_t)row->bytes, "uidvalidity", (json_int_t)row->uidvalidity,
                      "uidnext", (json_int_t)row->uidnext));
    table_put(l->table, row->name);
    table_put_number(l->table, row->messages);
    table_put_number(l->table, row->unseen);
    table_put_size(l->table, row->bytes);
    return CLI_DONE;
}

int mailbox_print_list(struct client *client, struct str account, const char *indent)
{
    static const struct table_column columns[] = {
        {"mailbox", false, 60},
        {"messages", true, 0},
        {"unseen", true, 0},
        {"size", true, 0},
    };
    struct table table;
    struct listing listing = {.table = &table};

    table_init(&table, columns, ARRAY_LEN(columns));
    table.indent = indent;
    int status = messages_list_mailboxes(client, account, add_mailbox, &listing);
    if (status == CLI_DONE)
        table_print(&table, "no mailboxes yet: they are made when the first message comes");
    table_done(&table);
    return status;
}

int cmd_mailbox_list(struct cli *cli)
{
    struct listing listing = {0};

    if (!cli->args.is_json)
        return mailbox_print_list(&cli->client, cli_word(cli, 0), "");
    listing.json = json_array();
    int status = messages_list_mailboxes(&cli->client, cli_word(cli, 0), add_mailbox, &listing);
    if (status == CLI_DONE)
        return cli_print_json(listing.json);
    json_decref(listing.json);
    return status;
}

/* --- show: the table of messages --- */

static void put_flags(struct buf *out, uint64_t flags)
{
    static const char letters[] = "SAFDd";

    for (unsigned i = 0; i < sizeof(letters) - 1; i++)
        buf_put_char(out, flags & (1U << i) ? letters[i] : '-');
}

static json_t *flags_json(uint64_t flags, struct str keywords)
{
    static const char *const names[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
                                        "\\Draft"};
    json_t *list = json_array();
    struct str word;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (flags & (1U << i))
            (void)json_array_append_new(list, json_string(names[i]));
    }
    while (keywords.len > 0) {
        (void)str_cut(keywords, ' ', &word, &keywords);
        if (word.len > 0)
            (void)json_array_append_new(list, cli_json_text(word));
    }
    return list;
}

static int add_message_json(json_t *list, const struct message_row *row, struct headline *h)
{
    char id[ID_TEXT_CHARS + 1];

    return json_array_append_new(
        list,
        json_pack("{s:I, s:s, s:o, s:I, s:o, s:o, s:o, s:o}", "uid", (json_int_t)row->uid, "id",
                  id_format(row->id, id), "received", cli_json_time(row->received_ms), "bytes",
                  (json_int_t)row->bytes, "flags", flags_json(row->flags, row->keywords), "from",
                  cli_json_text(buf_str(&h->from)), "address", cli_json_text(buf_str(&h->address)),
                  "subject", cli_json_text(buf_str(&h->subject))));
}

static int add_message(void *arg, const struct message_row *row)
{
    struct listing *l = arg;
    struct headline h;
    struct buf flags;
    int status = CLI_DONE;

    headline_init(&h, row->summary);
    if (l->json != NULL) {
        status = add_message_json(l->json, row, &h) < 0 ? CLI_FAILED : CLI_DONE;
    } else {
        buf_init(&flags, 16);
        put_flags(&flags, row->flags);
        table_put_number(l->table, row->uid);
        table_put_time(l->table, row->received_ms);
        table_put_size(l->table, row->bytes);
        table_put(l->table, buf_str(&flags));
        table_put(l->table, buf_str(&h.from));
        table_put(l->table, buf_str(&h.subject));
        buf_done(&flags);
    }
    headline_done(&h);
    return status;
}

static int list_if_there(struct client *client, struct str account, struct str mailbox,
                         struct listing *listing)
{
    bool has = true;
    int status = CLI_DONE;

    /* A new account has no INBOX yet, which is no failure. */
    if (str_eq(mailbox, STR("INBOX")))
        status = messages_has_mailbox(client, account, mailbox, &has);
    if (status == CLI_DONE && has)
        status = messages_list(client, account, mailbox, add_message, listing);
    return status;
}

int mailbox_print_messages(struct client *client, struct str account, struct str mailbox,
                           const char *indent)
{
    static const struct table_column columns[] = {
        {"uid", true, 0},
        {"date", false, 0},
        {"size", true, 0},
        {"flags", false, 0},
        {"from", false, FROM_COLUMNS},
        {"subject", false, 0},
    };
    struct table table;
    struct listing listing = {.table = &table};

    table_init(&table, columns, ARRAY_LEN(columns));
    table.indent = indent;
    int status = list_if_there(client, account, mailbox, &listing);
    if (status == CLI_DONE)
        table_print(&table, "no messages");
    table_done(&table);
    return status;
}

static int show_table(struct cli *cli, struct str account, struct str mailbox)
{
    struct listing listing = {0};

    if (!cli->args.is_json)
        return mailbox_print_messages(&cli->client, account, mailbox, "");
    listing.json = json_array();
    int status = list_if_there(&cli->client, account, mailbox, &listing);
    if (status == CLI_DONE)
        return cli_print_json(listing.json);
    json_decref(listing.json);
    return status;
}

/* --- one message --- */

static bool parse_uid(struct str text, uint64_t *out_uid)
{
    return str_to_u64(text, UINT32_MAX, out_uid) == 0 && *out_uid > 0;
}

/* show ADDRESS [MAILBOX] [UID]: one word that is a number is the UID. */
int cmd_mailbox_show(struct cli *cli)
{
    struct str account = cli_word(cli, 0), mailbox = STR("INBOX");
    bool is_raw = cli_option(cli, "--raw") != NULL;
    struct message_row row;
    uint64_t uid = 0;

    if (cli->args.word_count == 3) {
        mailbox = cli_word(cli, 1);
        if (!parse_uid(cli_word(cli, 2), &uid))
            return cli_usage(cli, "\"%s\" is no UID", cli->args.words[2]);
    } else if (cli->args.word_count == 2 && !parse_uid(cli_word(cli, 1), &uid)) {
        mailbox = cli_word(cli, 1);
    }
    if (uid == 0 && is_raw)
        return cli_usage(cli, "--raw needs the UID of a message");
    if (uid == 0)
        return show_table(cli, account, mailbox);
    int status = messages_find(&cli->client, account, mailbox, uid, &row);
    if (status != CLI_DONE)
        return status;
    if (is_raw)
        return show_raw(&cli->client, row.id);
    return cli->args.is_json ? show_message_json(&cli->client, &row)
                             : show_message(&cli->client, &row);
}

/* --- expunge, undelete --- */

/* The arguments that both take; 0 or CLI_USAGE, said. */
static int put_place(struct cli *cli, struct buf *args)
{
    uint64_t uid;

    if (!parse_uid(cli_word(cli, 2), &uid))
        return cli_usage(cli, "\"%s\" is no UID", cli->args.words[2]);
    buf_put_lp(args, cli_word(cli, 0));
    buf_put_lp(args, cli_word(cli, 1));
    buf_put_u64(args, uid);
    return CLI_DONE;
}

int cmd_mailbox_expunge(struct cli *cli)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    int status = put_place(cli, &args);
    if (status == CLI_DONE)
        status = cli_run_verb(cli, STORE_MESSAGE_EXPUNGE, &args,
                              "expunged; until store.expunged_retention ends, hikyaku mailbox "
                              "undelete brings it back");
    buf_done(&args);
    return status;
}

int cmd_mailbox_undelete(struct cli *cli)
{
    struct buf args, reply;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = put_place(cli, &args);
    if (status == CLI_DONE)
        status = client_do(&cli->client, STORE_MESSAGE_UNDELETE, buf_str(&args), &reply);
    if (status == CLI_DONE) {
        struct cursor c = cursor_from(buf_str(&reply));
        (void)printf("back in %s, with the new UID %" PRIu64 "\n", cli->args.words[1],
                     cursor_u64(&c));
    }
    buf_done(&reply);
    buf_done(&args);
    return status;
}
