/* The SMTP session's backend by calls to the store: see store_backend.h. */
#include "svc/store_backend.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "smtp/schedule.h"
#include "store/auth_wire.h"
#include "store/trace_event.h"

enum {
    LOOKUP_WAIT_MS = 30 * 1000,
    DELIVER_WAIT_MS = 120 * 1000, /* below the 10 minutes of RFC 5321 section 4.5.3.2.6 */
    SESSION_WAIT_MS = 10 * 1000,
    ORCPT_TEXT_MAX_BYTES = SMTP_ORCPT_MAX_BYTES + 1, /* "type;address" */
    ROUNDING_BYTES = 32,                             /* of one allocation: alignment and a NUL */
    DELIVER_ARENA_BYTES =
        ADDRESS_TEXT_MAX_BYTES + ROUNDING_BYTES + WIRE_RELEASE_REQUEST_MAX_BYTES + ROUNDING_BYTES +
        SMTP_RECIPIENTS_MAX *
            (sizeof(struct deliver_recipient) + ORCPT_TEXT_MAX_BYTES + 2 * ROUNDING_BYTES),
    /* On the wire: two texts, ORCPT, three lengths, two bytes. */
    RECIPIENT_WIRE_BYTES = ADDRESS_TEXT_MAX_BYTES + ORCPT_TEXT_MAX_BYTES + 3 * 4 + 2,
};

_Static_assert((int)SMTP_NOTIFY_NEVER == (int)DELIVER_NOTIFY_NEVER &&
                   (int)SMTP_NOTIFY_SUCCESS == (int)DELIVER_NOTIFY_SUCCESS &&
                   (int)SMTP_NOTIFY_FAILURE == (int)DELIVER_NOTIFY_FAILURE &&
                   (int)SMTP_NOTIFY_DELAY == (int)DELIVER_NOTIFY_DELAY,
               "NOTIFY is passed on as it is");
_Static_assert((int)SMTP_RECIPIENTS_MAX == (int)WIRE_RECIPIENTS_MAX,
               "what a session accepts is what the store takes; also the end of the range of "
               "smtp.max_recipients (conf/settings_table.c)");
_Static_assert((int)(SMTP_RECIPIENTS_MAX *RECIPIENT_WIRE_BYTES + SMTP_SPOOL_PIECE_BYTES) <=
                   (int)WIRE_DELIVER_MAX_BYTES,
               "an envelope with the largest addresses and a small text fits into one frame");
_Static_assert((int)WIRE_DELIVER_MAX_BYTES <= (int)RPC_PAYLOAD_MAX_BYTES,
               "a frame holds a message");

static uint64_t make_id(void *arg)
{
    const struct store_backend *b = arg;

    return id_make(b->ids);
}

static int call(struct store_backend *b, enum store_verb verb, const struct buf *args, int wait_ms,
                struct buf *reply)
{
    int r = buf_status(args);

    if (r == 0)
        r = rpc_call(b->client, (uint16_t)verb, buf_str(args), clock_mono_ms() + wait_ms, reply);
    return r;
}

static void put_rate_key(struct buf *out, const struct ip_addr *peer)
{
    struct ip_rate_key key = ip_rate_key(peer);

    buf_put_u64(out, key.prefix);
    buf_put_u8(out, key.family);
}

static int find_recipient(void *arg, const struct address *address, const struct ip_addr *peer,
                          enum smtp_destination *out)
{
    static const struct ip_addr nobody = {.family = IP_NONE};
    struct buf args, reply;

