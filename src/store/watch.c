/* What the gate and the limits have seen: see watch.h. */
#include "store/watch.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/alarm_wire.h"
#include "store/gate.h"
#include "store/usage.h"
#include "store/verbs.h"

enum { ARGS_MAX_BYTES = 4096, PEERS_MAX_BYTES = 1024 };

_Static_assert((int)INCIDENT_NEW_RECIPIENTS - (int)INCIDENT_MESSAGES == (int)USAGE_NEW_RECIPIENTS &&
                   (int)INCIDENT_RECIPIENTS - (int)INCIDENT_MESSAGES == (int)USAGE_RECIPIENTS,
               "limits are in the same order");

/* What is to be noted once it is known whose name it is: the request of auth.whose. */
enum question { ASK_FAILURE = 1, ASK_BAN, ASK_SLOWED, ASK_GUESSED, ASK_END };

struct asked {
    uint8_t what; /* enum question */
    struct ip_rate_key peer;
    struct str name;
    int64_t until_ms;  /* of ASK_BAN */
    struct str reason; /* the same */
};

static void put_asked(struct buf *out, const struct asked *a)
{
    /* The name first: it is all that the handler reads. */
    buf_put_lp(out, a->name);
    buf_put_u8(out, a->what);
    buf_put_u64(out, a->peer.prefix);
    buf_put_u8(out, a->peer.family);
    buf_put_u64(out, (uint64_t)a->until_ms);
    buf_put_lp(out, a->reason);
}

static bool get_asked(struct cursor *c, struct asked *out)
{
    out->name = cursor_lp(c);
    out->what = cursor_u8(c);
    if (gate_get_peer(c, &out->peer) < 0)
        return false;
    out->until_ms = (int64_t)cursor_u64(c);
    out->reason = cursor_lp(c);
    return cursor_finish(c) == 0 && out->what < ASK_END;
}

void watch_configure(struct watch *w, const struct settings *settings)
{
    w->alarm_at = (uint64_t)settings->brakes_account_failures;
}

void watch_init(struct watch *w, const struct settings *settings, const struct watch_hooks *hooks)
{
    *w = (struct watch){.hooks = *hooks};
    /* The store's own slot: its rows' ids are never those of messages. */
    id_maker_init(&w->ids, (unsigned)settings->server_node, 0);
    w->incidents = incidents_new(&w->ids);
    watch_configure(w, settings);
}

static void record(struct watch *w, struct buf *events)
{
    if (events->len > 0 && buf_status(events) == 0)
        w->hooks.record(w->hooks.arg, buf_str(events));
    buf_done(events);
}

void watch_write(struct watch *w, bool is_all)
{
    struct buf events;

    buf_init(&events, INCIDENT_RECORD_MAX_BYTES);
    incidents_write(w->incidents, is_all, clock_real_ms(), &events);
    record(w, &events);
}

void watch_done(struct watch *w)
{
    watch_write(w, true);
    incidents_free(w->incidents);
}

static bool add(struct watch *w, const struct incident *what)
{
    struct buf events;

    buf_init(&events, INCIDENT_RECORD_MAX_BYTES);
    bool is_new = incidents_add(w->incidents, what, clock_real_ms(), &events);
    record(w, &events);
    return is_new;
}

/* Most of what happens again is known already. */
static bool add_known(struct watch *w, const struct incident *what)
{
    struct buf events;

    buf_init(&events, INCIDENT_RECORD_MAX_BYTES);
    bool is_known = incidents_add_known(w->incidents, what, clock_real_ms(), &events);
    record(w, &events);
    return is_known;
}

static void ask(struct watch *w, const struct asked *a)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    put_asked(&args, a);
    if (buf_status(&args) == 0)
        w->hooks.run(w->hooks.arg, STORE_AUTH_WHOSE, buf_str(&args));
    buf_done(&args);
}

/* --- alarms --- */

static void raise_alarm(struct watch *w, struct alarm *alarm)
{
    struct buf args;

    alarm->notice_id = id_make(&w->ids);
    buf_init(&args, ARGS_MAX_BYTES);
    alarm_put(&args, alarm);
    if (buf_status(&args) == 0)
        w->hooks.run(w->hooks.arg, STORE_ALARM, buf_str(&args));
    buf_done(&args);
}

/* Somebody who takes his time is never turned away; he is told of all the same. */
static bool is_time_for_alarm(const struct watch *w, struct str name)
{
    return w->alarm_at > 0 && incidents_count(w->incidents, INCIDENT_FAILED, name) == w->alarm_at;
}

static void tell_of_guessing(struct watch *w, const struct asked *a, uint64_t account,
                             struct str address)
{
    struct buf peers;

    buf_init(&peers, PEERS_MAX_BYTES);
    incidents_put_peers(w->incidents, INCIDENT_FAILED, a->name, &peers);
    struct alarm alarm = {.cause = ALARM_GUESSING,
                          .account = account,
                          .address = address,
                          .count = incidents_count(w->incidents, INCIDENT_FAILED, a->name),
                          .peers = buf_str(&peers)};
    LOG(LOG_WARNING, "account.guessed-at", LOG_STR("account", address),
        LOG_INT("failed", alarm.count), LOG_STR("from", alarm.peers),
        LOG_C("hint", "too many failed logins: addresses that have not logged in to it before have "
                      "to wait; see: hikyaku trace ADDRESS"));
    raise_alarm(w, &alarm);
    buf_done(&peers);
}

/* --- logins --- */

