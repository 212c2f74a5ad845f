/*
 * smtpsink: a server that accepts all mail and forgets it, for bench/run. One thread, epoll;
 * replies to what came in one piece leave in one piece. Knows PIPELINING, 8BITMIME and SMTPUTF8,
 * judges nothing, and keeps two numbers in a file for whoever looks: the messages so far, and when
 * the last one was whole (CLOCK_MONOTONIC, ns).
 *
 *     smtpsink FILE      listens on a free port of 127.0.0.1 and prints its number
 *
 * Ends when its standard input does, so that it does not outlive a run that was killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_BYTES = 65536,
    OUT_BYTES = 8192,
    REPLY_MAX_BYTES = 256, /* room that must be left before a command is answered */
    FDS_MAX = 20000,
    EVENTS = 256,
    BACKLOG = 1024,
};

struct connection {
    bool is_in_text;
    char in[IN_BYTES];
    size_t in_bytes;
    char out[OUT_BYTES];
    size_t out_bytes;
};

struct numbers {
    uint64_t messages;
    uint64_t last_ns;
};

static struct {
    int epoll, listener;
    struct numbers *numbers; /* shared with the readers of the file */
    struct connection *connections[FDS_MAX];
} sink;

static void die(const char *what)
{
    fprintf(stderr, "smtpsink: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void count_message(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    __atomic_store_n(&sink.numbers->last_ns, (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec,
                     __ATOMIC_RELAXED);
    __atomic_fetch_add(&sink.numbers->messages, 1, __ATOMIC_RELEASE);
}

static void say(struct connection *c, const char *text)
{
    size_t bytes = strlen(text);

    memcpy(c->out + c->out_bytes, text, bytes);
    c->out_bytes += bytes;
}

/* The replies are short and the peer waits for them: they always fit into the socket's buffer. */
static bool flush(int fd, struct connection *c)
{
    size_t bytes = c->out_bytes;

    c->out_bytes = 0;
    return bytes == 0 || send(fd, c->out, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* Answers one command; false: the connection ends. */
static bool answer(struct connection *c, const char *line, size_t bytes)
{
    static const struct {
        const char *verb, *reply;
    } replies[] = {
        {"MAIL", "250 2.1.0 OK\r\n"},
        {"RCPT", "250 2.1.5 OK\r\n"},
        {"DATA", "354 Go on\r\n"},
        {"EHLO", "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"},
        {"HELO", "250 sink.example\r\n"},
        {"RSET", "250 2.0.0 OK\r\n"},
        {"NOOP", "250 2.0.0 OK\r\n"},
        {"QUIT", "221 2.0.0 Bye\r\n"},
    };

    for (size_t i = 0; bytes >= 4 && i < sizeof(replies) / sizeof(replies[0]); i++) {
        if (strncasecmp(line, replies[i].verb, 4) != 0)
            continue;
        say(c, replies[i].reply);
        c->is_in_text = line[0] == 'D' || line[0] == 'd';
        return line[0] != 'Q' && line[0] != 'q';
    }
    say(c, "500 5.5.1 What?\r\n");
    return true;
}

/* Takes one command or the rest of a text from `in` at *at. 1: taken; 0: more bytes are needed; -1:
 * QUIT. */
static int take(struct connection *c, size_t *at)
{
    char *from = c->in + *at;
    size_t left = c->in_bytes - *at;
    char *end = memmem(from, left, c->is_in_text ? "\r\n.\r\n" : "\r\n", c->is_in_text ? 5 : 2);

    if (c->is_in_text) {
        if (end == NULL) {
            *at += left > 4 ? left - 4 : 0;
            return 0;
        }
        *at += (size_t)(end - from) + 5;
        c->is_in_text = false;
        count_message();
        say(c, "250 2.0.0 Taken\r\n");
        return 1;
    }
    if (end == NULL)
        return 0;
    *at += (size_t)(end - from) + 2;
    if (!answer(c, from, (size_t)(end - from)))
        return -1;
    if (c->is_in_text)
        *at -= 2; /* the line end of DATA begins the end of an empty text */
    return 1;
}

/* Works through what came; false: the connection ends. */
static bool work(int fd, struct connection *c)
{
    size_t at = 0;
    int taken = 1;

    while (taken > 0) {
        if (c->out_bytes + REPLY_MAX_BYTES > OUT_BYTES && !flush(fd, c))
            return false;
        taken = take(c, &at);
    }
    memmove(c->in, c->in + at, c->in_bytes - at);
    c->in_bytes -= at;
    return flush(fd, c) && taken == 0 && c->in_bytes < IN_BYTES;
}

static void drop(int fd)
{
    close(fd);
    free(sink.connections[fd]);
    sink.connections[fd] = NULL;
}

static void serve(int fd)
{
    struct connection *c = sink.connections[fd];
    ssize_t n = recv(fd, c->in + c->in_bytes, IN_BYTES - c->in_bytes, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(fd);
        return;
    }
    c->in_bytes += (size_t)n;
    if (!work(fd, c))
        drop(fd);
}

static void greet(void)
{
    int one = 1;
    int fd = accept4(sink.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0)
        return;
    if (fd >= FDS_MAX || (sink.connections[fd] = malloc(sizeof(struct connection))) == NULL) {
        close(fd);
        return;
    }
    struct connection *c = sink.connections[fd];
    c->is_in_text = false;
    c->in_bytes = c->out_bytes = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    say(c, "220 sink.example ESMTP\r\n");
    if (epoll_ctl(sink.epoll, EPOLL_CTL_ADD, fd, &event) < 0 || !flush(fd, c))
        drop(fd);
}

static void map_numbers(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || ftruncate(fd, sizeof(struct numbers)) < 0)
        die(path);
    sink.numbers = mmap(NULL, sizeof(struct numbers), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (sink.numbers == MAP_FAILED)
        die(path);
    close(fd);
}

static void start_listening(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    struct epoll_event event = {.events = EPOLLIN};

    sink.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sink.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (sink.listener < 0 || sink.epoll < 0 ||
        bind(sink.listener, (struct sockaddr *)&address, bytes) < 0 ||
        listen(sink.listener, BACKLOG) < 0 ||
        getsockname(sink.listener, (struct sockaddr *)&address, &bytes) < 0)
        die("cannot listen");
    event.data.fd = sink.listener;
    if (epoll_ctl(sink.epoll, EPOLL_CTL_ADD, sink.listener, &event) < 0)
        die("epoll");
    event.data.fd = STDIN_FILENO;
    if (epoll_ctl(sink.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        die("the standard input must be a pipe");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];

    if (argc != 2) {
        fprintf(stderr, "smtpsink: usage: smtpsink FILE\n");
        return 2;
    }
    map_numbers(argv[1]);
    start_listening();
    for (;;) {
        int n = epoll_wait(sink.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO)
                return 0;
            if (fd == sink.listener)
                greet();
            else
                serve(fd);
        }
    }
}
