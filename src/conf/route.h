/*
 * Which route and which destination section of the configuration a piece of mail falls under.
 *
 * Pure lookups in struct settings: the first section in the order of the file that matches. Names
 * are compared with ASCII case folded and as they are: the caller brings domains as A-labels,
 * without a final dot.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "conf/settings.h"

/* "example.org" matches itself, "*.example.org" all names below it and not itself, "*" any name. */
bool route_pattern_matches(struct str pattern, struct str name);

/* The first route that takes mail from `sender` (a printed mailbox "user@example.org", "" for the
 * null sender) to `domain`; NULL: none, mail goes by MX. */
const struct settings_route *route_find(const struct settings *s, struct str sender,
                                        struct str domain);

/* The first route at index `from` or behind it that takes mail to `domain` from some sender; NULL:
 * there is none. */
const struct settings_route *route_next(const struct settings *s, size_t from, struct str domain);

/* The first destination section that names the recipient domain, or the host of an MX record; NULL:
 * none, the limits of outbound hold. */
const struct settings_destination *destination_find_domain(const struct settings *s,
                                                           struct str domain);
const struct settings_destination *destination_find_mx(const struct settings *s, struct str host);
