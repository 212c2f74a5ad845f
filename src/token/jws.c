/* Signatures of JOSE: see jws.h. */
#include "token/jws.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

enum { GROUP_NAME_MAX_BYTES = 32 };

static const struct {
    const char *name;
    const char *key;   /* as OpenSSL calls the kind */
    const char *group; /* of EC */
    const char *hash;
    size_t number_bytes; /* of each of the two numbers of ECDSA */
    bool is_pss;
} algorithms[] = {
    [JWS_RS256] = {"RS256", "RSA", .hash = "SHA256"},
    [JWS_RS384] = {"RS384", "RSA", .hash = "SHA384"},
    [JWS_RS512] = {"RS512", "RSA", .hash = "SHA512"},
    [JWS_PS256] = {"PS256", "RSA", .hash = "SHA256", .is_pss = true},
    [JWS_ES256] = {"ES256", "EC", "prime256v1", "SHA256", .number_bytes = 32},
    [JWS_ES384] = {"ES384", "EC", "secp384r1", "SHA384", .number_bytes = 48},
    [JWS_EDDSA] = {"EdDSA", "ED25519"},
};

_Static_assert(ARRAY_LEN(algorithms) == JWS_ALGORITHM_COUNT, "a row for each");

bool jws_find(struct str name, enum jws_algorithm *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(algorithms); i++) {
        if (!str_eq_c(name, algorithms[i].name))
            continue;
        *out = (enum jws_algorithm)i;
        return true;
    }
    return false;
}

bool jws_fits(enum jws_algorithm algorithm, const EVP_PKEY *key)
{
    char group[GROUP_NAME_MAX_BYTES];

    if (!EVP_PKEY_is_a(key, algorithms[algorithm].key))
        return false;
    if (algorithms[algorithm].group != NULL)
        return EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
               strcmp(group, algorithms[algorithm].group) == 0;
    int bits = EVP_PKEY_get_bits(key);
    return !EVP_PKEY_is_a(key, "RSA") || (bits >= JWS_RSA_MIN_BITS && bits <= JWS_RSA_MAX_BITS);
}

static bool verify(enum jws_algorithm algorithm, EVP_PKEY *key, struct str text,
                   struct str signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL; /* belongs to ctx */

    bool is_good = ctx != NULL && EVP_DigestVerifyInit_ex(ctx, &key_ctx, algorithms[algorithm].hash,
                                                          NULL, NULL, key, NULL) == 1;
    if (is_good && algorithms[algorithm].is_pss) /* RFC 7518 section 3.5: as long as the hash */
        is_good = EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    is_good = is_good && EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
                                          (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    return is_good;
}

/* RFC 7518 section 3.4: two numbers side by side, where the library wants them in DER. */
static bool verify_ecdsa(enum jws_algorithm algorithm, EVP_PKEY *key, struct str text,
                         struct str signature)
{
    size_t bytes = algorithms[algorithm].number_bytes;
    const unsigned char *numbers = (const unsigned char *)signature.ptr;
    unsigned char *der = NULL;

    if (signature.len != 2 * bytes)
        return false;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(numbers, (int)bytes, NULL);
    BIGNUM *s = BN_bin2bn(&numbers[bytes], (int)bytes, NULL);
    ASSERT(pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1);
    int len = i2d_ECDSA_SIG(pair, &der);
    bool is_good = len > 0 && verify(algorithm, key, text, str_from_mem(der, (size_t)len));
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return is_good;
}

bool jws_verify(enum jws_algorithm algorithm, EVP_PKEY *key, struct str text, struct str signature)
{
    if (signature.len == 0 || signature.len > JWS_SIGNATURE_MAX_BYTES || !jws_fits(algorithm, key))
        return false;
    bool is_good = algorithms[algorithm].number_bytes > 0
                       ? verify_ecdsa(algorithm, key, text, signature)
                       : verify(algorithm, key, text, signature);
    ERR_clear_error();
    return is_good;
}
