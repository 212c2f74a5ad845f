/* What the master hands to the auth process of keys and secrets, because only he reads the files.
 */
#pragma once

#include "base/error.h"

struct control_event;

/* Never NULL; "": none. */
struct check_secrets {
    char *ca_pem;        /* tls.ca_file */
    char *token_keys;    /* auth.oauth_keys_file */
    char *token_secret;  /* auth.oauth_client_secret_file */
    char *ldap_password; /* auth.ldap_service_password_file */
};

/* Embedded; pair: check_secrets_done, which wipes. */
void check_secrets_init(struct check_secrets *s);
void check_secrets_done(struct check_secrets *s);
/* Takes those of CONTROL_TLS, and closes its descriptor. 0; or negative errno, and all is as it
 * was. */
MUST_CHECK int check_secrets_take(struct check_secrets *s, struct control_event *event);
