/*
 * Addresses of LDAP servers, and templates for names and filters there, as the settings have them:
 * pure text. What is put into a template is escaped in svc/auth/name.h.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"
#include "conf/settings.h"

struct ldap_text_url {
    bool is_encrypted; /* ldaps: from the first byte */
    bool is_unix;      /* ldapi: a socket of this machine */
    bool is_loopback;  /* the host is this machine: written as an address, or localhost */
    struct str host;   /* a view, without brackets and port; of ldapi empty */
};

/* "ldap://HOST[:PORT]", "ldaps://HOST[:PORT]" or "ldapi://PATH", the path with its slashes as %2F;
 * nothing behind but a slash. 0 or -EINVAL. */
MUST_CHECK int ldap_text_parse_url(struct str text, struct ldap_text_url *out);

/* Whether what is said there is encrypted and the server known by its certificate. */
bool ldap_text_has_tls(const struct ldap_text_url *url, enum settings_ldap_starttls starttls);

/* Whether the text is printable UTF-8 in which each percent sign begins %u, %d, %a or %%, and the
 * user is named: by %u or %a. */
bool ldap_text_is_template(struct str text);
/* The same for a name (RFC 4514), which must have an attribute; and for a filter (RFC 4515), whose
 * parentheses must fit. What else is wrong with them, the server will say. */
bool ldap_text_is_name(struct str text);
bool ldap_text_is_filter(struct str text);
