/*
 * smtpload: an SMTP load generator for bench/run. One thread, epoll, TCP_NODELAY, one command at a
 * time (or --pipelining), a fixed number of connections that are dialled again until the messages
 * or the seconds are used up. Prints one JSON object: rate, latency from MAIL to the last 250,
 * errors, its own CPU.
 *
 * With --tls it submits: TLS from the first byte or after STARTTLS, a full handshake for every
 * connection and no look at the certificate, then AUTH PLAIN.
 *
 * As Postfix's client it does not wait for the reply to QUIT. It judges nothing: any reply of an
 * unexpected class is an error, its message is not sent again. Never runs longer than --seconds
 * plus GRACE_S.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

enum {
    CONNECTIONS_MAX = 10000,
    MESSAGES_MAX = 10000000,
    SIZE_MAX_BYTES = 64 * 1024 * 1024,
    HEAD_BYTES = 2048,
    REPLY_BYTES = 4096,
    LINE_CHARS = 76,
    EVENTS = 256,
    GRACE_S = 30,
    ERRORS_SHOWN = 5,
    RECIPIENT_CHARS = 256,
    PASSWORD_CHARS = 64,
    RECORD_BYTES = 16 * 1024,
};

/* What the next reply answers. */
enum phase {
    PHASE_BANNER,
    PHASE_EHLO,
    PHASE_STARTTLS,
    PHASE_AUTH,
    PHASE_MAIL,
    PHASE_RCPT,
    PHASE_DATA,
    PHASE_END
};

enum tls { TLS_NONE, TLS_STARTTLS, TLS_IMPLICIT };

struct connection {
    int fd;
    SSL *ssl; /* from the beginning of the handshake on */
    bool is_shaken;
    long number;
    enum phase phase;
    long left;   /* messages that it may still send before QUIT */
    long serial; /* of the message under way */
    int64_t mail_ns;
    bool is_sending_message; /* it counts as an error when the connection breaks */
    bool is_write_watched;
    char head[HEAD_BYTES]; /* commands, or the header of the message */
    size_t head_bytes, head_sent;
    size_t body_bytes, body_sent; /* of the shared body */
    char in[REPLY_BYTES];
    size_t in_bytes;
};

struct options {
    struct sockaddr_in address;
    long connections, messages, per_connection, size, users, seconds;
    bool is_pipelining;
    enum tls tls;
    const char *sender, *recipient, *recipients_file;
    const char *login, *password; /* the login is the sender, too */
};

static struct {
    struct options options;
    SSL_CTX *tls;
    int epoll;
    struct connection *connections;
    long active; /* connections that are open */
    char (*recipients)[RECIPIENT_CHARS];
    long recipient_count;
    char *body;
    size_t body_bytes;
    long started, done, failed, dials; /* messages; connections */
    uint32_t *latencies_us;
    int64_t start_ns, stop_ns, last_done_ns;
} load;

