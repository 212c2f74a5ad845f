/* Unit tests of the client's side: what it chooses, every mechanism against our own server, and
 * servers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypt/secret.h"
#include "sasl/base64.h"
#include "sasl/check_backend.h"
#include "sasl/client.h"

#define SET(m) SASL_SET(SASL_##m)

enum {
    ALL = (1 << SASL_MECHANISM_COUNT) - 1,
    ROUNDS_MAX = 6,
};

static struct sasl_client_login usual_login(void)
{
    return (struct sasl_client_login){.authcid = STR("taro"),
                                      .password = STR("pencil"),
                                      .is_encrypted = true,
                                      .bindings = check_bindings_full()};
}

static void best_is_chosen(void **state)
{
    static const struct {
        unsigned offered;
        bool is_clear, may_plaintext, has_no_binding;
        int chosen; /* -1: none */
    } table[] = {
        {ALL, false, false, false, SASL_SCRAM_SHA_256_PLUS},
        {ALL & ~SET(SCRAM_SHA_256_PLUS), false, false, false, SASL_SCRAM_SHA_1_PLUS},
        {ALL, false, false, true, SASL_SCRAM_SHA_256},
        {ALL, true, false, true, SASL_SCRAM_SHA_256},
        {SET(SCRAM_SHA_1) | SET(PLAIN), false, false, true, SASL_SCRAM_SHA_1},
        {SET(LOGIN) | SET(PLAIN), false, false, true, SASL_PLAIN},
        {SET(LOGIN), false, false, true, SASL_LOGIN},
        {SET(LOGIN) | SET(PLAIN), true, false, true, -1},
        {SET(LOGIN) | SET(PLAIN), true, true, true, SASL_PLAIN},
        {SET(SCRAM_SHA_1_PLUS), false, false, true, -1},
        {SET(CRAM_MD5) | SET(EXTERNAL) | SET(XOAUTH2) | SET(OAUTHBEARER), false, false, false, -1},
        {0, false, false, false, -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sasl_client_login login = usual_login();
        enum sasl_mechanism mechanism = SASL_EXTERNAL;
        login.is_encrypted = !table[i].is_clear;
        login.may_plaintext_unencrypted = table[i].may_plaintext;
        if (table[i].has_no_binding)
            login.bindings = (struct sasl_bindings){.data = {STR_NONE}};
        assert_int_equal(sasl_client_choose(&login, table[i].offered, &mechanism),
                         table[i].chosen >= 0);
        if (table[i].chosen >= 0)
            assert_int_equal(mechanism, table[i].chosen);
    }
}

struct meeting {
    struct check_backend backend;
    struct sasl_server *server;
    struct sasl_client *client;
    struct buf line, challenge;
};

static void meeting_init(struct meeting *m, const struct sasl_offer *offer,
                         const struct sasl_client_login *login)
{
    m->backend = check_backend_usual();
    m->server = sasl_server_new(offer, &CHECK_BACKEND, &m->backend);
    m->client = sasl_client_new(login);
    buf_init(&m->line, SASL_CLIENT_LINE_MAX_BYTES);
    buf_init(&m->challenge, SASL_CHALLENGE_MAX_BYTES);
}

static void meeting_done(struct meeting *m)
{
    sasl_server_free(m->server);
    sasl_client_free(m->client);
    secret_wipe_buf(&m->line);
    buf_done(&m->challenge);
}

/* Both ends until one of them is done; `offered` is what the client believes. */
static enum sasl_outcome meet(struct meeting *m, enum sasl_mechanism mechanism, unsigned offered,
                              bool has_initial)
{
    enum sasl_client_outcome said = sasl_client_start(m->client, mechanism, offered, &m->line);
    struct str name = sasl_mechanism_name(mechanism), initial = STR_NONE;

    if (said == SASL_CLIENT_CANCEL)
        return SASL_FAILED;
    if (said == SASL_CLIENT_SEND && has_initial)
        initial = buf_str(&m->line);
    enum sasl_outcome outcome = sasl_server_start(m->server, name, initial, &m->challenge);
    if (said == SASL_CLIENT_SEND && !has_initial) {
        assert_int_equal(outcome, SASL_CONTINUE);
        assert_int_equal(m->challenge.len, 0);
        outcome = sasl_server_step(m->server, buf_str(&m->line), &m->challenge);
    }
    for (int i = 0; outcome == SASL_CONTINUE && i < ROUNDS_MAX; i++) {
        if (sasl_client_step(m->client, buf_str(&m->challenge), &m->line) == SASL_CLIENT_CANCEL)
            return sasl_server_step(m->server, STR("*"), &m->challenge);
        outcome = sasl_server_step(m->server, buf_str(&m->line), &m->challenge);
    }
    return outcome;
}

