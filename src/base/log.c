/* The log: see log.h. */
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"

static struct {
    enum log_level level;
    enum log_format format;
    const char *process;
} config = {.level = LOG_INFO, .format = LOG_FORMAT_TEXT, .process = "hikyaku"};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(enum log_level level, enum log_format format, const char *process)
{
    config.level = level;
    config.format = format;
    config.process = process;
}

bool log_is_enabled(enum log_level level)
{
    return level <= config.level;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

static bool needs_quotes(struct str s)
{
    if (s.len == 0)
        return true;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
            return true;
    }
    return false;
}

/* Escapes what would break a line or a JSON string; bytes of UTF-8 pass. */
static void put_quoted(struct buf *out, struct str s)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\') {
            buf_put_char(out, '\\');
            buf_put_char(out, (char)c);
        } else if (c < ' ' || c == 0x7f) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_put_char(out, (char)c);
        }
    }
    buf_put_char(out, '"');
}

static void put_value(struct buf *out, const struct log_field *field)
{
    char id[ID_TEXT_CHARS + 1];
    struct str text = field->text;

    if (field->kind == LOG_FIELD_INT) {
        buf_printf(out, "%lld", (long long)field->number);
        return;
    }
    if (field->kind == LOG_FIELD_ID)
        text = str_from_c(id_format((uint64_t)field->number, id));
    if (field->kind == LOG_FIELD_ERRNO)
        text = str_from_c(strerror((int)-field->number));
    text = str_sub(text, 0, LOG_VALUE_MAX_BYTES);
    if (config.format == LOG_FORMAT_JSON || needs_quotes(text))
        put_quoted(out, text);
    else
        buf_put_str(out, text);
}

static void put_head(struct buf *out, enum log_level level, const char *event)
{
    char time_text[CLOCK_TEXT_BYTES];
    const char *format = config.format == LOG_FORMAT_JSON
                             ? "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"pid\":%d,"
                               "\"event\":\"%s\""
                             : "%s %s %s[%d] %s";

    clock_format_utc(clock_real_ms(), time_text);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    buf_printf(out, format, time_text, level_names[level], config.process, (int)getpid(), event);
#pragma GCC diagnostic pop
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    struct buf line;

    if (!log_is_enabled(level))
        return;
    int saved_errno = errno;
    buf_init(&line, LOG_LINE_MAX_BYTES);
    put_head(&line, level, event);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind == LOG_FIELD_STR && fields[i].text.ptr == NULL)
            continue; /* there is no such thing, which is not the same as an empty text */
        /* A field that does not fit whole is left out, so that the line stays well formed. */
        size_t before = line.len;
        buf_printf(&line, config.format == LOG_FORMAT_JSON ? ",\"%s\":" : " %s=", fields[i].key);
        put_value(&line, &fields[i]);
        if (buf_status(&line) < 0 || line.len > LOG_LINE_MAX_BYTES - 8) {
            line.has_overflowed = false;
            line.len = before;
        }
    }
    buf_put_c(&line, config.format == LOG_FORMAT_JSON ? "}\n" : "\n");
    /* Nothing can be done about a log that cannot be written; mail goes on. */
    ssize_t written UNUSED = write(STDERR_FILENO, line.ptr, line.len);
    buf_done(&line);
    errno = saved_errno;
}
