/* Trace events in plain words: see trace_text.h. */
#include "cli/trace_text.h"

#include <errno.h>

#include "cli/text.h"
#include "conf/value.h"
#include "store/ban_wire.h"

enum { KEY_MAX_BYTES = 64, USED_MAX = TRACE_DETAILS_MAX };

/*
 * The words of an event: {key} is a detail's value, {address} and {recipient} are the event's
 * address; what stands in [...] is left out when a key in it has no value. Keys that `special`
 * names are made of one or more details. `silent` details say nothing new.
 */
struct phrase {
    const char *event;
    const char *english;
    const char *japanese;
    const char *silent;
};

static const struct phrase phrases[] = {
    {"accepted",
     "accepted from <{address}>[ of {login}][ via {peer}][ ({helo})][, {size}][, {count}]"
     "[, priority {priority}][, needs {utf8}]",
     "<{address}> から受け付けました[、ログイン {login}][、接続元 {peer}][ "
     "({helo})][、{size}][、{count}]"
     "[、優先度 {priority}][、{utf8} が必要]",
     ""},
    {"scheduled", "scheduled for {address}: to be sent at {until}",
     "{address} 宛を予約しました。送信は {until}", ""},
    {"delivered", "delivered to {address} ({mailbox}[ of {account}])",
     "{address} に配達しました（[{account} の ]{mailbox}）", ""},
    {"queued", "queued for {address}[, by the route {route}]",
     "{address} 宛を送信待ちに入れました[（経路 {route}）]", "domain"},
    {"held", "held: {address} waits until it is released[; by {by}]",
     "{address} 宛は解除されるまで保留します[（{by}による）]", "domain"},
    {"discarded", "thrown away: a route says so for {address}",
     "{address} 宛は経路の設定により破棄しました", ""},
    {"relayed", "relayed to {address}[ by {host}][, {crypto}][: {said}][; before that: {tried}]",
     "{address} 宛を送りました[。相手 {host}][、{crypto}][。応答: {said}][。その前に: {tried}]",
     "stage"},
    {"deferred",
     "put off for {address}[: {where}][: {said}][; before that: {tried}]"
     "[; next attempt at {next}]",
     "{address} 宛を延期しました[: {where}][: {said}][。その前に: {tried}][。次の試行は {next}]",
     "tls"},
    {"waits",
     "waits, for {address}: its server could not be reached for other mail just before"
     "[: {where}][: {said}][; next attempt at {next}]",
     "{address} 宛を待たせています。直前にほかのメールで相手サーバーにつながりませんでした"
     "[: {where}][: {said}][。次の試行は {next}]",
     ""},
    {"failed", "could not be delivered to {address}[: {where}][: {said}][; before that: {tried}]",
     "{address} に届けられませんでした[: {where}][: {said}][。その前に: {tried}]", "tls"},
    {"expired", "given up for {address}: its time is over[; last: {said}]",
     "{address} 宛は期限が過ぎたため打ち切りました[。最後の理由: {said}]", ""},
    {"notified", "told {address}[ in the notice {notice}]",
     "{address} に知らせました[（通知 {notice}）]", ""},
    {"returned", "returned to its sender, for {address}[; by {by}]",
     "{address} 宛を差出人に返しました[（{by}による）]", ""},
    {"retried", "to be tried again at once, for {address}[; by {by}]",
     "{address} 宛をすぐに再送することにしました[（{by}による）]", ""},
    {"released", "released, for {address}[; by {by}]",
     "{address} 宛を送信に回しました[（{by}による）]", ""},
    {"cancelled", "cancelled, for {address}[; by {by}]",
     "{address} 宛の送信を取り消しました[（{by}による）]", ""},
    {"overdue", "given up for {address}: the time that its sender set is over[; last: {said}]",
     "{address} 宛は差出人が指定した時刻を過ぎたため取りやめました[。最後の理由: {said}]", ""},
    {"late", "late for {address}: the time that its sender set is over[; last: {said}]",
     "{address} 宛は差出人が指定した時刻を過ぎました[。最後の理由: {said}]", ""},
    {"dropped", "dropped without a word, for {address}[; by {by}]",
     "{address} 宛を通知なしで取り除きました[（{by}による）]", ""},
    {"recovered", "found after a crash: the mail is whole, its earlier trace is lost[, {size}]",
     "障害のあとに見つかりました。本文は無事ですが、それまでの記録は失われました[、{size}]", ""},
    {"refused",
     "refused[ at {stage}]: [{code} ][{enhanced} ]{text}[, from <{sender}>][ of {login}]"
     "[, to <{recipient}>][, via {peer}][ ({helo})]",
     "[{stage} で]拒否しました: [{code} ][{enhanced} ]{text}[、差出人 <{sender}>][、ログイン "
     "{login}]"
     "[、宛先 <{recipient}>][、接続元 {peer}][ ({helo})]",
     ""},
    {"lost",
     "lost the connection in the middle of a message[, from <{sender}>][ of {login}]"
     "[, via {peer}][ ({helo})][, after {size}]: nothing was accepted, the sender will try again",
     "メールの途中で接続が切れました[、差出人 <{sender}>][、ログイン {login}][、接続元 {peer}]"
     "[ ({helo})][、{size} まで]"
     "。受け付けていないので、送信側が送り直します",
     "recipients"},
    {"login-failed",
     "{logins} failed[ for {address}][, from {from}][ and {elsewhere} from elsewhere]"
     "[; the last at {last}]",
     "[{address} への]ログインに {times} 回失敗しました[。接続元 {from}][、ほか {elsewhere} 回]"
     "[。最後は {last}]",
     ""},
    {"login-guessed",
     "{logins} failed for names that nobody has[, from {from}][; the last at {last}]",
     "存在しない名前へのログインに {times} 回失敗しました[。接続元 {from}][。最後は {last}]", ""},
    {"login-slowed",
     "too many failed logins[ for {address}]: who never logged in to it from his address has to "
     "wait"
     "; {logins} turned away[, from {from}][ and {elsewhere} from elsewhere][; the last at {last}]",
     "[{address} への]ログインの失敗が多すぎるため、初めてのアドレスからのログインを待たせています"
     "。断った回数 {times}[。接続元 {from}][、ほか {elsewhere} 回][。最後は {last}]",
     ""},
    {"over-limit",
     "the limit of {limit} {which}[ of {address}] is reached: {mails} refused[; the last at "
     "{last}]",
     "[{address} の]{which}の上限 {limit} に達しました。断ったメール {times} 通[。最後は {last}]",
     ""},
    {"banned", "{network} is banned from {what}[ until {until}][: {reason}]",
     "{network} を拒否しています（{what}）[。期限 {until}][。理由: {reason}]", ""},
    {"banned-more", "{times} more addresses were banned; see: hikyaku ban list",
     "ほかに {times} 件のアドレスを拒否しました（hikyaku ban list）", "last"},
};

