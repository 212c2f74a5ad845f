/* Unit tests of the check of tokens, with an issuer on loopback that answers as it is told: each
 * test is named as the sentence it proves. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "token/check.h"
#include "token/jw_make.h"
#include "token/keys.h"

enum { THREADS = 8, TEXT_MAX_BYTES = 64 * 1024 };

/* --- the issuer --- */

static struct {
    int listener;
    int port;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    char *path, *body;    /* one answer; */
    char *other_path, *other_body;
    int status;
    int delay_ms;
    int requests;
    char last[TEXT_MAX_BYTES]; /* the request */
} issuer;

/* Until the header has ended and the body it promises is there. */
static void read_request(int fd, char *text)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = read(fd, text + len, TEXT_MAX_BYTES - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *told = strstr(text, "Content-Length: ");
        size_t wanted = told != NULL ? strtoul(told + strlen("Content-Length: "), NULL, 10) : 0;
        if (end != NULL && strlen(end + 4) >= wanted)
            break;
    }
    text[len] = '\0';
}

static bool is_for(const char *request, const char *path)
{
    const char *at = strchr(request, ' ');

    return path != NULL && at != NULL && strncmp(at + 1, path, strlen(path)) == 0 &&
           at[1 + strlen(path)] == ' ';
}

static void answer(int fd)
{
    static char text[TEXT_MAX_BYTES];

    read_request(fd, text);
    (void)pthread_mutex_lock(&issuer.lock);
    issuer.requests++;
    memcpy(issuer.last, text, sizeof(text));
    const char *body = is_for(text, issuer.path)         ? issuer.body
                       : is_for(text, issuer.other_path) ? issuer.other_body
                                                         : NULL;
    int status = body != NULL ? issuer.status : 404, delay_ms = issuer.delay_ms;
    CLEANUP(cleanup_free)
    char *reply =
        xasprintf("HTTP/1.1 %d Said\r\nContent-Length: %zu\r\nConnection: close\r\n"
                  "Location: http://127.0.0.1:%d/elsewhere\r\n\r\n%s",
                  status, strlen(body != NULL ? body : ""), issuer.port, body != NULL ? body : "");
    (void)pthread_mutex_unlock(&issuer.lock);
    (void)usleep((unsigned)delay_ms * 1000);
    (void)!send(fd, reply, strlen(reply), MSG_NOSIGNAL);
}

static void *run_issuer(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept(issuer.listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        answer(fd);
        close(fd);
    }
}

static void replace(char **field, const char *text)
{
    free(*field);
    *field = text != NULL ? xstrdup(text) : NULL;
}

static void say(const char *path, const char *body)
{
    (void)pthread_mutex_lock(&issuer.lock);
    replace(&issuer.path, path);
    replace(&issuer.body, body);
    issuer.status = 200;
    issuer.delay_ms = 0;
    (void)pthread_mutex_unlock(&issuer.lock);
}

static int requests(void)
{
    (void)pthread_mutex_lock(&issuer.lock);
    int count = issuer.requests;
    (void)pthread_mutex_unlock(&issuer.lock);
    return count;
}

static void say_status(int status)
{
    (void)pthread_mutex_lock(&issuer.lock);
    issuer.status = status;
    (void)pthread_mutex_unlock(&issuer.lock);
}

static void say_late(int delay_ms)
{
    (void)pthread_mutex_lock(&issuer.lock);
    issuer.delay_ms = delay_ms;
    (void)pthread_mutex_unlock(&issuer.lock);
}

/* --- set up --- */

static char clock_path[] = "/tmp/hikyaku-token-clock-XXXXXX";

