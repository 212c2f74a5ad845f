/*
 * One mail from its file into the store: see submission.h.
 *
 * Once, and only once. The ids of message and notice are in the name of the file, durably, before
 * the store hears of them; the file goes only after the store has said that it has the message. So
 * nothing is lost; and what was stored when this process, or the machine, died before the file was
 * gone is offered again under the same id: the store answers -EEXIST, which means: done. It knows
 * these ids also when the message has left (DELIVER_ONCE), for as long as it would take them; an id
 * of more than a week ago is renewed (drop.c).
 */
#include "svc/pickup/submission.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/header.h"
#include "mail/submit.h"
#include "mail/submit_file.h"
#include "smtp/data_scan.h"
#include "svc/pickup/notice.h"
#include "svc/pickup/parameters.h"

enum {
    READ_BYTES = 64 * 1024,
    HEAD_MAX_BYTES = SUBMIT_HEADER_MAX_BYTES + 2 * READ_BYTES,
    FILE_MAX_BYTES = SUBMIT_ENVELOPE_MAX_BYTES + READ_BYTES,
    MENDED_MAX_BYTES = 3 * SUBMIT_HEADER_MAX_BYTES,
    ADDRESS_BYTES = 8192, /* what is kept of one recipient */
    ENVELOPE_ARENA_BYTES = SUBMIT_RECIPIENTS_MAX * (int)sizeof(struct submit_recipient) + 1024,
    ARENA_BYTES = SUBMIT_ARENA_BYTES + SUBMIT_ENVELOPE_MAX_BYTES +
                  SUBMIT_RECIPIENTS_MAX * (ADDRESS_BYTES + (int)sizeof(struct submit_recipient) +
                                           (int)sizeof(struct complaint)) +
                  4 * COMPLAINT_TEXT_MAX_BYTES,
    QUOTED_MAX_BYTES = 16 * 1024,
    TRACED_MAX = 50, /* events of one mail */
};

/* The head of the message, with line ends of CR LF, and where the rest goes on. */
struct text {
    struct data_scan scan;
    struct buf head;
    struct submit_header header;
    struct str quoted; /* the beginning of the header, for a notice */
};

/* --- what is told --- */

static struct str keep(struct submission *s, struct str text)
{
    return arena_str(&s->arena, str_sub(text, 0, COMPLAINT_TEXT_MAX_BYTES / 2));
}

static struct str keep_number(struct submission *s, uint64_t number)
{
    return str_from_c(arena_printf(&s->arena, "%llu", (unsigned long long)number));
}

/* Notes a reason; its words and the recipient it is about are kept. */
static void complain(struct submission *s, struct complaint c)
{
    struct complaint *kept = arena_alloc(&s->arena, sizeof(*kept));
    struct buf text;

    for (size_t i = 0; i < COMPLAINT_WORDS; i++)
        c.words[i] = keep(s, c.words[i]);
    c.recipient = keep(s, c.recipient);
    *kept = c;
    *s->complaints_end = kept;
    s->complaints_end = &kept->next;
    buf_init(&text, COMPLAINT_TEXT_MAX_BYTES);
    complaint_put(&c, false, &text);
    LOG(LOG_INFO, "pickup.refused", LOG_ID("message", s->entry->id), LOG_INT("uid", s->st.st_uid),
        LOG_C("login", s->user.login), LOG_STR("recipient", c.recipient),
        LOG_C("enhanced", complaint_enhanced(&c)), LOG_STR("why", buf_str(&text)));
    buf_done(&text);
}

static void complain_of(struct submission *s, enum complaint_reason reason, struct str recipient)
{
    complain(s, (struct complaint){.reason = reason, .recipient = recipient});
}

/* The address as typed, with the default domain. */
static enum address_error parse_address(struct submission *s, struct str text, struct address *out)
{
    if (str_rfind(text, '@') < 0)
        text = str_from_c(
            arena_printf(&s->arena, "%.*s@%.*s", STR_ARG(text), STR_ARG(s->identity.domain)));
    return address_parse(text, ADDRESS_MAY_BE_UTF8, &s->arena, out);
}

