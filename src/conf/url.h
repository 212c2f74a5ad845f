/* Addresses of web services, as settings and other services name them (RFC 3986, the part of it
 * that is of use): pure text. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { URL_MAX_CHARS = 1024 };

/* Views into the text. */
struct url {
    bool is_https;
    bool is_loopback; /* the host is written as an address of this machine */
    struct str host;  /* without brackets and port */
};

/* "https://HOST[:PORT][/PATH][?QUERY]" or "http://..."; printable ASCII, no user and no fragment.
 * 0 or -EINVAL. */
MUST_CHECK int url_parse(struct str text, struct url *out);
/* Whether a secret may be sent there, or the answer believed: https; with may_http also http, but
 * only on this machine, by number, so that no name server has a say. */
bool url_is_safe(struct str text, bool may_http);
/* Appends where an identity provider publishes its configuration (OpenID Connect Discovery section
 * 4); nothing if its name is no such address. */
void url_put_discovery(struct str issuer, struct buf *out);
