/* Trace events on their way: see trace_event.h. */
#include "store/trace_event.h"

#include <errno.h>
#include <string.h>

/* An event: fixed numbers, two texts, then the length of the details and the details themselves. */
static size_t details_length_at(struct str event_name, struct str address)
{
    return 3 * 8 + 4 + event_name.len + 4 + address.len;
}

void trace_put_event(struct buf *out, const struct trace_event *event)
{
    buf_put_u64(out, event->ref);
    buf_put_u64(out, event->session);
    buf_put_u64(out, (uint64_t)event->time_ms);
    buf_put_lp(out, event->event);
    buf_put_lp(out, event->address);
    buf_put_lp(out, event->details);
}

void trace_put_detail(struct buf *out, size_t event_at, const char *key, struct str value)
{
    struct cursor c = cursor_from(str_sub(buf_str(out), event_at, out->len));

    (void)cursor_take(&c, 3 * 8);
    struct str name = cursor_lp(&c);
    struct str address = cursor_lp(&c);
    if (cursor_status(&c) < 0)
        return; /* the event itself overflowed */
    buf_put_lp(out, str_from_c(key));
    buf_put_lp(out, str_sub(value, 0, TRACE_VALUE_MAX_BYTES));
    size_t at = event_at + details_length_at(name, address);
    if (buf_status(out) == 0)
        buf_patch_u32(out, at, (uint32_t)(out->len - at - 4));
}

void trace_put_number(struct buf *out, size_t event_at, const char *key, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    trace_put_detail(out, event_at, key, str_from_c(text));
}

bool trace_is_gathered(struct str event)
{
    static const char *const names[] = {"login-failed", "login-guessed", "login-slowed",
                                        "over-limit", "banned-more"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(event, names[i]))
            return true;
    }
    return false;
}

bool trace_is_incident(struct str event)
{
    return trace_is_gathered(event) || str_eq_c(event, "banned");
}

int trace_next_event(struct cursor *c, struct trace_event *out)
{
    if (cursor_left(c) == 0 && cursor_status(c) == 0)
        return 0;
    out->ref = cursor_u64(c);
    out->session = cursor_u64(c);
    out->time_ms = (int64_t)cursor_u64(c);
    out->event = cursor_lp(c);
    out->address = cursor_lp(c);
    out->details = cursor_lp(c);
    if (cursor_status(c) < 0 || out->event.len > TRACE_EVENT_NAME_MAX_BYTES)
        return -EBADMSG;
    return 1;
}

int trace_next_detail(struct cursor *c, struct str *out_key, struct str *out_value)
{
    if (cursor_left(c) == 0 && cursor_status(c) == 0)
        return 0;
    *out_key = cursor_lp(c);
    *out_value = cursor_lp(c);
    return cursor_status(c) < 0 ? -EBADMSG : 1;
}
