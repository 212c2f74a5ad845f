/* The server's side, from lines to mechanisms and back: see server.h. */
#include "sasl/server.h"

#include <stdlib.h>
#include <string.h>

#include "crypt/saslprep.h"
#include "crypt/secret.h"
#include "sasl/base64.h"
#include "sasl/server_mech.h"

enum {
    SASL_RESPONSE_MAX_BYTES = SASL_LINE_MAX_BYTES / 4 * 3,
    SASL_RAW_CHALLENGE_MAX_BYTES = SASL_CHALLENGE_MAX_BYTES / 4 * 3,
    SASL_BINDING_MAX_BYTES = 512,
};

static const struct sasl_server_mech *const MECHS[SASL_MECHANISM_COUNT] = {
    [SASL_EXTERNAL] = &sasl_mech_external,
    [SASL_SCRAM_SHA_256_PLUS] = &sasl_mech_scram,
    [SASL_SCRAM_SHA_1_PLUS] = &sasl_mech_scram,
    [SASL_SCRAM_SHA_256] = &sasl_mech_scram,
    [SASL_SCRAM_SHA_1] = &sasl_mech_scram,
    [SASL_OAUTHBEARER] = &sasl_mech_oauth,
    [SASL_XOAUTH2] = &sasl_mech_oauth,
    [SASL_CRAM_MD5] = &sasl_mech_gsasl,
    [SASL_PLAIN] = &sasl_mech_gsasl,
    [SASL_LOGIN] = &sasl_mech_gsasl,
};

static const char *const REASONS[] = {
    [SASL_REASON_NONE] = "none",
    [SASL_REASON_CREDENTIALS] = "credentials",
    [SASL_REASON_AUTHZID] = "authorization-identity",
    [SASL_REASON_NEEDS_APP_PASSWORD] = "needs-app-password",
    [SASL_REASON_TOO_MANY] = "too-many",
    [SASL_REASON_BINDING] = "channel-binding",
    [SASL_REASON_BINDING_TYPE] = "channel-binding-type",
    [SASL_REASON_MECHANISM] = "mechanism",
    [SASL_REASON_ENCRYPTION] = "not-encrypted",
    [SASL_REASON_INITIAL_RESPONSE] = "initial-response",
    [SASL_REASON_ENCODING] = "encoding",
    [SASL_REASON_MALFORMED] = "malformed",
    [SASL_REASON_CERTIFICATE] = "certificate",
    [SASL_REASON_TOO_LONG] = "too-long",
    [SASL_REASON_CANCELLED] = "cancelled",
};

const char *sasl_reason_text(enum sasl_reason reason)
{
    ASSERT((size_t)reason < ARRAY_LEN(REASONS));
    return REASONS[reason];
}

static bool is_possible(const struct sasl_offer *offer, enum sasl_mechanism mechanism)
{
    unsigned traits = sasl_mechanism_traits(mechanism);

    if ((offer->enabled & SASL_SET(mechanism)) == 0)
        return false;
    return (traits & SASL_TRAIT_BINDING) == 0 || sasl_bindings_are_there(&offer->bindings);
}

/* EXTERNAL is not offered without a certificate, but who tries it hears what is missing. */
static bool lacks_certificate(const struct sasl_offer *offer, enum sasl_mechanism mechanism)
{
    return mechanism == SASL_EXTERNAL && offer->certificate_names.len == 0;
}

static bool is_safe(const struct sasl_offer *offer, enum sasl_mechanism mechanism)
{
    return offer->is_encrypted || offer->may_plaintext_unencrypted ||
           (sasl_mechanism_traits(mechanism) & SASL_TRAIT_PLAINTEXT) == 0;
}

unsigned sasl_offer_mechanisms(const struct sasl_offer *offer)
{
    unsigned set = 0;

    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        if (is_possible(offer, i) && is_safe(offer, i) && !lacks_certificate(offer, i))
            set |= SASL_SET(i);
    }
    return set;
}