    buf_init(&args, 2048);
    buf_init(&reply, 1024);
    put_rate_key(&args, peer != NULL ? peer : &nobody);
    buf_put_lp(&args, address->local);
    buf_put_lp(&args, address->domain);
    int r = call(arg, STORE_RECIPIENT_CHECK, &args, LOOKUP_WAIT_MS, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    enum recipient_kind kind = (enum recipient_kind)cursor_u8(&c);
    buf_done(&args);
    buf_done(&reply);
    if (r < 0)
        return r;
    switch (kind) {
    case RECIPIENT_LOCAL:
        *out = SMTP_DESTINATION_LOCAL;
        return 0;
    case RECIPIENT_REMOTE:
        *out = SMTP_DESTINATION_REMOTE;
        return 0;
    case RECIPIENT_UNKNOWN_USER:
        *out = SMTP_DESTINATION_UNKNOWN_USER;
        return 0;
    case RECIPIENT_ALIAS_LOOP:
        *out = SMTP_DESTINATION_LOOP;
        return 0;
    case RECIPIENT_SUPPRESSED:
        *out = SMTP_DESTINATION_SUPPRESSED;
        return 0;
    case RECIPIENT_TOO_OFTEN:
        *out = SMTP_DESTINATION_TOO_OFTEN;
        return 0;
    case RECIPIENT_BANNED:
        *out = SMTP_DESTINATION_BANNED;
        return 0;
    }
    return -EBADMSG;
}

static int spool_open(void *arg, uint64_t *out_spool)
{
    struct buf args, reply;

    buf_init(&args, 1);
    buf_init(&reply, 1024);
    int r = call(arg, STORE_SPOOL_OPEN, &args, LOOKUP_WAIT_MS, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    uint64_t spool = cursor_u64(&c);
    if (r == 0)
        r = cursor_status(&c);
    if (r == 0)
        *out_spool = spool;
    buf_done(&reply);
    return r;
}

static int spool_write(void *arg, uint64_t spool, struct str piece)
{
    struct buf args, reply;

    buf_init(&args, SMTP_SPOOL_PIECE_BYTES + 64);
    buf_init(&reply, 1024);
    buf_put_u64(&args, spool);
    buf_put_str(&args, piece);
    int r = call(arg, STORE_SPOOL_WRITE, &args, DELIVER_WAIT_MS, &reply);
    buf_done(&args);
    buf_done(&reply);
    return r;
}

static void spool_drop(void *arg, uint64_t spool)
{
    struct store_backend *b = arg;
    struct buf args;

    buf_init(&args, 8);
    buf_put_u64(&args, spool);
    /* When the channel is gone, so is the spool. */
    (void)!rpc_post(b->client, STORE_SPOOL_DROP, buf_str(&args));
    buf_done(&args);
}

static struct str print_address(struct arena *arena, const struct address *address)
{
    struct buf out;

    buf_init(&out, ADDRESS_TEXT_MAX_BYTES);
    address_print(address, &out);
    struct str text = arena_str(arena, buf_str(&out));
    buf_done(&out);
    return text;
}

static struct str print_orcpt(struct arena *arena, const struct smtp_rcpt_params *p)
{
    if (p->orcpt_type.ptr == NULL)
        return STR("");
    return str_from_c(
        arena_printf(arena, "%.*s;%.*s", STR_ARG(p->orcpt_type), STR_ARG(p->orcpt_addr)));
}

static const struct deliver_recipient *list_recipients(struct arena *arena,
                                                       const struct smtp_message *m)
{
    struct deliver_recipient *list = arena_alloc(arena, m->recipient_count * sizeof(*list));
    size_t i = 0;

    for (const struct smtp_recipient *r = m->recipients; r != NULL; r = r->next)
        list[i++] = (struct deliver_recipient){.local = r->address.local,
                                               .domain = r->address.domain,
                                               .orcpt = print_orcpt(arena, &r->params),
                                               .notify = (uint8_t)r->params.notify,
                                               .is_relay = r->is_relay};
    return list;
}

static uint8_t deliver_flags(const struct smtp_message *m)
{
    return (uint8_t)((m->params->is_smtputf8 ? DELIVER_SMTPUTF8 : 0) |
                     (m->has_8bit ? DELIVER_8BIT : 0) |
                     (m->has_long_lines ? DELIVER_LONG_LINES : 0) |
                     (m->is_once ? DELIVER_ONCE : 0) |
                     (m->params->is_requiretls ? DELIVER_REQUIRETLS : 0) |
                     (m->params->has_priority ? DELIVER_HAS_PRIORITY : 0));
}

static uint8_t deliver_by(const struct smtp_mail_params *p)
{
    if (p->by == SMTP_BY_NONE)
        return 0;
    return (uint8_t)((p->by == SMTP_BY_RETURN ? DELIVER_BY_RETURN : DELIVER_BY_NOTIFY) |
                     (p->by_has_trace ? DELIVER_BY_TRACE : 0));
}

/* As notices give it back: Future-Release-Request of RFC 4865. */
static struct str release_request(struct arena *arena, const struct smtp_mail_params *p)
{
    if (p->hold == SMTP_HOLD_NONE)
        return STR("");
    return str_from_c(arena_printf(arena, "%s;%.*s", p->hold == SMTP_HOLD_FOR ? "for" : "until",
                                   STR_ARG(p->hold_value)));
}

static void log_failure(const struct smtp_message *m, int error, const struct buf *why)
{
    LOG(LOG_WARNING, "smtp.not-stored", LOG_ID("session", m->session_id), LOG_ID("message", m->id),
        LOG_ERR(error),
        LOG_STR("why", error == -EPIPE ? STR("the store is not running") : buf_str(why)));
}

/* Encodes all but the text. -EMSGSIZE when the request does not fit into a frame. */
static int put_message(struct buf *out, const struct smtp_message *m)
{
    struct arena arena;

    if (m->recipient_count > SMTP_RECIPIENTS_MAX)
        return -EMSGSIZE;
    arena_init(&arena, DELIVER_ARENA_BYTES);
    struct deliver_request request = {.message_id = m->id,
                                      .session_id = m->session_id,
                                      .received_ms = m->received_ms,
                                      .peer = m->peer_text,
                                      .helo = m->helo,
                                      .account = m->account,
                                      .login = m->login,
                                      .sender = print_address(&arena, m->sender),
                                      .envid = m->params->envid_raw,
                                      .ret = (uint8_t)m->params->ret,
                                      .flags = deliver_flags(m),
                                      .priority = m->params->priority,
                                      .release_ms = smtp_release_ms(m->params, m->received_ms),
                                      .release_request = release_request(&arena, m->params),
                                      .deliver_by_ms =
                                          smtp_deliver_by_ms(m->params, m->received_ms),
                                      .by = deliver_by(m->params),
                                      .prefix_bytes = m->prefix_bytes,
                                      .summary = m->summary,
                                      .spool = m->spool,
                                      .recipients = list_recipients(&arena, m),
                                      .recipient_count = m->recipient_count};
    /* Room at once for all but long envelopes; too much is refused by the buffer's own bound. */
    (void)buf_reserve(out, MIN(m->summary.len + 2048, out->max));
    wire_put_deliver_head(out, &request);
    arena_done(&arena);
    return buf_status(out);
}

static int deliver(void *arg, const struct smtp_message *m)
{
    struct store_backend *b = arg;
    struct buf head, reply;

    buf_init(&head, WIRE_DELIVER_MAX_BYTES - MIN(m->text.len, (size_t)WIRE_DELIVER_MAX_BYTES));
    buf_init(&reply, 4096);
    int r = put_message(&head, m);
    if (r == 0)
        r = rpc_call_parts(b->client, STORE_DELIVER, (struct str[2]){buf_str(&head), m->text},
                           clock_mono_ms() + DELIVER_WAIT_MS, &reply);
    if (r < 0) {
        log_failure(m, r, &reply);
        /* If the frame was not sent, the spool is still ours; if it was, the store does not find
         * it any more and nothing happens. */
        if (m->spool != 0)
            spool_drop(arg, m->spool);
    }
    buf_done(&head);
    buf_done(&reply);
    return r;
}

static int may_send_as(void *arg, const struct smtp_login *login, const struct address *address,
                       struct buf *out_own)
{
    struct store_backend *b = arg;
    struct buf args, reply, printed;
    struct auth_senders senders;

    buf_init(&args, 2048);
    buf_init(&reply, 64 * 1024);
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    if (address != NULL)
        address_print(address, &printed);
    auth_put_sender_check(&args, &(struct auth_sender_check){.account = login->account,
                                                             .app_password = login->app_password,
                                                             .epoch = login->epoch,
                                                             .is_any = address == NULL,
                                                             .address = buf_str(&printed)});
    int r = call(b, STORE_SENDER_CHECK, &args, LOOKUP_WAIT_MS, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (r == 0)
        r = auth_get_senders(&c, &senders);
    if (r == 0 && senders.is_over)
        r = -EACCES;
    for (size_t i = 0; r == 0 && i < senders.count; i++) {
        if (out_own->len + senders.addresses[i].len + 2 > out_own->max)
            break;
        buf_printf(out_own, "%s%.*s", i > 0 ? ", " : "", STR_ARG(senders.addresses[i]));
    }
    if (r == 0)
        r = senders.may_send;
    buf_done(&printed);
    buf_done(&args);
    buf_done(&reply);
    return r;
}

static void put_refusal(struct buf *out, const struct smtp_refusal *f)
{
    trace_put_detail(out, 0, "stage", str_from_c(f->stage));
    trace_put_number(out, 0, "code", f->reply->code);
    trace_put_detail(out, 0, "enhanced", str_from_c(f->reply->enhanced));
    trace_put_detail(out, 0, "text", str_from_c(f->reply->text));
}

/* The store takes "refused" and "lost" from workers, and no other events. */
static void refused(void *arg, const struct smtp_refusal *f)
{
    struct store_backend *b = arg;
    struct buf out;

    buf_init(&out, 8192);
    trace_put_event(&out, &(struct trace_event){.ref = f->ref,
                                                .session = f->session_id,
                                                .time_ms = clock_real_ms(),
                                                .event = str_from_c(f->event),
                                                .address = f->recipient});
    if (f->reply != NULL) {
        put_refusal(&out, f);
    } else {
        trace_put_number(&out, 0, "recipients", (int64_t)f->recipient_count);
        trace_put_number(&out, 0, "bytes", (int64_t)f->bytes);
    }
    trace_put_detail(&out, 0, "peer", f->peer_text);
    trace_put_detail(&out, 0, "helo", f->helo);
    if (f->sender.len > 0)
        trace_put_detail(&out, 0, "sender", f->sender);
    if (f->login.len > 0)
        trace_put_detail(&out, 0, "login", f->login);
    if (buf_status(&out) == 0)
        (void)!rpc_post(b->client, STORE_TRACE_ADD, buf_str(&out));
    buf_done(&out);
}

static void logged_in(void *arg, uint64_t session, const struct ip_addr *peer,
                      const struct smtp_login *login)
{
    struct store_backend *b = arg;
    char peer_text[IP_TEXT_BYTES];
    struct buf out;

    buf_init(&out, 2048);
    auth_put_session(&out, &(struct auth_session){.session = session,
                                                  .account = login->account,
                                                  .app_password = login->app_password,
                                                  .since_ms = login->since_ms,
                                                  .address = str_from_c(login->address),
                                                  .peer = str_from_c(ip_print(peer, peer_text)),
                                                  .protocol = str_from_c(login->protocol),
                                                  .mechanism = str_from_c(login->mechanism)});
    if (buf_status(&out) == 0)
        (void)!rpc_post(b->client, STORE_SESSION_LOGIN, buf_str(&out));
    buf_done(&out);
}

static void logged_out(void *arg, uint64_t session)
{
    struct store_backend *b = arg;
    struct buf out;

    buf_init(&out, 16);
    buf_put_u64(&out, session);
    (void)!rpc_post(b->client, STORE_SESSION_LOGOUT, buf_str(&out));
    buf_done(&out);
}

void store_backend_init(struct store_backend *b, struct rpc_client *client, struct id_maker *ids)
{
    *b = (struct store_backend){.client = client, .ids = ids};
    b->smtp = (struct smtp_backend){.arg = b,
                                    .make_id = make_id,
                                    .find_recipient = find_recipient,
                                    .spool_open = spool_open,
                                    .spool_write = spool_write,
                                    .spool_drop = spool_drop,
                                    .deliver = deliver,
                                    .may_send_as = may_send_as,
                                    .logged_in = logged_in,
                                    .logged_out = logged_out,
                                    .refused = refused};
}

int store_backend_open_session(struct store_backend *b, const struct ip_addr *peer,
                               enum session_verdict *out)
{
    struct buf args, reply;

    buf_init(&args, 16);
    buf_init(&reply, 16);
    put_rate_key(&args, peer);
    int r = call(b, STORE_SESSION_OPEN, &args, SESSION_WAIT_MS, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    *out = (enum session_verdict)cursor_u8(&c);
    if (r == 0)
        r = cursor_finish(&c);
    buf_done(&args);
    buf_done(&reply);
    /* The store may have counted, or count later, a session of which nobody will know the end. The
     * channel keeps the order, so it sees this after the request. */
    if (r == -ETIMEDOUT || r == -ECANCELED)
        store_backend_close_session(b, peer);
    return r;
}

void store_backend_close_session(struct store_backend *b, const struct ip_addr *peer)
{
    struct buf args;

    buf_init(&args, 16);
    put_rate_key(&args, peer);
    /* A store that restarted does not know the session any more; it ignores this. */
    (void)!rpc_post(b->client, STORE_SESSION_CLOSE, buf_str(&args));
    /* Now, not before the loop waits: the peer's next connection may be another worker's. */
    rpc_channel_flush(&b->client->channel);
    buf_done(&args);
}