static void die(const char *what)
{
    fprintf(stderr, "smtpload: %s\n", what);
    exit(2);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

static void complain(const char *what, const char *text, size_t bytes)
{
    static int shown;

    if (shown++ < ERRORS_SHOWN)
        fprintf(stderr, "smtpload: %s: %.*s\n", what, (int)bytes, text);
}

/* --- what is sent --- */

/* Lines of text up to the size, and the final dot; the same for all messages. */
static void make_body(void)
{
    size_t head = 300, room = (size_t)load.options.size > head ? load.options.size - head : 0;
    size_t at = 0;

    load.body = malloc(room + LINE_CHARS + 16);
    if (load.body == NULL)
        die("out of memory");
    while (at < room) {
        size_t chars = room - at < LINE_CHARS + 2 ? room - at : LINE_CHARS;
        for (size_t end = at + chars; at < end; at++)
            load.body[at] = (char)('a' + (at * 7 + at / 79) % 26);
        memcpy(load.body + at, "\r\n", 2);
        at += 2;
    }
    memcpy(load.body + at, ".\r\n", 3);
    load.body_bytes = at + 3;
}

static void put_head(struct connection *c, const char *text)
{
    c->head_bytes = strlen(text);
    memcpy(c->head, text, c->head_bytes);
    c->head_sent = 0;
}

/* "user%@example.org" for a number. */
static void expand(const char *pattern, long number, char out[RECIPIENT_CHARS])
{
    const char *mark = strchr(pattern, '%');

    if (mark == NULL)
        (void)snprintf(out, RECIPIENT_CHARS, "%s", pattern);
    else
        (void)snprintf(out, RECIPIENT_CHARS, "%.*s%ld%s", (int)(mark - pattern), pattern, number,
                       mark + 1);
}

/* Who sends; those who log in send as themselves. */
static void sender_of(const struct connection *c, char out[RECIPIENT_CHARS])
{
    const char *login = load.options.login;

    expand(login != NULL ? login : load.options.sender, c->number % load.options.users, out);
}

static const char *recipient_of(const struct connection *c)
{
    return load.recipients[c->serial % load.recipient_count];
}

static void put_commands(struct connection *c)
{
    char text[HEAD_BYTES], mail[RECIPIENT_CHARS + 16], sender[RECIPIENT_CHARS];

    sender_of(c, sender);
    (void)snprintf(mail, sizeof(mail), "MAIL FROM:<%s>\r\n", sender);
    if (load.options.is_pipelining)
        (void)snprintf(text, sizeof(text), "%sRCPT TO:<%s>\r\nDATA\r\n", mail, recipient_of(c));
    else
        (void)snprintf(text, sizeof(text), "%s", mail);
    put_head(c, text);
}

static void put_rcpt(struct connection *c)
{
    char text[RECIPIENT_CHARS + 16];

    (void)snprintf(text, sizeof(text), "RCPT TO:<%s>\r\n", recipient_of(c));
    put_head(c, text);
}

/* AUTH PLAIN with its initial response (RFC 4616). */
static void put_auth(struct connection *c)
{
    char name[RECIPIENT_CHARS], plain[RECIPIENT_CHARS + PASSWORD_CHARS + 2];
    char coded[sizeof(plain) * 2], text[HEAD_BYTES];

    sender_of(c, name);
    int n = snprintf(plain, sizeof(plain), "%c%s%c%s", 0, name, 0, load.options.password);
    (void)EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)plain, n);
    (void)snprintf(text, sizeof(text), "AUTH PLAIN %s\r\n", coded);
    put_head(c, text);
}

static void put_message(struct connection *c)
{
    char sender[RECIPIENT_CHARS];

    sender_of(c, sender);
    int n = snprintf(c->head, HEAD_BYTES,
                     "From: Load <%s>\r\nTo: <%s>\r\nSubject: message %ld\r\n"
                     "Date: Sat, 21 Nov 2026 12:00:00 +0900\r\n"
                     "Message-ID: <%ld.%d@load.example.net>\r\n\r\n",
                     sender, recipient_of(c), c->serial, c->serial, (int)getpid());

    c->head_bytes = (size_t)n;
    c->head_sent = 0;
    c->body_bytes = load.body_bytes;
    c->body_sent = 0;
}

/* --- connections --- */

