/* Who logs in: see login.h. */
#include "svc/access/login.h"

#include <string.h>

#include "base/clock.h"
#include "store/wire.h"

enum {
    WAIT_MS = 30 * 1000,
    ARGS_MAX_BYTES = 4096,
    REPLY_MAX_BYTES = 64 * 1024,
    ARENA_MAX_BYTES = 64 * 1024,
};

void login_init(struct login *l, struct rpc_client *store, const struct ip_addr *peer,
                enum auth_scope service)
{
    *l = (struct login){.store = store, .peer = ip_rate_key(peer), .service = (uint8_t)service};
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
    unsigned set = SASL_SET(SASL_PLAIN) | SASL_SET(SASL_LOGIN) | SASL_SET(SASL_SCRAM_SHA_1) |
                   SASL_SET(SASL_SCRAM_SHA_256) | SASL_SET(SASL_SCRAM_SHA_1_PLUS) |
                   SASL_SET(SASL_SCRAM_SHA_256_PLUS);

    return settings->auth_cram_md5 ? set | SASL_SET(SASL_CRAM_MD5) : set;
}

/* Asks the store. Yields. 0 or negative errno. */
static int ask(struct login *l, enum store_verb verb, const struct auth_request *request)
{
    struct buf args;

    forget_answer(l);
    buf_init(&args, ARGS_MAX_BYTES);
    auth_put_request(&args, request);
    int r = buf_status(&args);
    if (r == 0)
        r = rpc_call(l->store, (uint16_t)verb, buf_str(&args), clock_mono_ms() + WAIT_MS,
                     &l->reply);
    if (args.ptr != NULL)
        explicit_bzero(args.ptr, args.cap);
    buf_done(&args);
    return r;
}

static enum sasl_verdict to_sasl(uint8_t verdict)
{
    switch ((enum auth_verdict)verdict) {
    case AUTH_OK:
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
                                  struct sasl_identity *out)
{
    if (verdict != AUTH_OK)
        return to_sasl(verdict);
    out->account_id = (uint64_t)who->account;
    return str_copy(who->address, out->address, sizeof(out->address)) ? SASL_VERDICT_OK
                                                                      : SASL_VERDICT_TEMPORARY;
}

static struct auth_request request_of(const struct login *l, const struct sasl_login *login)
{
    return (struct auth_request){
        .username = login->authcid, .service = l->service, .peer = l->peer};
}

static enum sasl_verdict check_password(void *ctx, const struct sasl_login *login,
                                        struct str password, struct sasl_identity *out_identity)
{
    struct login *l = ctx;
    struct auth_request request = request_of(l, login);
    struct auth_answer answer;

    request.password = password;
    if (ask(l, STORE_AUTH_PASSWORD, &request) < 0)
        return SASL_VERDICT_TEMPORARY;
    struct cursor c = cursor_from(buf_str(&l->reply));
    if (auth_get_answer(&c, &answer) < 0)
        return SASL_VERDICT_TEMPORARY;
    return identify(answer.verdict, &answer.who, out_identity);
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
        (void)!rpc_post(l->store, STORE_AUTH_NOTE, buf_str(&args));
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
    return identify(note.verdict, who, out_identity);
}

static enum sasl_verdict note_failure(void *ctx, const struct sasl_login *login)
{
    struct auth_note note = {.verdict = AUTH_BAD};

    tell(ctx, login, &note);
    return SASL_VERDICT_BAD;
}

const struct sasl_backend login_backend = {
    .check_password = check_password,
    .get_scram_keys = get_scram_keys,
    .next_scram_keys = next_scram_keys,
    .get_cram_secret = get_cram_secret,
    .note_success = note_success,
    .note_failure = note_failure,
};
