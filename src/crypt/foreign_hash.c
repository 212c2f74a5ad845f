/* Password hashes of other systems: see foreign_hash.h. */
#include "crypt/foreign_hash.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

enum {
    KEY_MAX_BYTES = 64,
    SALT_MAX_BYTES = 256,
    KEY_MIN_BYTES = 16,
    SALT_MIN_BYTES = 4,
    /* What one login may cost: about a second, 256 MiB. */
    PBKDF2_ROUNDS_MAX = 2000000,
    CRYPT_ROUNDS_MAX = 1000000,
    BCRYPT_COST_MAX = 14,
    YESCRYPT_BLOCKS_MAX = 15, /* log 2 */
    YESCRYPT_R_MAX = 32,
    ARGON2_MEMORY_MAX_KIB = 256 * 1024,
    ARGON2_PASSES_MAX = 16,
    ARGON2_LANES_MAX = 16,
};

enum kind { KIND_CRYPT, KIND_SALTED, KIND_PBKDF2, KIND_ARGON2, KIND_REFUSED };

struct scheme {
    const char *prefix;
    enum kind kind;
    const char *digest; /* its name in libcrypto; or why it is refused */
    size_t key_bytes;   /* of the digest; PBKDF2 may have fewer */
};

/* A longer prefix stands before one that it begins with. */
static const struct scheme schemes[] = {
    {"{CRYPT}", KIND_CRYPT, NULL, 0},
    {"{SHA512-CRYPT}", KIND_CRYPT, NULL, 0},
    {"{SHA256-CRYPT}", KIND_CRYPT, NULL, 0},
    {"{BLF-CRYPT}", KIND_CRYPT, NULL, 0},
    {"{ARGON2ID}", KIND_ARGON2, NULL, 0},
    {"{SSHA}", KIND_SALTED, "SHA1", 20},
    {"{SSHA256}", KIND_SALTED, "SHA256", 32},
    {"{SSHA512}", KIND_SALTED, "SHA512", 64},
    {"{PBKDF2}", KIND_PBKDF2, "SHA1", 20},
    {"{PBKDF2-SHA1}", KIND_PBKDF2, "SHA1", 20},
    {"{PBKDF2-SHA256}", KIND_PBKDF2, "SHA256", 32},
    {"{PBKDF2-SHA512}", KIND_PBKDF2, "SHA512", 64},
    {"$pbkdf2$", KIND_PBKDF2, "SHA1", 20},
    {"$pbkdf2-sha256$", KIND_PBKDF2, "SHA256", 32},
    {"$pbkdf2-sha512$", KIND_PBKDF2, "SHA512", 64},
    {"$argon2id$", KIND_ARGON2, NULL, 0},
    {"{PLAIN}", KIND_REFUSED, "a password and no hash; set it with --password-stdin", 0},
    {"{CLEARTEXT}", KIND_REFUSED, "a password and no hash; set it with --password-stdin", 0},
    {"{MD5}", KIND_REFUSED, "a hash without salt; set a new password", 0},
    {"{SHA}", KIND_REFUSED, "a hash without salt; set a new password", 0},
    {"{SHA256}", KIND_REFUSED, "a hash without salt; set a new password", 0},
    {"{SHA512}", KIND_REFUSED, "a hash without salt; set a new password", 0},
    {"{NT}", KIND_REFUSED, "a hash without salt; set a new password", 0},
};
static const struct scheme bare_crypt = {"$", KIND_CRYPT, NULL, 0};

static const char too_dear[] = "a hash that takes too long to verify; set a new password";
static const char malformed[] = "not a whole hash of its kind; copy all of it";
static const char unknown[] = "not a hash that can be taken; see hikyaku(1) for those that can";

struct foreign_hash {
    const struct scheme *scheme;
    char text[FOREIGN_HASH_MAX_BYTES + 1]; /* of crypt(3) and argon2id, without the prefix */
    uint8_t key[KEY_MAX_BYTES];
    size_t key_bytes;
    uint8_t salt[SALT_MAX_BYTES];
    size_t salt_bytes;
    uint32_t rounds;
};

