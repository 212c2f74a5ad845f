/* A worker's keys: see tls_link.h. */
#include "svc/tls_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "rt/sealed.h"
#include "svc/secrets.h"

struct tls_link_password {
    char *route;
    char *password;
};

_Static_assert((int)SECRETS_TICKET_KEY_BYTES == sizeof(struct tls_ticket_key),
               "secrets.h tells the size");
_Static_assert((int)SETTINGS_TLS_1_2 == TLS_1_2 && (int)SETTINGS_TLS_1_3 == TLS_1_3,
               "versions are in the same order");

void tls_link_init(struct tls_link *link)
{
    *link = (struct tls_link){.server = NULL};
}

static void drop_passwords(struct tls_link *link)
{
    for (size_t i = 0; i < link->password_count; i++) {
        explicit_bzero(link->passwords[i].password, strlen(link->passwords[i].password));
        free(link->passwords[i].password);
        free(link->passwords[i].route);
    }
    free(link->passwords);
    link->passwords = NULL;
    link->password_count = 0;
}

void tls_link_done(struct tls_link *link)
{
    tls_server_unref(link->server);
    tls_client_unref(link->client);
    drop_passwords(link);
    tls_link_init(link);
}

static int complain(const char *what, struct str name, const struct tls_text *why)
{
    LOG(LOG_ERROR, "tls.not-taken", LOG_C("what", what), LOG_STR("name", name),
        LOG_C("why", why->text), LOG_C("effect", "the old keys stay in use"));
    return -EINVAL;
}

/* How many could be parsed; fewer than there are after logging why. */
static size_t parse_identities(const struct secrets *secrets,
                               struct tls_identity *out[SECRETS_IDENTITIES_MAX])
{
    struct tls_text why;

    for (size_t i = 0; i < secrets->identity_count; i++) {
        const struct secrets_identity *identity = &secrets->identities[i];
        if (tls_identity_parse(identity->chain, identity->key, &out[i], &why) < 0) {
            (void)complain("certificate", identity->name, &why);
            return i;
        }
    }
    return secrets->identity_count;
}

static int make_server(const struct secrets *secrets, const struct settings *settings,
                       struct tls_server **out)
{
    struct tls_identity *identities[SECRETS_IDENTITIES_MAX];
    struct tls_ticket_keys keys;
    struct tls_text why;

    *out = NULL;
    if (secrets->identity_count == 0)
        return 0;
    size_t count = parse_identities(secrets, identities);
    struct tls_server_config config = {
        .identities = identities,
        .identity_count = count,
        .min_version = (enum tls_version)settings->tls_min_version,
        .client_ca_pem = secrets->client_ca,
        .client_crl_pem = secrets->client_crl,
    };
    if (secrets->ticket_key_count == SECRETS_TICKET_KEYS_MAX) {
        memcpy(&keys.current, secrets->ticket_keys[0].ptr, sizeof(keys.current));
        memcpy(&keys.previous, secrets->ticket_keys[1].ptr, sizeof(keys.previous));
        config.ticket_keys = &keys;
    }
    int r = count == secrets->identity_count ? 0 : -EINVAL;
    if (r == 0 && tls_server_new(&config, out, &why) < 0)
        r = complain("certificates", STR(""), &why);
    for (size_t i = 0; i < count; i++)
        tls_identity_unref(identities[i]);
    explicit_bzero(&keys, sizeof(keys));
    return r;
}

static int make_client(const struct secrets *secrets, const struct settings *settings,
                       struct tls_client **out)
{
    struct tls_client_config config = {.ca_pem = secrets->ca,
                                       .min_version = (enum tls_version)settings->tls_min_version,
                                       .max_sessions = TLS_SESSIONS_MAX};
    struct tls_text why;

    *out = NULL;
    return tls_client_new(&config, out, &why) < 0 ? complain("authorities", STR(""), &why) : 0;
}

static void keep_passwords(struct tls_link *link, const struct secrets *secrets)
{
    drop_passwords(link);
    link->passwords = xcalloc(secrets->credential_count, sizeof(*link->passwords));
    for (size_t i = 0; i < secrets->credential_count; i++)
        link->passwords[link->password_count++] =
            (struct tls_link_password){.route = str_dup(secrets->credentials[i].route),
                                       .password = str_dup(secrets->credentials[i].password)};
}

/* All or nothing. */
static int use(struct tls_link *link, const struct settings *settings,
               const struct secrets *secrets)
{
    struct tls_server *server;
    struct tls_client *client;

    int r = make_server(secrets, settings, &server);
    if (r < 0)
        return r;
    r = make_client(secrets, settings, &client);
    if (r < 0) {
        tls_server_unref(server);
        return r;
    }
    tls_server_unref(link->server);
    tls_client_unref(link->client);
    link->server = server;
    link->client = client;
    keep_passwords(link, secrets);
    return 0;
}

int tls_link_take(struct tls_link *link, const struct settings *settings,
                  struct control_event *event)
{
    struct secrets secrets;
    struct arena arena;
    struct str bytes;

    int r = sealed_map(event->fd, SECRETS_MAX_BYTES, &bytes);
    if (event->fd >= 0)
        close(event->fd);
    arena_init(&arena, SECRETS_ARENA_BYTES);
    if (r == 0)
        r = secrets_decode(bytes, &arena, &secrets);
    if (r == 0)
        r = use(link, settings, &secrets);
    else
        LOG(LOG_ERROR, "tls.not-taken", LOG_ERR(r));
    arena_done(&arena);
    sealed_unmap(bytes);
    return r;
}

bool tls_link_put_password(const struct tls_link *link, struct str route, struct buf *out)
{
    for (size_t i = 0; i < link->password_count; i++) {
        if (!str_eq_c(route, link->passwords[i].route))
            continue;
        buf_put_c(out, link->passwords[i].password);
        return true;
    }
    return false;
}
