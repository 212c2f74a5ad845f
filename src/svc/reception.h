/*
 * SMTP sessions of a worker: what mail from strangers and mail from users have in common. Sessions
 * are counted in the store, so that all workers keep to one number.
 */
#pragma once

#include "base/id.h"
#include "smtp/session.h"
#include "svc/acceptor.h"
#include "svc/child.h"
#include "svc/store_backend.h"
#include "svc/tls_link.h"

struct reception {
    const char *process; /* for the log */
    struct smtp_policy *policy;
    struct child_link store;
    struct child_link resolver; /* for the checks of senders that are to come */
    struct tls_link tls;
    struct id_maker ids;
    struct store_backend backend;
    unsigned refusals; /* under way */
};

/* Embedded, must stay in place; takes the settings over. Pair: reception_done. */
void reception_init(struct reception *r, const char *process, struct settings *settings,
                    unsigned slot);
void reception_done(struct reception *r);
/* Settings for new sessions; taken over. */
void reception_take_settings(struct reception *r, struct settings *settings);
/* Serves one connection; `config` brings what the worker decides, the rest is filled in here. With
 * config->is_secure TLS comes before the greeting. Yields. */
void reception_serve(struct reception *r, struct stream *stream, const struct accepted *from,
                     const struct smtp_session_config *config);