/* --- encodings --- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    /* passlib writes '.' for '+', so that a hash needs no quoting. */
    if (c == '+' || c == '.')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Base 64 to the end of the text, padded or not; the number of bytes, or 0. */
static size_t take_base64(struct str text, uint8_t *out, size_t max_bytes)
{
    struct cursor c = cursor_from(text);
    uint32_t bits = 0;
    size_t count = 0, chars = 0;

    while (cursor_left(&c) > 0 && cursor_peek(&c) != '=') {
        int value = sextet((char)cursor_next(&c));
        if (value < 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
        if (++chars % 4 == 1)
            continue;
        if (count == max_bytes)
            return 0;
        /* The second to fourth character of four complete a byte each. */
        out[count++] = (uint8_t)(bits >> (6 - 2 * ((chars - 1) % 4)));
    }
    struct str padding = cursor_rest(&c);
    bool is_padded = padding.len <= 2 && (padding.len == 0 || (chars + padding.len) % 4 == 0);
    return is_padded && chars % 4 != 1 && !str_contains_nocase(padding, STR("=a")) ? count : 0;
}

static size_t take_hex(struct str text, uint8_t *out, size_t max_bytes)
{
    struct cursor c = cursor_from(text);
    size_t count = 0;

    while (cursor_left(&c) > 0) {
        int high = ascii_hex_value((char)cursor_next(&c));
        int low = ascii_hex_value((char)cursor_next(&c));
        if (high < 0 || low < 0 || cursor_status(&c) < 0 || count == max_bytes)
            return 0;
        out[count++] = (uint8_t)(high << 4 | low);
    }
    return count;
}

static bool take_number(struct str text, uint64_t max, uint32_t *out)
{
    uint64_t value;

    if (str_to_u64(text, max, &value) < 0 || value == 0)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* --- the kinds --- */

static int crypt_digit(int c)
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    ptrdiff_t at = c > 0 ? str_find(STR(digits), (char)c) : -1;

    return (int)at;
}

/* "$y$j9T$salt$hash": the flags, log2 of the blocks less one, their size less one. */
static const char *check_yescrypt(struct cursor *c)
{
    cursor_expect(c, 'j');
    int blocks = crypt_digit(cursor_next(c)) + 1, size = crypt_digit(cursor_next(c)) + 1;

    cursor_expect(c, '$');
    if (cursor_status(c) < 0 || blocks < 1 || size < 1)
        return malformed;
    return blocks <= YESCRYPT_BLOCKS_MAX && size <= YESCRYPT_R_MAX ? NULL : too_dear;
}

/* "$2b$12$" and 53 characters. */
static const char *check_bcrypt(struct cursor *c)
{
    uint32_t cost;

    if (!take_number(cursor_take_until(c, '$'), 31, &cost) || cursor_left(c) != 54)
        return malformed;
    return cost <= BCRYPT_COST_MAX ? NULL : too_dear;
}

/* "$6$rounds=5000$salt$hash" or without rounds. */
static const char *check_sha_crypt(struct cursor *c)
{
    uint32_t rounds;

    if (!cursor_take_if_nocase(c, STR("rounds=")))
        return NULL;
    if (!take_number(cursor_take_until(c, '$'), UINT32_MAX, &rounds))
        return malformed;
    return rounds <= CRYPT_ROUNDS_MAX ? NULL : too_dear;
}

static const char *check_crypt(struct str text)
{
    static const struct {
        const char *prefix;
        const char *(*check)(struct cursor *c);
    } kinds[] = {
        {"$y$", check_yescrypt}, {"$2a$", check_bcrypt},   {"$2b$", check_bcrypt},
        {"$2y$", check_bcrypt},  {"$6$", check_sha_crypt}, {"$5$", check_sha_crypt},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct str prefix = str_from_c(kinds[i].prefix);
        struct cursor c = cursor_from(str_sub(text, prefix.len, text.len));
        if (str_has_prefix(text, prefix))
            return kinds[i].check(&c);
    }
    return unknown;
}

/* "$argon2id$v=19$m=19456,t=2,p=1$salt$hash" */
static const char *check_argon2(struct str text)
{
    struct cursor c = cursor_from(text);
    uint32_t memory, passes, lanes;

    if (!cursor_take_if_nocase(&c, STR("$argon2id$v=19$m=")) ||
        !take_number(cursor_take_until(&c, ','), UINT32_MAX, &memory) ||
        !cursor_take_if_nocase(&c, STR(",t=")) ||
        !take_number(cursor_take_until(&c, ','), UINT32_MAX, &passes) ||
        !cursor_take_if_nocase(&c, STR(",p=")) ||
        !take_number(cursor_take_until(&c, '$'), UINT32_MAX, &lanes) ||
        text.len >= crypto_pwhash_STRBYTES)
        return malformed;
    bool is_cheap =
        memory <= ARGON2_MEMORY_MAX_KIB && passes <= ARGON2_PASSES_MAX && lanes <= ARGON2_LANES_MAX;
    return is_cheap ? NULL : too_dear;
}

/* Base 64 of the digest, then the salt. */
static const char *parse_salted(struct str text, struct foreign_hash *out)
{
    uint8_t both[KEY_MAX_BYTES + SALT_MAX_BYTES];
    size_t bytes = take_base64(text, both, sizeof(both));

    out->key_bytes = out->scheme->key_bytes;
    if (bytes < out->key_bytes + SALT_MIN_BYTES || bytes - out->key_bytes > SALT_MAX_BYTES)
        return malformed;
    memcpy(out->key, both, out->key_bytes);
    out->salt_bytes = bytes - out->key_bytes;
    memcpy(out->salt, &both[out->key_bytes], out->salt_bytes);
    return NULL;
}

/* The three parts between '$'. Dovecot has salt$rounds$hex, with the salt as it is; the others have
 * rounds$salt$key in base 64. */
static const char *parse_pbkdf2(struct str text, struct foreign_hash *out)
{
    struct str first, second, third;
    bool is_dovecot = str_has_prefix(text, STR("$1$"));

    text = str_sub(text, is_dovecot ? 3 : 0, text.len);
    if (!str_cut(text, '$', &first, &text) || !str_cut(text, '$', &second, &third))
        return malformed;
    struct str rounds = is_dovecot ? second : first, salt = is_dovecot ? first : second;
    if (!take_number(rounds, UINT32_MAX, &out->rounds))
        return malformed;
    if (out->rounds > PBKDF2_ROUNDS_MAX)
        return too_dear;
    if (is_dovecot && salt.len <= SALT_MAX_BYTES) {
        memcpy(out->salt, salt.ptr, salt.len);
        out->salt_bytes = salt.len;
        out->key_bytes = take_hex(third, out->key, out->scheme->key_bytes);
    } else if (!is_dovecot) {
        out->salt_bytes = take_base64(salt, out->salt, SALT_MAX_BYTES);
        out->key_bytes = take_base64(third, out->key, out->scheme->key_bytes);
    }
    return out->salt_bytes >= SALT_MIN_BYTES && out->key_bytes >= KEY_MIN_BYTES ? NULL : malformed;
}

static const struct scheme *find_scheme(struct str text, struct str *out_rest)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct str prefix = str_from_c(schemes[i].prefix);
        bool is_bare = prefix.ptr[0] == '$';
        if (!str_has_prefix_nocase(text, prefix))
            continue;
        *out_rest =
            str_sub(text, schemes[i].kind == KIND_ARGON2 && is_bare ? 0 : prefix.len, text.len);
        return &schemes[i];
    }
    *out_rest = text;
    return str_has_prefix(text, STR("$")) ? &bare_crypt : NULL;
}

