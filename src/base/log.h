/*
 * The log: one event a line, constant event names, fields as key=value or JSON.
 *
 *     LOG(LOG_INFO, "smtp.refused", LOG_ID("session", s->id), LOG_STR("rcpt", rcpt),
 *         LOG_INT("code", 550));
 *
 * A text that is absent (STR_NONE) is left out with its key; an empty one is printed as "".
 * A line goes out with one write(2) to standard error. Values from strangers are escaped; a line is
 * bounded. Libraries return errors; the code of a service logs them, once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum { LOG_LINE_MAX_BYTES = 2048, LOG_VALUE_MAX_BYTES = 512 };

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_ID, LOG_FIELD_ERRNO } kind;
    struct str text;
    int64_t number;
};

#define LOG_STR(k, s) ((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .text = (s)})
#define LOG_C(k, s)   ((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .text = str_from_c(s)})
#define LOG_INT(k, v)                                                                              \
    ((struct log_field){.key = (k), .kind = LOG_FIELD_INT, .number = (int64_t)(v)})
#define LOG_ID(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_ID, .number = (int64_t)(v)})
/* A negative errno value, printed as its text. */
#define LOG_ERR(v)                                                                                 \
    ((struct log_field){.key = "error", .kind = LOG_FIELD_ERRNO, .number = (int64_t)(v)})

#define LOG(level, event, ...)                                                                     \
    log_write((level), (event), (struct log_field[]){__VA_ARGS__},                                 \
              sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* `process` names the writer in each line and must stay valid. */
void log_setup(enum log_level level, enum log_format format, const char *process);
bool log_is_enabled(enum log_level level);
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

/* Names as in the settings: "error", "text", ... */
const char *log_level_name(enum log_level level);
