/* Who a user of this machine is: see users.h. */
#include "svc/pickup/users.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "mail/submit_file.h"

#define PASSWD_PATH "/etc/passwd"

enum { LINES_MAX = 100000 };

/* The login as part of an address. */
static bool is_usable(const char *login)
{
    for (const char *c = login; *c != '\0'; c++) {
        if (!ascii_is_alnum(*c) && strchr(".-_$", *c) == NULL)
            return false;
    }
    return *login != '\0' && strlen(login) < USERS_LOGIN_BYTES;
}

/* The first field of gecos; '&' stands for the login. */
static void take_name(const char *gecos, struct user *out)
{
    struct str name, rest;

    (void)str_cut(str_from_c(gecos), ',', &name, &rest);
    if (str_find(name, '&') >= 0 || !submit_file_may_hold(name) ||
        !str_copy(name, out->full_name, sizeof(out->full_name)))
        out->full_name[0] = '\0';
}

int users_find(uid_t uid, struct user *out)
{
    const struct passwd *pw = NULL;
    FILE *file = fopen(PASSWD_PATH, "re");

    *out = (struct user){.uid = uid};
    (void)snprintf(out->login, sizeof(out->login), "uid%u", (unsigned)uid);
    if (file == NULL)
        return -errno;
    for (int i = 0; i < LINES_MAX && (pw = fgetpwent(file)) != NULL && pw->pw_uid != uid; i++)
        ;
    if (pw != NULL && pw->pw_uid == uid && is_usable(pw->pw_name)) {
        (void)snprintf(out->login, sizeof(out->login), "%s", pw->pw_name);
        take_name(pw->pw_gecos, out);
    }
    (void)fclose(file);
    return 0;
}
