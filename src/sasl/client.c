/* The client's side: see client.h. */
#include "sasl/client.h"

#include <stdlib.h>
#include <string.h>

#include "crypt/saslprep.h"
#include "crypt/secret.h"
#include "sasl/backend.h"
#include "sasl/base64.h"
#include "sasl/gsasl_context.h"
#include "sasl/scram.h"

enum { CLIENT_NONCE_RANDOM_BYTES = 24 };

struct sasl_client {
    struct sasl_client_login login;
    enum sasl_mechanism mechanism;
    unsigned step_count; /* challenges that were answered */
    bool is_under_way;
    bool is_complete; /* all was said, and the server has proved what it has to */
    const char *problem;
    Gsasl_session *session; /* PLAIN, LOGIN */
    struct sasl_gsasl_hook hook;
    struct scram_exchange exchange;
    struct buf challenge;               /* decoded */
    struct buf answer;                  /* not yet coded */
    struct buf name, authzid, password; /* prepared, for SCRAM */
};

static bool is_scram(enum sasl_mechanism mechanism)
{
    unsigned set = SASL_SET(SASL_SCRAM_SHA_256_PLUS) | SASL_SET(SASL_SCRAM_SHA_1_PLUS) |
                   SASL_SET(SASL_SCRAM_SHA_256) | SASL_SET(SASL_SCRAM_SHA_1);

    return (set & SASL_SET(mechanism)) != 0;
}

static bool may_use(const struct sasl_client_login *login, enum sasl_mechanism mechanism)
{
    unsigned traits = sasl_mechanism_traits(mechanism);

    if (is_scram(mechanism))
        return (traits & SASL_TRAIT_BINDING) == 0 || sasl_bindings_are_there(&login->bindings);
    return (mechanism == SASL_PLAIN || mechanism == SASL_LOGIN) &&
           (login->is_encrypted || login->may_plaintext_unencrypted);
}

bool sasl_client_choose(const struct sasl_client_login *login, unsigned offered,
                        enum sasl_mechanism *out_mechanism)
{
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        if ((offered & SASL_SET(i)) == 0 || !may_use(login, i))
            continue;
        *out_mechanism = i;
        return true;
    }
    return false;
}

struct sasl_client *sasl_client_new(const struct sasl_client_login *login)
{
    struct sasl_client *c = xcalloc(1, sizeof(*c));

    c->login = *login;
    c->problem = "";
    buf_init(&c->challenge, SASL_CLIENT_LINE_MAX_BYTES / 4 * 3);
    buf_init(&c->answer, SASL_CLIENT_LINE_MAX_BYTES / 4 * 3);
    buf_init(&c->name, SASL_NAME_MAX_BYTES);
    buf_init(&c->authzid, SASL_NAME_MAX_BYTES);
    buf_init(&c->password, SASLPREP_OUT_MAX_BYTES);
    return c;
}

static void end(struct sasl_client *c)
{
    if (c->session != NULL)
        sasl_gsasl_finish(c->session);
    c->session = NULL;
    scram_exchange_done(&c->exchange);
    c->is_under_way = false;
    secret_wipe_buf(&c->challenge);
    secret_wipe_buf(&c->answer);
    secret_wipe_buf(&c->password);
    buf_reset(&c->name);
    buf_reset(&c->authzid);
}

void sasl_client_free(struct sasl_client *c)
{
    if (c == NULL)
        return;
    end(c);
    buf_done(&c->name);
    buf_done(&c->authzid);
    free(c);
}

static enum sasl_client_outcome cancel(struct sasl_client *c, const char *problem)
{
    end(c);
    c->is_complete = false;
    c->problem = problem;
    return SASL_CLIENT_CANCEL;
}

