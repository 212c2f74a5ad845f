/*
 * The four messages of SCRAM as the grammar of RFC 5802 section 7 has them: pure parsers. What
 * comes out are views into the message; whether they are right is for scram.h.
 *
 * The order of attributes is fixed. Extensions are passed over where the grammar allows them, "m="
 * is refused everywhere (section 5.1). Each function: 0, or -EINVAL.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "sasl/gs2.h"

enum {
    SCRAM_MESSAGE_MAX_BYTES = 4096,
    SCRAM_CLIENT_NONCE_MAX_BYTES = 256,
    SCRAM_NONCE_MAX_BYTES = 512, /* of both parts */
};

struct scram_client_first {
    struct gs2_header gs2;
    struct str bare; /* what follows the header */
    struct str name; /* as it is written */
    struct str nonce;
};

struct scram_server_first {
    struct str nonce;
    struct str salt; /* base64 */
    uint32_t iterations;
};

struct scram_client_final {
    struct str without_proof;
    struct str binding; /* base64 */
    struct str nonce;
    struct str proof; /* base64 */
};

struct scram_server_final {
    struct str error;    /* empty: there is a verifier */
    struct str verifier; /* base64 */
};

MUST_CHECK int scram_read_client_first(struct str message, struct scram_client_first *out);
MUST_CHECK int scram_read_server_first(struct str message, struct scram_server_first *out);
MUST_CHECK int scram_read_client_final(struct str message, struct scram_client_final *out);
MUST_CHECK int scram_read_server_final(struct str message, struct scram_server_final *out);
