/* The compact form of a JWT: see jwt.h. */
#include "token/jwt.h"

#include <errno.h>

#include "token/base64url.h"
#include "token/json.h"
#include "token/jwk.h"

static int fail(const char *why, const char **out_why)
{
    *out_why = why;
    return -EINVAL;
}

/* "typ" may be left out; it is a media type, whose "application/" may be left out (RFC 7515 section
 * 4.1.9). */
static bool is_usable_type(const json_t *header)
{
    struct str type = token_json_str(header, "typ");

    if (json_object_get(header, "typ") == NULL)
        return true;
    if (str_has_prefix_nocase(type, STR("application/")))
        type = str_sub(type, sizeof("application/") - 1, type.len);
    return str_eq_nocase(type, STR("JWT")) || str_eq_nocase(type, STR("at+jwt"));
}

/* Appends the bytes of one of the three parts, and gives their view: good until the next is
 * appended, because the buffer has all its room from the beginning. */
static int take_part(struct jwt *jwt, struct str part, struct str *out)
{
    size_t before = jwt->store.len;

    if (part.len == 0 || base64url_take(part, &jwt->store) < 0)
        return -EINVAL;
    *out = str_sub(buf_str(&jwt->store), before, jwt->store.len - before);
    return 0;
}

/* The name of the key goes into the buffer, because the JSON does not stay. */
static int read_header(struct jwt *jwt, struct str text, const char **out_why)
{
    CLEANUP(token_json_free) json_t *header = token_json_load(text);

    if (text.len > JWT_HEADER_MAX_BYTES || header == NULL)
        return fail("its header is no JSON object", out_why);
    if (!jws_find(token_json_str(header, "alg"), &jwt->algorithm))
        return fail("it is not signed by an algorithm that is taken", out_why);
    if (json_object_get(header, "crit") != NULL)
        return fail("it has critical extensions", out_why);
    if (!is_usable_type(header))
        return fail("it is a token for another purpose", out_why);
    struct str id = token_json_str(header, "kid");
    bool has_id = json_object_get(header, "kid") != NULL;
    if (has_id && (id.len == 0 || id.len > JWK_ID_MAX_BYTES))
        return fail("its key has a name that cannot be", out_why);
    size_t before = jwt->store.len;
    buf_put_str(&jwt->store, id);
    jwt->key_id = str_sub(buf_str(&jwt->store), before, id.len);
    return 0;
}

int jwt_parse(struct str token, struct jwt *out, const char **out_why)
{
    struct str header, claims, signature, rest;

    *out = (struct jwt){.key_id = STR("")};
    *out_why = "";
    buf_init(&out->store, JWT_MAX_BYTES + JWK_ID_MAX_BYTES);
    if (token.len == 0 || token.len > JWT_MAX_BYTES)
        return fail("it is empty or too long", out_why);
    if (!str_cut(token, '.', &header, &rest) || !str_cut(rest, '.', &claims, &signature) ||
        str_find(signature, '.') >= 0)
        return fail("it is not three parts with dots between them", out_why);
    ASSERT(buf_reserve(&out->store, out->store.max) != NULL);
    out->signed_text = str_sub(token, 0, header.len + 1 + claims.len);
    struct str text;
    if (take_part(out, header, &text) < 0 || take_part(out, claims, &out->claims) < 0)
        return fail("a part of it is not base64url", out_why);
    int r = read_header(out, text, out_why);
    if (r == 0 && take_part(out, signature, &out->signature) < 0)
        return fail("its signature is missing or not base64url", out_why);
    return r;
}

void jwt_done(struct jwt *jwt)
{
    buf_done(&jwt->store);
}
