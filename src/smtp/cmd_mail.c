/* MAIL and RCPT: the envelope (RFC 5321 sections 4.1.1.2 and 4.1.1.3), and who may send where. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "smtp/commands.h"

static struct reply explain_address(struct smtp_session *s, enum address_error e, const char *what,
                                    bool is_sender)
{
    if (e == ADDRESS_NEEDS_SMTPUTF8)
        return reply_of(553, "5.6.7", "An address that is not ASCII needs SMTPUTF8 at MAIL FROM");
    return reply_printf(&s->command_arena, e == ADDRESS_TOO_LONG ? 553 : 501,
                        is_sender ? "5.1.7" : "5.1.3", "Bad %s: %s", what, address_error_text(e));
}

static struct reply explain_params(struct smtp_session *s, enum smtp_params_error e,
                                   struct str keyword)
{
    switch (e) {
    case SMTP_PARAMS_UNKNOWN:
        return reply_printf(&s->command_arena, 555, "5.5.4", "Unknown parameter %.*s",
                            STR_ARG(keyword));
    case SMTP_PARAMS_DUPLICATE:
        return reply_printf(&s->command_arena, 501, "5.5.4", "Parameter %.*s is given twice",
                            STR_ARG(keyword));
    default:
        return reply_printf(&s->command_arena, 501, "5.5.4", "Bad parameter %.*s",
                            STR_ARG(keyword));
    }
}

/* After the keyword ("FROM:"), spaces are tolerated as most servers do. */
static bool take_keyword(struct cursor *c, struct str keyword)
{
    if (!cursor_take_if_nocase(c, keyword))
        return false;
    while (cursor_take_if(c, ' '))
        ;
    return true;
}

static struct reply check_mail_params(struct smtp_session *s, const struct smtp_mail_params *p)
{
    const struct settings *settings = s->policy->settings;

    if (p->body == SMTP_BODY_BINARYMIME)
        return reply_of(501, "5.5.4", "BODY=BINARYMIME is not offered; use 8BITMIME");
    if (p->has_size && p->size_bytes > settings->smtp_max_message_size)
        return reply_printf(&s->command_arena, 552, "5.3.4",
                            "The message is too big: at most %llu bytes are taken",
                            (unsigned long long)settings->smtp_max_message_size);
    return reply_of(0, "", "");
}

/* The parameters are known only after the path, but SMTPUTF8 decides how the path is read. */
static bool mentions_smtputf8(struct str args)
{
    return str_contains_nocase(args, STR(" SMTPUTF8"));
}

static struct reply parse_mail(struct smtp_session *s, struct str args, struct smtp_transaction *t)
{
    struct cursor c = cursor_from(arena_str(&t->arena, args));
    struct str keyword;
    unsigned flags = ADDRESS_MAY_BE_NULL | (mentions_smtputf8(args) ? ADDRESS_MAY_BE_UTF8 : 0);

    if (!take_keyword(&c, STR("FROM:")))
        return reply_of(501, "5.5.4", "The form is MAIL FROM:<address>");
    enum address_error e = path_parse(&c, flags, &t->arena, &t->sender);
    if (e != ADDRESS_OK)
        return explain_address(s, e, "sender address", true);
    enum smtp_params_error p =
        smtp_params_parse_mail(cursor_rest(&c), &t->arena, &t->params, &keyword);
    if (p != SMTP_PARAMS_OK)
        return explain_params(s, p, keyword);
    if (!s->is_extended && cursor_left(&c) > 0)
        return reply_of(555, "5.5.4", "Parameters need EHLO");
    if (t->sender.is_utf8 && !t->params.is_smtputf8)
        return explain_address(s, ADDRESS_NEEDS_SMTPUTF8, "sender address", true);
    return check_mail_params(s, &t->params);
}

struct reply smtp_cmd_mail(struct smtp_session *s, struct str args)
{
    if (s->transaction.has_mail)
        return reply_of(503, "5.5.1", "A transaction is under way: RSET ends it");
    if (s->transaction_count >= (unsigned)s->policy->settings->smtp_max_transactions)
        return reply_last(reply_of(421, "4.7.0", "Too many messages in one connection; closing"));
    struct reply refusal = parse_mail(s, args, &s->transaction);
    if (refusal.code != 0) {
        smtp_transaction_reset(s);
        return refusal;
    }
    s->transaction.has_mail = true;
    return reply_of(250, "2.1.0", "Sender OK");
}

/* Mail for postmaster at the address the client reached us by is ours, whatever the literal. */
static bool is_own_literal(const struct smtp_session *s, const struct address *a)
{
    char v4[IP_TEXT_BYTES + 2], v6[IP_TEXT_BYTES + 8];

    if (!a->is_literal)
        return false;
    (void)snprintf(v4, sizeof(v4), "[%s]", s->local_text);
    (void)snprintf(v6, sizeof(v6), "[IPv6:%s]", s->local_text);
    return str_eq_nocase(a->domain, str_from_c(v4)) || str_eq_nocase(a->domain, str_from_c(v6));
}

