/*
 * What strings and items of lists must look like, in the words of an operator: see settings_form.h.
 * The parsers themselves are in value.c; here are only their descriptions and advice.
 */
#include "conf/settings_form.h"

#include <errno.h>

#include "conf/ldap_text.h"
#include "conf/url.h"
#include "conf/value.h"

enum { PAUSE_MIN_MS = 1000, PAUSE_MAX_MS = 7 * 86400 * 1000 };

static bool is_listen_address(struct str s)
{
    struct value_listen parsed;

    return value_parse_listen(s, &parsed) == 0;
}

static bool put_listen_advice(struct str s, struct buf *out)
{
    if (!str_has_prefix(s, STR("*:")))
        return false;
    buf_printf(out, "write both \"0.0.0.0%.*s\" and \"[::]%.*s\"",
               STR_ARG(str_sub(s, 1, SETTING_TEXT_MAX_BYTES)),
               STR_ARG(str_sub(s, 1, SETTING_TEXT_MAX_BYTES)));
    return true;
}

static bool is_network(struct str s)
{
    struct value_network parsed;

    return value_parse_network(s, &parsed) == 0;
}

static bool put_network_advice(struct str s, struct buf *out)
{
    struct value_network meant;

    if (value_parse_network(s, &meant) != -EDOM)
        return false;
    buf_put_c(out, "bits are set after the prefix: write ");
    value_format_network(&meant, out);
    buf_put_c(out, " or one address");
    return true;
}

static bool is_optional_hostname(struct str s)
{
    return s.len == 0 || value_is_hostname(s);
}

static bool is_optional_path(struct str s)
{
    return s.len == 0 || value_is_path(s);
}

static bool is_optional_user(struct str s)
{
    return s.len == 0 || value_is_user(s);
}

/* A file name without surprises. */
static bool is_service(struct str s)
{
    return value_is_section_label(s) && s.ptr[0] != '.';
}

static bool is_optional_ipv4(struct str s)
{
    return s.len == 0 || value_is_ipv4(s);
}

static bool is_optional_ipv6(struct str s)
{
    return s.len == 0 || value_is_ipv6(s);
}

static bool is_server(struct str s)
{
    struct value_server parsed;

    return value_parse_server(s, &parsed) == 0;
}

/* Elsewhere the port is written after a colon. */
static bool put_server_advice(struct str s, struct buf *out)
{
    struct value_listen meant;

    if (value_parse_listen(s, &meant) < 0)
        return false;
    buf_printf(out, "write \"%s@%u\"", meant.address, meant.port);
    return true;
}

static bool is_stub(struct str s)
{
    struct value_stub parsed;

    return value_parse_stub(s, &parsed) == 0;
}

static bool is_pause(struct str s)
{
    int64_t ms;

    return value_parse_duration(s, &ms) == 0 && ms >= PAUSE_MIN_MS && ms <= PAUSE_MAX_MS;
}

static bool is_sender(struct str s)
{
    struct value_sender parsed;

    return value_parse_sender(s, &parsed) == 0;
}

static bool is_optional_url(struct str s)
{
    struct url parsed;

    return s.len == 0 || url_parse(s, &parsed) == 0;
}

static bool is_ldap_url(struct str s)
{
    struct ldap_text_url parsed;

    return ldap_text_parse_url(s, &parsed) == 0;
}

static bool is_optional_ldap_name(struct str s)
{
    return s.len == 0 || ldap_text_is_name(s);
}

/* Words with one blank between them (RFC 6749 section 3.3). */
static bool is_scope(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_blank = c == ' ' && i > 0 && i + 1 < s.len && s.ptr[i - 1] != ' ';
        if (!is_blank && (c <= ' ' || c > '~' || c == '"' || c == '\\'))
            return false;
    }
    return true;
}

static bool is_host(struct str s)
{
    struct value_host parsed;

    return value_parse_host(s, &parsed) == 0;
}

static bool put_host_advice(struct str s, struct buf *out)
{
    if (!value_is_ipv6(s))
        return false;
    buf_printf(out, "write \"[%.*s]\"", STR_ARG(s));
    return true;
}

/* Somebody who writes an address means its domain, or has taken `from` for `to`. */
static bool put_domain_advice(struct str s, struct buf *out)
{
    struct str local, domain;

    if (!str_cut(s, '@', &local, &domain) || !value_is_domain_pattern(domain))
        return false;
    buf_printf(out, "here only domains count: write \"%.*s\"", STR_ARG(domain));
    return true;
}

const struct setting_form form_hostname = {.is_valid = value_is_hostname,
                                           .description =
                                               "a full host name in ASCII, such as mx.example.org"};
const struct setting_form form_optional_hostname = {
    .is_valid = is_optional_hostname,
    .description = "a full host name in ASCII, such as mx.example.org, or \"\""};
