/*
 * One question to somebody outside, as a thread of the pool answers it: by PAM, LDAP, a token's
 * issuer. What they need to know is a config, which stays as it is while anybody uses it.
 */
#pragma once

#include "conf/settings.h"
#include "svc/outside_wire.h"

struct check_secrets;
struct ldap_directory;
struct token_checker;

/* What the checks go by; replaced as a whole. Threads read it, the loop's counts its users. */
struct check_config {
    unsigned users;
    struct settings *settings;
    struct token_checker *tokens;     /* NULL: auth.oauth is off, or its keys are of no use */
    struct ldap_directory *directory; /* NULL: auth.backend is another */
};

/* Takes the settings over; the caller is its first user. */
struct check_config *check_config_new(struct settings *settings,
                                      const struct check_secrets *secrets);
struct check_config *check_config_ref(struct check_config *config);
/* NULL is taken. */
void check_config_unref(struct check_config *config);

struct check {
    struct check_config *config;
    uint16_t verb; /* enum outside_verb */
    struct outside_request request;
    unsigned thread;     /* of the pool: what is kept from one check to the next is each thread's */
    int64_t deadline_ms; /* monotonic; after it nobody waits any more */
    /* The answer. */
    enum outside_verdict verdict;
    char name[OUTSIDE_NAME_MAX_BYTES + 1]; /* of a right token: the account's address */
};

/* Answers. Blocks; on a thread of the pool. Failures of the world are logged here. */
void check_run(struct check *check);
/* Says in the log what these settings lack. */
void check_warn(const struct settings *settings);
