/* Unit tests of the server's side: what is offered, and dialogues of the mechanisms that have one
 * way only. SCRAM is in scram_server_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/cursor.h"
#include "sasl/base64.h"
#include "sasl/check_backend.h"

enum { LINES_MAX = 4 };

struct dialogue {
    const char *mechanism;
    const char *initial; /* NULL: none */
    const char *lines[LINES_MAX];
    const char *challenges[LINES_MAX + 1]; /* decoded; NULL: any */
    enum sasl_outcome outcome;
    enum sasl_reason reason;
    uint64_t account_id; /* of SASL_DONE */
};

#define OK(id)     .outcome = SASL_DONE, .account_id = (id)
#define FAILS(why) .outcome = SASL_FAILED, .reason = SASL_REASON_##why
#define USER_NAME  "User Name"
#define BEARER_ERROR                                                                               \
    "{\"status\":\"invalid_token\",\"scope\":\"mail\","                                            \
    "\"openid-configuration\":\"https://id.example.jp/oidc\"}"
#define XOAUTH2_ERROR "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}"
#define LONG_64       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_320      LONG_64 LONG_64 LONG_64 LONG_64 LONG_64
#define LONG_1000     LONG_320 LONG_320 LONG_320 "0123456789abcdef0123456789abcdef01234567"

static const struct dialogue PLAIN[] = {
    {"PLAIN", "|taro@example.jp|pencil", OK(1)},
    {"plain", "|taro@example.jp|pencil", OK(1)},
    {"PLAIN", NULL, {"|taro|pencil"}, {""}, OK(1)},
    {"PLAIN", "taro|taro|pencil", OK(1)},
    {"PLAIN", "taro@example.jp|taro|pencil", OK(1)},
    {"PLAIN", "TARO@example.jp|taro@example.jp|pencil", OK(1)},
    {"PLAIN", "office@example.jp|taro|pencil", OK(100)},
    {"PLAIN", "jiro@example.jp|taro|pencil", FAILS(AUTHZID)},
    {"PLAIN", "office@example.jp|jiro|p\xc3\xa9ncil", FAILS(AUTHZID)},
    {"PLAIN", "later@example.jp|taro|pencil", .outcome = SASL_TEMPORARY},
    {"PLAIN", "|jiro|p\xc3\xa9ncil", OK(3)},
    {"PLAIN", "|jiro|pe\xcc\x81ncil", OK(3)},
    {"PLAIN", "|jiro|\xef\xbd\x90\xc3\xa9ncil", OK(3)},
    {"PLAIN",
     "|\xef\xbd\x94"
     "aro|pencil",
     OK(1)},
    {"PLAIN", "|taro|wrong", FAILS(CREDENTIALS)},
    {"PLAIN", "|nobody|pencil", FAILS(CREDENTIALS)},
    {"PLAIN", "office@example.jp|taro|wrong", FAILS(CREDENTIALS)},
    {"PLAIN", "|hanako|brush", FAILS(NEEDS_APP_PASSWORD)},
    {"PLAIN", "|hanako|wrong", FAILS(CREDENTIALS)},
    {"PLAIN", "raw:=", FAILS(MALFORMED)},
    {"PLAIN", "raw:", FAILS(MALFORMED)},
    {"PLAIN", NULL, {"raw:"}, {""}, FAILS(MALFORMED)},
    {"PLAIN", "taro", FAILS(MALFORMED)},
    {"PLAIN", "|taro", FAILS(MALFORMED)},
    {"PLAIN", "|taro|", FAILS(MALFORMED)},
    {"PLAIN", "||pencil", FAILS(MALFORMED)},
    {"PLAIN", "||", FAILS(MALFORMED)},
    {"PLAIN", "|taro|pen|cil", FAILS(MALFORMED)},
    {"PLAIN", "|taro|pencil|", FAILS(MALFORMED)},
    {"PLAIN", "|taro|pen\xff", FAILS(MALFORMED)},
    {"PLAIN", "|t\xe9ro|pencil", FAILS(MALFORMED)},
    {"PLAIN", "\xc3|taro|pencil", FAILS(MALFORMED)},
    {"PLAIN", "|taro|pen\x07", FAILS(MALFORMED)},
    {"PLAIN", "|" LONG_320 "|pencil", FAILS(CREDENTIALS)},
    {"PLAIN", "|" LONG_320 "1|pencil", FAILS(MALFORMED)},
    {"PLAIN", LONG_320 "1|taro|pencil", FAILS(MALFORMED)},
    {"PLAIN", "|taro|" LONG_1000, FAILS(CREDENTIALS)},
    {"PLAIN", "|taro|" LONG_1000 "1", FAILS(MALFORMED)},
    {"PLAIN", NULL, {"raw:*"}, {""}, FAILS(CANCELLED)},
    {"PLAIN", "raw:*", FAILS(ENCODING)},
    {"PLAIN", NULL, {"raw:="}, {""}, FAILS(ENCODING)},
    {"PLAIN", "raw:AHRhcm8AcGVuY2ls\r", FAILS(ENCODING)},
    {"PLAIN", "raw: AHRhcm8AcGVuY2ls", FAILS(ENCODING)},
    {"PLAIN", "raw:AHRhcm8AcGVuY2l", FAILS(ENCODING)},
    {"PLAIN", "raw:AHRhcm8AcGVuY2l=", FAILS(ENCODING)},
    {"PLAIN", "raw:AHRh=m8AcGVuY2ls", FAILS(ENCODING)},
    {"NOSUCH", "|taro|pencil", FAILS(MECHANISM)},
    {"", NULL, FAILS(MECHANISM)},
    {"PLAIN ", NULL, FAILS(MECHANISM)},
};

