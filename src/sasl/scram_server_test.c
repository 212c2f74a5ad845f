/*
 * Unit tests of SCRAM at the server, as clients of every kind meet it: right and wrong passwords,
 * channel bindings, downgrades, replays, other nonces, garbage at each step.
 *
 * The client here is scram.h's own half, and what it says is changed on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypt/saslprep.h"
#include "sasl/base64.h"
#include "sasl/check_backend.h"
#include "sasl/scram.h"

/* What happens to the client's final message. */
enum change {
    AS_IT_IS,
    NONCE_OF_CLIENT_ONLY,
    NONCE_CHANGED,
    HEADER_CHANGED, /* c= of another header, with a proof that fits */
    PROOF_CHANGED,  /* one bit */
    PROOF_SHORT,
    PROOF_MISSING,
    EXTENSION_ADDED, /* without a proof over it */
    MANDATORY_ADDED,
    CUT_OFF,
    GARBAGE,
    EMPTY,
    CANCEL,
    LAST_WORD_NOT_EMPTY, /* all is right, but the last response says something */
    LAST_WORD_CANCEL,
};

struct dialogue {
    const char *mechanism;
    const char *name, *password; /* of the client */
    const char *authzid;         /* NULL: none */
    enum gs2_flag flag;
    const char *binding_name, *binding_data;
    enum change change;
    enum sasl_outcome outcome;
    enum sasl_reason reason;
    uint64_t account_id;
};

#define EXPORTER     "tls-exporter", "0123456789abcdef0123456789abcdef"
#define END_POINT    "tls-server-end-point", "hash of the certificate"
#define PLUS_256     "SCRAM-SHA-256-PLUS"
#define PLUS_1       "SCRAM-SHA-1-PLUS"
#define N            GS2_NO_BINDING
#define Y            GS2_BINDING_UNUSED
#define P            GS2_BINDING_USED
#define OK(id)       .outcome = SASL_DONE, .account_id = (id)
#define FAILS(why)   .outcome = SASL_FAILED, .reason = SASL_REASON_##why
#define CHANGED(how) .change = (how)

/* Over TLS, with all bindings. */
static const struct dialogue BOUND[] = {
    {"SCRAM-SHA-1", "taro", "pencil", NULL, N, OK(1)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, OK(1)},
    {"scram-sha-256", "taro@example.jp", "pencil", NULL, N, OK(1)},
    {PLUS_1, "taro", "pencil", NULL, P, EXPORTER, OK(1)},
    {PLUS_256, "taro", "pencil", NULL, P, EXPORTER, OK(1)},
    {PLUS_1, "taro", "pencil", NULL, P, END_POINT, OK(1)},
    {PLUS_256, "taro", "pencil", NULL, P, END_POINT, OK(1)},
    /* names and passwords are prepared */
    {"SCRAM-SHA-256", "jiro", "p\xc3\xa9ncil", NULL, N, OK(3)},
    {"SCRAM-SHA-256",
     "\xef\xbd\x94"
     "aro",
     "pencil", NULL, N, OK(1)},
    {"SCRAM-SHA-256", "ta\xc2\xadro", "pencil", NULL, N, OK(1)},
    /* whom to act as */
    {"SCRAM-SHA-256", "taro", "pencil", "taro", N, OK(1)},
    {"SCRAM-SHA-256", "taro", "pencil", "taro@example.jp", N, OK(1)},
    {"SCRAM-SHA-256", "taro", "pencil", "office@example.jp", N, OK(100)},
    {PLUS_256, "taro", "pencil", "office@example.jp", P, EXPORTER, OK(100)},
    {"SCRAM-SHA-256", "taro", "pencil", "jiro@example.jp", N, FAILS(AUTHZID)},
    {"SCRAM-SHA-256", "taro", "pencil", "later@example.jp", N, .outcome = SASL_TEMPORARY},
    {"SCRAM-SHA-256", "taro", "wrong", "office@example.jp", N, FAILS(CREDENTIALS)},
    /* wrong and unknown are one */
    {"SCRAM-SHA-256", "taro", "wrong", NULL, N, FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "nobody", "pencil", NULL, N, FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "a,b=c", "pencil", NULL, N, FAILS(CREDENTIALS)},
    {PLUS_1, "taro", "wrong", NULL, P, EXPORTER, FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "hanako", "brush", NULL, N, FAILS(NEEDS_APP_PASSWORD)},
    {"SCRAM-SHA-256", "hanako", "wrong", NULL, N, FAILS(CREDENTIALS)},
    /* bindings: another connection, unknown, flags that do not fit (RFC 5802 section 6) */
    {PLUS_256, "taro", "pencil", NULL, P, "tls-exporter", "another connection", FAILS(BINDING)},
    {PLUS_256, "taro", "pencil", NULL, P, "tls-exporter", "", FAILS(BINDING)},
    {PLUS_256, "taro", "pencil", NULL, P, "tls-server-end-point", "another", FAILS(BINDING)},
    {PLUS_256, "taro", "pencil", NULL, P, "tls-unique", "x", FAILS(BINDING_TYPE)},
    {PLUS_256, "taro", "pencil", NULL, P, "TLS-exporter", "x", FAILS(BINDING_TYPE)},
    {PLUS_1, "taro", "pencil", NULL, P, "tls-unique", "x", FAILS(BINDING_TYPE)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, P, "tls-unique", "x", FAILS(BINDING)},
    {PLUS_256, "taro", "pencil", NULL, N, FAILS(BINDING)},
    {PLUS_256, "taro", "pencil", NULL, Y, FAILS(BINDING)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, P, EXPORTER, FAILS(BINDING)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, Y, FAILS(BINDING)},
    {"SCRAM-SHA-1", "taro", "pencil", NULL, Y, FAILS(BINDING)},
    /* what is changed on the way */
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(NONCE_OF_CLIENT_ONLY), FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(NONCE_CHANGED), FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(HEADER_CHANGED), FAILS(BINDING)},
    {PLUS_256, "taro", "pencil", NULL, P, EXPORTER, CHANGED(HEADER_CHANGED), FAILS(BINDING)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(PROOF_CHANGED), FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(PROOF_SHORT), FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(PROOF_MISSING), FAILS(MALFORMED)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(EXTENSION_ADDED), FAILS(CREDENTIALS)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(MANDATORY_ADDED), FAILS(MALFORMED)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(CUT_OFF), FAILS(MALFORMED)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(GARBAGE), FAILS(MALFORMED)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(EMPTY), FAILS(MALFORMED)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(CANCEL), FAILS(CANCELLED)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(LAST_WORD_NOT_EMPTY), FAILS(MALFORMED)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, N, CHANGED(LAST_WORD_CANCEL), FAILS(CANCELLED)},
};

