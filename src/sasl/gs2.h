/*
 * The GS2 header (RFC 5801 section 4) that begins the first message of SCRAM and OAUTHBEARER, and
 * the names in it (saslname of RFC 5802 section 7: "," and "=" are written "=2C" and "=3D").
 *
 * The flag for mechanisms that are not standard ("F,") is refused: ours are.
 */
#pragma once

#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"

enum gs2_flag {
    GS2_NO_BINDING = 'n',     /* the client cannot bind */
    GS2_BINDING_UNUSED = 'y', /* it could, and believes that the server cannot */
    GS2_BINDING_USED = 'p',
};

/* Views into the message. */
struct gs2_header {
    enum gs2_flag flag;
    struct str binding_name; /* of GS2_BINDING_USED, else empty */
    struct str authzid;      /* as it is written; empty: none */
    struct str text;         /* the whole header with its last comma */
};

/* Reads the header; the cursor fails when it is none. */
void gs2_take_header(struct cursor *in, struct gs2_header *out_header);

/* Appends the name that is meant: 0, -EINVAL when it is empty, no UTF-8, holds NUL or a "=" that
 * begins neither "=2C" nor "=3D" (then nothing is appended), -EMSGSIZE when `out` is full. */
MUST_CHECK int gs2_name_take(struct str written, struct buf *out);
/* Appends the name as it is written in messages. */
void gs2_name_put(struct str name, struct buf *out);
