/*
 * Giving up privileges for good: user, capabilities, file access (Landlock), system calls
 * (seccomp).
 *
 * Each process declares its profile in its own folder (src/svc/...). The same code runs when the
 * server was not started as root; then only the change of user is skipped. A kernel without
 * Landlock is reported and goes on with the rest.
 *
 * System calls that are needed but could do more than that are judged by their arguments: nobody
 * connects by MSG_FASTOPEN, signals another process, types into a terminal (TIOCSTI), or shuts down
 * a listener that is shared with other workers. Who may connect makes TCP sockets only, and binds
 * them to an address but (where Landlock knows ports) never to a port; nobody listens.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct sandbox_path {
    const char *path;
    bool may_write;
    bool may_execute;
};

struct sandbox_profile {
    const char *name;
    const struct sandbox_path *paths; /* all other files are out of reach; ends with path NULL */
    const char *const *syscalls;      /* beyond the common set; ends with NULL */
    bool has_threads;                 /* may start threads after entering */
    bool tries_files;                 /* libraries look for files: they get an error, not the end */
    bool may_connect;                 /* TCP to anywhere, from a source address if wanted */
    bool may_ask_dns;                 /* the same, and UDP: what a resolver needs */
    bool may_use_unix;                /* stream sockets of this machine */
    /* What is not allowed fails and does not kill: libraries of others try this and that. */
    bool fails_softly;
    /* Code that others have installed (PAM) runs here, programs too: all system calls but those by
     * which one process gets hold of others or of the machine. Files by `paths`, as always. */
    bool runs_modules;
};

/* Paths or threads also mean record locks, as a database needs them. With threads and no paths,
 * opening a file fails and does not kill, because the C library tries. */

/* When running as root: becomes `user` (its uid, gid; no other groups, or those it is a member of).
 * 0 or negative errno; -ENOENT: no such user. Does nothing when not root. */
MUST_CHECK int sandbox_drop_user(const char *user, bool has_its_groups);
/* Enters the sandbox, whoever the user is without capabilities. There is no way back. 0 or negative
 * errno. */
MUST_CHECK int sandbox_enter(const struct sandbox_profile *profile);
/* Leaves no core files. When running as root: gives up all capabilities but those that a supervisor
 * of such processes needs (binding low ports, changing users of its children, killing them, handing
 * them folders, reading renewed keys). */
void sandbox_keep_supervisor(void);