static const enum sasl_mechanism OURS[] = {
    SASL_SCRAM_SHA_256_PLUS,
    SASL_SCRAM_SHA_1_PLUS,
    SASL_SCRAM_SHA_256,
    SASL_SCRAM_SHA_1,
    SASL_PLAIN,
    SASL_LOGIN,
};

static void every_mechanism_logs_in(void **state)
{
    static const struct {
        const char *authcid, *authzid, *password;
        bool is_right;
        uint64_t account_id;
    } table[] = {
        {"taro", "", "pencil", true, 1},
        {"taro@example.jp", "", "pencil", true, 1},
        {"taro", "office@example.jp", "pencil", true, 100},
        {"jiro", "", "pe\xcc\x81ncil", true, 3},
        {"taro", "", "wrong", false, 0},
        {"nobody", "", "pencil", false, 0},
        {"hanako", "", "brush", false, 0},
        {"jiro", "office@example.jp", "p\xc3\xa9ncil", false, 0},
        {"a,b=c", "", "pencil", false, 0},
    };
    struct sasl_offer offer = check_offer_full();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table) * ARRAY_LEN(OURS) * 2; i++) {
        enum sasl_mechanism mechanism = OURS[i / 2 % ARRAY_LEN(OURS)];
        size_t row = i / 2 / ARRAY_LEN(OURS);
        struct sasl_client_login login = usual_login();
        struct meeting m;
        login.authcid = str_from_c(table[row].authcid);
        login.authzid = str_from_c(table[row].authzid);
        login.password = str_from_c(table[row].password);
        /* LOGIN knows no other name. */
        if (mechanism == SASL_LOGIN && login.authzid.len > 0)
            continue;
        meeting_init(&m, &offer, &login);
        enum sasl_outcome outcome = meet(&m, mechanism, sasl_offer_mechanisms(&offer), i % 2 == 0);
        assert_int_equal(outcome, table[row].is_right ? SASL_DONE : SASL_FAILED);
        if (table[row].is_right) {
            assert_true(sasl_client_is_done(m.client));
            assert_int_equal(sasl_server_identity(m.server)->account_id, table[row].account_id);
        }
        meeting_done(&m);
    }
}

/* One client and one server, one login after the other. */
static void logins_follow_each_other(void **state)
{
    struct sasl_offer offer = check_offer_full();
    struct sasl_client_login login = usual_login();
    struct meeting m;

    (void)state;
    meeting_init(&m, &offer, &login);
    for (size_t i = 0; i < 2 * ARRAY_LEN(OURS); i++) {
        assert_int_equal(meet(&m, OURS[i % ARRAY_LEN(OURS)], ALL, true), SASL_DONE);
        assert_true(sasl_client_is_done(m.client));
    }
    meeting_done(&m);
}

static void each_binding_is_used(void **state)
{
    struct sasl_offer offer = check_offer_full();

    (void)state;
    for (unsigned i = 0; i < SASL_BINDING_COUNT; i++) {
        struct sasl_client_login login = usual_login();
        struct meeting m;
        login.bindings = (struct sasl_bindings){.data = {STR_NONE}};
        login.bindings.data[i] = check_bindings_full().data[i];
        meeting_init(&m, &offer, &login);
        assert_int_equal(meet(&m, SASL_SCRAM_SHA_256_PLUS, ALL, true), SASL_DONE);
        meeting_done(&m);
        /* Somebody sits between the two, with a connection to each. */
        login.bindings.data[i] = STR("another connection");
        meeting_init(&m, &offer, &login);
        assert_int_equal(meet(&m, SASL_SCRAM_SHA_256_PLUS, ALL, true), SASL_FAILED);
        assert_int_equal(sasl_server_reason(m.server), SASL_REASON_BINDING);
        assert_false(sasl_client_is_done(m.client));
        meeting_done(&m);
    }
}

