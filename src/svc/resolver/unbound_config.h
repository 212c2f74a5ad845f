/*
 * A context of libunbound as our settings want it: servers, own records, trust anchors, limits,
 * hardening. Reads no files.
 */
#pragma once

#include "base/buf.h"
#include "conf/settings.h"

struct ub_ctx;

enum { ANCHORS_MAX_BYTES = 256 * 1024 };

/* Makes a context and proves that it works. `anchors` as for engine_new. The caller deletes it.
 * NULL when a setting is refused: out_text says which. */
struct ub_ctx *unbound_config_apply(const struct settings *settings, struct str anchors,
                                    struct buf *out_text);
/* Whether libunbound takes the settings. 0; or -EINVAL, and out_text has a line for each of them
 * that it refuses, as far as it came. */
MUST_CHECK int unbound_config_check(const struct settings *settings, struct str anchors,
                                    struct buf *out_text);
/* Reads a file of trust anchors into `out` (of ANCHORS_MAX_BYTES). 0 or negative errno; -ENOENT
 * when no file is configured. */
MUST_CHECK int unbound_config_read_anchors(const char *path, struct buf *out);
