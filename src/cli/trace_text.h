/*
 * Trace events in plain words, English or Japanese. Pure.
 *
 * An event that is not known here is told as its name and its details, key=value; so are details
 * that the words of a known event do not use.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "store/trace_event.h"

void trace_text_put(struct buf *out, const struct trace_event *event, bool is_japanese);
/* "60s", "45min", "2h", "7d": how far back, in ms. 0 or -EINVAL. */
MUST_CHECK int trace_text_parse_since(struct str text, int64_t *out_ms);
