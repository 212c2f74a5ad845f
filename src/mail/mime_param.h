/*
 * Values of MIME header fields: type/subtype or a disposition, then parameters (RFC 2045
 * section 5.1, RFC 2183, RFC 2184), tokens and token lists.
 *
 * Parameters are kept as they stand, RFC 2231 parts and all, which is how IMAP shows them; only
 * mime_param_join puts one together. What stands behind a broken parameter is left out.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/summary.h"

enum { MIME_MAX_PARAMS = 64 };

/* "type/subtype; ...": false when there is no type at all. A type without a subtype has the subtype
 * "" and no parameters. Texts are copies in `arena`. */
bool mime_param_parse_type(struct str body, struct arena *arena, struct summary_part *out_part);
/* "token; ...": a disposition. A NULL pointer when there is none. */
struct str mime_param_parse_disposition(struct str body, struct arena *arena,
                                        struct summary_param **out_params);
/* A lone token, as Content-Transfer-Encoding has; a NULL pointer when it is none. */
struct str mime_param_parse_token(struct str body, struct arena *arena);
/* "token, token": Content-Language. */
struct summary_param *mime_param_parse_tokens(struct str body, struct arena *arena);

/* The value of `name`, put together from its RFC 2231 pieces where there are any, without charset
 * conversion, at most `max` bytes. A NULL pointer when there is none. */
struct str mime_param_join(const struct summary_param *params, struct str name, size_t max,
                           struct arena *arena);