static int set_up(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    (void)state;
    token_start();
    int fd = mkstemp(clock_path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(clock_use_file(clock_path), 0);
    issuer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(issuer.listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(issuer.listener, 64), 0);
    assert_int_equal(getsockname(issuer.listener, (struct sockaddr *)&at, &len), 0);
    issuer.port = ntohs(at.sin_port);
    assert_int_equal(pthread_mutex_init(&issuer.lock, NULL), 0);
    return pthread_create(&issuer.thread, NULL, run_issuer, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    (void)shutdown(issuer.listener, SHUT_RDWR);
    (void)pthread_join(issuer.thread, NULL);
    close(issuer.listener);
    replace(&issuer.path, NULL);
    replace(&issuer.body, NULL);
    replace(&issuer.other_path, NULL);
    replace(&issuer.other_body, NULL);
    return unlink(clock_path);
}

/* The settings of a server whose issuer is the one above. */
static struct settings *make_settings(enum settings_oauth how)
{
    struct settings *s = settings_defaults();

    s->auth_oauth = (int)how;
    free(s->auth_oauth_issuer);
    s->auth_oauth_issuer = xasprintf("http://127.0.0.1:%d", issuer.port);
    free(s->auth_oauth_introspection_url);
    s->auth_oauth_introspection_url = xasprintf("http://127.0.0.1:%d/ask", issuer.port);
    replace(&s->auth_oauth_client_id, "mail server");
    s->auth_oauth_http_on_loopback = true;
    s->auth_oauth_timeout = 1000;
    if (how == SETTINGS_OAUTH_KEYS) {
        s->auth_oauth_audience.items = xcalloc(1, sizeof(char *));
        s->auth_oauth_audience.items[0] = xstrdup("mail");
        s->auth_oauth_audience.count = 1;
    }
    return s;
}

/* Takes the settings over. */
static struct token_checker *make_checker(struct settings *settings, const char *keys_json)
{
    struct token_config config = {
        .settings = settings, .keys_json = str_from_c(keys_json), .client_secret = STR("s/cret")};
    struct token_checker *checker;
    const char *why;

    assert_int_equal(token_checker_new(&config, &checker, &why), 0);
    settings_free(settings);
    return checker;
}

static struct token_checker *make_keys_checker(void)
{
    struct settings *s = make_settings(SETTINGS_OAUTH_KEYS);

    free(s->auth_oauth_keys_url);
    s->auth_oauth_keys_url = xasprintf("http://127.0.0.1:%d/keys", issuer.port);
    return make_checker(s, NULL);
}

static char *make_token(const struct jw_key *key, const char *audience)
{
    CLEANUP(cleanup_free)
    char *claims = xasprintf("{\"iss\":\"http://127.0.0.1:%d\",\"aud\":\"%s\",\"exp\":%lld,"
                             "\"email\":\"taro@example.jp\"}",
                             issuer.port, audience, (long long)(clock_real_ms() / 1000 + 90000));

    return jw_token(key, JWS_ES256, claims);
}

static void assert_check(struct token_checker *checker, const char *token, enum token_result result)
{
    struct token_verdict verdict;

    token_check(checker, str_from_c(token), &verdict);
    if (verdict.result != result)
        print_error("%s\n", verdict.why);
    assert_int_equal(verdict.result, result);
    assert_string_equal(verdict.claims.name, result == TOKEN_GOOD ? "taro@example.jp" : "");
    assert_int_equal(verdict.why[0] == '\0', result == TOKEN_GOOD);
}

/* --- by keys --- */

static void keys_may_come_from_a_file(void **state)
{
    struct jw_key key = jw_key_make("P-256", "a"), other = jw_key_make("P-256", "b");
    CLEANUP(cleanup_free) char *json = jw_set_json(&key, "");
    struct token_checker *checker = make_checker(make_settings(SETTINGS_OAUTH_KEYS), json);
    CLEANUP(cleanup_free) char *good = make_token(&key, "mail");
    CLEANUP(cleanup_free) char *foreign = make_token(&key, "web");
    CLEANUP(cleanup_free) char *unknown = make_token(&other, "mail");
    int before = requests();

    (void)state;
    assert_check(checker, good, TOKEN_GOOD);
    assert_check(checker, foreign, TOKEN_BAD);
    assert_check(checker, unknown, TOKEN_BAD);
    assert_check(checker, "", TOKEN_BAD);
    assert_check(checker, "opaque", TOKEN_BAD);
    assert_int_equal(requests(), before);
    token_checker_unref(checker);
    jw_key_done(&key);
    jw_key_done(&other);
}

static void a_file_without_keys_is_refused(void **state)
{
    struct settings *s = make_settings(SETTINGS_OAUTH_KEYS);
    struct token_config config = {.settings = s, .keys_json = STR("{}")};
    struct token_checker *checker;
    const char *why;

    (void)state;
    assert_int_not_equal(token_checker_new(&config, &checker, &why), 0);
    assert_string_equal(why, "no array \"keys\"");
    settings_free(s);
}

static void keys_are_fetched_once_and_again_when_one_is_unknown(void **state)
{
    struct jw_key old = jw_key_make("P-256", "old"), new = jw_key_make("P-256", "new");
    CLEANUP(cleanup_free) char *old_json = jw_set_json(&old, "");
    CLEANUP(cleanup_free) char *new_json = jw_set_json(&new, "");
    CLEANUP(cleanup_free) char *by_old = make_token(&old, "mail");
    CLEANUP(cleanup_free) char *by_new = make_token(&new, "mail");
    struct token_checker *checker = make_keys_checker();
    int before = requests();

    (void)state;
    say("/keys", old_json);
    assert_check(checker, by_old, TOKEN_GOOD);
    assert_check(checker, by_old, TOKEN_GOOD);
    assert_int_equal(requests() - before, 1);
    say("/keys", new_json);
    /* Too early to ask again: names of keys are anybody's. */
    assert_check(checker, by_new, TOKEN_BAD);
    assert_int_equal(requests() - before, 1);
    clock_advance_ms(KEYS_PAUSE_MS);
    assert_check(checker, by_new, TOKEN_GOOD);
    assert_check(checker, by_old, TOKEN_BAD);
    assert_int_equal(requests() - before, 2);
    token_checker_unref(checker);
    jw_key_done(&old);
    jw_key_done(&new);
}

static void old_keys_serve_for_a_day_while_the_issuer_is_down(void **state)
{
    struct jw_key key = jw_key_make("P-256", "a"), other = jw_key_make("P-256", "b");
    CLEANUP(cleanup_free) char *json = jw_set_json(&key, "");
    CLEANUP(cleanup_free) char *token = make_token(&key, "mail");
    CLEANUP(cleanup_free) char *unknown = make_token(&other, "mail");
    struct token_checker *checker = make_keys_checker();

    (void)state;
    say("/keys", json);
    say_status(503);
    assert_check(checker, token, TOKEN_TEMPORARY);
    say_status(200);
    assert_check(checker, token, TOKEN_TEMPORARY); /* it was asked a moment ago */
    clock_advance_ms(KEYS_RETRY_MS);
    assert_check(checker, token, TOKEN_GOOD);
    say_status(503);
    clock_advance_ms(KEYS_LIFE_MS);
    int before = requests();
    assert_check(checker, token, TOKEN_GOOD);
    assert_int_equal(requests() - before, 1);
    assert_check(checker, unknown, TOKEN_TEMPORARY);
    clock_advance_ms(KEYS_STALE_MAX_MS - KEYS_LIFE_MS);
    assert_check(checker, token, TOKEN_TEMPORARY);
    token_checker_unref(checker);
    jw_key_done(&key);
    jw_key_done(&other);
}

static void an_issuer_that_says_nonsense_is_not_believed(void **state)
{
    static const struct {
        const char *body;
        int status;
    } rows[] = {{"", 200}, {"<html>", 200}, {"{\"keys\":[]}", 200}, {"{}", 301}, {"{}", 500}};
    struct jw_key key = jw_key_make("P-256", "a");
    CLEANUP(cleanup_free) char *token = make_token(&key, "mail");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct token_checker *checker = make_keys_checker();
        say("/keys", rows[i].body);
        say_status(rows[i].status);
        int before = requests();
        assert_check(checker, token, TOKEN_TEMPORARY);
        assert_int_equal(requests() - before, 1); /* nothing is followed */
        token_checker_unref(checker);
    }
    jw_key_done(&key);
}

static void an_issuer_that_takes_too_long_is_given_up(void **state)
{
    struct jw_key key = jw_key_make("P-256", "a");
    CLEANUP(cleanup_free) char *json = jw_set_json(&key, "");
    CLEANUP(cleanup_free) char *token = make_token(&key, "mail");
    struct token_checker *checker = make_keys_checker();
    int64_t begin_us = clock_mono_us();

    (void)state;
    say("/keys", json);
    say_late(1500);
    assert_check(checker, token, TOKEN_TEMPORARY);
    assert_in_range(clock_mono_us() - begin_us, 900 * 1000, 1400 * 1000);
    say_late(0);
    token_checker_unref(checker);
    jw_key_done(&key);
}

static void the_issuer_says_where_its_keys_are(void **state)
{
    struct jw_key key = jw_key_make("P-256", "a");
    CLEANUP(cleanup_free) char *json = jw_set_json(&key, "");
    CLEANUP(cleanup_free) char *token = make_token(&key, "mail");
    static const struct {
        const char *issuer, *keys;
        enum token_result result;
    } rows[] = {
        {"http://127.0.0.1:%d", "http://127.0.0.1:%d/keys", TOKEN_GOOD},
        {"http://127.0.0.1:%d/", "http://127.0.0.1:%d/keys", TOKEN_TEMPORARY},
        {"http://127.0.0.1:%d", "http://localhost:%d/keys", TOKEN_TEMPORARY},
        {"http://127.0.0.1:%d", "file:///etc/passwd?%d", TOKEN_TEMPORARY},
    };

    (void)state;
    replace(&issuer.other_path, "/keys");
    replace(&issuer.other_body, json);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf told;
        buf_init(&told, TEXT_MAX_BYTES);
        for (size_t part = 0; part < 2; part++) {
            const char *text = part == 0 ? rows[i].issuer : rows[i].keys;
            const char *at = strstr(text, "%d");
            buf_printf(&told, "%s%.*s%d%s\"", part == 0 ? "{\"issuer\":\"" : ",\"jwks_uri\":\"",
                       (int)(at - text), text, issuer.port, at + 2);
        }
        buf_put_char(&told, '}');
        say("/.well-known/openid-configuration", buf_c_str(&told));
        struct token_checker *checker = make_checker(make_settings(SETTINGS_OAUTH_KEYS), NULL);
        assert_check(checker, token, rows[i].result);
        token_checker_unref(checker);
        buf_done(&told);
    }
    replace(&issuer.other_path, NULL);
    jw_key_done(&key);
}

