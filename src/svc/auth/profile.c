/*
 * What the auth process may do: see profile.h.
 *
 * PAM modules are whatever the administrator has installed: nobody can list their system calls. So
 * for PAM a list of what they may not do takes the place of the list of what they may, and the
 * fence around files is what protects the mail: the folders of systems and programs, and those that
 * auth.outside_paths names. Neither has this process any capability, whoever its user is.
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
    static struct sandbox_profile p = {.name = "auth",
                                       .paths = paths,
                                       .has_threads = true,
                                       .may_ask_dns = true,
                                       .runs_modules = true};
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(module_paths); i++)
        count = add_path(paths, count, &module_paths[i]);
    count = add_outside_paths(paths, count, settings);
    paths[count] = (struct sandbox_path){.path = NULL};
    return &p;
}
