/* Mail for later and mail that is urgent: see schedule.h. */
#include "smtp/schedule.h"

#include "base/clock.h"

enum {
    SECOND_MS = 1000,
    /* How far a HOLDUNTIL may lie behind us: clocks differ, and somebody has typed it. */
    PAST_MAX_MS = 60 * 1000,
};

unsigned smtp_offers(const struct settings *settings, bool is_submission, bool is_encrypted)
{
    unsigned offers = is_encrypted ? SMTP_OFFER_REQUIRETLS : 0U;

    if (!is_submission)
        return offers;
    return offers | SMTP_OFFER_AUTH | SMTP_OFFER_BY | SMTP_OFFER_PRIORITY |
           (settings->submit_max_hold >= SECOND_MS ? SMTP_OFFER_HOLD : 0U);
}

/* RFC 3339 without parts of a second. */
static void put_moment(struct buf *out, int64_t real_ms)
{
    char text[CLOCK_TEXT_BYTES];
    struct str seconds, rest;

    (void)str_cut(str_from_c(clock_format_utc(real_ms, text)), '.', &seconds, &rest);
    buf_put_str(out, seconds);
    buf_put_char(out, 'Z');
}

void smtp_put_offers(const struct settings *settings, unsigned offers, int64_t now_ms,
                     struct buf *out)
{
    if (offers & SMTP_OFFER_HOLD) {
        int64_t hold_s = MIN(settings->submit_max_hold / SECOND_MS, (int64_t)SMTP_SECONDS_MAX);
        buf_printf(out, "\nFUTURERELEASE %lld ", (long long)hold_s);
        put_moment(out, now_ms + settings->submit_max_hold);
    }
    if (offers & SMTP_OFFER_BY)
        buf_printf(out, "\nDELIVERBY %lld",
                   (long long)(settings->submit_min_deliver_by / SECOND_MS));
    if (offers & SMTP_OFFER_PRIORITY)
        buf_put_c(out, "\nMT-PRIORITY");
    if (offers & SMTP_OFFER_REQUIRETLS)
        buf_put_c(out, "\nREQUIRETLS");
}

int64_t smtp_release_ms(const struct smtp_mail_params *p, int64_t received_ms)
{
    if (p->hold == SMTP_HOLD_FOR)
        return received_ms + p->hold_s * SECOND_MS;
    return p->hold == SMTP_HOLD_UNTIL ? MAX(p->hold_until_ms, (int64_t)1) : 0;
}

int64_t smtp_deliver_by_ms(const struct smtp_mail_params *p, int64_t received_ms)
{
    return p->by != SMTP_BY_NONE ? MAX(received_ms + p->by_s * SECOND_MS, (int64_t)1) : 0;
}

/* RFC 4865 section 5 wants times out of range to be errors of syntax. */
static struct reply check_hold(const struct settings *settings, const struct smtp_mail_params *p,
                               int64_t now_ms, struct arena *arena)
{
    char latest[CLOCK_TEXT_BYTES];
    int64_t release_ms = smtp_release_ms(p, now_ms), latest_ms = now_ms + settings->submit_max_hold;

    if (p->hold == SMTP_HOLD_NONE)
        return reply_of(0, "", "");
    if (release_ms > latest_ms)
        return reply_printf(arena, 501, "5.5.4",
                            "The mail would wait too long: it can be held until %s at most",
                            clock_format_utc(latest_ms, latest));
    if (release_ms < now_ms - PAST_MAX_MS)
        return reply_of(501, "5.5.4",
                        "HOLDUNTIL is over already; without it the mail goes at once");
    return reply_of(0, "", "");
}

struct reply smtp_check_times(const struct settings *settings, const struct smtp_mail_params *p,
                              int64_t now_ms, struct arena *arena)
{
    const int64_t min_by_s = settings->submit_min_deliver_by / SECOND_MS;

    struct reply refusal = check_hold(settings, p, now_ms, arena);
    if (refusal.code != 0 || p->by == SMTP_BY_NONE)
        return refusal;
    if (p->by == SMTP_BY_RETURN && p->by_s < min_by_s)
        return reply_printf(
            arena, 555, "5.5.4",
            "Delivery within %lld s cannot be promised; ask for %lld s at least, or "
            "for mode N",
            (long long)p->by_s, (long long)min_by_s);
    if (p->hold != SMTP_HOLD_NONE && smtp_deliver_by_ms(p, now_ms) <= smtp_release_ms(p, now_ms))
        return reply_of(501, "5.5.4", "The mail is to be delivered (BY) before it may go (HOLD)");
    return reply_of(0, "", "");
}
