/* One question to somebody outside: see check.h. */
#include "svc/auth/check.h"

#include <stdlib.h>
#include <string.h>

#include "svc/auth/pam_check.h"

struct check_config *check_config_new(struct settings *settings)
{
    struct check_config *config = xcalloc(1, sizeof(*config));

    config->users = 1;
    config->settings = settings;
    return config;
}

struct check_config *check_config_ref(struct check_config *config)
{
    config->users++;
    return config;
}

void check_config_unref(struct check_config *config)
{
    if (config == NULL || --config->users > 0)
        return;
    settings_free(config->settings);
    free(config);
}

/* An empty password must not even be sent: to LDAP it means "nobody", and that succeeds (RFC 4513
 * section 5.1.2). A NUL would cut it off for libpam. */
static bool is_possible_password(struct str password)
{
    return password.len > 0 && memchr(password.ptr, '\0', password.len) == NULL;
}

static enum outside_verdict check_password(struct check *check)
{
    if (!is_possible_password(check->request.secret))
        return OUTSIDE_WRONG;
    switch (check->config->settings->auth_backend) {
    case SETTINGS_AUTH_PAM:
        return pam_check(check);
    default:
        return OUTSIDE_TEMPORARY;
    }
}

void check_run(struct check *check)
{
    check->verdict = OUTSIDE_TEMPORARY;
    check->name[0] = '\0';
    if (check->verb == OUTSIDE_PASSWORD)
        check->verdict = check_password(check);
}

void check_warn(const struct settings *settings)
{
    if (settings->auth_backend == SETTINGS_AUTH_PAM)
        pam_check_service(settings);
}
