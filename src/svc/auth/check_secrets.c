/* Keys and secrets of the auth process: see check_secrets.h. */
#include "svc/auth/check_secrets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/sealed.h"
#include "svc/child.h"
#include "svc/secrets.h"

void check_secrets_init(struct check_secrets *s)
{
    *s = (struct check_secrets){.ca_pem = xstrdup(""),
                                .token_keys = xstrdup(""),
                                .token_secret = xstrdup(""),
                                .ldap_password = xstrdup("")};
}

void check_secrets_done(struct check_secrets *s)
{
    explicit_bzero(s->token_secret, strlen(s->token_secret));
    free(s->ca_pem);
    free(s->token_keys);
    free(s->token_secret);
    explicit_bzero(s->ldap_password, strlen(s->ldap_password));
    free(s->ldap_password);
}

int check_secrets_take(struct check_secrets *s, struct control_event *event)
{
    struct secrets secrets;
    struct arena arena;
    struct str bytes;

    int r = sealed_map(event->fd, SECRETS_MAX_BYTES, &bytes);
    if (event->fd >= 0)
        close(event->fd);
    if (r < 0)
        return r;
    arena_init(&arena, SECRETS_ARENA_BYTES);
    r = secrets_decode(bytes, &arena, &secrets);
    if (r == 0) {
        check_secrets_done(s);
        *s = (struct check_secrets){.ca_pem = str_dup(secrets.ca),
                                    .token_keys = str_dup(secrets.token_keys),
                                    .token_secret = str_dup(secrets.token_secret),
                                    .ldap_password = str_dup(secrets.ldap_password)};
    }
    arena_done(&arena);
    sealed_unmap(bytes);
    return r;
}
