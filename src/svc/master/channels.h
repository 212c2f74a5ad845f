/*
 * Channels between workers and those whom they ask, the peers: the store, the resolver and the auth
 * process. The master makes both ends and gives them away.
 */
#pragma once

#include <stdint.h>

#include "svc/master/children.h"

/* Prepares the channels of a new child. */
void channels_init(struct child_process *child);
/* Connects a worker to all peers that it uses and that run, or a peer to all workers that use it.
 */
void channels_connect(struct child_process *child);
/* A worker says that its channel of this number has ended: makes another one, after a pause. */
void channels_note_loss(struct child_process *worker, enum control_peer peer, uint32_t number);
/* The child has ended: nothing is to be connected to it. */
void channels_forget(struct child_process *child);
