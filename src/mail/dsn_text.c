/* The part of a notice that people read: see dsn_text.h. */
#include "mail/dsn_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <unilbrk.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "mail/encoded_word.h"
#include "mail/header.h"

enum {
    TEXT_COLUMNS = 72,
    PARAGRAPH_MAX_BYTES = 4096,
    TIME_TEXT_BYTES = 64,
    QUOTES_END_BYTES = 200 * 1024, /* of the text; the words stand in the part for programs too */
};

static const char address_indent[] = "    ";
static const char quote_indent[] = "    > ";

/* What is said in one language. A %s is said in the comment. */
struct phrases {
    enum dsn_language language;
    const char *opening;                    /* our host name */
    const char *subjects[DSN_EXPANDED + 1]; /* [0]: to the postmaster */
    const char *heads[DSN_EXPANDED + 1];    /* before the addresses */
    const char *postmaster_heads[DSN_EXPANDED + 1];
    const char *notes[DSN_EXPANDED + 1]; /* after the reason */
    const char *note_until;              /* of a delay whose end is known: the time */
    const char *gave_up;                 /* of a failure that was a delay until now */
    const char *postmaster;
    const char *remote_words; /* the server's name */
    const char *unnamed_words;
    const char *own_words;
    const char *last_attempt; /* the time */
    const char *details;
    const char *subject, *sender, *arrival, *id; /* the value */
    const char *id_hint;
    const char *closing;
};

static const struct phrases english = {
    .language = DSN_ENGLISH,
    .opening = "This is the mail server %s.",
    .subjects = {"Mail that could be neither delivered nor returned", "Undelivered mail",
                 "Delayed mail", "Mail delivered", "Mail passed on", "Mail delivered to a group"},
    .heads = {"", "Your message could not be delivered to:",
              "Your message has not been delivered yet to:", "Your message was delivered to:",
              "Your message was passed on to the next mail server for:",
              "Your message was delivered, and sent on to everyone behind this address:"},
    .postmaster_heads = {"", "The message could not be delivered to:",
                         "The message has not been delivered yet to:",
                         "The message was delivered to:", "The message was passed on for:",
                         "The message was delivered and sent on for:"},
    .notes = {"", "",
              "Nothing is lost, and you need not send the message again: this server keeps trying "
              "and will tell you if it has to give up. If it is urgent, please reach the recipient "
              "in another way, by telephone for example.",
              "The message is in the mailbox now. This does not mean that it has been read.",
              "That server does not confirm deliveries, so this is the last you will hear from "
              "here. If it cannot deliver the message, it should tell you.",
              "Should the message fail to reach one of them, you may still receive a notice "
              "about it."},
    .note_until = "Nothing is lost, and you need not send the message again: this server keeps "
                  "trying until %s and will tell you if it has to give up. If it is urgent, please "
                  "reach the recipient in another way, by telephone for example.",
    .gave_up = "This server has tried again and again, and has now given up.",
    .postmaster = "To the postmaster: the message described below could not be delivered, and its "
                  "sender could not be told either. Please see whether something is wrong with "
                  "this server or with the addresses.",
    .remote_words = "The server %s answered:",
    .unnamed_words = "The recipient's server answered:",
    .own_words = "This server noted:",
    .last_attempt = "Last attempt: %s",
    .details = "About the message",
    .subject = "Subject: %s",
    .sender = "Sender: %s",
    .arrival = "Received here: %s",
    .id = "Reference: %s",
    .id_hint = "If you ask your administrator for help, please give this reference.",
    .closing = "This notice was written by a program.",
};