/* Postmaster without a domain, at our own name or at our own address, is the primary domain's. */
static void settle_postmaster(const struct smtp_session *s, struct address *a)
{
    if (!str_eq_nocase(a->local, STR("postmaster")))
        return;
    if (is_own_literal(s, a) ||
        str_eq_nocase(a->domain, str_from_c(s->policy->settings->server_hostname))) {
        a->domain = STR("");
        a->is_literal = false;
    }
}

static struct reply explain_lookup(struct smtp_session *s, int error)
{
    if (error == -ENOSPC)
        return reply_of(452, "4.3.1", "No room for new mail now; try again later");
    LOG(LOG_WARNING, "smtp.lookup-failed", LOG_ID("session", s->id), LOG_ERR(error));
    return reply_of(451, "4.3.0", "Recipients cannot be looked up now; try again later");
}

/* Decides about a recipient; code 0: it is accepted. Yields. */
static struct reply judge_recipient(struct smtp_session *s, struct smtp_recipient *to)
{
    const struct address *a = &to->address;
    enum smtp_destination destination = SMTP_DESTINATION_REMOTE;

    int r = s->backend->find_recipient(s->backend->arg, a, &destination);
    if (r < 0)
        return explain_lookup(s, r);
    switch (destination) {
    case SMTP_DESTINATION_LOCAL:
        return reply_of(0, "", "");
    case SMTP_DESTINATION_UNKNOWN_USER:
        return reply_printf(&s->command_arena, 550, "5.1.1",
                            "There is no mailbox <%.*s> here; check the spelling", STR_ARG(a->raw));
    case SMTP_DESTINATION_LOOP:
        return reply_printf(&s->command_arena, 550, "5.4.6",
                            "The aliases of <%.*s> lead in a circle; tell its postmaster",
                            STR_ARG(a->raw));
    default:
        break;
    }
    to->is_relay = true;
    if (s->may_relay)
        return reply_of(0, "", "");
    return reply_printf(&s->command_arena, 550, "5.7.1",
                        "Relaying denied: %.*s is not a domain of this server; to send mail "
                        "elsewhere, log in at your own provider's submission port",
                        STR_ARG(a->domain.len > 0 ? a->domain : STR("that")));
}

static struct reply parse_rcpt(struct smtp_session *s, struct str args, struct smtp_recipient *to)
{
    struct smtp_transaction *t = &s->transaction;
    struct cursor c = cursor_from(arena_str(&t->arena, args));
    struct str keyword;
    unsigned flags = ADDRESS_MAY_LACK_DOMAIN | (t->params.is_smtputf8 ? ADDRESS_MAY_BE_UTF8 : 0);

    if (!take_keyword(&c, STR("TO:")))
        return reply_of(501, "5.5.4", "The form is RCPT TO:<address>");
    enum address_error e = path_parse(&c, flags, &t->arena, &to->address);
    if (e != ADDRESS_OK)
        return explain_address(s, e, "recipient address", false);
    enum smtp_params_error p = smtp_params_parse_rcpt(cursor_rest(&c), &to->params, &keyword);
    if (p != SMTP_PARAMS_OK)
        return explain_params(s, p, keyword);
    if (!s->is_extended && cursor_left(&c) > 0)
        return reply_of(555, "5.5.4", "Parameters need EHLO");
    settle_postmaster(s, &to->address);
    return reply_of(0, "", "");
}

static void trace_refused_recipient(struct smtp_session *s, const struct smtp_recipient *to,
                                    const struct reply *reply)
{
    struct buf printed;

    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(&to->address, &printed);
    struct smtp_refusal refusal = {
        .ref = s->id,
        .session_id = s->id,
        .stage = "RCPT",
        .reply = reply,
        .peer_text = str_from_c(s->peer_text),
        .helo = str_from_c(s->helo),
        .sender = s->transaction.sender.raw,
        .recipient = buf_str(&printed),
    };
    s->backend->refused(s->backend->arg, &refusal);
    buf_done(&printed);
}

struct reply smtp_cmd_rcpt(struct smtp_session *s, struct str args)
{
    struct smtp_transaction *t = &s->transaction;

    if (t->recipient_count >= (size_t)s->policy->settings->smtp_max_recipients)
        return reply_printf(&s->command_arena, 452, "4.5.3",
                            "Too many recipients: at most %d in one message",
                            s->policy->settings->smtp_max_recipients);
    struct smtp_recipient *to = arena_alloc(&t->arena, sizeof(*to));
    struct reply refusal = parse_rcpt(s, args, to);
    if (refusal.code == 0)
        refusal = judge_recipient(s, to);
    if (refusal.code != 0) {
        trace_refused_recipient(s, to, &refusal);
        return refusal;
    }
    *t->recipients_end = to;
    t->recipients_end = &to->next;
    t->recipient_count++;
    return reply_of(250, "2.1.5", "Recipient OK");
}
