/* The header lines that a server puts in front: see received.h. */
#include "smtp/received.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/utf8.h"

/* Names go into the header as they are only if they could be a domain or a literal. */
static bool is_plain_name(struct str name)
{
    if (name.len == 0 || name.len > ADDRESS_DOMAIN_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!ascii_is_alnum(c) && c != '.' && c != '-' && c != '_' && c != '[' && c != ']' &&
            c != ':')
            return false;
    }
    return true;
}

void smtp_put_mailbox_lines(const struct smtp_session *s, struct buf *out)
{
    const struct smtp_transaction *t = &s->transaction;

    buf_put_c(out, "Return-Path: <");
    address_print(&t->sender, out);
    buf_put_c(out, ">\r\n");
    if (t->recipient_count != 1)
        return;
    buf_put_c(out, "Delivered-To: ");
    address_print(&t->recipients->address, out);
    buf_put_c(out, "\r\n");
}

/* RFC 3848 and RFC 6531 section 3.7.3: ESMTPSA is with TLS and a login. */
static void put_protocol(const struct smtp_session *s, struct buf *out)
{
    if (s->transaction.params.is_smtputf8)
        buf_put_c(out, "UTF8SMTP");
    else
        buf_put_c(out, s->is_extended ? "ESMTP" : "SMTP");
    if (s->is_extended && s->is_secure)
        buf_put_c(out, "S");
    if (s->is_extended && s->login.account != 0)
        buf_put_c(out, "A");
}

static void put_from(const struct smtp_session *s, struct buf *out)
{
    struct str helo = str_from_c(s->helo);
    const char *family = str_find(str_from_c(s->peer_text), ':') >= 0 ? "IPv6:" : "";

    buf_put_c(out, "from ");
    buf_put_str(out, is_plain_name(helo) ? helo : STR("unknown"));
    buf_printf(out, " ([%s%s])\r\n\t", family, s->peer_text);
}

void smtp_put_received(const struct smtp_session *s, struct buf *out)
{
    const struct smtp_transaction *t = &s->transaction;
    const struct settings *settings = s->policy->settings;
    char date[CLOCK_TEXT_BYTES], id[ID_TEXT_CHARS + 1];

    buf_put_c(out, "Received: ");
    if (!s->is_submission || settings->submission_show_client)
        put_from(s, out);
    buf_printf(out, "by %s (Hikyaku) with ", settings->server_hostname);
    put_protocol(s, out);
    if (!s->backend->has_no_names)
        buf_printf(out, " id %s", id_format(t->intake.message_id, id));
    /* With several recipients, naming one would tell the others (RFC 5321 section 7.2). */
    if (t->recipient_count == 1) {
        buf_put_c(out, "\r\n\tfor <");
        address_print(&t->recipients->address, out);
        buf_put_c(out, ">");
    }
    /* RFC 6710 section 4.1. */
    if (t->params.has_priority)
        buf_printf(out, "\r\n\tPRIORITY %d", t->params.priority);
    buf_printf(out, ";\r\n\t%s\r\n", clock_format_mail(t->intake.received_ms, date));
}
