/* Unit tests of SCRAM itself: the exchanges of RFC 5802 section 5 and RFC 7677 section 3 with their
 * nonces, the conversations of the shared suite, the grammar, and what the client believes. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "crypt/saslprep.h"
#include "sasl/base64.h"
#include "sasl/scram.h"

enum { CONVERSATION_STEPS = 5 };

/* A conversation: what the client says, what the server says, in turns. */
struct conversation {
    enum scram_hash hash;
    struct str name, password, salt;
    uint32_t iterations;
    struct str client_nonce, server_nonce;
    struct str steps[CONVERSATION_STEPS];
    size_t step_count;
    bool is_valid;
};

static struct str prepared(struct str text, struct buf *room)
{
    buf_init(room, SASLPREP_OUT_MAX_BYTES);
    assert_int_equal(saslprep(text, SASLPREP_QUERY, room), 0);
    return buf_str(room);
}

/* The server's half, fed with what the client says in the conversation. */
static void check_server(const struct conversation *v)
{
    struct scram_exchange x;
    struct scram_client_first first;
    struct scram_keys keys;
    struct buf out, password;

    assert_int_equal(
        scram_keys_derive(v->hash, prepared(v->password, &password), v->salt, v->iterations, &keys),
        0);
    buf_init(&out, SCRAM_MESSAGE_MAX_BYTES);
    scram_exchange_init(&x, v->hash);
    assert_int_equal(scram_read_client_first(v->steps[0], &first), 0);
    scram_server_answer(&x, &first, &keys, STR(""), v->server_nonce);
    assert_true(str_eq(buf_str(&x.server_first), v->steps[1]));
    enum scram_check check = scram_server_check(&x, &keys, v->steps[2], &out);
    if (str_has_prefix(v->steps[3], STR("e="))) {
        assert_int_equal(check, SCRAM_WRONG_PROOF);
        assert_int_equal(out.len, 0);
    } else {
        assert_int_equal(check, SCRAM_OK);
        assert_int_equal(str_eq(buf_str(&out), v->steps[3]), v->is_valid);
    }
    scram_exchange_done(&x);
    buf_done(&out);
    buf_done(&password);
}

/* The client's half, fed with what the server says. */
static void check_client(const struct conversation *v)
{
    struct scram_exchange x;
    struct buf out, name, password;
    struct scram_client_start start = {.flag = GS2_NO_BINDING, .nonce = v->client_nonce};

    start.name = prepared(v->name, &name);
    buf_init(&out, SCRAM_MESSAGE_MAX_BYTES);
    scram_exchange_init(&x, v->hash);
    scram_client_begin(&x, &start, &out);
    assert_int_equal(str_eq(buf_str(&out), v->steps[0]), v->step_count > 2);
    buf_reset(&out);
    enum scram_check check =
        scram_client_answer(&x, v->steps[1], prepared(v->password, &password), &out);
    if (v->step_count > 2) {
        bool is_proof_good = !str_has_prefix(v->steps[3], STR("e="));
        assert_int_equal(check, SCRAM_OK);
        assert_int_equal(str_eq(buf_str(&out), v->steps[2]), is_proof_good);
        check = scram_client_check(&x, v->steps[3]);
        assert_int_equal(check == SCRAM_OK, v->is_valid);
        assert_int_equal(check == SCRAM_REFUSED, !is_proof_good);
    } else {
        assert_int_not_equal(check, SCRAM_OK);
    }
    scram_exchange_done(&x);
    buf_done(&out);
    buf_done(&name);
    buf_done(&password);
}

