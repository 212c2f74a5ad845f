/* SMTP sessions of a worker: see reception.h. */
#include "svc/reception.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    REFUSE_LINGER_MS = 500,
    REFUSE_TLS_MS = 5000, /* for the handshake, where the refusal needs one */
    REFUSE_TLS_MAX = 16,  /* of a worker at a time; who comes beyond them hears nothing */
    LINGER_MS = 2000,     /* for the peer to take the last reply */
};

/* TLS from the first byte (RFC 8314 section 3.3). Yields. */
static bool is_ready(struct stream *stream, const struct ip_addr *peer, bool is_secure,
                     struct tls_server *tls)
{
    char peer_text[IP_TEXT_BYTES];

    if (!is_secure)
        return true;
    int r = tls != NULL ? tls_accept(stream, tls) : -ENOENT;
    if (r < 0)
        LOG(LOG_INFO, "smtp.tls-failed", LOG_C("peer", ip_print(peer, peer_text)), LOG_ERR(r),
            LOG_C("why", tls != NULL ? tls_error(stream) : "there is no certificate"));
    return r == 0;
}

/* Whoever expects TLS could not read a refusal without, and would tell his user of a broken server.
 * Yields. */
static bool can_tell(struct reception *r, struct stream *stream, const struct ip_addr *peer,
                     bool is_secure)
{
    if (is_secure && r->refusals >= REFUSE_TLS_MAX)
        return false;
    struct tls_server *tls = tls_server_ref(r->tls.server);
    stream_set_deadline(stream, clock_mono_ms() + REFUSE_TLS_MS);
    r->refusals++;
    bool is_told = is_ready(stream, peer, is_secure, tls);
    r->refusals--;
    tls_server_unref(tls);
    return is_told;
}

/* Turns a connection away with one line. Yields. */
static void turn_away(struct reception *r, struct stream *stream, const struct ip_addr *peer,
                      bool is_secure, const char *text)
{
    char peer_text[IP_TEXT_BYTES];
    struct buf out;

    LOG(LOG_INFO, "smtp.turned-away", LOG_C("peer", ip_print(peer, peer_text)), LOG_C("why", text));
    if (!can_tell(r, stream, peer, is_secure))
        return;
    buf_init(&out, 512);
    buf_printf(&out, "421 %s\r\n", text);
    if (stream_write(stream, buf_str(&out)) == 0)
        stream_close_gently(stream, REFUSE_LINGER_MS);
    buf_done(&out);
}

/* Counts the session: NULL, or why it may not begin. Yields. */
static const char *find_hindrance(struct reception *r, const struct ip_addr *peer)
{
    enum session_verdict verdict;

    if (store_backend_open_session(&r->backend, peer, &verdict) < 0)
        return "4.3.2 The server is not ready; try again in a moment";
    switch (verdict) {
    case SESSION_TOO_MANY_FROM_ADDRESS:
        return "4.7.0 Too many connections from your address; close some first";
    case SESSION_TOO_OFTEN:
        return "4.7.0 Too many connections from your address lately; wait a minute";
    case SESSION_BANNED:
        return "4.7.0 " SMTP_BANNED_TEXT;
    case SESSION_TOO_MANY:
        return "4.3.2 Too many connections; try again later";
    default:
        return NULL;
    }
}

void reception_serve(struct reception *r, struct stream *stream, const struct accepted *from,
                     const struct smtp_session_config *config)
{
    stream_set_deadline(stream, clock_mono_ms() + r->policy->settings->smtp_command_timeout);
    const char *hindrance = find_hindrance(r, &from->peer);
    if (hindrance != NULL) {
        turn_away(r, stream, &from->peer, config->is_secure, hindrance);
        return;
    }
    struct smtp_policy *policy = smtp_policy_ref(r->policy);
    struct tls_server *tls = tls_server_ref(r->tls.server); /* which a renewal may replace */
    struct smtp_session_config all = *config;
    all.backend = &r->backend.smtp;
    all.policy = policy;
    all.stream = stream;
    all.peer = from->peer;
    all.local = from->local;
    all.tls = tls;
    if (is_ready(stream, &from->peer, all.is_secure, tls))
        smtp_session_run(&all);
    tls_server_unref(tls);
    smtp_policy_unref(policy);
    /* Before the lingering close: whoever sees the end of one session may begin the next. */
    store_backend_close_session(&r->backend, &from->peer);
    stream_close_gently(stream, LINGER_MS);
}

void reception_take_settings(struct reception *r, struct settings *settings)
{
    /* conf cannot know the store's limit; the range of the setting ends there. */
    ASSERT(settings->smtp_max_recipients <= WIRE_RECIPIENTS_MAX);
    ASSERT(settings->smtp_max_command_length <= SMTP_COMMAND_MAX_BYTES);
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              r->process);
    struct smtp_policy *old = r->policy;
    r->policy = smtp_policy_new(settings);
    smtp_policy_unref(old);
}

void reception_init(struct reception *r, const char *process, struct settings *settings,
                    unsigned slot)
{
    *r = (struct reception){.process = process};
    reception_take_settings(r, settings);
    id_maker_init(&r->ids, (unsigned)settings->server_node, slot);
    child_link_init(&r->store, CONTROL_PEER_STORE);
    child_link_init(&r->resolver, CONTROL_PEER_RESOLVER);
    tls_link_init(&r->tls);
    store_backend_init(&r->backend, &r->store.client, &r->ids);
}

void reception_done(struct reception *r)
{
    child_link_done(&r->store);
    child_link_done(&r->resolver);
    tls_link_done(&r->tls);
    smtp_policy_unref(r->policy);
}
