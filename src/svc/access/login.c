/* Who logs in: see login.h. */
#include "svc/access/login.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/wire.h"
#include "svc/outside_wire.h"

enum {
    WAIT_MS = 30 * 1000,
    ARGS_MAX_BYTES = 4096,
    REPLY_MAX_BYTES = 64 * 1024,
    ARENA_MAX_BYTES = 64 * 1024,
    OUTSIDE_GRACE_MS = 2000, /* beyond the time in which the auth process answers by itself */
    WRONG_STEP_MS = 500,     /* in which that is told, if passwords are checked outside */
};

/* Nobody has this name: no domain may be called so (RFC 2606 section 2). */
#define NOBODY "no-such-account@invalid"

struct login_peers login_peers_of(struct rpc_client *store, struct rpc_client *auth,
                                  const struct settings *settings)
{
    return (struct login_peers){.store = store,
                                .auth = auth,
                                .has_outside = settings->auth_backend != SETTINGS_AUTH_INTERNAL,
                                .outside_wait_ms =
                                    settings->auth_outside_timeout + OUTSIDE_GRACE_MS};
}

void login_init(struct login *l, const struct login_peers *peers, const struct ip_addr *peer,
                enum auth_scope service)
{
    *l = (struct login){.peers = *peers, .peer = ip_rate_key(peer), .service = (uint8_t)service};
    (void)ip_print(peer, l->peer_text);
    arena_init(&l->arena, ARENA_MAX_BYTES);
    buf_init(&l->reply, REPLY_MAX_BYTES);
}

static void forget_answer(struct login *l)
{
    if (l->reply.ptr != NULL)
        explicit_bzero(l->reply.ptr, l->reply.cap);
    buf_reset(&l->reply);
    arena_done(&l->arena);
    l->scram = (struct auth_scram){.verdict = AUTH_BAD};
    l->cram = (struct auth_cram){.answer = {.verdict = AUTH_BAD}};
}

void login_done(struct login *l)
{
    forget_answer(l);
    buf_done(&l->reply);
}

unsigned login_mechanisms(const struct settings *settings)
{
    unsigned set = SASL_SET(SASL_PLAIN) | SASL_SET(SASL_LOGIN);

    if (settings->tls_client_ca_file[0] != '\0')
        set |= SASL_SET(SASL_EXTERNAL);
    if (settings->auth_oauth != SETTINGS_OAUTH_OFF)
        set |= SASL_SET(SASL_OAUTHBEARER) | SASL_SET(SASL_XOAUTH2);
    /* A client takes the strongest mechanism that it sees, before anybody knows who logs in: with
     * a password that is outside, SCRAM would always fail. */
    if (settings->auth_backend != SETTINGS_AUTH_INTERNAL)
        return set;
    set |= SASL_SET(SASL_SCRAM_SHA_1) | SASL_SET(SASL_SCRAM_SHA_256) |
           SASL_SET(SASL_SCRAM_SHA_1_PLUS) | SASL_SET(SASL_SCRAM_SHA_256_PLUS);
    return settings->auth_cram_md5 ? set | SASL_SET(SASL_CRAM_MD5) : set;
}

static void wipe(struct buf *b)
{
    if (b->ptr != NULL)
        explicit_bzero(b->ptr, b->cap);
    buf_done(b);
}

/* Wipes the arguments. Yields. 0 or negative errno. */
static int call_store(struct login *l, enum store_verb verb, struct buf *args)
{
    int r = buf_status(args);

    forget_answer(l);
    if (r == 0)
        r = rpc_call(l->peers.store, (uint16_t)verb, buf_str(args), clock_mono_ms() + WAIT_MS,
                     &l->reply);
    wipe(args);
    return r;
}

/* Yields. 0 or negative errno. */
static int ask(struct login *l, enum store_verb verb, const struct auth_request *request)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    /* All room at once: growing would leave copies behind. */
    (void)buf_reserve(&args, ARGS_MAX_BYTES);
    auth_put_request(&args, request);
    return call_store(l, verb, &args);
}

static enum sasl_verdict to_sasl(uint8_t verdict)
{
    switch ((enum auth_verdict)verdict) {
    case AUTH_OK:
    case AUTH_ELSEWHERE: /* nothing stands against it so far */
        return SASL_VERDICT_OK;
    case AUTH_NEEDS_APP_PASSWORD:
        return SASL_VERDICT_NEEDS_APP_PASSWORD;
    case AUTH_BANNED:
    case AUTH_TOO_MANY:
        return SASL_VERDICT_TOO_MANY;
    default:
        return SASL_VERDICT_BAD;
    }
}

