/* One message on its way into a mailbox: see upload.h. */
#include "cli/upload.h"

#include <errno.h>
#include <stdlib.h>

#include "mail/summary.h"

enum { ARGS_MAX_BYTES = 512 * 1024, TRIES_MAX = 5 };

void upload_init(struct upload *u, struct client *client, struct id_maker *ids, struct str account,
                 struct str mailbox)
{
    *u = (struct upload){.client = client, .ids = ids, .account = account, .mailbox = mailbox};
    buf_init(&u->text, WIRE_INLINE_BODY_MAX_BYTES);
    buf_init(&u->args, ARGS_MAX_BYTES);
    buf_init(&u->reply, CLIENT_REPLY_MAX_BYTES);
}

void upload_done(struct upload *u)
{
    upload_drop(u);
    buf_done(&u->text);
    buf_done(&u->args);
    buf_done(&u->reply);
}

void upload_begin(struct upload *u)
{
    upload_drop(u);
    u->scanner = mime_scanner_new();
    u->bytes = 0;
    u->error = 0;
}

static int open_spool(struct upload *u)
{
    int r = client_call(u->client, STORE_SPOOL_OPEN, STR(""), &u->reply);
    if (r < 0)
        return r;
    struct cursor c = cursor_from(buf_str(&u->reply));
    u->spool = cursor_u64(&c);
    return 0;
}

/* Sends what has gathered to the spool. */
static int flush_text(struct upload *u)
{
    int r = u->spool == 0 ? open_spool(u) : 0;
    if (r < 0)
        return r;
    buf_reset(&u->args);
    buf_put_u64(&u->args, u->spool);
    buf_put_str(&u->args, buf_str(&u->text));
    buf_reset(&u->text);
    return client_call(u->client, STORE_SPOOL_WRITE, buf_str(&u->args), &u->reply);
}

void upload_put(struct upload *u, struct str piece)
{
    mime_scanner_feed(u->scanner, piece);
    u->bytes += piece.len;
    while (u->error == 0 && piece.len > 0) {
        size_t room = WIRE_INLINE_BODY_MAX_BYTES - u->text.len;
        if (room == 0) {
            u->error = flush_text(u);
            continue;
        }
        buf_put_str(&u->text, str_sub(piece, 0, room));
        piece = str_sub(piece, room, piece.len);
    }
}

static int append(struct upload *u, const struct upload_facts *facts, struct str summary)
{
    struct append_request q = {.account = u->account,
                               .mailbox = u->mailbox,
                               .flags = facts->flags,
                               .keywords = facts->keywords,
                               .received_ms = facts->received_ms,
                               .summary = summary,
                               .spool = u->spool,
                               .text = buf_str(&u->text)};
    int r;

    /* Two imports at one time may make the same id; the spool file is given away by the first try.
     */
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        q.message_id = id_make(u->ids);
        buf_reset(&u->args);
        wire_put_append(&u->args, &q);
        r = client_call(u->client, STORE_MESSAGE_APPEND, buf_str(&u->args), &u->reply);
        if (r != -EEXIST || u->spool != 0)
            break;
    }
    return r;
}

int upload_end(struct upload *u, const struct upload_facts *facts)
{
    struct buf summary;
    int r = u->error;

    if (r == 0 && u->spool != 0 && u->text.len > 0)
        r = flush_text(u);
    if (r == 0) {
        buf_init(&summary, SUMMARY_MAX_BYTES);
        summary_encode(mime_scanner_finish(u->scanner), &summary);
        r = append(u, facts, buf_str(&summary));
        /* The server owns or has dropped the spool file now. */
        u->spool = 0;
        buf_done(&summary);
    }
    upload_drop(u);
    return r;
}

void upload_drop(struct upload *u)
{
    mime_scanner_free(u->scanner);
    u->scanner = NULL;
    buf_reset(&u->text);
    if (u->spool == 0)
        return;
    /* What the caller wants to know is why the message failed, not whether this did. */
    char *error = u->client->error;
    u->client->error = NULL;
    buf_reset(&u->args);
    buf_put_u64(&u->args, u->spool);
    if (client_call(u->client, STORE_SPOOL_DROP, buf_str(&u->args), &u->reply) < 0)
        u->reply.len = 0; /* it goes with the connection */
    free(u->client->error);
    u->client->error = error;
    u->spool = 0;
}

bool upload_is_fatal(int error)
{
    return error == -EPIPE || error == -ETIMEDOUT || error == -EPROTO;
}
