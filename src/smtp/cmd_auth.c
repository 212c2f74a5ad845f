/* AUTH (RFC 4954): who the client is. The mechanisms are in src/sasl; this is their dialogue. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/url.h"
#include "rt/tls.h"
#include "sasl/server.h"
#include "smtp/auth.h"
#include "smtp/commands.h"

enum { LOG_NAME_BYTES = 100 };

/* An authentication under way. */
struct dialogue {
    uint8_t exporter[TLS_EXPORTER_BYTES];
    uint8_t end_point[TLS_END_POINT_MAX_BYTES];
    struct sasl_server *sasl;
    struct buf challenge;
};

/* What the client hears, by the reason (sections 4 and 6). */
static const struct {
    enum sasl_reason reason;
    uint16_t code;
    const char *enhanced, *text;
} refusals[] = {
    {SASL_REASON_CREDENTIALS, 535, "5.7.8",
     "Wrong user name or password; the user name is the whole mail address"},
    {SASL_REASON_AUTHZID, 535, "5.7.8", "You may not act for that user"},
    {SASL_REASON_NEEDS_APP_PASSWORD, 534, "5.7.9",
     "This password is not for sending by a mail program: make an app password that may send, and "
     "use that here"},
    {SASL_REASON_TOO_MANY, 454, "4.7.0",
     "Too many failed logins lately; wait a while and try again"},
    {SASL_REASON_BINDING, 535, "5.7.8",
     "The login was made for another TLS connection: something stands in between"},
    {SASL_REASON_BINDING_TYPE, 535, "5.7.8",
     "That channel binding is not known here, only tls-exporter and tls-server-end-point are; use "
     "the mechanism without -PLUS"},
    {SASL_REASON_MECHANISM, 504, "5.5.4",
     "That mechanism is not offered; EHLO lists those that are"},
    {SASL_REASON_ENCRYPTION, 538, "5.7.11",
     "That mechanism needs encryption: say STARTTLS first, or let your program use TLS"},
    {SASL_REASON_INITIAL_RESPONSE, 501, "5.7.0", "That mechanism takes no initial response"},
    {SASL_REASON_ENCODING, 501, "5.5.2", "That is not base64"},
    {SASL_REASON_MALFORMED, 501, "5.5.2", "That is not what the mechanism asks for"},
    {SASL_REASON_CERTIFICATE, 535, "5.7.8",
     "EXTERNAL needs a client certificate, and this connection has shown none"},
    {SASL_REASON_TOO_LONG, 500, "5.5.6", "The line is too long"},
    {SASL_REASON_CANCELLED, 501, "5.7.0", "Cancelled"},
};

static struct reply explain(enum sasl_reason reason)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (refusals[i].reason == reason)
            return reply_of(refusals[i].code, refusals[i].enhanced, refusals[i].text);
    }
    return reply_of(535, "5.7.8", "The login has failed");
}

/* What was wrong with a certificate that EXTERNAL cannot use. */
static struct reply explain_certificate(struct smtp_session *s)
{
    struct tls_info info = tls_info(s->stream);

    if (!s->is_secure || info.trust == TLS_TRUST_NONE)
        return explain(SASL_REASON_CERTIFICATE);
    if (info.trust != TLS_TRUST_VERIFIED)
        return reply_printf(&s->command_arena, 535, "5.7.8",
                            "The certificate that was shown cannot be used: %s", info.trust_text);
    return reply_of(535, "5.7.8", "The certificate that was shown has no mail address in it");
}

static struct reply explain_failure(struct smtp_session *s, enum sasl_reason reason,
                                    enum sasl_mechanism mechanism)
{
    if (reason == SASL_REASON_CERTIFICATE)
        return explain_certificate(s);
    if (reason == SASL_REASON_CREDENTIALS && mechanism == SASL_EXTERNAL)
        return reply_of(535, "5.7.8", "The certificate that was shown opens no account here");
    bool is_token = mechanism == SASL_OAUTHBEARER || mechanism == SASL_XOAUTH2;
    if (reason == SASL_REASON_CREDENTIALS && is_token)
        return reply_of(535, "5.7.8", "The token opens no account here; get a new one");
    return explain(reason);
}