static struct str print(struct submission *s, const struct address *a)
{
    struct buf out;

    buf_init(&out, ADDRESS_TEXT_MAX_BYTES);
    address_print(a, &out);
    struct str text = arena_str(&s->arena, buf_str(&out));
    buf_done(&out);
    return text;
}

/* As the trace is asked for it; what is no address as it was typed. */
static struct str print_typed(struct submission *s, struct str typed)
{
    struct address a;

    return parse_address(s, typed, &a) == ADDRESS_OK
               ? print(s, &a)
               : arena_str(&s->arena, str_sub(typed, 0, SMTP_TRACE_TEXT_BYTES));
}

static void trace_complaint(struct submission *s, const struct complaint *c, struct str recipient)
{
    struct buf text;

    if (s->traced_count++ >= TRACED_MAX)
        return;
    buf_init(&text, COMPLAINT_TEXT_MAX_BYTES);
    complaint_put(c, false, &text);
    struct reply reply = reply_of(550, complaint_enhanced(c), buf_c_str(&text));
    struct smtp_refusal refusal = {.event = "refused",
                                   .ref = s->entry->id,
                                   .reply = &reply,
                                   .stage = "sendmail",
                                   .peer_text = STR("local"),
                                   .helo = str_from_c(s->user.login),
                                   .sender = s->envelope.has_sender
                                                 ? print_typed(s, s->envelope.sender)
                                                 : s->identity.own_text};
    if (recipient.len > 0)
        refusal.recipient = print_typed(s, recipient);
    s->backend->refused(s->backend->arg, &refusal);
    buf_done(&text);
}

/* What is wrong with the whole is found by every recipient. */
static void trace_complaints(struct submission *s)
{
    for (const struct complaint *c = s->complaints; c != NULL; c = c->next) {
        bool is_for_all = c->recipient.len == 0 && s->envelope.recipient_count > 0;
        if (!is_for_all)
            trace_complaint(s, c, c->recipient);
        for (size_t i = 0; is_for_all && i < s->envelope.recipient_count; i++)
            trace_complaint(s, c, s->envelope.recipients[i].address);
    }
}

/* --- reading the file --- */

static uint64_t file_limit(const struct submission *s)
{
    return s->settings->smtp_max_message_size + SUBMIT_ENVELOPE_MAX_BYTES;
}

/* Reads more of the file behind what is there. This waits for the disk, as little else in a fiber
 * may: the process has nothing else to do, and what was just written is in memory. 1; 0 at the end;
 * negative errno. The file may grow meanwhile: its size is not what bounds this. */
static int read_more(struct submission *s)
{
    char *room = buf_reserve(&s->file, READ_BYTES);

    if (room == NULL || s->read_bytes > file_limit(s))
        return -EFBIG;
    ssize_t n = read(s->fd, room, READ_BYTES);
    if (n < 0)
        return errno == EINTR ? 1 : -errno;
    buf_commit(&s->file, (size_t)n);
    s->read_bytes += (uint64_t)n;
    return n > 0;
}

/* Whether a whole envelope is there. */
static bool has_envelope(const struct submission *s, size_t *out_bytes)
{
    CLEANUP(arena_done) struct arena scratch;
    struct submit_envelope ignored;

    arena_init(&scratch, ENVELOPE_ARENA_BYTES);
    return submit_file_parse(buf_str(&s->file), &scratch, &ignored, out_bytes) == 0;
}

/* 1 when the envelope was read, 0 when there is none, negative errno. Its texts are copied. */
static int read_envelope(struct submission *s, struct submit_envelope *out)
{
    size_t bytes = 0;
    int r;

    do
        r = read_more(s);
    while (r > 0 && !has_envelope(s, &bytes) && s->file.len < SUBMIT_ENVELOPE_MAX_BYTES);
    if (bytes == 0)
        return r == -EFBIG ? 0 : MIN(r, 0);
    struct str copy = arena_str(&s->arena, str_sub(buf_str(&s->file), 0, bytes));
    buf_consume(&s->file, bytes);
    return submit_file_parse(copy, &s->arena, out, &bytes) == 0;
}