static const struct conversation RFC[] = {
    {.hash = SCRAM_SHA_1,
     .name = {"user", 4},
     .password = {"pencil", 6},
     .salt = {"\x41\x25\xc2\x47\xe4\x3a\xb1\xe9\x3c\x6d\xff\x76", 12},
     .iterations = 4096,
     .client_nonce = {"fyko+d2lbbFgONRv9qkxdawL", 24},
     .server_nonce = {"3rfcNHYJY1ZVvWVs7j", 18},
     .steps = {STR("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
               STR("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
               STR("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                   "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
               STR("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")},
     .step_count = 4,
     .is_valid = true},
    {.hash = SCRAM_SHA_256,
     .name = {"user", 4},
     .password = {"pencil", 6},
     .salt = {"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81", 16},
     .iterations = 4096,
     .client_nonce = {"rOprNGfwEbeRWgbNEkqO", 20},
     .server_nonce = {"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", 30},
     .steps = {STR("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
               STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                   "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
               STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                   "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
               STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")},
     .step_count = 4,
     .is_valid = true},
};

static void rfc_exchanges_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(RFC); i++) {
        check_server(&RFC[i]);
        check_client(&RFC[i]);
    }
}

/* --- the shared suite --- */

static struct str text_of(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);

    return str_from_mem(json_string_value(value), json_string_length(value));
}

static void check_file(const char *path)
{
    json_t *root = json_load_file(path, 0, NULL);
    struct conversation v = {.step_count = 0};
    struct buf salt;

    assert_non_null(root);
    buf_init(&salt, SCRAM_SALT_MAX_BYTES);
    assert_int_equal(sasl_base64_take(str_trim(text_of(root, "salt64")), &salt), 0);
    v.hash = str_eq_c(text_of(root, "digest"), "SHA-1") ? SCRAM_SHA_1 : SCRAM_SHA_256;
    v.name = text_of(root, "user");
    v.password = text_of(root, "pass");
    v.salt = buf_str(&salt);
    v.iterations = (uint32_t)json_integer_value(json_object_get(root, "iters"));
    v.client_nonce = text_of(root, "clientNonce");
    v.server_nonce = text_of(root, "serverNonce");
    v.is_valid = json_is_true(json_object_get(root, "valid"));
    json_t *steps = json_object_get(root, "steps");
    v.step_count = json_array_size(steps);
    assert_in_range(v.step_count, 2, CONVERSATION_STEPS);
    for (size_t i = 0; i < v.step_count; i++) {
        const json_t *step = json_array_get(steps, i);
        v.steps[i] = str_from_mem(json_string_value(step), json_string_length(step));
    }
    /* A server that tells unknown names apart is not ours: ours goes on with keys of nobody. */
    if (v.step_count > 2)
        check_server(&v);
    check_client(&v);
    buf_done(&salt);
    json_decref(root);
}

static void suite_agrees(void **state)
{
    static const char *const folders[] = {"good", "bad-client", "bad-server"};
    const char *suites = getenv("SUITES");
    unsigned files = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/sasl/xdg-go-scram/%s", suites != NULL ? suites : "",
                 folders[i]);
        DIR *dir = opendir(path);
        if (dir == NULL) {
            print_message("no %s: skipped\n", path);
            skip();
        }
        const struct dirent *entry;
        while ((entry = readdir(dir)) != NULL) {
            char file[4352];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
            check_file(file);
            files++;
        }
        closedir(dir);
    }
    assert_true(files >= 11);
}

/* --- the grammar --- */

static const struct {
    const char *message;
    bool is_right;
} CLIENT_FIRST[] = {
    {"n,,n=user,r=abc", true},
    {"y,,n=user,r=abc", true},
    {"p=tls-exporter,,n=user,r=abc", true},
    {"n,a=other,n=user,r=abc", true},
    {"n,,n=us=2Cer=3D,r=abc", true},
    {"n,,n=user,r=abc,x=ext,y=a=b", true},
    {"n,,n=\xe9\xa3\x9b,r=a%b~!", true},
    {"", false},
    {"n", false},
    {"n,", false},
    {"n,,", false},
    {"n,,n=user", false},
    {"n,,n=user,", false},
    {"n,,n=user,r=", false},
    {"n,,n=,r=abc", false},
    {"n,,r=abc,n=user", false},
    {"n,,n=user,r=a bc", false},
    {"n,,n=user,r=abc,", false},
    {"n,,n=user,r=abc,x", false},
    {"n,,n=user,r=abc,x=", false},
    {"n,,n=user,r=abc,1=y", false},
    {"n,,n=user,r=abc,m=y", false},
    {"n,,m=must,n=user,r=abc", false},
    {"n,,N=user,r=abc", false},
    {"N,,n=user,r=abc", false},
    {"F,n,,n=user,r=abc", false},
    {"p,,n=user,r=abc", false},
    {"p=,,n=user,r=abc", false},
    {"p=tls exporter,,n=user,r=abc", false},
    {"n,a=,n=user,r=abc", false},
    {"n,x=y,n=user,r=abc", false},
    {"n,,n=us\xff,r=abc", false},
    {"n,,n=user,r=\xe9\xa3\x9b", false},
};

