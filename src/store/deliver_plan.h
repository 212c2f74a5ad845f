/*
 * Where one message goes, and how it gets there in one transaction: the body once, an entry into
 * each local mailbox, a queue row per recipient elsewhere, the trace beside it.
 */
#pragma once

#include "store/job.h"
#include "store/store.h"
#include "store/wire.h"

/* Takes the message in; from a write handler. Nothing is changed before all that could refuse the
 * message has been looked at (verb.is_whole). 0 or negative errno with a text in the job's reply:
 * -ENOENT (a recipient is gone), -E2BIG, -EEXIST (the id is known), -EBUSY (the queue is full). */
MUST_CHECK int deliver_message(struct store *store, struct job *job,
                               const struct deliver_request *request);
