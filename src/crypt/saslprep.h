/*
 * SASLprep (RFC 4013): user names and passwords made comparable, so that a password typed with
 * composed or decomposed letters, in full or half width, is one password.
 *
 * A profile of stringprep (RFC 3454, Unicode 3.2), by libidn. Letters keep their case. What is all
 * printable ASCII comes out as it went in and touches no library.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/*
 * RFC 3454 section 7: what is kept must have no unassigned code points, what is compared with it
 * may. We take SASLPREP_QUERY for new passwords too, because letters that came after Unicode 3.2
 * (emoji) would be refused otherwise; they are left as they are.
 */
enum saslprep_kind { SASLPREP_QUERY, SASLPREP_STORED };

enum { SASLPREP_MAX_BYTES = 1000, SASLPREP_OUT_MAX_BYTES = 12 * SASLPREP_MAX_BYTES };

/*
 * Appends the prepared text to `out`: 0, or -EINVAL when the text is longer than
 * SASLPREP_MAX_BYTES, is no UTF-8, holds NUL or something else prohibited, mixes directions of
 * writing, or nothing is left of it; -EMSGSIZE when `out` is full. SASLPREP_OUT_MAX_BYTES are room
 * for everything.
 */
MUST_CHECK int saslprep(struct str text, enum saslprep_kind kind, struct buf *out);
