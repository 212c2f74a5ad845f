/* Texts for people at a terminal: see text.h. */
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistr.h>
#include <uniwidth.h>

#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS    "\xe2\x80\xa6"

/* What would move the cursor, or turn the direction of what follows. */
static bool is_unsafe(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x2028 ||
           c == 0x2029;
}

/* Takes one character (or one bad byte) from the front. False when it is not to be printed. */
static bool take_char(struct str *s, struct str *out_char)
{
    ucs4_t c = 0;
    size_t len = utf8_char_len(*s);

    *out_char = str_sub(*s, 0, len == 0 ? 1 : len);
    *s = str_sub(*s, out_char->len, s->len);
    if (len == 0)
        return false;
    (void)u8_mbtouc(&c, (const uint8_t *)out_char->ptr, len);
    return !is_unsafe(c);
}

static void put_safe(struct buf *out, struct str s, bool keeps_lines)
{
    struct str c;

    while (s.len > 0) {
        if (keeps_lines && str_has_prefix(s, STR("\r\n")))
            s = str_sub(s, 1, s.len);
        bool is_kept = keeps_lines && (s.ptr[0] == '\n' || s.ptr[0] == '\t');
        bool is_safe = take_char(&s, &c);
        if (is_safe || is_kept)
            buf_put_str(out, c);
        else
            buf_put_c(out, REPLACEMENT);
    }
}

void text_put_safe(struct buf *out, struct str s)
{
    put_safe(out, s, false);
}

void text_put_safe_lines(struct buf *out, struct str s)
{
    put_safe(out, s, true);
}

void text_put_safe_line(struct buf *out, struct str s)
{
    bool has_text = false;

    s = str_trim(s);
    while (s.len > 0) {
        size_t run = 0;
        while (run < s.len && memchr(" \t\r\n", s.ptr[run], 4) == NULL)
            run++;
        if (has_text && run > 0)
            buf_put_char(out, ' ');
        put_safe(out, str_sub(s, 0, run), false);
        has_text |= run > 0;
        s = str_sub(s, MAX(run, (size_t)1), s.len);
    }
}

size_t text_columns(struct str s)
{
    int width = s.len > 0 ? u8_width((const uint8_t *)s.ptr, s.len, "UTF-8") : 0;

    return width > 0 ? (size_t)width : 0;
}

void text_put_cut(struct buf *out, struct str s, size_t columns)
{
    size_t used = 0;
    struct str c;

    if (text_columns(s) <= columns) {
        buf_put_str(out, s);
        return;
    }
    while (s.len > 0) {
        (void)take_char(&s, &c);
        used += text_columns(c);
        if (used + 1 > columns)
            break;
        buf_put_str(out, c);
    }
    buf_put_c(out, ELLIPSIS);
}

void text_put_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        buf_printf(out, "%llu B", (unsigned long long)bytes);
        return;
    }
    /* 1023.95 would be printed as 1024.0. */
    while (value >= 1023.95 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    buf_printf(out, "%.1f %s", value, units[unit]);
}

void text_put_time(struct buf *out, int64_t real_ms)
{
    time_t seconds = (time_t)(real_ms / 1000 - (real_ms % 1000 < 0));
    char text[64];
    struct tm tm;

    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        buf_put_char(out, '-');
    else
        buf_put_c(out, text);
}

void text_put_span(struct buf *out, int64_t ms, bool is_japanese)
{
    static const struct {
        int64_t seconds;
        const char *english, *japanese;
    } units[] = {
        {86400, "d", "日"},
        {3600, "h", "時間"},
        {60, "min", "分"},
        {1, "s", "秒"},
    };
    int64_t seconds = MAX(ms, (int64_t)0) / 1000;
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds)
        i++;
    buf_printf(out, "%lld %s", (long long)(seconds / units[i].seconds),
               is_japanese ? units[i].japanese : units[i].english);
    if (i + 1 == ARRAY_LEN(units))
        return;
    int64_t rest = seconds % units[i].seconds / units[i + 1].seconds;
    if (rest > 0)
        buf_printf(out, " %lld %s", (long long)rest,
                   is_japanese ? units[i + 1].japanese : units[i + 1].english);
}

void text_put_duration(struct buf *out, int64_t ms)
{
    text_put_span(out, ms, false);
}

void text_put_clock(struct buf *out, int64_t real_ms, int64_t now_ms)
{
    time_t then = (time_t)(real_ms / 1000), now = (time_t)(now_ms / 1000);
    struct tm day, today;
    char text[64];

    if (localtime_r(&then, &day) == NULL || localtime_r(&now, &today) == NULL) {
        buf_put_char(out, '-');
        return;
    }
    bool is_today = day.tm_year == today.tm_year && day.tm_yday == today.tm_yday;
    if (strftime(text, sizeof(text), is_today ? "%H:%M" : "%Y-%m-%d %H:%M", &day) > 0)
        buf_put_c(out, text);
}

bool text_is_japanese(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strncmp(value, "ja", 2) == 0;
    }
    return false;
}

const char *text_in(const char *english, const char *japanese)
{
    return text_is_japanese() ? japanese : english;
}

void text_print_labelled(size_t columns, const char *label, const char *text)
{
    size_t taken = text_columns(str_from_c(label));

    (void)printf("%s%*s %s\n", label, taken < columns ? (int)(columns - taken) : 0, "", text);
}
