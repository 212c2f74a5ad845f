/*
 * The parsers of what strangers send, each with any bytes: base64, the messages of SCRAM and of
 * OAuth, GS2 names. What is read lies inside the message, and what is written again is the same.
 */
#include <stdint.h>

#include "sasl/base64.h"
#include "sasl/gs2.h"
#include "sasl/oauth.h"
#include "sasl/scram_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ROOM_BYTES = 1 << 18 };

static void check_inside(struct str whole, struct str part)
{
    ASSERT(part.len == 0 ||
           (part.ptr >= whole.ptr && part.len <= whole.len - (size_t)(part.ptr - whole.ptr)));
}

/* There is one text for some bytes, and one for a name. */
static void check_coding(struct str text)
{
    CLEANUP(buf_done) struct buf there;
    CLEANUP(buf_done) struct buf back;

    buf_init(&there, ROOM_BYTES);
    buf_init(&back, ROOM_BYTES);
    if (sasl_base64_take(text, &there) == 0) {
        sasl_base64_put(buf_str(&there), &back);
        ASSERT(str_eq(buf_str(&back), text));
    } else {
        ASSERT(there.len == 0);
    }
    buf_reset(&there);
    buf_reset(&back);
    sasl_base64_put(text, &there);
    ASSERT(sasl_base64_take(buf_str(&there), &back) == 0 && str_eq(buf_str(&back), text));
    buf_reset(&there);
    buf_reset(&back);
    if (gs2_name_take(text, &there) < 0)
        return;
    gs2_name_put(buf_str(&there), &back);
    ASSERT(str_eq(buf_str(&back), text));
}

static void check_first(struct str message)
{
    struct scram_client_first client;
    struct scram_server_first server;

    if (scram_read_client_first(message, &client) == 0) {
        check_inside(message, client.gs2.text);
        check_inside(message, client.name);
        check_inside(client.bare, client.nonce);
        ASSERT(client.gs2.text.len + client.bare.len == message.len);
        ASSERT(client.nonce.len <= SCRAM_CLIENT_NONCE_MAX_BYTES);
        ASSERT((client.gs2.flag == GS2_BINDING_USED) == (client.gs2.binding_name.len > 0));
    }
    if (scram_read_server_first(message, &server) == 0) {
        check_inside(message, server.nonce);
        check_inside(message, server.salt);
        ASSERT(server.iterations > 0 && server.nonce.len <= SCRAM_NONCE_MAX_BYTES);
    }
}

static void check_final(struct str message)
{
    struct scram_client_final client;
    struct scram_server_final server;

    if (scram_read_client_final(message, &client) == 0) {
        check_inside(client.without_proof, client.binding);
        check_inside(client.without_proof, client.nonce);
        check_inside(message, client.proof);
        ASSERT(client.without_proof.len + 3 + client.proof.len == message.len);
    }
    if (scram_read_server_final(message, &server) == 0)
        ASSERT((server.error.len > 0) != (server.verifier.len > 0));
}

static void check_oauth(struct str message)
{
    struct oauth_message out;
    bool is_bearer = oauth_read_bearer(message, &out) == 0;

    if (!is_bearer && oauth_read_xoauth2(message, &out) < 0)
        return;
    check_inside(message, out.token);
    check_inside(message, out.name);
    ASSERT(is_bearer || out.name.len > 0);
    for (size_t i = 0; i < out.token.len; i++)
        ASSERT(out.token.ptr[i] > ' ' && out.token.ptr[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str message = str_from_mem(bytes, len);

    if (len > ROOM_BYTES / 2)
        return 0;
    check_coding(message);
    check_first(message);
    check_final(message);
    check_oauth(message);
    return 0;
}
