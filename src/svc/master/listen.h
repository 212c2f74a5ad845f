/* Listening sockets: bound by the master, kept over reloads, handed to the workers. */
#pragma once

#include "base/buf.h"
#include "conf/settings.h"
#include "svc/control.h"

enum { LISTEN_BACKLOG = 4096 };

struct listen_socket {
    enum control_listener use;
    char *address; /* as in the settings */
    int fd;
};

struct listen_set {
    struct listen_socket *sockets;
    size_t count;
};

/* "smtp", "submission", ...: the name of the setting below "listen". */
const char *listen_name(enum control_listener use);
/* Binds all addresses of the settings, taking over from `old` what is bound already. On success
 * `old` is emptied (what is not listed any more is closed) and *out has the new set; on failure
 * nothing has changed and out_text says which address and why. 0 or negative errno. */
MUST_CHECK int listen_set_bind(const struct settings *settings, struct listen_set *old,
                               struct listen_set *out, struct buf *out_text);
void listen_set_done(struct listen_set *set);
/* Binds the control socket (mode 0600), replacing what a dead server left. */
MUST_CHECK int listen_control(const char *path, int *out_fd);
