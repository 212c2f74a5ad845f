/* A sender's wishes on the way to one server: see urgency.h. */
#include "svc/outbound/urgency.h"

#include <stdio.h>

#include "smtp/params.h"
#include "store/queue_rows.h"
#include "store/wire.h"

static void refuse(struct smtp_client_reply *out, const char *status, const char *why)
{
    *out = (struct smtp_client_reply){
        .stage = SMTP_CLIENT_MAIL, .code = 554, .text = str_from_c(why), .is_local = true};
    (void)snprintf(out->enhanced, sizeof(out->enhanced), "%s", status);
}

/* RFC 8689 section 4.2.1: why a message that requires TLS may not go to the peer, with the status
 * for it; NULL: it may. */
static const char *find_weakness(const struct urgency_peer *peer, const char **out_status)
{
    *out_status = "5.7.10";
    if (!peer->is_encrypted)
        return "the message may only travel over encrypted connections to servers whose "
               "certificate was verified (REQUIRETLS), and this one is not";
    if (!peer->is_sure)
        return "the message may only travel to servers that are known for sure (REQUIRETLS), and "
               "the MX records of the domain are not signed (DNSSEC)";
    *out_status = "5.7.30";
    return (peer->extensions & SMTP_EXT_REQUIRETLS) == 0 ? "REQUIRETLS support required" : NULL;
}

/* Whole seconds that are left; none of a second that has begun. */
static int64_t seconds_left(const struct queue_message *m, int64_t now_ms)
{
    int64_t left_ms = m->deliver_by_ms - now_ms;
    int64_t left_s = left_ms >= 0 ? left_ms / 1000 : -((999 - left_ms) / 1000);

    return MAX(MIN(left_s, (int64_t)SMTP_SECONDS_MAX), -(int64_t)SMTP_SECONDS_MAX);
}

/* RFC 2852 section 4.1: what must not be late goes only to whoever promises that. */
static bool check_return(const struct urgency_peer *peer, int64_t left_s,
                         struct smtp_client_reply *out_reply)
{
    if (left_s <= 0) {
        refuse(out_reply, "5.4.7", QUEUE_BY_TEXT);
        return false;
    }
    if ((peer->extensions & SMTP_EXT_DELIVERBY) == 0) {
        refuse(out_reply, "5.4.7",
               "the receiving server does not offer deliver-by (RFC 2852), so nobody can promise "
               "that the message is there in time or comes back");
        return false;
    }
    if (left_s < (int64_t)peer->min_by_s) {
        refuse(out_reply, "5.4.7",
               "too little is left of the deliver-by time for the receiving server");
        return false;
    }
    return true;
}

bool urgency_apply(const struct queue_message *m, const struct urgency_peer *peer, int64_t now_ms,
                   struct smtp_client_message *out, struct smtp_client_reply *out_reply)
{
    bool must_return = (m->by & DELIVER_BY_RETURN) != 0;
    int64_t left_s = seconds_left(m, now_ms);

    const char *status = NULL;
    const char *weakness =
        (m->flags & DELIVER_REQUIRETLS) != 0 ? find_weakness(peer, &status) : NULL;

    /* Notices go back in any way there is (RFC 8689 section 5); the others to whichever host of the
     * destination can (section 4.2.1). */
    if (weakness != NULL && m->sender.len > 0) {
        refuse(out_reply, status, weakness);
        out_reply->is_about_host = true;
        return false;
    }
    out->is_requiretls = (m->flags & DELIVER_REQUIRETLS) != 0 && weakness == NULL;
    if (must_return && !check_return(peer, left_s, out_reply))
        return false;
    if (m->by != 0) {
        out->by = must_return ? SMTP_BY_RETURN : SMTP_BY_NOTIFY;
        out->by_s = left_s;
        out->by_has_trace = (m->by & DELIVER_BY_TRACE) != 0;
    }
    out->has_priority = (m->flags & DELIVER_HAS_PRIORITY) != 0;
    out->priority = m->priority;
    return true;
}

uint8_t urgency_notify(const struct queue_message *m, unsigned extensions, uint8_t notify)
{
    bool has_lost_time = (m->by & DELIVER_BY_NOTIFY) != 0 && (extensions & SMTP_EXT_DELIVERBY) == 0;

    if (!has_lost_time || (notify & DELIVER_NOTIFY_NEVER) != 0)
        return notify;
    return notify == 0 ? DELIVER_NOTIFY_FAILURE | DELIVER_NOTIFY_DELAY
                       : notify | DELIVER_NOTIFY_DELAY;
}