struct sasl_server *sasl_server_new(const struct sasl_offer *offer,
                                    const struct sasl_backend *backend, void *ctx)
{
    struct sasl_server *s = xcalloc(1, sizeof(*s));

    for (unsigned i = 0; i < SASL_BINDING_COUNT; i++)
        ASSERT(offer->bindings.data[i].len <= SASL_BINDING_MAX_BYTES);
    s->offer = *offer;
    s->backend = backend;
    s->ctx = ctx;
    buf_init(&s->authcid, SASL_NAME_MAX_BYTES);
    buf_init(&s->authzid, SASL_NAME_MAX_BYTES);
    buf_init(&s->response, SASL_RESPONSE_MAX_BYTES);
    buf_init(&s->challenge, SASL_RAW_CHALLENGE_MAX_BYTES);
    return s;
}

/* What is only of use while it is under way. */
static void end(struct sasl_server *s)
{
    if (s->mech != NULL && s->mech->end != NULL)
        s->mech->end(s);
    s->mech = NULL;
    s->state = NULL;
    secret_wipe_buf(&s->response);
    secret_wipe_buf(&s->challenge);
}

void sasl_server_free(struct sasl_server *s)
{
    if (s == NULL)
        return;
    end(s);
    buf_done(&s->authcid);
    buf_done(&s->authzid);
    free(s);
}

enum sasl_outcome sasl_server_fail(struct sasl_server *s, enum sasl_reason reason)
{
    s->reason = reason;
    return SASL_FAILED;
}

static bool keep_name(struct str name, struct buf *out)
{
    buf_reset(out);
    return name.len == 0 || saslprep(name, SASLPREP_QUERY, out) == 0;
}

bool sasl_server_keep_names(struct sasl_server *s, struct str authcid, struct str authzid)
{
    return keep_name(authcid, &s->authcid) && keep_name(authzid, &s->authzid);
}

struct sasl_login sasl_server_login(const struct sasl_server *s)
{
    return (struct sasl_login){.mechanism = s->mechanism,
                               .authcid = buf_str(&s->authcid),
                               .authzid = buf_str(&s->authzid)};
}

/* RFC 4422 section 3.4.1: whether who logged in may act as the one that was named. */
static enum sasl_outcome authorize(struct sasl_server *s)
{
    struct sasl_login login = sasl_server_login(s);

    if (login.authzid.len == 0 || str_eq_nocase(login.authzid, login.authcid) ||
        str_eq_nocase(login.authzid, str_from_c(s->identity.address)))
        return SASL_DONE;
    if (s->backend->check_authzid == NULL)
        return sasl_server_fail(s, SASL_REASON_AUTHZID);
    enum sasl_verdict verdict = s->backend->check_authzid(s->ctx, &login, &s->identity);
    if (verdict == SASL_VERDICT_OK)
        return SASL_DONE;
    if (verdict == SASL_VERDICT_TEMPORARY)
        return SASL_TEMPORARY;
    return sasl_server_fail(s, SASL_REASON_AUTHZID);
}

enum sasl_outcome sasl_server_settle(struct sasl_server *s, enum sasl_verdict verdict)
{
    switch (verdict) {
    case SASL_VERDICT_OK:
        return authorize(s);
    case SASL_VERDICT_NEEDS_APP_PASSWORD:
        return sasl_server_fail(s, SASL_REASON_NEEDS_APP_PASSWORD);
    case SASL_VERDICT_TOO_MANY:
        return sasl_server_fail(s, SASL_REASON_TOO_MANY);
    case SASL_VERDICT_TEMPORARY:
        return SASL_TEMPORARY;
    case SASL_VERDICT_BAD:
        break;
    }
    return sasl_server_fail(s, SASL_REASON_CREDENTIALS);
}

/* Hands a decoded response to the mechanism, and codes its challenge. */
static enum sasl_outcome run(struct sasl_server *s, struct str response, struct buf *out_challenge)
{
    secret_reset_buf(&s->challenge);
    enum sasl_outcome outcome = s->mech->step(s, response);
    s->step_count++;
    if (outcome != SASL_CONTINUE) {
        end(s);
        s->is_done = outcome == SASL_DONE;
        return outcome;
    }
    ASSERT(buf_status(&s->challenge) == 0);
    buf_reset(out_challenge);
    sasl_base64_put(buf_str(&s->challenge), out_challenge);
    ASSERT(buf_status(out_challenge) == 0);
    return SASL_CONTINUE;
}