static void take_pending(struct submission *s, struct text *t)
{
    (void)data_scan_feed(&t->scan, buf_str(&s->file), &t->head);
    buf_reset(&s->file);
}

static bool has_header_end(struct str head)
{
    for (struct str rest = head; rest.len > 0;) {
        ptrdiff_t lf = str_find(rest, '\n');
        if (lf < 0)
            return false;
        if (lf == 1 && rest.ptr[0] == '\r')
            return true;
        rest = str_sub(rest, (size_t)lf + 1, rest.len);
    }
    return false;
}

/* Reads up to the end of the header, or to where it would be too long. 0 or negative errno. */
static int read_head(struct submission *s, struct text *t)
{
    int r = 1;

    buf_init(&t->head, HEAD_MAX_BYTES + 2 * (READ_BYTES + 8));
    data_scan_init(&t->scan, DATA_CHUNKED, true);
    take_pending(s, t);
    while (r > 0 && !has_header_end(buf_str(&t->head)) && t->head.len < SUBMIT_HEADER_MAX_BYTES) {
        r = read_more(s);
        take_pending(s, t);
    }
    if (r == 0)
        data_scan_finish(&t->scan, &t->head);
    if (r < 0 && r != -EFBIG)
        return r;
    submit_header_read(buf_str(&t->head), s->identity.domain, &s->arena, &t->header);
    t->quoted = arena_str(&s->arena, str_sub(t->header.fields, 0, QUOTED_MAX_BYTES));
    return 0;
}

/* --- sender and recipients --- */

/* 0; -EPERM when it was said why not; other negative errno. Yields. */
static int take_sender(struct submission *s, const struct submit_envelope *e)
{
    bool may = true;

    s->sender = s->identity.own;
    if (!e->has_sender)
        return 0;
    if (e->sender.len == 0) {
        s->sender = (struct address){.is_null = true};
        s->has_null_sender = true;
        return 0;
    }
    struct address wanted;
    enum address_error error = parse_address(s, e->sender, &wanted);
    if (error != ADDRESS_OK) {
        complain(s,
                 (struct complaint){.reason = COMPLAINT_BAD_SENDER,
                                    .words = {e->sender, str_from_c(address_error_text(error))}});
        return -EPERM;
    }
    int r = identity_may_use(&s->identity, &wanted, &may);
    if (r < 0)
        return r;
    if (may) {
        s->sender = wanted;
        return 0;
    }
    CLEANUP(buf_done) struct buf his;
    buf_init(&his, COMPLAINT_TEXT_MAX_BYTES / 2);
    identity_put_addresses(&s->identity, &his);
    complain(s, (struct complaint){.reason = COMPLAINT_FOREIGN_SENDER,
                                   .words = {str_from_c(s->user.login), e->sender, buf_str(&his)}});
    return -EPERM;
}

static int find(const struct submission *s, const struct address *a, enum smtp_destination *out)
{
    return s->backend->find_recipient(s->backend->arg, a, NULL, out);
}

/* Mail to root and postmaster of this machine is for who looks after it, also where nobody has made
 * such mailboxes: reports of cron must not be lost. */
static bool is_caretaker(const struct submission *s, const struct address *a)
{
    return identity_is_own_domain(&s->identity, a->domain) &&
           (str_eq_nocase(a->local, STR("root")) || str_eq_nocase(a->local, STR("postmaster")));
}

static int locate(const struct submission *s, struct address *a, enum smtp_destination *out)
{
    int r = find(s, a, out);

    if (r < 0 || *out == SMTP_DESTINATION_LOCAL)
        return r;
    if (is_caretaker(s, a)) {
        *a = (struct address){.local = STR("postmaster"), .domain = STR("")};
        return find(s, a, out);
    }
    /* The name of this machine is no place elsewhere: mail would come back to it for ever. */
    if (*out == SMTP_DESTINATION_REMOTE && identity_is_own_domain(&s->identity, a->domain))
        *out = SMTP_DESTINATION_UNKNOWN_USER;
    return 0;
}

