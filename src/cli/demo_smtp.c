/* A tiny SMTP client: see demo_smtp.h. */
#include "cli/demo_smtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1000 };

static int send_all(const struct demo_smtp *s, struct str text)
{
    while (text.len > 0) {
        ssize_t n = send(s->fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        text = str_sub(text, (size_t)n, text.len);
    }
    return 0;
}

/* Takes one line, without its end, into s->reply. */
static int read_line(struct demo_smtp *s)
{
    ptrdiff_t end;

    while ((end = str_find(buf_str(&s->in), '\n')) < 0) {
        size_t room = DEMO_SMTP_BUFFER_BYTES - s->in.len;
        char *at = room > 0 ? buf_reserve(&s->in, room) : NULL;
        if (at == NULL)
            return -EMSGSIZE;
        ssize_t n = recv(s->fd, at, room, 0);
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        buf_commit(&s->in, (size_t)n);
    }
    buf_reset(&s->reply);
    buf_put_str(&s->reply, str_trim(str_sub(buf_str(&s->in), 0, (size_t)end)));
    buf_consume(&s->in, (size_t)end + 1);
    return 0;
}

/* All lines of a reply; the last one stays. */
static int read_reply(struct demo_smtp *s)
{
    uint64_t code;
    int r;

    do {
        r = read_line(s);
        if (r < 0)
            return r;
    } while (s->reply.len > 3 && s->reply.ptr[3] == '-');
    r = str_to_u64(str_sub(buf_str(&s->reply), 0, 3), 999, &code);
    if (r < 0)
        return -EPROTO;
    s->code = (int)code;
    return 0;
}

int demo_smtp_open(struct demo_smtp *s, const char *address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = inet_addr(address)};
    struct timeval limit = {.tv_sec = DEMO_SMTP_TIMEOUT_S};

    memset(s, 0, sizeof(*s));
    buf_init(&s->in, DEMO_SMTP_BUFFER_BYTES);
    buf_init(&s->reply, DEMO_SMTP_BUFFER_BYTES);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return -errno;
    (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(s->fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        return -errno;
    return read_reply(s);
}

void demo_smtp_close(struct demo_smtp *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    buf_done(&s->in);
    buf_done(&s->reply);
}

int demo_smtp_command(struct demo_smtp *s, const char *fmt, ...)
{
    struct buf line;
    va_list args;

    buf_init(&line, LINE_MAX_BYTES);
    va_start(args, fmt);
    buf_vprintf(&line, fmt, args);
    va_end(args);
    buf_put_c(&line, "\r\n");
    int r = buf_status(&line);
    if (r == 0)
        r = send_all(s, buf_str(&line));
    buf_done(&line);
    return r < 0 ? r : read_reply(s);
}

int demo_smtp_text(struct demo_smtp *s, struct str text)
{
    int r = send_all(s, text);

    if (r == 0)
        r = send_all(s, STR(".\r\n"));
    return r < 0 ? r : read_reply(s);
}