static const char *parse_kind(struct str rest, struct foreign_hash *out)
{
    switch (out->scheme->kind) {
    case KIND_CRYPT:
        return check_crypt(rest);
    case KIND_ARGON2:
        return check_argon2(rest);
    case KIND_SALTED:
        return parse_salted(rest, out);
    case KIND_PBKDF2:
        return parse_pbkdf2(rest, out);
    default:
        return out->scheme->digest;
    }
}

static bool has_odd_bytes(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return true;
    }
    return false;
}

/* NULL, or what is wrong. */
static const char *parse(struct str text, struct foreign_hash *out)
{
    struct str rest;

    if (text.len > FOREIGN_HASH_MAX_BYTES || has_odd_bytes(text))
        return unknown;
    out->scheme = find_scheme(text, &rest);
    if (out->scheme == NULL)
        return unknown;
    const char *why = parse_kind(rest, out);
    return why == NULL && !str_copy(rest, out->text, sizeof(out->text)) ? unknown : why;
}

/* --- verifying --- */

static int verify_crypt(const char *hash, const char *password)
{
    /* 32 KiB: not for a stack. */
    struct crypt_data *data = xcalloc(1, sizeof(*data));
    const char *again = crypt_rn(password, hash, data, (int)sizeof(*data));
    bool is_readable = again != NULL && again[0] == '$' && strlen(again) == strlen(hash);
    bool is_same = is_readable && CRYPTO_memcmp(again, hash, strlen(hash)) == 0;

    OPENSSL_cleanse(data, sizeof(*data));
    free(data);
    return is_readable ? is_same : -EINVAL;
}

