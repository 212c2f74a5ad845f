/* MAIL and RCPT: the envelope (RFC 5321 sections 4.1.1.2 and 4.1.1.3), and who may send where. */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/route.h"
#include "smtp/commands.h"
#include "smtp/schedule.h"

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
        /* RFC 6710 section 4.1 names a status of its own. */
        return reply_printf(&s->command_arena, 501,
                            str_eq_nocase(keyword, STR("MT-PRIORITY")) ? "5.5.2" : "5.5.4",
                            "Bad parameter %.*s", STR_ARG(keyword));
    }
}

/* After the keyword ("FROM:"), a few spaces are tolerated as most servers do. */
static bool take_keyword(struct cursor *c, struct str keyword)
{
    enum { SPACES_MAX = 8 };

    if (!cursor_take_if_nocase(c, keyword))
        return false;
    for (int i = 0; i < SPACES_MAX && cursor_take_if(c, ' '); i++)
        ;
    return true;
}

/* A path; or, as many programs write it and most servers take it, an address without its brackets.
 */
static enum address_error take_path(struct cursor *c, unsigned flags, struct arena *arena,
                                    struct address *out)
{
    if (cursor_peek(c) == '<')
        return path_parse(c, flags, arena, out);
    return address_parse(cursor_take_until(c, ' '), flags & ADDRESS_MAY_BE_UTF8, arena, out);
}

/* --- what a transaction keeps: views into the line become copies --- */

static struct str keep(struct arena *arena, struct str text)
{
    return text.ptr == NULL ? text : arena_str(arena, text);
}

static struct address keep_address(struct arena *arena, const struct address *a)
{
    struct address kept = *a;

    kept.raw = keep(arena, a->raw);
    kept.local = keep(arena, a->local);
    kept.domain = keep(arena, a->domain);
    return kept;
}

static void keep_sender(struct smtp_transaction *t, const struct address *sender,
                        const struct smtp_mail_params *params)
{
    t->has_mail = true;
    t->sender = keep_address(&t->arena, sender);
    if (t->sender.raw.len == 0)
        t->sender.raw = STR(""); /* the null sender is not the same as none */
    t->params = *params;
    t->params.envid = keep(&t->arena, params->envid);
    t->params.envid_raw = keep(&t->arena, params->envid_raw);
    t->params.hold_value = keep(&t->arena, params->hold_value);
}

static void keep_recipient(struct smtp_transaction *t, const struct smtp_recipient *to)
{
    struct smtp_recipient *kept = arena_alloc(&t->arena, sizeof(*kept));

    *kept = *to;
    kept->address = keep_address(&t->arena, &to->address);
    kept->params.orcpt_type = keep(&t->arena, to->params.orcpt_type);
    kept->params.orcpt_addr = keep(&t->arena, to->params.orcpt_addr);
    *t->recipients_end = kept;
    t->recipients_end = &kept->next;
    t->recipient_count++;
}

/* --- MAIL --- */

static struct reply check_mail_params(struct smtp_session *s, const struct smtp_mail_params *p)
{
    const struct settings *settings = s->policy->settings;

    if (p->body == SMTP_BODY_BINARYMIME)
        return reply_of(501, "5.5.4", "BODY=BINARYMIME is not offered; use 8BITMIME");
    if (p->has_size && p->size_bytes > settings->smtp_max_message_size)
        return reply_printf(&s->command_arena, 552, "5.3.4",
                            "The message is too big: at most %llu bytes are taken",
                            (unsigned long long)settings->smtp_max_message_size);
    return smtp_check_times(settings, p, clock_real_ms(), &s->command_arena);
}

/* The parameters are known only after the path, but SMTPUTF8 decides how the path is read. */
static bool mentions_smtputf8(struct str args)
{
    return str_contains_nocase(args, STR(" SMTPUTF8"));
}

static struct str print_address(struct arena *arena, const struct address *a)
{
    struct buf printed;

    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(a, &printed);
    struct str text = arena_str(arena, buf_str(&printed));
    buf_done(&printed);
    return text;
}

