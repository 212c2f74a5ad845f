/* Dates of mail: see date.h. */
#include "mail/date.h"

#include <errno.h>

#include "base/cursor.h"

enum {
    DATE_COMMENT_MAX_DEPTH = 100,
    DATE_YEAR_MIN = 1900, /* RFC 5322 section 3.3 */
    DATE_NAME_LEN = 3,
};

/* As written; nothing is checked across fields yet. */
struct civil {
    unsigned year, month, day, hour, minute, second; /* month and day from 1 */
    int zone_minutes;
};

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_comment(struct cursor *c)
{
    int depth = 0;

    do {
        int ch = cursor_next(c);
        if (ch == '\\')
            (void)cursor_next(c);
        if (ch == '(')
            depth++;
        if (ch == ')')
            depth--;
        if (ch < 0 || depth > DATE_COMMENT_MAX_DEPTH)
            cursor_fail(c);
    } while (depth > 0 && cursor_status(c) == 0);
}

/* CFWS, which may be nothing. */
static void skip_space(struct cursor *c)
{
    (void)cursor_take_while(c, is_wsp);
    while (cursor_peek(c) == '(') {
        skip_comment(c);
        (void)cursor_take_while(c, is_wsp);
    }
}

/* A number of min..max digits; the space behind it goes too. */
static unsigned take_number(struct cursor *c, size_t min_digits, size_t max_digits)
{
    struct str digits = cursor_take_while(c, ascii_is_digit);
    uint64_t value = 0;

    if (digits.len < min_digits || digits.len > max_digits ||
        str_to_u64(digits, UINT16_MAX, &value) < 0)
        cursor_fail(c);
    skip_space(c);
    return (unsigned)value;
}

static struct str take_word(struct cursor *c)
{
    struct str word = cursor_take_while(c, ascii_is_alpha);

    skip_space(c);
    return word;
}

/* Index of the name that the word is or starts with ("January", "Tues"), or -1. */
static int find_name(struct str word, const char *names, int count)
{
    for (int i = 0; i < count; i++) {
        struct str name = str_from_mem(names + DATE_NAME_LEN * i, DATE_NAME_LEN);
        if (str_has_prefix_nocase(word, name))
            return i;
    }
    return -1;
}

static int find_weekday(struct str word)
{
    return find_name(word, "SunMonTueWedThuFriSat", 7);
}

static unsigned take_month(struct cursor *c)
{
    int index = find_name(take_word(c), "JanFebMarAprMayJunJulAugSepOctNovDec", 12);

    if (index < 0)
        cursor_fail(c);
    return (unsigned)(index + 1);
}

/* RFC 5322 section 4.3: 00 to 49 are of this century, other two and three digits count from 1900.
 */
static unsigned take_year(struct cursor *c)
{
    struct cursor before = *c;
    size_t digits = cursor_take_while(&before, ascii_is_digit).len;
    unsigned year = take_number(c, 2, 4);

    if (digits == 2 && year < 50)
        return year + 2000;
    return digits < 4 ? year + 1900 : year;
}

static void take_time(struct cursor *c, struct civil *out)
{
    out->hour = take_number(c, 1, 2);
    cursor_expect(c, ':');
    skip_space(c);
    out->minute = take_number(c, 1, 2);
    if (!cursor_take_if(c, ':'))
        return;
    skip_space(c);
    out->second = take_number(c, 1, 2);
}

static int find_zone_minutes(struct str name)
{
    static const struct {
        struct str name;
        int minutes;
    } zones[] = {
        {{"EST", 3}, -300}, {{"EDT", 3}, -240}, {{"CST", 3}, -360}, {{"CDT", 3}, -300},
        {{"MST", 3}, -420}, {{"MDT", 3}, -360}, {{"PST", 3}, -480}, {{"PDT", 3}, -420},
        {{"JST", 3}, 540}, /* not in the RFC, but in old Japanese mail */
    };

    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        if (str_eq_nocase(name, zones[i].name))
            return zones[i].minutes;
    }
    /* UT, GMT, Z; and RFC 5322: other names, military ones too, "SHOULD be considered -0000". */
    return 0;
}

/* Takes a zone if one comes. */
static bool take_zone(struct cursor *c, int *out_minutes)
{
    int ch = cursor_peek(c);
    bool is_west = ch == '-';

    if (ch == '+' || is_west) {
        (void)cursor_next(c);
        unsigned hhmm = take_number(c, 4, 4);
        if (hhmm % 100 > 59)
            cursor_fail(c);
        int minutes = (int)(hhmm / 100 * 60 + hhmm % 100);
        *out_minutes = is_west ? -minutes : minutes;
        return true;
    }
    struct str name = take_word(c);
    *out_minutes = find_zone_minutes(name);
    return name.len > 0;
}

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_valid(const struct civil *civil)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (civil->year < DATE_YEAR_MIN || civil->month < 1 || civil->month > ARRAY_LEN(days))
        return false;
    unsigned last = days[civil->month - 1] + (civil->month == 2 && is_leap(civil->year) ? 1U : 0U);
    if (civil->day < 1 || civil->day > last)
        return false;
    /* A leap second is written :60. */
    return civil->hour < 24 && civil->minute < 60 && civil->second <= 60;
}

