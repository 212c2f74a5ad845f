/* Messages with an optional descriptor: see fdpass.h. */
#include "rt/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union fd_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int fdpass_pair(int kind, int out_fds[2])
{
    int r = socketpair(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out_fds);

    return r < 0 ? -errno : 0;
}

int fdpass_send(int socket, uint16_t type, struct str payload, int fd)
{
    union fd_control control = {0};
    struct iovec parts[2] = {{.iov_base = &type, .iov_len = sizeof(type)}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

    ASSERT(payload.len + sizeof(type) <= FDPASS_MAX_BYTES);
    memcpy(&parts[1].iov_base, &payload.ptr, sizeof(payload.ptr));
    parts[1].iov_len = payload.len;
    if (fd >= 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof(control.bytes);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    return sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* How many descriptors came, and the first of them; the others are closed. The padding of a control
 * message leaves room for more than were asked for. */
static size_t take_fds(struct msghdr *msg, int *out_fd)
{
    size_t total = 0;

    *out_fd = -1;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h != NULL; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
            if (total++ == 0)
                *out_fd = fd;
            else
                close(fd);
        }
    }
    return total;
}

static int refuse(int *fd, int error)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return error;
}

int fdpass_recv(int socket, char *buffer, uint16_t *out_type, struct str *out_payload, int *out_fd)
{
    union fd_control control;
    struct iovec part = {.iov_base = buffer, .iov_len = FDPASS_MAX_BYTES};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};

    ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    size_t fds = take_fds(&msg, out_fd);
    if (n == 0)
        return refuse(out_fd, -EPIPE);
    if ((size_t)n < sizeof(*out_type) || fds > 1 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        return refuse(out_fd, -EBADMSG);
    memcpy(out_type, buffer, sizeof(*out_type));
    *out_payload = str_from_mem(buffer + sizeof(*out_type), (size_t)n - sizeof(*out_type));
    return 0;
}