/* An event and which of its details have been told. */
struct telling {
    const struct trace_event *event;
    const struct phrase *phrase;
    bool is_japanese;
    struct str used[USED_MAX];
    size_t used_count;
};

static bool find_detail(const struct trace_event *event, struct str key, struct str *out_value)
{
    struct cursor c = cursor_from(event->details);
    struct str name;

    while (trace_next_detail(&c, &name, out_value) > 0) {
        if (str_eq(name, key))
            return out_value->len > 0;
    }
    return false;
}

static void mark_used(struct telling *t, struct str key)
{
    if (t->used_count < USED_MAX)
        t->used[t->used_count++] = key;
}

static bool is_used(const struct telling *t, struct str key)
{
    struct str rest = str_from_c(t->phrase != NULL ? t->phrase->silent : ""), word;

    for (size_t i = 0; i < t->used_count; i++) {
        if (str_eq(t->used[i], key))
            return true;
    }
    while (rest.len > 0) {
        (void)str_cut(rest, ' ', &word, &rest);
        if (str_eq(word, key))
            return true;
    }
    return false;
}

/* Finds a detail and notes that it is told. */
static bool take_detail(struct telling *t, const char *key, struct str *out_value)
{
    struct str name = str_from_c(key);

    if (!find_detail(t->event, name, out_value)) {
        *out_value = STR("");
        return false;
    }
    mark_used(t, name);
    return true;
}

static bool take_number(struct telling *t, const char *key, uint64_t *out)
{
    struct str value;

    if (!find_detail(t->event, str_from_c(key), &value) || str_to_u64(value, INT64_MAX, out) < 0)
        return false;
    mark_used(t, str_from_c(key));
    return true;
}