static const struct phrases japanese = {
    .language = DSN_JAPANESE,
    .opening = "メールサーバー %s からのお知らせです。",
    .subjects = {"配送も返送もできなかったメールがあります", "配送できませんでした",
                 "配送が遅れています", "配送しました", "次のサーバーへ引き渡しました",
                 "グループの宛先へ配送しました"},
    .heads = {"", "お送りいただいたメールを、次の宛先へお届けできませんでした。",
              "お送りいただいたメールを、次の宛先へまだお届けできていません。",
              "お送りいただいたメールを、次の宛先へお届けしました。",
              "お送りいただいたメールを、次の宛先を受け持つサーバーへ引き渡しました。",
              "お送りいただいたメールを、次の宛先の皆さまへお送りしました。"},
    .postmaster_heads = {"", "次の宛先へ配送できませんでした。",
                         "次の宛先へまだ配送できていません。", "次の宛先へ配送しました。",
                         "次の宛先を受け持つサーバーへ引き渡しました。",
                         "次の宛先に登録されている全員へ転送しました。"},
    .notes =
        {"", "",
         "メールは失われていません。当サーバーが引き続き配送を試みますので、もう一度お送り"
         "いただく必要はありません。それでもお届けできないときは、あらためてお知らせします。"
         "お急ぎの場合は、電話など別の方法で相手の方にご連絡ください。",
         "メールは相手の方のメールボックスに入りました。お読みになったかどうかまでは確認でき"
         "ません。",
         "引き渡し先のサーバーは配送完了をお知らせする機能に対応していないため、当サーバーから"
         "のお知らせはこれが最後です。お届けできなかった場合は、引き渡し先のサーバーから"
         "お知らせが届きます。",
         "そのうちのどなたかへお届けできなかった場合は、あらためてお知らせすることがあります。"},
    .note_until =
        "メールは失われていません。当サーバーが%sまで配送を試み続けますので、もう一度お送り"
        "いただく必要はありません。それでもお届けできないときは、あらためてお知らせします。"
        "お急ぎの場合は、電話など別の方法で相手の方にご連絡ください。",
    .gave_up = "当サーバーで何度も配送を試みましたが、お届けできないため打ち切りました。",
    .postmaster = "管理者の方へ。下記のメールを配送できず、差出人の方へお知らせすることもできません"
                  "でした。当サーバーや宛先の設定に問題がないか、ご確認をお願いいたします。",
    .remote_words = "サーバー %s からの応答:",
    .unnamed_words = "相手側のサーバーからの応答:",
    .own_words = "当サーバーの記録:",
    .last_attempt = "最後に配送を試みた日時: %s",
    .details = "このメールについて",
    .subject = "件名: %s",
    .sender = "差出人: %s",
    .arrival = "受付日時: %s",
    .id = "受付番号: %s",
    .id_hint = "管理者にお問い合わせの際は、この受付番号をお伝えください。",
    .closing = "このお知らせは自動で作成しています。",
};

/* --- strangers' text --- */

