/* One message over one connection: see courier.h. */
#include "svc/outbound/courier.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/mime_7bit.h"
#include "svc/outbound/text_source.h"
#include "svc/outbound/urgency.h"

void courier_init(struct courier *c)
{
    worker_call_init(&c->result);
}

void courier_done(struct courier *c)
{
    worker_call_done(&c->result);
}

int courier_settle(struct courier *c)
{
    int r = worker_call_settle(&c->result);

    /* What the store refuses now it would refuse again; the mail itself is not lost by that. */
    if (r < 0 && r != -ECANCELED)
        LOG(LOG_ERROR, "outbound.result-refused", LOG_ERR(r),
            LOG_STR("why", buf_str(&c->result.reply)),
            LOG_C("hint", "a delivered mail may be sent again; report this"));
    return r == -ECANCELED ? r : 0;
}

int courier_tell(struct courier *c, const struct queue_result *result)
{
    int r = courier_settle(c);

    if (r < 0)
        return r;
    buf_reset(&c->result.args);
    queue_put_result(&c->result.args, result);
    return worker_call_start(&c->result, STORE_QUEUE_RESULT);
}

/* --- what the peer cannot take --- */

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

static struct smtp_client_reply local_reply(uint16_t code, const char *enhanced, struct str text)
{
    struct smtp_client_reply reply = {
        .stage = SMTP_CLIENT_MAIL, .code = code, .text = text, .is_local = true};

    (void)snprintf(reply.enhanced, sizeof(reply.enhanced), "%s", enhanced);
    return reply;
}

static void answer_all(struct courier_outcome *out, const struct smtp_client_reply *reply,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        out->replies[i] = *reply;
}

/* Whether the message has to go as SMTPUTF8: its envelope or header says so, not its sender's wish
 * alone (RFC 6531 section 3.6 lets a message without need go the old way). */
static bool needs_utf8(const struct queue_message *m, const size_t *recipients, size_t count,
                       const struct text_source *source)
{
    if ((m->flags & DELIVER_SMTPUTF8) == 0)
        return false;
    if (!is_ascii(m->sender) || source->facts.has_header_8bit)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (!is_ascii(m->recipients[recipients[i]].address))
            return true;
    }
    return false;
}

/* What has to be changed in the text, as far as is known before it is looked at. */
static unsigned find_wants(const struct queue_message *m, unsigned extensions)
{
    bool is_8bit = (m->flags & (DELIVER_8BIT | DELIVER_SMTPUTF8)) != 0;

    return (is_8bit && (extensions & SMTP_EXT_8BITMIME) == 0 ? MIME_7BIT_BYTES : 0) |
           ((m->flags & DELIVER_LONG_LINES) != 0 ? MIME_7BIT_LINES : 0);
}

/* Makes the text fit for the peer. 1 when it can be sent; 0 with the reply that says why not;
 * -ECANCELED. */
static int make_fit(const struct connection *connection, const struct queue_message *m,
                    const size_t *recipients, size_t count, struct text_source *source,
                    struct smtp_client_message *out, struct smtp_client_reply *out_reply)
{
    unsigned extensions = connection->client.extensions, wants = find_wants(m, extensions);
    bool may_need_utf8 =
        (m->flags & DELIVER_SMTPUTF8) != 0 && (extensions & SMTP_EXT_SMTPUTF8) == 0;

    out->has_8bit = (m->flags & (DELIVER_8BIT | DELIVER_SMTPUTF8)) != 0;
    out->is_utf8 = (m->flags & DELIVER_SMTPUTF8) != 0 && !may_need_utf8;
    if (!may_need_utf8 && wants == 0)
        return 1;
    int r = text_source_look(source, wants);
    if (r < 0) {
        *out_reply = (struct smtp_client_reply){.stage = SMTP_CLIENT_MAIL, .error = r};
        return r == -ECANCELED ? r : 0;
    }
    if (may_need_utf8 && needs_utf8(m, recipients, count, source)) {
        *out_reply = local_reply(553, "5.6.7",
                                 STR("the receiving server does not support internationalized "
                                     "mail (SMTPUTF8), which this message needs"));
        return 0;
    }
    if (source->conversion < 0) {
        *out_reply = local_reply(554, "5.6.3",
                                 STR("the receiving server takes 7-bit mail only, and this "
                                     "message cannot be converted to it"));
        return 0;
    }
    out->has_8bit = source->facts.bytes_8bit > 0 && (wants & MIME_7BIT_BYTES) == 0;
    if (source->conversion > 0) {
        source->converts = true;
        out->size = 0;
    }
    return 1;
}

struct carrying {
    struct courier *courier;
    struct text_source *source;
};

static int next_piece(void *arg, struct str *out_piece)
{
    return text_source_next(((struct carrying *)arg)->source, out_piece);
}

static int before_end(void *arg)
{
    return courier_settle(((struct carrying *)arg)->courier);
}

static void list_recipients(const struct queue_message *m, const size_t *recipients, size_t count,
                            unsigned extensions, struct smtp_client_recipient *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct queue_recipient *r = &m->recipients[recipients[i]];
        out[i] = (struct smtp_client_recipient){.address = r->address,
                                                .orcpt = r->orcpt,
                                                .notify = urgency_notify(m, extensions, r->notify)};
    }
}

int courier_carry(struct courier *c, struct connection *connection,
                  const struct queue_message *message, const size_t *recipients, size_t count,
                  struct arena *arena, struct courier_outcome *out)
{
    struct text_source source;
    struct smtp_client_reply reply;
    struct smtp_client_outcome sent = {NULL};
    struct smtp_client_recipient *list = arena_alloc(arena, count * sizeof(*list));
    /* RFC 8689 section 4.2.1: encrypted to whom it is for, not to anybody. */
    struct urgency_peer peer = {.extensions = connection->client.extensions,
                                .min_by_s = connection->client.min_by_s,
                                .is_encrypted = connection->client.is_verified,
                                .is_sure = c->is_sure};
    struct carrying carrying = {.courier = c, .source = &source};

    *out = (struct courier_outcome){.replies = arena_alloc(arena, count * sizeof(out->replies[0]))};
    list_recipients(message, recipients, count, peer.extensions, list);
    struct smtp_client_message m = {.sender = message->sender,
                                    .size = message->bytes,
                                    .ret = message->ret,
                                    .envid = message->envid,
                                    .recipients = list,
                                    .recipient_count = count,
                                    .next_piece = next_piece,
                                    .before_end = before_end,
                                    .arg = &carrying};
    text_source_init(&source, message);
    int r = urgency_apply(message, &peer, clock_real_ms(), &m, &reply);
    if (r > 0)
        r = make_fit(connection, message, recipients, count, &source, &m, &reply);
    if (r == 0)
        answer_all(out, &reply, count);
    if (r > 0) {
        r = smtp_client_send(&connection->client, &m, arena, &sent);
        *out = (struct courier_outcome){
            .replies = sent.recipients, .accepted = sent.accepted, .is_unknown = sent.is_unknown};
    }
    text_source_done(&source);
    return r;
}