/* Without a binding: "y" is the truth, and -PLUS is not there. */
static const struct dialogue UNBOUND[] = {
    {"SCRAM-SHA-1", "taro", "pencil", NULL, N, OK(1)},
    {"SCRAM-SHA-1", "taro", "pencil", NULL, Y, OK(1)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, Y, OK(1)},
    {PLUS_256, "taro", "pencil", NULL, P, EXPORTER, FAILS(MECHANISM)},
    {"SCRAM-SHA-256", "taro", "pencil", NULL, P, EXPORTER, FAILS(BINDING)},
};

struct world {
    struct check_backend backend;
    struct sasl_server *server;
    struct scram_exchange client;
    struct buf message; /* of the client, decoded */
    struct buf line, challenge, bytes;
};

static void world_init(struct world *w, const struct sasl_offer *offer)
{
    w->backend = check_backend_usual();
    w->server = sasl_server_new(offer, &CHECK_BACKEND, &w->backend);
    w->client = (struct scram_exchange){.hash = SCRAM_SHA_1};
    buf_init(&w->message, SCRAM_MESSAGE_MAX_BYTES);
    buf_init(&w->line, SASL_LINE_MAX_BYTES);
    buf_init(&w->challenge, SASL_CHALLENGE_MAX_BYTES);
    buf_init(&w->bytes, SASL_CHALLENGE_MAX_BYTES);
}

static void world_done(struct world *w)
{
    sasl_server_free(w->server);
    scram_exchange_done(&w->client);
    buf_done(&w->message);
    buf_done(&w->line);
    buf_done(&w->challenge);
    buf_done(&w->bytes);
}

static struct str challenge_of(struct world *w)
{
    buf_reset(&w->bytes);
    assert_int_equal(sasl_base64_take(buf_str(&w->challenge), &w->bytes), 0);
    return buf_str(&w->bytes);
}

/* Sends what is in w->message. */
static enum sasl_outcome say(struct world *w)
{
    buf_reset(&w->line);
    sasl_base64_put(buf_str(&w->message), &w->line);
    return sasl_server_step(w->server, buf_str(&w->line), &w->challenge);
}

static enum sasl_outcome say_first(struct world *w, const struct dialogue *d)
{
    bool is_sha_256 = str_contains_nocase(str_from_c(d->mechanism), STR("256"));
    struct scram_client_start start = {.flag = d->flag,
                                       .binding_name = str_from_c(d->binding_name),
                                       .binding_data = str_from_c(d->binding_data),
                                       .authzid = str_from_c(d->authzid),
                                       .name = str_from_c(d->name),
                                       .nonce = STR("rOprNGfwEbeRWgbNEkqO")};