/* --- what is offered --- */

static struct str discovery_url(struct smtp_session *s)
{
    const struct settings *settings = s->policy->settings;
    CLEANUP(buf_done) struct buf url = {.len = 0};

    if (settings->auth_oauth_discovery_url[0] != '\0')
        return str_from_c(settings->auth_oauth_discovery_url);
    buf_init(&url, 2 * URL_MAX_CHARS);
    url_put_discovery(str_from_c(settings->auth_oauth_issuer), &url);
    return arena_str(&s->command_arena, buf_str(&url));
}

static struct sasl_offer make_offer(const struct smtp_session *s)
{
    const struct settings *settings = s->policy->settings;
    bool is_near = ip_is_loopback(&s->peer);
    struct tls_info tls = tls_info(s->stream);
    bool is_trusted = s->is_secure && tls.trust == TLS_TRUST_VERIFIED;

    return (struct sasl_offer){
        .enabled = s->auth.enabled,
        .is_encrypted = s->is_secure,
        .may_plaintext_unencrypted = is_near && settings->submission_plaintext_on_loopback,
        .certificate_names = is_trusted ? tls.emails : STR_NONE,
        .oauth_scope = str_from_c(settings->auth_oauth_scope),
    };
}

/* What both ends of this TLS connection know. */
static void bind_channel(const struct smtp_session *s, struct dialogue *d, struct sasl_offer *offer)
{
    if (!s->is_secure)
        return;
    if (tls_exporter(s->stream, d->exporter) == 0)
        offer->bindings.data[SASL_BINDING_TLS_EXPORTER] =
            str_from_mem(d->exporter, sizeof(d->exporter));
    int bytes = tls_server_end_point(s->stream, d->end_point);
    if (bytes > 0)
        offer->bindings.data[SASL_BINDING_TLS_SERVER_END_POINT] =
            str_from_mem(d->end_point, (size_t)bytes);
}

void smtp_auth_put_mechanisms(const struct smtp_session *s, struct buf *out)
{
    struct dialogue d = {.sasl = NULL};

    if (s->auth.backend == NULL || smtp_lacks_tls(s))
        return;
    struct sasl_offer offer = make_offer(s);
    bind_channel(s, &d, &offer);
    sasl_mechanisms_put(sasl_offer_mechanisms(&offer), out);
}

/* --- the dialogue --- */

/* The challenge may be longer than any other reply's line. Yields. */
static int send_challenge(struct smtp_session *s, const struct buf *challenge)
{
    int r = stream_write(s->stream, STR("334 "));

    if (r == 0)
        r = stream_write(s->stream, buf_str(challenge));
    return r == 0 ? stream_write(s->stream, STR("\r\n")) : r;
}

/* Asks until there is an outcome. Yields. Code 0 in *out_failure, or what to say instead. */
static enum sasl_outcome run(struct smtp_session *s, struct dialogue *d, enum sasl_outcome outcome,
                             struct reply *out_failure)
{
    struct str line = STR("");

    while (outcome == SASL_CONTINUE) {
        int r = send_challenge(s, &d->challenge);
        if (r == 0)
            r = smtp_read_line(s, SASL_LINE_MAX_BYTES + 2, &line);
        if (r < 0) {
            *out_failure = smtp_explain_read(s, r);
            return SASL_FAILED;
        }
        outcome = sasl_server_step(d->sasl, line, &d->challenge);
    }
    return outcome;
}

/* In a certificate's case the cause is not in the dialogue. */
static const char *why_failed(const struct smtp_session *s, enum sasl_reason reason)
{
    struct tls_info tls = tls_info(s->stream);
    bool is_shown = reason == SASL_REASON_CERTIFICATE && s->is_secure && tls.trust_text[0] != '\0';

    return is_shown ? tls.trust_text : sasl_reason_text(reason);
}

