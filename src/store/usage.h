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
/* Counts it. 0 or negative errno. */
MUST_CHECK int usage_count(struct job *job, const struct deliver_request *q,
                           const struct usage *usage);
/* Forgets days that are over, and whom an account first wrote to more than a year ago: once a year
 * everybody is new. */
MUST_CHECK int usage_forget(struct job *job);
