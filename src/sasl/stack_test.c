/*
 * How deep the stack gets in an authentication, because each runs in a fiber with 64 KiB (512 KiB
 * under sanitizers) and the backend's callback, which makes a call to another process, comes on top
 * of GNU SASL's frames.
 *
 * Each exchange runs on a thread of its own whose stack was painted before; what has lost its paint
 * was used. Measured without sanitizers, first calls into the libraries included: less than 1 KiB
 * at the backend, 4 KiB at most, in libcrypto.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypt/secret.h"
#include "sasl/check_backend.h"
#include "sasl/client.h"

enum {
    STACK_BYTES = 512 * 1024,
    PAINT = 0xa5,
    ALL = (1 << SASL_MECHANISM_COUNT) - 1,
#ifdef HIKYAKU_SANITIZED
    DEEPEST_BYTES = 32 * 1024,
    DEEPEST_AT_BACKEND_BYTES = 8 * 1024,
#else
    DEEPEST_BYTES = 12 * 1024,
    DEEPEST_AT_BACKEND_BYTES = 4 * 1024,
#endif
};

struct run {
    enum sasl_mechanism mechanism;
    const char *initial; /* of mechanisms that the client does not speak; NULL: it does */
    uintptr_t top;       /* a frame near the stack's beginning */
    size_t at_backend_bytes;
    enum sasl_outcome outcome;
    struct check_backend backend;
};

/* The callbacks of the usual backend, with the depth noted. */
static void note_depth(struct run *r)
{
    size_t depth = r->top - (uintptr_t)__builtin_frame_address(0);

    r->at_backend_bytes = MAX(r->at_backend_bytes, depth);
}

static enum sasl_verdict check_password(void *ctx, const struct sasl_login *login,
                                        struct str password, struct sasl_identity *out_identity)
{
    struct run *r = ctx;

    note_depth(r);
    return CHECK_BACKEND.check_password(&r->backend, login, password, out_identity);
}

static enum sasl_verdict get_scram_keys(void *ctx, const struct sasl_login *login,
                                        enum scram_hash hash, struct scram_keys *out_keys)
{
    struct run *r = ctx;

    note_depth(r);
    return CHECK_BACKEND.get_scram_keys(&r->backend, login, hash, out_keys);
}

static enum sasl_verdict get_cram_secret(void *ctx, const struct sasl_login *login,
                                         struct buf *out_secret)
{
    struct run *r = ctx;

    note_depth(r);
    return CHECK_BACKEND.get_cram_secret(&r->backend, login, out_secret);
}

static enum sasl_verdict check_token(void *ctx, const struct sasl_login *login, struct str token,
                                     struct sasl_identity *out_identity)
{
    struct run *r = ctx;

    note_depth(r);
    return CHECK_BACKEND.check_token(&r->backend, login, token, out_identity);
}

static enum sasl_verdict note_success(void *ctx, const struct sasl_login *login,
                                      struct sasl_identity *out_identity)
{
    struct run *r = ctx;

    note_depth(r);
    return CHECK_BACKEND.note_success(&r->backend, login, out_identity);
}

static enum sasl_verdict note_failure(void *ctx, const struct sasl_login *login)
{
    struct run *r = ctx;

    note_depth(r);
    return CHECK_BACKEND.note_failure(&r->backend, login);
}

static const struct sasl_backend BACKEND = {
    .check_password = check_password,
    .get_scram_keys = get_scram_keys,
    .get_cram_secret = get_cram_secret,
    .check_token = check_token,
    .note_success = note_success,
    .note_failure = note_failure,
};

static void meet(struct run *r, struct sasl_server *server, struct sasl_client *client)
{
    struct buf line, challenge;

    buf_init(&line, SASL_CLIENT_LINE_MAX_BYTES);
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    if (r->initial == NULL)
        (void)!sasl_client_start(client, r->mechanism, ALL, &line);
    else
        check_put_line(r->initial, &line);
    struct str initial = line.len > 0 ? buf_str(&line) : STR_NONE;
    r->outcome = sasl_server_start(server, sasl_mechanism_name(r->mechanism), initial, &challenge);
    while (r->outcome == SASL_CONTINUE) {
        if (r->initial == NULL)
            (void)!sasl_client_step(client, buf_str(&challenge), &line);
        else
            check_put_line("taro 0123456789abcdef0123456789abcdef", &line);
        r->outcome = sasl_server_step(server, buf_str(&line), &challenge);
    }
    secret_wipe_buf(&line);
    buf_done(&challenge);
}

static void *run_thread(void *arg)
{
    struct run *r = arg;
    struct sasl_offer offer = check_offer_full();
    /* Not ASCII, so that the whole of SASLprep is in it. */
    struct sasl_client_login login = {.authcid = STR("jiro"),
                                      .password = STR("pe\xcc\x81ncil"),
                                      .is_encrypted = true,
                                      .bindings = check_bindings_full()};

    r->top = (uintptr_t)__builtin_frame_address(0);
    struct sasl_server *server = sasl_server_new(&offer, &BACKEND, r);
    struct sasl_client *client = sasl_client_new(&login);
    meet(r, server, client);
    sasl_server_free(server);
    sasl_client_free(client);
    return NULL;
}

/* Bytes of the stack that were used below r->top. */
static size_t measure(struct run *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    uint8_t *stack = aligned_alloc(4096, STACK_BYTES);
    size_t untouched = 0;

    assert_non_null(stack);
    memset(stack, PAINT, STACK_BYTES);
    r->backend = check_backend_usual();
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, stack, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attr, run_thread, r), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    while (untouched < STACK_BYTES && stack[untouched] == PAINT)
        untouched++;
    size_t used = r->top - ((uintptr_t)stack + untouched);
    free(stack);
    return used;
}

static void stacks_are_shallow(void **state)
{
    static const struct {
        enum sasl_mechanism mechanism;
        const char *initial;
        enum sasl_outcome outcome;
    } table[] = {
        {SASL_PLAIN, NULL, SASL_DONE},
        {SASL_LOGIN, NULL, SASL_DONE},
        {SASL_SCRAM_SHA_1, NULL, SASL_DONE},
        {SASL_SCRAM_SHA_256_PLUS, NULL, SASL_DONE},
        {SASL_CRAM_MD5, "", SASL_FAILED},
        {SASL_OAUTHBEARER, "n,,^auth=Bearer token-taro^^", SASL_DONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct run r = {.mechanism = table[i].mechanism, .initial = table[i].initial};
        size_t used = measure(&r);
        print_message("%-20s %6zu bytes, %6zu at the backend\n",
                      sasl_mechanism_name(r.mechanism).ptr, used, r.at_backend_bytes);
        assert_int_equal(r.outcome, table[i].outcome);
        assert_in_range(used, 1, DEEPEST_BYTES);
        assert_in_range(r.at_backend_bytes, 1, DEEPEST_AT_BACKEND_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stacks_are_shallow)};
    return cmocka_run_group_tests_name("sasl_stack", tests, NULL, NULL);
}
