/* Keys and tokens for tests: see jw_make.h. */
#include "token/jw_make.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "token/base64url.h"

enum { TEXT_MAX_BYTES = 64 * 1024, NUMBER_MAX_BYTES = 1024, RAW_BYTES = 32 };

static const struct {
    const char *name, *hash;
    size_t number_bytes;
} algorithms[] = {
    [JWS_RS256] = {"RS256", "SHA256", 0},  [JWS_RS384] = {"RS384", "SHA384", 0},
    [JWS_RS512] = {"RS512", "SHA512", 0},  [JWS_PS256] = {"PS256", "SHA256", 0},
    [JWS_ES256] = {"ES256", "SHA256", 32}, [JWS_ES384] = {"ES384", "SHA384", 48},
    [JWS_EDDSA] = {"EdDSA", NULL, 0},
};

struct jw_key jw_key_make(const char *kind, const char *id)
{
    unsigned bits = 0;
    EVP_PKEY *key;

    if (strcmp(kind, "ED25519") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
    else if (sscanf(kind, "RSA-%u", &bits) == 1)
        key = EVP_RSA_gen(bits);
    else
        key = EVP_EC_gen(kind);
    ASSERT(key != NULL);
    return (struct jw_key){.key = key, .id = id};
}

void jw_key_done(struct jw_key *key)
{
    EVP_PKEY_free(key->key);
    key->key = NULL;
}

static void put_number(const struct jw_key *key, const char *param, const char *name, size_t bytes,
                       struct buf *out)
{
    unsigned char text[NUMBER_MAX_BYTES];
    BIGNUM *number = NULL;

    ASSERT(EVP_PKEY_get_bn_param(key->key, param, &number) == 1);
    if (bytes == 0)
        bytes = (size_t)BN_num_bytes(number);
    ASSERT(BN_bn2binpad(number, text, (int)bytes) == (int)bytes);
    buf_printf(out, ",\"%s\":\"", name);
    base64url_put(str_from_mem(text, bytes), out);
    buf_put_char(out, '"');
    BN_free(number);
}

static void put_point(const struct jw_key *key, struct buf *out)
{
    bool is_384 = EVP_PKEY_get_bits(key->key) == 384;
    size_t bytes = is_384 ? 48 : 32;

    buf_printf(out, "\"kty\":\"EC\",\"crv\":\"%s\"", is_384 ? "P-384" : "P-256");
    put_number(key, OSSL_PKEY_PARAM_EC_PUB_X, "x", bytes, out);
    put_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", bytes, out);
}

char *jw_key_json(const struct jw_key *key, const char *more)
{
    unsigned char raw[RAW_BYTES];
    size_t len = sizeof(raw);
    struct buf out;

    buf_init(&out, TEXT_MAX_BYTES);
    buf_put_char(&out, '{');
    if (EVP_PKEY_is_a(key->key, "RSA")) {
        buf_put_c(&out, "\"kty\":\"RSA\"");
        put_number(key, OSSL_PKEY_PARAM_RSA_N, "n", 0, &out);
        put_number(key, OSSL_PKEY_PARAM_RSA_E, "e", 0, &out);
    } else if (EVP_PKEY_is_a(key->key, "EC")) {
        put_point(key, &out);
    } else {
        ASSERT(EVP_PKEY_get_raw_public_key(key->key, raw, &len) == 1);
        buf_put_c(&out, "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
        base64url_put(str_from_mem(raw, len), &out);
        buf_put_char(&out, '"');
    }
    if (key->id != NULL)
        buf_printf(&out, ",\"kid\":\"%s\"", key->id);
    buf_printf(&out, "%s}", more);
    char *text = str_dup(buf_str(&out));
    buf_done(&out);
    return text;
}

char *jw_set_json(const struct jw_key *key, const char *more)
{
    CLEANUP(cleanup_free) char *one = jw_key_json(key, more);

    return xasprintf("{\"keys\":[%s]}", one);
}

/* The two numbers of ECDSA side by side, from DER. */
static size_t flatten(unsigned char *bytes, size_t len, size_t number_bytes)
{
    const unsigned char *at = bytes;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);

    ASSERT(pair != NULL);
    ASSERT(BN_bn2binpad(ECDSA_SIG_get0_r(pair), bytes, (int)number_bytes) > 0);
    ASSERT(BN_bn2binpad(ECDSA_SIG_get0_s(pair), &bytes[number_bytes], (int)number_bytes) > 0);
    ECDSA_SIG_free(pair);
    return 2 * number_bytes;
}

static void put_signature(const struct jw_key *key, enum jws_algorithm algorithm, struct str text,
                          struct buf *out)
{
    unsigned char bytes[JWS_SIGNATURE_MAX_BYTES + 16];
    size_t len = sizeof(bytes);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx;

    ASSERT(EVP_DigestSignInit_ex(ctx, &key_ctx, algorithms[algorithm].hash, NULL, NULL, key->key,
                                 NULL) == 1);
    if (algorithm == JWS_PS256)
        ASSERT(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
    ASSERT(EVP_DigestSign(ctx, bytes, &len, (const unsigned char *)text.ptr, text.len) == 1);
    EVP_MD_CTX_free(ctx);
    if (algorithms[algorithm].number_bytes > 0)
        len = flatten(bytes, len, algorithms[algorithm].number_bytes);
    base64url_put(str_from_mem(bytes, len), out);
}

static void put_parts(const char *header, const char *claims, struct buf *out)
{
    buf_init(out, TEXT_MAX_BYTES);
    base64url_put(str_from_c(header), out);
    buf_put_char(out, '.');
    base64url_put(str_from_c(claims), out);
}

char *jw_sign(const struct jw_key *key, enum jws_algorithm algorithm, const char *header,
              const char *claims)
{
    CLEANUP(buf_done) struct buf token, signature;

    put_parts(header, claims, &token);
    buf_init(&signature, TEXT_MAX_BYTES);
    put_signature(key, algorithm, buf_str(&token), &signature);
    buf_put_char(&token, '.');
    buf_put_str(&token, buf_str(&signature));
    return str_dup(buf_str(&token));
}

char *jw_token(const struct jw_key *key, enum jws_algorithm algorithm, const char *claims)
{
    const char *name = algorithms[algorithm].name;
    CLEANUP(cleanup_free)
    char *header = key->id != NULL ? xasprintf("{\"alg\":\"%s\",\"kid\":\"%s\"}", name, key->id)
                                   : xasprintf("{\"alg\":\"%s\"}", name);

    return jw_sign(key, algorithm, header, claims);
}

char *jw_assemble(const char *header, const char *claims, const char *signature)
{
    CLEANUP(buf_done) struct buf token;

    put_parts(header, claims, &token);
    buf_printf(&token, ".%s", signature);
    return str_dup(buf_str(&token));
}