static void log_failure(const struct smtp_session *s, const struct dialogue *d)
{
    LOG(LOG_INFO, "smtp.login-failed", LOG_ID("session", s->id), LOG_C("peer", s->peer_text),
        LOG_STR("mechanism", sasl_mechanism_name(sasl_server_mechanism(d->sasl))),
        LOG_STR("name", str_sub(sasl_server_authcid(d->sasl), 0, LOG_NAME_BYTES)),
        LOG_C("why", why_failed(s, sasl_server_reason(d->sasl))));
}

static struct reply welcome(struct smtp_session *s, const struct dialogue *d)
{
    const struct sasl_identity *who = sasl_server_identity(d->sasl);
    struct str mechanism = sasl_mechanism_name(sasl_server_mechanism(d->sasl));

    s->login = (struct smtp_login){.account = who->account_id,
                                   .app_password = who->app_password,
                                   .epoch = who->epoch,
                                   .since_ms = clock_real_ms(),
                                   .address = xstrdup(who->address),
                                   .mechanism = str_dup(mechanism),
                                   .protocol = s->is_implicit ? "submissions" : "submission"};
    LOG(LOG_INFO, "smtp.login", LOG_ID("session", s->id), LOG_C("peer", s->peer_text),
        LOG_C("login", s->login.address), LOG_STR("mechanism", mechanism));
    s->backend->logged_in(s->backend->arg, s->id, &s->peer, &s->login);
    return reply_printf(&s->command_arena, 235, "2.7.0", "Welcome, %s", s->login.address);
}

static struct reply authenticate(struct smtp_session *s, struct dialogue *d, struct str mechanism,
                                 struct str initial)
{
    struct reply failure = reply_of(0, "", "");

    enum sasl_outcome outcome = sasl_server_start(d->sasl, mechanism, initial, &d->challenge);
    outcome = run(s, d, outcome, &failure);
    if (failure.code != 0 || s->has_ended)
        return failure;
    switch (outcome) {
    case SASL_DONE:
        return welcome(s, d);
    case SASL_TEMPORARY:
        return reply_of(454, "4.7.0", "Logins cannot be checked now; try again later");
    default:
        log_failure(s, d);
        return explain_failure(s, sasl_server_reason(d->sasl), sasl_server_mechanism(d->sasl));
    }
}

static struct reply refuse(const struct smtp_session *s)
{
    if (s->auth.backend == NULL)
        return reply_of(502, "5.5.1", "Nobody logs in here; users send at the submission port");
    if (!s->is_extended)
        return reply_of(503, "5.5.1", "Say EHLO first");
    if (smtp_lacks_tls(s))
        return reply_of(538, "5.7.11", "Say STARTTLS first, or let your program use TLS");
    if (s->login.account != 0)
        return reply_of(503, "5.5.1", "You have logged in already");
    if (s->transaction.has_mail)
        return reply_of(503, "5.5.1", "A transaction is under way: RSET ends it");
    return reply_of(0, "", "");
}

struct reply smtp_cmd_auth(struct smtp_session *s, struct str args)
{
    struct reply refusal = refuse(s);
    struct str mechanism, initial;

    if (refusal.code != 0)
        return refusal;
    if (args.len == 0)
        return reply_of(501, "5.5.4", "The form is AUTH mechanism [initial response]");
    if (!str_cut(args, ' ', &mechanism, &initial))
        initial = STR_NONE;
    /* Views into the line end with the next one that is read. */
    initial = initial.ptr != NULL ? arena_str(&s->command_arena, initial) : initial;
    struct dialogue *d = xcalloc(1, sizeof(*d));
    struct sasl_offer offer = make_offer(s);
    offer.oauth_discovery = discovery_url(s);
    bind_channel(s, d, &offer);
    buf_init(&d->challenge, SASL_CHALLENGE_MAX_BYTES);
    d->sasl = sasl_server_new(&offer, s->auth.backend, s->auth.ctx);
    struct reply reply = authenticate(s, d, mechanism, initial);
    sasl_server_free(d->sasl);
    buf_done(&d->challenge);
    free(d);
    return reply;
}