    scram_exchange_done(&w->client);
    scram_exchange_init(&w->client, is_sha_256 ? SCRAM_SHA_256 : SCRAM_SHA_1);
    buf_reset(&w->message);
    scram_client_begin(&w->client, &start, &w->message);
    buf_reset(&w->line);
    sasl_base64_put(buf_str(&w->message), &w->line);
    return sasl_server_start(w->server, str_from_c(d->mechanism), buf_str(&w->line), &w->challenge);
}

/* The client's final message, before anything happens to it. */
static void make_final(struct world *w, const struct dialogue *d)
{
    if (d->change == HEADER_CHANGED) {
        buf_reset(&w->client.binding);
        buf_put_c(&w->client.binding, "eSws"); /* "y,," */
    }
    buf_reset(&w->message);
    assert_int_equal(
        scram_client_answer(&w->client, challenge_of(w), str_from_c(d->password), &w->message),
        SCRAM_OK);
}

static void replace(struct buf *message, const char *from, const char *to)
{
    const char *at = strstr(buf_c_str(message), from);
    struct buf changed;

    assert_non_null(at);
    buf_init(&changed, SCRAM_MESSAGE_MAX_BYTES);
    buf_put(&changed, message->ptr, (size_t)(at - message->ptr));
    buf_put_c(&changed, to);
    buf_put_c(&changed, at + strlen(from));
    buf_reset(message);
    buf_put_str(message, buf_str(&changed));
    buf_done(&changed);
}

static void change_final(struct buf *message, enum change change)
{
    const char *comma;

    switch (change) {
    case NONCE_OF_CLIENT_ONLY:
        comma = strstr(buf_c_str(message), ",p=");
        memmove(message->ptr + strlen("c=biws,r=rOprNGfwEbeRWgbNEkqO"), comma, strlen(comma) + 1);
        buf_cut(message, strlen(message->ptr));
        return;
    case NONCE_CHANGED:
        replace(message, "r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqP");
        return;
    case PROOF_CHANGED:
        comma = strstr(buf_c_str(message), ",p=");
        message->ptr[comma + 3 - message->ptr] ^= 1;
        if (strchr("@`[{", comma[3]) != NULL) /* left the alphabet */
            message->ptr[comma + 3 - message->ptr] = '0';
        return;
    case PROOF_SHORT:
        buf_cut(message, message->len - 4);
        return;
    case PROOF_MISSING:
        buf_cut(message, (size_t)(strstr(buf_c_str(message), ",p=") - message->ptr));
        return;
    case EXTENSION_ADDED:
        replace(message, ",p=", ",x=y,p=");
        return;
    case MANDATORY_ADDED:
        replace(message, ",p=", ",m=y,p=");
        return;
    case CUT_OFF:
        buf_cut(message, 8);
        return;
    case GARBAGE:
        buf_reset(message);
        buf_put_c(message, "\xff\xfe\x01");
        return;
    case EMPTY:
        buf_reset(message);
        return;
    default:
        return;
    }
}

/* From the server's first message on. */
static enum sasl_outcome finish(struct world *w, const struct dialogue *d)
{
    make_final(w, d);
    change_final(&w->message, d->change);
    if (d->change == CANCEL)
        return sasl_server_step(w->server, STR("*"), &w->challenge);
    enum sasl_outcome outcome = say(w);
    if (outcome != SASL_CONTINUE)
        return outcome;
    assert_int_equal(scram_client_check(&w->client, challenge_of(w)), SCRAM_OK);
    buf_reset(&w->message);
    if (d->change == LAST_WORD_NOT_EMPTY)
        buf_put_c(&w->message, "x");
    if (d->change == LAST_WORD_CANCEL)
        return sasl_server_step(w->server, STR("*"), &w->challenge);
    return say(w);
}

static void run(struct world *w, const struct dialogue *d)
{
    enum sasl_outcome outcome = say_first(w, d);

    if (outcome == SASL_CONTINUE)
        outcome = finish(w, d);
    if (outcome != d->outcome || sasl_server_reason(w->server) != d->reason)
        fail_msg("%s %s %c %d: %d %s", d->mechanism, d->name, d->flag, d->change, outcome,
                 sasl_reason_text(sasl_server_reason(w->server)));
    if (outcome == SASL_DONE)
        assert_int_equal(sasl_server_identity(w->server)->account_id, d->account_id);
}

static void run_table(const struct sasl_offer *offer, const struct dialogue *table, size_t count)
{
    struct world same;

    world_init(&same, offer);
    for (size_t i = 0; i < count; i++) {
        struct world w;
        world_init(&w, offer);
        run(&w, &table[i]);
        assert_in_range(w.backend.successes + w.backend.failures, 0, 1);
        if (table[i].outcome == SASL_DONE)
            assert_int_equal(w.backend.successes, 1);
        world_done(&w);
        run(&same, &table[i]);
    }
    world_done(&same);
}

