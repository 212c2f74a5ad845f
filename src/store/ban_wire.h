/* Bans as bytes, between the command line, the guard and the rows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"

enum { BAN_ROWS_MAX = 20000, BAN_REASON_MAX_BYTES = 199 };

/* Reasons that are not somebody's own words. */
#define BAN_FOR_FAILURES "too many failed logins"
#define BAN_BY_HAND      "by hand"

struct ban_row {
    struct str network; /* as ip_net_print has it: one text for one network */
    int64_t since_ms, until_ms;
    uint32_t strikes;
    bool is_for_all; /* else for logins only */
    struct str reason;
};

void ban_put_row(struct buf *out, const struct ban_row *row);
/* Views into what `c` reads. 0 or -EBADMSG, also when the network is none. */
MUST_CHECK int ban_get_row(struct cursor *c, struct ban_row *out);
