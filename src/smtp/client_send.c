/*
 * One transaction of the client session: envelope, text, outcome. See client.h.
 *
 * Commands go out in flights (RFC 2920). What is unanswered is bounded in commands and bytes, so
 * that it always fits into socket buffers: a peer that reads nothing until its replies are taken
 * can never wait for us while we wait for it. Every function here that returns an int gives 0 to go
 * on, or a negative value when the connection is lost and every recipient has its reply.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "smtp/client.h"
#include "smtp/client_command.h"
#include "smtp/client_io.h"
#include "smtp/client_text.h"

enum {
    FLIGHT_COMMANDS_MAX = 100,
    /* What a first round trip carries anyway, and the smallest usual send buffer. */
    FLIGHT_MAX_BYTES = 16 * 1024,
    SLICE_BYTES = 32 * 1024, /* of the text, between looks at the peer */
    LOCAL_TEXT_MAX_BYTES = 200,
};

/* The text's pieces. With CHUNKING the first is asked for beforehand, and looked behind. */
struct text_source {
    struct str first, second;
    bool has_first, has_second, has_ended;
    bool is_whole;   /* the first is all there is */
    struct buf held; /* the first, where the source had to be asked again */
};

/* Commands without a reply yet, of MAIL and RCPT. */
struct flight {
    unsigned count, at; /* of sizes, a ring */
    size_t bytes;
    uint16_t sizes[FLIGHT_COMMANDS_MAX];
};

struct transaction {
    struct smtp_client *c;
    const struct smtp_client_message *m;
    struct arena *arena;
    struct smtp_client_outcome *out;
    struct text_source source;
    struct smtp_client_text text;
    struct flight flight;
    size_t next_read; /* the recipient the next reply to RCPT is about */
    size_t accepted;  /* at RCPT */
    bool is_mail_answered;
    bool is_mail_refused;
    bool is_chunked; /* BDAT, for a text of one piece */
    bool is_begun;   /* DATA, or BDAT with all of the text, has been written */
    bool is_end_written;
    struct smtp_reply_reader reader;
};

static bool has_extension(const struct transaction *t, unsigned extension)
{
    return (t->c->extensions & extension) != 0;
}

static bool is_refused(const struct smtp_client_reply *reply)
{
    return reply->code >= 400;
}

/* Gives the reply to all recipients that were not refused before; returns their number. */
static size_t decide_rest(struct transaction *t, const struct smtp_client_reply *reply)
{
    size_t decided = 0;

    for (size_t i = 0; i < t->m->recipient_count; i++) {
        if (is_refused(&t->out->recipients[i]))
            continue;
        t->out->recipients[i] = *reply;
        decided++;
    }
    return decided;
}

/* The connection has failed. Before the end of the text has left us entirely, the peer cannot have
 * the message. */
static int fail_with(struct transaction *t, const struct smtp_client_reply *reply)
{
    bool has_end_left =
        t->is_end_written && !stream_has_output(&t->c->stream) && !t->c->has_dropped_output;

    smtp_client_give_up(t->c);
    t->out->is_unknown = decide_rest(t, reply) > 0 && has_end_left;
    return reply->error;
}

static int fail(struct transaction *t, enum smtp_client_stage stage, int error)
{
    return fail_with(t, &(struct smtp_client_reply){.stage = stage, .error = error});
}

static struct smtp_client_reply reply_at(struct transaction *t, enum smtp_client_stage stage)
{
    return smtp_client_reply_from(&t->reader, stage, t->arena);
}

/* Reads a reply. 421 may come to any command and ends the connection (RFC 5321 section 3.8). */
static int read_step(struct transaction *t, enum smtp_client_stage stage)
{
    int r = smtp_client_read(t->c, stage, &t->reader, NULL);

    struct smtp_client_reply reply;
    if (r < 0) {
        reply = smtp_client_error_from(&t->reader, stage, r, t->arena);
        return fail_with(t, &reply);
    }
    if (t->reader.code != 421)
        return 0;
    reply = reply_at(t, stage);
    (void)decide_rest(t, &reply);
    return -ESHUTDOWN;
}