static void watch(struct connection *c, bool may_write)
{
    struct epoll_event event = {.events = EPOLLIN | (may_write ? EPOLLOUT : 0), .data.ptr = c};

    if (c->is_write_watched == may_write)
        return;
    c->is_write_watched = may_write;
    (void)epoll_ctl(load.epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static bool may_start_message(void)
{
    return load.started < load.options.messages && now_ns() < load.stop_ns;
}

/* A handshake that nothing was kept for; it goes on in shake(). */
static void begin_tls(struct connection *c)
{
    c->ssl = SSL_new(load.tls);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
        die("out of memory");
    SSL_set_connect_state(c->ssl);
    c->is_shaken = false;
}

/* Takes one message of the quota. */
static void take_message(struct connection *c)
{
    c->serial = load.started++;
    c->is_sending_message = true;
    c->left--;
}

static void dial(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("no socket can be made: raise ulimit -n");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->phase = PHASE_BANNER;
    c->left = load.options.per_connection;
    c->head_bytes = c->head_sent = c->body_bytes = c->body_sent = c->in_bytes = 0;
    c->is_write_watched = true;
    c->number = load.dials++;
    load.active++;
    take_message(c);
    if (load.options.tls == TLS_IMPLICIT)
        begin_tls(c);
    (void)!connect(c->fd, (struct sockaddr *)&load.options.address, sizeof(load.options.address));
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl failed");
}

/* Ends the connection; its message is lost if one was under way. Dials again while there is work.
 */
static void hang_up(struct connection *c)
{
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    c->fd = -1;
    load.active--;
    if (c->is_sending_message)
        load.failed++;
    c->is_sending_message = false;
    if (may_start_message())
        dial(c);
}

static void fail(struct connection *c, const char *what, const char *text, size_t bytes)
{
    complain(what, text, bytes);
    hang_up(c);
}

/* As read and write: bytes, or -1 and errno. */
static ssize_t tls_result(const struct connection *c, int n)
{
    int why = n > 0 ? 0 : SSL_get_error(c->ssl, n);

    if (n > 0)
        return n;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

/* A record of what comes next; built anew, byte for byte the same, when it has to be tried again.
 */
static ssize_t write_record(struct connection *c)
{
    static char record[RECORD_BYTES];
    size_t head = c->head_bytes - c->head_sent, body = c->body_bytes - c->body_sent;

    memcpy(record, c->head + c->head_sent, head);
    if (body > RECORD_BYTES - head)
        body = RECORD_BYTES - head;
    memcpy(record + head, load.body + c->body_sent, body);
    ERR_clear_error();
    return tls_result(c, SSL_write(c->ssl, record, (int)(head + body)));
}

static ssize_t write_some(struct connection *c)
{
    struct iovec parts[2] = {
        {c->head + c->head_sent, c->head_bytes - c->head_sent},
        {load.body + c->body_sent, c->body_bytes - c->body_sent},
    };

    return c->ssl != NULL ? write_record(c) : writev(c->fd, parts, 2);
}

static ssize_t read_some(struct connection *c)
{
    char *room = c->in + c->in_bytes;
    size_t bytes = REPLY_BYTES - c->in_bytes;

    if (c->ssl == NULL)
        return read(c->fd, room, bytes);
    ERR_clear_error();
    return tls_result(c, SSL_read(c->ssl, room, (int)bytes));
}

/* Sends what is pending. False when the connection ended. */
static bool flush(struct connection *c)
{
    while (c->head_sent < c->head_bytes || c->body_sent < c->body_bytes) {
        size_t head = c->head_bytes - c->head_sent;
        ssize_t n = write_some(c);
        if (n < 0 && errno == EAGAIN) {
            watch(c, true);
            return true;
        }
        if (n < 0) {
            fail(c, "write failed", strerror(errno), 100);
            return false;
        }
        size_t of_head = (size_t)n < head ? (size_t)n : head;
        c->head_sent += of_head;
        c->body_sent += (size_t)n - of_head;
    }
    c->body_bytes = c->body_sent = 0;
    watch(c, false);
    return true;
}

/* Goes on with the handshake. True when it is done. */
static bool shake(struct connection *c)
{
    ERR_clear_error();
    int r = SSL_do_handshake(c->ssl);
    int why = SSL_get_error(c->ssl, r);

    c->is_shaken = r == 1;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        watch(c, why == SSL_ERROR_WANT_WRITE);
    else if (r != 1)
        fail(c, "no TLS", "handshake failed", 100);
    return r == 1;
}

/* --- replies --- */

static void begin_message(struct connection *c)
{
    c->phase = PHASE_MAIL;
    c->mail_ns = now_ns();
    put_commands(c);
}

static void finish_message(struct connection *c)
{
    int64_t now = now_ns();

    load.latencies_us[load.done++] = (uint32_t)((now - c->mail_ns) / 1000);
    load.last_done_ns = now;
    c->is_sending_message = false;
}

static void say_hello(struct connection *c)
{
    c->phase = PHASE_EHLO;
    put_head(c, "EHLO load.example.net\r\n");
}

/* The greeting comes by itself on a port that begins with TLS, after STARTTLS the client speaks. */
static bool on_handshake(struct connection *c)
{
    if (!shake(c))
        return false;
    if (load.options.tls == TLS_STARTTLS)
        say_hello(c);
    return flush(c);
}

/* What comes before the first message, or that. */
static bool after_ehlo(struct connection *c)
{
    if (load.options.tls == TLS_STARTTLS && c->ssl == NULL) {
        c->phase = PHASE_STARTTLS;
        put_head(c, "STARTTLS\r\n");
    } else if (load.options.login != NULL) {
        c->phase = PHASE_AUTH;
        put_auth(c);
    } else {
        begin_message(c);
    }
    return flush(c);
}

/* Acts on one whole good reply. False when the connection ended. */
static bool advance(struct connection *c)
{
    switch (c->phase) {
    case PHASE_BANNER:
        say_hello(c);
        return flush(c);
    case PHASE_EHLO:
        return after_ehlo(c);
    case PHASE_STARTTLS:
        begin_tls(c);
        (void)on_handshake(c);
        return false; /* nothing but the handshake may have come */
    case PHASE_AUTH:
        begin_message(c);
        return flush(c);
    case PHASE_MAIL:
        c->phase = PHASE_RCPT;
        if (load.options.is_pipelining)
            return true;
        put_rcpt(c);
        return flush(c);
    case PHASE_RCPT:
        c->phase = PHASE_DATA;
        if (load.options.is_pipelining)
            return true;
        put_head(c, "DATA\r\n");
        return flush(c);
    case PHASE_DATA:
        c->phase = PHASE_END;
        put_message(c);
        return flush(c);
    case PHASE_END:
        break;
    }
    finish_message(c);
    if (c->left > 0 && may_start_message()) {
        take_message(c);
        begin_message(c);
        return flush(c);
    }
    put_head(c, "QUIT\r\n");
    (void)write_some(c);
    hang_up(c);
    return false;
}

/* One reply line. False when the connection ended. */
static bool take_line(struct connection *c, const char *line, size_t bytes)
{
    static const char expected[] = {'2', '2', '2', '2', '2', '2', '3', '2'};

    if (bytes < 4 || line[0] != expected[c->phase]) {
        fail(c, "refused", line, bytes);
        return false;
    }
    if (line[3] == '-')
        return true;
    c->in_bytes = c->phase == PHASE_STARTTLS ? 0 : c->in_bytes;
    return advance(c);
}

/* False when the connection ended, or a handshake began. */
static bool take_lines(struct connection *c)
{
    char *end, *at = c->in;

    while ((end = memchr(at, '\n', c->in + c->in_bytes - at)) != NULL) {
        if (!take_line(c, at, (size_t)(end - at)))
            return false;
        at = end + 1;
    }
    c->in_bytes = (size_t)(c->in + c->in_bytes - at);
    memmove(c->in, at, c->in_bytes);
    return true;
}

/* What TLS has decrypted does not make the socket readable again: so reads until there is no more.
 */
static void on_readable(struct connection *c)
{
    for (;;) {
        ssize_t n = read_some(c);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            fail(c, "connection lost", n < 0 ? strerror(errno) : "closed", n < 0 ? 100 : 6);
            return;
        }
        c->in_bytes += (size_t)n;
        if (!take_lines(c) || c->ssl == NULL)
            return;
    }
}

static void on_event(struct connection *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->ssl != NULL && !c->is_shaken) {
        if (on_handshake(c))
            on_readable(c);
        return;
    }
    if ((events & EPOLLOUT) != 0 && !flush(c))
        return;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        on_readable(c);
}

static void run(void)
{
    struct epoll_event events[EVENTS];

    load.start_ns = load.last_done_ns = now_ns();
    load.stop_ns = load.start_ns + load.options.seconds * (int64_t)1000000000;
    for (long i = 0; i < load.options.connections && may_start_message(); i++)
        dial(&load.connections[i]);
    while (load.active > 0 && now_ns() < load.stop_ns + GRACE_S * (int64_t)1000000000) {
        int n = epoll_wait(load.epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++)
            on_event(events[i].data.ptr, events[i].events);
    }
}

/* --- set-up and report --- */

static void add_recipient(const char *text)
{
    size_t bytes = strcspn(text, "\r\n");

    if (bytes == 0 || bytes >= RECIPIENT_CHARS)
        return;
    load.recipients = realloc(load.recipients, (load.recipient_count + 1) * RECIPIENT_CHARS);
    if (load.recipients == NULL)
        die("out of memory");
    memcpy(load.recipients[load.recipient_count], text, bytes);
    load.recipients[load.recipient_count++][bytes] = '\0';
}

/* "user%@example.org" and 3 users: user0@... to user2@... */
static void make_recipients(void)
{
    const struct options *o = &load.options;
    long count = strchr(o->recipient, '%') != NULL ? o->users : 1;
    char text[RECIPIENT_CHARS];

    for (long i = 0; i < count; i++) {
        expand(o->recipient, i, text);
        add_recipient(text);
    }
}

static void read_recipients(const char *path)
{
    char line[RECIPIENT_CHARS * 2];
    FILE *file = fopen(path, "r");

    if (file == NULL)
        die("the file of recipients cannot be read");
    while (fgets(line, sizeof(line), file) != NULL)
        add_recipient(line);
    (void)fclose(file);
}

static long number(const char *text, long min, long max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "smtpload: '%s' is not a number from %ld to %ld\n", text, min, max);
        exit(2);
    }
    return value;
}