static struct reply parse_mail(struct smtp_session *s, struct str args, struct address *sender,
                               struct smtp_mail_params *params)
{
    struct cursor c = cursor_from(args);
    struct str keyword;
    unsigned offers = smtp_offers(s->policy->settings, s->is_submission, s->is_secure);
    unsigned flags = ADDRESS_MAY_BE_NULL | (mentions_smtputf8(args) ? ADDRESS_MAY_BE_UTF8 : 0);

    if (!take_keyword(&c, STR("FROM:")))
        return reply_of(501, "5.5.4", "The form is MAIL FROM:<address>");
    enum address_error e = take_path(&c, flags, &s->command_arena, sender);
    if (e != ADDRESS_OK)
        return explain_address(s, e, "sender address", true);
    enum smtp_params_error p =
        smtp_params_parse_mail(cursor_rest(&c), offers, &s->command_arena, params, &keyword);
    if (p != SMTP_PARAMS_OK)
        return explain_params(s, p, keyword);
    if (!s->is_extended && cursor_left(&c) > 0)
        return reply_of(555, "5.5.4", "Parameters need EHLO");
    if (sender->is_utf8 && !params->is_smtputf8)
        return explain_address(s, ADDRESS_NEEDS_SMTPUTF8, "sender address", true);
    return check_mail_params(s, params);
}

struct reply smtp_cmd_mail(struct smtp_session *s, struct str args)
{
    struct smtp_mail_params params = {.has_size = false};
    struct address sender = {.is_null = false};

    if (s->transaction.has_mail)
        return reply_of(503, "5.5.1", "A transaction is under way: RSET ends it");
    if (s->transaction_count >= (unsigned)s->policy->settings->smtp_max_transactions)
        return reply_last(reply_of(421, "4.7.0", "Too many messages in one connection; closing"));
    if (smtp_lacks_tls(s))
        return reply_of(530, "5.7.0", "Say STARTTLS first: mail is taken here only encrypted");
    if (s->is_submission && s->login.account == 0)
        return reply_of(530, "5.7.0", "Log in first (AUTH)");
    struct reply refusal = parse_mail(s, args, &sender, &params);
    if (refusal.code == 0 && s->is_submission)
        refusal = smtp_submission_judge_sender(s, &sender);
    if (refusal.code != 0) {
        if (sender.local.len > 0)
            refusal.sender = print_address(&s->command_arena, &sender);
        return refusal;
    }
    keep_sender(&s->transaction, &sender, &params);
    return reply_of(250, "2.1.0", "Sender OK");
}

/* --- RCPT --- */

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

/* What can be known to come back is not taken: no bounces to forged senders. */
static struct reply judge_relayed(struct smtp_session *s, const struct address *a,
                                  enum smtp_destination destination)
{
    struct buf sender;

    if (!s->may_relay && s->login.account == 0)
        return reply_printf(&s->command_arena, 550, "5.7.1",
                            "Relaying denied: %.*s is not a domain of this server; to send mail "
                            "elsewhere, log in at your own provider's submission port",
                            STR_ARG(a->domain));
    if (destination == SMTP_DESTINATION_SUPPRESSED)
        return reply_printf(&s->command_arena, 550, "5.1.1",
                            "The server of <%.*s> has refused this address again and again; check "
                            "it, or ask the postmaster here to take it off the suppression list",
                            STR_ARG(a->raw));
    buf_init(&sender, ADDRESS_TEXT_MAX_BYTES);
    address_print(&s->transaction.sender, &sender);
    const struct settings_route *route =
        route_find(s->policy->settings, buf_str(&sender), a->domain);
    buf_done(&sender);
    if (route != NULL && route->via == SETTINGS_VIA_FAIL)
        return reply_printf(&s->command_arena, 550, "5.7.1", "%s", route->text);
    return reply_of(0, "", "");
}

/* The first recipient of a stranger's message counts the message; no further ones. */
static const struct ip_addr *peer_to_count(const struct smtp_session *s)
{
    if (s->is_submission || s->may_relay || s->login.account != 0 || s->transaction.is_counted)
        return NULL;
    return &s->peer;
}

/* The first time it is an event, the other recipients of the message are no further mistakes. */
static struct reply put_off(struct smtp_session *s)
{
    struct reply reply = reply_of(450, "4.7.1",
                                  "Too many messages from your address lately; try again in a "
                                  "minute, or ask the postmaster here to raise the limit");