/* Somebody takes -PLUS away from what the server offers: "y" gives him away. */
static void downgrades_are_found_out(void **state)
{
    unsigned stripped = ALL & ~(SET(SCRAM_SHA_256_PLUS) | SET(SCRAM_SHA_1_PLUS));
    struct sasl_offer offer = check_offer_full();
    struct sasl_client_login login = usual_login();
    struct meeting m;

    (void)state;
    meeting_init(&m, &offer, &login);
    assert_int_equal(meet(&m, SASL_SCRAM_SHA_256, stripped, true), SASL_FAILED);
    assert_int_equal(sasl_server_reason(m.server), SASL_REASON_BINDING);
    /* A server that has no binding takes the same words for what they are. */
    meeting_done(&m);
    offer.bindings = (struct sasl_bindings){.data = {STR_NONE}};
    meeting_init(&m, &offer, &login);
    assert_int_equal(meet(&m, SASL_SCRAM_SHA_256, stripped, true), SASL_DONE);
    meeting_done(&m);
}

static void nothing_plain_without_tls(void **state)
{
    struct sasl_client_login login = usual_login();
    struct buf line;

    (void)state;
    login.is_encrypted = false;
    struct sasl_client *c = sasl_client_new(&login);
    buf_init(&line, SASL_CLIENT_LINE_MAX_BYTES);
    assert_int_equal(sasl_client_start(c, SASL_PLAIN, ALL, &line), SASL_CLIENT_CANCEL);
    assert_int_equal(sasl_client_start(c, SASL_LOGIN, ALL, &line), SASL_CLIENT_CANCEL);
    assert_int_equal(sasl_client_start(c, SASL_CRAM_MD5, ALL, &line), SASL_CLIENT_CANCEL);
    assert_int_equal(line.len, 0);
    assert_string_not_equal(sasl_client_problem(c), "");
    sasl_client_free(c);
    sasl_client_free(NULL);
    buf_done(&line);
}

static void bad_logins_are_refused(void **state)
{
    static char longest[SASL_PASSWORD_MAX_BYTES + 1];
    const struct {
        struct str authcid, password;
        bool is_plain_right, is_scram_right;
    } table[] = {
        {STR("taro"), STR("pencil"), true, true},
        {STR(""), STR("pencil"), false, false},
        {STR("taro"), STR(""), false, false},
        {str_from_mem(longest, SASL_NAME_MAX_BYTES), STR("pencil"), true, true},
        {str_from_mem(longest, SASL_NAME_MAX_BYTES + 1), STR("pencil"), false, false},
        {STR("taro"), str_from_mem(longest, SASL_PASSWORD_MAX_BYTES), true, true},
        {STR("taro"), str_from_mem(longest, SASL_PASSWORD_MAX_BYTES + 1), false, false},
        {STR("taro"), STR("\x07"), true, false},
        {STR("t\xe9ro"), STR("pencil"), true, false},
    };

    (void)state;
    memset(longest, 'x', sizeof(longest));
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sasl_client_login login = usual_login();
        struct buf line;
        login.authcid = table[i].authcid;
        login.password = table[i].password;
        struct sasl_client *c = sasl_client_new(&login);
        buf_init(&line, SASL_CLIENT_LINE_MAX_BYTES);
        assert_int_equal(sasl_client_start(c, SASL_PLAIN, ALL, &line),
                         table[i].is_plain_right ? SASL_CLIENT_SEND : SASL_CLIENT_CANCEL);
        assert_int_equal(sasl_client_start(c, SASL_SCRAM_SHA_256, ALL, &line),
                         table[i].is_scram_right ? SASL_CLIENT_SEND : SASL_CLIENT_CANCEL);
        sasl_client_free(c);
        secret_wipe_buf(&line);
    }
}