/* The verdict; and who it is, if he may. */
static enum sasl_verdict identify(uint8_t verdict, const struct auth_identity *who,
                                  int64_t app_password, struct sasl_identity *out)
{
    if (verdict != AUTH_OK)
        return verdict == AUTH_ELSEWHERE ? SASL_VERDICT_BAD : to_sasl(verdict);
    out->account_id = (uint64_t)who->account;
    out->app_password = app_password;
    out->epoch = who->epoch;
    return str_copy(who->address, out->address, sizeof(out->address)) ? SASL_VERDICT_OK
                                                                      : SASL_VERDICT_TEMPORARY;
}

static struct auth_request request_of(const struct login *l, const struct sasl_login *login)
{
    return (struct auth_request){
        .username = login->authcid, .service = l->service, .peer = l->peer};
}

static bool read_answer(const struct login *l, struct auth_answer *out)
{
    struct cursor c = cursor_from(buf_str(&l->reply));

    return auth_get_answer(&c, out) == 0;
}

/* --- outside --- */

static void log_no_auth(const struct login *l, int status)
{
    LOG(LOG_WARNING, "login.not-checked", LOG_C("peer", l->peer_text), LOG_ERR(status),
        LOG_C("why", "the auth process does not answer"),
        LOG_C("effect", "the client is told to try again later"),
        LOG_C("hint", "see what it says in the log; it is started again by itself"));
}

/* Asks the auth process. *out_name is the token's, in `reply`. Yields. */
static enum outside_verdict ask_outside(struct login *l, enum outside_verb verb,
                                        const struct outside_request *request, struct buf *reply,
                                        struct str *out_name)
{
    struct outside_answer answer = {.verdict = OUTSIDE_TEMPORARY};
    struct buf args;

    buf_init(&args, OUTSIDE_REQUEST_MAX_BYTES);
    (void)buf_reserve(&args, OUTSIDE_REQUEST_MAX_BYTES);
    outside_put_request(&args, request);
    int r = buf_status(&args);
    if (r == 0)
        r = rpc_call(l->peers.auth, (uint16_t)verb, buf_str(&args),
                     clock_mono_ms() + l->peers.outside_wait_ms, reply);
    wipe(&args);
    if (r == 0)
        r = outside_get_answer(buf_str(reply), &answer);
    if (r < 0) {
        log_no_auth(l, r);
        return OUTSIDE_TEMPORARY;
    }
    *out_name = answer.name;
    return (enum outside_verdict)answer.verdict;
}

/* Tells the store what was said outside, or asks whether to ask. Yields. */
static enum sasl_verdict call_outside_verb(struct login *l, const struct auth_outside *outside,
                                           struct auth_answer *out)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    (void)buf_reserve(&args, ARGS_MAX_BYTES);
    auth_put_outside(&args, outside);
    if (call_store(l, STORE_AUTH_OUTSIDE, &args) < 0 || !read_answer(l, out))
        return SASL_VERDICT_TEMPORARY;
    return to_sasl(out->verdict);
}

/* Who it is by what was said outside. Yields. */
static enum sasl_verdict conclude(struct login *l, struct auth_outside *outside,
                                  enum outside_verdict said, struct sasl_identity *out_identity)
{
    struct auth_answer answer;

    if (said == OUTSIDE_TEMPORARY)
        return SASL_VERDICT_TEMPORARY;
    outside->outcome = said == OUTSIDE_RIGHT ? AUTH_OUTSIDE_RIGHT : AUTH_OUTSIDE_WRONG;
    enum sasl_verdict verdict = call_outside_verb(l, outside, &answer);
    return verdict == SASL_VERDICT_OK
               ? identify(answer.verdict, &answer.who, answer.app_password, out_identity)
               : verdict;
}

/* The password of an account, or of nobody's, by the name that the store has given. Yields. */
static enum sasl_verdict check_outside(struct login *l, const struct auth_request *request,
                                       struct str name, struct sasl_identity *out_identity)
{
    CLEANUP(buf_done) struct buf kept_name, reply;
    struct auth_outside outside = {.kind = AUTH_OUTSIDE_PASSWORD, .login = *request};
    struct str ignored;

    buf_init(&kept_name, OUTSIDE_NAME_MAX_BYTES);
    buf_init(&reply, OUTSIDE_ANSWER_MAX_BYTES);
    buf_put_str(&kept_name, name);
    struct outside_request question = {
        .name = buf_str(&kept_name), .secret = request->password, .peer = str_from_c(l->peer_text)};
    enum outside_verdict said = ask_outside(l, OUTSIDE_PASSWORD, &question, &reply, &ignored);
    return conclude(l, &outside, said, out_identity);
}

/* A wrong password of an account that has one here. While nobody outside can be asked, that is told
 * no more than of other names: or it would tell which accounts are here. Yields. */
static enum sasl_verdict refuse_as_outside(struct login *l)
{
    CLEANUP(buf_done) struct buf reply;
    struct outside_request question = {
        .name = STR(NOBODY), .secret = STR("x"), .peer = str_from_c(l->peer_text)};
    struct str ignored;