const struct setting_form form_path = {.is_valid = value_is_path,
                                       .description = "an absolute path without \"..\" in it"};
const struct setting_form form_optional_path = {
    .is_valid = is_optional_path,
    .description = "an absolute path without \"..\" in it, or \"\" for none"};
const struct setting_form form_user = {.is_valid = value_is_user,
                                       .description = "the name of a system user, such as hikyaku"};
const struct setting_form form_optional_user = {
    .is_valid = is_optional_user, .description = "the name of a system user, or \"\""};
const struct setting_form form_service = {
    .is_valid = is_service, .description = "the name of a PAM service, such as hikyaku"};
const struct setting_form form_printable = {.is_valid = value_is_printable,
                                            .description = "printable ASCII characters"};
const struct setting_form form_separators = {
    .is_valid = value_is_separators,
    .description = "different ASCII marks that may stand in an address, such as \"+\""};
const struct setting_form form_listen = {
    .is_valid = is_listen_address,
    .description = "ADDRESS:PORT in numbers, such as \"0.0.0.0:25\" or \"[::]:25\"",
    .put_advice = put_listen_advice};
const struct setting_form form_network = {.is_valid = is_network,
                                          .description =
                                              "a network such as 192.0.2.0/24 or \"2001:db8::/32\"",
                                          .put_advice = put_network_advice};
const struct setting_form form_optional_ipv4 = {
    .is_valid = is_optional_ipv4,
    .description = "an IPv4 address of this machine, such as 192.0.2.1, or \"\""};
const struct setting_form form_optional_ipv6 = {
    .is_valid = is_optional_ipv6,
    .description = "an IPv6 address of this machine, such as \"2001:db8::1\", or \"\""};
const struct setting_form form_server = {
    .is_valid = is_server,
    .description =
        "ADDRESS or ADDRESS@PORT in numbers, such as 192.0.2.53 or \"2001:db8::53@5353\"",
    .put_advice = put_server_advice};
const struct setting_form form_stub = {
    .is_valid = is_stub,
    .description = "\"ZONE ADDRESS\" or \"ZONE ADDRESS@PORT\", such as \"corp.example 10.0.0.53\""};
const struct setting_form form_record = {
    .is_valid = value_is_record,
    .description = "\"NAME TYPE DATA\" or \"NAME TTL TYPE DATA\" as in a zone file, such as "
                   "\"osaka.example 60 MX 10 mx.osaka.example\""};
const struct setting_form form_pause = {
    .is_valid = is_pause, .description = "a duration from 1s to 7d", .may_repeat = true};
const struct setting_form form_sender = {
    .is_valid = is_sender,
    .description = "\"LOGIN ADDRESS\", such as \"www-data shop@example.org\""};
const struct setting_form form_host = {
    .is_valid = is_host,
    .description = "\"HOST[:PORT] [weight=N] [backup]\", such as mail.example.org, "
                   "\"192.0.2.1:587 weight=3\" or \"[2001:db8::1] backup\"",
    .put_advice = put_host_advice};
const struct setting_form form_domain_pattern = {
    .is_valid = value_is_domain_pattern,
    .description = "a domain in ASCII such as example.org, \"*.example.org\" for those below it, "
                   "or \"*\"",
    .put_advice = put_domain_advice};
const struct setting_form form_host_pattern = {
    .is_valid = value_is_domain_pattern,
    .description = "a host name such as mx.example.org, or \"*.example.org\" for those below it"};
const struct setting_form form_sender_pattern = {
    .is_valid = value_is_sender_pattern,
    .description = "a domain such as example.org, \"*.example.org\" for those below it, an address "
                   "such as user@example.org, or \"<>\" for the null sender"};
const struct setting_form form_section_label = {
    .is_valid = value_is_section_label,
    .description = "1 to 64 letters, digits, dots, hyphens and underscores"};
const struct setting_form form_optional_url = {
    .is_valid = is_optional_url,
    .description = "an address such as https://id.example.org/path, or \"\" for none"};
const struct setting_form form_scope = {
    .is_valid = is_scope,
    .description = "words with one blank between them, such as \"mail openid\", or \"\" for none"};
const struct setting_form form_ldap_url = {
    .is_valid = is_ldap_url,
    .description = "ldap://HOST, ldaps://HOST or ldapi://%2Fpath%2Fof%2Fsocket, with :PORT behind "
                   "the host if it is another than the usual one"};
const struct setting_form form_optional_ldap_name = {
    .is_valid = is_optional_ldap_name,
    .description = "a name such as \"uid=%u,ou=people,dc=example,dc=jp\" with %u (user), %d "
                   "(domain) or %a (address) in it, or \"\" for none"};
const struct setting_form form_ldap_filter = {
    .is_valid = ldap_text_is_filter,
    .description = "a filter in parentheses with %u (user) or %a (address) in it, such as "
                   "\"(mail=%a)\""};