/* DSN parameters as SMTP would take them; others are left away. */
static void take_rcpt_params(struct submission *s, const struct submit_recipient *r,
                             struct smtp_rcpt_params *out)
{
    struct str keyword;
    bool is_never = (r->notify & SMTP_NOTIFY_NEVER) != 0;

    *out = (struct smtp_rcpt_params){.notify = 0};
    if (r->orcpt.len > 0) {
        struct str text = str_from_c(arena_printf(&s->arena, " ORCPT=%.*s", STR_ARG(r->orcpt)));
        if (smtp_params_parse_rcpt(text, out, &keyword) != SMTP_PARAMS_OK)
            *out = (struct smtp_rcpt_params){.notify = 0};
    }
    out->notify = is_never ? (unsigned)SMTP_NOTIFY_NEVER : r->notify;
}

/* 0 also when it was said why not. Yields. */
static int take_recipient(struct submission *s, const struct submit_recipient *wanted)
{
    struct smtp_recipient *to = arena_alloc(&s->arena, sizeof(*to));
    enum smtp_destination destination;

    enum address_error error = parse_address(s, wanted->address, &to->address);
    if (error != ADDRESS_OK) {
        complain(s, (struct complaint){.reason = COMPLAINT_BAD_RECIPIENT,
                                       .recipient = wanted->address,
                                       .words = {str_from_c(address_error_text(error))}});
        return 0;
    }
    int r = locate(s, &to->address, &destination);
    if (r < 0)
        return r;
    if (destination == SMTP_DESTINATION_UNKNOWN_USER) {
        complain_of(s, COMPLAINT_NO_MAILBOX, wanted->address);
        return 0;
    }
    if (destination == SMTP_DESTINATION_LOOP) {
        complain_of(s, COMPLAINT_ALIAS_LOOP, wanted->address);
        return 0;
    }
    if (destination == SMTP_DESTINATION_SUPPRESSED) {
        complain_of(s, COMPLAINT_SUPPRESSED, wanted->address);
        return 0;
    }
    to->is_relay = destination == SMTP_DESTINATION_REMOTE;
    take_rcpt_params(s, wanted, &to->params);
    s->params.is_smtputf8 |= to->address.is_utf8;
    *s->recipients_end = to;
    s->recipients_end = &to->next;
    s->recipient_count++;
    return 0;
}

/* 0, or -EPERM when it was said why not. */
static int take_mail_params(struct submission *s, const struct submit_envelope *e)
{
    int64_t left_ms = (int64_t)s->st.st_mtim.tv_sec * 1000;
    struct reply refusal = parameters_take(e, s->settings, left_ms, &s->arena, &s->params);

    if (refusal.code == 0)
        return 0;
    complain(s, (struct complaint){.reason = COMPLAINT_PARAMETER,
                                   .enhanced = arena_printf(&s->arena, "%s", refusal.enhanced),
                                   .words = {str_from_c(refusal.text)}});
    return -EPERM;
}

/* Yields. 0; -EPERM when it was said why not; other negative errno. */
static int take_envelope(struct submission *s, const struct submit_envelope *e)
{
    int r = take_mail_params(s, e);
    if (r == 0)
        r = take_sender(s, e);
    s->params.is_smtputf8 |= s->sender.is_utf8;
    for (size_t i = 0; r == 0 && i < e->recipient_count; i++)
        r = take_recipient(s, &e->recipients[i]);
    return r == 0 && s->recipient_count == 0 ? -EPERM : r;
}

/* --- the text --- */

/* Yields. 0 or negative errno. */
static int judge_authors(struct submission *s, const struct submit_authors *authors, bool *out_may)
{
    int r = 0;

    *out_may = authors->is_clean;
    for (size_t i = 0; r == 0 && *out_may && i < authors->count; i++)
        r = identity_may_use(&s->identity, &authors->mailboxes[i].address, out_may);
    return r;
}

/* Lines that only mailboxes see. Where several are to get it, naming one would tell the others. */
static void put_prefix(struct submission *s, struct buf *out)
{
    buf_put_c(out, "Return-Path: <");
    buf_put_str(out, print(s, &s->sender));
    buf_put_c(out, ">\r\n");
    if (s->recipient_count != 1)
        return;
    buf_put_c(out, "Delivered-To: ");
    buf_put_str(out, print(s, &s->recipients->address));
    buf_put_c(out, "\r\n");
}

