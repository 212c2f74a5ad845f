/* account totp, recovery-codes: the second factor of an account. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/actions.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/qr.h"
#include "cli/text.h"
#include "cli/typed_password.h"
#include "crypt/totp.h"
#include "store/auth_wire.h"
#include "store/wire.h"

enum { ADDRESS_WORD = 0, ACTION_WORD = 1, CODE_WORD = 2, URI_MAX_BYTES = 2000 };

static int call(struct cli *cli, unsigned verb, const struct str *second, struct buf *reply)
{
    struct buf args;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, ADDRESS_WORD));
    if (second != NULL)
        buf_put_lp(&args, *second);
    int status = client_do(&cli->client, verb, buf_str(&args), reply);
    buf_done(&args);
    return status;
}

static int call_and_say(struct cli *cli, unsigned verb, const struct str *second, const char *done)
{
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = call(cli, verb, second, &reply);
    buf_done(&reply);
    if (status == CLI_DONE && !cli->args.is_json)
        (void)printf("%s\n", done);
    return status;
}

/* --- totp enable --- */

static int write_png(const char *path, struct str uri)
{
    struct buf png;

    buf_init(&png, QR_OUT_MAX_BYTES);
    int r = qr_put_png(&png, uri);
    if (r == 0)
        r = file_write_new(path, buf_str(&png), 0600);
    password_done(&png);
    if (r == -EEXIST)
        return cli_fail("%s exists already; name another file", path);
    return r < 0 ? cli_fail("%s cannot be made: %s", path, strerror(-r)) : CLI_DONE;
}

/* On a terminal: whether it is there. Without it the secret can still be typed. */
static bool print_code(struct str uri)
{
    struct buf out;

    buf_init(&out, QR_OUT_MAX_BYTES);
    bool is_shown = isatty(STDOUT_FILENO) && qr_put_terminal(&out, uri) == 0;
    if (is_shown)
        (void)printf("%.*s\n", STR_ARG(buf_str(&out)));
    password_done(&out);
    return is_shown;
}

struct offer {
    struct str secret, issuer, account;
    struct buf uri, text;
};

static void print_offer(const struct cli *cli, const struct offer *o)
{
    const char *address = cli->args.words[ADDRESS_WORD];

    bool has_picture = print_code(buf_str(&o->uri)) || cli_option(cli, "--png") != NULL;
    (void)printf("%.*s\n\n%s: %.*s\n\n", STR_ARG(buf_str(&o->uri)),
                 text_in("secret", "シークレット"), STR_ARG(buf_str(&o->text)));
    if (has_picture)
        (void)printf("%s\n",
                     text_in("Let an authenticator app read the QR code, or type the secret "
                             "into it",
                             "認証アプリで QR コードを読み取るか、シークレットを入力してください"));
    else
        (void)printf("%s\n",
                     text_in("Type the secret into an authenticator app, or make a QR code: "
                             "--png FILE",
                             "シークレットを認証アプリに入力するか、--png ファイル名 で QR コードを"
                             "作ってください"));
    (void)printf(
        text_is_japanese()
            ? "（時刻方式、SHA-1、6 桁、30 秒）。次に、アプリに表示されたコードで確認します:\n"
              "  hikyaku account totp %s confirm コード\n"
            : "(by time, SHA-1, 6 digits, 30 seconds). Then prove it with the code it shows:\n"
              "  hikyaku account totp %s confirm CODE\n",
        address);
}

static int show_offer(struct cli *cli, struct offer *o)
{
    const char *png = cli_option(cli, "--png");

    totp_put_uri(&o->uri, o->issuer, o->account, o->secret);
    totp_put_secret(&o->text, o->secret);
    int status = png != NULL ? write_png(png, buf_str(&o->uri)) : CLI_DONE;
    if (status != CLI_DONE)
        return status;
    if (cli->args.is_json)
        return cli_print_json(json_pack("{s:o, s:o}", "uri", cli_json_text(buf_str(&o->uri)),
                                        "secret", cli_json_text(buf_str(&o->text))));
    print_offer(cli, o);
    return CLI_DONE;
}

