/* Unit tests of claims: each test is named as the sentence it proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "token/claims.h"

#define ISSUER     "\"iss\":\"https://id.example.jp\","
#define AUDIENCE   "\"aud\":\"mail\","
#define END        "\"exp\":1000,"
#define NAME       "\"email\":\"taro@example.jp\""
#define GOOD       "{" ISSUER AUDIENCE END NAME "}"
#define WITH(more) "{" ISSUER AUDIENCE END NAME "," more "}"

enum { NOW_MS = 900 * 1000, LEEWAY_MS = 60 * 1000 };

static struct settings *settings;

static int set_up(void **state)
{
    (void)state;
    settings = settings_defaults();
    free(settings->auth_oauth_issuer);
    settings->auth_oauth_issuer = xstrdup("https://id.example.jp");
    settings->auth_oauth_audience.items = xcalloc(2, sizeof(char *));
    settings->auth_oauth_audience.items[0] = xstrdup("mail");
    settings->auth_oauth_audience.items[1] = xstrdup("https://mx.example.jp");
    settings->auth_oauth_audience.count = 2;
    settings->auth_oauth_leeway = LEEWAY_MS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    settings_free(settings);
    return 0;
}

static void set(char **field, const char *text)
{
    free(*field);
    *field = xstrdup(text);
}

static void assert_why(const char *json, enum claims_source source, int64_t now_ms,
                       const char *expected)
{
    struct claims claims;
    const char *why;

    int r = claims_judge(str_from_c(json), source, settings, now_ms, &claims, &why);
    if (expected != NULL && (why == NULL || strcmp(why, expected) != 0))
        print_error("%s\n", json);
    if (expected == NULL) {
        assert_null(why);
        assert_int_equal(r, 0);
        return;
    }
    assert_non_null(why);
    assert_string_equal(why, expected);
    assert_int_not_equal(r, 0);
}

static void assert_jwt(const char *json, const char *expected)
{
    assert_why(json, CLAIMS_OF_JWT, NOW_MS, expected);
}

static void a_jwt_must_say_who_for_whom_and_until_when(void **state)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {GOOD, NULL},
        {"", "its claims are no JSON object"},
        {"[]", "its claims are no JSON object"},
        {"{" AUDIENCE END NAME "}", "it is of another issuer"},
        {"{\"iss\":\"https://id.example.jp/\"," AUDIENCE END NAME "}", "it is of another issuer"},
        {"{\"iss\":[\"https://id.example.jp\"]," AUDIENCE END NAME "}", "it is of another issuer"},
        {"{" ISSUER END NAME "}", "it is for another audience"},
        {"{" ISSUER "\"aud\":\"web\"," END NAME "}", "it is for another audience"},
        {"{" ISSUER "\"aud\":[\"web\",1,\"https://mx.example.jp\"]," END NAME "}", NULL},
        {"{" ISSUER "\"aud\":[\"web\",[\"mail\"]]," END NAME "}", "it is for another audience"},
        {"{" ISSUER AUDIENCE NAME "}", "it does not say until when it is good"},
        {"{" ISSUER AUDIENCE "\"exp\":\"1000\"," NAME "}", "it does not say until when it is good"},
        {"{" ISSUER AUDIENCE "\"exp\":-1," NAME "}", "it does not say until when it is good"},
        {"{" ISSUER AUDIENCE "\"exp\":1e300," NAME "}", "it does not say until when it is good"},
        {"{" ISSUER AUDIENCE "\"exp\":900.5," NAME "}", NULL},
        {WITH("\"nbf\":960"), NULL},
        {WITH("\"nbf\":961"), "it is not good yet"},
        {WITH("\"nbf\":\"1\""), "it is not good yet"},
        {WITH("\"iat\":961"), "it is not good yet"},
        {WITH("\"cnf\":{}"), "it is bound to a key, no bearer token"},
        {WITH("\"active\":false"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_jwt(rows[i].json, rows[i].why);
}

static void the_end_has_the_leeway_of_clocks(void **state)
{
    int64_t end_ms = 1000 * 1000 + LEEWAY_MS;

    (void)state;
    assert_why(GOOD, CLAIMS_OF_JWT, end_ms - 1, NULL);
    assert_why(GOOD, CLAIMS_OF_JWT, end_ms, "it has expired");
}

static void without_an_issuer_or_audience_no_jwt_is_good(void **state)
{
    (void)state;
    set(&settings->auth_oauth_issuer, "");
    assert_jwt(GOOD, "it is of another issuer");
    assert_jwt("{\"iss\":\"\"," AUDIENCE END NAME "}", "it is of another issuer");
    set(&settings->auth_oauth_issuer, "https://id.example.jp");
    settings->auth_oauth_audience.count = 0;
    assert_jwt(GOOD, "it is for another audience");
    settings->auth_oauth_audience.count = 2;
}

static void an_answer_must_say_active(void **state)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"{" AUDIENCE NAME "}", "it is not active"},
        {"{\"active\":false," AUDIENCE NAME "}", "it is not active"},
        {"{\"active\":\"true\"," AUDIENCE NAME "}", "it is not active"},
        {"{\"active\":1," AUDIENCE NAME "}", "it is not active"},
        {"{\"active\":true," AUDIENCE NAME "}", NULL},
        {"{\"active\":true," NAME "}", "it is for another audience"},
        {"{\"active\":true,\"iss\":\"https://other.example\"," AUDIENCE NAME "}",
         "it is of another issuer"},
        {"{\"active\":true,\"exp\":800," AUDIENCE NAME "}", "it has expired"},
        {"{\"active\":true,\"token_type\":\"bearer\"," AUDIENCE NAME "}", NULL},
        {"{\"active\":true,\"token_type\":\"DPoP\"," AUDIENCE NAME "}",
         "it is bound to a key, no bearer token"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_why(rows[i].json, CLAIMS_OF_INTROSPECTION, NOW_MS, rows[i].why);
    settings->auth_oauth_audience.count = 0;
    assert_why("{\"active\":true," NAME "}", CLAIMS_OF_INTROSPECTION, NOW_MS, NULL);
    settings->auth_oauth_audience.count = 2;
}

static void every_word_of_the_scope_is_needed(void **state)
{
    static const struct {
        const char *json;
        bool is_enough;
    } rows[] = {
        {GOOD, false},
        {WITH("\"scope\":\"mail\""), false},
        {WITH("\"scope\":\"openid send mail\""), true},
        {WITH("\"scope\":\"mails send\""), false},
        {WITH("\"scope\":\"mail  send\""), true},
        {WITH("\"scope\":[\"mail\",\"send\"]"), true},
        {WITH("\"scope\":[\"mail send\"]"), false},
        {WITH("\"scp\":\"mail send\""), true},
        {WITH("\"scp\":[\"mail\"],\"scope\":\"send\""), true},
        {WITH("\"scope\":7"), false},
    };

    (void)state;
    set(&settings->auth_oauth_scope, "mail send");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_jwt(rows[i].json, rows[i].is_enough ? NULL : "it lacks the scope");
    set(&settings->auth_oauth_scope, "");
}

static void the_account_is_the_first_address_or_what_the_setting_names(void **state)
{
    static const char none[] = "it does not name an account";
    static const char *const unverified = "its issuer has not verified the address";
    static const struct {
        const char *claim, *members, *name, *why;
    } rows[] = {
        {"", "\"email\":\"a@x.jp\",\"sub\":\"b@x.jp\"", "a@x.jp", NULL},
        {"", "\"email\":\"a@x.jp\",\"email_verified\":true", "a@x.jp", NULL},
        {"", "\"email\":\"a@x.jp\",\"email_verified\":\"true\"", "a@x.jp", NULL},
        {"", "\"email\":\"a@x.jp\",\"email_verified\":false", NULL, unverified},
        {"", "\"email\":\"a@x.jp\",\"email_verified\":\"false\"", NULL, unverified},
        {"", "\"email\":\"a@x.jp\",\"email_verified\":null", NULL, unverified},
        {"", "\"preferred_username\":\"a@x.jp\",\"username\":\"c@x.jp\"", "c@x.jp", NULL},
        {"", "\"preferred_username\":\"a@x.jp\"", NULL, none},
        {"preferred_username", "\"preferred_username\":\"a@x.jp\"", "a@x.jp", NULL},
        {"", "\"sub\":\"d@x.jp\",\"email_verified\":false", "d@x.jp", NULL},
        {"", "\"sub\":\"248289761001\"", NULL, none},
        {"", "\"sub\":\"@x.jp\"", NULL, none},
        {"", "\"sub\":\"a@\"", NULL, none},
        {"", "\"sub\":\"a b@x.jp\"", NULL, none},
        {"", "\"sub\":\"a\\nb@x.jp\"", NULL, none},
        {"", "\"sub\":[\"a@x.jp\"]", NULL, none},
        {"", "\"sub\":\"飛脚@例え.jp\"", "飛脚@例え.jp", NULL},
        {"uid", "\"uid\":\"taro\",\"email\":\"a@x.jp\"", "taro", NULL},
        {"uid", "\"email\":\"a@x.jp\"", NULL, none},
        {"uid", "\"uid\":\"\"", NULL, none},
        {"https://x.jp/mail", "\"https://x.jp/mail\":\"e@x.jp\"", "e@x.jp", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(cleanup_free)
        char *json = xasprintf("{" ISSUER AUDIENCE "\"exp\":1000,%s}", rows[i].members);
        struct claims claims;
        const char *why;
        set(&settings->auth_oauth_account_claim, rows[i].claim);
        assert_jwt(json, rows[i].why);
        (void)!claims_judge(str_from_c(json), CLAIMS_OF_JWT, settings, NOW_MS, &claims, &why);
        if (rows[i].name != NULL)
            assert_string_equal(claims.name, rows[i].name);
    }
    set(&settings->auth_oauth_account_claim, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jwt_must_say_who_for_whom_and_until_when),
        cmocka_unit_test(the_end_has_the_leeway_of_clocks),
        cmocka_unit_test(without_an_issuer_or_audience_no_jwt_is_good),
        cmocka_unit_test(an_answer_must_say_active),
        cmocka_unit_test(every_word_of_the_scope_is_needed),
        cmocka_unit_test(the_account_is_the_first_address_or_what_the_setting_names),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