/* Servers that answer something: after so many right challenges, this one. */
static void lying_servers_are_left(void **state)
{
    static const struct {
        enum sasl_mechanism mechanism;
        unsigned right; /* challenges of our server before the lie */
        const char *lie;
    } table[] = {
        {SASL_PLAIN, 0, ""},
        {SASL_PLAIN, 0, "more"},
        {SASL_LOGIN, 0, "raw:!"},
        {SASL_LOGIN, 2, "more"},
        {SASL_SCRAM_SHA_256, 0, ""},
        {SASL_SCRAM_SHA_256, 0, "raw:cg"},
        {SASL_SCRAM_SHA_256, 0, "r=other,s=QQ==,i=4096"},
        {SASL_SCRAM_SHA_256, 0, "e=no-resources"},
        {SASL_SCRAM_SHA_256, 1, ""},
        {SASL_SCRAM_SHA_256, 1, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {SASL_SCRAM_SHA_256, 1, "v=AAAA"},
        {SASL_SCRAM_SHA_256, 1, "e=other-error"},
        {SASL_SCRAM_SHA_256, 2, "v=AAAA"},
        {SASL_SCRAM_SHA_256_PLUS, 1, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
    };
    struct sasl_offer offer = check_offer_full();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sasl_client_login login = usual_login();
        struct meeting m;
        struct buf lie;
        meeting_init(&m, &offer, &login);
        buf_init(&lie, SASL_CHALLENGE_MAX_BYTES);
        enum sasl_client_outcome said =
            sasl_client_start(m.client, table[i].mechanism, ALL, &m.line);
        struct str initial = said == SASL_CLIENT_SEND ? buf_str(&m.line) : STR_NONE;
        (void)!sasl_server_start(m.server, sasl_mechanism_name(table[i].mechanism), initial,
                                 &m.challenge);
        for (unsigned step = 0; step < table[i].right; step++) {
            assert_int_equal(sasl_client_step(m.client, buf_str(&m.challenge), &m.line),
                             SASL_CLIENT_SEND);
            (void)!sasl_server_step(m.server, buf_str(&m.line), &m.challenge);
        }
        check_put_line(table[i].lie, &lie);
        assert_int_equal(sasl_client_step(m.client, buf_str(&lie), &m.line), SASL_CLIENT_CANCEL);
        assert_string_not_equal(sasl_client_problem(m.client), "");
        assert_false(sasl_client_is_done(m.client));
        buf_done(&lie);
        meeting_done(&m);
    }
}

/* A server that says "welcome" before it has proved itself is no success. */
static void early_welcome_is_no_success(void **state)
{
    struct sasl_offer offer = check_offer_full();
    struct sasl_client_login login = usual_login();
    struct meeting m;

    (void)state;
    meeting_init(&m, &offer, &login);
    assert_int_equal(sasl_client_start(m.client, SASL_SCRAM_SHA_256, ALL, &m.line),
                     SASL_CLIENT_SEND);
    assert_false(sasl_client_is_done(m.client));
    assert_int_equal(
        sasl_server_start(m.server, STR("SCRAM-SHA-256"), buf_str(&m.line), &m.challenge),
        SASL_CONTINUE);
    assert_int_equal(sasl_client_step(m.client, buf_str(&m.challenge), &m.line), SASL_CLIENT_SEND);
    assert_false(sasl_client_is_done(m.client));
    assert_string_not_equal(sasl_client_problem(m.client), "");
    assert_int_equal(sasl_client_start(m.client, SASL_LOGIN, ALL, &m.line), SASL_CLIENT_WAIT);
    assert_false(sasl_client_is_done(m.client));
    meeting_done(&m);
}

static void nonces_differ(void **state)
{
    struct sasl_client_login login = usual_login();
    struct sasl_client *c = sasl_client_new(&login);
    struct buf a, b;

    (void)state;
    buf_init(&a, SASL_CLIENT_LINE_MAX_BYTES);
    buf_init(&b, SASL_CLIENT_LINE_MAX_BYTES);
    assert_int_equal(sasl_client_start(c, SASL_SCRAM_SHA_1, ALL, &a), SASL_CLIENT_SEND);
    assert_int_equal(sasl_client_start(c, SASL_SCRAM_SHA_1, ALL, &b), SASL_CLIENT_SEND);
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(a.ptr, b.ptr, a.len);
    sasl_client_free(c);
    buf_done(&a);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_is_chosen),
        cmocka_unit_test(every_mechanism_logs_in),
        cmocka_unit_test(logins_follow_each_other),
        cmocka_unit_test(each_binding_is_used),
        cmocka_unit_test(downgrades_are_found_out),
        cmocka_unit_test(nothing_plain_without_tls),
        cmocka_unit_test(bad_logins_are_refused),
        cmocka_unit_test(lying_servers_are_left),
        cmocka_unit_test(early_welcome_is_no_success),
        cmocka_unit_test(nonces_differ),
    };
    return cmocka_run_group_tests_name("sasl_client", tests, NULL, NULL);
}
