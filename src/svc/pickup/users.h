/*
 * Who a user of this machine is: his login and name by number, from /etc/passwd alone. Other
 * sources of users would need files, sockets and libraries that a sandboxed process has not; who is
 * not in the file is called uidNUMBER.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

enum { USERS_LOGIN_BYTES = 40, USERS_NAME_BYTES = 128 };

struct user {
    uid_t uid;
    char login[USERS_LOGIN_BYTES];
    char full_name[USERS_NAME_BYTES]; /* UTF-8 without controls; may be empty */
};

/* Reads the file again each time: it may have changed. 0, or negative errno when it cannot be read.
 */
MUST_CHECK int users_find(uid_t uid, struct user *out);
