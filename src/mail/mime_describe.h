/*
 * From a header block to the description of one MIME part: the middle layer between the scanner
 * (mime.h), which knows lines, and the value parsers (mime_param.h, addrlist.h).
 *
 * The scanner asks which fields are worth keeping and hands the kept ones over when the header
 * ends.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/summary.h"

enum {
    /* RFC 2046 section 5.1.1 allows 70; what is longer is compared up to here. */
    MIME_BOUNDARY_MAX_BYTES = 80,
    MIME_MAX_MAILBOXES = 512, /* of one list of the envelope */
};

/* What the summary needs a field for: nothing, the envelope, the structure, the rest of a part. */
enum mime_field_use {
    MIME_FIELD_UNUSED,
    MIME_FIELD_OF_MESSAGE,
    MIME_FIELD_OF_STRUCTURE,
    MIME_FIELD_OF_PART,
    MIME_FIELD_USES,
};

/* The field's use, and its bit in a set of fields. */
enum mime_field_use mime_field_use(struct str name, uint32_t *out_bit);

/* Fills the part's description from its kept fields; `part` is otherwise zeroed. With is_brief only
 * what structure needs is filled: type, boundary, encoding. An absent type stays absent. */
void mime_describe_part(struct str fields, bool is_brief, struct arena *arena,
                        struct summary_part *part);
/* The envelope of a message; NULL strings and lists where fields are absent. */
struct summary_envelope *mime_describe_envelope(struct str fields, struct arena *arena);

bool mime_part_is_multipart(const struct summary_part *part);
/* message/rfc822, or message/global (RFC 6532) where its encoding lets it be read in place. */
bool mime_part_is_message(const struct summary_part *part);
