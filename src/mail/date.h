/*
 * Dates of mail: date-time of RFC 5322 section 3.3 with the obsolete forms of section 4.3, and the
 * asctime date at the end of an mbox "From " line, and date-time of RFC 3339.
 *
 * Takes what old mailers wrote: two- and three-digit years, zone names, comments between any two
 * tokens, no weekday, no seconds, no zone. Refuses what names no instant (30 Feb, 25:00). The
 * weekday is not compared with the date. Printing is clock_format_mail in base/clock.h.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct date {
    int64_t real_ms;  /* milliseconds since 1970, UTC */
    int zone_minutes; /* east of UTC; 0 also where the zone is absent or unknown */
};

/* The body of a Date field, folded or not. 0 or -EBADMSG; *out is written only on 0. */
MUST_CHECK int date_parse(struct str text, struct date *out);
/* "Thu Jan  1 00:00:00 1970", UTC; a zone may stand before or after the year. 0 or -EBADMSG. */
MUST_CHECK int date_parse_asctime(struct str text, struct date *out);
/* "2026-11-21T09:30:00Z", "2026-11-21t18:30:00.5+09:00" (RFC 3339 section 5.6); parts of a second
 * are dropped. 0 or -EBADMSG. */
MUST_CHECK int date_parse_rfc3339(struct str text, struct date *out);
/* A whole line "From SENDER DATE" of an mbox, where SENDER may hold spaces. 0 or -EBADMSG. */
MUST_CHECK int date_parse_mbox_line(struct str line, struct date *out);