static int verify_salted(const struct foreign_hash *h, struct str password)
{
    const EVP_MD *digest = EVP_get_digestbyname(h->scheme->digest);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t key[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    ASSERT(digest != NULL && context != NULL);
    bool is_done = EVP_DigestInit_ex(context, digest, NULL) == 1 &&
                   EVP_DigestUpdate(context, password.ptr, password.len) == 1 &&
                   EVP_DigestUpdate(context, h->salt, h->salt_bytes) == 1 &&
                   EVP_DigestFinal_ex(context, key, &bytes) == 1;
    EVP_MD_CTX_free(context);
    if (!is_done)
        return -EINVAL;
    return bytes == h->key_bytes && CRYPTO_memcmp(key, h->key, bytes) == 0;
}

static int verify_pbkdf2(const struct foreign_hash *h, struct str password)
{
    const EVP_MD *digest = EVP_get_digestbyname(h->scheme->digest);
    uint8_t key[KEY_MAX_BYTES];

    ASSERT(digest != NULL);
    if (PKCS5_PBKDF2_HMAC(password.ptr, (int)password.len, h->salt, (int)h->salt_bytes,
                          (int)h->rounds, digest, (int)h->key_bytes, key) != 1)
        return -EINVAL;
    return CRYPTO_memcmp(key, h->key, h->key_bytes) == 0;
}

int foreign_hash_check(struct str text, const char **out_why)
{
    struct foreign_hash h = {0};

    *out_why = parse(text, &h);
    if (*out_why == NULL && h.scheme->kind == KIND_CRYPT && verify_crypt(h.text, "") < 0)
        *out_why = malformed;
    return *out_why == NULL ? 0 : -EINVAL;
}

int foreign_hash_verify(struct str text, struct str password)
{
    struct foreign_hash h = {0};
    char copy[FOREIGN_PASSWORD_MAX_BYTES + 1];
    int r;

    if (parse(text, &h) != NULL)
        return -EINVAL;
    /* A password with a NUL is none that crypt(3) could have hashed. */
    if (password.len > FOREIGN_PASSWORD_MAX_BYTES || str_find(password, '\0') >= 0 ||
        !str_copy(password, copy, sizeof(copy)))
        return 0;
    if (h.scheme->kind == KIND_CRYPT)
        r = verify_crypt(h.text, copy);
    else if (h.scheme->kind == KIND_ARGON2)
        r = crypto_pwhash_str_verify(h.text, copy, password.len) == 0;
    else if (h.scheme->kind == KIND_SALTED)
        r = verify_salted(&h, password);
    else
        r = verify_pbkdf2(&h, password);
    OPENSSL_cleanse(copy, sizeof(copy));
    return r;
}
