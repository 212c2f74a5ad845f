/* The text of a queued message in pieces: see text_source.h. */
#include "svc/outbound/text_source.h"

#include <errno.h>

#include "smtp/client.h"
#include "svc/outbound/worker.h"

enum {
    PIECE_BYTES = 96 * 1024,
    CONVERTED_PIECE_BYTES = 32 * 1024,
    REPLY_MAX_BYTES = PIECE_BYTES + 1024,
};

_Static_assert((int)PIECE_BYTES <= (int)SMTP_CLIENT_PIECE_MAX_BYTES, "a piece fits the client");

void text_source_init(struct text_source *s, const struct queue_message *m)
{
    *s = (struct text_source){.id = m->id, .bytes = m->bytes, .whole = m->text};
    buf_init(&s->reply, REPLY_MAX_BYTES);
    buf_init(&s->converted, MIME_7BIT_OUT_MAX(CONVERTED_PIECE_BYTES) + MIME_7BIT_OUT_MAX(0));
}

void text_source_done(struct text_source *s)
{
    mime_7bit_free(s->seven);
    buf_done(&s->reply);
    buf_done(&s->converted);
}

static int ask_store(struct text_source *s, uint32_t max, struct str *out)
{
    struct buf args;

    buf_init(&args, 32);
    buf_put_u64(&args, s->id);
    buf_put_u64(&args, s->at);
    buf_put_u32(&args, max);
    int r = worker_call(STORE_QUEUE_READ, &args, &s->reply);
    buf_done(&args);
    if (r < 0)
        return r;
    struct cursor c = cursor_from(buf_str(&s->reply));
    uint64_t whole = cursor_u64(&c);
    *out = cursor_rest(&c);
    return whole != s->bytes || out->len == 0 ? -EBADMSG : 0;
}

/* The next bytes as they are stored: 1, 0 at the end, negative errno. */
static int read_piece(struct text_source *s, uint32_t max, struct str *out)
{
    int r = 0;

    if (s->at >= s->bytes)
        return 0;
    if (s->whole.len > 0)
        *out = str_sub(s->whole, (size_t)s->at, max);
    else
        r = ask_store(s, max, out);
    if (r < 0)
        return r;
    s->at += out->len;
    return 1;
}

int text_source_look(struct text_source *s, unsigned wants)
{
    struct str piece;
    int r;

    s->seven = mime_7bit_new(wants);
    while ((r = read_piece(s, PIECE_BYTES, &piece)) > 0)
        mime_7bit_look(s->seven, piece);
    s->at = 0;
    if (r < 0)
        return r;
    s->conversion = mime_7bit_decide(s->seven);
    s->facts = *mime_7bit_facts(s->seven);
    return 0;
}

/* Fills `converted` until there is something in it: 1, 0 at the end, negative errno. */
static int convert(struct text_source *s)
{
    struct str piece;
    int r = 1;

    buf_reset(&s->converted);
    s->taken = 0;
    while (r > 0 && s->converted.len == 0 && !s->has_finished) {
        r = read_piece(s, CONVERTED_PIECE_BYTES, &piece);
        if (r > 0) {
            mime_7bit_push(s->seven, piece, &s->converted);
        } else if (r == 0) {
            mime_7bit_finish(s->seven, &s->converted);
            s->has_finished = true;
        }
    }
    if (buf_status(&s->converted) < 0)
        return -EBADMSG;
    return r < 0 ? r : s->converted.len > 0;
}

int text_source_next(struct text_source *s, struct str *out_piece)
{
    if (!s->converts) {
        int r = read_piece(s, PIECE_BYTES, out_piece);
        return r > 0 && s->at >= s->bytes ? SMTP_CLIENT_LAST_PIECE : r;
    }
    if (s->taken == s->converted.len) {
        int r = convert(s);
        if (r <= 0)
            return r;
    }
    *out_piece = str_sub(buf_str(&s->converted), s->taken, SMTP_CLIENT_PIECE_MAX_BYTES);
    s->taken += out_piece->len;
    return 1;
}
