/*
 * A user's name outside: made of the account's address by a template, escaped for where it goes.
 *
 * In a template %u is the part before the @, %d the domain (in A-labels), %a the whole address and
 * %% a percent sign; all as the store looks accounts up, in lower case. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* Views into the address. */
struct outside_name {
    struct str address, user, domain;
};
/* Of the last @; what has none is a user without a domain. */
struct outside_name outside_name_of(struct str address);

/* Where a name is put, and so what has a meaning there that it must not have in a name. */
enum name_place {
    NAME_IN_DN,     /* an attribute's value in a distinguished name: RFC 4514 section 2.4 */
    NAME_IN_FILTER, /* an assertion value in a search filter: RFC 4515 section 3 */
};
/* Appends the template, which the settings have checked, with the name put in. 0, or -EMSGSIZE. */
MUST_CHECK int name_expand(struct str template, struct str address, enum name_place place,
                           struct buf *out);