    if (s->transaction.is_put_off) {
        if (++s->excess_recipient_count > SMTP_EXCESS_RECIPIENTS_MAX)
            return reply_last(reply_of(421, "4.7.0", "Far too many recipients; closing"));
        reply.is_forgiven = true;
        return reply;
    }
    s->transaction.is_put_off = true;
    LOG(LOG_WARNING, "smtp.too-many-messages", LOG_ID("session", s->id),
        LOG_C("peer", s->peer_text), LOG_INT("per_minute", s->policy->settings->brakes_messages),
        LOG_C("hint", "raise brakes.messages, or name the peer in brakes.exempt_networks if it "
                      "is one of yours"));
    return reply;
}

/* Decides about a recipient; code 0: it is accepted. Yields. */
static struct reply judge_recipient(struct smtp_session *s, struct smtp_recipient *to)
{
    const struct address *a = &to->address;
    enum smtp_destination destination = SMTP_DESTINATION_REMOTE;

    if (s->transaction.is_put_off)
        return put_off(s);
    int r = s->backend->find_recipient(s->backend->arg, a, peer_to_count(s), &destination);
    s->transaction.is_counted = true;
    if (r < 0)
        return explain_lookup(s, r);
    switch (destination) {
    case SMTP_DESTINATION_TOO_OFTEN:
        return put_off(s);
    case SMTP_DESTINATION_BANNED:
        return reply_last(reply_of(421, "4.7.0", SMTP_BANNED_TEXT));
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
    return judge_relayed(s, a, destination);
}

static struct reply parse_rcpt(struct smtp_session *s, struct str args, struct smtp_recipient *to)
{
    const bool is_smtputf8 = s->transaction.params.is_smtputf8;
    struct cursor c = cursor_from(args);
    struct str keyword;
    unsigned flags = ADDRESS_MAY_LACK_DOMAIN | (is_smtputf8 ? ADDRESS_MAY_BE_UTF8 : 0);

    if (!take_keyword(&c, STR("TO:")))
        return reply_of(501, "5.5.4", "The form is RCPT TO:<address>");
    enum address_error e = take_path(&c, flags, &s->command_arena, &to->address);
    if (e != ADDRESS_OK)
        return explain_address(s, e, "recipient address", false);
    enum smtp_params_error p = smtp_params_parse_rcpt(cursor_rest(&c), &to->params, &keyword);
    if (p != SMTP_PARAMS_OK)
        return explain_params(s, p, keyword);
    if (!s->is_extended && cursor_left(&c) > 0)
        return reply_of(555, "5.5.4", "Parameters need EHLO");
    if (to->params.needs_smtputf8 && !is_smtputf8)
        return reply_of(501, "5.5.4", "ORCPT that is not ASCII needs SMTPUTF8 at MAIL FROM");
    settle_postmaster(s, &to->address);
    return reply_of(0, "", "");
}

/* RFC 5321 section 4.5.3.1.10: the client sends the message again to the others. It may have many
 * more, in one batch, without having made a mistake; but not without end. */
static struct reply refuse_excess(struct smtp_session *s)
{
    const size_t max = smtp_max_recipients(s);

    if (++s->excess_recipient_count > max + SMTP_EXCESS_RECIPIENTS_MAX)
        return reply_last(reply_of(421, "4.7.0", "Far too many recipients; closing"));
    struct reply reply = reply_printf(&s->command_arena, 452, "4.5.3",
                                      "Too many recipients: at most %zu in one message", max);
    reply.is_forgiven = true;
    return reply;
}

struct reply smtp_cmd_rcpt(struct smtp_session *s, struct str args)
{
    struct smtp_recipient to = {.is_relay = false};

    if (s->transaction.recipient_count >= smtp_max_recipients(s))
        return refuse_excess(s);
    struct reply refusal = parse_rcpt(s, args, &to);
    if (refusal.code == 0)
        refusal = judge_recipient(s, &to);
    if (refusal.code != 0) {
        refusal.recipient = print_address(&s->command_arena, &to.address);
        return refusal;
    }
    keep_recipient(&s->transaction, &to);
    return reply_of(250, "2.1.5", "Recipient OK");
}
