/* DATA (RFC 5321 section 4.1.1.4) and BDAT (RFC 3030): the message itself. */
#include <errno.h>

#include "base/clock.h"
#include "smtp/commands.h"
#include "smtp/intake.h"

/* A refused message is read on to its end, but not for ever. */
static uint64_t drop_limit(const struct smtp_session *s)
{
    return 2 * s->policy->settings->smtp_max_message_size + 1024 * 1024;
}

static struct reply explain_read(struct smtp_session *s, int error)
{
    s->is_lost = error != -ECANCELED && error != -EMSGSIZE;
    if (error == -ETIMEDOUT)
        return reply_last(reply_of(421, "4.4.2", "Timeout: the message did not come; closing"));
    if (error == -ECANCELED)
        return reply_last(reply_of(421, "4.3.2", "The server is being stopped; try again"));
    if (error == -EMSGSIZE)
        return reply_last(reply_of(552, "5.3.4", "Far too big; closing"));
    s->has_ended = true;
    return reply_of(0, "", "");
}

/* Gets more input, within the time for a piece and before `until_ms`. Yields. 0 or negative errno;
 * the end of the stream is one. */
static int get_input(struct smtp_session *s, int64_t until_ms)
{
    int64_t piece_ms = clock_mono_ms() + s->policy->settings->smtp_data_timeout;

    stream_set_deadline(s->stream, MIN(piece_ms, until_ms));
    if (stream_pending(s->stream).len > 0)
        return 0;
    int r = stream_fill(s->stream);
    return r == 0 ? -ENODATA : MIN(r, 0);
}

/* Reads up to the end of DATA. Yields. 0; -EPROTO at a false end that must not be taken for one. */
static int read_data(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;

    while (!in->scan.is_complete) {
        int r = get_input(s, in->deadline_ms);
        if (r < 0)
            return r;
        size_t taken = smtp_intake_feed(s, stream_pending(s->stream));
        stream_take(s->stream, taken);
        if (in->scan.has_false_end && !in->scan.may_normalise)
            return -EPROTO;
        if (in->bytes > drop_limit(s))
            return -EMSGSIZE;
    }
    return 0;
}

/* The reply is logged and traced with what the transaction knows, then the transaction ends. */
static struct reply finish(struct smtp_session *s, struct reply reply)
{
    s->transaction.is_over = true;
    return reply;
}

struct reply smtp_cmd_data(struct smtp_session *s, struct str args)
{
    struct reply go = reply_of(354, "", "Go ahead; end with a dot alone on a line");
    (void)args;
    if (s->transaction.intake.is_open)
        return reply_of(503, "5.5.1", "BDAT has begun this message: DATA cannot end it");
    smtp_intake_open(s, DATA_DOTTED);
    int r = smtp_send_now(s, &go);
    if (r == 0)
        r = read_data(s);
    /* The client seems to think that the message has ended: it will not send the true end. */
    if (r == -EPROTO)
        return finish(s, reply_last(reply_of(521, "5.5.2",
                                             "Lines must end in CR LF, and the message in CR LF . "
                                             "CR LF; closing")));
    if (r < 0)
        return explain_read(s, r);
    return finish(s, smtp_intake_finish(s));
}

struct chunk {
    uint64_t bytes;
    bool is_last;
};

static bool parse_chunk(struct str args, struct chunk *out)
{
    struct str size, last;

    (void)str_cut(args, ' ', &size, &last);
    last = str_trim(last);
    out->is_last = str_eq_nocase(last, STR("LAST"));
    if (last.len > 0 && !out->is_last)
        return false;
    return str_to_u64(size, INT64_MAX, &out->bytes) == 0;
}

/* Reads the chunk into the message, or drops it. A chunk that is dropped has the time of a message,
 * however slowly it comes. Yields. */
static int read_chunk(struct smtp_session *s, uint64_t bytes, bool is_kept)
{
    struct smtp_intake *in = &s->transaction.intake;
    int64_t until_ms =
        is_kept ? in->deadline_ms : clock_mono_ms() + s->policy->settings->smtp_message_timeout;

    if (bytes > drop_limit(s))
        return -EMSGSIZE;
    while (bytes > 0) {
        int r = get_input(s, until_ms);
        if (r < 0)
            return r;
        struct str piece = str_sub(stream_pending(s->stream), 0, MIN(bytes, (uint64_t)SIZE_MAX));
        if (is_kept)
            (void)smtp_intake_feed(s, piece);
        stream_take(s->stream, piece.len);
        bytes -= piece.len;
        if (is_kept && in->bytes > drop_limit(s))
            return -EMSGSIZE;
    }
    return 0;
}

static struct reply refuse_chunk(const struct smtp_session *s)
{
    const struct smtp_transaction *t = &s->transaction;

    if (!s->has_hello)
        return reply_of(503, "5.5.1", "Say EHLO first");
    if (!t->has_mail)
        return reply_of(503, "5.5.1", "Say MAIL FROM first");
    if (t->recipient_count == 0)
        return reply_of(554, "5.5.1", "There is no valid recipient");
    return reply_of(0, "", "");
}

struct reply smtp_cmd_bdat(struct smtp_session *s, struct str args)
{
    struct smtp_intake *in = &s->transaction.intake;
    struct chunk chunk;

    /* Where the next command begins cannot be known then. */
    if (!parse_chunk(args, &chunk))
        return reply_last(reply_of(501, "5.5.4", "The form is BDAT size [LAST]; closing"));
    struct reply refusal = refuse_chunk(s);
    if (refusal.code == 0 && !in->is_open)
        smtp_intake_open(s, DATA_CHUNKED);
    int r = read_chunk(s, chunk.bytes, refusal.code == 0);
    if (r < 0)
        return explain_read(s, r);
    if (refusal.code != 0)
        return refusal;
    if (chunk.is_last || in->is_too_big)
        return finish(s, smtp_intake_finish(s));
    return reply_printf(&s->command_arena, 250, "2.0.0", "%llu bytes received",
                        (unsigned long long)chunk.bytes);
}
