/* The queue in plain words: see queue_text.h. */
#include "cli/queue_text.h"

#include <errno.h>

#include "cli/text.h"
#include "store/wire.h"

/* By enum queue_state. */
static const struct {
    const char *name, *english, *japanese;
} states[] = {
    [QUEUE_READY] = {"ready", "ready", "送信待ち"},
    [QUEUE_DEFERRED] = {"deferred", "put off", "延期中"},
    [QUEUE_LEASED] = {"sending", "being sent", "送信中"},
    [QUEUE_HELD] = {"held", "held", "保留"},
    [QUEUE_DONE] = {"reporting", "to be reported", "通知待ち"},
    [QUEUE_SCHEDULED] = {"scheduled", "scheduled", "予約送信"},
};

/* Of what is scheduled, an administrator's hold is a time that never comes. */
static unsigned state_of(const struct queue_row *row)
{
    bool is_held = row->state == QUEUE_SCHEDULED && row->due_ms == QUEUE_NO_TIME;

    return is_held ? (unsigned)QUEUE_HELD : row->state;
}

const char *queue_text_row_state_name(const struct queue_row *row)
{
    return queue_text_state_name(state_of(row));
}

const char *queue_text_if_late(unsigned by)
{
    if (by & DELIVER_BY_RETURN)
        return "return";
    return by & DELIVER_BY_NOTIFY ? "notify" : "";
}

const char *queue_text_state_name(unsigned state)
{
    return state < ARRAY_LEN(states) ? states[state].name : "unknown";
}

const char *queue_text_state_words(unsigned state, bool is_japanese)
{
    if (state >= ARRAY_LEN(states))
        return is_japanese ? "不明" : "unknown";
    return is_japanese ? states[state].japanese : states[state].english;
}

