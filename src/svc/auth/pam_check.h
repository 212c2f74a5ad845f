/*
 * Passwords by PAM: the service that auth.pam_service names, authentication and then the account's
 * state. Thread-safe as far as the modules are. Blocks for as long as they do.
 */
#pragma once

#include "svc/auth/check.h"

/* Of the request's name and secret, which is neither empty nor has a NUL in it. */
enum outside_verdict pam_check(const struct check *check);
/* Says in the log if PAM does not know the service. */
void pam_check_service(const struct settings *settings);