/* --- special keys --- */

static bool put_address(struct telling *t, struct buf *out)
{
    text_put_safe(out, t->event->address);
    return true; /* the null sender is a sender, too */
}

static bool put_recipient(struct telling *t, struct buf *out)
{
    text_put_safe(out, t->event->address);
    return t->event->address.len > 0;
}

static bool put_size(struct telling *t, struct buf *out)
{
    uint64_t bytes;

    if (!take_number(t, "bytes", &bytes))
        return false;
    text_put_size(out, bytes);
    return true;
}

static bool put_count(struct telling *t, struct buf *out)
{
    uint64_t count;

    if (!take_number(t, "recipients", &count))
        return false;
    if (t->is_japanese)
        buf_printf(out, "宛先 %llu 件", (unsigned long long)count);
    else
        buf_printf(out, "%llu recipient%s", (unsigned long long)count, count == 1 ? "" : "s");
    return true;
}

/* Whether the words name the host themselves. */
static bool is_host_said(const struct telling *t)
{
    struct str name, reply;

    return find_detail(t->event, STR("mx"), &name) && find_detail(t->event, STR("reply"), &reply) &&
           str_has_prefix(reply, name);
}

/* "mx.example.net [192.0.2.1]", or what there is of it. */
static bool put_host(struct telling *t, struct buf *out)
{
    struct str name, ip;
    bool has_name = take_detail(t, "mx", &name), has_ip = take_detail(t, "ip", &ip);

    if (has_name)
        text_put_safe(out, name);
    if (has_name && has_ip)
        buf_put_char(out, ' ');
    if (has_ip) {
        buf_put_char(out, '[');
        text_put_safe(out, ip);
        buf_put_char(out, ']');
    }
    return has_name || has_ip;
}

static bool put_crypto(struct telling *t, struct buf *out)
{
    struct str tls;

    if (!take_detail(t, "tls", &tls))
        return false;
    if (str_eq_c(tls, "none")) {
        buf_put_c(out, t->is_japanese ? "暗号化なし" : "not encrypted");
        return true;
    }
    buf_put_c(out, t->is_japanese ? "暗号化 " : "encrypted with ");
    text_put_safe(out, tls);
    return true;
}

/* In which step of the dialogue. */
static bool put_stage(struct telling *t, struct buf *out)
{
    static const struct {
        const char *stage, *english, *japanese;
    } stages[] = {
        {"connect", "while connecting", "接続時"},
        {"greeting", "at its greeting", "最初の応答"},
        {"end of data", "after the message", "本文の送信後"},
    };
    struct str stage;

    if (!take_detail(t, "stage", &stage))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        if (str_eq_c(stage, stages[i].stage)) {
            buf_put_c(out, t->is_japanese ? stages[i].japanese : stages[i].english);
            return true;
        }
    }
    buf_put_c(out, t->is_japanese ? "" : "at ");
    text_put_safe(out, stage);
    buf_put_c(out, t->is_japanese ? " の段階" : "");
    return true;
}

static bool is_connecting(const struct telling *t)
{
    struct str stage;

    return find_detail(t->event, STR("stage"), &stage) && str_eq_c(stage, "connect");
}

/* The host and the step, or what there is of them. */
static bool put_where(struct telling *t, struct buf *out)
{
    size_t before = out->len;
    bool has_host = put_host(t, out);

    if (is_host_said(t))
        has_host = false;
    if (!has_host)
        out->len = before;
    before = out->len;
    if (has_host)
        buf_put_char(out, ' ');
    /* Without a host there was nothing to connect to: the DNS said so. */
    if (put_stage(t, out) && (has_host || !is_connecting(t)))
        return true;
    out->len = before;
    return has_host;
}

/* A space between what is there and what follows. */
static void put_word(struct buf *out, size_t start, struct str word)
{
    if (word.len > 0 && out->len > start)
        buf_put_char(out, ' ');
    text_put_safe_line(out, word);
}

