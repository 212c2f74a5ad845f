/* The base64url of JOSE (RFC 7515 section 2, RFC 4648 section 5): without padding, and canonical:
 * one text for the same bytes, so that a token that was changed anywhere is another token. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* Appends the bytes of the text: 0; -EINVAL when it is not such a text; -EMSGSIZE when `out` is
 * full. After an error what was appended is of no use. */
MUST_CHECK int base64url_take(struct str text, struct buf *out);
/* Appends the text of the bytes. */
void base64url_put(struct str bytes, struct buf *out);
