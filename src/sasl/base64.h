/*
 * The base64 of SASL (RFC 4648 section 4), as SMTP, IMAP, POP3 and SCRAM want it: canonical,
 * without blanks and line ends, padded; anything else is refused and nothing is ignored (RFC 4954
 * section 4).
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* Appends the text of the bytes; base64 of nothing is nothing. */
void sasl_base64_put(struct str bytes, struct buf *out);

/*
 * Appends the bytes of the text, after reserving room for all of them: 0, -EINVAL when it is not
 * canonical base64 (then nothing is appended), -EMSGSIZE when `out` is full.
 */
MUST_CHECK int sasl_base64_take(struct str text, struct buf *out);
