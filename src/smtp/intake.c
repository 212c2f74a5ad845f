/* Where the text of a message gathers: see intake.h. */
#include "smtp/intake.h"

#include <errno.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "mail/submit.h"
#include "smtp/received.h"

/* Most letters fit into the first, most of the others into the next. */
enum { TEXT_FIRST_BYTES = 8 * 1024, TEXT_NEXT_BYTES = 64 * 1024 };
enum {
    TEXT_MAX_BYTES = SMTP_INLINE_MAX_BYTES + 64 * 1024,
    /* A mended header comes at once. */
    SUBMISSION_MAX_BYTES = TEXT_MAX_BYTES + 4 * SUBMIT_HEADER_MAX_BYTES,
    FEED_PIECE_BYTES = 16 * 1024,
};

static void put_own_header(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;

    smtp_put_mailbox_lines(s, &in->text);
    in->prefix_bytes = (uint32_t)in->text.len;
    smtp_put_received(s, &in->text);
    mime_scanner_feed(in->mime, buf_str(&in->text));
}

void smtp_intake_open(struct smtp_session *s, enum data_mode mode)
{
    struct smtp_intake *in = &s->transaction.intake;
    const struct settings *settings = s->policy->settings;

    *in = (struct smtp_intake){.is_open = true, .is_chunked = mode == DATA_CHUNKED};
    in->message_id = s->backend->make_id(s->backend->arg);
    in->received_ms = clock_real_ms();
    in->deadline_ms = clock_mono_ms() + settings->smtp_message_timeout;
    in->mime = mime_scanner_new();
    buf_init(&in->text, s->is_submission ? SUBMISSION_MAX_BYTES : TEXT_MAX_BYTES);
    (void)buf_reserve(&in->text, TEXT_FIRST_BYTES);
    header_filter_init(&in->filter);
    data_scan_init(&in->scan, mode, settings->smtp_bare_newline == SETTINGS_BARE_NEWLINE_NORMALISE);
    put_own_header(s);
    smtp_submission_open(s);
}

void smtp_intake_drop(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;

    if (!in->is_open)
        return;
    if (in->spool != 0)
        s->backend->spool_drop(s->backend->arg, in->spool);
    mime_scanner_free(in->mime);
    buf_done(&in->text);
    smtp_submission_drop(s);
    *in = (struct smtp_intake){0};
}

/* Moves what has gathered into the spool, once there is enough. Yields. */
static int spill(struct smtp_session *s, size_t threshold)
{
    struct smtp_intake *in = &s->transaction.intake;
    const struct smtp_backend *b = s->backend;
    int r = 0;

    if (in->text.len < threshold)
        return 0;
    if (in->spool == 0)
        r = b->spool_open(b->arg, &in->spool);
    while (r == 0 && in->text.len > 0) {
        size_t piece = MIN(in->text.len, (size_t)SMTP_SPOOL_PIECE_BYTES);
        r = b->spool_write(b->arg, in->spool, str_sub(buf_str(&in->text), 0, piece));
        if (r == 0)
            buf_consume(&in->text, piece);
    }
    return r;
}

/* Notes the first reason why the message cannot be kept; what was gathered is of no use then. */
static void note_limits(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;

    in->is_too_big |= in->scan.content_bytes > s->policy->settings->smtp_max_message_size;
    if (in->is_too_big || in->error < 0 || in->submission.refusal.code != 0 ||
        (in->scan.has_bare && !in->scan.may_normalise))
        buf_reset(&in->text);
}

/* Scans a piece into the text; through the filter as long as the header lasts. */
static size_t scan_piece(struct smtp_session *s, struct str piece)
{
    struct smtp_intake *in = &s->transaction.intake;
    struct buf *text = smtp_submission_text(s);
    struct buf header;

    if (header_filter_is_done(&in->filter))
        return data_scan_feed(&in->scan, piece, text);
    buf_init(&header, 2 * FEED_PIECE_BYTES + 16);
    (void)buf_reserve(&header, piece.len);
    size_t taken = data_scan_feed(&in->scan, piece, &header);
    header_filter_feed(&in->filter, buf_str(&header), text);
    buf_done(&header);
    return taken;
}

static size_t feed_piece(struct smtp_session *s, struct str piece)
{
    struct smtp_intake *in = &s->transaction.intake;
    size_t before = in->text.len;

    if (in->text.cap - in->text.len < piece.len)
        (void)buf_reserve(&in->text, TEXT_NEXT_BYTES);
    size_t taken = scan_piece(s, piece);
    in->bytes += taken;
    smtp_submission_go_on(s, false);
    mime_scanner_feed(in->mime, str_sub(buf_str(&in->text), before, in->text.len));
    note_limits(s);
    int r = spill(s, in->spool != 0 ? SMTP_SPOOL_PIECE_BYTES : SMTP_INLINE_MAX_BYTES);
    if (r < 0)
        in->error = r;
    return taken;
}

size_t smtp_intake_feed(struct smtp_session *s, struct str input)
{
    struct smtp_intake *in = &s->transaction.intake;
    size_t at = 0;

    while (at < input.len && !in->scan.is_complete) {
        struct str piece = str_sub(input, at, FEED_PIECE_BYTES);
        at += feed_piece(s, piece);
    }
    return at;
}

/* Yields. */
static void end_text(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;
    struct buf *text = smtp_submission_text(s);
    struct buf rest;
    size_t before = in->text.len;

    buf_init(&rest, 16);
    data_scan_finish(&in->scan, &rest);
    header_filter_feed(&in->filter, buf_str(&rest), text);
    header_filter_finish(&in->filter, text);
    buf_done(&rest);
    smtp_submission_go_on(s, true);
    mime_scanner_feed(in->mime, str_sub(buf_str(&in->text), before, in->text.len));
}