static void parse_address(char *text)
{
    char *colon = strrchr(text, ':');

    load.options.address.sin_family = AF_INET;
    if (colon == NULL)
        die("name the server as ADDRESS:PORT, such as 127.0.0.1:25");
    *colon = '\0';
    load.options.address.sin_port = htons((uint16_t)number(colon + 1, 1, 65535));
    if (inet_pton(AF_INET, text, &load.options.address.sin_addr) != 1)
        die("the address of the server must be IPv4 in numbers");
}

static void parse_option(int option, const char *value)
{
    struct options *o = &load.options;

    switch (option) {
    case 'c':
        o->connections = number(value, 1, CONNECTIONS_MAX);
        return;
    case 'n':
        o->messages = number(value, 1, MESSAGES_MAX);
        return;
    case 'm':
        o->per_connection = number(value, 1, MESSAGES_MAX);
        return;
    case 's':
        o->size = number(value, 1, SIZE_MAX_BYTES);
        return;
    case 'u':
        o->users = number(value, 1, MESSAGES_MAX);
        return;
    case 't':
        o->seconds = number(value, 1, 3600);
        return;
    case 'p':
        o->is_pipelining = true;
        return;
    case 'f':
        o->sender = value;
        return;
    case 'r':
        o->recipient = value;
        return;
    case 'R':
        o->recipients_file = value;
        return;
    case 'T':
        o->tls = strcmp(value, "starttls") == 0 ? TLS_STARTTLS : TLS_IMPLICIT;
        return;
    case 'l':
        o->login = value;
        return;
    case 'P':
        o->password = value;
        return;
    default:
        die("usage: smtpload [--connections N] [--messages N] [--per-connection N] [--size BYTES]\n"
            "    [--seconds S] [--sender ADDRESS] [--recipient PATTERN --users N |\n"
            "    --recipients-file FILE] [--pipelining] [--tls starttls|implicit]\n"
            "    [--login PATTERN --password TEXT] ADDRESS:PORT");
    }
}

