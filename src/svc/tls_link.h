/*
 * A worker's keys: what the master has sent of them (CONTROL_TLS), as contexts for connections.
 *
 * A renewed key makes new contexts; connections go on with those they began with, which are counted
 * (rt/tls.h). Nothing of it is kept in another form.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "conf/settings.h"
#include "rt/tls.h"
#include "svc/child.h"

struct tls_link {
    struct tls_server *server; /* for accepting; NULL: there is no certificate */
    struct tls_client *client; /* for connecting; NULL: nothing has come yet */
    struct tls_link_password *passwords;
    size_t password_count;
};

/* Embedded; pair: tls_link_done, which overwrites the passwords. */
void tls_link_init(struct tls_link *link);
void tls_link_done(struct tls_link *link);
/* Takes CONTROL_TLS with its descriptor, which is closed. Settings are those in force: the master
 * sends keys after each change of them. 0; or negative errno after logging why, and what was there
 * stays. */
MUST_CHECK int tls_link_take(struct tls_link *link, const struct settings *settings,
                             struct control_event *event);
/* Appends the password of the route's user; false: there is none. The caller overwrites it. */
MUST_CHECK bool tls_link_put_password(const struct tls_link *link, struct str route,
                                      struct buf *out);