    buf_init(&reply, OUTSIDE_ANSWER_MAX_BYTES);
    return ask_outside(l, OUTSIDE_PASSWORD, &question, &reply, &ignored) == OUTSIDE_TEMPORARY
               ? SASL_VERDICT_TEMPORARY
               : SASL_VERDICT_BAD;
}

/* Yields. */
static enum sasl_verdict find_password_verdict(struct login *l, const struct auth_request *request,
                                               struct sasl_identity *out_identity)
{
    struct auth_answer answer;

    if (ask(l, STORE_AUTH_PASSWORD, request) < 0 || !read_answer(l, &answer))
        return SASL_VERDICT_TEMPORARY;
    if (answer.verdict == AUTH_ELSEWHERE)
        return check_outside(l, request, answer.who.address, out_identity);
    if (answer.verdict == AUTH_BAD && l->peers.has_outside)
        return refuse_as_outside(l);
    return identify(answer.verdict, &answer.who, answer.app_password, out_identity);
}

/* --- what the mechanisms ask --- */

/* Who has failed waits for his answer, the longer the more often he did; and he gets it in steps of
 * time in which all ways to check a password end, so that the time does not tell which it was.
 * Yields. The verdict. */
static enum sasl_verdict hold_back(struct login *l, const struct sasl_login *login,
                                   int64_t began_ms)
{
    struct auth_request request = request_of(l, login);
    int64_t step_ms = l->peers.has_outside ? WRONG_STEP_MS : 0, delay_ms = 0;

    if (ask(l, STORE_AUTH_DELAY, &request) == 0) {
        struct cursor c = cursor_from(buf_str(&l->reply));
        int64_t store_step_ms = cursor_u32(&c);
        step_ms = MAX(step_ms, store_step_ms);
        delay_ms = cursor_u32(&c);
    }
    int64_t now_ms = clock_mono_ms(), until_ms = now_ms;
    if (step_ms > 0)
        until_ms = began_ms + ((now_ms - began_ms) / step_ms + 1) * step_ms;
    until_ms += delay_ms;
    if (until_ms > now_ms && fiber_sleep_until(until_ms) < 0)
        return SASL_VERDICT_TEMPORARY;
    return SASL_VERDICT_BAD;
}

static enum sasl_verdict check_password(void *ctx, const struct sasl_login *login,
                                        struct str password, struct sasl_identity *out_identity)
{
    struct login *l = ctx;
    struct auth_request request = request_of(l, login);
    int64_t began_ms = clock_mono_ms();

    request.password = password;
    enum sasl_verdict verdict = find_password_verdict(l, &request, out_identity);
    return verdict == SASL_VERDICT_BAD ? hold_back(l, login, began_ms) : verdict;
}

/* The account is the token's; login->authzid, which the client claims, is compared with it by the
 * mechanism. Yields. */
static enum sasl_verdict check_token(void *ctx, const struct sasl_login *login, struct str token,
                                     struct sasl_identity *out_identity)
{
    CLEANUP(buf_done) struct buf reply = {.len = 0};
    struct login *l = ctx;
    struct auth_outside outside = {.kind = AUTH_OUTSIDE_TOKEN, .login = request_of(l, login)};
    struct outside_request question = {
        .name = login->authzid, .secret = token, .peer = str_from_c(l->peer_text)};
    struct auth_answer answer;
    struct str name;

    outside.login.username = login->authzid;
    enum sasl_verdict verdict = call_outside_verb(l, &outside, &answer);
    if (verdict != SASL_VERDICT_OK || answer.verdict != AUTH_ELSEWHERE)
        return verdict;
    buf_init(&reply, OUTSIDE_ANSWER_MAX_BYTES);
    enum outside_verdict said = ask_outside(l, OUTSIDE_TOKEN, &question, &reply, &name);
    if (said == OUTSIDE_RIGHT)
        outside.login.username = name;
    verdict = conclude(l, &outside, said, out_identity);
    return verdict == SASL_VERDICT_BAD ? hold_back(l, login, clock_mono_ms()) : verdict;
}

/* TLS has verified the certificate, and login->authcid is an address in it. Yields. */
static enum sasl_verdict check_certificate(void *ctx, const struct sasl_login *login,
                                           struct sasl_identity *out_identity)
{
    struct login *l = ctx;
    struct auth_outside outside = {.kind = AUTH_OUTSIDE_CERTIFICATE, .login = request_of(l, login)};
    struct auth_answer answer;

    enum sasl_verdict verdict = call_outside_verb(l, &outside, &answer);
    if (verdict != SASL_VERDICT_OK || answer.verdict != AUTH_ELSEWHERE)
        return verdict;
    verdict = conclude(l, &outside, OUTSIDE_RIGHT, out_identity);
    return verdict == SASL_VERDICT_BAD ? hold_back(l, login, clock_mono_ms()) : verdict;
}