/* Yields. 0; -EPERM when it was said why not; other negative errno. */
static int put_header(struct submission *s, const struct text *t, struct str full_name,
                      struct sink *sink, uint32_t *out_prefix_bytes)
{
    CLEANUP(buf_done) struct buf out = {.len = 0};
    char id[ID_TEXT_CHARS + 1], date[CLOCK_TEXT_BYTES];
    struct submit_author author = {.own = s->identity.own_text,
                                   .full_name = full_name.len > 0 ? full_name
                                                                  : str_from_c(s->user.full_name),
                                   .sender = print(s, &s->sender),
                                   .default_domain = s->identity.domain,
                                   .hostname = str_from_c(s->settings->server_hostname),
                                   .login = str_from_c(s->user.login),
                                   .uid = s->user.uid,
                                   .id = id_format(s->entry->id, id),
                                   .date = clock_format_mail(clock_real_ms(), date)};

    int r = judge_authors(s, &t->header.from, &author.may_use_from);
    if (r == 0)
        r = judge_authors(s, &t->header.resent_from, &author.may_use_resent_from);
    if (r < 0)
        return r;
    buf_init(&out, MENDED_MAX_BYTES);
    put_prefix(s, &out);
    *out_prefix_bytes = (uint32_t)out.len;
    submit_header_mend(&t->header, &author, &out);
    bool is_whole = t->header.body.len == 0 || str_find(t->header.body, '\n') >= 0 ||
                    t->head.len < SUBMIT_HEADER_MAX_BYTES;
    if (buf_status(&out) < 0 || !is_whole || t->header.fields.len > SUBMIT_HEADER_MAX_BYTES) {
        complain(s, (struct complaint){.reason = COMPLAINT_LONG_HEADER,
                                       .words = {keep_number(s, SUBMIT_HEADER_MAX_BYTES)}});
        return -EPERM;
    }
    return sink_put(sink, buf_str(&out));
}

/* Yields. 0 or negative errno; -EFBIG when the message is too big. */
static int put_body(struct submission *s, struct text *t, struct sink *sink)
{
    int r = sink_put(sink, t->header.body);
    int more = 1;

    buf_reset(&t->head);
    while (r == 0 && more > 0) {
        more = read_more(s);
        if (more < 0)
            return more;
        take_pending(s, t);
        if (more == 0)
            data_scan_finish(&t->scan, &t->head);
        r = sink_put(sink, buf_str(&t->head));
        buf_reset(&t->head);
    }
    bool is_big = t->scan.content_bytes > s->settings->smtp_max_message_size;
    return r == 0 && is_big ? -EFBIG : r;
}

static int check_text(struct submission *s, const struct text *t, const struct sink *sink)
{
    const struct mime_facts *facts = mime_scanner_facts(sink->mime);

    if (t->scan.has_nul)
        complain_of(s, COMPLAINT_NUL, STR(""));
    else if (facts->received_count > (uint32_t)s->settings->smtp_max_received + 1)
        complain(s, (struct complaint){.reason = COMPLAINT_MAIL_LOOP,
                                       .words = {keep_number(s, facts->received_count - 1)}});
    else
        return 0;
    return -EPERM;
}

static void explain(struct submission *s, int error)
{
    if (error == -EFBIG)
        complain(s,
                 (struct complaint){.reason = COMPLAINT_TOO_BIG,
                                    .words = {keep_number(s, s->settings->smtp_max_message_size)}});
    else if (error == -E2BIG)
        complain_of(s, COMPLAINT_TOO_MANY_COPIES, STR(""));
    else if (error == -EMSGSIZE)
        complain_of(s, COMPLAINT_LONG_ENVELOPE, STR(""));
}

static bool is_final(int error)
{
    return error == -EPERM || error == -EFBIG || error == -E2BIG || error == -EMSGSIZE;
}

/* --- the whole --- */

