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

static int count_pickup(const struct settings *settings)
{
    return settings->submit_spool_dir[0] != '\0';
}

static const struct child_kind kinds[] = {
    {.service = "store", .stage = CHILD_STAGE_STORE, .first_slot = SLOT_STORE, .count = one},
    {.service = "resolver",
     .stage = CHILD_STAGE_RESOLVER,
     .first_slot = SLOT_RESOLVER,
     .count = one},
    {.service = "inbound",
     .role = RPC_ROLE_INBOUND,
     .asks_resolver = true,
     .listeners = LISTENER_BIT(CONTROL_LISTENER_SMTP),
     .secrets = SECRETS_IDENTITIES,
     .first_slot = SLOT_INBOUND,
     .count = count_inbound},
    {.service = "access",
     .role = RPC_ROLE_ACCESS,
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
