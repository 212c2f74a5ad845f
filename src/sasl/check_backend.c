/* A backend for tests: see check_backend.h. */
#include "sasl/check_backend.h"

#include <string.h>

#include "sasl/base64.h"

enum { CHECK_ALL_MECHANISMS = (1 << SASL_MECHANISM_COUNT) - 1, CHECK_ACCOUNTS = 3 };

static const struct {
    const char *address, *alias, *password;
    bool has_second_factor;
} ACCOUNTS[CHECK_ACCOUNTS] = {
    {"taro@example.jp", "taro", "pencil", false},
    {"hanako@example.jp", "hanako", "brush", true},
    {"jiro@example.jp", "jiro", "p\xc3\xa9ncil", false},
};

struct check_backend check_backend_usual(void)
{
    return (struct check_backend){.failure_verdict = SASL_VERDICT_BAD,
                                  .first_verdict = SASL_VERDICT_OK};
}

static int account_find(struct str name)
{
    for (int i = 0; i < CHECK_ACCOUNTS; i++) {
        if (str_eq_nocase(name, str_from_c(ACCOUNTS[i].address)) ||
            str_eq_c(name, ACCOUNTS[i].alias))
            return i;
    }
    return -1;
}

const char *check_backend_password(struct str name)
{
    int account = account_find(name);

    return account < 0 ? NULL : ACCOUNTS[account].password;
}

static void note(struct check_backend *b, const struct sasl_login *login, struct str password)
{
    ASSERT(str_copy(login->authcid, b->authcid, sizeof(b->authcid)));
    ASSERT(str_copy(login->authzid, b->authzid, sizeof(b->authzid)));
    ASSERT(str_copy(password, b->password, sizeof(b->password)));
}

static enum sasl_verdict identify(struct str name, struct sasl_identity *out_identity)
{
    int account = account_find(name);

    if (account < 0)
        return SASL_VERDICT_BAD;
    out_identity->account_id = (uint64_t)account + 1;
    ASSERT(str_copy(str_from_c(ACCOUNTS[account].address), out_identity->address,
                    sizeof(out_identity->address)));
    return ACCOUNTS[account].has_second_factor ? SASL_VERDICT_NEEDS_APP_PASSWORD : SASL_VERDICT_OK;
}

static enum sasl_verdict check_password(void *ctx, const struct sasl_login *login,
                                        struct str password, struct sasl_identity *out_identity)
{
    struct check_backend *b = ctx;
    const char *right = check_backend_password(login->authcid);

    b->passwords++;
    note(b, login, password);
    if (b->first_verdict != SASL_VERDICT_OK)
        return b->first_verdict;
    if (right == NULL || !str_eq_c(password, right))
        return SASL_VERDICT_BAD;
    return identify(login->authcid, out_identity);
}

/* Deriving takes milliseconds, and the passwords are always the same few. */
static void derive(enum scram_hash hash, struct str password, struct scram_keys *out_keys)
{
    static struct {
        struct scram_keys keys;
        char password[64];
    } memo[2][CHECK_ACCOUNTS + 1];

    for (int i = 0; i <= CHECK_ACCOUNTS; i++) {
        if (memo[hash][i].keys.key_bytes == 0) {
            ASSERT(str_copy(password, memo[hash][i].password, sizeof(memo[hash][i].password)));
            ASSERT(scram_keys_derive(hash, password, STR("0123456789abcdef"), SCRAM_ITERATIONS_MIN,
                                     &memo[hash][i].keys) == 0);
        }
        *out_keys = memo[hash][i].keys;
        if (str_eq_c(password, memo[hash][i].password))
            return;
    }
    die_at(__FILE__, __LINE__, "more passwords than accounts");
}

static enum sasl_verdict get_scram_keys(void *ctx, const struct sasl_login *login,
                                        enum scram_hash hash, struct scram_keys *out_keys)
{
    struct check_backend *b = ctx;
    const char *right = check_backend_password(login->authcid);
    struct str password = right != NULL ? str_from_c(right) : STR("nobody knows this");

    b->scrams++;
    note(b, login, STR(""));
    if (b->first_verdict != SASL_VERDICT_OK)
        return b->first_verdict;
    derive(hash, password, out_keys);
    return SASL_VERDICT_OK;
}

