/* The letter that tells postmaster of an account: see alarm.h. */
#include "mail/alarm.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "mail/dsn_text.h"
#include "mail/transfer.h"

/* What is said in one language. */
struct phrases {
    const char *subjects[ALARM_GUESSING + 1];
    const char *opening; /* %s: this server */
    const char *heads[ALARM_GUESSING + 1];
    const char *limit, *count, *from; /* %s: a number; addresses follow */
    const char *done[ALARM_GUESSING + 1];
    const char *meaning[ALARM_GUESSING + 1];
    const char *commands;
    const char *comments[7]; /* to the commands below */
    const char *closing;
};

static const char *const commands[] = {
    "hikyaku trace %s",
    "hikyaku account password %s",
    "hikyaku account app-password list %s",
    "hikyaku account disable %s",
    "hikyaku queue list --sender %s",
    "hikyaku account limits %s",
    "hikyaku ban list",
};

static const char en_limit[] = "It may be that its owner writes to many people. It may also be "
                               "that somebody\r\nelse knows the password: spam is sent that way.";
static const char en_stopped[] = "What goes beyond is refused until the day (of UTC) ends.";
static const char en_old_only[] = "What goes beyond is refused until the day (of UTC) ends; it can "
                                  "always write to\r\nwhom it has written before.";
static const char ja_limit[] =
    "利用者がたくさんの相手に送っているだけかもしれませんが、パスワードが盗まれて\r\n"
    "迷惑メールの送信に使われているおそれもあります。";
static const char ja_stopped[] = "この日 (UTC) が終わるまで、上限を超える送信を断ります。";
static const char ja_old_only[] =
    "この日 (UTC) が終わるまで、上限を超える送信を断ります。送ったことのある宛先へは\r\n"
    "いつでも送信できます。";

static const struct phrases english = {
    .subjects = {"", "An account sends to too many recipients today",
                 "An account sends to too many new recipients today",
                 "Somebody guesses an account's password"},
    .opening = "To the postmaster of %s: please look at the account",
    .heads = {"", "It was about to send to more recipients than it may in a day.",
              "It was about to write to more recipients than it may in a day to whom it never\r\n"
              "wrote before.",
              "So many logins to it have failed that addresses from which nobody has logged\r\n"
              "in to it before have to wait now."},
    .limit = "The limit: %s",
    .count = "Failed logins of late: %s",
    .from = "From: ",
    .done = {"", en_stopped, en_old_only,
             "Its owner can go on from the addresses that he uses; addresses that fail\r\n"
             "too often are banned for a while."},
    .meaning = {"", en_limit, en_limit,
                "The password may be weak or known elsewhere. If a guess was right, mail will\r\n"
                "go out that its owner did not write."},
    .commands = "These commands help:",
    .comments = {"what happened", "set a new password", "which programs have one of their own",
                 "let nobody log in",
                 "what of it still waits, also for a later day; queue drop takes it out",
                 "see and change what it may send", "who is banned"},
    .closing = "This is said once a day for each account. It was written by a program.",
};

static const struct phrases japanese = {
    .subjects = {"", "1 日の宛先数が上限を超えるアカウントがあります",
                 "1 日の初めての宛先数が上限を超えるアカウントがあります",
                 "アカウントのパスワードが推測されています"},
    .opening = "%s の管理者の方へ。次のアカウントをご確認ください。",
    .heads = {"", "1 日に送信できる宛先数の上限を超えて送信しようとしました。",
              "これまで送ったことのない宛先へ 1 日に送信できる数の上限を超えて送信しようと\r\n"
              "しました。",
              "ログインの失敗が多いため、このアカウントにログインしたことのないアドレス\r\n"
              "からのログインを待たせています。"},
    .limit = "上限: %s",
    .count = "最近失敗したログイン: %s 回",
    .from = "接続元: ",
    .done = {"", ja_stopped, ja_old_only,
             "利用者はふだんのアドレスから引き続きログインできます。失敗が多すぎるアドレスは\r\n"
             "しばらく拒否されます。"},
    .meaning = {"", ja_limit, ja_limit,
                "パスワードが弱いか、よそで漏れている可能性があります。推測が当たると、利用者の\r\n"
                "知らないメールが送られます。"},
    .commands = "次のコマンドが役に立ちます。",
    .comments = {"何があったか", "新しいパスワードを設定する", "アプリパスワードの一覧",
                 "ログインを止める",
                 "まだ送られていないメール (予約送信を含む)。queue drop で取り消せます",
                 "送信できる数を確認、変更する", "拒否しているアドレス"},
    .closing = "この通知はアカウントごとに 1 日 1 回、自動で送られます。",
};

