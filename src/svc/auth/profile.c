/*
 * What the auth process may do: see profile.h.
 *
 * PAM modules are whatever the administrator has installed: nobody can list their system calls. So
 * for PAM a list of what they may not do takes the place of the list of what they may, and the
 * fence around files is what protects the mail: the folders of systems and programs, and those that
 * auth.outside_paths names. Neither has this process any capability, whoever its user is.
 *
 * Without PAM there are only libraries that ask others over the network: they get a list of what
 * they may, as every process does, and files to read by which names become addresses. What else
 * they try fails, and does not kill, because they try much that they can do without.
 */
#include "svc/auth/profile.h"

#include <string.h>
#include <unistd.h>

enum { SYSTEM_PATHS_MAX = 16, PATHS_MAX = SYSTEM_PATHS_MAX + SETTINGS_OUTSIDE_PATHS_MAX };

static const struct sandbox_path module_paths[] = {
    {.path = "/usr", .may_execute = true},
    {.path = "/lib", .may_execute = true},
    {.path = "/lib64", .may_execute = true},
    {.path = "/bin", .may_execute = true},
    {.path = "/sbin", .may_execute = true},
    {.path = "/etc", .may_execute = true},
    {.path = "/proc"},
    {.path = "/dev/null", .may_write = true},
    {.path = "/dev/zero"},
    {.path = "/dev/random"},
    {.path = "/dev/urandom"},
    {.path = "/run", .may_write = true}, /* pam_faillock's counts, sockets of sssd and nslcd */
};
_Static_assert(ARRAY_LEN(module_paths) <= SYSTEM_PATHS_MAX, "SYSTEM_PATHS_MAX is too small");

/* Names of hosts: nsswitch.conf, hosts, resolv.conf (a link to /run where systemd-resolved is), and
 * the libraries that these name. */
static const struct sandbox_path library_paths[] = {
    {.path = "/etc"},
    {.path = "/usr/lib"},
    {.path = "/lib"},
    {.path = "/lib64"},
    {.path = "/run/systemd/resolve"},
    {.path = "/dev/urandom"},
};
_Static_assert(ARRAY_LEN(library_paths) <= SYSTEM_PATHS_MAX, "SYSTEM_PATHS_MAX is too small");

static const char *const library_syscalls[] = {
    "open",     "openat",    "read",       "pread64",    "stat",         "lstat",      "access",
    "readlink", "faccessat", "faccessat2", "readlinkat", "getdents64",   "socketpair", "select",
    "pselect6", "pipe",      "pipe2",      "getppid",    "memfd_create", "uname",      NULL,
};

/* A rule for a path that is not there would leave the process without any fence. */
static size_t add_path(struct sandbox_path *paths, size_t count, const struct sandbox_path *path)
{
    if (access(path->path, F_OK) == 0)
        paths[count++] = *path;
    return count;
}

static size_t add_outside_paths(struct sandbox_path *paths, size_t count,
                                const struct settings *settings)
{
    const struct settings_list *list = &settings->auth_outside_paths;

    for (size_t i = 0; i < list->count; i++) {
        struct sandbox_path path = {.path = list->items[i], .may_write = true, .may_execute = true};
        count = add_path(paths, count, &path);
    }
    return count;
}

const struct sandbox_profile *auth_profile(const struct settings *settings)
{
    static struct sandbox_path paths[PATHS_MAX + 1];
    static struct sandbox_profile p = {
        .name = "auth", .paths = paths, .has_threads = true, .may_ask_dns = true};
    bool has_modules = settings->auth_backend == SETTINGS_AUTH_PAM;
    const struct sandbox_path *system = has_modules ? module_paths : library_paths;
    size_t system_count = has_modules ? ARRAY_LEN(module_paths) : ARRAY_LEN(library_paths);
    size_t count = 0;

    for (size_t i = 0; i < system_count; i++)
        count = add_path(paths, count, &system[i]);
    if (has_modules)
        count = add_outside_paths(paths, count, settings);
    paths[count] = (struct sandbox_path){.path = NULL};
    p.runs_modules = has_modules;
    p.fails_softly = !has_modules;
    p.may_use_unix = settings->auth_backend == SETTINGS_AUTH_LDAP; /* ldapi:// */
    p.syscalls = has_modules ? NULL : library_syscalls;
    return &p;
}