struct many {
    struct token_checker *checker;
    const char *token;
    atomic_int good;
};

static void *check_one(void *arg)
{
    struct many *m = arg;
    struct token_verdict verdict;

    token_check(m->checker, str_from_c(m->token), &verdict);
    if (verdict.result == TOKEN_GOOD)
        atomic_fetch_add(&m->good, 1);
    return NULL;
}

static void many_threads_fetch_once(void **state)
{
    struct jw_key key = jw_key_make("P-256", "a");
    CLEANUP(cleanup_free) char *json = jw_set_json(&key, "");
    CLEANUP(cleanup_free) char *token = make_token(&key, "mail");
    struct many many = {.checker = make_keys_checker(), .token = token};
    pthread_t threads[THREADS];

    (void)state;
    say("/keys", json);
    say_late(200);
    int before = requests();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_one, &many), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&many.good), THREADS);
    assert_int_equal(requests() - before, 1);
    say_late(0);
    token_checker_unref(many.checker);
    jw_key_done(&key);
}

/* --- by asking --- */

static void the_issuer_is_asked_by_the_rules(void **state)
{
    struct token_checker *checker = make_checker(make_settings(SETTINGS_OAUTH_INTROSPECTION), NULL);

    (void)state;
    say("/ask", "{\"active\":true,\"username\":\"taro@example.jp\"}");
    assert_check(checker, "tok/en+=", TOKEN_GOOD);
    assert_non_null(strstr(issuer.last, "POST /ask HTTP/1.1\r\n"));
    /* base64 of "mail%20server:s%2Fcret" */
    assert_non_null(
        strstr(issuer.last, "Authorization: Basic bWFpbCUyMHNlcnZlcjpzJTJGY3JldA==\r\n"));
    assert_non_null(strstr(issuer.last, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(
        strstr(issuer.last, "\r\n\r\ntoken=tok%2Fen%2B%3D&token_type_hint=access_token"));
    token_checker_unref(checker);
}

static void good_tokens_are_remembered_for_a_while_and_bad_ones_never(void **state)
{
    struct token_checker *checker = make_checker(make_settings(SETTINGS_OAUTH_INTROSPECTION), NULL);
    int before = requests();

    (void)state;
    say("/ask", "{\"active\":false}");
    assert_check(checker, "one", TOKEN_BAD);
    assert_check(checker, "one", TOKEN_BAD);
    assert_int_equal(requests() - before, 2);
    say("/ask", "{\"active\":true,\"username\":\"taro@example.jp\"}");
    assert_check(checker, "one", TOKEN_GOOD);
    say("/ask", "{\"active\":false}");
    assert_check(checker, "one", TOKEN_GOOD);
    assert_check(checker, "two", TOKEN_BAD);
    assert_int_equal(requests() - before, 4);
    clock_advance_ms(60 * 1000);
    assert_check(checker, "one", TOKEN_BAD);
    token_checker_unref(checker);
}

static void nothing_is_remembered_beyond_the_end_of_a_token(void **state)
{
    struct settings *s = make_settings(SETTINGS_OAUTH_INTROSPECTION);
    CLEANUP(cleanup_free)
    char *body = xasprintf("{\"active\":true,\"username\":\"taro@example.jp\",\"exp\":%lld}",
                           (long long)(clock_real_ms() / 1000 + 10));

    (void)state;
    s->auth_oauth_leeway = 0;
    struct token_checker *checker = make_checker(s, NULL);
    say("/ask", body);
    assert_check(checker, "one", TOKEN_GOOD);
    clock_advance_ms(11 * 1000);
    assert_check(checker, "one", TOKEN_BAD);
    token_checker_unref(checker);
}

static void who_cannot_be_asked_is_no_ones_fault(void **state)
{
    struct settings *s = make_settings(SETTINGS_OAUTH_INTROSPECTION);
    struct token_checker *checker = make_checker(s, NULL);

    (void)state;
    say("/ask", "{\"active\":true,\"username\":\"taro@example.jp\"}");
    say_status(401);
    assert_check(checker, "one", TOKEN_TEMPORARY);
    say_status(302);
    assert_check(checker, "one", TOKEN_TEMPORARY);
    say_status(200);
    say_late(1500);
    assert_check(checker, "one", TOKEN_TEMPORARY);
    say_late(0);
    assert_check(checker, "one", TOKEN_GOOD);
    token_checker_unref(checker);
    s = make_settings(SETTINGS_OAUTH_INTROSPECTION);
    s->auth_oauth_http_on_loopback = false;
    checker = make_checker(s, NULL);
    assert_check(checker, "one", TOKEN_TEMPORARY);
    token_checker_unref(checker);
}

static void an_answer_without_end_is_cut_off(void **state)
{
    struct token_checker *checker = make_checker(make_settings(SETTINGS_OAUTH_INTROSPECTION), NULL);
    char *body = xmalloc(70 * 1024);

    (void)state;
    memset(body, ' ', 70 * 1024);
    body[70 * 1024 - 1] = '\0';
    say("/ask", body);
    assert_check(checker, "one", TOKEN_TEMPORARY);
    free(body);
    token_checker_unref(checker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_may_come_from_a_file),
        cmocka_unit_test(a_file_without_keys_is_refused),
        cmocka_unit_test(keys_are_fetched_once_and_again_when_one_is_unknown),
        cmocka_unit_test(old_keys_serve_for_a_day_while_the_issuer_is_down),
        cmocka_unit_test(an_issuer_that_says_nonsense_is_not_believed),
        cmocka_unit_test(an_issuer_that_takes_too_long_is_given_up),
        cmocka_unit_test(the_issuer_says_where_its_keys_are),
        cmocka_unit_test(many_threads_fetch_once),
        cmocka_unit_test(the_issuer_is_asked_by_the_rules),
        cmocka_unit_test(good_tokens_are_remembered_for_a_while_and_bad_ones_never),
        cmocka_unit_test(nothing_is_remembered_beyond_the_end_of_a_token),
        cmocka_unit_test(who_cannot_be_asked_is_no_ones_fault),
        cmocka_unit_test(an_answer_without_end_is_cut_off),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
