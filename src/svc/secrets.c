/* Keys, certificates and passwords as bytes: see secrets.h. */
#include "svc/secrets.h"

#include <errno.h>

#include "base/cursor.h"

enum { SECRETS_MAGIC = 0x53594b48 }; /* "HKYS" */

static void encode_identities(const struct secrets *s, struct buf *out)
{
    ASSERT(s->identity_count <= SECRETS_IDENTITIES_MAX);
    buf_put_u32(out, (uint32_t)s->identity_count);
    for (size_t i = 0; i < s->identity_count; i++) {
        buf_put_lp(out, s->identities[i].name);
        buf_put_lp(out, s->identities[i].chain);
        buf_put_lp(out, s->identities[i].key);
    }
    ASSERT(s->ticket_key_count <= SECRETS_TICKET_KEYS_MAX);
    buf_put_u32(out, (uint32_t)s->ticket_key_count);
    for (size_t i = 0; i < s->ticket_key_count; i++) {
        ASSERT(s->ticket_keys[i].len == SECRETS_TICKET_KEY_BYTES);
        buf_put_str(out, s->ticket_keys[i]);
    }
}

static void encode_credentials(const struct secrets *s, struct buf *out)
{
    ASSERT(s->credential_count <= SECRETS_CREDENTIALS_MAX);
    buf_put_u32(out, (uint32_t)s->credential_count);
    for (size_t i = 0; i < s->credential_count; i++) {
        buf_put_lp(out, s->credentials[i].route);
        buf_put_lp(out, s->credentials[i].password);
    }
}

static void encode_pair(struct str first, struct str second, struct buf *out)
{
    buf_put_lp(out, first);
    buf_put_lp(out, second);
}

void secrets_encode(const struct secrets *s, unsigned parts, struct buf *out)
{
    buf_put_u32(out, SECRETS_MAGIC);
    buf_put_u8(out, (uint8_t)parts);
    if ((parts & SECRETS_IDENTITIES) != 0)
        encode_identities(s, out);
    if ((parts & SECRETS_CLIENT_CA) != 0)
        encode_pair(s->client_ca, s->client_crl, out);
    if ((parts & SECRETS_CA) != 0)
        buf_put_lp(out, s->ca);
    if ((parts & SECRETS_CREDENTIALS) != 0)
        encode_credentials(s, out);
    if ((parts & SECRETS_TOKENS) != 0)
        encode_pair(s->token_keys, s->token_secret, out);
    if ((parts & SECRETS_LDAP) != 0)
        buf_put_lp(out, s->ldap_password);
}

enum { LENGTH_BYTES = 4 };

static size_t lp_length(struct str s)
{
    return LENGTH_BYTES + s.len;
}

static size_t identities_length(const struct secrets *s)
{
    size_t length = 2 * LENGTH_BYTES + s->ticket_key_count * SECRETS_TICKET_KEY_BYTES;

    for (size_t i = 0; i < s->identity_count; i++)
        length += lp_length(s->identities[i].name) + lp_length(s->identities[i].chain) +
                  lp_length(s->identities[i].key);
    return length;
}

static size_t credentials_length(const struct secrets *s)
{
    size_t length = LENGTH_BYTES;

    for (size_t i = 0; i < s->credential_count; i++)
        length += lp_length(s->credentials[i].route) + lp_length(s->credentials[i].password);
    return length;
}

size_t secrets_length(const struct secrets *s, unsigned parts)
{
    size_t length = sizeof(uint32_t) + sizeof(uint8_t);

    if ((parts & SECRETS_IDENTITIES) != 0)
        length += identities_length(s);
    if ((parts & SECRETS_CLIENT_CA) != 0)
        length += lp_length(s->client_ca) + lp_length(s->client_crl);
    if ((parts & SECRETS_CA) != 0)
        length += lp_length(s->ca);
    if ((parts & SECRETS_CREDENTIALS) != 0)
        length += credentials_length(s);
    if ((parts & SECRETS_TOKENS) != 0)
        length += lp_length(s->token_keys) + lp_length(s->token_secret);
    if ((parts & SECRETS_LDAP) != 0)
        length += lp_length(s->ldap_password);
    return length;
}

/* A count that fits; 0 and a failure otherwise. */
static size_t decode_count(struct cursor *c, size_t max)
{
    uint32_t count = cursor_u32(c);

    if (count <= max && cursor_status(c) == 0)
        return count;
    cursor_fail(c);
    return 0;
}

static void decode_identities(struct cursor *c, struct arena *arena, struct secrets *out)
{
    size_t count = decode_count(c, SECRETS_IDENTITIES_MAX);
    struct secrets_identity *identities = arena_alloc(arena, (count + 1) * sizeof(*identities));

    for (size_t i = 0; i < count; i++) {
        identities[i].name = cursor_lp(c);
        identities[i].chain = cursor_lp(c);
        identities[i].key = cursor_lp(c);
    }
    out->identities = identities;
    out->identity_count = count;
    out->ticket_key_count = decode_count(c, SECRETS_TICKET_KEYS_MAX);
    for (size_t i = 0; i < out->ticket_key_count; i++)
        out->ticket_keys[i] = cursor_take(c, SECRETS_TICKET_KEY_BYTES);
}

static void decode_credentials(struct cursor *c, struct arena *arena, struct secrets *out)
{
    size_t count = decode_count(c, SECRETS_CREDENTIALS_MAX);
    struct secrets_credential *credentials = arena_alloc(arena, (count + 1) * sizeof(*credentials));

    for (size_t i = 0; i < count; i++) {
        credentials[i].route = cursor_lp(c);
        credentials[i].password = cursor_lp(c);
    }
    out->credentials = credentials;
    out->credential_count = count;
}

static void decode_pair(struct cursor *c, struct str *out_first, struct str *out_second)
{
    *out_first = cursor_lp(c);
    *out_second = cursor_lp(c);
}

int secrets_decode(struct str bytes, struct arena *arena, struct secrets *out)
{
    struct cursor c = cursor_from(bytes);

    *out = (struct secrets){0};
    if (cursor_u32(&c) != SECRETS_MAGIC)
        return -EBADMSG;
    unsigned parts = cursor_u8(&c);
    if ((parts & SECRETS_IDENTITIES) != 0)
        decode_identities(&c, arena, out);
    if ((parts & SECRETS_CLIENT_CA) != 0)
        decode_pair(&c, &out->client_ca, &out->client_crl);
    if ((parts & SECRETS_CA) != 0)
        out->ca = cursor_lp(&c);
    if ((parts & SECRETS_CREDENTIALS) != 0)
        decode_credentials(&c, arena, out);
    if ((parts & SECRETS_TOKENS) != 0)
        decode_pair(&c, &out->token_keys, &out->token_secret);
    if ((parts & SECRETS_LDAP) != 0)
        out->ldap_password = cursor_lp(&c);
    if (parts > SECRETS_ALL)
        cursor_fail(&c);
    return cursor_finish(&c);
}