static void client_first_is_read(void **state)
{
    struct scram_client_first first;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CLIENT_FIRST); i++) {
        int rc = scram_read_client_first(str_from_c(CLIENT_FIRST[i].message), &first);
        if ((rc == 0) != CLIENT_FIRST[i].is_right)
            fail_msg("%s: %d", CLIENT_FIRST[i].message, rc);
    }
    assert_int_equal(scram_read_client_first(STR("n,,n=us\0er,r=abc"), &first), -EINVAL);
    assert_int_equal(scram_read_client_first(STR("p=tls-exporter,a=z,n=u,r=abc,x=1"), &first), 0);
    assert_true(str_eq(first.gs2.text, STR("p=tls-exporter,a=z,")));
    assert_true(str_eq(first.gs2.binding_name, STR("tls-exporter")));
    assert_true(str_eq(first.gs2.authzid, STR("z")));
    assert_true(str_eq(first.bare, STR("n=u,r=abc,x=1")));
    assert_true(str_eq(first.name, STR("u")) && str_eq(first.nonce, STR("abc")));
}

static void nonces_and_messages_are_bounded(void **state)
{
    struct scram_client_first first;
    struct buf message;

    (void)state;
    buf_init(&message, 2 * SCRAM_MESSAGE_MAX_BYTES);
    buf_put_c(&message, "n,,n=user,r=");
    for (unsigned i = 0; i < SCRAM_CLIENT_NONCE_MAX_BYTES; i++)
        buf_put_char(&message, 'x');
    assert_int_equal(scram_read_client_first(buf_str(&message), &first), 0);
    size_t before = message.len;
    buf_put_char(&message, 'x');
    assert_int_equal(scram_read_client_first(buf_str(&message), &first), -EINVAL);
    buf_cut(&message, before);
    buf_put_c(&message, ",x=");
    while (message.len < SCRAM_MESSAGE_MAX_BYTES)
        buf_put_char(&message, 'x');
    assert_int_equal(scram_read_client_first(buf_str(&message), &first), 0);
    buf_put_char(&message, 'x');
    assert_int_equal(scram_read_client_first(buf_str(&message), &first), -EINVAL);
    buf_done(&message);
}