static void parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"connections", required_argument, NULL, 'c'},
        {"messages", required_argument, NULL, 'n'},
        {"per-connection", required_argument, NULL, 'm'},
        {"size", required_argument, NULL, 's'},
        {"users", required_argument, NULL, 'u'},
        {"seconds", required_argument, NULL, 't'},
        {"pipelining", no_argument, NULL, 'p'},
        {"sender", required_argument, NULL, 'f'},
        {"recipient", required_argument, NULL, 'r'},
        {"recipients-file", required_argument, NULL, 'R'},
        {"tls", required_argument, NULL, 'T'},
        {"login", required_argument, NULL, 'l'},
        {"password", required_argument, NULL, 'P'},
        {NULL, 0, NULL, 0},
    };
    int option;

    load.options = (struct options){.connections = 1,
                                    .messages = 1000,
                                    .per_connection = 1,
                                    .size = 4096,
                                    .users = 1,
                                    .seconds = 60,
                                    .sender = "load@load.example.net",
                                    .recipient = "user%@example.jp",
                                    .password = ""};
    while ((option = getopt_long(argc, argv, "c:n:m:s:u:t:pf:r:R:T:l:P:", names, NULL)) != -1)
        parse_option(option, optarg);
    if (optind != argc - 1 || strlen(load.options.sender) >= RECIPIENT_CHARS ||
        strlen(load.options.password) >= PASSWORD_CHARS)
        parse_option('?', NULL);
    parse_address(argv[optind]);
}

static void prepare_tls(void)
{
    load.tls = SSL_CTX_new(TLS_client_method());
    if (load.tls == NULL)
        die("out of memory");
    SSL_CTX_set_verify(load.tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(load.tls, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(load.tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                         SSL_MODE_RELEASE_BUFFERS);
}

static void prepare(void)
{
    const struct options *o = &load.options;

    if (o->tls != TLS_NONE)
        prepare_tls();

    if (o->recipients_file != NULL)
        read_recipients(o->recipients_file);
    else
        make_recipients();
    if (load.recipient_count == 0)
        die("there are no recipients");
    make_body();
    load.connections = calloc(o->connections, sizeof(*load.connections));
    load.latencies_us = malloc(o->messages * sizeof(*load.latencies_us));
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.connections == NULL || load.latencies_us == NULL || load.epoll < 0)
        die("out of memory");
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double percentile_ms(int percent)
{
    if (load.done == 0)
        return 0;
    return load.latencies_us[(load.done - 1) * percent / 100] / 1000.0;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void report(void)
{
    struct rusage usage;
    double seconds = (double)(load.last_done_ns - load.start_ns) / 1e9;

    qsort(load.latencies_us, load.done, sizeof(*load.latencies_us), compare);
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"messages\": %ld, \"errors\": %ld, \"unfinished\": %ld, \"dials\": %ld, "
           "\"seconds\": %.4f, \"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"max_ms\": %.3f, \"cpu_s\": %.3f}\n",
           load.done, load.failed, load.started - load.done - load.failed, load.dials, seconds,
           seconds > 0 ? (double)load.done / seconds : 0, percentile_ms(50), percentile_ms(99),
           percentile_ms(100), seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    prepare();
    run();
    report();
    return load.done > 0 ? 0 : 1;
}
