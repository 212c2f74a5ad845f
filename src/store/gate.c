/* The guard as the server uses it: see gate.h. */
#include "store/gate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/auth_wire.h"
#include "store/ban_wire.h"
#include "store/credential.h"
#include "store/verbs.h"

static void load_page(struct gate *g, struct str after)
{
    struct buf args;

    buf_init(&args, 256);
    buf_put_lp(&args, after);
    g->hooks.run(g->hooks.arg, STORE_BAN_LIST, buf_str(&args));
    buf_done(&args);
}

static void load_known(struct gate *g, uint64_t account, struct str network)
{
    struct buf args;

    buf_init(&args, 256);
    buf_put_u64(&args, account);
    buf_put_lp(&args, network);
    g->hooks.run(g->hooks.arg, STORE_LOGIN_KNOWN, buf_str(&args));
    buf_done(&args);
}

void gate_init(struct gate *g, const struct settings *settings, const struct watch_hooks *hooks)
{
    *g = (struct gate){.guard = guard_new(settings), .hooks = *hooks};
    watch_init(&g->watch, settings, hooks);
    load_page(g, STR(""));
    load_known(g, 0, STR(""));
    hooks->run(hooks->arg, STORE_DOMAIN_PRIMARY, STR(""));
}

void gate_configure(struct gate *g, const struct settings *settings)
{
    guard_configure(g->guard, settings);
    watch_configure(&g->watch, settings);
}

void gate_done(struct gate *g)
{
    watch_done(&g->watch);
    guard_free(g->guard);
    free(g->primary_domain);
}

int gate_get_peer(struct cursor *c, struct ip_rate_key *out)
{
    *out = (struct ip_rate_key){.prefix = cursor_u64(c), .family = cursor_u8(c)};
    if (out->family != IP_V4 && out->family != IP_V6 && out->family != IP_NONE)
        return -EBADMSG;
    return cursor_status(c);
}

enum session_verdict gate_connect(struct gate *g, struct ip_rate_key peer, bool has_login)
{
    switch (guard_connect(g->guard, peer, has_login, clock_real_ms())) {
    case GUARD_BANNED:
        return SESSION_BANNED;
    case GUARD_TOO_MANY:
        return SESSION_TOO_OFTEN;
    default:
        return SESSION_WELCOME;
    }
}

bool gate_stops_message(struct gate *g, struct str *request, struct buf *out_reply)
{
    struct cursor c = cursor_from(*request);
    struct ip_rate_key peer;

    if (gate_get_peer(&c, &peer) < 0)
        return false; /* its handler says so: there is no request in it */
    *request = cursor_rest(&c);
    enum guard_verdict verdict = guard_message(g->guard, peer, clock_real_ms());
    if (verdict == GUARD_OK)
        return false;
    buf_put_u8(out_reply, verdict == GUARD_BANNED ? RECIPIENT_BANNED : RECIPIENT_TOO_OFTEN);
    buf_put_u32(out_reply, 0);
    return true;
}

static void keep_ban(struct gate *g, const struct guard_ban *ban)
{
    char network[IP_NET_TEXT_BYTES];
    struct buf args;
    struct ban_row row = {.network = str_from_c(ip_net_print(&ban->net, network)),
                          .since_ms = ban->since_ms,
                          .until_ms = ban->until_ms,
                          .strikes = ban->strikes,
                          .is_for_all = ban->is_for_all,
                          .reason = str_from_c(ban->reason)};

    LOG(LOG_WARNING, "guard.banned", LOG_C("network", network), LOG_C("why", ban->reason),
        LOG_INT("minutes", (ban->until_ms - ban->since_ms) / 60000),
        LOG_C("hint", "lift it with: hikyaku ban remove NETWORK"));
    buf_init(&args, 1024);
    ban_put_row(&args, &row);
    g->hooks.run(g->hooks.arg, STORE_BAN_ADD, buf_str(&args));
    buf_done(&args);
}

/* --- logins --- */

/* One name for one account: "taro" and "Taro@example.jp" are the same failures. Nobody looks
 * whether the account exists, so that nothing can tell. */
static struct str name_of(const struct gate *g, struct arena *arena, struct str username)
{
    arena_init(arena, CREDENTIAL_KEY_ARENA_BYTES);
    return credential_key(arena, username, str_from_c(g->primary_domain));
}

/* Whoever has the right password, but may not use it here, has neither succeeded nor guessed. */
static enum guard_outcome outcome_of(uint8_t verdict)
{
    if (verdict == AUTH_OK)
        return GUARD_SUCCEEDED;
    return verdict == AUTH_BAD ? GUARD_FAILED : GUARD_UNDECIDED;
}