static void bound_dialogues(void **state)
{
    struct sasl_offer offer = check_offer_full();

    (void)state;
    run_table(&offer, BOUND, ARRAY_LEN(BOUND));
}

static void unbound_dialogues(void **state)
{
    struct sasl_offer offer = check_offer_full();

    (void)state;
    offer.bindings = (struct sasl_bindings){.data = {STR_NONE}};
    run_table(&offer, UNBOUND, ARRAY_LEN(UNBOUND));
    /* -PLUS that the settings forbid is not there either. */
    offer = check_offer_full();
    offer.enabled &= ~(SASL_SET(SASL_SCRAM_SHA_256_PLUS) | SASL_SET(SASL_SCRAM_SHA_1_PLUS));
    run_table(&offer, UNBOUND, ARRAY_LEN(UNBOUND));
}

/* Each wrong final message counts, each cancelled one does not, and what the backend says to a
 * failure is what the client hears. */
static void failures_are_counted(void **state)
{
    struct sasl_offer offer = check_offer_full();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BOUND); i++) {
        const struct dialogue *d = &BOUND[i];
        struct world w;
        if (d->change < NONCE_OF_CLIENT_ONLY || d->change > EMPTY)
            continue;
        world_init(&w, &offer);
        run(&w, d);
        assert_int_equal(w.backend.failures, 1);
        assert_string_equal(w.backend.authcid, d->name);
        w.backend.failure_verdict = SASL_VERDICT_TOO_MANY;
        assert_int_equal(say_first(&w, d), SASL_CONTINUE);
        assert_int_equal(finish(&w, d), SASL_FAILED);
        assert_int_equal(sasl_server_reason(w.server), SASL_REASON_TOO_MANY);
        world_done(&w);
    }
    struct world w;
    struct dialogue cancelled = {PLUS_256, "taro", "pencil", NULL, P, EXPORTER, CANCEL};
    world_init(&w, &offer);
    assert_int_equal(say_first(&w, &cancelled), SASL_CONTINUE);
    assert_int_equal(finish(&w, &cancelled), SASL_FAILED);
    assert_int_equal(w.backend.failures + w.backend.successes, 0);
    world_done(&w);
}

/* What was said in one exchange is worth nothing in the next. */
static void replays_fail(void **state)
{
    static const struct dialogue d = {PLUS_256, "taro", "pencil", NULL, P, EXPORTER, OK(1)};
    struct sasl_offer offer = check_offer_full();
    struct world w;
    struct buf first, final;

    (void)state;
    world_init(&w, &offer);
    buf_init(&first, SASL_LINE_MAX_BYTES);
    buf_init(&final, SASL_LINE_MAX_BYTES);
    assert_int_equal(say_first(&w, &d), SASL_CONTINUE);
    buf_put_str(&first, buf_str(&w.line));
    make_final(&w, &d);
    assert_int_equal(say(&w), SASL_CONTINUE);
    buf_put_str(&final, buf_str(&w.line));
    assert_int_equal(sasl_server_step(w.server, STR(""), &w.challenge), SASL_DONE);
    assert_int_equal(
        sasl_server_start(w.server, str_from_c(d.mechanism), buf_str(&first), &w.challenge),
        SASL_CONTINUE);
    assert_int_equal(sasl_server_step(w.server, buf_str(&final), &w.challenge), SASL_FAILED);
    assert_int_equal(sasl_server_reason(w.server), SASL_REASON_CREDENTIALS);
    assert_int_equal(w.backend.failures, 1);
    buf_done(&first);
    buf_done(&final);
    world_done(&w);
}

/* The first message of an unknown name is answered like any other, and always with the same salt.
 */
static void unknown_names_look_known(void **state)
{
    static const struct dialogue d = {"SCRAM-SHA-256", "nobody", "pencil", NULL, N, OK(0)};
    struct sasl_offer offer = check_offer_full();
    char salts[2][64] = {"", "x"};
    struct world w;

    (void)state;
    world_init(&w, &offer);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(say_first(&w, &d), SASL_CONTINUE);
        struct str first = challenge_of(&w), nonce, salt;
        assert_true(str_cut(first, ',', &nonce, &salt));
        assert_true(nonce.len >= 2 + 20 + 24);
        assert_true(str_copy(salt, salts[i], sizeof(salts[i])));
    }
    assert_string_equal(salts[0], salts[1]);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bound_dialogues),          cmocka_unit_test(unbound_dialogues),
        cmocka_unit_test(failures_are_counted),     cmocka_unit_test(replays_fail),
        cmocka_unit_test(unknown_names_look_known),
    };
    return cmocka_run_group_tests_name("sasl_scram_server", tests, NULL, NULL);
}