/* Fills in the keys with this index. False when they are none that could be used. */
static bool give_keys(struct login *l, size_t index, struct scram_keys *out)
{
    const struct auth_scram *s = &l->scram;

    if (index >= s->count || s->salt.len > sizeof(out->salt))
        return false;
    const struct auth_scram_key *key = &s->keys[index];
    if (key->stored_key.len > sizeof(out->stored_key) || key->server_key.len != key->stored_key.len)
        return false;
    l->key = index;
    out->iterations = s->iterations;
    out->salt_bytes = s->salt.len;
    out->key_bytes = key->stored_key.len;
    memcpy(out->salt, s->salt.ptr, s->salt.len);
    memcpy(out->stored_key, key->stored_key.ptr, key->stored_key.len);
    memcpy(out->server_key, key->server_key.ptr, key->server_key.len);
    return true;
}

static enum sasl_verdict get_scram_keys(void *ctx, const struct sasl_login *login,
                                        enum scram_hash hash, struct scram_keys *out_keys)
{
    struct login *l = ctx;
    struct auth_request request = request_of(l, login);

    request.hash = (uint8_t)hash;
    if (ask(l, STORE_AUTH_SCRAM, &request) < 0)
        return SASL_VERDICT_TEMPORARY;
    struct cursor c = cursor_from(buf_str(&l->reply));
    if (auth_get_scram(&c, &l->arena, &l->scram) < 0)
        return SASL_VERDICT_TEMPORARY;
    if (l->scram.verdict != AUTH_OK)
        return to_sasl(l->scram.verdict);
    out_keys->hash = hash;
    return give_keys(l, 0, out_keys) ? SASL_VERDICT_OK : SASL_VERDICT_TEMPORARY;
}

static bool next_scram_keys(void *ctx, const struct sasl_login *login,
                            struct scram_keys *in_out_keys)
{
    struct login *l = ctx;

    (void)login;
    return give_keys(l, l->key + 1, in_out_keys);
}

static enum sasl_verdict get_cram_secret(void *ctx, const struct sasl_login *login,
                                         struct buf *out_secret)
{
    struct login *l = ctx;
    struct auth_request request = request_of(l, login);

    if (ask(l, STORE_AUTH_CRAM, &request) < 0)
        return SASL_VERDICT_TEMPORARY;
    struct cursor c = cursor_from(buf_str(&l->reply));
    if (auth_get_cram(&c, &l->cram) < 0)
        return SASL_VERDICT_TEMPORARY;
    uint8_t verdict = l->cram.answer.verdict;
    if (verdict == AUTH_BANNED || verdict == AUTH_TOO_MANY)
        return SASL_VERDICT_TOO_MANY;
    buf_put_str(out_secret, l->cram.password);
    return SASL_VERDICT_OK;
}

/* Tells the store how it ended; nobody waits for that. */
static void tell(struct login *l, const struct sasl_login *login, struct auth_note *note)
{
    struct buf args;

    note->username = login->authcid;
    note->mechanism = sasl_mechanism_name(login->mechanism);
    note->service = l->service;
    note->peer = l->peer;
    buf_init(&args, ARGS_MAX_BYTES);
    auth_put_note(&args, note);
    if (buf_status(&args) == 0)
        (void)!rpc_post(l->peers.store, STORE_AUTH_NOTE, buf_str(&args));
    buf_done(&args);
}

static enum sasl_verdict note_success(void *ctx, const struct sasl_login *login,
                                      struct sasl_identity *out_identity)
{
    struct login *l = ctx;
    struct auth_note note = {.verdict = AUTH_BAD};
    const struct auth_identity *who = &l->cram.answer.who;

    if (login->mechanism == SASL_CRAM_MD5) {
        note.verdict = l->cram.answer.verdict;
        note.app_password = l->cram.answer.app_password;
    } else if (l->key < l->scram.count) {
        note.verdict = l->scram.keys[l->key].verdict;
        note.app_password = l->scram.keys[l->key].app_password;
        who = &l->scram.who;
    }
    note.account = who->account;
    tell(l, login, &note);
    return identify(note.verdict, who, note.app_password, out_identity);
}

static enum sasl_verdict note_failure(void *ctx, const struct sasl_login *login)
{
    struct auth_note note = {.verdict = AUTH_BAD};

    tell(ctx, login, &note);
    return hold_back(ctx, login, clock_mono_ms());
}

const struct sasl_backend login_backend = {
    .check_password = check_password,
    .check_token = check_token,
    .check_certificate = check_certificate,
    .get_scram_keys = get_scram_keys,
    .next_scram_keys = next_scram_keys,
    .get_cram_secret = get_cram_secret,
    .note_success = note_success,
    .note_failure = note_failure,
};
