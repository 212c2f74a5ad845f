/*
 * The messages of OAUTHBEARER (RFC 7628 section 3.1) and XOAUTH2: pure parsers, and the error that
 * a server answers (section 3.2.2).
 *
 * Bearer tokens only. "host" and "port" are passed over like unknown keys: a bearer token does not
 * sign them. No channel binding: RFC 7628 defines none.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* Views into the message. */
struct oauth_message {
    struct str name;  /* OAUTHBEARER: as gs2_name_take reads it; XOAUTH2: as it is; empty: none */
    struct str token; /* empty: the client asks what would be needed */
};

/* 0, or -EINVAL when the message is not of the grammar. */
MUST_CHECK int oauth_read_bearer(struct str message, struct oauth_message *out);
MUST_CHECK int oauth_read_xoauth2(struct str message, struct oauth_message *out);

/* Appends the error of a token that is not good, as JSON. Scope and discovery may be empty. */
void oauth_put_bearer_error(struct str scope, struct str discovery, struct buf *out);
void oauth_put_xoauth2_error(struct str scope, struct buf *out);
