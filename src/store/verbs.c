/* The table of the store's verbs: see verbs.h. What a role may call is one column. */
#include "store/verbs.h"

#include "rt/rpc.h"

enum {
    ANY = RPC_ROLE_INBOUND | RPC_ROLE_ACCESS | RPC_ROLE_OUTBOUND | RPC_ROLE_ADMIN,
    RECEIVER = RPC_ROLE_INBOUND | RPC_ROLE_ACCESS,
    BRINGER = RPC_ROLE_INBOUND | RPC_ROLE_ACCESS | RPC_ROLE_ADMIN,
    ADMIN = RPC_ROLE_ADMIN,
};

/* Verbs that belong to a connection (sessions, spool files, reload) have no handler here: server.c
 * answers them itself, because they are about the connection's own state. */
static const struct verb verbs[STORE_VERB_END] = {
    [STORE_PING] = {"ping",             ANY,      VERB_LOOP,  verb_ping,             NULL                },
    [STORE_SESSION_OPEN] = {"session.open",     RECEIVER, VERB_LOOP,  NULL,                  NULL                },
    [STORE_SESSION_CLOSE] = {"session.close",    RECEIVER, VERB_LOOP,  NULL,                  NULL                },
    [STORE_RECIPIENT_CHECK] = {"recipient.check",  RECEIVER, VERB_READ,  verb_recipient_check,  NULL                },
    [STORE_SPOOL_OPEN] = {"spool.open",       BRINGER,  VERB_LOOP,  NULL,                  NULL                },
    [STORE_SPOOL_WRITE] = {"spool.write",      BRINGER,  VERB_READ,  verb_spool_write,      NULL                },
    [STORE_SPOOL_DROP] = {"spool.drop",       BRINGER,  VERB_LOOP,  NULL,                  NULL                },
    [STORE_DELIVER] = {"deliver",          RECEIVER, VERB_WRITE, verb_deliver,          verb_deliver_prepare},
    [STORE_TRACE_ADD] = {"trace.add",        RECEIVER, VERB_LOOP,  verb_trace_add,        NULL                },

    [STORE_STATUS] = {"status",           ADMIN,    VERB_READ,  verb_status,           NULL                },
    [STORE_RELOAD] = {"reload",           ADMIN,    VERB_LOOP,  NULL,                  NULL                },
    [STORE_DOMAIN_ADD] = {"domain.add",       ADMIN,    VERB_WRITE, verb_domain_add,       NULL                },
    [STORE_DOMAIN_LIST] = {"domain.list",      ADMIN,    VERB_READ,  verb_domain_list,      NULL                },
    [STORE_DOMAIN_SET] = {"domain.set",       ADMIN,    VERB_WRITE, verb_domain_set,       NULL                },
    [STORE_DOMAIN_REMOVE] = {"domain.remove",    ADMIN,    VERB_WRITE, verb_domain_remove,    NULL                },
    [STORE_ACCOUNT_ADD] = {"account.add",      ADMIN,    VERB_WRITE, verb_account_add,
                    verb_account_add_prepare                                                             },
    [STORE_ACCOUNT_LIST] = {"account.list",     ADMIN,    VERB_READ,  verb_account_list,     NULL                },
    [STORE_ACCOUNT_PASSWORD] = {"account.password", ADMIN,    VERB_WRITE, verb_account_password,
                    verb_account_password_prepare                                                        },
    [STORE_ACCOUNT_REMOVE] = {"account.remove",   ADMIN,    VERB_WRITE, verb_account_remove,   NULL                },
    [STORE_ALIAS_ADD] = {"alias.add",        ADMIN,    VERB_WRITE, verb_alias_add,        NULL                },
    [STORE_ALIAS_LIST] = {"alias.list",       ADMIN,    VERB_READ,  verb_alias_list,       NULL                },
    [STORE_ALIAS_REMOVE] = {"alias.remove",     ADMIN,    VERB_WRITE, verb_alias_remove,     NULL                },
    [STORE_MAILBOX_LIST] = {"mailbox.list",     ADMIN,    VERB_READ,  verb_mailbox_list,     NULL                },
    [STORE_MESSAGE_LIST] = {"message.list",     ADMIN,    VERB_READ,  verb_message_list,     NULL                },
    [STORE_MESSAGE_READ] = {"message.read",     ADMIN,    VERB_READ,  verb_message_read,     NULL                },
    [STORE_MESSAGE_APPEND] = {"message.append",   ADMIN,    VERB_WRITE, verb_message_append,
                    verb_message_append_prepare                                                          },
    [STORE_MESSAGE_EXPUNGE] = {"message.expunge",  ADMIN,    VERB_WRITE, verb_message_expunge,  NULL                },
    [STORE_MESSAGE_UNDELETE] = {"message.undelete", ADMIN,    VERB_WRITE, verb_message_undelete, NULL                },
    [STORE_TRACE_QUERY] = {"trace.query",      ADMIN,    VERB_READ,  verb_trace_query,      NULL                },
    [STORE_BACKUP_BEGIN] = {"backup.begin",     ADMIN,    VERB_READ,  verb_backup_begin,     NULL                },
    [STORE_BACKUP_END] = {"backup.end",       ADMIN,    VERB_READ,  verb_backup_end,       NULL                },
    [STORE_MAINTAIN] = {"maintain",         ADMIN,    VERB_WRITE, verb_maintain,         NULL                },
};

const struct verb *verb_find(unsigned number)
{
    return number < STORE_VERB_END && verbs[number].name != NULL ? &verbs[number] : NULL;
}