/* U+202A..202E and U+2066..2069, and the C1 controls. */
static bool is_unwanted(struct str ch)
{
    unsigned char first = (unsigned char)ch.ptr[0];

    if (ch.len == 1)
        return first < ' ' || first == 0x7f;
    unsigned char second = (unsigned char)ch.ptr[1];
    if (ch.len == 2)
        return first == 0xc2 && second < 0xa0;
    unsigned char third = (unsigned char)ch.ptr[2];
    if (first != 0xe2)
        return false;
    return (second == 0x80 && third >= 0xa8 && third <= 0xae) ||
           (second == 0x81 && third >= 0xa6 && third <= 0xa9);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void dsn_text_clean(struct str text, size_t max_bytes, bool is_ascii, struct buf *out)
{
    size_t end = out->len + MIN(max_bytes, out->max - out->len);

    text = str_trim(text);
    while (text.len > 0) {
        size_t len = utf8_char_len(text);
        struct str ch = str_sub(text, 0, MAX(len, (size_t)1));
        text = str_sub(text, ch.len, text.len);
        if (is_space(ch.ptr[0])) {
            /* A CR LF is one space. */
            if (ch.ptr[0] == '\r' && text.len > 0 && text.ptr[0] == '\n')
                continue;
            ch = STR(" ");
        } else if (is_ascii && ch.ptr[0] & '\x80') {
            ch = STR("?");
        } else if (len == 0 || is_unwanted(ch)) {
            ch = is_ascii ? STR("?") : STR("\xef\xbf\xbd");
        }
        if (out->len + ch.len > end)
            return;
        buf_put_str(out, ch);
    }
}

/* Whether decoding needs no charset but UTF-8, so that no module of iconv is opened. */
static bool is_plain_subject(struct str text)
{
    static const char *const charsets[] = {"utf-8?", "utf-8*", "us-ascii?", "us-ascii*", "utf8?"};

    for (size_t i = 0; i < text.len; i++) {
        bool is_known = text.ptr[i] != '\x1b';
        if (str_has_prefix(str_sub(text, i, text.len), STR("=?"))) {
            struct str name = str_sub(text, i + 2, text.len);
            is_known = false;
            for (size_t k = 0; k < ARRAY_LEN(charsets); k++)
                is_known |= str_has_prefix_nocase(name, str_from_c(charsets[k]));
            /* "=?" that begins no word, as in "what=?" */
            is_known |= !(name.len > 0 && ascii_is_alpha(name.ptr[0]));
        }
        if (!is_known)
            return false;
    }
    return true;
}

static void find_subject(const struct dsn *d, struct buf *out)
{
    struct str block = d->original;
    struct header_field field;

    while (header_next(&block, &field)) {
        if (!str_eq_nocase(field.name, STR("Subject")))
            continue;
        if (d->may_load_charsets || is_plain_subject(field.body)) {
            CLEANUP(buf_done) struct buf decoded;
            buf_init(&decoded, DSN_SUBJECT_MAX_BYTES);
            encoded_word_decode(str_trim(field.body), &decoded);
            dsn_text_clean(buf_str(&decoded), DSN_SUBJECT_MAX_BYTES, false, out);
        }
        return;
    }
}

/* --- lines --- */

static void put_line(struct buf *out, const char *indent, struct str text)
{
    buf_put_c(out, indent);
    buf_put_str(out, text);
    buf_put_c(out, "\r\n");
}

static void put_empty_line(struct buf *out)
{
    buf_put_c(out, "\r\n");
}

static bool is_ascii_word_char(char c)
{
    return c > ' ' && c < 0x7f;
}

/* Breaks at spaces and, by the rules of Japanese typesetting, between characters; never inside of
 * what may be an address or a name. */
static void put_paragraph(struct buf *out, const char *indent, struct str text)
{
    size_t from = 0;

    text = str_sub(text, 0, PARAGRAPH_MAX_BYTES);
    if (text.len == 0)
        return;
    char *wishes = xmalloc(2 * text.len), *breaks = wishes + text.len;
    for (size_t i = 0; i < text.len; i++) {
        bool is_in_word =
            i > 0 && is_ascii_word_char(text.ptr[i - 1]) && is_ascii_word_char(text.ptr[i]);
        wishes[i] = is_in_word ? UC_BREAK_PROHIBITED : UC_BREAK_UNDEFINED;
    }
    (void)u8_width_linebreaks((const uint8_t *)text.ptr, text.len,
                              TEXT_COLUMNS - (int)strlen(indent), 0, 0, wishes, "UTF-8", breaks);
    for (size_t i = 1; i < text.len; i++) {
        if (breaks[i] != UC_BREAK_POSSIBLE && breaks[i] != UC_BREAK_MANDATORY)
            continue;
        put_line(out, indent, str_trim(str_sub(text, from, i - from)));
        from = i;
    }
    put_line(out, indent, str_trim(str_sub(text, from, text.len)));
    free(wishes);
}

/* The phrase with its %s replaced. */
static void put_phrase(struct buf *out, const char *indent, const char *phrase, struct str value)
{
    CLEANUP(buf_done) struct buf text;
    const char *place = strstr(phrase, "%s");

    ASSERT(place != NULL);
    buf_init(&text, PARAGRAPH_MAX_BYTES);
    buf_put(&text, phrase, (size_t)(place - phrase));
    buf_put_str(&text, value);
    buf_put_c(&text, place + strlen("%s"));
    put_paragraph(out, indent, buf_str(&text));
}

static void put_clean_phrase(struct buf *out, const char *indent, const char *phrase,
                             struct str value)
{
    CLEANUP(buf_done) struct buf clean;

    buf_init(&clean, DSN_ADDRESS_MAX_BYTES);
    dsn_text_clean(value, DSN_ADDRESS_MAX_BYTES, false, &clean);
    put_phrase(out, indent, phrase, buf_str(&clean));
}

static const char *format_time(const struct phrases *p, int64_t real_ms, char out[TIME_TEXT_BYTES])
{
    static const char *const days[] = {"日", "月", "火", "水", "木", "金", "土"};
    time_t seconds = (time_t)(real_ms / 1000);
    char mail[CLOCK_TEXT_BYTES];
    struct tm tm;

    (void)clock_format_mail(real_ms, mail);
    localtime_r(&seconds, &tm);
    if (p->language == DSN_JAPANESE)
        (void)snprintf(out, TIME_TEXT_BYTES, "%d年%d月%d日(%s) %d:%02d (%s)", tm.tm_year + 1900,
                       tm.tm_mon % 12 + 1, tm.tm_mday, days[tm.tm_wday % 7], tm.tm_hour, tm.tm_min,
                       strrchr(mail, ' ') + 1);
    else
        (void)snprintf(out, TIME_TEXT_BYTES, "%s", mail);
    return out;
}

static void put_time(struct buf *out, const char *indent, const char *phrase,
                     const struct phrases *p, int64_t real_ms)
{
    char text[TIME_TEXT_BYTES];

    put_phrase(out, indent, phrase, str_from_c(format_time(p, real_ms, text)));
}

/* --- recipients with the same reason --- */

struct group {
    const struct dsn *d;
    const struct phrases *phrases;
    struct dsn_reason reason;
    enum dsn_action action;
    bool has_given_up;
    const struct dsn_recipient *members[DSN_RECIPIENTS_MAX];
    size_t count;
    int64_t last_attempt_ms, will_retry_until_ms;
};

static enum dsn_action action_of(const struct dsn_recipient *r)
{
    return r->action >= DSN_FAILED && r->action <= DSN_EXPANDED ? r->action : DSN_FAILED;
}

/* After trying for days; the status is still that of the last attempt (RFC 3464 section 2.3.3). */
static bool has_given_up(const struct dsn_recipient *r)
{
    return action_of(r) == DSN_FAILED && r->status.len > 0 && r->status.ptr[0] == '4';
}

/* Gathers those that say the same as the first. Whoever is in a group loses his reason. */
static void gather(struct group *g, size_t first, struct dsn_reason *of_recipients)
{
    g->reason = of_recipients[first];
    g->action = action_of(&g->d->recipients[first]);
    g->has_given_up = has_given_up(&g->d->recipients[first]);
    g->will_retry_until_ms = INT64_MAX;
    for (size_t i = first; i < g->d->recipient_count; i++) {
        const struct dsn_recipient *r = &g->d->recipients[i];
        if (action_of(r) != g->action || of_recipients[i].meaning != g->reason.meaning ||
            has_given_up(r) != g->has_given_up)
            continue;
        of_recipients[i].meaning = NULL;
        g->members[g->count++] = r;
        g->last_attempt_ms = MAX(g->last_attempt_ms, r->last_attempt_ms);
        g->will_retry_until_ms = MIN(g->will_retry_until_ms, r->will_retry_until_ms);
    }
}

static bool is_same_quote(const struct dsn_recipient *a, const struct dsn_recipient *b)
{
    return a->is_remote_words == b->is_remote_words && str_eq(a->remote_mta, b->remote_mta) &&
           str_eq(a->diagnostic, b->diagnostic);
}

static void put_quote(const struct group *g, const struct dsn_recipient *r, struct buf *out)
{
    CLEANUP(buf_done) struct buf clean;

    put_empty_line(out);
    if (!r->is_remote_words)
        put_line(out, "  ", str_from_c(g->phrases->own_words));
    else if (r->remote_mta.len == 0)
        put_line(out, "  ", str_from_c(g->phrases->unnamed_words));
    else
        put_clean_phrase(out, "  ", g->phrases->remote_words, r->remote_mta);
    buf_init(&clean, DSN_QUOTE_MAX_BYTES);
    dsn_text_clean(r->diagnostic, DSN_QUOTE_MAX_BYTES, false, &clean);
    put_paragraph(out, quote_indent, buf_str(&clean));
}

/* Each different answer once, in the order of the recipients. */
static void put_quotes(const struct group *g, struct buf *out)
{
    for (size_t i = 0; i < g->count; i++) {
        bool is_new = g->members[i]->diagnostic.len > 0 && out->len < QUOTES_END_BYTES;
        for (size_t k = 0; k < i && is_new; k++)
            is_new = !is_same_quote(g->members[i], g->members[k]);
        if (is_new)
            put_quote(g, g->members[i], out);
    }
}

static bool has_quotes(const struct group *g)
{
    return g->action == DSN_FAILED || g->action == DSN_DELAYED;
}

static void put_explanation(const struct group *g, struct buf *out)
{
    const struct phrases *p = g->phrases;

    if (has_quotes(g)) {
        put_empty_line(out);
        put_paragraph(out, "  ", str_from_c(g->reason.meaning));
    }
    /* The reason for want of a better one says so itself. */
    struct dsn_reason expired = dsn_explain(STR("4.4.7"), STR(""), p->language);
    if (g->has_given_up && g->reason.meaning != expired.meaning)
        put_paragraph(out, "  ", str_from_c(p->gave_up));
    /* Whoever waits has nothing to mend, and postmasters know better. */
    if (g->action == DSN_FAILED && !g->d->is_for_postmaster)
        put_paragraph(out, "  ", str_from_c(g->reason.remedy));
    if (g->d->is_for_postmaster || p->notes[g->action][0] == '\0')
        return;
    put_empty_line(out);
    if (g->action == DSN_DELAYED && g->will_retry_until_ms > 0)
        put_time(out, "  ", p->note_until, p, g->will_retry_until_ms);
    else
        put_paragraph(out, "  ", str_from_c(p->notes[g->action]));
}

static void put_group(const struct group *g, struct buf *out)
{
    const struct phrases *p = g->phrases;
    const char *const *heads = g->d->is_for_postmaster ? p->postmaster_heads : p->heads;

    put_paragraph(out, "", str_from_c(heads[g->action]));
    put_empty_line(out);
    for (size_t i = 0; i < g->count; i++) {
        buf_put_c(out, address_indent);
        dsn_text_clean(g->members[i]->address, DSN_ADDRESS_MAX_BYTES, false, out);
        put_empty_line(out);
    }
    put_explanation(g, out);
    if (has_quotes(g))
        put_quotes(g, out);
    if (has_quotes(g) && g->last_attempt_ms > 0) {
        put_empty_line(out);
        put_time(out, "  ", p->last_attempt, p, g->last_attempt_ms);
    }
    put_empty_line(out);
}

/* --- the whole --- */

static void put_details(const struct dsn *d, const struct phrases *p, struct buf *out)
{
    CLEANUP(buf_done) struct buf subject;

    put_line(out, "", str_from_c(p->details));
    put_empty_line(out);
    buf_init(&subject, DSN_SUBJECT_MAX_BYTES);
    find_subject(d, &subject);
    if (subject.len > 0)
        put_phrase(out, address_indent, p->subject, buf_str(&subject));
    if (d->is_for_postmaster)
        put_clean_phrase(out, address_indent, p->sender, d->sender.len > 0 ? d->sender : STR("<>"));
    if (d->arrival_ms > 0)
        put_time(out, address_indent, p->arrival, p, d->arrival_ms);
    if (d->message_id.len > 0) {
        put_clean_phrase(out, address_indent, p->id, d->message_id);
        put_empty_line(out);
        put_paragraph(out, "", str_from_c(p->id_hint));
    }
    put_paragraph(out, "", str_from_c(p->closing));
}

static void put_language(const struct dsn *d, const struct phrases *p, struct buf *out)
{
    struct dsn_reason *reasons = xcalloc(d->recipient_count, sizeof(*reasons));

    for (size_t i = 0; i < d->recipient_count; i++)
        reasons[i] = dsn_explain(d->recipients[i].status, d->recipients[i].diagnostic, p->language);
    put_clean_phrase(out, "", p->opening, d->reporting_mta);
    put_empty_line(out);
    if (d->is_for_postmaster) {
        put_paragraph(out, "", str_from_c(p->postmaster));
        put_empty_line(out);
    }
    for (size_t i = 0; i < d->recipient_count; i++) {
        struct group g = {.d = d, .phrases = p};
        if (reasons[i].meaning == NULL)
            continue;
        gather(&g, i, reasons);
        put_group(&g, out);
    }
    free(reasons);
    put_details(d, p, out);
}

/* What is worst for the sender names the notice. */
static enum dsn_action worst_action(const struct dsn *d)
{
    enum dsn_action worst = DSN_EXPANDED;

    for (size_t i = 0; i < d->recipient_count; i++)
        worst = MIN(worst, action_of(&d->recipients[i]));
    return worst;
}

void dsn_text_subject(const struct dsn *d, struct buf *out)
{
    size_t which = d->is_for_postmaster ? 0 : worst_action(d);

    if (d->languages & DSN_JAPANESE)
        buf_put_c(out, japanese.subjects[which]);
    if ((d->languages & DSN_JAPANESE) && (d->languages & DSN_ENGLISH))
        buf_put_c(out, " / ");
    if ((d->languages & DSN_ENGLISH) || !(d->languages & DSN_JAPANESE))
        buf_put_c(out, english.subjects[which]);
}

void dsn_text_print(const struct dsn *d, struct buf *out)
{
    if (d->languages & DSN_JAPANESE)
        put_language(d, &japanese, out);
    if ((d->languages & DSN_JAPANESE) && (d->languages & DSN_ENGLISH))
        buf_put_c(out, "\r\n----------------------------------------------------------------"
                       "--------\r\n\r\n");
    if ((d->languages & DSN_ENGLISH) || !(d->languages & DSN_JAPANESE))
        put_language(d, &english, out);
}
