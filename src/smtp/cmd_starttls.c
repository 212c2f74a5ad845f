/*
 * STARTTLS (RFC 3207): the connection becomes encrypted, and the session begins anew.
 *
 * What a client sent behind the command came without protection, maybe from somebody else, and must
 * not count as said under it (section 4.2): then the connection ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/tls.h"
#include "smtp/commands.h"

static struct reply refuse(const struct smtp_session *s)
{
    if (s->is_secure)
        return reply_of(503, "5.5.1", "The connection is encrypted already");
    if (s->tls == NULL)
        return reply_of(502, "5.5.1", "TLS is not offered here");
    if (s->transaction.has_mail)
        return reply_of(503, "5.5.1", "A transaction is under way: RSET ends it");
    return reply_of(0, "", "");
}

/* Nothing that was said before counts any more (section 4.2), a login neither. */
static void begin_anew(struct smtp_session *s)
{
    smtp_transaction_reset(s);
    smtp_login_reset(s);
    free(s->helo);
    s->helo = NULL;
    s->has_hello = s->is_extended = false;
}

static void log_failure(const struct smtp_session *s, int error)
{
    LOG(LOG_INFO, "smtp.tls-failed", LOG_ID("session", s->id), LOG_C("peer", s->peer_text),
        LOG_ERR(error), LOG_C("why", tls_error(s->stream)));
}

/* Yields. 0, or negative errno when the connection is of no use any more. */
static int shake_hands(struct smtp_session *s)
{
    const struct reply ready = reply_of(220, "2.0.0", "Ready to start TLS");

    stream_set_deadline(s->stream, clock_mono_ms() + s->policy->settings->smtp_command_timeout);
    int r = smtp_send_now(s, &ready);
    if (r == 0)
        r = tls_accept(s->stream, s->tls);
    return r;
}

struct reply smtp_cmd_starttls(struct smtp_session *s, struct str args)
{
    (void)args;
    struct reply refusal = refuse(s);
    if (refusal.code != 0)
        return refusal;
    if (stream_pending(s->stream).len > 0 || stream_has_input(s->stream))
        return reply_last(reply_of(
            554, "5.5.1", "Nothing may be sent behind STARTTLS before its reply; closing"));
    int r = shake_hands(s);
    if (r < 0) {
        log_failure(s, r);
        s->has_ended = true;
        return reply_of(0, "", "");
    }
    begin_anew(s);
    s->is_secure = true;
    return reply_of(0, "", "");
}