void watch_failure(struct watch *w, struct str name, struct ip_rate_key peer,
                   const struct guard_ban *ban)
{
    struct incident failed = {.kind = INCIDENT_FAILED, .key = name, .peer = peer};
    struct asked a = {.what = ASK_FAILURE, .peer = peer, .name = name, .reason = STR("")};

    if (ban == NULL && add_known(w, &failed)) {
        a.what = ASK_GUESSED;
        if (is_time_for_alarm(w, name))
            ask(w, &a);
        return;
    }
    if (ban != NULL) {
        a.what = ASK_BAN;
        a.until_ms = ban->until_ms;
        a.reason = str_from_c(ban->reason);
    }
    ask(w, &a);
}

void watch_slowed(struct watch *w, struct str name, struct ip_rate_key peer)
{
    struct incident slowed = {.kind = INCIDENT_SLOWED, .key = name, .peer = peer};
    struct asked a = {.what = ASK_SLOWED, .peer = peer, .name = name, .reason = STR("")};

    if (!add_known(w, &slowed))
        ask(w, &a);
}

static void note_failure(struct watch *w, const struct asked *a, uint64_t account,
                         struct str address)
{
    struct incident failed = {
        .kind = INCIDENT_FAILED, .key = a->name, .address = address, .peer = a->peer};
    struct ip_net net = guard_net_of(a->peer);
    char text[IP_NET_TEXT_BYTES];

    if (address.len == 0) {
        failed.kind = INCIDENT_GUESSED;
        failed.key = str_from_c(ip_net_print(&net, text));
    }
    (void)add(w, &failed);
    if (account != 0 && is_time_for_alarm(w, a->name))
        tell_of_guessing(w, a, account, address);
}

static void note_ban(struct watch *w, const struct asked *a, struct str address)
{
    struct ip_net net = guard_net_of(a->peer);
    char text[IP_NET_TEXT_BYTES];
    struct incident_ban ban = {.peer = a->peer,
                               .network = str_from_c(ip_net_print(&net, text)),
                               .reason = a->reason,
                               .address = address,
                               .until_ms = a->until_ms};
    struct buf events;

    buf_init(&events, INCIDENT_RECORD_MAX_BYTES);
    incidents_ban(w->incidents, &ban, clock_real_ms(), &events);
    record(w, &events);
}

static void note_slowed(struct watch *w, const struct asked *a, uint64_t account,
                        struct str address)
{
    struct incident slowed = {
        .kind = INCIDENT_SLOWED, .key = a->name, .address = address, .peer = a->peer};

    /* Of names that nobody has, the failures were told. */
    if (account == 0 || !add(w, &slowed))
        return;
    uint64_t failed = incidents_count(w->incidents, INCIDENT_FAILED, a->name);
    if (w->alarm_at == 0 || failed < w->alarm_at)
        tell_of_guessing(w, a, account, address);
}

static void take_answer(struct watch *w, const struct job *job)
{
    struct cursor asked = job_args(job), said = cursor_from(buf_str(&job->reply));
    uint64_t account = cursor_u64(&said);
    struct str address = cursor_lp(&said);
    struct asked a;

    if (!get_asked(&asked, &a) || cursor_finish(&said) < 0)
        return;
    switch (a.what) {
    case ASK_SLOWED:
        note_slowed(w, &a, account, address);
        break;
    case ASK_GUESSED:
        if (account != 0)
            tell_of_guessing(w, &a, account, address);
        break;
    case ASK_BAN:
        note_failure(w, &a, account, address);
        note_ban(w, &a, address);
        break;
    default:
        note_failure(w, &a, account, address);
        break;
    }
}

void watch_ban(struct watch *w, const struct ban_row *row)
{
    struct incident_ban ban = {.network = row->network,
                               .reason = row->reason,
                               .until_ms = row->until_ms,
                               .is_for_all = row->is_for_all};
    struct buf events;

    buf_init(&events, INCIDENT_RECORD_MAX_BYTES);
    incidents_ban(w->incidents, &ban, clock_real_ms(), &events);
    record(w, &events);
}

/* --- limits --- */

static void note_limit(struct watch *w, const struct job_over *over)
{
    struct incident hit = {.kind = (enum incident_kind)(INCIDENT_MESSAGES + over->which),
                           .key = over->login,
                           .address = over->login,
                           .limit = over->limit};
    struct alarm alarm = {.cause = over->which == USAGE_RECIPIENTS ? ALARM_TOO_MANY_RECIPIENTS
                                                                   : ALARM_TOO_MANY_NEW_RECIPIENTS,
                          .account = over->account,
                          .address = over->login,
                          .limit = over->limit};

    if (!add(w, &hit))
        return;
    LOG(LOG_WARNING, "account.over-limit", LOG_STR("account", over->login),
        LOG_C("limit", usage_limit_setting((enum usage_limit)over->which)),
        LOG_INT("at_most", over->limit),
        LOG_C("hint", "see and set it with: hikyaku account limits ADDRESS"));
    if (over->which != USAGE_MESSAGES)
        raise_alarm(w, &alarm);
}

bool watch_note_job(struct watch *w, const struct job *job)
{
    if (job->over.is_over)
        note_limit(w, &job->over);
    if (job->verb == verb_find(STORE_ALARM)) {
        if (job->status < 0)
            LOG(LOG_ERROR, "store.alarm-failed", LOG_ERR(job->status),
                LOG_C("hint", "postmaster is told when it happens again"));
        return true;
    }
    if (job->verb != verb_find(STORE_AUTH_WHOSE))
        return false;
    if (job->status >= 0)
        take_answer(w, job);
    return true;
}
