/* A moment as people type it: see moment.h. */
#include "cli/moment.h"

#include <errno.h>
#include <time.h>

#include "base/cursor.h"
#include "mail/date.h"

static int take_digits(struct cursor *c, size_t min, size_t max, int limit)
{
    struct str digits = cursor_take_while(c, ascii_is_digit);
    uint64_t value = 0;

    if (digits.len < min || digits.len > max || str_to_u64(digits, (uint64_t)limit, &value) < 0)
        cursor_fail(c);
    return (int)value;
}

static void take_clock(struct cursor *c, struct tm *tm)
{
    tm->tm_hour = take_digits(c, 1, 2, 23);
    cursor_expect(c, ':');
    tm->tm_min = take_digits(c, 2, 2, 59);
    tm->tm_sec = cursor_take_if(c, ':') ? take_digits(c, 2, 2, 59) : 0;
}

/* Local time; -EINVAL for what the calendar does not have (30 February), which mktime would carry
 * over to another day. */
static int to_real_ms(struct tm tm, int64_t *out_ms)
{
    const int day = tm.tm_mday;

    tm.tm_isdst = -1;
    time_t seconds = mktime(&tm);
    if (seconds == (time_t)-1 || tm.tm_mday != day)
        return -EINVAL;
    *out_ms = (int64_t)seconds * 1000;
    return 0;
}

/* "18:30": today, or tomorrow if that is over. */
static int parse_clock(struct str text, int64_t now_ms, int64_t *out_ms)
{
    struct cursor c = cursor_from(text);
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;

    if (localtime_r(&now, &tm) == NULL)
        return -EINVAL;
    take_clock(&c, &tm);
    if (cursor_finish(&c) < 0 || to_real_ms(tm, out_ms) < 0)
        return -EINVAL;
    if (*out_ms > now_ms)
        return 0;
    /* The day after may be of another month: mktime sees to that. */
    tm.tm_mday++;
    tm.tm_isdst = -1;
    *out_ms = (int64_t)mktime(&tm) * 1000;
    return 0;
}

static int parse_local(struct str text, int64_t *out_ms)
{
    struct cursor c = cursor_from(text);
    struct tm tm = {.tm_year = take_digits(&c, 4, 4, 9999) - 1900};

    cursor_expect(&c, '-');
    tm.tm_mon = take_digits(&c, 1, 2, 12) - 1;
    cursor_expect(&c, '-');
    tm.tm_mday = take_digits(&c, 1, 2, 31);
    if (!cursor_take_if(&c, 'T'))
        cursor_expect(&c, ' ');
    take_clock(&c, &tm);
    if (cursor_finish(&c) < 0 || tm.tm_mon < 0 || tm.tm_mday < 1)
        return -EINVAL;
    return to_real_ms(tm, out_ms);
}

int moment_parse(struct str text, int64_t now_ms, int64_t *out_ms)
{
    struct date date;

    if (date_parse_rfc3339(text, &date) == 0) {
        *out_ms = date.real_ms;
        return 0;
    }
    if (parse_clock(text, now_ms, out_ms) == 0)
        return 0;
    return parse_local(text, out_ms);
}
