/*
 * PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195) at the server, by GNU SASL: it reads the messages
 * and asks here for what it needs; here stand the limits, SASLprep, and the way to the backend.
 */
#include <stdlib.h>
#include <string.h>

#include "crypt/saslprep.h"
#include "crypt/secret.h"
#include "sasl/gsasl_context.h"
#include "sasl/server_mech.h"

struct gsasl_state {
    Gsasl_session *session;
    struct sasl_gsasl_hook hook;
    bool was_asked;
    enum sasl_verdict verdict; /* of the backend, when it was asked */
};

static struct str property_of(Gsasl_session *session, Gsasl_property property)
{
    return str_from_c(gsasl_property_fast(session, property));
}

static bool keep_names(struct sasl_server *s, Gsasl_session *session)
{
    struct str authcid = property_of(session, GSASL_AUTHID);

    return authcid.len > 0 &&
           sasl_server_keep_names(s, authcid, property_of(session, GSASL_AUTHZID));
}

static int check_password(struct sasl_server *s, Gsasl_session *session)
{
    CLEANUP(secret_wipe_buf) struct buf password;
    struct gsasl_state *state = s->state;

    buf_init(&password, SASL_PASSWORD_MAX_BYTES);
    if (!keep_names(s, session) ||
        saslprep(property_of(session, GSASL_PASSWORD), SASLPREP_QUERY, &password) < 0)
        return GSASL_SASLPREP_ERROR;
    struct sasl_login login = sasl_server_login(s);
    state->was_asked = true;
    state->verdict = s->backend->check_password(s->ctx, &login, buf_str(&password), &s->identity);
    return state->verdict == SASL_VERDICT_OK ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static int give_secret(struct sasl_server *s, Gsasl_session *session)
{
    CLEANUP(secret_wipe_buf) struct buf secret;
    struct gsasl_state *state = s->state;

    buf_init(&secret, SASL_PASSWORD_MAX_BYTES);
    ASSERT(buf_reserve(&secret, SASL_PASSWORD_MAX_BYTES) != NULL);
    if (!keep_names(s, session))
        return GSASL_SASLPREP_ERROR;
    struct sasl_login login = sasl_server_login(s);
    state->was_asked = true;
    state->verdict = s->backend->get_cram_secret(s->ctx, &login, &secret);
    if (state->verdict != SASL_VERDICT_OK)
        return GSASL_AUTHENTICATION_ERROR;
    return gsasl_property_set_raw(session, GSASL_PASSWORD, secret.ptr, secret.len);
}

static int answer(void *owner, Gsasl_session *session, int property)
{
    if (property == GSASL_VALIDATE_SIMPLE)
        return check_password(owner, session);
    return property == GSASL_PASSWORD ? give_secret(owner, session) : GSASL_NO_CALLBACK;
}

static void begin(struct sasl_server *s)
{
    struct gsasl_state *state = xcalloc(1, sizeof(*state));

    state->hook = (struct sasl_gsasl_hook){.answer = answer, .owner = s};
    state->session = sasl_gsasl_start(sasl_mechanism_name(s->mechanism).ptr, true, &state->hook);
    s->state = state;
}

static void end(struct sasl_server *s)
{
    struct gsasl_state *state = s->state;

    sasl_gsasl_finish(state->session);
    free(state);
}

/* The library compared the proof; the backend is told, and has the last word. */
static enum sasl_outcome settle_proof(struct sasl_server *s, bool is_right)
{
    struct sasl_login login = sasl_server_login(s);

    if (is_right)
        return sasl_server_settle(s, s->backend->note_success(s->ctx, &login, &s->identity));
    enum sasl_verdict verdict = s->backend->note_failure(s->ctx, &login);
    return sasl_server_settle(s, verdict == SASL_VERDICT_OK ? SASL_VERDICT_BAD : verdict);
}

static enum sasl_outcome step(struct sasl_server *s, struct str response)
{
    struct gsasl_state *state = s->state;
    bool is_first_challenge =
        s->step_count == 0 && (sasl_mechanism_traits(s->mechanism) & SASL_TRAIT_SERVER_FIRST) != 0;

    /* The library would wait for more. */
    if (response.len == 0 && !is_first_challenge)
        return sasl_server_fail(s, SASL_REASON_MALFORMED);
    int rc = sasl_gsasl_step(state->session, response, &s->challenge);
    if (rc == GSASL_NEEDS_MORE)
        return SASL_CONTINUE;
    if (!state->was_asked)
        return sasl_server_fail(s, SASL_REASON_MALFORMED);
    if (s->mechanism == SASL_CRAM_MD5 && state->verdict == SASL_VERDICT_OK)
        return settle_proof(s, rc == GSASL_OK);
    return sasl_server_settle(s, state->verdict);
}

const struct sasl_server_mech sasl_mech_gsasl = {.begin = begin, .step = step, .end = end};
