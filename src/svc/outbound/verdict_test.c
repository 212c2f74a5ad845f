/* Tests of verdicts: every class of reply at every step, and silence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "svc/outbound/verdict.h"

static const struct {
    enum smtp_client_stage stage;
    uint16_t code;
    const char *enhanced;
    int error;
    bool is_local;
    enum queue_verdict verdict;
    const char *status;
    bool may_try_next, blames_server;
} cases[] = {
    {SMTP_CLIENT_BODY, 250, "2.6.0", 0, false, QUEUE_DELIVERED, "2.6.0", false, false},
    {SMTP_CLIENT_BODY, 250, "", 0, false, QUEUE_DELIVERED, "2.0.0", false, false},
    {SMTP_CLIENT_BODY, 450, "4.2.1", 0, false, QUEUE_DEFER, "4.2.1", false, false},
    {SMTP_CLIENT_BODY, 554, "5.7.1", 0, false, QUEUE_FAIL, "5.7.1", false, false},
    {SMTP_CLIENT_BODY, 421, "4.3.2", 0, false, QUEUE_DEFER, "4.3.2", false, true},
    {SMTP_CLIENT_BODY, 0, "", -ETIMEDOUT, false, QUEUE_DEFER, "4.4.2", false, true},
    {SMTP_CLIENT_RCPT, 550, "5.1.1", 0, false, QUEUE_FAIL, "5.1.1", false, false},
    {SMTP_CLIENT_RCPT, 550, "", 0, false, QUEUE_FAIL, "5.0.0", false, false},
    {SMTP_CLIENT_RCPT, 451, "4.7.1", 0, false, QUEUE_DEFER, "4.7.1", false, false},
    {SMTP_CLIENT_RCPT, 452, "4.5.3", 0, false, QUEUE_DEFER, "4.5.3", false, false},
    /* RFC 5321 section 4.5.3.1.10 */
    {SMTP_CLIENT_RCPT, 552, "", 0, false, QUEUE_DEFER, "4.0.0", false, false},
    {SMTP_CLIENT_RCPT, 552, "5.5.3", 0, false, QUEUE_DEFER, "4.5.3", false, false},
    {SMTP_CLIENT_RCPT, 552, "5.2.2", 0, false, QUEUE_FAIL, "5.2.2", false, false},
    {SMTP_CLIENT_RCPT, 421, "", 0, false, QUEUE_DEFER, "4.0.0", true, true},
    {SMTP_CLIENT_RCPT, 0, "", -ECONNRESET, false, QUEUE_DEFER, "4.4.2", true, true},
    {SMTP_CLIENT_MAIL, 451, "4.3.0", 0, false, QUEUE_DEFER, "4.3.0", false, true},
    {SMTP_CLIENT_MAIL, 550, "5.7.1", 0, false, QUEUE_FAIL, "5.7.1", false, false},
    {SMTP_CLIENT_MAIL, 552, "5.3.4", 0, true, QUEUE_FAIL, "5.3.4", false, false},
    {SMTP_CLIENT_DATA, 503, "", 0, false, QUEUE_FAIL, "5.0.0", false, false},
    {SMTP_CLIENT_DATA, 0, "", -EPROTO, false, QUEUE_DEFER, "4.5.0", true, true},
    {SMTP_CLIENT_GREETING, 554, "5.7.1", 0, false, QUEUE_DEFER, "4.7.1", false, false},
    {SMTP_CLIENT_GREETING, 521, "", 0, false, QUEUE_FAIL, "5.0.0", false, false},
    {SMTP_CLIENT_AUTH, 535, "5.7.8", 0, false, QUEUE_DEFER, "4.7.8", false, false},
    /* RFC 3463: X.7.5 a cryptographic failure, X.7.4 security features not supported, X.7.8 (RFC
     * 4954) the login. Silence is silence there too. */
    {SMTP_CLIENT_TLS, 0, "", -EPROTO, false, QUEUE_DEFER, "4.7.5", true, true},
    {SMTP_CLIENT_TLS, 0, "", -ENOTSUP, false, QUEUE_DEFER, "4.7.4", true, true},
    {SMTP_CLIENT_TLS, 0, "", -ETIMEDOUT, false, QUEUE_DEFER, "4.4.2", true, true},
    {SMTP_CLIENT_AUTH, 0, "", -EACCES, false, QUEUE_DEFER, "4.7.8", true, true},
    {SMTP_CLIENT_CONNECT, 0, "", -EACCES, false, QUEUE_DEFER, "4.4.1", true, true},
    {SMTP_CLIENT_CONNECT, 0, "", -ETIMEDOUT, false, QUEUE_DEFER, "4.4.1", true, true},
    {SMTP_CLIENT_GREETING, 0, "", -ETIMEDOUT, false, QUEUE_DEFER, "4.4.2", true, true},
    {SMTP_CLIENT_CONNECT, 550, "5.1.10", 0, true, QUEUE_FAIL, "5.1.10", false, false},
    {SMTP_CLIENT_CONNECT, 0, "", -ECONNREFUSED, false, QUEUE_DEFER, "4.4.1", true, true},
    {SMTP_CLIENT_BODY, 0, "", -EBADMSG, false, QUEUE_DEFER, "4.3.0", false, false},
    {SMTP_CLIENT_RCPT, 0, "", -ECANCELED, false, QUEUE_DEFER, "4.3.2", false, false},
};

