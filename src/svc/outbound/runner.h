/*
 * A destination at work: it is resolved, gets connections as its site allows, takes messages from
 * the store as long as there are any, and is laid down with what was learnt about it.
 */
#pragma once

#include <stdint.h>

#include "store/queue_wire.h"

/* Starts the work on a destination that queue.open gave. The name is copied. 0 or negative errno:
 * then it was not started. */
MUST_CHECK int runner_start(const struct queue_destination *d);
/* Destinations at work; those among them that were found down the last time. */
unsigned runner_count(void);
unsigned runner_probing(void);
/* Appends their names (buf_put_lp), for queue.begin. */
void runner_put_names(struct buf *out);
/* Called whenever a destination was laid down; one function. */
void runner_on_end(void (*fn)(void));
void runner_init(void);
