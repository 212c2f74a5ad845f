/*
 * Mailboxes and messages as the control socket gives them: in pages, in pieces.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "cli/client.h"

struct mailbox_row {
    struct str name;
    uint64_t uidvalidity, uidnext, modseq, messages, unseen, bytes;
};

struct message_row {
    uint64_t uid, id, flags, modseq;
    int64_t received_ms;
    uint64_t bytes;
    struct str keywords; /* separated by spaces */
    struct str summary;  /* for summary_decode */
};

/* All return CLI_DONE or CLI_FAILED (said on standard error); a callback's other result than
 * CLI_DONE ends the walk and is returned. Views die when the callback returns. */
typedef int mailbox_row_fn(void *arg, const struct mailbox_row *row);
MUST_CHECK int messages_list_mailboxes(struct client *c, struct str account, mailbox_row_fn *fn,
                                       void *arg);
typedef int message_row_fn(void *arg, const struct message_row *row);
MUST_CHECK int messages_list(struct client *c, struct str account, struct str mailbox,
                             message_row_fn *fn, void *arg);
typedef int message_piece_fn(void *arg, struct str piece);
MUST_CHECK int messages_read(struct client *c, uint64_t id, message_piece_fn *fn, void *arg);

/* Whether the account has a mailbox of that name. A new account has none, not even INBOX. */
MUST_CHECK int messages_has_mailbox(struct client *c, struct str account, struct str mailbox,
                                    bool *out_has);
/* The row of one message, without its keywords and summary. */
MUST_CHECK int messages_find(struct client *c, struct str account, struct str mailbox, uint64_t uid,
                             struct message_row *out_row);
