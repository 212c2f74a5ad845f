/* One question to somebody outside: see check.h. */
#include "svc/auth/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "svc/auth/check_secrets.h"
#include "svc/auth/ldap_check.h"
#include "svc/auth/pam_check.h"
#include "svc/auth/token_verdict.h"
#include "token/check.h"

static struct token_checker *make_checker(const struct settings *settings,
                                          const struct check_secrets *secrets)
{
    struct token_config config = {.settings = settings,
                                  .ca_pem = str_from_c(secrets->ca_pem),
                                  .keys_json = str_from_c(secrets->token_keys),
                                  .client_secret = str_from_c(secrets->token_secret)};
    struct token_checker *checker;
    const char *why;

    if (settings->auth_oauth == SETTINGS_OAUTH_OFF)
        return NULL;
    if (token_checker_new(&config, &checker, &why) < 0)
        LOG(LOG_ERROR, "auth.no-token-keys", LOG_C("why", why));
    return checker;
}

struct check_config *check_config_new(struct settings *settings,
                                      const struct check_secrets *secrets)
{
    struct check_config *config = xcalloc(1, sizeof(*config));

    config->users = 1;
    config->settings = settings;
    config->tokens = make_checker(settings, secrets);
    if (settings->auth_backend == SETTINGS_AUTH_LDAP)
        config->directory =
            ldap_directory_new(str_from_c(secrets->ca_pem), str_from_c(secrets->ldap_password));
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
    token_checker_unref(config->tokens);
    ldap_directory_free(config->directory);
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
    case SETTINGS_AUTH_LDAP:
        return ldap_check(check);
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
    if (check->verb == OUTSIDE_TOKEN)
        check->verdict = token_verdict(check);
}

void check_warn(const struct settings *settings)
{
    if (settings->auth_backend == SETTINGS_AUTH_PAM)
        pam_check_service(settings);
    if (settings->auth_backend == SETTINGS_AUTH_LDAP)
        ldap_check_settings(settings);
}
