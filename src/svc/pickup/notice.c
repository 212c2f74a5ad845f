/* The mail that says why a mail was not taken: see notice.h. */
#include "svc/pickup/notice.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"

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

static void put_header(struct buf *out, const struct submission *s, int64_t now_ms)
{
    char date[CLOCK_TEXT_BYTES], id[ID_TEXT_CHARS + 1];
    const char *hostname = s->settings->server_hostname;

    buf_printf(out, "From: Mail system <MAILER-DAEMON@%s>\r\nTo: %.*s\r\n", hostname,
               STR_ARG(s->identity.own_text));
    buf_printf(out, "Subject: Your mail was not sent\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n",
               clock_format_mail(now_ms, date), id_format(s->entry->notice_id, id), hostname);
    /* RFC 3834 section 5. */
    buf_put_c(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\n"
                   "Content-Transfer-Encoding: 8bit\r\n\r\n");
}

static void put_body(struct buf *out, const struct submission *s, struct str why, struct str header)
{
    bool is_all = s->recipient_count == 0;

    buf_printf(out, "A mail that %s handed in on %s was not sent%s.\r\n\r\nThe reason:\r\n\r\n",
               s->user.login, s->settings->server_hostname,
               is_all ? "" : " to all who were to get it");
    put_lines(out, str_sub(why, 0, WHY_MAX_BYTES), "    ");
    if (header.len == 0)
        return;
    buf_put_c(out, "\r\nIts header was:\r\n\r\n");
    put_lines(out, header, "    ");
}

static void put_text(struct buf *out, const struct submission *s, struct str why, struct str header)
{
    int64_t now_ms = clock_real_ms();

    put_header(out, s, now_ms);
    put_body(out, s, why, header);
}

int notice_send(const struct submission *s, struct str why, struct str header)
{
    CLEANUP(buf_done) struct buf text;
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
    put_text(&text, s, why, header);
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
