/*
 * How much an account sends: messages a minute, recipients a day, and recipients it never wrote to
 * before. A stolen password shows there first, and is stopped there before the world has noticed.
 *
 * Days are counted in rows, in the transaction of the message itself, so that nothing is counted
 * twice or forgotten by a crash; a day is that of UTC. Local recipients count as recipients, but
 * are nobody new.
 */
#pragma once

#include "store/store.h"
#include "store/wire.h"

enum usage_limit {
    USAGE_MESSAGES = 0,   /* a minute */
    USAGE_RECIPIENTS,     /* a day */
    USAGE_NEW_RECIPIENTS, /* a day */
    USAGE_LIMIT_END,
};

enum {
    USAGE_AS_SET = -1, /* of a limit of its own: it has none, the settings count */
    USAGE_LIMIT_MAX = 10000000,
};

/* By enum usage_limit. */
struct usage_limits {
    int64_t of_all[USAGE_LIMIT_END]; /* what the settings say; 0: no limit */
    int64_t own[USAGE_LIMIT_END];    /* the account's; USAGE_AS_SET: none */
};

/* The limits that there are for the account, 0 or negative errno. From any handler. */
MUST_CHECK int usage_read_limits(const struct store *store, struct job *job, uint64_t account,
                                 struct usage_limits *out);
/* The one that holds; 0: not limited. */
int64_t usage_limit_of(const struct usage_limits *limits, enum usage_limit which);
/* "submission.recipients_per_day" and so on. */
const char *usage_limit_setting(enum usage_limit which);

/* What an account has done. */
struct usage {
    int64_t recipients, fresh; /* today, with this message */
    size_t new_count;          /* of this message, never written to before */
    uint64_t *new_ones;        /* their hashes, in the job's arena */
};

/* Whether the account may send the message; changes no row. 0 and what it would have done then;
 * -EAGAIN (too many messages in this minute), -EDQUOT (recipients of this day), -EUSERS (new ones
 * of this day) with a text; other negative errno. From a write handler. */
MUST_CHECK int usage_check(struct store *store, struct job *job, const struct deliver_request *q,
                           struct usage *out);
/* What the account has done today: recipients and fresh. 0 or negative errno. From any handler. */
MUST_CHECK int usage_read_today(struct job *job, uint64_t account, struct usage *out);
/* When the day that is counted ends. */
int64_t usage_day_end_ms(int64_t now_ms);
/* Counts it. 0 or negative errno. */
MUST_CHECK int usage_count(struct job *job, const struct deliver_request *q,
                           const struct usage *usage);
/* Forgets days that are over, and whom an account first wrote to more than a year ago: once a year
 * everybody is new. */
MUST_CHECK int usage_forget(struct job *job);
/* Forgets an account that is removed: what it sent, its limits and alarms. 0 or negative errno. */
MUST_CHECK int usage_forget_account(struct db *db, int64_t account);