int queue_text_parse_state(struct str name, enum queue_state *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(states); i++) {
        if (str_eq_nocase(name, str_from_c(states[i].name)) ||
            str_eq_nocase(name, str_from_c(states[i].english)) ||
            str_eq_c(name, states[i].japanese)) {
            *out = (enum queue_state)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *queue_text_destination_name(unsigned state)
{
    static const char *const names[] = {
        [QUEUE_DESTINATION_READY] = "ready",
        [QUEUE_DESTINATION_WAITING] = "waiting",
        [QUEUE_DESTINATION_ACTIVE] = "active",
    };

    return state < ARRAY_LEN(names) ? names[state] : "none";
}

bool queue_text_waits_for_destination(const struct queue_row *row)
{
    return row->state == QUEUE_READY && row->destination_state == QUEUE_DESTINATION_WAITING;
}

int64_t queue_text_next_ms(const struct queue_row *row)
{
    bool destination_waits = row->destination_state == QUEUE_DESTINATION_WAITING;

    if (row->state == QUEUE_SCHEDULED)
        return row->due_ms != QUEUE_NO_TIME ? row->due_ms : 0;
    if (row->state == QUEUE_DEFERRED)
        return MAX(row->due_ms, destination_waits ? row->destination_due_ms : 0);
    return queue_text_waits_for_destination(row) ? row->destination_due_ms : 0;
}

void queue_text_put_when(struct buf *out, int64_t real_ms, int64_t now_ms, bool is_japanese)
{
    if (real_ms <= now_ms) {
        buf_put_c(out, is_japanese ? "まもなく" : "now");
        return;
    }
    text_put_clock(out, real_ms, now_ms);
    buf_put_c(out, is_japanese ? "（" : " (in ");
    text_put_span(out, real_ms - now_ms, is_japanese);
    buf_put_c(out, is_japanese ? "後）" : ")");
}

void queue_text_put_past(struct buf *out, int64_t real_ms, int64_t now_ms, bool is_japanese)
{
    text_put_clock(out, real_ms, now_ms);
    buf_put_c(out, is_japanese ? "（" : " (");
    text_put_span(out, now_ms - real_ms, is_japanese);
    buf_put_c(out, is_japanese ? "前）" : " ago)");
}

static void put_done(struct buf *out, unsigned report, bool is_japanese)
{
    switch (report) {
    case QUEUE_REPORT_FAILED:
        buf_put_c(out,
                  is_japanese ? "配送失敗、差出人に通知待ち" : "failed, its sender is to be told");
        return;
    case QUEUE_REPORT_DELIVERED:
    case QUEUE_REPORT_RELAYED:
        buf_put_c(out, is_japanese ? "配送済み、差出人に通知待ち"
                                   : "delivered, its sender is to be told");
        return;
    default:
        buf_put_c(out, queue_text_state_words(QUEUE_DONE, is_japanese));
        return;
    }
}

void queue_text_put_state(struct buf *out, const struct queue_row *row, int64_t now_ms,
                          bool is_japanese)
{
    int64_t next_ms = queue_text_next_ms(row);
    const char *words = queue_text_state_words(state_of(row), is_japanese);

    if (row->state == QUEUE_DONE) {
        put_done(out, row->report, is_japanese);
        return;
    }
    if (next_ms <= now_ms) {
        buf_put_c(out, words);
        if (row->state == QUEUE_DEFERRED)
            buf_put_c(out, is_japanese ? "、まもなく再送" : ", due now");
        return;
    }
    if (row->state == QUEUE_SCHEDULED) {
        buf_printf(out, "%s%s", words, is_japanese ? "、送信は " : " for ");
        queue_text_put_when(out, next_ms, now_ms, is_japanese);
        return;
    }
    if (is_japanese)
        buf_printf(out, "%s、次は ", words);
    else
        buf_printf(out, row->state == QUEUE_DEFERRED ? "%s until " : "%s, due ", words);
    queue_text_put_when(out, next_ms, now_ms, is_japanese);
}

void queue_text_put_answer(struct buf *out, struct str status, struct str remote, struct str reply)
{
    if (remote.len == 0) {
        text_put_safe_line(out, reply);
        if (status.len == 0)
            return;
        buf_put_c(out, reply.len > 0 ? " (" : "(");
        text_put_safe(out, status);
        buf_put_char(out, ')');
        return;
    }
    text_put_safe(out, remote);
    buf_put_c(out, ": ");
    /* A server's words begin with its codes. */
    text_put_safe_line(out, reply.len > 0 ? reply : status);
}

/* By subject and detail of an enhanced status code (RFC 3463); the first that fits. {domain} is the
 * recipient's. */
struct remedy {
    const char *code; /* "4.1"; "7." fits all of the subject */
    bool is_own;      /* only when no other server spoke */
    const char *english, *japanese;
};

static const struct remedy remedies[] = {
    {"4.3", true, "See what the name service says of it: hikyaku dns {domain}.",
     "hikyaku dns {domain} で、ネームサーバーの応答をご確認ください。"},
    {"4.4", true, "See what the name service says of it: hikyaku dns {domain}.",
     "hikyaku dns {domain} で、ネームサーバーの応答をご確認ください。"},
    {"4.6", false,
     "Mail goes in a circle: check the routes of this server, and the MX records "
     "(hikyaku dns {domain}).",
     "配送が循環しています。このサーバーの経路の設定と MX レコード（hikyaku dns {domain}）をご確認"
     "ください。"},
    {"4.7", false, "The time that queue.lifetime allows is over; the sender is told.",
     "queue.lifetime の期限が過ぎました。差出人に通知されます。"},
    {"4.", true,
     "If other domains are in the same state, see whether this machine may connect to port 25 "
     "outside: many networks forbid it. If it is only this one, wait; hikyaku dns {domain} shows "
     "its hosts.",
     "ほかのドメインも同じ状態なら、このマシンから外部の 25 番ポートに接続できるかご確認ください"
     "（多くの回線で制限されています）。このドメインだけなら、お待ちください。相手のホストは "
     "hikyaku dns {domain} で分かります。"},
    {"7.4", true,
     "Their server offers no encryption, but the tls setting of the route demands it: ask their "
     "postmaster, or change that setting.",
     "経路の tls 設定で暗号化が必須ですが、相手側のサーバーが対応していません。相手側の管理者に"
     "お尋ねになるか、設定を変えてください。"},
    {"7.5", false,
     "The encryption that is demanded fails: their certificate must fit the name of their server "
     "and come from an authority in tls.ca_file, and their TLS must not be too old.",
     "必須の暗号化に失敗しています。相手側の証明書がサーバー名と合うか、tls.ca_file の認証局のもの"
     "か、TLS のバージョンが古すぎないかをご確認ください。"},
    {"7.8", false,
     "Their server does not let this one log in: check username and password_file of the route.",
     "相手側のサーバーにログインできません。経路の username と password_file をご確認ください。"},
    {"5.", true,
     "What answers at that address and port is no mail server, or something in between changes "
     "its words: check the hosts and ports of the route, and firewalls that look into mail.",
     "そのアドレスとポートで応答しているのはメールサーバーではないか、途中で内容が書き換えられて"
     "います。経路のホストとポート、メールを検査するファイアウォールをご確認ください。"},
    {"3.", true, "The cause is on this machine: look at the log and at its disk and memory.",
     "原因はこのマシンにあります。ログと、ディスクやメモリの状態をご確認ください。"},
    {"2.2", false, "Only the recipient can make room; tell them in another way if it matters.",
     "空きを作れるのは受信者だけです。急ぎの場合は別の方法でお知らせください。"},
    {"2.", false, "Only the recipient or their postmaster can mend it.",
     "受信者か、相手側の管理者でなければ直せません。"},
    {"1.8", false, "The sender's domain must exist in the DNS: check its MX and A records.",
     "差出人のドメインが DNS に必要です。MX と A レコードをご確認ください。"},
    {"1.", false, "Check the address; if it is right, ask their postmaster.",
     "アドレスをご確認ください。正しい場合は、相手側の管理者にお尋ねください。"},
    {"7.", false,
     "Greylisting passes by itself within an hour. If it lasts longer: this server's address "
     "needs a reverse name that fits server.hostname, the sender's domain SPF, and neither may "
     "be on a block list. Then ask their postmaster.",
     "グレーリストであれば一時間ほどで自然に通ります。続く場合は、このサーバーのアドレスの逆引きが "
     "server.hostname と合うか、差出人ドメインの SPF、ブロックリストへの登録の有無をご確認の"
     "うえ、相手側の管理者にお尋ねください。"},
    {"3.", false, "Their server is busy or being serviced: wait.",
     "相手側のサーバーが混雑中か保守中です。お待ちください。"},
    {"4.", false, "Their server is in trouble with its network: wait.",
     "相手側のサーバーのネットワークに問題があります。お待ちください。"},
    {"5.", false,
     "The servers do not understand each other: hikyaku trace of a message shows what was said.",
     "サーバー同士のやり取りに問題があります。hikyaku trace で経過が分かります。"},
};

static const char *find_remedy(struct str status, bool is_remote, bool is_japanese)
{
    struct str class, rest;

    (void)str_cut(status, '.', &class, &rest);
    for (size_t i = 0; i < ARRAY_LEN(remedies); i++) {
        struct str code = str_from_c(remedies[i].code);
        bool is_subject = code.ptr[code.len - 1] == '.';
        if (remedies[i].is_own && is_remote)
            continue;
        if (is_subject ? str_has_prefix(rest, code) : str_eq(rest, code))
            return is_japanese ? remedies[i].japanese : remedies[i].english;
    }
    return is_japanese ? "自動で再送しますので、お待ちください。"
                         "hikyaku queue retry ですぐに試せます。"
                       : "Wait: it is tried again by itself; hikyaku queue retry tries at once.";
}

void queue_text_put_remedy(struct buf *out, struct str status, bool is_remote, struct str domain,
                           bool is_japanese)
{
    struct str rest = str_from_c(find_remedy(status, is_remote, is_japanese)), part;

    while (rest.len > 0) {
        bool has_domain = str_cut(rest, '{', &part, &rest);
        buf_put_str(out, part);
        if (!has_domain)
            break;
        text_put_safe(out, domain);
        (void)str_cut(rest, '}', &part, &rest);
    }
}
