/* Mailboxes and messages from the server: see messages.h. */
#include "cli/messages.h"

#include "cli/cli.h"
#include "store/wire.h"

enum { READ_PIECE_BYTES = 512 * 1024, ARGS_MAX_BYTES = 4096 };

static int fail_reply(void)
{
    return cli_fail("the server's answer makes no sense; client and server are probably not the "
                    "same version: restart the server");
}

int messages_list_mailboxes(struct client *c, struct str account, mailbox_row_fn *fn, void *arg)
{
    struct buf args, reply;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, account);
    int status = client_do(c, STORE_MAILBOX_LIST, buf_str(&args), &reply);
    struct cursor cur = cursor_from(buf_str(&reply));
    while (status == CLI_DONE && cursor_left(&cur) > 0) {
        struct mailbox_row row = {.name = cursor_lp(&cur)};
        row.uidvalidity = cursor_u64(&cur);
        row.uidnext = cursor_u64(&cur);
        row.modseq = cursor_u64(&cur);
        row.messages = cursor_u64(&cur);
        row.unseen = cursor_u64(&cur);
        row.bytes = cursor_u64(&cur);
        status = cursor_status(&cur) < 0 ? fail_reply() : fn(arg, &row);
    }
    buf_done(&reply);
    buf_done(&args);
    return status;
}

static bool take_row(struct cursor *cur, struct message_row *out)
{
    out->uid = cursor_u64(cur);
    out->id = cursor_u64(cur);
    out->flags = cursor_u64(cur);
    out->modseq = cursor_u64(cur);
    out->received_ms = (int64_t)cursor_u64(cur);
    out->bytes = cursor_u64(cur);
    (void)cursor_u64(cur); /* is_expunged */
    out->keywords = cursor_lp(cur);
    out->summary = cursor_lp(cur);
    return cursor_status(cur) == 0;
}

/* One page behind *after, which moves to its last UID. */
static int list_page(struct client *c, const struct buf *args, struct buf *reply,
                     message_row_fn *fn, void *arg, uint64_t *after)
{
    struct message_row row;

    int status = client_do(c, STORE_MESSAGE_LIST, buf_str(args), reply);
    struct cursor cur = cursor_from(buf_str(reply));
    while (status == CLI_DONE && cursor_left(&cur) > 0) {
        if (!take_row(&cur, &row) || row.uid <= *after)
            return fail_reply();
        *after = row.uid;
        status = fn(arg, &row);
    }
    return status;
}

static int list_from(struct client *c, struct str account, struct str mailbox, uint64_t after,
                     message_row_fn *fn, void *arg)
{
    struct buf args, reply;
    int status;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    uint64_t before;
    do {
        before = after;
        buf_reset(&args);
        buf_put_lp(&args, account);
        buf_put_lp(&args, mailbox);
        buf_put_u64(&args, after);
        status = list_page(c, &args, &reply, fn, arg, &after);
    } while (status == CLI_DONE && after > before);
    buf_done(&reply);
    buf_done(&args);
    return status;
}

int messages_list(struct client *c, struct str account, struct str mailbox, message_row_fn *fn,
                  void *arg)
{
    return list_from(c, account, mailbox, 0, fn, arg);
}

static int read_piece(struct client *c, uint64_t id, uint64_t from, struct buf *reply,
                      uint64_t *out_whole, struct str *out_piece)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_u64(&args, id);
    buf_put_u64(&args, from);
    buf_put_u32(&args, READ_PIECE_BYTES);
    int status = client_do(c, STORE_MESSAGE_READ, buf_str(&args), reply);
    buf_done(&args);
    if (status != CLI_DONE)
        return status;
    struct cursor cur = cursor_from(buf_str(reply));
    *out_whole = cursor_u64(&cur);
    *out_piece = cursor_rest(&cur);
    bool is_short = out_piece->len == 0 && from < *out_whole;
    return cursor_status(&cur) < 0 || is_short ? fail_reply() : CLI_DONE;
}

int messages_read(struct client *c, uint64_t id, message_piece_fn *fn, void *arg)
{
    uint64_t from = 0, whole = 0;
    struct buf reply;
    int status;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    do {
        struct str piece = STR("");
        status = read_piece(c, id, from, &reply, &whole, &piece);
        from += piece.len;
        if (status == CLI_DONE && piece.len > 0)
            status = fn(arg, piece);
    } while (status == CLI_DONE && from < whole);
    buf_done(&reply);
    return status;
}

struct search {
    struct str name;
    bool is_found;
    struct message_row *out_row;
};

static int see_mailbox(void *arg, const struct mailbox_row *row)
{
    struct search *search = arg;

    search->is_found = search->is_found || str_eq(search->name, row->name);
    return CLI_DONE;
}

int messages_has_mailbox(struct client *c, struct str account, struct str mailbox, bool *out_has)
{
    struct search search = {.name = mailbox};

    int status = messages_list_mailboxes(c, account, see_mailbox, &search);
    *out_has = search.is_found;
    return status;
}

enum { SEARCH_ENDED = -1 };

static int take_first(void *arg, const struct message_row *row)
{
    struct search *search = arg;

    *search->out_row = *row;
    search->out_row->keywords = search->out_row->summary = STR("");
    return SEARCH_ENDED;
}

int messages_find(struct client *c, struct str account, struct str mailbox, uint64_t uid,
                  struct message_row *out_row)
{
    struct search search = {.out_row = out_row};

    out_row->uid = 0;
    int status = uid == 0 ? CLI_DONE : list_from(c, account, mailbox, uid - 1, take_first, &search);
    if (status == CLI_FAILED)
        return status;
    if (out_row->uid != uid || uid == 0)
        return cli_fail("%.*s has no message with UID %llu in %.*s; see: hikyaku mailbox show "
                        "%.*s",
                        STR_ARG(account), (unsigned long long)uid, STR_ARG(mailbox),
                        STR_ARG(account));
    return CLI_DONE;
}
