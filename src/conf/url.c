/* Addresses of web services: see url.h. */
#include "conf/url.h"

#include <errno.h>

#include "base/cursor.h"
#include "base/ip.h"
#include "conf/value.h"

static bool is_url_char(char c)
{
    return c > ' ' && c <= '~' && str_find(STR("\"<>\\^`{|}#"), c) < 0;
}

static bool is_authority_char(char c)
{
    return ascii_is_alnum(c) || str_find(STR(".-_:[]"), c) >= 0;
}

static bool is_loopback(struct str host)
{
    struct ip_addr address;

    return ip_parse(host, &address) == 0 && ip_is_loopback(&address);
}

int url_parse(struct str text, struct url *out)
{
    struct cursor c = cursor_from(text);
    struct value_host host;

    *out = (struct url){.is_https = cursor_take_if_nocase(&c, STR("https://"))};
    if (text.len > URL_MAX_CHARS || (!out->is_https && !cursor_take_if_nocase(&c, STR("http://"))))
        return -EINVAL;
    struct str authority = cursor_take_while(&c, is_authority_char);
    struct str rest = cursor_rest(&c);
    if (rest.len > 0 && rest.ptr[0] != '/' && rest.ptr[0] != '?')
        return -EINVAL;
    (void)cursor_take_while(&c, is_url_char);
    if (cursor_finish(&c) < 0 || value_parse_host(authority, &host) < 0)
        return -EINVAL;
    out->host = host.name;
    out->is_loopback = is_loopback(host.name);
    return 0;
}

bool url_is_safe(struct str text, bool may_http)
{
    struct url url;

    if (url_parse(text, &url) < 0)
        return false;
    return url.is_https || (may_http && url.is_loopback);
}

void url_put_discovery(struct str issuer, struct buf *out)
{
    struct url url;
    bool has_slash = str_has_suffix_nocase(issuer, STR("/"));

    if (url_parse(issuer, &url) < 0)
        return;
    buf_put_str(out, has_slash ? str_sub(issuer, 0, issuer.len - 1) : issuer);
    buf_put_c(out, "/.well-known/openid-configuration");
}
