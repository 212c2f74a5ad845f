/*
 * Handling of what must not leak: comparing without telling where the difference is, leaving
 * nothing behind in memory, drawing what nobody can guess.
 *
 * Lengths are no secrets: texts of different length differ at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/* Whether both are the same bytes, in a time that depends on the length only. */
bool secret_equal(struct str a, struct str b);
/* Overwrites what the buffer holds and held, and frees it. A buffer that grew left copies behind:
 * reserve the room before a secret goes in. NULL is taken. */
void secret_wipe_buf(struct buf *b);
/* Empties the buffer as buf_reset does, and overwrites what it held. */
void secret_reset_buf(struct buf *b);
/* Fills with random bytes of the kernel; waits only while a machine has just started. */
void secret_random(void *out, size_t bytes);