/* "451 4.7.1 the server's words", or "our own words (4.4.1)". */
static bool put_said(struct telling *t, struct buf *out)
{
    struct str code, status, reply;
    size_t start = out->len;
    bool has_code = take_detail(t, "code", &code);
    bool has_status = take_detail(t, "status", &status);
    bool has_reply = take_detail(t, "reply", &reply);

    if (is_host_said(t))
        mark_used(t, STR("mx"));
    if (has_status && has_reply && !has_code) {
        text_put_safe_line(out, reply);
        buf_put_c(out, " (");
        text_put_safe(out, status);
        buf_put_char(out, ')');
        return true;
    }
    /* A server's words begin with its codes. */
    if (!str_has_prefix(reply, code)) {
        put_word(out, start, code);
        put_word(out, start, status);
    } else if (!has_code) {
        put_word(out, start, status);
    }
    put_word(out, start, reply);
    return has_code || has_status || has_reply;
}

/* A moment, and how long after the event that is. */
static bool put_moment(struct telling *t, const char *key, struct buf *out)
{
    int64_t event_ms = t->event->time_ms;
    uint64_t next_ms;

    if (!take_number(t, key, &next_ms))
        return false;
    text_put_clock(out, (int64_t)next_ms, event_ms);
    if ((int64_t)next_ms < event_ms)
        return true;
    buf_put_c(out, t->is_japanese ? "（" : " (");
    text_put_span(out, (int64_t)next_ms - event_ms, t->is_japanese);
    buf_put_c(out, t->is_japanese ? "後）" : " later)");
    return true;
}

static bool put_next(struct telling *t, struct buf *out)
{
    return put_moment(t, "next", out);
}

static bool put_until(struct telling *t, struct buf *out)
{
    return put_moment(t, "until", out);
}

static bool put_last(struct telling *t, struct buf *out)
{
    uint64_t last_ms;

    if (!take_number(t, "last", &last_ms))
        return false;
    text_put_clock(out, (int64_t)last_ms, t->event->time_ms);
    return true;
}

/* "1 login", "12 logins" */
static bool put_counted(struct telling *t, const char *what, struct buf *out)
{
    uint64_t count;

    if (!take_number(t, "count", &count))
        return false;
    buf_printf(out, "%llu %s%s", (unsigned long long)count, what, count == 1 ? "" : "s");
    return true;
}

static bool put_times(struct telling *t, struct buf *out)
{
    uint64_t count;

    if (!take_number(t, "count", &count))
        return false;
    buf_printf(out, "%llu", (unsigned long long)count);
    return true;
}

static bool put_logins(struct telling *t, struct buf *out)
{
    return put_counted(t, "login", out);
}

static bool put_mails(struct telling *t, struct buf *out)
{
    return put_counted(t, "message", out);
}

/* Words of ours that stand in details, in English. */
static bool put_translated(struct telling *t, const char *key, struct buf *out)
{
    static const char *const japanese[][2] = {
        {"messages a minute", "1 分間のメール数"},
        {"recipients a day", "1 日の宛先数"},
        {"new recipients a day", "1 日の初めての宛先数"},
        {"logins", "ログイン"},
        {"everything", "すべての接続"},
        {BAN_FOR_FAILURES, "ログインの失敗が多すぎます"},
        {BAN_BY_HAND, "手動"},
    };
    struct str words;

    if (!take_detail(t, key, &words))
        return false;
    for (size_t i = 0; t->is_japanese && i < ARRAY_LEN(japanese); i++) {
        if (str_eq_c(words, japanese[i][0])) {
            buf_put_c(out, japanese[i][1]);
            return true;
        }
    }
    text_put_safe_line(out, words);
    return true;
}

static bool put_which(struct telling *t, struct buf *out)
{
    return put_translated(t, "which", out);
}

static bool put_what(struct telling *t, struct buf *out)
{
    return put_translated(t, "what", out);
}

static bool put_reason(struct telling *t, struct buf *out)
{
    return put_translated(t, "reason", out);
}

static bool put_who(struct telling *t, struct buf *out)
{
    struct str by;

    if (!take_detail(t, "by", &by))
        return false;
    if (str_eq_c(by, "administrator"))
        buf_put_c(out, t->is_japanese ? "管理者" : "the administrator");
    else if (str_eq_c(by, "schedule"))
        buf_put_c(out, t->is_japanese ? "予約" : "its schedule");
    else
        text_put_safe(out, by);
    return true;
}

static bool put_utf8(struct telling *t, struct buf *out)
{
    struct str ignored;

    if (!take_detail(t, "smtputf8", &ignored))
        return false;
    buf_put_c(out, "SMTPUTF8");
    return true;
}

