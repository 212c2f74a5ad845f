/*
 * Bodies of MIME parts to UTF-8: transfer encodings (RFC 2045 section 6) and charsets. Lenient:
 * shows as much as can be shown of what is broken. Pure but for iconv's modules.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* Appends the bytes behind the transfer encoding ("base64", "quoted-printable"; others as is). */
void decode_transfer(struct str encoding, struct str body, struct buf *out);
/* Appends text of the charset as UTF-8; what cannot be converted becomes U+FFFD. An unknown or
 * empty charset is taken for UTF-8. */
void decode_charset(struct str charset, struct str text, struct buf *out);
