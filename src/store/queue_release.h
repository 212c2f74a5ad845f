/*
 * Scheduled mail whose time has come, or that an administrator lets go: it is planned now as if it
 * came in now, so aliases, routes and suppressed addresses count as they are, and a recipient here
 * gets it into the mailbox. Its lifetime begins. Writer thread only.
 */
#pragma once

#include <stdint.h>

#include "store/job.h"
#include "store/store.h"

/* Releases those recipients of the message that are scheduled and due; by_time: the trace says so
 * (else an administrator was, and it has been said). The message is left without recipients when
 * all were here: queue_remove_if_empty. How many were released, or negative errno of the database.
 */
MUST_CHECK int queue_release_due(struct store *store, struct job *job, uint64_t id, bool by_time);