static void note_login(struct gate *g, const struct auth_request *login, bool is_guess,
                       uint8_t verdict)
{
    struct guard_ban ban;
    struct arena arena;

    if (verdict == AUTH_ELSEWHERE)
        return; /* auth.outside ends it */
    struct guard_attempt a = {
        .peer = login->peer, .name = name_of(g, &arena, login->username), .is_guess = is_guess};
    bool is_ban = guard_note_login(g->guard, &a, outcome_of(verdict), clock_real_ms(), &ban);
    if (is_ban)
        keep_ban(g, &ban);
    if (verdict == AUTH_BAD)
        watch_failure(&g->watch, a.name, a.peer, is_ban ? &ban : NULL);
    arena_done(&arena);
}

static void put_verdict(enum store_verb verb, enum auth_verdict verdict, struct buf *out)
{
    struct auth_answer answer = {.verdict = (uint8_t)verdict};

    if (verb == STORE_AUTH_PASSWORD || verb == STORE_AUTH_OUTSIDE)
        auth_put_answer(out, &answer);
    else if (verb == STORE_AUTH_SCRAM)
        auth_put_scram(out, &(struct auth_scram){.verdict = (uint8_t)verdict});
    else
        auth_put_cram(out, &(struct auth_cram){.answer = answer});
}

/* What a request begins: the end of a login outside must be told whatever has happened since. */
static bool get_attempt(enum store_verb verb, struct cursor *c, struct auth_request *out)
{
    struct auth_outside outside;

    if (verb != STORE_AUTH_OUTSIDE)
        return auth_get_request(c, out) == 0;
    if (auth_get_outside(c, &outside) < 0 || outside.outcome != AUTH_OUTSIDE_ASK)
        return false;
    *out = outside.login;
    return true;
}

static bool is_login(enum store_verb verb)
{
    return verb == STORE_AUTH_PASSWORD || verb == STORE_AUTH_SCRAM || verb == STORE_AUTH_CRAM ||
           verb == STORE_AUTH_OUTSIDE;
}

bool gate_stops_login(struct gate *g, enum store_verb verb, struct str request,
                      struct buf *out_reply)
{
    struct cursor c = cursor_from(request);
    struct auth_request login;
    struct arena arena;

    if (!is_login(verb) || !get_attempt(verb, &c, &login))
        return false; /* if it is malformed, its handler says so */
    struct guard_attempt a = {.peer = login.peer,
                              .name = name_of(g, &arena, login.username),
                              .is_guess = verb != STORE_AUTH_OUTSIDE};
    enum guard_verdict verdict = guard_login(g->guard, &a, clock_real_ms());
    if (verdict == GUARD_SLOWED)
        watch_slowed(&g->watch, a.name, a.peer);
    arena_done(&arena);
    if (verdict == GUARD_OK)
        return false;
    put_verdict(verb, verdict == GUARD_BANNED ? AUTH_BANNED : AUTH_TOO_MANY, out_reply);
    return true;
}

int gate_find_delay(struct gate *g, struct str request, int64_t *out_ms)
{
    struct cursor c = cursor_from(request);
    struct auth_request login;
    struct arena arena;

    if (auth_get_request(&c, &login) < 0)
        return -EBADMSG;
    struct str name = name_of(g, &arena, login.username);
    *out_ms = guard_delay_ms(g->guard, login.peer, name, clock_real_ms());
    arena_done(&arena);
    return 0;
}

void gate_note_password(struct gate *g, struct str request, struct str answer)
{
    struct cursor asked = cursor_from(request), said = cursor_from(answer);
    struct auth_request login;
    struct auth_answer a;

    if (auth_get_request(&asked, &login) == 0 && auth_get_answer(&said, &a) == 0)
        note_login(g, &login, true, a.verdict);
}

void gate_note_outside(struct gate *g, struct str request, struct str answer)
{
    struct cursor asked = cursor_from(request), said = cursor_from(answer);
    struct auth_outside outside;
    struct auth_answer a;

    if (auth_get_outside(&asked, &outside) == 0 && auth_get_answer(&said, &a) == 0)
        note_login(g, &outside.login, outside.kind == AUTH_OUTSIDE_PASSWORD, a.verdict);
}

void gate_note_told(struct gate *g, struct str note)
{
    struct cursor c = cursor_from(note);
    struct auth_note n;

    if (auth_get_note(&c, &n) == 0)
        note_login(g, &(struct auth_request){.username = n.username, .peer = n.peer}, true,
                   n.verdict);
}

