/* The mail that says why a mail was not taken: see notice.h. */
#include "svc/pickup/notice.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"

/* "メールは送信されませんでした", as RFC 2047 has it. */
#define SUBJECT_JAPANESE "=?UTF-8?B?44Oh44O844Or44Gv6YCB5L+h44GV44KM44G+44Gb44KT44Gn44GX44Gf?="

enum { NOTICE_MAX_BYTES = 512 * 1024, WHY_MAX_BYTES = 64 * 1024 };

/* Where the notice can be read: his own mailbox, or that of who looks after the machine. Yields. */
static int choose_reader(const struct submission *s, struct address *out)
{
    enum smtp_destination destination;

    *out = s->identity.own;
    int r = s->backend->find_recipient(s->backend->arg, out, NULL, &destination);
    if (r == 0 && destination != SMTP_DESTINATION_LOCAL)
        *out = (struct address){.local = STR("postmaster"), .domain = STR("")};
    return r;
}

static void put_line(struct buf *out, struct str line)
{
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i];
        bool is_control = ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
        buf_put_char(out, is_control ? '?' : c);
    }
    buf_put_c(out, "\r\n");
}

static void put_lines(struct buf *out, struct str text, const char *indent)
{
    struct str line;

    while (text.len > 0) {
        (void)str_cut(text, '\n', &line, &text);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        buf_put_c(out, indent);
        put_line(out, line);
    }
}

static const char *subject_of(enum settings_languages languages)
{
    switch (languages) {
    case SETTINGS_LANGUAGES_ENGLISH:
        return "Your mail was not sent";
    case SETTINGS_LANGUAGES_JAPANESE:
        return SUBJECT_JAPANESE;
    default:
        return SUBJECT_JAPANESE "\r\n / Your mail was not sent";
    }
}

static void put_header(struct buf *out, const struct submission *s, int64_t now_ms)
{
    char date[CLOCK_TEXT_BYTES], id[ID_TEXT_CHARS + 1];
    const char *hostname = s->settings->server_hostname;

    buf_printf(out, "From: Mail system <MAILER-DAEMON@%s>\r\nTo: %.*s\r\n", hostname,
               STR_ARG(s->identity.own_text));
    buf_printf(out, "Subject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n",
               subject_of((enum settings_languages)s->settings->queue_languages),
               clock_format_mail(now_ms, date), id_format(s->entry->notice_id, id), hostname);
    /* RFC 3834 section 5. */
    buf_put_c(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\n"
                   "Content-Transfer-Encoding: 8bit\r\n\r\n");
}

static void put_complaints(struct buf *out, const struct submission *s, bool is_japanese)
{
    CLEANUP(buf_done) struct buf text = {.len = 0};

    buf_init(&text, WHY_MAX_BYTES);
    for (const struct complaint *c = s->complaints; c != NULL; c = c->next) {
        if (c->recipient.len > 0)
            buf_printf(&text, "<%.*s>: ", STR_ARG(c->recipient));
        buf_printf(&text, "%s ", complaint_enhanced(c));
        complaint_put(c, is_japanese, &text);
        buf_put_char(&text, '\n');
    }
    put_lines(out, buf_str(&text), "    ");
}

static void put_english(struct buf *out, const struct submission *s, const char *id)
{
    buf_printf(out, "A mail that %s handed in on %s was not sent%s.\r\n\r\nThe reason:\r\n\r\n",
               s->user.login, s->settings->server_hostname,
               s->recipient_count == 0 ? "" : " to all who were to get it");
    put_complaints(out, s, false);
    buf_printf(
        out, "\r\nIf you ask your administrator for help, please give this reference: %s\r\n", id);
}

static void put_japanese(struct buf *out, const struct submission *s, const char *id)
{
    buf_printf(out, "利用者 %s が %s で送信したメールは、%s。\r\n\r\n理由:\r\n\r\n", s->user.login,
               s->settings->server_hostname,
               s->recipient_count == 0 ? "どなたにも送信されませんでした"
                                       : "次の宛先には送信されませんでした");
    put_complaints(out, s, true);
    buf_printf(out, "\r\n管理者にお問い合わせの際は、この受付番号をお伝えください: %s\r\n", id);
}

static void put_text(struct buf *out, const struct submission *s, struct str header)
{
    unsigned languages = (unsigned)s->settings->queue_languages;
    char id[ID_TEXT_CHARS + 1];

    id_format(s->entry->id, id);
    put_header(out, s, clock_real_ms());
    if (languages != SETTINGS_LANGUAGES_ENGLISH)
        put_japanese(out, s, id);
    if (languages == SETTINGS_LANGUAGES_BOTH)
        buf_put_c(out, "\r\n"
                       "------------------------------------------------------------------------"
                       "\r\n\r\n");
    if (languages != SETTINGS_LANGUAGES_JAPANESE)
        put_english(out, s, id);
    if (header.len == 0)
        return;
    buf_put_c(out, languages == SETTINGS_LANGUAGES_ENGLISH ? "\r\nIts header was:\r\n\r\n"
                   : languages == SETTINGS_LANGUAGES_JAPANESE
                       ? "\r\nメールのヘッダー:\r\n\r\n"
                       : "\r\nメールのヘッダー / Its header was:\r\n\r\n");
    put_lines(out, header, "    ");
}

int notice_send(const struct submission *s, struct str header)
{
    CLEANUP(buf_done) struct buf text = {.len = 0};
    static const struct address nobody = {.is_null = true};
    static const struct smtp_mail_params params = {.has_size = false};
    struct smtp_recipient to = {.is_relay = false};
    struct sink sink;

    int r = choose_reader(s, &to.address);
    if (r < 0)
        return r;
    buf_init(&text, NOTICE_MAX_BYTES);
    buf_put_c(&text, "Return-Path: <>\r\n");
    size_t prefix_bytes = text.len;
    put_text(&text, s, header);
    sink_init(&sink, s->backend);
    r = sink_put(&sink, buf_str(&text));
    struct smtp_message message = {.id = s->entry->notice_id,
                                   .session_id = s->entry->id,
                                   .received_ms = clock_real_ms(),
                                   .peer_text = STR("local"),
                                   .helo = STR("notice"),
                                   .sender = &nobody,
                                   .params = &params,
                                   .recipients = &to,
                                   .recipient_count = 1,
                                   .prefix_bytes = (uint32_t)prefix_bytes,
                                   .has_8bit = true,
                                   .is_once = true};
    if (r == 0)
        r = sink_deliver(&sink, &message);
    sink_done(&sink);
    if (r == 0)
        LOG(LOG_INFO, "pickup.notice", LOG_ID("message", s->entry->id),
            LOG_ID("notice", s->entry->notice_id), LOG_C("login", s->user.login));
    return r == -EEXIST ? 0 : r;
}