/* RFC 5321 section 4.1.1.5: 250 is the only reply. Who refuses it is not to be trusted. */
static int reset(struct transaction *t)
{
    buf_put_str(&t->c->stream.out, STR("RSET\r\n"));
    int r = smtp_client_read(t->c, SMTP_CLIENT_RSET, &t->reader, NULL);
    if (r < 0 || t->reader.code >= 400)
        t->c->is_usable = false;
    return r;
}

/* The next recipient that is to be asked about, from `i` on: not those we refused ourselves. */
static size_t next_recipient(const struct transaction *t, size_t i)
{
    while (i < t->m->recipient_count && t->out->recipients[i].is_local)
        i++;
    return i;
}

static int take_mail_reply(struct transaction *t)
{
    int r = read_step(t, SMTP_CLIENT_MAIL);

    if (r < 0)
        return r;
    t->is_mail_answered = true;
    if (t->reader.code < 400)
        return 0;
    struct smtp_client_reply reply = reply_at(t, SMTP_CLIENT_MAIL);
    (void)decide_rest(t, &reply);
    t->is_mail_refused = true;
    return 0;
}

static int take_rcpt_reply(struct transaction *t)
{
    int r = read_step(t, SMTP_CLIENT_RCPT);

    if (r < 0)
        return r;
    size_t i = next_recipient(t, t->next_read);
    ASSERT(i < t->m->recipient_count);
    t->next_read = i + 1;
    /* After a refused MAIL it is only about the order of commands. */
    if (t->is_mail_refused)
        return 0;
    if (t->reader.code >= 400)
        t->out->recipients[i] = reply_at(t, SMTP_CLIENT_RCPT);
    else
        t->accepted++;
    return 0;
}

static int take_envelope_reply(struct transaction *t)
{
    struct flight *f = &t->flight;

    int r = t->is_mail_answered ? take_rcpt_reply(t) : take_mail_reply(t);
    f->bytes -= f->sizes[f->at];
    f->at = (f->at + 1) % FLIGHT_COMMANDS_MAX;
    f->count--;
    return r;
}

static int take_envelope_replies(struct transaction *t)
{
    int r = 0;

    while (r == 0 && t->flight.count > 0)
        r = take_envelope_reply(t);
    return r;
}

/* Reads replies until a command of so many bytes may be written. */
static int make_room(struct transaction *t, size_t bytes)
{
    unsigned max = has_extension(t, SMTP_EXT_PIPELINING) ? FLIGHT_COMMANDS_MAX : 1;
    int r = 0;

    while (r == 0 && t->flight.count > 0 &&
           (t->flight.count >= max || t->flight.bytes + bytes > FLIGHT_MAX_BYTES))
        r = take_envelope_reply(t);
    return r;
}

/* Notes the command that was written behind the first `before` bytes of the output. */
static void note_command(struct transaction *t, size_t before)
{
    struct flight *f = &t->flight;
    size_t bytes = t->c->stream.out.len - before;

    f->sizes[(f->at + f->count) % FLIGHT_COMMANDS_MAX] = (uint16_t)bytes;
    f->bytes += bytes;
    f->count++;
}

static int send_envelope(struct transaction *t)
{
    struct buf *out = &t->c->stream.out;
    const size_t count = t->m->recipient_count;
    size_t before = out->len;

    smtp_command_put_mail(t->m, t->c->extensions, out);
    note_command(t, before);
    for (size_t i = next_recipient(t, 0); i < count; i = next_recipient(t, i + 1)) {
        const struct smtp_client_recipient *recipient = &t->m->recipients[i];
        int r =
            make_room(t, recipient->address.len + recipient->orcpt.len + SMTP_COMMAND_FIXED_BYTES);
        if (r < 0 || t->is_mail_refused)
            return r;
        before = out->len;
        smtp_command_put_rcpt(recipient, t->c->extensions, out);
        note_command(t, before);
    }
    return 0;
}