/* What is wrong with the message as a whole; code 0: nothing. */
static struct reply judge(struct smtp_session *s)
{
    const struct settings *settings = s->policy->settings;
    const struct smtp_intake *in = &s->transaction.intake;
    const struct mime_facts *facts = mime_scanner_facts(in->mime);

    if (in->is_too_big)
        return reply_printf(&s->command_arena, 552, "5.3.4",
                            "The message is too big: at most %llu bytes are taken",
                            (unsigned long long)settings->smtp_max_message_size);
    if (in->scan.has_bare && !in->scan.may_normalise)
        return reply_of(554, "5.6.0",
                        "The message has CR or LF by itself; every line must end in CR LF");
    if (in->submission.refusal.code != 0)
        return in->submission.refusal;
    if (in->scan.has_nul)
        return reply_of(554, "5.6.0", "The message has a NUL byte; send it base64-encoded");
    if (facts->received_count > (uint32_t)settings->smtp_max_received + 1)
        return reply_printf(&s->command_arena, 554, "5.4.6",
                            "Mail loop: the message has passed through %u servers",
                            facts->received_count - 1);
    return reply_of(0, "", "");
}

/* Why the message has no place: with the spool, all but a full disk are our own trouble. */
static struct reply explain_spool_failure(int error)
{
    if (error == -ENOSPC)
        return reply_of(452, "4.3.1", "No room for new mail now; try again later");
    return reply_of(451, "4.3.0", "The message cannot be kept now; try again later");
}

static struct reply explain_failure(int error)
{
    switch (error) {
    case -ENOSPC:
        return reply_of(452, "4.3.1", "No room for new mail now; try again later");
    case -ENOENT:
        return reply_of(451, "4.3.0", "A recipient was removed meanwhile; send it again");
    case -E2BIG:
        return reply_of(451, "4.5.3", "The aliases of this message lead to too many mailboxes");
    case -EMSGSIZE:
        return reply_of(452, "4.5.3", "Too many recipients with long parameters; send fewer");
    case -EAGAIN:
        return reply_of(450, "4.7.0", "You send too many messages in a minute; wait a little");
    case -EDQUOT:
        return reply_of(452, "4.7.0",
                        "You have sent to as many recipients as one account may in a day; the "
                        "postmaster can raise the limit");
    case -EUSERS:
        return reply_of(452, "4.7.0",
                        "You have sent to as many new recipients as one account may in a day; the "
                        "postmaster can raise the limit");
    case -EIO:
    case -EROFS:
        return reply_of(451, "4.3.0", "The storage has a problem; try again later");
    default:
        return reply_of(451, "4.3.0", "The message cannot be taken now; try again later");
    }
}

/* Moves the last piece into the spool, if there is one. Yields. 0 or the first error of it. */
static int finish_spool(struct smtp_session *s)
{
    const struct smtp_intake *in = &s->transaction.intake;

    if (in->error < 0 || in->spool == 0)
        return in->error;
    return spill(s, 1);
}

/* Yields. 0 or negative errno. */
static int hand_over(struct smtp_session *s)
{
    struct smtp_transaction *t = &s->transaction;
    struct smtp_intake *in = &t->intake;
    struct buf summary;

    buf_init(&summary, SUMMARY_MAX_BYTES);
    summary_encode(mime_scanner_finish(in->mime), &summary);
    struct smtp_message message = {
        .id = in->message_id,
        .session_id = s->id,
        .received_ms = in->received_ms,
        .peer_text = str_from_c(s->peer_text),
        .helo = str_from_c(s->helo),
        .account = s->login.account,
        .login = str_from_c(s->login.address),
        .sender = &t->sender,
        .params = &t->params,
        .recipients = t->recipients,
        .recipient_count = t->recipient_count,
        .prefix_bytes = in->prefix_bytes,
        .summary = buf_str(&summary),
        .spool = in->spool,
        .text = buf_str(&in->text),
        .has_8bit = in->scan.has_8bit,
        .has_long_lines = mime_scanner_facts(in->mime)->longest_line_bytes > MIME_LINE_MAX_BYTES};
    int r = s->backend->deliver(s->backend->arg, &message);
    in->spool = 0;
    buf_done(&summary);
    return r;
}

static void log_accepted(const struct smtp_session *s)
{
    const struct smtp_transaction *t = &s->transaction;

    LOG(LOG_INFO, "smtp.accepted", LOG_ID("session", s->id),
        LOG_ID("message", t->intake.message_id), LOG_C("peer", s->peer_text),
        LOG_C("login", s->login.address), LOG_STR("sender", t->sender.raw),
        LOG_INT("recipients", t->recipient_count), LOG_INT("bytes", t->intake.scan.content_bytes));
}

struct reply smtp_intake_finish(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;
    char id[ID_TEXT_CHARS + 1];

    end_text(s);
    struct reply reply = judge(s);
    if (reply.code != 0)
        return reply;
    int r = finish_spool(s);
    if (r < 0)
        return explain_spool_failure(r);
    r = hand_over(s);
    if (r < 0)
        return explain_failure(r);
    log_accepted(s);
    s->transaction_count++;
    s->error_count = 0;
    if (s->backend->has_no_names)
        return reply_of(250, "2.0.0", "Left for the server");
    return reply_printf(&s->command_arena, 250, "2.0.0", "Accepted as %s",
                        id_format(in->message_id, id));
}
