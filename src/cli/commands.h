/*
 * The commands, one function each, and the parts of them that demo shows as well.
 */
#pragma once

#include "cli/cli.h"
#include "cli/messages.h"
#include "store/trace_db.h"

cli_command_fn cmd_init, cmd_serve, cmd_demo;
cli_command_fn cmd_domain_add, cmd_domain_list, cmd_domain_set, cmd_domain_remove;
cli_command_fn cmd_account_add, cmd_account_list, cmd_account_password, cmd_account_remove;
cli_command_fn cmd_alias_add, cmd_alias_list, cmd_alias_remove;
cli_command_fn cmd_mailbox_list, cmd_mailbox_show, cmd_mailbox_export, cmd_mailbox_import;
cli_command_fn cmd_mailbox_expunge, cmd_mailbox_undelete;
cli_command_fn cmd_send, cmd_trace, cmd_status, cmd_reload, cmd_backup, cmd_restore, cmd_version;
cli_command_fn cmd_config_check, cmd_config_show, cmd_config_sample, cmd_config_man;
cli_command_fn cmd_config_help, cmd_dns;
cli_command_fn cmd_account_language, cmd_account_show, cmd_account_check, cmd_account_disable;
cli_command_fn cmd_account_enable, cmd_account_totp, cmd_account_recovery_codes;
cli_command_fn cmd_account_app_password, cmd_account_delegate, cmd_account_limits,
    cmd_account_sessions;
cli_command_fn cmd_queue_list, cmd_queue_show, cmd_queue_why, cmd_queue_stats;
cli_command_fn cmd_queue_retry, cmd_queue_hold, cmd_queue_release, cmd_queue_drop, cmd_queue_bounce,
    cmd_queue_cancel;
cli_command_fn cmd_ban_list, cmd_ban_add, cmd_ban_remove;
cli_command_fn cmd_suppression_list, cmd_suppression_remove, cmd_suppression_clear;

/* Tables for people, each line behind `indent`. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int mailbox_print_list(struct client *client, struct str account, const char *indent);
MUST_CHECK int mailbox_print_messages(struct client *client, struct str account, struct str mailbox,
                                      const char *indent);
MUST_CHECK int trace_print(struct client *client, const struct trace_query *q, const char *indent,
                           size_t *out_events);
/* The same events for programs: a new list, as trace --json prints it. CLI_DONE or CLI_FAILED,
 * said.
 */
MUST_CHECK int trace_json(struct client *client, const struct trace_query *q, json_t **out);
