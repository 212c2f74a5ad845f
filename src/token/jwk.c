/* Sets of public keys: see jwk.h. */
#include "token/jwk.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#include "base/buf.h"
#include "token/base64url.h"
#include "token/json.h"

enum {
    NUMBER_MAX_BYTES = JWS_RSA_MAX_BITS / 8,
    EXPONENT_MAX_BYTES = 8, /* a longer one makes verifying slow, and nobody has one */
    ED25519_BYTES = 32,
    POINT_MAX_BYTES = 1 + 2 * 48,
    UNCOMPRESSED = 0x04, /* SEC 1 section 2.3.3 */
};

struct jwk {
    char *id; /* "": none */
    bool has_algorithm;
    enum jws_algorithm algorithm; /* the only one that it may be used with */
    EVP_PKEY *key;
};

struct jwk_set {
    size_t count;
    struct jwk keys[JWK_KEYS_MAX];
};

/* --- one key --- */

/* Appends the bytes of a member. False when there is no such member, or when it has too many. */
static bool take_bytes(const json_t *object, const char *name, size_t max_bytes, struct buf *out)
{
    size_t before = out->len;
    struct str text = token_json_str(object, name);

    return text.len > 0 && base64url_take(text, out) == 0 && out->len - before <= max_bytes;
}