/* The route of a destination: "example.net/ROUTE" or "/ROUTE". */
static bool put_route(struct telling *t, struct buf *out)
{
    struct str destination, domain, route;

    if (!take_detail(t, "domain", &destination))
        return false;
    (void)str_cut(destination, '/', &domain, &route);
    text_put_safe(out, route);
    return route.len > 0;
}

static const struct {
    const char *key;
    bool (*put)(struct telling *t, struct buf *out);
} special[] = {
    {"address", put_address}, {"recipient", put_recipient},
    {"size", put_size},       {"count", put_count},
    {"host", put_host},       {"crypto", put_crypto},
    {"where", put_where},     {"said", put_said},
    {"next", put_next},       {"until", put_until},
    {"by", put_who},          {"route", put_route},
    {"last", put_last},       {"logins", put_logins},
    {"mails", put_mails},     {"which", put_which},
    {"what", put_what},       {"times", put_times},
    {"reason", put_reason},   {"utf8", put_utf8},
};

/* Appends what {key} stands for. False when there is no such value. */
static bool put_value(struct telling *t, struct str key, struct buf *out)
{
    struct str value;

    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        if (str_eq_c(key, special[i].key))
            return special[i].put(t, out);
    }
    if (!find_detail(t->event, key, &value))
        return false;
    mark_used(t, key);
    text_put_safe_line(out, value);
    return true;
}

/* Appends a part of a template; false when a key in it has no value. */
static bool put_part(struct telling *t, struct str part, struct buf *out)
{
    struct cursor c = cursor_from(part);
    bool has_all = true;

    while (cursor_left(&c) > 0) {
        buf_put_str(out, cursor_take_until(&c, '{'));
        if (!cursor_take_if(&c, '{'))
            break;
        has_all = put_value(t, cursor_take_until(&c, '}'), out) && has_all;
        (void)cursor_take_if(&c, '}');
    }
    return has_all;
}

static void put_phrase(struct telling *t, struct buf *out)
{
    struct cursor c =
        cursor_from(str_from_c(t->is_japanese ? t->phrase->japanese : t->phrase->english));

    while (cursor_left(&c) > 0) {
        (void)put_part(t, cursor_take_until(&c, '['), out);
        if (!cursor_take_if(&c, '['))
            break;
        size_t before = out->len, used = t->used_count;
        if (!put_part(t, cursor_take_until(&c, ']'), out)) {
            out->len = before;
            t->used_count = used;
        }
        (void)cursor_take_if(&c, ']');
    }
}

/* What the words did not use, and what is not known. */
static void put_rest(struct telling *t, struct buf *out)
{
    struct cursor c = cursor_from(t->event->details);
    struct str key, value;

    while (trace_next_detail(&c, &key, &value) > 0) {
        if (value.len == 0 || is_used(t, key))
            continue;
        buf_put_char(out, ' ');
        text_put_safe(out, str_sub(key, 0, KEY_MAX_BYTES));
        buf_put_char(out, '=');
        text_put_safe_line(out, value);
    }
}

void trace_text_put(struct buf *out, const struct trace_event *event, bool is_japanese)
{
    struct telling t = {.event = event, .is_japanese = is_japanese};

    for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
        if (str_eq_c(event->event, phrases[i].event))
            t.phrase = &phrases[i];
    }
    if (t.phrase != NULL) {
        put_phrase(&t, out);
        if (is_connecting(&t)) /* told with the host, and without one there is nothing to tell */
            mark_used(&t, STR("stage"));
    } else {
        text_put_safe(out, event->event);
        if (event->address.len > 0) {
            buf_put_char(out, ' ');
            text_put_safe(out, event->address);
        }
    }
    put_rest(&t, out);
}

int trace_text_parse_since(struct str text, int64_t *out_ms)
{
    /* "30m" is what people type; here it can only be minutes. */
    bool is_minutes =
        text.len > 1 && text.ptr[text.len - 1] == 'm' && ascii_is_digit(text.ptr[text.len - 2]);
    uint64_t minutes;

    if (!is_minutes)
        return value_parse_duration(text, out_ms) < 0 ? -EINVAL : 0;
    if (str_to_u64(str_sub(text, 0, text.len - 1), 60 * 24 * 3650, &minutes) < 0)
        return -EINVAL;
    *out_ms = (int64_t)minutes * 60 * 1000;
    return 0;
}