static int ask_source(struct transaction *t, struct str *out_piece)
{
    struct text_source *s = &t->source;

    *out_piece = STR_NONE;
    int r = t->m->next_piece(t->m->arg, out_piece);
    if (r < 0)
        return fail(t, SMTP_CLIENT_BODY, r);
    s->has_ended = r != SMTP_CLIENT_PIECE;
    return r > 0;
}

/* With CHUNKING a text of one piece needs one command and no 354: looks whether it is one. */
static int look_at_text(struct transaction *t)
{
    struct text_source *s = &t->source;

    if (!has_extension(t, SMTP_EXT_CHUNKING))
        return 0;
    int r = ask_source(t, &s->first);
    if (r < 0)
        return r;
    s->has_first = r > 0;
    if (!s->has_ended) {
        /* The view ends with the next call. */
        buf_put_str(&s->held, s->first);
        ASSERT(buf_status(&s->held) == 0);
        s->first = buf_str(&s->held);
        r = ask_source(t, &s->second);
        if (r < 0)
            return r;
        s->has_second = r > 0;
    }
    t->is_chunked = !s->has_second;
    return 0;
}

/* 1: a piece; 0: the end; negative: failed. */
static int next_piece(struct transaction *t, struct str *out_piece)
{
    struct text_source *s = &t->source;

    if (s->has_first) {
        s->has_first = false;
        *out_piece = s->first;
        return 1;
    }
    if (s->has_second) {
        s->has_second = false;
        *out_piece = s->second;
        buf_done(&s->held);
        return 1;
    }
    return s->has_ended ? 0 : ask_source(t, out_piece);
}

static int call_before_end(struct transaction *t)
{
    int r = t->m->before_end != NULL ? t->m->before_end(t->m->arg) : 0;

    return r < 0 ? fail(t, SMTP_CLIENT_BODY, r) : 0;
}

/* The peer speaks before it has the whole text. The text cannot be ended now: a dot might make a
 * message of half of one. What it says decides, unless it says yes. */
static int take_early_reply(struct transaction *t)
{
    int r = read_step(t, SMTP_CLIENT_BODY);

    if (r < 0)
        return r;
    if (t->reader.code < 400)
        return fail(t, SMTP_CLIENT_BODY, -EPROTO);
    struct smtp_client_reply reply = reply_at(t, SMTP_CLIENT_BODY);
    (void)decide_rest(t, &reply);
    smtp_client_give_up(t->c);
    return -ESHUTDOWN;
}

/* Sends the output, and `text` behind it. */
static int flush_text(struct transaction *t, struct str text)
{
    struct stream *stream = &t->c->stream;

    /* Else a reply to the envelope would pass for an early one. */
    ASSERT(t->flight.count == 0);
    stream_set_deadline(stream, clock_mono_ms() + t->c->config->timeouts.block);
    int r = stream_send(stream, text);
    if (r == -ECANCELED || !stream_has_input(stream))
        return r < 0 ? fail(t, SMTP_CLIENT_BODY, r == -EPIPE ? -ECONNRESET : r) : 0;
    smtp_client_drop_output(t->c);
    return take_early_reply(t);
}

/* Sends, or keeps for later, a leading part of the piece: how much of it, or negative. */
static ssize_t put_slice(struct transaction *t, struct str piece)
{
    struct buf *out = &t->c->stream.out;
    struct str slice = str_sub(piece, 0, SLICE_BYTES);
    /* The end of a chunk goes out where its reply is waited for: here it would pass for an early
     * one. */
    bool is_end = t->is_chunked && slice.len == piece.len;

    /* A short text rather goes out together with its end. */
    bool may_go = !is_end && slice.len >= STREAM_OUT_FLUSH_BYTES;
    size_t clean = may_go ? smtp_client_text_take_clean(&t->text, slice) : 0;
    if (clean > 0) {
        int r = flush_text(t, str_sub(slice, 0, clean));
        return r < 0 ? r : (ssize_t)clean;
    }
    smtp_client_text_feed(&t->text, slice, out);
    int r = out->len < STREAM_OUT_FLUSH_BYTES || is_end ? 0 : flush_text(t, STR_NONE);
    return r < 0 ? r : (ssize_t)slice.len;
}

