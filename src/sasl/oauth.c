/* OAUTHBEARER and XOAUTH2: see oauth.h. */
#include "sasl/oauth.h"

#include <errno.h>

#include "base/cursor.h"
#include "base/utf8.h"
#include "sasl/gs2.h"

enum { OAUTH_SEPARATOR = '\x01' };

/* value = *(VCHAR / SP / HTAB / CR / LF), and UTF-8, because XOAUTH2 has the name in one. */
static bool is_value_char(char c)
{
    return (unsigned char)c >= ' ' ? c != 0x7f : c == '\t' || c == '\r' || c == '\n';
}

/* RFC 6750 section 2.1: b64token. */
static bool is_token_char(char c)
{
    return ascii_is_alnum(c) || str_find(STR("-._~+/"), c) >= 0;
}

static bool is_pad(char c)
{
    return c == '=';
}

struct pair {
    struct str key, value;
};

/* kvpair = key "=" value kvsep */
static struct pair take_pair(struct cursor *in)
{
    struct pair pair;

    pair.key = cursor_take_while(in, ascii_is_alpha);
    cursor_expect(in, '=');
    pair.value = cursor_take_while(in, is_value_char);
    cursor_expect(in, OAUTH_SEPARATOR);
    if (pair.key.len == 0)
        cursor_fail(in);
    return pair;
}

/* What stands behind "auth": the token, or nothing when the client only asks. */
static struct str read_authorization(struct cursor *in, struct str value)
{
    struct cursor auth = cursor_from(value);

    if (value.len == 0)
        return STR("");
    if (!cursor_take_if_nocase(&auth, STR("Bearer"))) {
        cursor_fail(in);
        return STR("");
    }
    if (cursor_left(&auth) == 0)
        return STR("");
    cursor_expect(&auth, ' ');
    while (cursor_take_if(&auth, ' ')) {
    }
    struct str token = cursor_rest(&auth);
    (void)cursor_take_while(&auth, is_token_char);
    (void)cursor_take_while(&auth, is_pad);
    if (cursor_finish(&auth) < 0)
        cursor_fail(in);
    return token;
}

/* Pairs up to the separator that ends them and the message; the token of the one "auth". */
static struct str take_pairs(struct cursor *in)
{
    struct str token = STR("");
    bool has_auth = false;

    while (cursor_left(in) > 0 && !cursor_take_if(in, OAUTH_SEPARATOR)) {
        struct pair pair = take_pair(in);
        if (!str_eq(pair.key, STR("auth")))
            continue;
        if (has_auth)
            cursor_fail(in);
        has_auth = true;
        token = read_authorization(in, pair.value);
    }
    if (!has_auth)
        cursor_fail(in);
    return token;
}

/* The whole of it: read to the end, and the end was the separator behind the last pair. */
static int status_of(const struct cursor *in, struct str message)
{
    if (cursor_finish(in) < 0 || !utf8_is_valid(message))
        return -EINVAL;
    return str_has_suffix_nocase(message, STR("\x01\x01")) ? 0 : -EINVAL;
}

int oauth_read_bearer(struct str message, struct oauth_message *out)
{
    struct cursor in = cursor_from(message);
    struct gs2_header header;

    gs2_take_header(&in, &header);
    cursor_expect(&in, OAUTH_SEPARATOR);
    *out = (struct oauth_message){.name = header.authzid};
    out->token = take_pairs(&in);
    if (header.flag == GS2_BINDING_USED)
        return -EINVAL;
    return status_of(&in, message);
}

int oauth_read_xoauth2(struct str message, struct oauth_message *out)
{
    struct cursor in = cursor_from(message);

    struct pair user = take_pair(&in);
    *out = (struct oauth_message){.name = user.value};
    out->token = take_pairs(&in);
    if (!str_eq(user.key, STR("user")) || user.value.len == 0)
        return -EINVAL;
    return status_of(&in, message);
}

static void put_json(struct str text, struct buf *out)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ')
            buf_printf(out, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else
            buf_put_char(out, (char)c);
    }
    buf_put_char(out, '"');
}

static void put_member(const char *name, struct str value, struct buf *out)
{
    if (value.len == 0)
        return;
    buf_printf(out, ",\"%s\":", name);
    put_json(value, out);
}

void oauth_put_bearer_error(struct str scope, struct str discovery, struct buf *out)
{
    buf_put_c(out, "{\"status\":\"invalid_token\"");
    put_member("scope", scope, out);
    put_member("openid-configuration", discovery, out);
    buf_put_char(out, '}');
}

void oauth_put_xoauth2_error(struct str scope, struct buf *out)
{
    buf_put_c(out, "{\"status\":\"401\",\"schemes\":\"bearer\"");
    put_member("scope", scope, out);
    buf_put_char(out, '}');
}
