/*
 * The command line's end of the control socket: one call at a time, each with a deadline.
 *
 * Blocking, without a loop or fibers; frames as in rt/rpc.h. The server decides by the file's
 * permissions who may connect.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"

enum {
    CLIENT_REPLY_MAX_BYTES = 1024 * 1024,
    CLIENT_LIST_MAX_BYTES = 1024 * 1024 * 1024,
    CLIENT_ARGS_MAX_BYTES = 4096,
    CLIENT_TIMEOUT_MS = 60 * 1000,
    CLIENT_LONG_TIMEOUT_MS = 60 * 60 * 1000, /* copies a database, starts processes */
};

struct client {
    int fd;
    uint32_t last_call_id;
    int64_t timeout_ms; /* of each call; may be changed */
    struct buf in;
    struct buf out;
    bool is_open;
    char *error; /* after a failure: what is wrong and how to mend it */
};

/* Connects to RUN_DIR/control.sock. 0, or negative errno and c->error; `config_path` is for that
 * text. Pair: client_close, also after a failure. */
MUST_CHECK int client_open(struct client *c, const char *run_dir, const char *config_path);
void client_close(struct client *c);

/* Calls the verb; the reply is put into out_reply, which is emptied first. 0, or the server's
 * status as negative errno and c->error. After -EPIPE, -ETIMEDOUT or -EPROTO the connection is
 * closed. */
MUST_CHECK int client_call(struct client *c, unsigned verb, struct str payload,
                           struct buf *out_reply);
/* Reads one row of a list at the cursor and puts into `next_args` (empty) the request for what
 * follows it.
 */
typedef void client_row_fn(struct cursor *c, struct buf *next_args);
/* Calls a verb that lists in pages until the empty page; all rows are put into out_rows. As
 * client_do. */
MUST_CHECK int client_list(struct client *c, unsigned verb, client_row_fn *take_row,
                           struct buf *out_rows);
/* The same for commands: says on standard error what failed. CLI_DONE or CLI_FAILED. */
MUST_CHECK int client_do(struct client *c, unsigned verb, struct str payload,
                         struct buf *out_reply);
