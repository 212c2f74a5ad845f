/*
 * OAUTHBEARER (RFC 7628) and XOAUTH2: a token that somebody else gave, checked by the backend.
 *
 * A token that is not good is answered with a challenge that says what would be; the client's
 * answer to that is not looked at, and ends the exchange (RFC 7628 section 3.2.3).
 */
#include "sasl/gs2.h"
#include "sasl/oauth.h"
#include "sasl/server_mech.h"

static int read_message(const struct sasl_server *s, struct str response, struct oauth_message *out)
{
    return s->mechanism == SASL_OAUTHBEARER ? oauth_read_bearer(response, out)
                                            : oauth_read_xoauth2(response, out);
}

/* The name that the client claims is kept as the authzid: the account is the token's. */
static bool keep_claim(struct sasl_server *s, struct str written)
{
    CLEANUP(buf_done) struct buf name;

    buf_init(&name, SASL_NAME_MAX_BYTES);
    if (s->mechanism == SASL_XOAUTH2)
        return sasl_server_keep_names(s, STR(""), written);
    if (written.len > 0 && gs2_name_take(written, &name) < 0)
        return false;
    return sasl_server_keep_names(s, STR(""), buf_str(&name));
}

static enum sasl_outcome check(struct sasl_server *s, struct str token)
{
    struct sasl_login login = sasl_server_login(s);

    if (token.len == 0)
        return sasl_server_fail(s, SASL_REASON_CREDENTIALS);
    return sasl_server_settle(s, s->backend->check_token(s->ctx, &login, token, &s->identity));
}

static enum sasl_outcome step(struct sasl_server *s, struct str response)
{
    struct oauth_message message;

    if (s->step_count > 0)
        return sasl_server_fail(s, s->reason);
    if (read_message(s, response, &message) < 0 || message.token.len > SASL_TOKEN_MAX_BYTES ||
        !keep_claim(s, message.name))
        return sasl_server_fail(s, SASL_REASON_MALFORMED);
    enum sasl_outcome outcome = check(s, message.token);
    if (outcome != SASL_FAILED || s->reason == SASL_REASON_TOO_MANY)
        return outcome;
    if (s->mechanism == SASL_OAUTHBEARER)
        oauth_put_bearer_error(s->offer.oauth_scope, s->offer.oauth_discovery, &s->challenge);
    else
        oauth_put_xoauth2_error(s->offer.oauth_scope, &s->challenge);
    return SASL_CONTINUE;
}

const struct sasl_server_mech sasl_mech_oauth = {.step = step};