static int deliver(struct submission *s, struct text *t, struct sink *sink, uint32_t prefix_bytes)
{
    struct smtp_message message = {.id = s->entry->id,
                                   .received_ms = clock_real_ms(),
                                   .peer_text = STR("local"),
                                   .helo = str_from_c(s->user.login),
                                   .sender = &s->sender,
                                   .params = &s->params,
                                   .recipients = s->recipients,
                                   .recipient_count = s->recipient_count,
                                   .prefix_bytes = prefix_bytes,
                                   .has_8bit = t->scan.has_8bit,
                                   .is_once = true};

    int r = sink_deliver(sink, &message);
    if (r == 0 || r == -EEXIST)
        LOG(LOG_INFO, r == 0 ? "pickup.accepted" : "pickup.known", LOG_ID("message", s->entry->id),
            LOG_INT("uid", s->st.st_uid), LOG_C("login", s->user.login),
            LOG_STR("sender", print(s, &s->sender)), LOG_INT("recipients", s->recipient_count),
            LOG_INT("bytes", sink->bytes));
    return r == -EEXIST ? 0 : r;
}

/* Tells the sender what was noted. Yields. 0 or negative errno. */
static int tell(struct submission *s, const struct text *t)
{
    if (s->complaints == NULL || s->verdict == DROP_FOREIGN)
        return 0;
    trace_complaints(s);
    if (s->has_null_sender)
        return 0;
    return notice_send(s, t->quoted);
}

/* The notice comes before the message: both are known by their ids when this is done again. */
static int pass_on(struct submission *s, struct text *t, struct str full_name)
{
    uint32_t prefix_bytes = 0;
    struct sink sink;

    sink_init(&sink, s->backend);
    int r = put_header(s, t, full_name, &sink, &prefix_bytes);
    if (r == 0)
        r = put_body(s, t, &sink);
    if (r == 0)
        r = check_text(s, t, &sink);
    if (r == 0)
        r = tell(s, t);
    if (r == 0)
        r = deliver(s, t, &sink, prefix_bytes);
    sink_done(&sink);
    return r;
}

/* Yields. 0 when it is stored; negative errno: is_final tells which are for good. */
static int process(struct submission *s, struct text *t)
{
    if (s->verdict != DROP_GOOD) {
        complain_of(
            s, s->verdict == DROP_UNREADABLE ? COMPLAINT_UNREADABLE_FILE : COMPLAINT_FOREIGN_FILE,
            STR(""));
        return -EPERM;
    }
    int r = read_envelope(s, &s->envelope);
    if (r == 0)
        complain_of(s, COMPLAINT_NO_MAIL, STR(""));
    if (r <= 0)
        return r == 0 ? -EPERM : r;
    r = take_envelope(s, &s->envelope);
    /* Also for the notice, which quotes it. */
    int head = read_head(s, t);
    if (r == 0)
        r = head;
    return r < 0 ? r : pass_on(s, t, s->envelope.full_name);
}

static void init(struct submission *s)
{
    s->recipients_end = &s->recipients;
    s->complaints_end = &s->complaints;
    arena_init(&s->arena, ARENA_BYTES);
    buf_init(&s->file, FILE_MAX_BYTES);
    identity_init(&s->identity, s->settings, s->backend, &s->user, &s->arena);
}

enum submission_end submission_run(struct submission *s)
{
    struct text *text = xcalloc(1, sizeof(*text)); /* too large for the stack of a fiber */

    int r = users_find(s->st.st_uid, &s->user);
    init(s);
    if (r == 0)
        r = process(s, text);
    bool is_refused = is_final(r);
    int error = r;
    if (is_refused) {
        explain(s, r);
        s->recipient_count = 0; /* nobody gets it: the notice says so */
        r = tell(s, text);
    }
    if (r < 0)
        LOG(LOG_WARNING, "pickup.later", LOG_ID("message", s->entry->id), LOG_ERR(error));
    buf_done(&text->head);
    free(text);
    buf_done(&s->file);
    arena_done(&s->arena);
    if (r < 0)
        return SUBMISSION_LATER;
    return is_refused ? SUBMISSION_REFUSED : SUBMISSION_STORED;
}