/* What a server says to a client whose nonce is "abc". */
static const struct {
    const char *message;
    enum scram_check check;
} SERVER_FIRST[] = {
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=4096", SCRAM_OK},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=4096,x=y", SCRAM_OK},
    {"r=abcd,s=QQ==,i=4096", SCRAM_OK},
    {"r=abc,s=QSXCR+Q6sek8bf92,i=4096", SCRAM_WRONG_NONCE},
    {"r=ab,s=QSXCR+Q6sek8bf92,i=4096", SCRAM_WRONG_NONCE},
    {"r=xabcd,s=QSXCR+Q6sek8bf92,i=4096", SCRAM_WRONG_NONCE},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=4095", SCRAM_BAD_COST},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=1", SCRAM_BAD_COST},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=1000001", SCRAM_BAD_COST},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=4294967295", SCRAM_BAD_COST},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=4294967296", SCRAM_MALFORMED},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=04096", SCRAM_MALFORMED},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=-4096", SCRAM_MALFORMED},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=", SCRAM_MALFORMED},
    {"r=abcd,s=QSXCR+Q6sek8bf9,i=4096", SCRAM_MALFORMED},
    {"r=abcd,s=QSXCR+Q6sek8bf9_,i=4096", SCRAM_MALFORMED},
    {"r=abcd,s=QR==,i=4096", SCRAM_MALFORMED},
    {"r=abcd,s=,i=4096", SCRAM_MALFORMED},
    {"r=abcd,i=4096,s=QSXCR+Q6sek8bf92", SCRAM_MALFORMED},
    {"r=abcd,s=QSXCR+Q6sek8bf92,i=4096,m=y", SCRAM_MALFORMED},
    {"m=y,r=abcd,s=QSXCR+Q6sek8bf92,i=4096", SCRAM_MALFORMED},
    {"e=unknown-user", SCRAM_MALFORMED},
    {"", SCRAM_MALFORMED},
    {"\xff", SCRAM_MALFORMED},
};

static void client_believes_only_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SERVER_FIRST); i++) {
        struct scram_client_start start = {
            .flag = GS2_NO_BINDING, .name = STR("user"), .nonce = STR("abc")};
        struct scram_exchange x;
        struct buf out;
        buf_init(&out, SCRAM_MESSAGE_MAX_BYTES);
        scram_exchange_init(&x, SCRAM_SHA_1);
        scram_client_begin(&x, &start, &out);
        enum scram_check check =
            scram_client_answer(&x, str_from_c(SERVER_FIRST[i].message), STR("pencil"), &out);
        if (check != SERVER_FIRST[i].check)
            fail_msg("%s: %d", SERVER_FIRST[i].message, check);
        scram_exchange_done(&x);
        buf_done(&out);
    }
}

static void server_final_is_judged(void **state)
{
    static const struct {
        const char *message;
        enum scram_check check;
    } table[] = {
        {"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", SCRAM_OK},
        {"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=,x=y", SCRAM_OK},
        {"v=rmF9pqV8S7suAoZWja4dJRkFsKU=", SCRAM_WRONG_PROOF},
        {"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", SCRAM_WRONG_PROOF},
        {"v=rmF9pqV8S7suAoZWja4dJRkFsA==", SCRAM_MALFORMED},
        {"v=rmF9pqV8S7suAoZWja4dJRkFsKR=", SCRAM_MALFORMED},
        {"v=", SCRAM_MALFORMED},
        {"", SCRAM_MALFORMED},
        {"e=invalid-proof", SCRAM_REFUSED},
        {"e=invalid-proof,v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", SCRAM_REFUSED},
        {"e=", SCRAM_MALFORMED},
        {"x=y,v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", SCRAM_MALFORMED},
        {"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=,m=y", SCRAM_MALFORMED},
    };
    const struct conversation *v = &RFC[0];
    struct scram_client_start start = {
        .flag = GS2_NO_BINDING, .name = v->name, .nonce = v->client_nonce};
    struct scram_exchange x;
    struct buf out;

    (void)state;
    buf_init(&out, SCRAM_MESSAGE_MAX_BYTES);
    scram_exchange_init(&x, v->hash);
    scram_client_begin(&x, &start, &out);
    assert_int_equal(scram_client_answer(&x, v->steps[1], v->password, &out), SCRAM_OK);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        enum scram_check check = scram_client_check(&x, str_from_c(table[i].message));
        if (check != table[i].check)
            fail_msg("%s: %d", table[i].message, check);
    }
    scram_exchange_done(&x);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_exchanges_hold),
        cmocka_unit_test(suite_agrees),
        cmocka_unit_test(client_first_is_read),
        cmocka_unit_test(nonces_and_messages_are_bounded),
        cmocka_unit_test(client_believes_only_its_own),
        cmocka_unit_test(server_final_is_judged),
    };
    return cmocka_run_group_tests_name("sasl_scram", tests, NULL, NULL);
}
