/* What SCRAM's messages say to each other: see scram.h. */
#include "sasl/scram.h"

#include <errno.h>
#include <string.h>

#include "crypt/secret.h"
#include "sasl/base64.h"

enum {
    SCRAM_HEADER_MAX_BYTES = SCRAM_MESSAGE_MAX_BYTES + 1024,
    SCRAM_AUTH_MAX_BYTES = 3 * SCRAM_MESSAGE_MAX_BYTES + 2,
};

void scram_exchange_init(struct scram_exchange *x, enum scram_hash hash)
{
    *x = (struct scram_exchange){.hash = hash};
    buf_init(&x->binding, 2 * SCRAM_HEADER_MAX_BYTES);
    buf_init(&x->nonce, SCRAM_NONCE_MAX_BYTES);
    buf_init(&x->first_bare, SCRAM_MESSAGE_MAX_BYTES);
    buf_init(&x->server_first, SCRAM_MESSAGE_MAX_BYTES);
}

void scram_exchange_done(struct scram_exchange *x)
{
    buf_done(&x->binding);
    buf_done(&x->nonce);
    buf_done(&x->first_bare);
    buf_done(&x->server_first);
    explicit_bzero(x->verifier, sizeof(x->verifier));
}

/* cbind-input: the header, then the channel's data if the flag says so. */
static void put_binding(struct scram_exchange *x, struct str header, struct str data)
{
    CLEANUP(buf_done) struct buf input;

    buf_init(&input, SCRAM_HEADER_MAX_BYTES);
    buf_put_str(&input, header);
    buf_put_str(&input, data);
    ASSERT(buf_status(&input) == 0);
    sasl_base64_put(buf_str(&input), &x->binding);
    ASSERT(buf_status(&x->binding) == 0);
}

/* The signature of the exchange under a key: HMAC(key, AuthMessage). */
static void sign(const struct scram_exchange *x, const uint8_t *key, struct str without_proof,
                 uint8_t out_signature[SCRAM_KEY_MAX_BYTES])
{
    CLEANUP(buf_done) struct buf auth;

    buf_init(&auth, SCRAM_AUTH_MAX_BYTES);
    buf_put_str(&auth, buf_str(&x->first_bare));
    buf_put_char(&auth, ',');
    buf_put_str(&auth, buf_str(&x->server_first));
    buf_put_char(&auth, ',');
    buf_put_str(&auth, without_proof);
    ASSERT(buf_status(&auth) == 0);
    scram_hmac(x->hash, str_from_mem(key, scram_hash_bytes(x->hash)), buf_str(&auth),
               out_signature);
}

/* The bytes of a key in base64; false when they are not exactly those of a key. */
static bool read_key(enum scram_hash hash, struct str text, uint8_t out_key[SCRAM_KEY_MAX_BYTES])
{
    CLEANUP(secret_wipe_buf) struct buf bytes;

    buf_init(&bytes, SCRAM_KEY_MAX_BYTES);
    if (sasl_base64_take(text, &bytes) < 0 || bytes.len != scram_hash_bytes(hash))
        return false;
    memcpy(out_key, bytes.ptr, bytes.len);
    return true;
}

static void xor_into(uint8_t *target, const uint8_t *other, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        target[i] ^= other[i];
}

void scram_server_answer(struct scram_exchange *x, const struct scram_client_first *message,
                         const struct scram_keys *keys, struct str binding_data,
                         struct str own_nonce)
{
    put_binding(x, message->gs2.text,
                message->gs2.flag == GS2_BINDING_USED ? binding_data : STR(""));
    buf_put_str(&x->first_bare, message->bare);
    buf_put_str(&x->nonce, message->nonce);
    buf_put_str(&x->nonce, own_nonce);
    buf_put_c(&x->server_first, "r=");
    buf_put_str(&x->server_first, buf_str(&x->nonce));
    buf_put_c(&x->server_first, ",s=");
    sasl_base64_put(str_from_mem(keys->salt, keys->salt_bytes), &x->server_first);
    buf_printf(&x->server_first, ",i=%u", keys->iterations);
    ASSERT(buf_status(&x->nonce) == 0 && buf_status(&x->first_bare) == 0 &&
           buf_status(&x->server_first) == 0);
}

/* RFC 5802 section 3: the proof gives back the client's key, whose digest is the stored one. */
static bool is_proved(const struct scram_exchange *x, const struct scram_keys *keys,
                      const struct scram_client_final *final)
{
    uint8_t client_key[SCRAM_KEY_MAX_BYTES], signature[SCRAM_KEY_MAX_BYTES];
    uint8_t digest[SCRAM_KEY_MAX_BYTES];

    if (!read_key(x->hash, final->proof, client_key))
        return false;
    sign(x, keys->stored_key, final->without_proof, signature);
    xor_into(client_key, signature, keys->key_bytes);
    scram_digest(x->hash, str_from_mem(client_key, keys->key_bytes), digest);
    bool is_right = secret_equal(str_from_mem(digest, keys->key_bytes),
                                 str_from_mem(keys->stored_key, keys->key_bytes));
    explicit_bzero(client_key, sizeof(client_key));
    return is_right;
}

