/* Replies: see reply.h. */
#include "smtp/reply.h"

#include <stdarg.h>
#include <string.h>

/* RFC 5321 section 4.5.3.1.5: a reply line has at most 512 bytes, with code and CRLF. */
enum { REPLY_TEXT_MAX_BYTES = 490 };

struct reply reply_of(uint16_t code, const char *enhanced, const char *text)
{
    return (struct reply){.code = code, .enhanced = enhanced, .text = text};
}

struct reply reply_printf(struct arena *arena, uint16_t code, const char *enhanced, const char *fmt,
                          ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, 64 * 1024);
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    struct str copy = arena_str(arena, buf_str(&text));
    buf_done(&text);
    return (struct reply){.code = code, .enhanced = enhanced, .text = copy.ptr};
}

struct reply reply_last(struct reply reply)
{
    reply.is_last = true;
    return reply;
}

static void print_line(const struct reply *reply, struct str line, char separator, struct buf *out)
{
    line = str_sub(line, 0, REPLY_TEXT_MAX_BYTES);
    buf_printf(out, "%03d%c", reply->code, separator);
    if (reply->enhanced[0] != '\0')
        buf_printf(out, "%s ", reply->enhanced);
    buf_put_str(out, line);
    buf_put_c(out, "\r\n");
}

void reply_print(const struct reply *reply, struct buf *out)
{
    struct str rest = str_from_c(reply->text), line;
    bool has_more;

    do {
        has_more = str_cut(rest, '\n', &line, &rest);
        print_line(reply, line, has_more ? '-' : ' ', out);
    } while (has_more);
}