static const struct dialogue LOGIN[] = {
    {"LOGIN", NULL, {"taro@example.jp", "pencil"}, {USER_NAME, "Password"}, OK(1)},
    {"LOGIN", "taro", {"pencil"}, {"Password"}, OK(1)},
    {"login", NULL, {"jiro", "pe\xcc\x81ncil"}, {USER_NAME}, OK(3)},
    {"LOGIN", NULL, {"taro", "wrong"}, {USER_NAME}, FAILS(CREDENTIALS)},
    {"LOGIN", NULL, {"nobody", "pencil"}, {USER_NAME}, FAILS(CREDENTIALS)},
    {"LOGIN", NULL, {"hanako", "brush"}, {USER_NAME}, FAILS(NEEDS_APP_PASSWORD)},
    {"LOGIN", NULL, {"raw:"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", "raw:=", FAILS(MALFORMED)},
    {"LOGIN", NULL, {"taro", "raw:"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", NULL, {"ta|ro"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", NULL, {"taro", "pen|cil"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", NULL, {"t\xe9ro", "pencil"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", NULL, {"taro", "p\xe9ncil"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", NULL, {LONG_320, "pencil"}, {USER_NAME}, FAILS(CREDENTIALS)},
    {"LOGIN", NULL, {LONG_320 "1", "pencil"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", NULL, {"taro", LONG_1000 "1"}, {USER_NAME}, FAILS(MALFORMED)},
    {"LOGIN", NULL, {"raw:*"}, {USER_NAME}, FAILS(CANCELLED)},
    {"LOGIN", NULL, {"taro", "raw:*"}, {USER_NAME}, FAILS(CANCELLED)},
    {"LOGIN", NULL, {"taro", "raw:%%%%"}, {USER_NAME}, FAILS(ENCODING)},
};

static const struct dialogue CRAM[] = {
    {"CRAM-MD5", "taro", FAILS(INITIAL_RESPONSE)},
    {"CRAM-MD5", "raw:=", FAILS(INITIAL_RESPONSE)},
    {"CRAM-MD5", NULL, {"raw:"}, {NULL}, FAILS(MALFORMED)},
    {"CRAM-MD5", NULL, {"taro"}, {NULL}, FAILS(MALFORMED)},
    {"CRAM-MD5", NULL, {"taro 0123456789abcdef0123456789abcde"}, {NULL}, FAILS(MALFORMED)},
    {"CRAM-MD5", NULL, {"taro 0123456789abcdef0123456789abcdef"}, {NULL}, FAILS(CREDENTIALS)},
    {"CRAM-MD5", NULL, {"nobody 0123456789abcdef0123456789abcdef"}, {NULL}, FAILS(CREDENTIALS)},
    {"CRAM-MD5", NULL, {" 0123456789abcdef0123456789abcdef"}, {NULL}, FAILS(MALFORMED)},
    {"CRAM-MD5", NULL, {"t\xe9ro 0123456789abcdef0123456789abcdef"}, {NULL}, FAILS(MALFORMED)},
    {"CRAM-MD5", NULL, {"raw:*"}, {NULL}, FAILS(CANCELLED)},
};

static const struct dialogue OAUTH[] = {
    {"OAUTHBEARER", "n,a=taro@example.jp,^auth=Bearer token-taro^^", OK(1)},
    {"OAUTHBEARER", "n,,^auth=Bearer token-taro^^", OK(1)},
    {"OAUTHBEARER", "y,,^auth=bearer token-taro^^", OK(1)},
    {"OAUTHBEARER", NULL, {"n,,^auth=Bearer token-taro^^"}, {""}, OK(1)},
    {"OAUTHBEARER", "n,a=taro@example.jp,^host=x.example.jp^port=587^auth=Bearer token-taro^^",
     OK(1)},
    {"OAUTHBEARER", "n,a=office@example.jp,^auth=Bearer token-taro^^", OK(100)},
    {"OAUTHBEARER",
     "n,a=jiro@example.jp,^auth=Bearer token-taro^^",
     {"^"},
     {BEARER_ERROR},
     FAILS(AUTHZID)},
    {"OAUTHBEARER",
     "n,a=taro@example.jp,^auth=Bearer token-nobody^^",
     {"^"},
     {BEARER_ERROR},
     FAILS(CREDENTIALS)},
    {"OAUTHBEARER",
     "n,a=taro@example.jp,^auth=Bearer wrong^^",
     {"raw:*"},
     {BEARER_ERROR},
     FAILS(CANCELLED)},
    {"OAUTHBEARER", "n,a=taro@example.jp,^auth=^^", {"^"}, {BEARER_ERROR}, FAILS(CREDENTIALS)},
    {"OAUTHBEARER", "n,a=taro@example.jp,^auth=Bearer token-taro", FAILS(MALFORMED)},
    {"OAUTHBEARER", "^", FAILS(MALFORMED)},
    {"OAUTHBEARER", "raw:=", FAILS(MALFORMED)},
    {"OAUTHBEARER", "p=tls-exporter,,^auth=Bearer token-taro^^", FAILS(MALFORMED)},
    {"OAUTHBEARER", "n,a=t=3Daro=,^auth=Bearer token-taro^^", FAILS(MALFORMED)},
    {"OAUTHBEARER", "n,a=" LONG_320 "1,^auth=Bearer token-taro^^", FAILS(MALFORMED)},
    {"XOAUTH2", "user=taro@example.jp^auth=Bearer token-taro^^", OK(1)},
    {"XOAUTH2", NULL, {"user=taro@example.jp^auth=Bearer token-taro^^"}, {""}, OK(1)},
    {"XOAUTH2",
     "user=jiro@example.jp^auth=Bearer token-taro^^",
     {"raw:"},
     {XOAUTH2_ERROR},
     FAILS(AUTHZID)},
    {"XOAUTH2",
     "user=taro@example.jp^auth=Bearer wrong^^",
     {"raw:"},
     {XOAUTH2_ERROR},
     FAILS(CREDENTIALS)},
    {"XOAUTH2",
     "user=hanako@example.jp^auth=Bearer token-hanako^^",
     {"raw:"},
     {XOAUTH2_ERROR},
     FAILS(NEEDS_APP_PASSWORD)},
    {"XOAUTH2", "auth=Bearer token-taro^^", FAILS(MALFORMED)},
    {"XOAUTH2", "n,a=taro,^auth=Bearer token-taro^^", FAILS(MALFORMED)},
};

static const struct dialogue EXTERNAL[] = {
    {"EXTERNAL", "raw:=", OK(1)},
    {"EXTERNAL", NULL, {"raw:"}, {""}, OK(1)},
    {"EXTERNAL", "taro@example.jp", OK(1)},
    {"EXTERNAL", "office@example.jp", OK(100)},
    {"EXTERNAL", "TARO.cert", OK(1)},
    {"EXTERNAL", "hanako.cert", FAILS(NEEDS_APP_PASSWORD)}, /* another name of the certificate */
    {"EXTERNAL", "hanako", FAILS(AUTHZID)},
    {"EXTERNAL", "jiro@example.jp", FAILS(AUTHZID)},
    {"EXTERNAL", "ta|ro", FAILS(MALFORMED)},
    {"EXTERNAL", "t\xe9ro", FAILS(MALFORMED)},
    {"EXTERNAL", LONG_320 "1", FAILS(MALFORMED)},
    {"EXTERNAL", NULL, {"raw:*"}, {""}, FAILS(CANCELLED)},
};

static void check_challenge(const char *expected, const struct buf *challenge)
{
    struct buf bytes;

    buf_init(&bytes, SASL_CHALLENGE_MAX_BYTES);
    assert_int_equal(sasl_base64_take(buf_str(challenge), &bytes), 0);
    if (expected != NULL)
        assert_string_equal(buf_c_str(&bytes), expected);
    buf_done(&bytes);
}

/* Runs a dialogue on a server that may have had others before. */
static void run(struct sasl_server *s, const struct dialogue *d)
{
    struct buf line, challenge;
    size_t step = 0;

    buf_init(&line, 2 * SASL_LINE_MAX_BYTES);
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    if (d->initial != NULL)
        check_put_line(d->initial, &line);
    struct str initial = d->initial != NULL ? str_from_c(buf_c_str(&line)) : STR_NONE;
    enum sasl_outcome outcome = sasl_server_start(s, str_from_c(d->mechanism), initial, &challenge);
    while (outcome == SASL_CONTINUE) {
        check_challenge(d->challenges[step], &challenge);
        assert_true(step < LINES_MAX && d->lines[step] != NULL);
        check_put_line(d->lines[step++], &line);
        outcome = sasl_server_step(s, buf_str(&line), &challenge);
    }
    assert_true(step == LINES_MAX || d->lines[step] == NULL);
    if (outcome != d->outcome || sasl_server_reason(s) != d->reason)
        fail_msg("%s %s: %d %s", d->mechanism, d->initial != NULL ? d->initial : "-", outcome,
                 sasl_reason_text(sasl_server_reason(s)));
    if (outcome == SASL_DONE)
        assert_int_equal(sasl_server_identity(s)->account_id, d->account_id);
    buf_done(&line);
    buf_done(&challenge);
}

static void run_table(const struct dialogue *table, size_t count)
{
    struct sasl_offer offer = check_offer_full();
    struct check_backend all = check_backend_usual();
    struct sasl_server *same = sasl_server_new(&offer, &CHECK_BACKEND, &all);

    for (size_t i = 0; i < count; i++) {
        struct check_backend b = check_backend_usual();
        struct sasl_server *s = sasl_server_new(&offer, &CHECK_BACKEND, &b);
        run(s, &table[i]);
        sasl_server_free(s);
        /* One after the other on one session they end the same. */
        run(same, &table[i]);
    }
    sasl_server_free(same);
}

static void plain_dialogues(void **state)
{
    (void)state;
    run_table(PLAIN, ARRAY_LEN(PLAIN));
}

static void login_dialogues(void **state)
{
    (void)state;
    run_table(LOGIN, ARRAY_LEN(LOGIN));
}

static void cram_dialogues(void **state)
{
    (void)state;
    run_table(CRAM, ARRAY_LEN(CRAM));
}

static void oauth_dialogues(void **state)
{
    (void)state;
    run_table(OAUTH, ARRAY_LEN(OAUTH));
}

static void external_dialogues(void **state)
{
    (void)state;
    run_table(EXTERNAL, ARRAY_LEN(EXTERNAL));
}

/* The answer of RFC 2195 section 2: the name and the keyed MD5 of the challenge. */
static void put_cram(struct str challenge, const char *name, const char *password, struct buf *out)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct buf bytes, text;

    buf_init(&bytes, SASL_CHALLENGE_MAX_BYTES);
    buf_init(&text, SASL_CHALLENGE_MAX_BYTES);
    assert_int_equal(sasl_base64_take(challenge, &bytes), 0);
    assert_non_null(HMAC(EVP_md5(), password, (int)strlen(password),
                         (const unsigned char *)bytes.ptr, bytes.len, mac, &len));
    buf_printf(&text, "%s ", name);
    for (unsigned i = 0; i < len; i++)
        buf_printf(&text, "%02x", mac[i]);
    buf_reset(out);
    sasl_base64_put(buf_str(&text), out);
    buf_done(&bytes);
    buf_done(&text);
}

static void cram_proofs_are_checked(void **state)
{
    static const struct {
        const char *name, *password;
        enum sasl_outcome outcome;
        enum sasl_reason reason;
        unsigned successes, failures;
    } table[] = {
        {"taro", "pencil", SASL_DONE, SASL_REASON_NONE, 1, 0},
        {"taro@example.jp", "pencil", SASL_DONE, SASL_REASON_NONE, 1, 0},
        {"taro", "wrong", SASL_FAILED, SASL_REASON_CREDENTIALS, 0, 1},
        {"nobody", "pencil", SASL_FAILED, SASL_REASON_CREDENTIALS, 0, 1},
        {"hanako", "brush", SASL_FAILED, SASL_REASON_NEEDS_APP_PASSWORD, 1, 0},
        {"hanako", "wrong", SASL_FAILED, SASL_REASON_CREDENTIALS, 0, 1},
    };
    struct sasl_offer offer = check_offer_full();
    struct buf line, challenge, first;

    (void)state;
    buf_init(&line, SASL_LINE_MAX_BYTES);
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    buf_init(&first, SASL_CHALLENGE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct check_backend b = check_backend_usual();
        struct sasl_server *s = sasl_server_new(&offer, &CHECK_BACKEND, &b);
        assert_int_equal(sasl_server_start(s, STR("CRAM-MD5"), STR_NONE, &challenge),
                         SASL_CONTINUE);
        /* No challenge comes twice, so no answer can be used again. */
        assert_false(str_eq(buf_str(&first), buf_str(&challenge)));
        buf_reset(&first);
        buf_put_str(&first, buf_str(&challenge));
        put_cram(buf_str(&challenge), table[i].name, table[i].password, &line);
        assert_int_equal(sasl_server_step(s, buf_str(&line), &challenge), table[i].outcome);
        assert_int_equal(sasl_server_reason(s), table[i].reason);
        assert_int_equal(b.successes, table[i].successes);
        assert_int_equal(b.failures, table[i].failures);
        assert_int_equal(b.crams, 1);
        assert_string_equal(b.authcid, table[i].name);
        sasl_server_free(s);
    }
    buf_done(&line);
    buf_done(&challenge);
    buf_done(&first);
}

static void backend_is_asked_as_promised(void **state)
{
    static const struct {
        const char *mechanism, *initial, *authcid, *authzid, *password;
    } table[] = {
        {"PLAIN", "|taro|pencil", "taro", "taro", "pencil"},
        {"PLAIN", "office@example.jp|taro|pencil", "taro", "office@example.jp", "pencil"},
        {"PLAIN",
         "|\xef\xbd\x94"
         "aro|pe\xcc\x81n",
         "taro", "taro", "p\xc3\xa9n"},
        {"OAUTHBEARER", "n,a=a=2Cb,^auth=Bearer x.y_z==^^", "", "a,b", "x.y_z=="},
        {"XOAUTH2", "user=a=2Cb^auth=Bearer x^^", "", "a=2Cb", "x"},
        {"EXTERNAL", "raw:=", "taro.cert", "", ""},
        {"EXTERNAL", "x", "taro.cert", "x", ""},
    };
    struct sasl_offer offer = check_offer_full();
    struct buf line, challenge;

    (void)state;
    buf_init(&line, SASL_LINE_MAX_BYTES);
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct check_backend b = check_backend_usual();
        struct sasl_server *s = sasl_server_new(&offer, &CHECK_BACKEND, &b);
        check_put_line(table[i].initial, &line);
        (void)!sasl_server_start(s, str_from_c(table[i].mechanism), buf_str(&line), &challenge);
        assert_int_equal(b.passwords + b.tokens + b.certificates, 1);
        assert_string_equal(b.authcid, table[i].authcid);
        assert_string_equal(b.authzid, table[i].authzid);
        assert_string_equal(b.password, table[i].password);
        sasl_server_free(s);
    }
    buf_done(&line);
    buf_done(&challenge);
}

static void verdicts_become_outcomes(void **state)
{
    static const struct {
        enum sasl_verdict verdict;
        enum sasl_outcome outcome;
        enum sasl_reason reason;
    } verdicts[] = {
        {SASL_VERDICT_BAD, SASL_FAILED, SASL_REASON_CREDENTIALS},
        {SASL_VERDICT_NEEDS_APP_PASSWORD, SASL_FAILED, SASL_REASON_NEEDS_APP_PASSWORD},
        {SASL_VERDICT_TOO_MANY, SASL_FAILED, SASL_REASON_TOO_MANY},
        {SASL_VERDICT_TEMPORARY, SASL_TEMPORARY, SASL_REASON_NONE},
    };
    static const struct {
        const char *mechanism, *initial;
    } ways[] = {
        {"PLAIN", "|taro|pencil"},
        {"EXTERNAL", "raw:="},
        {"SCRAM-SHA-1", "n,,n=taro,r=abc"},
        {"SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=taro,r=abc"},
    };
    struct sasl_offer offer = check_offer_full();
    struct buf line, challenge;

    (void)state;
    buf_init(&line, SASL_LINE_MAX_BYTES);
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(verdicts) * ARRAY_LEN(ways); i++) {
        size_t v = i % ARRAY_LEN(verdicts), w = i / ARRAY_LEN(verdicts);
        struct check_backend b = check_backend_usual();
        b.first_verdict = verdicts[v].verdict;
        struct sasl_server *s = sasl_server_new(&offer, &CHECK_BACKEND, &b);
        check_put_line(ways[w].initial, &line);
        assert_int_equal(
            sasl_server_start(s, str_from_c(ways[w].mechanism), buf_str(&line), &challenge),
            verdicts[v].outcome);
        assert_int_equal(sasl_server_reason(s), verdicts[v].reason);
        assert_int_equal(b.successes + b.failures, 0);
        sasl_server_free(s);
    }
    buf_done(&line);
    buf_done(&challenge);
}

static void offers_keep_the_rules(void **state)
{
    static const char full[] = "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 "
                               "SCRAM-SHA-1 OAUTHBEARER XOAUTH2 CRAM-MD5 PLAIN LOGIN";
    static const struct {
        unsigned disabled;
        bool is_clear, may_plaintext, has_no_binding, has_no_certificate;
        const char *names;
    } table[] = {
        {0, false, false, false, false, full},
        {0, true, true, true, true,
         "SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 CRAM-MD5 PLAIN LOGIN"},
        {0, true, false, true, true, "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5"},
        {SASL_SET(SASL_CRAM_MD5), true, false, true, true, "SCRAM-SHA-256 SCRAM-SHA-1"},
        {SASL_SET(SASL_CRAM_MD5) | SASL_SET(SASL_OAUTHBEARER) | SASL_SET(SASL_XOAUTH2), false,
         false, false, true,
         "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"},
        {~(SASL_SET(SASL_PLAIN) | SASL_SET(SASL_LOGIN)), true, false, true, true, ""},
        {~SASL_SET(SASL_EXTERNAL), false, false, false, false, "EXTERNAL"},
        {~SASL_SET(SASL_EXTERNAL), false, false, false, true, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sasl_offer offer = check_offer_full();
        struct buf names;
        offer.enabled &= ~table[i].disabled;
        offer.is_encrypted = !table[i].is_clear;
        offer.may_plaintext_unencrypted = table[i].may_plaintext;
        if (table[i].has_no_binding)
            offer.bindings = (struct sasl_bindings){.data = {STR_NONE}};
        if (table[i].has_no_certificate)
            offer.certificate_names = STR_NONE;
        buf_init(&names, 1000);
        sasl_mechanisms_put(sasl_offer_mechanisms(&offer), &names);
        assert_string_equal(buf_c_str(&names), table[i].names);
        assert_int_equal(sasl_mechanisms_read(buf_str(&names)), sasl_offer_mechanisms(&offer));
        buf_done(&names);
    }
}

/* What is not offered cannot be begun, and nobody is asked about it. */
static void rules_hold_for_who_does_not_look(void **state)
{
    static const struct {
        const char *mechanism;
        enum sasl_reason reason;
    } table[] = {
        {"PLAIN", SASL_REASON_ENCRYPTION},
        {"LOGIN", SASL_REASON_ENCRYPTION},
        {"XOAUTH2", SASL_REASON_ENCRYPTION},
        {"OAUTHBEARER", SASL_REASON_ENCRYPTION},
        {"CRAM-MD5", SASL_REASON_MECHANISM},
        {"EXTERNAL", SASL_REASON_CERTIFICATE},
        {"SCRAM-SHA-256-PLUS", SASL_REASON_MECHANISM},
        {"DIGEST-MD5", SASL_REASON_MECHANISM},
        {"ANONYMOUS", SASL_REASON_MECHANISM},
        {"GSSAPI", SASL_REASON_MECHANISM},
        {"PLAI", SASL_REASON_MECHANISM},
    };
    struct sasl_offer offer = {.enabled = check_offer_full().enabled & ~SASL_SET(SASL_CRAM_MD5)};
    struct check_backend b = check_backend_usual();
    struct sasl_server *s = sasl_server_new(&offer, &CHECK_BACKEND, &b);
    struct buf challenge;

    (void)state;
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_int_equal(sasl_server_start(s, str_from_c(table[i].mechanism),
                                           STR("AHRhcm8AcGVuY2ls"), &challenge),
                         SASL_FAILED);
        assert_int_equal(sasl_server_reason(s), table[i].reason);
        assert_string_not_equal(sasl_reason_text(table[i].reason), "none");
    }
    assert_int_equal(b.passwords + b.scrams + b.crams + b.tokens + b.certificates, 0);
    sasl_server_free(s);
    buf_done(&challenge);
}

static void lines_are_bounded(void **state)
{
    static char longest[SASL_LINE_MAX_BYTES + 4];
    struct sasl_offer offer = check_offer_full();
    struct check_backend b = check_backend_usual();
    struct sasl_server *s = sasl_server_new(&offer, &CHECK_BACKEND, &b);
    struct buf challenge;

    (void)state;
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    memset(longest, 'A', sizeof(longest));
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        struct str name = sasl_mechanism_name(i);
        assert_int_equal(sasl_server_start(s, name, STR_NONE, &challenge), SASL_CONTINUE);
        assert_int_equal(
            sasl_server_step(s, str_from_mem(longest, SASL_LINE_MAX_BYTES + 4), &challenge),
            SASL_FAILED);
        assert_int_equal(sasl_server_reason(s), SASL_REASON_TOO_LONG);
        assert_int_equal(sasl_server_start(s, name, STR_NONE, &challenge), SASL_CONTINUE);
        assert_int_equal(
            sasl_server_step(s, str_from_mem(longest, SASL_LINE_MAX_BYTES), &challenge),
            SASL_FAILED);
        assert_int_equal(sasl_server_reason(s), SASL_REASON_MALFORMED);
    }
    assert_int_equal(b.passwords + b.scrams + b.crams + b.tokens + b.certificates, 0);
    sasl_server_free(s);
    sasl_server_free(NULL);
    buf_done(&challenge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_dialogues),
        cmocka_unit_test(login_dialogues),
        cmocka_unit_test(cram_dialogues),
        cmocka_unit_test(cram_proofs_are_checked),
        cmocka_unit_test(oauth_dialogues),
        cmocka_unit_test(external_dialogues),
        cmocka_unit_test(backend_is_asked_as_promised),
        cmocka_unit_test(verdicts_become_outcomes),
        cmocka_unit_test(offers_keep_the_rules),
        cmocka_unit_test(rules_hold_for_who_does_not_look),
        cmocka_unit_test(lines_are_bounded),
    };
    return cmocka_run_group_tests_name("sasl_server", tests, NULL, NULL);
}
