/* account add, password, check, disable, enable, language, remove. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/typed_password.h"
#include "store/auth_wire.h"
#include "store/password.h"
#include "store/wire.h"

enum { ARGS_MAX_BYTES = 8192 };

/* Adds the form, then the password or the hash, as the options say. CLI_DONE or CLI_FAILED, said.
 */
static int put_password(struct cli *cli, enum password_form form, struct buf *args)
{
    bool is_piped = form == PASSWORD_HASH || cli_option(cli, "--password-stdin") != NULL;
    struct buf text;
    int status = CLI_DONE;

    buf_init(&text, PASSWORD_TYPED_MAX_BYTES);
    if (form != PASSWORD_NONE)
        status = is_piped ? password_read_stdin(&text) : password_ask(cli->args.words[0], &text);
    buf_put_u8(args, (uint8_t)form);
    buf_put_lp(args, buf_str(&text));
    password_done(&text);
    return status;
}

/* Which of the options that exclude each other was given; CLI_USAGE, said, when several were. */
static int find_form(const struct cli *cli, enum password_form *out)
{
    bool is_none = cli_option(cli, "--no-password") != NULL;
    bool is_hash = cli_option(cli, "--hash-stdin") != NULL;
    bool is_text = cli_option(cli, "--password-stdin") != NULL;

    if (is_none + is_hash + is_text > 1)
        return cli_usage(cli, "say one of --password-stdin, --hash-stdin and --no-password");
    *out = is_none ? PASSWORD_NONE : is_hash ? PASSWORD_HASH : PASSWORD_TEXT;
    return CLI_DONE;
}

static int run_with_password(struct cli *cli, unsigned verb, const char *done)
{
    enum password_form form = PASSWORD_TEXT;
    struct buf args;

    int status = find_form(cli, &form);
    if (status != CLI_DONE)
        return status;
    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    status = put_password(cli, form, &args);
    if (status == CLI_DONE)
        status = cli_run_verb(cli, verb, &args, done);
    password_done(&args);
    return status;
}

int cmd_account_add(struct cli *cli)
{
    return run_with_password(cli, STORE_ACCOUNT_ADD, text_in("added", "追加しました"));
}

int cmd_account_password(struct cli *cli)
{
    return run_with_password(
        cli, STORE_ACCOUNT_PASSWORD,
        cli_option(cli, "--no-password") != NULL
            ? text_in("nobody can log in with a password of its own now",
                      "このアカウント自身のパスワードではログインできなくなりました")
            : text_in("the new password holds now", "新しいパスワードが有効になりました"));
}

/* Of mail that was taken before: it goes out all the same. */
static void tell_waiting(const struct cli *cli, struct str reply)
{
    const char *address = cli->args.words[0];
    struct cursor c = cursor_from(reply);
    unsigned long long waiting = cursor_u64(&c), scheduled = cursor_u64(&c);

    if (cursor_status(&c) < 0 || waiting == 0)
        return;
    (void)printf(text_is_japanese()
                     ? "このアカウントのメールがまだキューにあり、送信されます (宛先 %llu 件、"
                       "うち予約 %llu 件)。\n"
                       "確認: hikyaku queue list --sender %s\n取り消し: hikyaku queue drop "
                       "--sender %s\n"
                     : "Mail of it still waits in the queue, and will be sent (recipients: %llu, "
                       "scheduled: %llu).\n"
                       "To look: hikyaku queue list --sender %s\nTo take it out: hikyaku queue "
                       "drop --sender %s\n",
                 waiting, scheduled, address, address);
}

/* An address and a yes or no. */
static int run_with_flag(struct cli *cli, unsigned verb, bool flag, const char *done)
{
    struct buf args, reply;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    buf_put_u8(&args, flag);
    int status = client_do(&cli->client, verb, buf_str(&args), &reply);
    if (status == CLI_DONE && !cli->args.is_json) {
        (void)printf("%s\n", done);
        if (verb == STORE_ACCOUNT_REMOVE || !flag)
            tell_waiting(cli, buf_str(&reply));
    }
    buf_done(&reply);
    buf_done(&args);
    return status;
}

