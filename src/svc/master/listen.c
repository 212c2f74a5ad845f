/* Listening sockets: see listen.h. */
#include "svc/master/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ip.h"
#include "conf/value.h"

static const char *const names[CONTROL_LISTENERS] = {
    [CONTROL_LISTENER_SMTP] = "smtp",
    [CONTROL_LISTENER_SUBMISSION] = "submission",
    [CONTROL_LISTENER_SUBMISSIONS] = "submissions",
};

const char *listen_name(enum control_listener use)
{
    ASSERT(use > CONTROL_LISTENER_ADMIN && use < CONTROL_LISTENERS);
    return names[use];
}

static const struct settings_list *addresses_of(const struct settings *settings,
                                                enum control_listener use)
{
    switch (use) {
    case CONTROL_LISTENER_SMTP:
        return &settings->listen_smtp;
    case CONTROL_LISTENER_SUBMISSION:
        return &settings->listen_submission;
    case CONTROL_LISTENER_SUBMISSIONS:
        return &settings->listen_submissions;
    case CONTROL_LISTENER_ADMIN:
    case CONTROL_LISTENERS:
        break;
    }
    die_at(__FILE__, __LINE__, "no setting has addresses for this");
}

static socklen_t fill_address(const struct value_listen *l, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){0};
    if (l->is_ipv6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(l->port);
        (void)inet_pton(AF_INET6, l->address, &in6->sin6_addr);
        return sizeof(*in6);
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(l->port);
    (void)inet_pton(AF_INET, l->address, &in->sin_addr);
    return sizeof(*in);
}

static int bind_address(const struct value_listen *l)
{
    struct sockaddr_storage address;
    socklen_t bytes = fill_address(l, &address);
    int one = 1;

    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    /* "[::]:25" beside "0.0.0.0:25": each family has a socket of its own. */
    if (l->is_ipv6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&address, bytes) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static const char *hint(int error)
{
    switch (error) {
    case -EACCES:
    case -EPERM:
        return "ports below 1024 need root; or choose a higher one";
    case -EADDRINUSE:
        return "another program listens there; stop it or choose another port";
    case -EADDRNOTAVAIL:
        return "this machine does not have that address";
    default:
        return "name another one";
    }
}

static int take_or_bind(const char *name, const char *text, const struct listen_set *old,
                        struct buf *out_text)
{
    struct value_listen l;

    for (size_t i = 0; i < old->count; i++) {
        if (strcmp(old->sockets[i].address, text) == 0)
            return old->sockets[i].fd;
    }
    int fd = value_parse_listen(str_from_c(text), &l) == 0 ? bind_address(&l) : -EINVAL;
    if (fd < 0)
        buf_printf(out_text, "cannot listen on %s (listen.%s): %s; %s", text, name, strerror(-fd),
                   hint(fd));
    return fd;
}

static bool has_fd(const struct listen_set *set, int fd)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->sockets[i].fd == fd)
            return true;
    }
    return false;
}

/* Closes what `set` has and `keep` has not. */
static void close_others(struct listen_set *set, const struct listen_set *keep)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!has_fd(keep, set->sockets[i].fd))
            close(set->sockets[i].fd);
        free(set->sockets[i].address);
    }
    free(set->sockets);
    *set = (struct listen_set){0};
}

/* Adds the sockets of one use. 0 or negative errno; what was added stays. */
static int bind_use(const struct settings *settings, enum control_listener use,
                    const struct listen_set *old, struct listen_set *new, struct buf *out_text)
{
    const struct settings_list *addresses = addresses_of(settings, use);

    for (size_t i = 0; i < addresses->count; i++) {
        const char *address = addresses->items[i];
        int fd = take_or_bind(names[use], address, old, out_text);
        if (fd < 0)
            return fd;
        new->sockets[new->count++] =
            (struct listen_socket){.use = use, .address = xstrdup(address), .fd = fd};
    }
    return 0;
}

int listen_set_bind(const struct settings *settings, struct listen_set *old, struct listen_set *out,
                    struct buf *out_text)
{
    size_t count = 0;

    for (int use = CONTROL_LISTENER_ADMIN + 1; use < CONTROL_LISTENERS; use++)
        count += addresses_of(settings, use)->count;
    struct listen_set new = {.sockets = xcalloc(count, sizeof(*new.sockets))};
    for (int use = CONTROL_LISTENER_ADMIN + 1; use < CONTROL_LISTENERS; use++) {
        int r = bind_use(settings, use, old, &new, out_text);
        if (r < 0) {
            close_others(&new, old);
            return r;
        }
    }
    close_others(old, &new);
    *out = new;
    return 0;
}

void listen_set_done(struct listen_set *set)
{
    struct listen_set none = {0};

    close_others(set, &none);
}

int listen_control(const char *path, int *out_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!str_copy(str_from_c(path), address.sun_path, sizeof(address.sun_path)))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    mode_t old_mask = umask(0177);
    int r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    umask(old_mask);
    if (r == 0 && listen(fd, 64) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    *out_fd = fd;
    return 0;
}