static int enable(struct cli *cli)
{
    struct buf reply;
    struct offer o;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_init(&o.uri, URI_MAX_BYTES);
    buf_init(&o.text, URI_MAX_BYTES);
    int status = call(cli, STORE_TOTP_SET, NULL, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    o.secret = cursor_lp(&c);
    o.issuer = cursor_lp(&c);
    o.account = cursor_lp(&c);
    if (status == CLI_DONE && cursor_finish(&c) < 0)
        status = cli_fail("the server's answer makes no sense; restart the server");
    if (status == CLI_DONE)
        status = show_offer(cli, &o);
    password_done(&o.uri);
    password_done(&o.text);
    password_done(&reply);
    return status;
}

/* --- totp confirm, disable, state --- */

static int confirm(struct cli *cli)
{
    struct str code = cli_word(cli, CODE_WORD);
    const char *address = cli->args.words[ADDRESS_WORD];
    CLEANUP(cleanup_free)
    char *done =
        xasprintf("%s\n  hikyaku account recovery-codes %s\n"
                  "  hikyaku account app-password add %s %s",
                  text_in("the second factor is on: mail programs need app passwords from "
                          "now on; next:",
                          "二要素認証を有効にしました。今後メールソフトにはアプリパスワードが必要"
                          "です。次に:"),
                  address, address, text_in("NAME", "名前"));

    return call_and_say(cli, STORE_TOTP_CONFIRM, &code, done);
}

static int disable(struct cli *cli)
{
    return call_and_say(
        cli, STORE_TOTP_REMOVE, NULL,
        text_in("the second factor is off, and its recovery codes are void; app "
                "passwords stay",
                "二要素認証を無効にしました。リカバリーコードは使えなくなりましたが、"
                "アプリパスワードはそのままです"));
}

static int tell_code(enum auth_verdict verdict)
{
    if (verdict == AUTH_TOO_MANY)
        return cli_fail("%s", text_in("too many wrong codes; none counts for a while, not even a "
                                      "right one",
                                      "コードの誤りが多すぎます。しばらくは正しいコードも"
                                      "確認できません"));
    if (verdict != AUTH_OK)
        return cli_fail("%s", text_in("wrong, or used already; codes of the app change every 30 "
                                      "seconds, and each counts once",
                                      "コードが違うか、使用済みです。アプリのコードは 30 秒ごとに"
                                      "変わり、一度しか使えません"));
    (void)printf("%s\n", text_in("right; it cannot be used again",
                                 "正しいコードです。このコードは二度と使えません"));
    return CLI_DONE;
}

static int check(struct cli *cli)
{
    struct str code = cli_word(cli, CODE_WORD);
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = call(cli, STORE_TOTP_CHECK, &code, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    enum auth_verdict verdict = (enum auth_verdict)cursor_u8(&c);
    if (status == CLI_DONE)
        status = cursor_finish(&c) < 0
                     ? cli_fail("the server's answer makes no sense; restart the server")
                     : tell_code(verdict);
    buf_done(&reply);
    return status;
}

int cmd_account_totp(struct cli *cli)
{
    static const struct cli_action actions[] = {
        {"show", 1, 1, cmd_account_show}, {"enable", 1, 1, enable},   {"confirm", 2, 2, confirm},
        {"check", 2, 2, check},           {"disable", 1, 1, disable},
    };

    return actions_run(cli, actions, ARRAY_LEN(actions), ACTION_WORD);
}

/* --- recovery codes --- */

int cmd_account_recovery_codes(struct cli *cli)
{
    json_t *list = cli->args.is_json ? json_array() : NULL;
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = call(cli, STORE_RECOVERY_CODES, NULL, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    while (status == CLI_DONE && cursor_left(&c) > 0 && cursor_status(&c) == 0) {
        struct str code = cursor_lp(&c);
        if (list != NULL)
            (void)json_array_append_new(list, cli_json_text(code));
        else
            (void)printf("%.*s\n", STR_ARG(code));
    }
    password_done(&reply);
    if (status != CLI_DONE)
        json_decref(list);
    else if (list != NULL)
        status = cli_print_json(list);
    else
        (void)printf(
            "\n%s\n",
            text_in("Each stands for a code of the app, once. Keep them on paper. They are not "
                    "shown again,\nand those made before are void.",
                    "それぞれ一度だけ、アプリのコードの代わりになります。紙に控えてください。二度と"
                    "表示されません。\n以前に作ったものは使えなくなりました。"));
    return status;
}
