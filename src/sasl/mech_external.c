/*
 * EXTERNAL (RFC 4422 appendix A): the client's certificate says who it is, the response whom it
 * wants to act as.
 *
 * A certificate may have several names: the one that the response says, if it is among them, else
 * the first.
 */
#include "sasl/server_mech.h"

static struct str choose_name(struct str names, struct str wanted)
{
    struct str rest, name, first;

    (void)str_cut(names, ' ', &first, &rest);
    rest = names;
    while (rest.len > 0) {
        (void)str_cut(rest, ' ', &name, &rest);
        if (str_eq_nocase(name, wanted))
            return name;
    }
    return first;
}

static enum sasl_outcome step(struct sasl_server *s, struct str response)
{
    if (!sasl_server_keep_names(s, choose_name(s->offer.certificate_names, response), response))
        return sasl_server_fail(s, SASL_REASON_MALFORMED);
    struct sasl_login login = sasl_server_login(s);
    return sasl_server_settle(s, s->backend->check_certificate(s->ctx, &login, &s->identity));
}

const struct sasl_server_mech sasl_mech_external = {.step = step};