static int put_piece(struct transaction *t, struct str piece)
{
    while (piece.len > 0) {
        ssize_t taken = put_slice(t, piece);
        if (taken < 0)
            return (int)taken;
        piece = str_sub(piece, (size_t)taken, piece.len);
    }
    return 0;
}

static int put_text(struct transaction *t)
{
    struct str piece;
    int r;

    smtp_client_text_init(&t->text, !t->is_chunked);
    while ((r = next_piece(t, &piece)) > 0) {
        r = put_piece(t, piece);
        if (r < 0)
            return r;
    }
    smtp_client_text_finish(&t->text, &t->c->stream.out);
    return r;
}

/* BDAT LAST, header and text. */
static int put_chunk(struct transaction *t)
{
    int r = call_before_end(t);

    if (r < 0)
        return r;
    t->is_begun = true;
    smtp_command_put_bdat(smtp_client_text_count(false, t->source.first), &t->c->stream.out);
    r = put_text(t);
    t->is_end_written = r == 0;
    return r;
}

/* DATA, or BDAT with a short text, in the flight of the envelope (RFC 2920 section 3.1: as the last
 * command of a group). */
static int join_flight(struct transaction *t)
{
    /* Twice is the most that the repair of line ends makes of a text. */
    size_t bytes = t->is_chunked ? 2 * t->source.first.len + SMTP_COMMAND_FIXED_BYTES : 0;

    if (!has_extension(t, SMTP_EXT_PIPELINING) || t->flight.bytes + bytes > FLIGHT_MAX_BYTES)
        return 0;
    int r = make_room(t, SMTP_COMMAND_FIXED_BYTES);
    if (r < 0 || t->is_mail_refused || (t->flight.count == 0 && t->accepted == 0))
        return r;
    if (t->is_chunked)
        return put_chunk(t);
    t->is_begun = true;
    buf_put_str(&t->c->stream.out, STR("DATA\r\n"));
    return 0;
}

/* No recipient was accepted: brings what was begun to its end (RFC 2920 section 3.1). */
static int end_without_recipients(struct transaction *t)
{
    int r = 0;

    if (t->is_begun) {
        r = read_step(t, t->is_chunked ? SMTP_CLIENT_BODY : SMTP_CLIENT_DATA);
        if (r == 0 && !t->is_chunked && t->reader.code < 400) {
            buf_put_str(&t->c->stream.out, STR(".\r\n"));
            return read_step(t, SMTP_CLIENT_BODY);
        }
    }
    /* RFC 3030 section 2: after a failed BDAT the state is indeterminate without RSET. */
    bool has_chunk = t->is_begun && t->is_chunked;
    return r < 0 || (t->is_mail_refused && !has_chunk) ? r : reset(t);
}

static int take_final_reply(struct transaction *t)
{
    int r = read_step(t, SMTP_CLIENT_BODY);

    if (r < 0)
        return r;
    /* Nobody said 354 in between, so one reply too many earlier would pass for this one. */
    bool is_doubtful = t->is_chunked && stream_pending(&t->c->stream).len > 0;
    /* And nobody can accept what was not sent. */
    if (is_doubtful || (t->c->has_dropped_output && t->reader.code < 400))
        return fail(t, SMTP_CLIENT_BODY, -EPROTO);
    struct smtp_client_reply reply = reply_at(t, SMTP_CLIENT_BODY);
    size_t decided = decide_rest(t, &reply);
    if (!is_refused(&reply))
        t->out->accepted = decided;
    else if (t->is_chunked)
        return reset(t);
    if (stream_pending(&t->c->stream).len > 0)
        smtp_client_give_up(t->c);
    return 0;
}

static int send_chunk(struct transaction *t)
{
    int r = t->is_begun ? 0 : put_chunk(t);

    return r < 0 ? r : take_final_reply(t);
}

