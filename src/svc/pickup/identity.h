/*
 * Who may send as whom. A user of this machine may use his own address (LOGIN@submit.domain), those
 * that submit.senders gives him, and any address of a domain that is not ours: for those we cannot
 * know, and programs such as git send-email need them. Users of submit.trusted_users may use all.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "conf/settings.h"
#include "mail/address.h"
#include "smtp/backend.h"
#include "svc/pickup/users.h"

struct identity {
    const struct settings *settings;
    const struct smtp_backend *backend;
    const struct user *user;
    bool is_trusted;
    struct str domain; /* for names that lack one: A-labels */
    struct address own;
    struct str own_text; /* printed */
};

/* Views live in `arena`, in the settings and in `user`, which must outlive the identity. */
void identity_init(struct identity *i, const struct settings *settings,
                   const struct smtp_backend *backend, const struct user *user,
                   struct arena *arena);
/* Whether the user may send as this address. Asks the store whether the domain is ours: Yields.
 * 0 and *out_may, or negative errno. */
MUST_CHECK int identity_may_use(const struct identity *i, const struct address *address,
                                bool *out_may);
/* Appends the addresses that he may use, for the text of a refusal. */
void identity_put_addresses(const struct identity *i, struct buf *out);
/* Whether the name of the domain is ours, also if no mail is kept for it. */
bool identity_is_own_domain(const struct identity *i, struct str domain);
