/*
 * Keys over time: read at start and at each reload, handed to the children who need them, looked at
 * for renewal every minute, warned of before they expire; and the keys of session tickets, which
 * are drawn here, so that all workers have the same.
 */
#pragma once

#include "svc/master/children.h"
#include "svc/master/keyring.h"

/* Makes these the keys in use; owns them. Says in the log what they are and what is to be worried
 * about. The children are told by keys_send. */
void keys_use(struct keyring *keyring);
/* Tells a child what it is to have of the keys in use, if anything. */
void keys_send(struct child_process *child);
/* From now on looks for changes, draws ticket keys and warns, on timers. */
void keys_watch(void);
/* Overwrites all of them. */
void keys_done(void);