/* The answer, coded; to be called with what was put into c->answer. */
static enum sasl_client_outcome send_answer(struct sasl_client *c, struct buf *out_line)
{
    ASSERT(buf_status(&c->answer) == 0);
    secret_reset_buf(out_line);
    sasl_base64_put(buf_str(&c->answer), out_line);
    secret_reset_buf(&c->answer);
    ASSERT(buf_status(out_line) == 0);
    return SASL_CLIENT_SEND;
}

static int give(Gsasl_session *session, Gsasl_property property, struct str value)
{
    return gsasl_property_set_raw(session, property, value.ptr, value.len);
}

static int answer_gsasl(void *owner, Gsasl_session *session, int property)
{
    const struct sasl_client *c = owner;

    if (property == GSASL_AUTHID)
        return give(session, GSASL_AUTHID, c->login.authcid);
    if (property == GSASL_PASSWORD)
        return give(session, GSASL_PASSWORD, c->login.password);
    if (property == GSASL_AUTHZID && c->login.authzid.len > 0)
        return give(session, GSASL_AUTHZID, c->login.authzid);
    return GSASL_NO_CALLBACK;
}

static enum sasl_client_outcome step_gsasl(struct sasl_client *c, struct buf *out_line)
{
    struct str challenge = buf_str(&c->challenge);
    int rc = sasl_gsasl_step(c->session, challenge, &c->answer);

    if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
        return cancel(c, gsasl_strerror(rc));
    c->is_complete = rc == GSASL_OK;
    return send_answer(c, out_line);
}

static enum sasl_client_outcome start_gsasl(struct sasl_client *c, struct buf *out_line)
{
    c->hook = (struct sasl_gsasl_hook){.answer = answer_gsasl, .owner = c};
    c->session = sasl_gsasl_start(sasl_mechanism_name(c->mechanism).ptr, false, &c->hook);
    return c->mechanism == SASL_LOGIN ? SASL_CLIENT_WAIT : step_gsasl(c, out_line);
}

static bool prepare(struct sasl_client *c)
{
    struct str authzid = c->login.authzid;

    ASSERT(buf_reserve(&c->password, SASLPREP_OUT_MAX_BYTES) != NULL);
    return saslprep(c->login.authcid, SASLPREP_QUERY, &c->name) == 0 &&
           (authzid.len == 0 || saslprep(authzid, SASLPREP_QUERY, &c->authzid) == 0) &&
           saslprep(c->login.password, SASLPREP_QUERY, &c->password) == 0;
}

/* RFC 5802 section 6: "y" tells the server what we believe, so that it finds out who took -PLUS
 * away from its offer. */
static void choose_binding(const struct sasl_client *c, unsigned offered,
                           struct scram_client_start *start)
{
    unsigned plus = SASL_SET(SASL_SCRAM_SHA_256_PLUS) | SASL_SET(SASL_SCRAM_SHA_1_PLUS);
    bool can_bind = sasl_bindings_are_there(&c->login.bindings);

    start->flag = can_bind && (offered & plus) == 0 ? GS2_BINDING_UNUSED : GS2_NO_BINDING;
    if ((sasl_mechanism_traits(c->mechanism) & SASL_TRAIT_BINDING) == 0)
        return;
    start->flag = GS2_BINDING_USED;
    for (unsigned i = SASL_BINDING_COUNT; i-- > 0;) {
        if (c->login.bindings.data[i].len == 0)
            continue;
        start->binding_name = sasl_binding_name(i);
        start->binding_data = c->login.bindings.data[i];
    }
}

static enum sasl_client_outcome start_scram(struct sasl_client *c, unsigned offered,
                                            struct buf *out_line)
{
    CLEANUP(buf_done) struct buf nonce;
    uint8_t random[CLIENT_NONCE_RANDOM_BYTES];
    bool is_sha_256 = (sasl_mechanism_traits(c->mechanism) & SASL_TRAIT_SHA_256) != 0;