static void put_line(struct buf *out, const char *text)
{
    buf_put_c(out, text);
    buf_put_c(out, "\r\n");
}

/* The phrase with its %s replaced. */
static void put_with(struct buf *out, const char *phrase, struct str value)
{
    struct cursor c = cursor_from(str_from_c(phrase));

    buf_put_str(out, cursor_take_until(&c, '%'));
    if (cursor_left(&c) == 0)
        return;
    buf_put_str(out, value);
    (void)cursor_take(&c, 2);
    buf_put_str(out, cursor_rest(&c));
}

static void put_number(struct buf *out, const char *phrase, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    buf_put_c(out, "    ");
    put_with(out, phrase, str_from_c(text));
    buf_put_c(out, "\r\n");
}

static void put_facts(struct buf *out, const struct alarm_letter *l, const struct phrases *p)
{
    if (l->cause != ALARM_GUESSING) {
        put_number(out, p->limit, l->limit);
        return;
    }
    put_number(out, p->count, (int64_t)l->count);
    if (l->peers.len > 0)
        buf_printf(out, "    %s%.*s\r\n", p->from, STR_ARG(l->peers));
}

static void put_language(struct buf *out, const struct alarm_letter *l, const struct phrases *p)
{
    struct buf account;

    buf_init(&account, DSN_ADDRESS_MAX_BYTES);
    dsn_text_clean(l->account, DSN_ADDRESS_MAX_BYTES, false, &account);
    put_with(out, p->opening, l->host);
    buf_printf(out, "\r\n\r\n    %.*s\r\n\r\n", STR_ARG(buf_str(&account)));
    put_line(out, p->heads[l->cause]);
    put_line(out, "");
    put_facts(out, l, p);
    buf_printf(out, "\r\n%s\r\n\r\n%s\r\n\r\n%s\r\n\r\n", p->done[l->cause], p->meaning[l->cause],
               p->commands);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        buf_put_c(out, "    ");
        put_with(out, commands[i], buf_str(&account));
        buf_printf(out, "\r\n        %s\r\n", p->comments[i]);
    }
    buf_printf(out, "\r\n%s\r\n", p->closing);
    buf_done(&account);
}

static bool is_in(const struct alarm_letter *l, enum dsn_language language)
{
    unsigned languages = l->languages != 0 ? l->languages : (unsigned)DSN_ENGLISH;

    return (languages & language) != 0;
}

static void put_header(struct buf *out, const struct alarm_letter *l)
{
    bool is_japanese = is_in(l, DSN_JAPANESE), is_english = is_in(l, DSN_ENGLISH);
    char date[CLOCK_TEXT_BYTES];
    struct buf subject;

    buf_init(&subject, 1024);
    buf_printf(&subject, "%s%s%s", is_japanese ? japanese.subjects[l->cause] : "",
               is_japanese && is_english ? " / " : "",
               is_english ? english.subjects[l->cause] : "");
    buf_printf(out, "Date: %s\r\nFrom: \"Mail system\" <MAILER-DAEMON@%.*s>\r\n",
               clock_format_mail(l->now_ms, date), STR_ARG(l->host));
    buf_printf(out, "To: <postmaster@%.*s>\r\nSubject: ", STR_ARG(l->host));
    transfer_put_words(buf_str(&subject), out);
    /* RFC 3834 section 5: no answer to anything. */
    buf_printf(out, "\r\nMessage-ID: <%.*s@%.*s>\r\nAuto-Submitted: auto-generated\r\n",
               STR_ARG(l->id), STR_ARG(l->host));
    buf_done(&subject);
}

void alarm_print(const struct alarm_letter *l, struct buf *out)
{
    bool is_japanese = is_in(l, DSN_JAPANESE), is_english = is_in(l, DSN_ENGLISH);
    struct transfer_encoder e;
    struct buf text;

    ASSERT(l->cause >= ALARM_TOO_MANY_RECIPIENTS && l->cause <= ALARM_GUESSING);
    buf_init(&text, ALARM_MAX_BYTES / 2);
    if (is_japanese)
        put_language(&text, l, &japanese);
    if (is_japanese && is_english)
        put_line(&text, "\r\n------------------------------------------------------------\r\n");
    if (is_english)
        put_language(&text, l, &english);
    put_header(out, l);
    transfer_init(&e, is_japanese ? TRANSFER_BASE64 : TRANSFER_QUOTED_PRINTABLE);
    buf_printf(out,
               "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
               "Content-Transfer-Encoding: %s\r\n\r\n",
               transfer_name(e.encoding));
    transfer_put(&e, buf_str(&text), out);
    transfer_finish(&e, out);
    if (out->len > 0 && out->ptr[out->len - 1] != '\n')
        buf_put_c(out, "\r\n");
    buf_done(&text);
}