static EVP_PKEY *make_key(const char *kind, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *key = NULL;

    if (ctx != NULL && params != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static BIGNUM *to_number(const struct buf *bytes)
{
    return BN_bin2bn((const unsigned char *)bytes->ptr, (int)bytes->len, NULL);
}

/* RFC 7518 section 6.3.1. */
static EVP_PKEY *read_rsa(const json_t *object)
{
    CLEANUP(buf_done) struct buf n, e;
    EVP_PKEY *key = NULL;

    buf_init(&n, NUMBER_MAX_BYTES);
    buf_init(&e, EXPONENT_MAX_BYTES);
    if (!take_bytes(object, "n", NUMBER_MAX_BYTES, &n) ||
        !take_bytes(object, "e", EXPONENT_MAX_BYTES, &e))
        return NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = to_number(&n), *exponent = to_number(&e);
    ASSERT(builder != NULL && modulus != NULL && exponent != NULL);
    /* An even modulus is none, an even exponent neither, and with 1 every text signs itself. */
    bool is_sound = BN_is_odd(modulus) && BN_is_odd(exponent) && !BN_is_one(exponent);
    if (is_sound && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = make_key("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

/* RFC 7518 section 6.2.1: each coordinate has the length of the field. */
static EVP_PKEY *read_ec(const json_t *object)
{
    struct str curve = token_json_str(object, "crv");
    bool is_384 = str_eq_c(curve, "P-384");
    size_t bytes = is_384 ? 48 : 32;
    CLEANUP(buf_done) struct buf point;
    EVP_PKEY *key = NULL;

    buf_init(&point, POINT_MAX_BYTES);
    if (!is_384 && !str_eq_c(curve, "P-256"))
        return NULL;
    buf_put_u8(&point, UNCOMPRESSED);
    if (!take_bytes(object, "x", bytes, &point) || point.len != 1 + bytes ||
        !take_bytes(object, "y", bytes, &point) || point.len != 1 + 2 * bytes)
        return NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    ASSERT(builder != NULL);
    /* A point that is not on the curve is refused when the key is made of it. */
    if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                        is_384 ? "P-384" : "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.ptr, point.len) ==
            1)
        key = make_key("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* RFC 8037 section 2. */
static EVP_PKEY *read_okp(const json_t *object)
{
    CLEANUP(buf_done) struct buf x;

    buf_init(&x, ED25519_BYTES);
    if (!str_eq_c(token_json_str(object, "crv"), "Ed25519") ||
        !take_bytes(object, "x", ED25519_BYTES, &x) || x.len != ED25519_BYTES)
        return NULL;
    return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, (const unsigned char *)x.ptr,
                                          x.len);
}

static EVP_PKEY *read_key(const json_t *object)
{
    static const struct {
        const char *kind;
        EVP_PKEY *(*read)(const json_t *object);
    } kinds[] = {{"RSA", read_rsa}, {"EC", read_ec}, {"OKP", read_okp}};
    struct str kind = token_json_str(object, "kty");

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq_c(kind, kinds[i].kind))
            return kinds[i].read(object);
    }
    return NULL;
}

/* RFC 7517 sections 4.2 and 4.3: members that are there have to say that it verifies. */
static bool is_for_verifying(const json_t *object)
{
    if (json_object_get(object, "use") != NULL && !str_eq_c(token_json_str(object, "use"), "sig"))
        return false;
    return json_object_get(object, "key_ops") == NULL ||
           token_json_has(object, "key_ops", STR("verify"));
}

/* Whether there is any algorithm that it can be used with. */
static bool is_of_use(const struct jwk *key)
{
    if (key->has_algorithm)
        return jws_fits(key->algorithm, key->key);
    for (unsigned i = 0; i < JWS_ALGORITHM_COUNT; i++) {
        if (jws_fits((enum jws_algorithm)i, key->key))
            return true;
    }
    return false;
}

/* False: it is passed over. */
static bool read_jwk(const json_t *object, struct jwk *out)
{
    struct str id = token_json_str(object, "kid");
    const json_t *algorithm = json_object_get(object, "alg");

    *out = (struct jwk){.has_algorithm = algorithm != NULL};
    if (!json_is_object(object) || id.len > JWK_ID_MAX_BYTES || !is_for_verifying(object))
        return false;
    if (algorithm != NULL && !jws_find(token_json_str(object, "alg"), &out->algorithm))
        return false;
    out->key = read_key(object);
    ERR_clear_error();
    if (out->key == NULL || !is_of_use(out)) {
        EVP_PKEY_free(out->key);
        return false;
    }
    out->id = str_dup(id);
    return true;
}

/* --- the set --- */

int jwk_set_parse(struct str json, struct jwk_set **out, const char **out_why)
{
    CLEANUP(token_json_free) json_t *object = token_json_load(json);
    const json_t *keys = json_object_get(object, "keys");

    *out = NULL;
    *out_why = object == NULL ? "not a JSON object" : "no array \"keys\"";
    if (!json_is_array(keys))
        return -EINVAL;
    struct jwk_set *set = xcalloc(1, sizeof(*set));
    for (size_t i = 0; i < json_array_size(keys) && set->count < JWK_KEYS_MAX; i++) {
        if (read_jwk(json_array_get(keys, i), &set->keys[set->count]))
            set->count++;
    }
    if (set->count == 0) {
        *out_why = "no key in it that could be used";
        jwk_set_free(set);
        return -EINVAL;
    }
    *out_why = "";
    *out = set;
    return 0;
}

void jwk_set_free(struct jwk_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++) {
        EVP_PKEY_free(set->keys[i].key);
        free(set->keys[i].id);
    }
    free(set);
}

size_t jwk_set_count(const struct jwk_set *set)
{
    return set->count;
}

enum jwk_result jwk_set_verify(const struct jwk_set *set, struct str id,
                               enum jws_algorithm algorithm, struct str text, struct str signature)
{
    bool is_known = false;

    for (size_t i = 0; i < set->count; i++) {
        const struct jwk *key = &set->keys[i];
        bool is_named = id.len > 0 && str_eq_c(id, key->id);
        if (id.len > 0 && !is_named && key->id[0] != '\0')
            continue;
        is_known = is_known || is_named;
        if (key->has_algorithm && key->algorithm != algorithm)
            continue;
        if (jws_verify(algorithm, key->key, text, signature))
            return JWK_GOOD;
    }
    return is_known ? JWK_BAD : JWK_UNKNOWN_KEY;
}
