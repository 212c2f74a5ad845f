/*
 * Who is who: domains, accounts and aliases, and where a recipient address leads.
 *
 * Addresses are looked up by a key: the folded local part (mail/address.h), '@', the domain in
 * A-labels. The order: the exact address (an alias before an account), the address without its
 * detail, postmaster of a local domain, the domain's catch-all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "store/db.h"
#include "store/wire.h"

enum {
    DIRECTORY_ALIAS_DEPTH_MAX = 10,
    DIRECTORY_TARGETS_MAX = 1000,
    DIRECTORY_STEPS_MAX = 2000,               /* alias targets looked at for one recipient */
    DIRECTORY_ARENA_BYTES = 16 * 1024 * 1024, /* what one resolution may need at worst */
};

struct directory_target {
    int64_t account;    /* 0: the address is elsewhere */
    struct str address; /* printed; for an account its own address */
    struct str domain;
};

struct directory_result {
    enum recipient_kind kind;
    struct directory_target *targets; /* in the arena of the resolution */
    size_t count; /* without repetitions; at least 1 for RECIPIENT_LOCAL without memory */
};

/* What the recipients of one message have led to already: an alias is followed once, however many
 * recipients name it (list, list+1, ...). Keys that were followed; the values mean nothing. */
struct directory_memory {
    struct map followed;
};

void directory_memory_init(struct directory_memory *m);
void directory_memory_done(struct directory_memory *m);

/* Finds where local@domain leads. An empty domain is the primary one (bare Postmaster). Views live
 * in `arena`, which must have room for DIRECTORY_ARENA_BYTES. With `memory` (which may be NULL),
 * aliases that an earlier call followed give no targets again, but the kind stays true. 0 or
 * negative errno of the database. */
MUST_CHECK int directory_resolve(struct db *db, struct arena *arena, struct str local,
                                 struct str domain, const char *separators,
                                 struct directory_memory *memory, struct directory_result *out);
/* The key of an address as people type it. 0; -EINVAL with the reason in *out_why. */
MUST_CHECK int directory_key(struct arena *arena, struct str address, struct str *out_key,
                             struct str *out_printed, struct str *out_domain, const char **out_why);
/* The account with this address: 1 and its id; 0; negative errno. */
MUST_CHECK int directory_find_account(struct db *db, struct arena *arena, struct str address,
                                      int64_t *out_account);
/* Whether the domain is ours: 1, 0 or negative errno. */
MUST_CHECK int directory_has_domain(struct db *db, struct str domain);
