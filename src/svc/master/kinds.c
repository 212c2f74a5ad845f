/* The table of children: see kinds.h. */
#include "svc/master/kinds.h"

#include "svc/secrets.h"

enum {
    SLOT_STORE = 0,
    SLOT_INBOUND = 1, /* up to 24 of them: server.inbound_workers */
    SLOT_RESOLVER = 25,
    SLOT_OUTBOUND = 26,
    SLOT_PICKUP = 27,
    SLOT_ACCESS = 28, /* up to 4: server.access_workers */
    SLOT_AUTH = 32,   /* beyond those of ids, because it makes none */
};

static int one(const struct settings *settings)
{
    (void)settings;
    return 1;
}

static int count_inbound(const struct settings *settings)
{
    return settings->server_inbound_workers;
}

static int count_access(const struct settings *settings)
{
    return settings->server_access_workers;
}

/* Only where something is checked outside. */
static int count_auth(const struct settings *settings)
{
    return settings->auth_backend != SETTINGS_AUTH_INTERNAL ||
           settings->auth_oauth != SETTINGS_OAUTH_OFF;
}

static int count_pickup(const struct settings *settings)
{
    return settings->submit_spool_dir[0] != '\0';
}

static const struct child_kind kinds[] = {
    {.service = "store",
     .is_peer = true,
     .peer = CONTROL_PEER_STORE,
     .stage = CHILD_STAGE_STORE,
     .first_slot = SLOT_STORE,
     .count = one},
    {.service = "resolver",
     .is_peer = true,
     .peer = CONTROL_PEER_RESOLVER,
     .stage = CHILD_STAGE_HELPERS,
     .first_slot = SLOT_RESOLVER,
     .count = one},
    {.service = "auth",
     .is_peer = true,
     .peer = CONTROL_PEER_AUTH,
     .stage = CHILD_STAGE_HELPERS,
     .secrets = SECRETS_CA | SECRETS_TOKENS | SECRETS_LDAP,
     .first_slot = SLOT_AUTH,
     .count = count_auth},
    {.service = "inbound",
     .role = RPC_ROLE_INBOUND,
     .asks_resolver = true,
     .listeners = LISTENER_BIT(CONTROL_LISTENER_SMTP),
     .secrets = SECRETS_IDENTITIES,
     .first_slot = SLOT_INBOUND,
     .count = count_inbound},
    {.service = "access",
     .role = RPC_ROLE_ACCESS,
     .asks_auth = true,
     .listeners =
         LISTENER_BIT(CONTROL_LISTENER_SUBMISSION) | LISTENER_BIT(CONTROL_LISTENER_SUBMISSIONS),
     .secrets = SECRETS_IDENTITIES | SECRETS_CLIENT_CA,
     .first_slot = SLOT_ACCESS,
     .count = count_access},
    {.service = "outbound",
     .role = RPC_ROLE_OUTBOUND,
     .asks_resolver = true,
     .secrets = SECRETS_CA | SECRETS_CREDENTIALS,
     .first_slot = SLOT_OUTBOUND,
     .count = one},
    {.service = "pickup",
     .role = RPC_ROLE_ACCESS,
     .first_slot = SLOT_PICKUP,
     .count = count_pickup},
};

const struct child_kind *child_kinds(size_t *out_count)
{
    *out_count = ARRAY_LEN(kinds);
    return kinds;
}
