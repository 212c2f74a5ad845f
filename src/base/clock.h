/*
 * Time, with a clock that tests can move.
 *
 * The test clock is a page of shared memory that holds an offset in milliseconds: every process
 * that maps it sees the same moved time, so a test can let five days pass for a whole server.
 * Without one, the clocks are the kernel's. Deadlines are always monotonic milliseconds; only what
 * people see (dates, ids, rows) uses the real clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CLOCK_NEVER INT64_MAX

/* Milliseconds since 1970 / since some fixed point that no clock step moves. */
int64_t clock_real_ms(void);
int64_t clock_mono_ms(void);
/* Microseconds of the monotonic clock, never moved by tests: for measuring. */
int64_t clock_mono_us(void);

/* Maps the file `path` (8 bytes, made if absent) as the test clock. 0 or negative errno. */
MUST_CHECK int clock_use_file(const char *path);
/* Moves the test clock of this process (and of all that share its file) forward. */
void clock_advance_ms(int64_t ms);
/* Whether a test clock is in use: then waiting must look at the clock again every few ms. */
bool clock_is_test(void);

enum { CLOCK_TEXT_BYTES = 40 };
/* "2026-11-21T09:30:00.123Z" (RFC 3339, UTC). */
const char *clock_format_utc(int64_t real_ms, char out[CLOCK_TEXT_BYTES]);
/* "Sat, 21 Nov 2026 18:30:00 +0900" (RFC 5322 section 3.3), local time zone. */
const char *clock_format_mail(int64_t real_ms, char out[CLOCK_TEXT_BYTES]);