enum scram_check scram_server_check(const struct scram_exchange *x, const struct scram_keys *keys,
                                    struct str message, struct buf *out)
{
    struct scram_client_final final;
    uint8_t verifier[SCRAM_KEY_MAX_BYTES];

    ASSERT(keys->hash == x->hash && keys->key_bytes == scram_hash_bytes(x->hash));
    if (scram_read_client_final(message, &final) < 0)
        return SCRAM_MALFORMED;
    if (!secret_equal(final.nonce, buf_str(&x->nonce)))
        return SCRAM_WRONG_NONCE;
    /* Section 6: the server makes the value itself and compares. */
    if (!secret_equal(final.binding, buf_str(&x->binding)))
        return SCRAM_WRONG_BINDING;
    if (!is_proved(x, keys, &final))
        return SCRAM_WRONG_PROOF;
    sign(x, keys->server_key, final.without_proof, verifier);
    buf_put_c(out, "v=");
    sasl_base64_put(str_from_mem(verifier, keys->key_bytes), out);
    return SCRAM_OK;
}

void scram_client_begin(struct scram_exchange *x, const struct scram_client_start *start,
                        struct buf *out)
{
    CLEANUP(buf_done) struct buf header;

    buf_init(&header, SCRAM_MESSAGE_MAX_BYTES);
    buf_put_char(&header, (char)start->flag);
    if (start->flag == GS2_BINDING_USED) {
        buf_put_char(&header, '=');
        buf_put_str(&header, start->binding_name);
    }
    buf_put_char(&header, ',');
    if (start->authzid.len > 0) {
        buf_put_c(&header, "a=");
        gs2_name_put(start->authzid, &header);
    }
    buf_put_char(&header, ',');
    put_binding(x, buf_str(&header),
                start->flag == GS2_BINDING_USED ? start->binding_data : STR(""));
    buf_put_str(&x->nonce, start->nonce);
    buf_put_c(&x->first_bare, "n=");
    gs2_name_put(start->name, &x->first_bare);
    buf_put_c(&x->first_bare, ",r=");
    buf_put_str(&x->first_bare, start->nonce);
    buf_put_str(out, buf_str(&header));
    buf_put_str(out, buf_str(&x->first_bare));
    ASSERT(buf_status(&header) == 0 && buf_status(&x->nonce) == 0 &&
           buf_status(&x->first_bare) == 0);
}

/* The final message, and what the server will have to answer to it. */
static void put_final(struct scram_exchange *x, const struct scram_client_keys *keys,
                      struct buf *out)
{
    uint8_t proof[SCRAM_KEY_MAX_BYTES];
    size_t before = out->len;

    buf_put_c(out, "c=");
    buf_put_str(out, buf_str(&x->binding));
    buf_put_c(out, ",r=");
    buf_put_str(out, buf_str(&x->nonce));
    struct str without_proof = str_sub(buf_str(out), before, out->len);
    sign(x, keys->stored_key, without_proof, proof);
    xor_into(proof, keys->client_key, keys->key_bytes);
    sign(x, keys->server_key, without_proof, x->verifier);
    buf_put_c(out, ",p=");
    sasl_base64_put(str_from_mem(proof, keys->key_bytes), out);
}

enum scram_check scram_client_answer(struct scram_exchange *x, struct str message,
                                     struct str password, struct buf *out)
{
    CLEANUP(buf_done) struct buf salt;
    struct scram_server_first first;
    struct scram_client_keys keys;

    buf_init(&salt, SCRAM_SALT_MAX_BYTES);
    if (scram_read_server_first(message, &first) < 0 || sasl_base64_take(first.salt, &salt) < 0)
        return SCRAM_MALFORMED;
    /* The server has to add to our part, or it would choose the nonce of an old exchange. */
    if (first.nonce.len <= x->nonce.len || !str_has_prefix(first.nonce, buf_str(&x->nonce)))
        return SCRAM_WRONG_NONCE;
    if (first.iterations < SCRAM_ITERATIONS_MIN || first.iterations > SCRAM_ITERATIONS_MAX)
        return SCRAM_BAD_COST;
    if (scram_client_keys_derive(x->hash, password, buf_str(&salt), first.iterations, &keys) < 0)
        return SCRAM_MALFORMED;
    buf_reset(&x->nonce);
    buf_put_str(&x->nonce, first.nonce);
    buf_put_str(&x->server_first, message);
    put_final(x, &keys, out);
    explicit_bzero(&keys, sizeof(keys));
    return SCRAM_OK;
}

enum scram_check scram_client_check(const struct scram_exchange *x, struct str message)
{
    struct scram_server_final final;
    uint8_t verifier[SCRAM_KEY_MAX_BYTES];

    if (scram_read_server_final(message, &final) < 0)
        return SCRAM_MALFORMED;
    if (final.error.len > 0)
        return SCRAM_REFUSED;
    if (!read_key(x->hash, final.verifier, verifier))
        return SCRAM_MALFORMED;
    size_t bytes = scram_hash_bytes(x->hash);
    return secret_equal(str_from_mem(verifier, bytes), str_from_mem(x->verifier, bytes))
               ? SCRAM_OK
               : SCRAM_WRONG_PROOF;
}
