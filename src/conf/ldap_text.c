/* Addresses of LDAP servers and templates: see ldap_text.h. */
#include "conf/ldap_text.h"

#include <errno.h>

#include "base/ip.h"
#include "base/utf8.h"

enum { PORT_MAX = 65535 };

static bool is_host_char(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '.' || c == '_';
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_char(host.ptr[i]))
            return false;
    }
    return host.len > 0;
}

static bool is_port(struct str port)
{
    uint64_t number;

    return str_to_u64(port, PORT_MAX, &number) == 0 && number > 0;
}

/* "HOST", "HOST:PORT", "[ADDRESS]", "[ADDRESS]:PORT" */
static int take_host(struct str text, struct ldap_text_url *out)
{
    struct str port = STR_NONE;
    struct ip_addr address;

    if (text.len > 0 && text.ptr[0] == '[') {
        if (!str_cut(str_sub(text, 1, text.len), ']', &out->host, &port))
            return -EINVAL;
        if (ip_parse(out->host, &address) < 0 || address.family != IP_V6)
            return -EINVAL;
        if (port.len == 0)
            return 0;
        return port.ptr[0] == ':' && is_port(str_sub(port, 1, port.len)) ? 0 : -EINVAL;
    }
    bool has_port = str_cut(text, ':', &out->host, &port);
    return is_host(out->host) && (!has_port || is_port(port)) ? 0 : -EINVAL;
}

static bool is_loopback(struct str host)
{
    struct ip_addr address;

    if (ip_parse(host, &address) == 0)
        return ip_is_loopback(&address);
    return str_eq_nocase(host, STR("localhost"));
}

/* "%2Frun%2Fslapd%2Fldapi": in a URL the path stands where a host does. */
static int check_path(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool is_escape = text.ptr[i] == '%' && i + 2 < text.len &&
                         ascii_hex_value(text.ptr[i + 1]) >= 0 &&
                         ascii_hex_value(text.ptr[i + 2]) >= 0;
        if (!is_escape && !is_host_char(text.ptr[i]))
            return -EINVAL;
        i += is_escape ? 2 : 0;
    }
    return str_has_prefix_nocase(text, STR("%2F")) ? 0 : -EINVAL;
}

int ldap_text_parse_url(struct str text, struct ldap_text_url *out)
{
    ptrdiff_t colon = str_find(text, ':');
    struct str scheme = str_sub(text, 0, colon < 0 ? 0 : (size_t)colon);
    struct str rest = str_sub(text, scheme.len, text.len);

    *out = (struct ldap_text_url){.is_encrypted = str_eq_nocase(scheme, STR("ldaps")),
                                  .is_unix = str_eq_nocase(scheme, STR("ldapi"))};
    if (!str_has_prefix(rest, STR("://")))
        return -EINVAL;
    rest = str_sub(rest, 3, rest.len);
    if (str_has_suffix_nocase(rest, STR("/")))
        rest = str_sub(rest, 0, rest.len - 1);
    if (out->is_unix)
        return check_path(rest);
    if (!out->is_encrypted && !str_eq_nocase(scheme, STR("ldap")))
        return -EINVAL;
    int r = take_host(rest, out);
    out->is_loopback = r == 0 && is_loopback(out->host);
    return r;
}

bool ldap_text_has_tls(const struct ldap_text_url *url, enum settings_ldap_starttls starttls)
{
    if (url->is_encrypted || url->is_unix)
        return url->is_encrypted;
    return starttls == SETTINGS_LDAP_STARTTLS_ALWAYS ||
           (starttls == SETTINGS_LDAP_STARTTLS_REMOTE && !url->is_loopback);
}

bool ldap_text_is_template(struct str text)
{
    bool has_user = false;

    if (!utf8_is_valid(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
        if (text.ptr[i] != '%')
            continue;
        char c = ++i < text.len ? text.ptr[i] : '\0';
        if (c != 'u' && c != 'd' && c != 'a' && c != '%')
            return false;
        has_user |= c == 'u' || c == 'a';
    }
    return has_user;
}

bool ldap_text_is_name(struct str text)
{
    return ldap_text_is_template(text) && str_find(text, '=') > 0;
}

bool ldap_text_is_filter(struct str text)
{
    size_t depth = 0;

    if (!ldap_text_is_template(text) || text.ptr[0] != '(')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '(')
            depth++;
        if (text.ptr[i] != ')')
            continue;
        depth--;
        if (depth == 0)
            return i + 1 == text.len;
    }
    return false;
}
