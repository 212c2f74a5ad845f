/* Date fields and mbox lines. An accepted date is printed in UTC by hand and must be read again. */
#include <stdint.h>
#include <time.h>

#include "mail/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_date(const struct date *date)
{
    char text[64];
    struct tm tm;
    struct date again;
    time_t seconds = (time_t)(date->real_ms / 1000);

    ASSERT(date->real_ms % 1000 == 0);
    ASSERT(date->zone_minutes >= -99 * 60 - 59 && date->zone_minutes <= 99 * 60 + 59);
    ASSERT(gmtime_r(&seconds, &tm) != NULL);
    /* A zone may have moved it over the ends of what is taken. */
    if (tm.tm_year < 0 || tm.tm_year > 9999 - 1900)
        return;
    ASSERT(strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm) > 0);
    ASSERT(date_parse(str_from_c(text), &again) == 0);
    ASSERT(again.real_ms == date->real_ms && again.zone_minutes == 0);
    ASSERT(strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
    ASSERT(date_parse_rfc3339(str_from_c(text), &again) == 0);
    ASSERT(again.real_ms == date->real_ms);
    ASSERT(strftime(text, sizeof(text), "From a b %a %b %e %H:%M:%S %Y", &tm) > 0);
    ASSERT(date_parse_mbox_line(str_from_c(text), &again) == 0);
    ASSERT(again.real_ms == date->real_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_from_mem(bytes, len);
    struct date date;

    if (date_parse(text, &date) == 0)
        check_date(&date);
    if (date_parse_asctime(text, &date) == 0)
        check_date(&date);
    if (date_parse_mbox_line(text, &date) == 0)
        check_date(&date);
    if (date_parse_rfc3339(text, &date) == 0)
        check_date(&date);
    return 0;
}
