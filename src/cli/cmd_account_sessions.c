/* account sessions: who is logged in now, and from where accounts were logged in to. */
#include <errno.h>
#include <stdio.h>

#include "base/id.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/auth_wire.h"
#include "store/login_book.h"
#include "store/wire.h"

enum { CELL_MAX_BYTES = 512 };

/* A row of account.sessions. */
struct row {
    struct login_entry login;
    struct str address, app_password; /* its name */
};

/* 1; 0 at the end; negative errno. */
static int next_row(struct cursor *c, struct row *out)
{
    int r = login_next_entry(c, &out->login);

    if (r <= 0)
        return r;
    out->address = cursor_lp(c);
    out->app_password = cursor_lp(c);
    return cursor_status(c) == 0 ? 1 : -EBADMSG;
}

/* What both answers hold. */
struct answers {
    struct cursor sessions, rows;
};

/* --- for programs --- */

static json_t *session_json(const struct auth_session *s)
{
    char id[ID_TEXT_CHARS + 1];

    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "session", id_format(s->session, id),
                     "address", cli_json_text(s->address), "since", cli_json_time(s->since_ms),
                     "from", cli_json_text(s->peer), "protocol", cli_json_text(s->protocol),
                     "mechanism", cli_json_text(s->mechanism), "by_app_password",
                     s->app_password != 0);
}

static json_t *row_json(const struct row *r)
{
    json_t *app = r->app_password.len > 0 ? cli_json_text(r->app_password) : json_null();

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:I}", "address",
                     cli_json_text(r->address), "last", cli_json_time(r->login.last_ms), "from",
                     cli_json_text(r->login.network), "protocol", cli_json_text(r->login.protocol),
                     "mechanism", cli_json_text(r->login.mechanism), "by_app_password",
                     r->login.app_password != 0, "app_password", app, "first",
                     cli_json_time(r->login.first_ms), "logins", (json_int_t)r->login.count);
}

static int print_json(struct answers *a)
{
    json_t *sessions = json_array(), *logins = json_array();
    struct auth_session s;
    struct row row;

    while (auth_next_session(&a->sessions, &s) > 0)
        (void)json_array_append_new(sessions, session_json(&s));
    while (next_row(&a->rows, &row) > 0)
        (void)json_array_append_new(logins, row_json(&row));
    return cli_print_json(json_pack("{s:o, s:o}", "open", sessions, "logins", logins));
}

/* --- for people --- */

/* "submission, SCRAM-SHA-256, app password phone" */
static void put_means(struct table *table, const struct row *r, bool is_japanese)
{
    const struct login_entry *l = &r->login;
    struct buf text;

    buf_init(&text, CELL_MAX_BYTES);
    buf_printf(&text, "%.*s, %.*s", STR_ARG(l->protocol), STR_ARG(l->mechanism));
    if (r->app_password.len > 0)
        buf_printf(&text, is_japanese ? "、アプリパスワード %.*s" : ", app password %.*s",
                   STR_ARG(r->app_password));
    else if (l->app_password != 0)
        buf_put_c(&text, is_japanese ? "、削除されたアプリパスワード" : ", a removed app password");
    table_put(table, buf_str(&text));
    buf_done(&text);
}

static void print_sessions(struct answers *a, bool is_japanese)
{
    static const struct table_column english[] = {{"logged in since", false, 0},
                                                  {"account", false, 0},
                                                  {"from", false, 0},
                                                  {"by", false, 0},
                                                  {"session", false, 0}};
    static const struct table_column japanese[] = {{"接続中", false, 0},
                                                   {"アカウント", false, 0},
                                                   {"接続元", false, 0},
                                                   {"方法", false, 0},
                                                   {"接続", false, 0}};
    char id[ID_TEXT_CHARS + 1];
    struct auth_session s;
    struct table table;

    table_init(&table, is_japanese ? japanese : english, ARRAY_LEN(english));
    while (auth_next_session(&a->sessions, &s) > 0) {
        struct row row = {.login = {.protocol = s.protocol, .mechanism = s.mechanism}};
        table_put_time(&table, s.since_ms);
        table_put(&table, s.address);
        table_put(&table, s.peer);
        put_means(&table, &row, is_japanese);
        table_put_c(&table, id_format(s.session, id));
    }
    table_print(&table, is_japanese ? "接続中のログインはありません" : "nobody is logged in now");
    table_done(&table);
}

static void print_rows(struct answers *a, bool is_japanese)
{
    static const struct table_column english[] = {{"last login", false, 0}, {"account", false, 0},
                                                  {"from", false, 0},       {"by", false, 0},
                                                  {"logins", true, 0},      {"first", false, 0}};
    static const struct table_column japanese[] = {
        {"最後のログイン", false, 0}, {"アカウント", false, 0}, {"接続元", false, 0},
        {"方法", false, 0},           {"回数", true, 0},        {"最初", false, 0}};
    struct table table;
    struct row row;

    table_init(&table, is_japanese ? japanese : english, ARRAY_LEN(english));
    while (next_row(&a->rows, &row) > 0) {
        table_put_time(&table, row.login.last_ms);
        table_put(&table, row.address);
        table_put(&table, row.login.network);
        put_means(&table, &row, is_japanese);
        table_put_number(&table, row.login.count);
        table_put_time(&table, row.login.first_ms);
    }
    table_print(&table,
                is_japanese ? "ログインの記録はありません" : "nobody has logged in of late");
    table_done(&table);
}

static int print(const struct cli *cli, struct str rows, struct str sessions)
{
    struct answers a = {.sessions = cursor_from(sessions), .rows = cursor_from(rows)};
    bool is_japanese = text_is_japanese();

    (void)cursor_u64(&a.rows); /* the account */
    if (cli->args.is_json)
        return print_json(&a);
    print_sessions(&a, is_japanese);
    (void)printf("\n");
    print_rows(&a, is_japanese);
    return CLI_DONE;
}

int cmd_account_sessions(struct cli *cli)
{
    struct buf args, rows, sessions;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&rows, CLIENT_REPLY_MAX_BYTES);
    buf_init(&sessions, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    int status = client_do(&cli->client, STORE_ACCOUNT_SESSIONS, buf_str(&args), &rows);
    struct cursor c = cursor_from(buf_str(&rows));
    buf_reset(&args);
    buf_put_u64(&args, cursor_u64(&c));
    if (status == CLI_DONE)
        status = client_do(&cli->client, STORE_SESSION_LIST, buf_str(&args), &sessions);
    if (status == CLI_DONE)
        status = print(cli, buf_str(&rows), buf_str(&sessions));
    buf_done(&args);
    buf_done(&rows);
    buf_done(&sessions);
    return status;
}
