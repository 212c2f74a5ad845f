/* domain add, list, set, remove; alias add, list, remove. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "store/wire.h"

enum { ARGS_MAX_BYTES = 512 * 1024 };

/* Calls a verb with one or two texts. */
static int run_texts(struct cli *cli, unsigned verb, struct str a, const struct str *b,
                     const char *done)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_lp(&args, a);
    if (b != NULL)
        buf_put_lp(&args, *b);
    int status = cli_run_verb(cli, verb, &args, done);
    buf_done(&args);
    return status;
}

/* --- domain --- */

int cmd_domain_add(struct cli *cli)
{
    CLEANUP(cleanup_free)
    char *done = xasprintf("%s is a domain of this server now; next: hikyaku account add USER@%s",
                           cli->args.words[0], cli->args.words[0]);

    return run_texts(cli, STORE_DOMAIN_ADD, cli_word(cli, 0), NULL, done);
}

struct domain_row {
    struct str name, catch_all;
    bool is_primary;
    int64_t created_ms;
    uint64_t accounts, aliases;
};

static bool take_domain(struct cursor *c, struct domain_row *out)
{
    *out = (struct domain_row){.name = cursor_lp(c)};
    out->catch_all = cursor_lp(c);
    out->is_primary = cursor_u8(c) != 0;
    out->created_ms = (int64_t)cursor_u64(c);
    out->accounts = cursor_u64(c);
    out->aliases = cursor_u64(c);
    return cursor_status(c) == 0;
}

static void take_domain_row(struct cursor *c, struct buf *next_args)
{
    struct domain_row row;

    if (take_domain(c, &row))
        buf_put_lp(next_args, row.name);
}

static int print_domains_json(struct cursor *c)
{
    json_t *list = json_array();
    struct domain_row row;

    while (cursor_left(c) > 0 && take_domain(c, &row))
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:b, s:o, s:I, s:I}", "name", cli_json_text(row.name),
                      "catch_all",
                      row.catch_all.len > 0 ? cli_json_text(row.catch_all) : json_null(),
                      "is_primary", (int)row.is_primary, "created", cli_json_time(row.created_ms),
                      "accounts", (json_int_t)row.accounts, "aliases", (json_int_t)row.aliases));
    return cli_print_json(list);
}

static void print_domains(struct cursor *c)
{
    static const struct table_column columns[] = {
        {"domain", false, 0}, {"accounts", true, 0},   {"aliases", true, 0},
        {"since", false, 0},  {"catch-all", false, 0},
    };
    struct domain_row row;
    struct table table;

    table_init(&table, columns, ARRAY_LEN(columns));
    while (cursor_left(c) > 0 && take_domain(c, &row)) {
        table_put(&table, row.name);
        table_put_number(&table, row.accounts);
        table_put_number(&table, row.aliases);
        table_put_time(&table, row.created_ms);
        table_put(&table, row.catch_all.len > 0 ? row.catch_all : STR("-"));
    }
    table_print(&table, "no domains yet; add one: hikyaku domain add NAME");
    table_done(&table);
}

int cmd_domain_list(struct cli *cli)
{
    struct buf reply;

    buf_init(&reply, CLIENT_LIST_MAX_BYTES);
    int status = client_list(&cli->client, STORE_DOMAIN_LIST, take_domain_row, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE && cli->args.is_json)
        status = print_domains_json(&c);
    else if (status == CLI_DONE)
        print_domains(&c);
    buf_done(&reply);
    return status;
}

int cmd_domain_set(struct cli *cli)
{
    const char *catch_all = cli_option(cli, "--catch-all");
    bool is_off = cli_option(cli, "--no-catch-all") != NULL;
    struct str target = str_from_c(catch_all);

    if ((catch_all == NULL) == !is_off)
        return cli_usage(cli, "say either --catch-all ADDRESS or --no-catch-all");
    if (!is_off && target.len == 0)
        return cli_usage(cli, "--catch-all needs an address");
    return run_texts(cli, STORE_DOMAIN_SET, cli_word(cli, 0), &target,
                     is_off ? "mail to unknown users is refused again"
                            : "mail to unknown users goes there now");
}