    buf_init(&nonce, SCRAM_CLIENT_NONCE_MAX_BYTES);
    if (!prepare(c))
        return cancel(c, "name or password hold characters that SASLprep forbids");
    secret_random(random, sizeof(random));
    sasl_base64_put(str_from_mem(random, sizeof(random)), &nonce);
    struct scram_client_start start = {
        .name = buf_str(&c->name), .authzid = buf_str(&c->authzid), .nonce = buf_str(&nonce)};
    choose_binding(c, offered, &start);
    scram_exchange_init(&c->exchange, is_sha_256 ? SCRAM_SHA_256 : SCRAM_SHA_1);
    scram_client_begin(&c->exchange, &start, &c->answer);
    return send_answer(c, out_line);
}

static const char *problem_of(enum scram_check check)
{
    static const char *const problems[] = {
        [SCRAM_OK] = "",
        [SCRAM_MALFORMED] = "the server's message is not one of SCRAM",
        [SCRAM_WRONG_NONCE] = "the server answers another login",
        [SCRAM_WRONG_BINDING] = "the server has another TLS connection",
        [SCRAM_WRONG_PROOF] = "the server does not know the password",
        [SCRAM_BAD_COST] = "the server asks for too few or too many iterations",
        [SCRAM_REFUSED] = "the server refuses the proof",
    };

    return problems[check];
}

static enum sasl_client_outcome step_scram(struct sasl_client *c, struct buf *out_line)
{
    struct str challenge = buf_str(&c->challenge);
    enum scram_check check = SCRAM_MALFORMED;

    if (c->step_count == 0)
        check = scram_client_answer(&c->exchange, challenge, buf_str(&c->password), &c->answer);
    if (c->step_count == 1)
        check = scram_client_check(&c->exchange, challenge);
    if (check != SCRAM_OK)
        return cancel(c, problem_of(check));
    c->is_complete = c->step_count == 1;
    return send_answer(c, out_line);
}

enum sasl_client_outcome sasl_client_start(struct sasl_client *c, enum sasl_mechanism mechanism,
                                           unsigned offered, struct buf *out_line)
{
    ASSERT(out_line->max >= SASL_CLIENT_LINE_MAX_BYTES);
    end(c);
    c->mechanism = mechanism;
    c->step_count = 0;
    c->is_complete = false;
    c->problem = "";
    if (!may_use(&c->login, mechanism))
        return cancel(c, "the mechanism may not be used on this connection");
    if (c->login.authcid.len == 0 || c->login.authcid.len > SASL_NAME_MAX_BYTES ||
        c->login.authzid.len > SASL_NAME_MAX_BYTES)
        return cancel(c, "the name is empty or too long");
    if (c->login.password.len == 0 || c->login.password.len > SASL_PASSWORD_MAX_BYTES)
        return cancel(c, "the password is empty or too long");
    c->is_under_way = true;
    return is_scram(mechanism) ? start_scram(c, offered, out_line) : start_gsasl(c, out_line);
}

enum sasl_client_outcome sasl_client_step(struct sasl_client *c, struct str challenge,
                                          struct buf *out_line)
{
    ASSERT(c->is_under_way && out_line->max >= SASL_CLIENT_LINE_MAX_BYTES);
    if (c->is_complete)
        return cancel(c, "the server asks for more than the mechanism has");
    buf_reset(&c->challenge);
    if (challenge.len > SASL_CLIENT_LINE_MAX_BYTES ||
        sasl_base64_take(challenge, &c->challenge) < 0)
        return cancel(c, "the server's challenge is not base64");
    enum sasl_client_outcome outcome =
        c->session != NULL ? step_gsasl(c, out_line) : step_scram(c, out_line);
    c->step_count++;
    return outcome;
}

bool sasl_client_is_done(struct sasl_client *c)
{
    if (c->is_complete)
        return true;
    if (c->problem[0] == '\0')
        c->problem = is_scram(c->mechanism) ? "the server has not proved that it knows the password"
                                            : "the server did not wait for the password";
    return false;
}

const char *sasl_client_problem(const struct sasl_client *c)
{
    return c->problem;
}
