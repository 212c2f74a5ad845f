/*
 * Address lists of header fields (RFC 5322 section 3.4 with the obsolete forms of section 4.4), as
 * IMAP's ENVELOPE shows them: groups have start and end marks, comments become names, what is
 * missing is called MISSING_MAILBOX, MISSING_DOMAIN, SYNTAX_ERROR or INVALID_ROUTE.
 *
 * Reads any bytes: what is broken is shown as far as it goes, and ends the list where no comma
 * follows. Nothing is decoded (RFC 2047) or normalised. Addresses of the envelope: see address.h.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/summary.h"

/* The body of the field, folded or not; at most `max` mailboxes, a group's marks counted as two.
 * Texts are copied into `arena`; NULL when there is none. */
struct summary_mailbox *addrlist_parse(struct str body, size_t max, struct arena *arena);