void gate_note_unjudged(struct gate *g, enum store_verb verb, struct str request)
{
    struct cursor c = cursor_from(request);
    struct auth_request login;

    if (is_login(verb) && verb != STORE_AUTH_OUTSIDE && auth_get_request(&c, &login) == 0)
        note_login(g, &login, true, AUTH_NEEDS_APP_PASSWORD);
}

/* --- bans --- */

static void take_row(struct gate *g, const struct ban_row *row)
{
    struct guard_ban ban = {.since_ms = row->since_ms,
                            .until_ms = row->until_ms,
                            .strikes = row->strikes,
                            .is_for_all = row->is_for_all};

    if (ip_net_parse(row->network, &ban.net) < 0)
        return;
    (void)!str_copy(row->reason, ban.reason, sizeof(ban.reason));
    int r = guard_add_ban(g->guard, &ban);
    if (r < 0)
        LOG(LOG_WARNING, "guard.ban-not-kept", LOG_STR("network", row->network), LOG_ERR(r));
}

/* A page of the bans that there were when the server started. */
static void take_page(struct gate *g, struct str page)
{
    struct cursor c = cursor_from(page);
    struct ban_row row = {.since_ms = 0};

    while (cursor_left(&c) > 0 && ban_get_row(&c, &row) == 0)
        take_row(g, &row);
    if (page.len > 0)
        load_page(g, row.network);
}

/* --- known addresses --- */

/* A page of those from which accounts were logged in to before the server started: they stay known,
 * or every restart would lock the owners out of accounts that are guessed at. */
static void take_known(struct gate *g, struct str page)
{
    struct cursor c = cursor_from(page);
    struct str network = STR("");
    uint64_t account = 0;

    while (cursor_left(&c) > 0) {
        struct ip_net net;
        account = cursor_u64(&c);
        struct str name = cursor_lp(&c);
        network = cursor_lp(&c);
        int64_t last_ms = (int64_t)cursor_u64(&c);
        if (cursor_status(&c) < 0)
            return;
        if (ip_net_parse(network, &net) == 0)
            guard_know(g->guard, ip_rate_key(&net.base), name, last_ms);
    }
    if (page.len > 0)
        load_known(g, account, network);
}

/* --- domains --- */

static void take_primary_domain(struct gate *g, struct str reply)
{
    struct cursor c = cursor_from(reply);
    struct str name = cursor_lp(&c);

    free(g->primary_domain);
    g->primary_domain = name.len > 0 ? str_dup(name) : NULL;
}

static bool note_domain(struct gate *g, const struct job *job)
{
    bool is_answer = job->verb == verb_find(STORE_DOMAIN_PRIMARY);

    if (job->status < 0)
        return is_answer;
    if (is_answer)
        take_primary_domain(g, buf_str(&job->reply));
    else if (job->verb == verb_find(STORE_DOMAIN_ADD) || job->verb == verb_find(STORE_DOMAIN_SET) ||
             job->verb == verb_find(STORE_DOMAIN_REMOVE))
        g->hooks.run(g->hooks.arg, STORE_DOMAIN_PRIMARY, STR(""));
    return is_answer;
}

/* --- what has changed --- */

static void note_change(struct gate *g, const struct job *job)
{
    struct cursor c = job_args(job);
    struct ban_row row;
    struct ip_net net;

    if (job->verb == verb_find(STORE_BAN_ADD) && ban_get_row(&c, &row) == 0) {
        take_row(g, &row);
        if (job->conn != NULL)
            watch_ban(&g->watch, &row);
    }
    if (job->verb == verb_find(STORE_BAN_REMOVE) && ip_net_parse(cursor_lp(&c), &net) == 0)
        (void)guard_remove_ban(g->guard, &net);
}

bool gate_note_job(struct gate *g, const struct job *job)
{
    if (watch_note_job(&g->watch, job))
        return true;
    if (job->verb == verb_find(STORE_LOGIN_KNOWN)) {
        if (job->status >= 0)
            take_known(g, buf_str(&job->reply));
        return true;
    }
    bool is_list = job->verb == verb_find(STORE_BAN_LIST);
    bool is_ours = is_list || job->verb == verb_find(STORE_BAN_ADD) ||
                   job->verb == verb_find(STORE_BAN_REMOVE);

    if (!is_ours)
        return note_domain(g, job);
    if (job->status >= 0 && is_list && job->conn == NULL)
        take_page(g, buf_str(&job->reply));
    else if (job->status >= 0)
        note_change(g, job);
    return job->conn == NULL;
}