int cmd_domain_remove(struct cli *cli)
{
    return run_texts(cli, STORE_DOMAIN_REMOVE, cli_word(cli, 0), NULL, "removed, with its aliases");
}

/* --- alias --- */

/* "@example.jp" stands for all unknown users of a domain: its catch-all. */
static bool is_catch_all(struct str address)
{
    return address.len > 1 && address.ptr[0] == '@';
}

static struct str domain_of(struct str address)
{
    return str_sub(address, 1, address.len);
}

int cmd_alias_add(struct cli *cli)
{
    struct str address = cli_word(cli, 0), target = cli_word(cli, 1);
    struct buf args;

    if (is_catch_all(address) && cli->args.word_count > 2)
        return cli_usage(cli, "a catch-all has one target; point it to an alias of several");
    if (is_catch_all(address))
        return run_texts(cli, STORE_DOMAIN_SET, domain_of(address), &target,
                         "mail to unknown users goes there now");
    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_lp(&args, address);
    buf_put_u32(&args, (uint32_t)(cli->args.word_count - 1));
    for (size_t i = 1; i < cli->args.word_count; i++)
        buf_put_lp(&args, cli_word(cli, i));
    int status = cli_run_verb(cli, STORE_ALIAS_ADD, &args, "added");
    buf_done(&args);
    return status;
}

int cmd_alias_remove(struct cli *cli)
{
    struct str address = cli_word(cli, 0), target = STR("");
    int status = CLI_DONE;

    if (is_catch_all(address))
        return run_texts(cli, STORE_DOMAIN_SET, domain_of(address), &target,
                         "mail to unknown users is refused again");
    if (cli->args.word_count == 1)
        return run_texts(cli, STORE_ALIAS_REMOVE, address, &target, "removed");
    for (size_t i = 1; status == CLI_DONE && i < cli->args.word_count; i++) {
        target = cli_word(cli, i);
        status = run_texts(cli, STORE_ALIAS_REMOVE, address, &target,
                           i + 1 == cli->args.word_count ? "removed" : NULL);
    }
    return status;
}

struct alias_row {
    struct str address, target, key;
};

static bool take_alias(struct cursor *c, struct alias_row *out)
{
    *out = (struct alias_row){.address = cursor_lp(c)};
    out->target = cursor_lp(c);
    out->key = cursor_lp(c);
    return cursor_status(c) == 0;
}

static void take_alias_row(struct cursor *c, struct buf *next_args)
{
    struct alias_row row;

    if (!take_alias(c, &row))
        return;
    buf_put_lp(next_args, row.key);
    buf_put_lp(next_args, row.target);
}

/* Rows come sorted by alias: one JSON object for each, with its targets. */
static int print_aliases_json(struct cursor *c)
{
    json_t *list = json_array(), *targets = NULL;
    struct str last = STR("");
    struct alias_row row;

    while (cursor_left(c) > 0 && take_alias(c, &row)) {
        if (targets == NULL || !str_eq(row.address, last)) {
            targets = json_array();
            (void)json_array_append_new(
                list,
                json_pack("{s:o, s:o}", "address", cli_json_text(row.address), "targets", targets));
        }
        (void)json_array_append_new(targets, cli_json_text(row.target));
        last = row.address;
    }
    return cli_print_json(list);
}

static void print_aliases(struct cursor *c)
{
    static const struct table_column columns[] = {
        {"alias", false, 0},
        {"goes to", false, 0},
    };
    struct str last = STR("");
    struct alias_row row;
    struct table table;

    table_init(&table, columns, ARRAY_LEN(columns));
    while (cursor_left(c) > 0 && take_alias(c, &row)) {
        table_put(&table, str_eq(row.address, last) ? STR("") : row.address);
        table_put(&table, row.target);
        last = row.address;
    }
    table_print(&table, "no aliases; add one: hikyaku alias add ADDRESS TARGET");
    table_done(&table);
}

int cmd_alias_list(struct cli *cli)
{
    struct buf reply;

    buf_init(&reply, CLIENT_LIST_MAX_BYTES);
    int status = client_list(&cli->client, STORE_ALIAS_LIST, take_alias_row, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE && cli->args.is_json)
        status = print_aliases_json(&c);
    else if (status == CLI_DONE)
        print_aliases(&c);
    buf_done(&reply);
    return status;
}
