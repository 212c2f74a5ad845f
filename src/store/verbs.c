/* The table of the store's verbs: see verbs.h. What a role may call is one column. */
#include "store/verbs.h"

#include "rt/rpc.h"

enum {
    ANY = RPC_ROLE_INBOUND | RPC_ROLE_ACCESS | RPC_ROLE_OUTBOUND | RPC_ROLE_ADMIN,
    RECEIVER = RPC_ROLE_INBOUND | RPC_ROLE_ACCESS,
    BRINGER = RPC_ROLE_INBOUND | RPC_ROLE_ACCESS | RPC_ROLE_ADMIN,
    ADMIN = RPC_ROLE_ADMIN,
    SENDER = RPC_ROLE_OUTBOUND,
};

/* Verbs that belong to a connection (sessions, spool files, reload) have no handler here: server.c
 * answers them itself, because they are about the connection's own state. */
static const struct verb verbs[STORE_VERB_END] = {
    [STORE_PING] = {"ping", ANY, VERB_LOOP, .handler = verb_ping},
    [STORE_SESSION_OPEN] = {"session.open", RECEIVER, VERB_LOOP},
    [STORE_SESSION_CLOSE] = {"session.close", RECEIVER, VERB_LOOP},
    [STORE_RECIPIENT_CHECK] = {"recipient.check", RECEIVER, VERB_READ,
                               .handler = verb_recipient_check},
    [STORE_SPOOL_OPEN] = {"spool.open", BRINGER, VERB_LOOP},
    [STORE_SPOOL_WRITE] = {"spool.write", BRINGER, VERB_READ, .handler = verb_spool_write},
    [STORE_SPOOL_DROP] = {"spool.drop", BRINGER, VERB_LOOP},
    [STORE_DELIVER] = {"deliver", RECEIVER, VERB_WRITE, .handler = verb_deliver,
                       .prepare_spool = verb_finish_spool, .is_whole = true},
    [STORE_TRACE_ADD] = {"trace.add", RECEIVER, VERB_LOOP, .handler = verb_trace_add},

    [STORE_QUEUE_BEGIN] = {"queue.begin", SENDER, VERB_WRITE, .handler = verb_queue_begin},
    [STORE_QUEUE_OPEN] = {"queue.open", SENDER, VERB_WRITE, .handler = verb_queue_open,
                          .is_whole = true},
    [STORE_QUEUE_WAIT] = {"queue.wait", SENDER, VERB_LOOP},
    [STORE_QUEUE_TAKE] = {"queue.take", SENDER, VERB_WRITE, .handler = verb_queue_take,
                          .finish = verb_queue_take_texts, .is_whole = true},
    [STORE_QUEUE_READ] = {"queue.read", SENDER, VERB_READ, .handler = verb_queue_read},
    [STORE_QUEUE_RESULT] = {"queue.result", SENDER, VERB_WRITE, .handler = verb_queue_result,
                            .is_whole = true},
    [STORE_QUEUE_CLOSE] = {"queue.close", SENDER, VERB_WRITE, .handler = verb_queue_close,
                           .is_whole = true},
    [STORE_QUEUE_ALARMS] = {"queue.alarms", SENDER, VERB_WRITE, .handler = verb_queue_alarms},
    [STORE_QUEUE_REPORTS] = {"queue.reports", SENDER, VERB_READ, .handler = verb_queue_reports},
    [STORE_QUEUE_REPORT] = {"queue.report", SENDER, VERB_WRITE, .handler = verb_queue_report},
    [STORE_QUEUE_LIST] = {"queue.list", ADMIN, VERB_READ, .handler = verb_queue_list},
    [STORE_QUEUE_ACT] = {"queue.act", ADMIN, VERB_WRITE, .handler = verb_queue_act},
    [STORE_QUEUE_WHY] = {"queue.why", ADMIN, VERB_READ, .handler = verb_queue_why},
    [STORE_QUEUE_STATS] = {"queue.stats", ADMIN, VERB_READ, .handler = verb_queue_stats},
    [STORE_SUPPRESSION_LIST] = {"suppression.list", ADMIN, VERB_READ,
                                .handler = verb_suppression_list},
    [STORE_SUPPRESSION_REMOVE] = {"suppression.remove", ADMIN, VERB_WRITE,
                                  .handler = verb_suppression_remove},
    [STORE_ACCOUNT_LANGUAGE] = {"account.language", ADMIN, VERB_WRITE,
                                .handler = verb_account_language},

    [STORE_STATUS] = {"status", ADMIN, VERB_READ, .handler = verb_status},
    [STORE_RELOAD] = {"reload", ADMIN, VERB_LOOP},
    [STORE_DOMAIN_ADD] = {"domain.add", ADMIN, VERB_WRITE, .handler = verb_domain_add,
                          .changes_directory = true},
    [STORE_DOMAIN_LIST] = {"domain.list", ADMIN, VERB_READ, .handler = verb_domain_list},
    [STORE_DOMAIN_SET] = {"domain.set", ADMIN, VERB_WRITE, .handler = verb_domain_set,
                          .changes_directory = true},
    [STORE_DOMAIN_REMOVE] = {"domain.remove", ADMIN, VERB_WRITE, .handler = verb_domain_remove,
                             .changes_directory = true},
    [STORE_ACCOUNT_ADD] = {"account.add", ADMIN, VERB_WRITE, .handler = verb_account_add,
                           .prepare = verb_account_add_prepare, .changes_directory = true,
                           .has_secret = true},
    [STORE_ACCOUNT_LIST] = {"account.list", ADMIN, VERB_READ, .handler = verb_account_list},
    [STORE_ACCOUNT_PASSWORD] = {"account.password", ADMIN, VERB_WRITE,
                                .handler = verb_account_password,
                                .prepare = verb_account_password_prepare, .has_secret = true},
    [STORE_ACCOUNT_REMOVE] = {"account.remove", ADMIN, VERB_WRITE, .handler = verb_account_remove,
                              .changes_directory = true},
    [STORE_ALIAS_ADD] = {"alias.add", ADMIN, VERB_WRITE, .handler = verb_alias_add,
                         .changes_directory = true},
    [STORE_ALIAS_LIST] = {"alias.list", ADMIN, VERB_READ, .handler = verb_alias_list},
    [STORE_ALIAS_REMOVE] = {"alias.remove", ADMIN, VERB_WRITE, .handler = verb_alias_remove,
                            .changes_directory = true},
    [STORE_MAILBOX_LIST] = {"mailbox.list", ADMIN, VERB_READ, .handler = verb_mailbox_list},
    [STORE_MESSAGE_LIST] = {"message.list", ADMIN, VERB_READ, .handler = verb_message_list},
    [STORE_MESSAGE_READ] = {"message.read", ADMIN, VERB_READ, .handler = verb_message_read},
    [STORE_MESSAGE_APPEND] = {"message.append", ADMIN, VERB_WRITE, .handler = verb_message_append,
                              .prepare_spool = verb_finish_spool},
    [STORE_MESSAGE_EXPUNGE] = {"message.expunge", ADMIN, VERB_WRITE,
                               .handler = verb_message_expunge},
    [STORE_MESSAGE_UNDELETE] = {"message.undelete", ADMIN, VERB_WRITE,
                                .handler = verb_message_undelete},
    [STORE_TRACE_QUERY] = {"trace.query", ADMIN, VERB_READ, .handler = verb_trace_query},
    [STORE_BACKUP_BEGIN] = {"backup.begin", ADMIN, VERB_READ, .handler = verb_backup_begin},
    [STORE_BACKUP_SEGMENTS] = {"backup.segments", ADMIN, VERB_READ,
                               .handler = verb_backup_segments},
    [STORE_BACKUP_END] = {"backup.end", ADMIN, VERB_READ, .handler = verb_backup_end},
    [STORE_MAINTAIN] = {"maintain", ADMIN, VERB_WRITE, .handler = verb_maintain},
    [STORE_QUEUE_REROUTE] = {"queue.reroute", 0, VERB_WRITE, .handler = verb_queue_reroute},
    [STORE_DROP_FILES] = {"drop.files", 0, VERB_READ, .handler = verb_drop_files},
};

const struct verb *verb_find(unsigned number)
{
    return number < STORE_VERB_END && verbs[number].name != NULL ? &verbs[number] : NULL;
}