int cmd_account_disable(struct cli *cli)
{
    return run_with_flag(cli, STORE_ACCOUNT_ENABLE, false,
                         text_in("nobody can log in any more; mail for it is kept",
                                 "ログインできなくなりました。宛てたメールはそのまま保管されます"));
}

int cmd_account_enable(struct cli *cli)
{
    return run_with_flag(
        cli, STORE_ACCOUNT_ENABLE, true,
        text_in("it can be logged in to again", "再びログインできるようになりました"));
}

/* --- check --- */

static int find_service(const struct cli *cli, uint8_t *out)
{
    const char *name = cli_option(cli, "--for");

    if (name == NULL || strcmp(name, "send") == 0)
        *out = AUTH_SEND;
    else if (strcmp(name, "read") == 0)
        *out = AUTH_READ;
    else
        return cli_usage(cli, "--for is send or read");
    return CLI_DONE;
}

static int tell_verdict(const struct cli *cli, struct str reply)
{
    static const char *const texts[AUTH_VERDICT_END][2] = {
        [AUTH_OK] = {"right: a mail program would be let in",
                     "正しいパスワードです。メールソフトはログインできます"},
        [AUTH_BAD] = {"wrong password, or no such account, or it is disabled",
                      "パスワードが違うか、アカウントがないか、無効にされています"},
        [AUTH_NEEDS_APP_PASSWORD] =
            {"right, but for this a mail program needs an app password",
             "正しいパスワードですが、メールソフトにはアプリパスワードが必要です"},
        [AUTH_BANNED] = {"this address is banned for now", "この接続元は一時的に拒否されています"},
        [AUTH_TOO_MANY] = {"too many tries; come again later",
                           "試行が多すぎます。しばらくしてからお試しください"},
        [AUTH_ELSEWHERE] = {"there is no password of it here: it is checked outside (auth.backend)",
                            "パスワードはここにはありません。外部で確認します (auth.backend)"},
    };
    struct cursor c = cursor_from(reply);
    struct auth_answer answer;

    if (auth_get_answer(&c, &answer) < 0)
        return cli_fail("the server's answer makes no sense; restart the server");
    if (answer.verdict != AUTH_OK)
        return cli_fail("%s: %s", cli->args.words[0], texts[answer.verdict][text_is_japanese()]);
    (void)printf("%s\n", texts[AUTH_OK][text_is_japanese()]);
    return CLI_DONE;
}

int cmd_account_check(struct cli *cli)
{
    struct auth_request request = {.username = cli_word(cli, 0)};
    struct buf args, password, reply;

    int status = find_service(cli, &request.service);
    if (status != CLI_DONE)
        return status;
    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&password, PASSWORD_TYPED_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    status = cli_option(cli, "--password-stdin") != NULL
                 ? password_read_stdin(&password)
                 : password_ask_once(cli->args.words[0], &password);
    if (status == CLI_DONE) {
        request.password = buf_str(&password);
        auth_put_request(&args, &request);
        status = client_do(&cli->client, STORE_AUTH_PASSWORD, buf_str(&args), &reply);
    }
    if (status == CLI_DONE)
        status = tell_verdict(cli, buf_str(&reply));
    password_done(&password);
    password_done(&args);
    buf_done(&reply);
    return status;
}

/* --- language, removal --- */

int cmd_account_language(struct cli *cli)
{
    struct str language = cli_word(cli, 1);
    struct buf args;

    if (str_eq(language, STR("both")))
        language = STR("");
    else if (!str_eq(language, STR("en")) && !str_eq(language, STR("ja")))
        return cli_usage(cli, "the language is en, ja or both");
    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    buf_put_lp(&args, language);
    int status = cli_run_verb(cli, STORE_ACCOUNT_LANGUAGE, &args,
                              text_in("holds for the next notice", "次の通知から有効です"));
    buf_done(&args);
    return status;
}

int cmd_account_remove(struct cli *cli)
{
    return run_with_flag(cli, STORE_ACCOUNT_REMOVE, cli_option(cli, "--with-mail") != NULL,
                         text_in("removed", "削除しました"));
}
