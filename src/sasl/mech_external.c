/* EXTERNAL (RFC 4422 appendix A): the client's certificate says who it is, the response whom it
 * wants to act as. */
#include "sasl/server_mech.h"

static enum sasl_outcome step(struct sasl_server *s, struct str response)
{
    if (!sasl_server_keep_names(s, s->offer.certificate_name, response))
        return sasl_server_fail(s, SASL_REASON_MALFORMED);
    struct sasl_login login = sasl_server_login(s);
    return sasl_server_settle(s, s->backend->check_certificate(s->ctx, &login, &s->identity));
}

const struct sasl_server_mech sasl_mech_external = {.step = step};
