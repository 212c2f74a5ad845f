/* The keys of SCRAM, on libcrypto: see scram_keys.h. */
#include "crypt/scram_keys.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *md_of(enum scram_hash hash)
{
    return hash == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

size_t scram_hash_bytes(enum scram_hash hash)
{
    return hash == SCRAM_SHA_1 ? 20 : 32;
}

static const unsigned char *bytes_of(struct str s)
{
    return (const unsigned char *)(s.ptr != NULL ? s.ptr : "");
}

void scram_hmac(enum scram_hash hash, struct str key, struct str text,
                uint8_t out_mac[SCRAM_KEY_MAX_BYTES])
{
    unsigned len = 0;

    ASSERT(key.len <= INT_MAX);
    /* Fails only without memory: the digests are part of libcrypto. */
    ASSERT(HMAC(md_of(hash), bytes_of(key), (int)key.len, bytes_of(text), text.len, out_mac,
                &len) != NULL);
    ASSERT(len == scram_hash_bytes(hash));
}

void scram_digest(enum scram_hash hash, struct str text, uint8_t out_digest[SCRAM_KEY_MAX_BYTES])
{
    unsigned len = 0;

    ASSERT(EVP_Digest(bytes_of(text), text.len, out_digest, &len, md_of(hash), NULL) == 1);
    ASSERT(len == scram_hash_bytes(hash));
}

int scram_client_keys_derive(enum scram_hash hash, struct str password, struct str salt,
                             uint32_t iterations, struct scram_client_keys *out_keys)
{
    uint8_t salted[SCRAM_KEY_MAX_BYTES];
    size_t len = scram_hash_bytes(hash);

    *out_keys = (struct scram_client_keys){.key_bytes = len};
    if (password.len == 0 || password.len > SCRAM_PASSWORD_MAX_BYTES || salt.len == 0 ||
        salt.len > SCRAM_SALT_MAX_BYTES)
        return -EINVAL;
    if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX)
        return -EINVAL;
    ASSERT(PKCS5_PBKDF2_HMAC(password.ptr, (int)password.len, bytes_of(salt), (int)salt.len,
                             (int)iterations, md_of(hash), (int)len, salted) == 1);
    struct str key = str_from_mem(salted, len);
    scram_hmac(hash, key, STR("Client Key"), out_keys->client_key);
    scram_hmac(hash, key, STR("Server Key"), out_keys->server_key);
    scram_digest(hash, str_from_mem(out_keys->client_key, len), out_keys->stored_key);
    explicit_bzero(salted, sizeof(salted));
    return 0;
}

int scram_keys_derive(enum scram_hash hash, struct str password, struct str salt,
                      uint32_t iterations, struct scram_keys *out_keys)
{
    struct scram_client_keys keys;

    *out_keys = (struct scram_keys){.hash = hash, .iterations = iterations};
    if (salt.len > sizeof(out_keys->salt))
        return -EINVAL;
    int rc = scram_client_keys_derive(hash, password, salt, iterations, &keys);
    if (rc < 0)
        return rc;
    out_keys->key_bytes = keys.key_bytes;
    out_keys->salt_bytes = salt.len;
    memcpy(out_keys->salt, salt.ptr, salt.len);
    memcpy(out_keys->stored_key, keys.stored_key, sizeof(keys.stored_key));
    memcpy(out_keys->server_key, keys.server_key, sizeof(keys.server_key));
    explicit_bzero(&keys, sizeof(keys));
    return 0;
}
