/* Where the text of a picked up message gathers: see sink.h. */
#include "svc/pickup/sink.h"

#include "mail/summary.h"

enum { TEXT_MAX_BYTES = SMTP_INLINE_MAX_BYTES + 1024 * 1024 }; /* a mended header comes at once */

void sink_init(struct sink *s, const struct smtp_backend *backend)
{
    *s = (struct sink){.backend = backend, .mime = mime_scanner_new()};
    buf_init(&s->text, TEXT_MAX_BYTES);
}

void sink_done(struct sink *s)
{
    if (s->spool != 0)
        s->backend->spool_drop(s->backend->arg, s->spool);
    mime_scanner_free(s->mime);
    buf_done(&s->text);
    *s = (struct sink){.spool = 0};
}

/* Moves what has gathered into the spool, once there is enough. Yields. */
static int spill(struct sink *s, size_t threshold)
{
    int r = 0;

    if (s->text.len < threshold)
        return 0;
    if (s->spool == 0)
        r = s->backend->spool_open(s->backend->arg, &s->spool);
    while (r == 0 && s->text.len > 0) {
        size_t piece = MIN(s->text.len, (size_t)SMTP_SPOOL_PIECE_BYTES);
        r = s->backend->spool_write(s->backend->arg, s->spool,
                                    str_sub(buf_str(&s->text), 0, piece));
        if (r == 0)
            buf_consume(&s->text, piece);
    }
    return r;
}

int sink_put(struct sink *s, struct str piece)
{
    if (s->error < 0)
        return s->error;
    mime_scanner_feed(s->mime, piece);
    buf_put_str(&s->text, piece);
    s->bytes += piece.len;
    s->error = buf_status(&s->text);
    if (s->error == 0)
        s->error = spill(s, s->spool != 0 ? SMTP_SPOOL_PIECE_BYTES : SMTP_INLINE_MAX_BYTES);
    return s->error;
}

int sink_deliver(struct sink *s, struct smtp_message *message)
{
    CLEANUP(buf_done) struct buf summary = {.len = 0};

    if (s->error == 0 && s->spool != 0)
        s->error = spill(s, 1);
    if (s->error < 0)
        return s->error;
    buf_init(&summary, SUMMARY_MAX_BYTES);
    summary_encode(mime_scanner_finish(s->mime), &summary);
    message->summary = buf_str(&summary);
    message->has_long_lines = mime_scanner_facts(s->mime)->longest_line_bytes > MIME_LINE_MAX_BYTES;
    message->spool = s->spool;
    message->text = buf_str(&s->text);
    int r = s->backend->deliver(s->backend->arg, message);
    s->spool = 0; /* used up either way */
    return r;
}