/* Days since 1970 in the Gregorian calendar; the year begins in March, so that the leap day ends
 * it. */
static int64_t days_of(const struct civil *civil)
{
    unsigned month = (civil->month + 9) % 12;
    int64_t year = (int64_t)civil->year - (civil->month <= 2 ? 1 : 0);
    int64_t day_of_year = (153 * (int64_t)month + 2) / 5 + civil->day - 1;

    return 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static int finish(const struct cursor *c, const struct civil *civil, struct date *out)
{
    if (cursor_finish(c) < 0 || !is_valid(civil))
        return -EBADMSG;
    int64_t minutes = days_of(civil) * 24 * 60 + civil->hour * 60 + civil->minute;
    int64_t seconds = (minutes - civil->zone_minutes) * 60 + civil->second;
    *out = (struct date){.real_ms = seconds * 1000, .zone_minutes = civil->zone_minutes};
    return 0;
}

int date_parse(struct str text, struct date *out)
{
    struct cursor c = cursor_from(text);
    struct civil civil = {.year = 0};

    skip_space(&c);
    struct str weekday = take_word(&c);
    if (weekday.len > 0 && find_weekday(weekday) < 0)
        return -EBADMSG;
    if (weekday.len > 0 && cursor_take_if(&c, ','))
        skip_space(&c);
    civil.day = take_number(&c, 1, 2);
    civil.month = take_month(&c);
    civil.year = take_year(&c);
    take_time(&c, &civil);
    (void)take_zone(&c, &civil.zone_minutes);
    return finish(&c, &civil, out);
}

int date_parse_asctime(struct str text, struct date *out)
{
    struct cursor c = cursor_from(text);
    struct civil civil = {.year = 0};

    skip_space(&c);
    if (find_weekday(take_word(&c)) < 0)
        return -EBADMSG;
    civil.month = take_month(&c);
    civil.day = take_number(&c, 1, 2);
    take_time(&c, &civil);
    bool has_zone = take_zone(&c, &civil.zone_minutes);
    civil.year = take_number(&c, 4, 4);
    if (!has_zone)
        (void)take_zone(&c, &civil.zone_minutes);
    return finish(&c, &civil, out);
}

/* Exactly so many digits. */
static unsigned take_digits(struct cursor *c, size_t count)
{
    struct str digits = cursor_take(c, count);
    uint64_t value = 0;

    if (str_to_u64(digits, UINT16_MAX, &value) < 0)
        cursor_fail(c);
    return (unsigned)value;
}

static void expect_either(struct cursor *c, char upper, char lower)
{
    if (!cursor_take_if(c, lower))
        cursor_expect(c, upper);
}

/* "Z", or hours and minutes with a sign. */
static void take_offset(struct cursor *c, int *out_minutes)
{
    bool is_west = cursor_peek(c) == '-';

    if (cursor_peek(c) != '+' && !is_west) {
        expect_either(c, 'Z', 'z');
        return;
    }
    (void)cursor_next(c);
    unsigned hours = take_digits(c, 2);
    cursor_expect(c, ':');
    unsigned minutes = take_digits(c, 2);
    if (hours > 23 || minutes > 59)
        cursor_fail(c);
    *out_minutes = (int)(hours * 60 + minutes) * (is_west ? -1 : 1);
}

int date_parse_rfc3339(struct str text, struct date *out)
{
    struct cursor c = cursor_from(text);
    struct civil civil = {.year = 0};

    civil.year = take_digits(&c, 4);
    cursor_expect(&c, '-');
    civil.month = take_digits(&c, 2);
    cursor_expect(&c, '-');
    civil.day = take_digits(&c, 2);
    expect_either(&c, 'T', 't');
    civil.hour = take_digits(&c, 2);
    cursor_expect(&c, ':');
    civil.minute = take_digits(&c, 2);
    cursor_expect(&c, ':');
    civil.second = take_digits(&c, 2);
    if (cursor_take_if(&c, '.') && cursor_take_while(&c, ascii_is_digit).len == 0)
        return -EBADMSG;
    take_offset(&c, &civil.zone_minutes);
    return finish(&c, &civil, out);
}

int date_parse_mbox_line(struct str line, struct date *out)
{
    struct cursor c = cursor_from(line);

    if (!cursor_take_if_nocase(&c, STR("From ")))
        return -EBADMSG;
    /* The sender has no grammar: the date is the first tail of whole words that is one. */
    while (cursor_left(&c) > 0) {
        if (date_parse_asctime(cursor_rest(&c), out) == 0)
            return 0;
        (void)cursor_take_until(&c, ' ');
        (void)cursor_take_while(&c, is_wsp);
    }
    return -EBADMSG;
}