static enum sasl_outcome refuse(struct sasl_server *s, enum sasl_reason reason)
{
    end(s);
    return sasl_server_fail(s, reason);
}

static enum sasl_outcome take(struct sasl_server *s, struct str text, struct buf *out_challenge)
{
    if (text.len > SASL_LINE_MAX_BYTES)
        return refuse(s, SASL_REASON_TOO_LONG);
    secret_reset_buf(&s->response);
    if (sasl_base64_take(text, &s->response) < 0)
        return refuse(s, SASL_REASON_ENCODING);
    enum sasl_outcome outcome = run(s, buf_str(&s->response), out_challenge);
    secret_reset_buf(&s->response);
    return outcome;
}

/* LOGIN begins with a challenge; clients send the name along nevertheless, and are let. */
static enum sasl_outcome begin(struct sasl_server *s, struct str initial, struct buf *out_challenge)
{
    bool is_server_first = (sasl_mechanism_traits(s->mechanism) & SASL_TRAIT_SERVER_FIRST) != 0;
    bool has_initial = initial.ptr != NULL;

    if (is_server_first && has_initial && s->mechanism != SASL_LOGIN)
        return refuse(s, SASL_REASON_INITIAL_RESPONSE);
    if (is_server_first) {
        enum sasl_outcome outcome = run(s, STR(""), out_challenge);
        if (outcome != SASL_CONTINUE || !has_initial)
            return outcome;
    }
    if (!has_initial) {
        buf_reset(out_challenge);
        return SASL_CONTINUE;
    }
    if (str_eq(initial, STR("=")))
        initial = STR("");
    return take(s, initial, out_challenge);
}

enum sasl_outcome sasl_server_start(struct sasl_server *s, struct str mechanism, struct str initial,
                                    struct buf *out_challenge)
{
    ASSERT(out_challenge->max >= SASL_CHALLENGE_MAX_BYTES);
    end(s);
    s->reason = SASL_REASON_NONE;
    s->is_done = false;
    s->identity = (struct sasl_identity){.account_id = 0};
    s->step_count = 0;
    buf_reset(&s->authcid);
    buf_reset(&s->authzid);
    if (!sasl_mechanism_find(mechanism, &s->mechanism) || !is_possible(&s->offer, s->mechanism))
        return sasl_server_fail(s, SASL_REASON_MECHANISM);
    if (!is_safe(&s->offer, s->mechanism))
        return sasl_server_fail(s, SASL_REASON_ENCRYPTION);
    if (lacks_certificate(&s->offer, s->mechanism))
        return sasl_server_fail(s, SASL_REASON_CERTIFICATE);
    s->mech = MECHS[s->mechanism];
    if (s->mech->begin != NULL)
        s->mech->begin(s);
    return begin(s, initial, out_challenge);
}

enum sasl_outcome sasl_server_step(struct sasl_server *s, struct str line,
                                   struct buf *out_challenge)
{
    ASSERT(s->mech != NULL && out_challenge->max >= SASL_CHALLENGE_MAX_BYTES);
    if (str_eq(line, STR("*")))
        return refuse(s, SASL_REASON_CANCELLED);
    return take(s, line, out_challenge);
}

enum sasl_reason sasl_server_reason(const struct sasl_server *s)
{
    return s->reason;
}

enum sasl_mechanism sasl_server_mechanism(const struct sasl_server *s)
{
    return s->mechanism;
}

struct str sasl_server_authcid(const struct sasl_server *s)
{
    return s->authcid.len > 0 ? buf_str(&s->authcid) : buf_str(&s->authzid);
}

const struct sasl_identity *sasl_server_identity(const struct sasl_server *s)
{
    ASSERT(s->is_done);
    return &s->identity;
}