static enum sasl_verdict get_cram_secret(void *ctx, const struct sasl_login *login,
                                         struct buf *out_secret)
{
    struct check_backend *b = ctx;
    const char *right = check_backend_password(login->authcid);

    b->crams++;
    note(b, login, STR(""));
    buf_put_c(out_secret, right != NULL ? right : "nobody knows this");
    return b->first_verdict;
}

static enum sasl_verdict check_token(void *ctx, const struct sasl_login *login, struct str token,
                                     struct sasl_identity *out_identity)
{
    struct check_backend *b = ctx;

    b->tokens++;
    note(b, login, token);
    if (b->first_verdict != SASL_VERDICT_OK)
        return b->first_verdict;
    if (!str_has_prefix(token, STR("token-")))
        return SASL_VERDICT_BAD;
    return identify(str_sub(token, 6, token.len), out_identity);
}

static enum sasl_verdict check_certificate(void *ctx, const struct sasl_login *login,
                                           struct sasl_identity *out_identity)
{
    struct check_backend *b = ctx;

    b->certificates++;
    note(b, login, STR(""));
    if (b->first_verdict != SASL_VERDICT_OK)
        return b->first_verdict;
    if (!str_has_suffix_nocase(login->authcid, STR(".cert")))
        return SASL_VERDICT_BAD;
    return identify(str_sub(login->authcid, 0, login->authcid.len - 5), out_identity);
}

static enum sasl_verdict note_success(void *ctx, const struct sasl_login *login,
                                      struct sasl_identity *out_identity)
{
    struct check_backend *b = ctx;

    b->successes++;
    note(b, login, STR(""));
    return identify(login->authcid, out_identity);
}

static enum sasl_verdict note_failure(void *ctx, const struct sasl_login *login)
{
    struct check_backend *b = ctx;

    b->failures++;
    note(b, login, STR(""));
    return b->failure_verdict;
}

static enum sasl_verdict check_authzid(void *ctx UNUSED, const struct sasl_login *login,
                                       struct sasl_identity *in_out_identity)
{
    if (str_eq_c(login->authzid, "later@example.jp"))
        return SASL_VERDICT_TEMPORARY;
    if (in_out_identity->account_id != 1 || !str_eq_c(login->authzid, "office@example.jp"))
        return SASL_VERDICT_BAD;
    in_out_identity->account_id = 100;
    ASSERT(str_copy(login->authzid, in_out_identity->address, sizeof(in_out_identity->address)));
    return SASL_VERDICT_OK;
}

const struct sasl_backend CHECK_BACKEND = {
    .check_password = check_password,
    .get_scram_keys = get_scram_keys,
    .get_cram_secret = get_cram_secret,
    .check_token = check_token,
    .check_certificate = check_certificate,
    .note_success = note_success,
    .note_failure = note_failure,
    .check_authzid = check_authzid,
};

struct sasl_bindings check_bindings_full(void)
{
    return (struct sasl_bindings){
        .data = {[SASL_BINDING_TLS_EXPORTER] = STR("0123456789abcdef0123456789abcdef"),
                 [SASL_BINDING_TLS_SERVER_END_POINT] = STR("hash of the certificate")}};
}

struct sasl_offer check_offer_full(void)
{
    return (struct sasl_offer){.enabled = CHECK_ALL_MECHANISMS,
                               .is_encrypted = true,
                               .bindings = check_bindings_full(),
                               .certificate_names = STR("taro.cert hanako.cert"),
                               .oauth_scope = STR("mail"),
                               .oauth_discovery = STR("https://id.example.jp/oidc")};
}

void check_put_line(const char *text, struct buf *out)
{
    CLEANUP(buf_done) struct buf bytes;
    struct str line = str_from_c(text);

    buf_reset(out);
    if (str_has_prefix(line, STR("raw:"))) {
        buf_put_str(out, str_sub(line, 4, line.len));
        return;
    }
    buf_init(&bytes, 2 * SASL_LINE_MAX_BYTES);
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i] == '^' ? '\x01' : line.ptr[i];
        buf_put_char(&bytes, c == '|' ? '\0' : c);
    }
    sasl_base64_put(buf_str(&bytes), out);
}
