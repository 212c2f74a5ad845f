/* What an envelope asks for: see parameters.h. */
#include "svc/pickup/parameters.h"

#include "base/clock.h"

static const char *put_param(struct arena *arena, const char *keyword, struct str value)
{
    return value.len > 0 ? arena_printf(arena, " %s=%.*s", keyword, STR_ARG(value)) : "";
}

/* Each by itself: what is wrong with one is no reason to lose the other. */
static void take_dsn(const struct submit_envelope *e, struct arena *arena,
                     struct smtp_mail_params *out)
{
    struct str ret = str_from_c(put_param(arena, "RET", e->ret));
    struct str envid = str_from_c(put_param(arena, "ENVID", e->envid));
    struct smtp_mail_params id;
    struct str keyword;

    if (smtp_params_parse_mail(ret, 0, arena, out, &keyword) != SMTP_PARAMS_OK)
        *out = (struct smtp_mail_params){.has_size = false};
    if (smtp_params_parse_mail(envid, 0, arena, &id, &keyword) != SMTP_PARAMS_OK)
        return;
    out->envid = id.envid;
    out->envid_raw = id.envid_raw;
}

/* The server may have been down since the mail was left. */
static void count_by(struct smtp_mail_params *p, int64_t left_ms, int64_t now_ms)
{
    int64_t waited_s = (now_ms - left_ms) / 1000;

    if (waited_s > 0)
        p->by_s = MAX(p->by_s - waited_s, -(int64_t)SMTP_SECONDS_MAX);
    if (p->by == SMTP_BY_RETURN)
        p->by_s = MAX(p->by_s, (int64_t)1);
}

struct reply parameters_take(const struct submit_envelope *e, const struct settings *settings,
                             int64_t left_ms, struct arena *arena, struct smtp_mail_params *out)
{
    const int64_t now_ms = clock_real_ms();
    struct smtp_mail_params times;
    struct str keyword;
    struct str text = str_from_c(
        arena_printf(arena, "%s%s%s", put_param(arena, "HOLDUNTIL", e->hold_until),
                     put_param(arena, "BY", e->by), put_param(arena, "MT-PRIORITY", e->priority)));
    unsigned offers = smtp_offers(settings, true, false);

    take_dsn(e, arena, out);
    if (smtp_params_parse_mail(text, offers, arena, &times, &keyword) != SMTP_PARAMS_OK)
        return reply_printf(arena, 501, "5.5.4",
                            "%.*s is not offered (submit.max_hold), or its value makes no sense",
                            STR_ARG(keyword));
    /* It was still to come when the mail was left. */
    if (times.hold == SMTP_HOLD_UNTIL && times.hold_until_ms <= now_ms) {
        times.hold = SMTP_HOLD_NONE;
        times.hold_value = STR_NONE;
    }
    struct reply refusal = smtp_check_times(settings, &times, now_ms, arena);
    count_by(&times, left_ms, now_ms);
    times.ret = out->ret;
    times.envid = out->envid;
    times.envid_raw = out->envid_raw;
    *out = times;
    return refusal;
}
