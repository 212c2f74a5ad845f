/*
 * The table of everything the store can be asked to do: name, roles, where it runs, who handles it.
 * One file per family: verb_deliver.c, verb_directory.c, verb_account.c, verb_mailbox.c, ...
 */
#pragma once

#include "store/job.h"
#include "store/wire.h"

/* The verb with this number, or NULL. */
const struct verb *verb_find(unsigned number);

/* An account that is to be made. */
struct new_account {
    struct str printed, key, domain;
};
/* 1 and its id; 0 when the address is taken; negative errno. From a write handler. */
MUST_CHECK int verb_insert_account(struct store *store, struct job *job,
                                   const struct new_account *a, int64_t *out_account);
/* An address as people type it; the domain if it is ours; the account with this address, whose
 * remembered logins are forgotten once the job has ended. 0, or the job fails with a reason. */
MUST_CHECK int verb_get_address(struct job *job, struct str address, struct str *out_key,
                                struct str *out_printed, struct str *out_domain);
MUST_CHECK int verb_require_domain(struct job *job, struct str domain);
MUST_CHECK int verb_find_account(struct job *job, struct str address, int64_t *out_account);

verb_handler verb_ping;

verb_handler verb_auth_password;
verb_handler verb_auth_scram;
verb_handler verb_auth_cram;
verb_handler verb_auth_note;
verb_handler verb_auth_code;
verb_handler verb_auth_outside;
verb_handler verb_auth_renew;
verb_handler verb_auth_used;
verb_handler verb_sender_check;

verb_handler verb_account_show;
verb_handler verb_account_enable;
verb_handler verb_account_limits;
verb_handler verb_account_limit_set;
verb_handler verb_account_sessions;
verb_handler verb_login_known;
verb_handler verb_login_note;
verb_handler verb_totp_set;
verb_handler verb_totp_confirm;
verb_handler verb_totp_remove;
verb_handler verb_totp_check;
verb_handler verb_recovery_codes;
verb_handler verb_app_password_add_prepare;
verb_handler verb_app_password_add;
verb_handler verb_app_password_list;
verb_handler verb_app_password_remove;
verb_handler verb_delegate_add;
verb_handler verb_delegate_list;
verb_handler verb_delegate_remove;

verb_handler verb_recipient_check;
verb_handler verb_spool_write;
verb_handler verb_finish_spool;
verb_handler verb_deliver;
verb_handler verb_trace_add;
verb_handler verb_trace_query;

verb_handler verb_domain_add;
verb_handler verb_domain_list;
verb_handler verb_domain_set;
verb_handler verb_domain_remove;
verb_handler verb_domain_primary;
verb_handler verb_auth_whose;
verb_handler verb_alarm;
verb_handler verb_account_add_prepare;
verb_handler verb_account_add;
verb_handler verb_account_list;
verb_handler verb_account_password_prepare;
verb_handler verb_account_password;
verb_handler verb_account_remove;
verb_handler verb_alias_add;
verb_handler verb_alias_list;
verb_handler verb_alias_remove;

verb_handler verb_mailbox_list;
verb_handler verb_message_list;
verb_handler verb_message_read;
verb_handler verb_message_append;
verb_handler verb_message_expunge;
verb_handler verb_message_undelete;

verb_handler verb_queue_begin;
verb_handler verb_queue_open;
verb_handler verb_queue_take;
verb_handler verb_queue_take_texts;
verb_handler verb_queue_read;
verb_handler verb_queue_result;
verb_handler verb_queue_close;
verb_handler verb_queue_alarms;
verb_handler verb_queue_reports;
verb_handler verb_queue_report;
verb_handler verb_queue_reroute;
verb_handler verb_queue_list;
verb_handler verb_queue_act;
verb_handler verb_queue_why;
verb_handler verb_queue_stats;
verb_handler verb_suppression_list;
verb_handler verb_suppression_remove;
verb_handler verb_account_language;
verb_handler verb_ban_list;
verb_handler verb_ban_add;
verb_handler verb_ban_remove;

verb_handler verb_status;
verb_handler verb_key_reports;
verb_handler verb_backup_begin;
verb_handler verb_backup_segments;
verb_handler verb_backup_end;
verb_handler verb_maintain;
verb_handler verb_drop_files;

/* A piece of a stored text. */
struct message_part {
    uint64_t id;
    bool is_relayed; /* without the lines that are for mailboxes only */
    int64_t from, length;
};
/* Puts u64 whole length and the bytes into the job's reply. From a read handler. 0; -ENOENT;
 * -EBADMSG when the bytes are damaged; other negative errno. */
MUST_CHECK int message_read_part(struct store *store, struct job *job,
                                 const struct message_part *part);

/* Mailbox rows, shared by delivery and import. All from write handlers. */
struct mailbox_entry {
    int64_t mailbox;
    uint64_t body;
    unsigned flags;
    struct str keywords;
    int64_t received_ms;
    int64_t bytes;
};
/* The mailbox of that name, made when absent: 0 and its id, or negative errno. */
MUST_CHECK int mailbox_open(struct store *store, struct job *job, int64_t account, struct str name,
                            int64_t *out_mailbox);
/* Adds a message, giving it the next UID and MODSEQ. 0 and the UID, or negative errno. */
MUST_CHECK int mailbox_add(struct job *job, const struct mailbox_entry *entry, int64_t *out_uid);
