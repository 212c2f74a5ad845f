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
