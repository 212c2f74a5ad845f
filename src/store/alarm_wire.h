/* What postmaster is told of an account, as bytes: from the watch to its handler (verb_alarm.c). */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "mail/alarm.h"

struct alarm {
    enum alarm_cause cause;
    uint64_t notice_id; /* of the letter */
    uint64_t account;
    struct str address; /* the account's */
    int64_t limit;
    uint64_t count;
    struct str peers;
};

void alarm_put(struct buf *out, const struct alarm *a);
/* Views into what `c` reads. 0 or -EBADMSG. */
MUST_CHECK int alarm_get(struct cursor *c, struct alarm *out);