static void replies_mean_what_the_standard_says(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct smtp_client_reply reply = {.stage = cases[i].stage,
                                          .code = cases[i].code,
                                          .text = STR("words"),
                                          .error = cases[i].error,
                                          .is_local = cases[i].is_local};
        (void)snprintf(reply.enhanced, sizeof(reply.enhanced), "%s", cases[i].enhanced);
        struct queue_result_recipient v = verdict_of(&reply, &arena);
        if (v.verdict != cases[i].verdict || !str_eq_c(v.status, cases[i].status) ||
            verdict_may_try_next(&reply) != cases[i].may_try_next ||
            verdict_blames_server(&reply) != cases[i].blames_server)
            fail_msg("case %zu: verdict %u status %.*s", i, v.verdict, STR_ARG(v.status));
        assert_true(v.text.len > 0);
    }
    arena_done(&arena);
}

/* A host that would not have us is named by what stood in the way. */
static void failed_hosts_have_a_status(void **state)
{
    static const struct {
        struct smtp_client_reply reply;
        const char *status, *words;
    } failures[] = {
        {{.stage = SMTP_CLIENT_GREETING, .code = 554, .enhanced = "5.7.1", .text = STR("No")},
         "4.7.1",
         "554 5.7.1 No"},
        {{.stage = SMTP_CLIENT_GREETING, .code = 554, .text = STR("No")}, "4.7.0", "554 No"},
        {{.stage = SMTP_CLIENT_EHLO, .code = 421, .text = STR("busy")}, "4.3.2", "421 busy"},
        {{.stage = SMTP_CLIENT_EHLO, .code = 450, .enhanced = "4.4.5", .text = STR("busy")},
         "4.4.5",
         "450 4.4.5 busy"},
        {{.stage = SMTP_CLIENT_AUTH, .code = 535, .enhanced = "5.7.0", .text = STR("No")},
         "4.7.8",
         "535 5.7.0 No"},
        {{.stage = SMTP_CLIENT_TLS, .code = 454, .enhanced = "4.7.0", .text = STR("No")},
         "4.7.5",
         "454 4.7.0 No"},
        {{.stage = SMTP_CLIENT_TLS, .error = -EPROTO, .text = STR("expired")}, "4.7.5", "expired"},
        {{.stage = SMTP_CLIENT_GREETING, .error = -EPROTO, .text = STR("SSH-2.0")},
         "4.5.0",
         "the server's answer is not SMTP: SSH-2.0"},
        {{.stage = SMTP_CLIENT_CONNECT, .error = -ECONNREFUSED}, "4.4.1", "connection refused"},
    };
    char status[VERDICT_STATUS_BYTES], words[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        verdict_host_status(&failures[i].reply, status);
        assert_string_equal(status, failures[i].status);
        verdict_put_words(&failures[i].reply, words, sizeof(words));
        assert_string_equal(words, failures[i].words);
    }
    verdict_put_words(&failures[0].reply, words, 5);
    assert_string_equal(words, "554 ");
}

static void words_keep_the_codes_of_the_server(void **state)
{
    struct smtp_client_reply reply = {
        .stage = SMTP_CLIENT_RCPT, .code = 550, .enhanced = "5.1.1", .text = STR("No such user")};
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 16);
    assert_true(str_eq_c(verdict_of(&reply, &arena).text, "550 5.1.1 No such user"));
    reply.enhanced[0] = '\0';
    assert_true(str_eq_c(verdict_of(&reply, &arena).text, "550 No such user"));
    reply.is_local = true;
    assert_true(str_eq_c(verdict_of(&reply, &arena).text, "No such user"));
    assert_int_equal(verdict_of(&reply, &arena).code, 0);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_mean_what_the_standard_says),
        cmocka_unit_test(failed_hosts_have_a_status),
        cmocka_unit_test(words_keep_the_codes_of_the_server),
    };
    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
