/* Trace events in plain words: see trace_text.h. */
#include "cli/trace_text.h"

#include <errno.h>

#include "cli/text.h"
#include "conf/value.h"

enum { KEY_MAX_BYTES = 64, USED_MAX = TRACE_DETAILS_MAX };

/*
 * The words of an event: {key} is a detail's value, {address} and {recipient} are the event's
 * address; what stands in [...] is left out when a key in it has no value. {size} is `bytes` with a
 * unit, {count} is `recipients` with its noun. `silent` details say nothing new.
 */
struct phrase {
    const char *event;
    const char *english;
    const char *japanese;
    const char *silent;
};

static const struct phrase phrases[] = {
    {"accepted", "accepted from <{address}>[ via {peer}][ ({helo})][, {size}][, {count}]",
     "<{address}> から受け付けました[、接続元 {peer}][ ({helo})][、{size}][、{count}]", ""},
    {"delivered", "delivered to {address} ({mailbox}[ of {account}])",
     "{address} に配達しました（[{account} の ]{mailbox}）", ""},
    {"queued", "queued for {address}", "{address} 宛を送信待ちに入れました", "domain"},
    {"recovered", "found after a crash: the mail is whole, its earlier trace is lost[, {size}]",
     "障害のあとに見つかりました。本文は無事ですが、それまでの記録は失われました[、{size}]", ""},
    {"refused",
     "refused[ at {stage}]: [{code} ][{enhanced} ]{text}[, from <{sender}>][, to <{recipient}>]"
     "[, via {peer}][ ({helo})]",
     "[{stage} で]拒否しました: [{code} ][{enhanced} ]{text}[、差出人 <{sender}>]"
     "[、宛先 <{recipient}>][、接続元 {peer}][ ({helo})]",
     ""},
    {"lost",
     "lost the connection in the middle of a message[, from <{sender}>][, via {peer}][ ({helo})]"
     "[, after {size}]: nothing was accepted, the sender will try again",
     "メールの途中で接続が切れました[、差出人 <{sender}>][、接続元 {peer}][ ({helo})][、{size} "
     "まで]"
     "。受け付けていないので、送信側が送り直します",
     "recipients"},
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

static bool put_number(struct telling *t, struct str key, struct buf *out)
{
    bool is_size = str_eq(key, STR("size"));
    struct str detail = is_size ? STR("bytes") : STR("recipients"), value;
    uint64_t number;

    if (!find_detail(t->event, detail, &value) || str_to_u64(value, INT64_MAX, &number) < 0)
        return false;
    mark_used(t, detail);
    if (is_size)
        text_put_size(out, number);
    else if (t->is_japanese)
        buf_printf(out, "宛先 %llu 件", (unsigned long long)number);
    else
        buf_printf(out, "%llu recipient%s", (unsigned long long)number, number == 1 ? "" : "s");
    return true;
}

/* Appends what {key} stands for. False when there is no such value. */
static bool put_value(struct telling *t, struct str key, struct buf *out)
{
    struct str value;

    if (str_eq(key, STR("address"))) {
        text_put_safe(out, t->event->address);
        return true; /* the null sender is a sender, too */
    }
    if (str_eq(key, STR("recipient"))) {
        text_put_safe(out, t->event->address);
        return t->event->address.len > 0;
    }
    if (str_eq(key, STR("size")) || str_eq(key, STR("count")))
        return put_number(t, key, out);
    if (!find_detail(t->event, key, &value))
        return false;
    mark_used(t, key);
    text_put_safe(out, value);
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
        if (is_used(t, key))
            continue;
        buf_put_char(out, ' ');
        text_put_safe(out, str_sub(key, 0, KEY_MAX_BYTES));
        buf_put_char(out, '=');
        text_put_safe(out, value);
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
