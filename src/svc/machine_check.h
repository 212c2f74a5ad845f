/*
 * Whether this machine has, and can use, what the settings name besides keys: records and trust
 * anchors of the resolver, users of the system.
 *
 * For who reads the configuration, before it is put in force. Reads files; may wait for the
 * system's user database.
 */
#pragma once

#include "base/buf.h"
#include "conf/settings.h"

enum { MACHINE_CHECK_MAX_BYTES = 256 * 1024 };

/* What makes the settings useless: 0; or -EINVAL and lines for an operator, each with an end. */
MUST_CHECK int machine_check(const struct settings *settings, struct buf *out_errors);
/* What works, but hardly as it was meant: lines "SETTING\tTEXT", none if all is well. */
void machine_put_warnings(const struct settings *settings, struct buf *out);