static int send_data(struct transaction *t)
{
    if (!t->is_begun)
        buf_put_str(&t->c->stream.out, STR("DATA\r\n"));
    int r = read_step(t, SMTP_CLIENT_DATA);
    if (r < 0)
        return r;
    if (t->reader.code >= 400) {
        struct smtp_client_reply reply = reply_at(t, SMTP_CLIENT_DATA);
        (void)decide_rest(t, &reply);
        return reset(t);
    }
    r = put_text(t);
    if (r == 0)
        r = call_before_end(t);
    if (r < 0)
        return r;
    if (stream_pending(&t->c->stream).len > 0)
        return take_early_reply(t);
    t->is_end_written = true;
    buf_put_str(&t->c->stream.out, STR(".\r\n"));
    return take_final_reply(t);
}

static int run(struct transaction *t)
{
    /* Words that nobody asked for would be taken for the reply to MAIL, and so on: most likely it
     * is 421; anything else would put replies out of step with commands. */
    if (stream_pending(&t->c->stream).len > 0) {
        int r = read_step(t, SMTP_CLIENT_MAIL);
        return r < 0 ? r : fail(t, SMTP_CLIENT_MAIL, -EPROTO);
    }
    int r = look_at_text(t);
    if (r == 0)
        r = send_envelope(t);
    if (r == 0 && !t->is_mail_refused)
        r = join_flight(t);
    if (r == 0)
        r = take_envelope_replies(t);
    if (r < 0)
        return r;
    if (t->accepted == 0)
        return end_without_recipients(t);
    return t->is_chunked ? send_chunk(t) : send_data(t);
}

static struct smtp_client_reply local_refusal(enum smtp_client_stage stage, uint16_t code,
                                              const char *enhanced, struct str text)
{
    struct smtp_client_reply reply = {.stage = stage, .code = code, .text = text, .is_local = true};

    ASSERT(str_copy(str_from_c(enhanced), reply.enhanced, sizeof(reply.enhanced)));
    return reply;
}

/* What the peer is not asked for; whether somebody is left. */
static bool refuse_locally(struct transaction *t)
{
    const struct smtp_client_message *m = t->m;
    uint64_t limit = t->c->max_size;
    struct smtp_client_reply refusal;

    if (limit > 0 && m->size > limit) {
        char *text = arena_printf(t->arena, "message size %llu exceeds the server's limit of %llu",
                                  (unsigned long long)m->size, (unsigned long long)limit);
        refusal = local_refusal(SMTP_CLIENT_MAIL, 552, "5.3.4", str_from_c(text));
        (void)decide_rest(t, &refusal);
    }
    if (!smtp_command_is_safe(m->sender)) {
        refusal = local_refusal(SMTP_CLIENT_MAIL, 553, "5.1.7", STR("the sender cannot be sent"));
        (void)decide_rest(t, &refusal);
    }
    refusal = local_refusal(SMTP_CLIENT_RCPT, 553, "5.1.3", STR("the address cannot be sent"));
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct str address = m->recipients[i].address;
        if ((address.len == 0 || !smtp_command_is_safe(address)) &&
            !is_refused(&t->out->recipients[i]))
            t->out->recipients[i] = refusal;
    }
    return next_recipient(t, 0) < m->recipient_count;
}

size_t smtp_client_arena_bytes(size_t recipient_count)
{
    const size_t text_bytes = SMTP_CLIENT_TEXT_MAX_BYTES + 2 * sizeof(max_align_t);

    return recipient_count * (sizeof(struct smtp_client_reply) + text_bytes) + 4 * text_bytes +
           LOCAL_TEXT_MAX_BYTES;
}

int smtp_client_send(struct smtp_client *c, const struct smtp_client_message *message,
                     struct arena *arena, struct smtp_client_outcome *out)
{
    struct transaction t = {.c = c, .m = message, .arena = arena, .out = out};

    ASSERT(c->is_usable && message->recipient_count > 0);
    *out = (struct smtp_client_outcome){
        .recipients = arena_alloc(arena, message->recipient_count * sizeof(*out->recipients))};
    buf_init(&t.source.held, SMTP_CLIENT_PIECE_MAX_BYTES);
    if (!refuse_locally(&t))
        return 0;
    c->messages++;
    int r = run(&t);
    buf_done(&t.source.held);
    return r == -ECANCELED ? r : 0;
}
