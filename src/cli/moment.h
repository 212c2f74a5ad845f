/*
 * A moment as people type it: "18:30" (the next one), "2026-11-21 18:30", with seconds or without,
 * in the time zone of this machine; or as RFC 3339 has it, with a zone of its own. Pure.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* Real time; `now_ms` is what a time of day counts from. 0 or -EINVAL. */
MUST_CHECK int moment_parse(struct str text, int64_t now_ms, int64_t *out_ms);
