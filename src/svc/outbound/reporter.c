/* Notices to senders: see reporter.h. */
#include "svc/outbound/reporter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/mime.h"
#include "rt/fiber.h"
#include "smtp/params.h"
#include "store/queue_wire.h"
#include "svc/outbound/worker.h"

enum {
    LOOK_AGAIN_MS = 5 * 1000, /* for messages whose other recipients are still being tried */
    HEADER_MAX_BYTES = 64 * 1024,
    REPORT_ARENA_BYTES = 8 * 1024 * 1024,
    NOTICE_PRIORITY = -1, /* after the letters of people */
};

static struct {
    struct fiber *fiber;
    bool has_work;
} reporter;

void reporter_wake(void)
{
    reporter.has_work = true;
    if (reporter.fiber != NULL)
        fiber_wake(reporter.fiber);
}

/* --- the original --- */

static int read_original(const struct queue_report_message *m, uint64_t max, struct buf *out)
{
    struct buf args, reply;
    int r = 0;

    buf_init(&args, 32);
    buf_init(&reply, QUEUE_READ_MAX_BYTES + 1024);
    while (r == 0 && out->len < max) {
        buf_reset(&args);
        buf_put_u64(&args, m->id);
        buf_put_u64(&args, out->len);
        buf_put_u32(&args, (uint32_t)MIN(max - out->len, (uint64_t)QUEUE_READ_MAX_BYTES));
        r = worker_call(STORE_QUEUE_READ, &args, &reply);
        struct cursor c = cursor_from(buf_str(&reply));
        (void)cursor_u64(&c);
        if (r < 0 || cursor_left(&c) == 0)
            break;
        buf_put_str(out, cursor_rest(&c));
    }
    buf_done(&args);
    buf_done(&reply);
    return r;
}

/* The header without the empty line that ends it. */
static struct str header_of(struct str text)
{
    for (size_t i = 0; i + 3 < text.len; i++) {
        if (memcmp(text.ptr + i, "\r\n\r\n", 4) == 0)
            return str_sub(text, 0, i + 2);
    }
    return text;
}

/* RET=FULL is for failures (RFC 3461 section 4.3), and only as far as is sensible. */
static bool wants_whole(const struct queue_report_message *m)
{
    bool has_failed = false;

    /* The notice may travel unencrypted: RFC 8689 section 5. */
    if ((m->flags & DELIVER_REQUIRETLS) != 0)
        return false;

    for (size_t i = 0; i < m->count; i++)
        has_failed |= m->recipients[i].report == QUEUE_REPORT_FAILED;
    return has_failed && m->ret == SMTP_RET_FULL && m->bytes <= DSN_ORIGINAL_MAX_BYTES;
}

/* --- the notice --- */

static enum dsn_action action_of(unsigned report)
{
    switch ((enum queue_report)report) {
    case QUEUE_REPORT_DELAYED:
        return DSN_DELAYED;
    case QUEUE_REPORT_DELIVERED:
        return DSN_DELIVERED;
    case QUEUE_REPORT_RELAYED:
        return DSN_RELAYED;
    case QUEUE_REPORT_FAILED:
    case QUEUE_REPORT_NONE:
        break;
    }
    return DSN_FAILED;
}

static void list_recipients(const struct queue_report_message *m, struct dsn_recipient *out)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct queue_report_recipient *r = &m->recipients[i];
        bool is_delayed = r->report == QUEUE_REPORT_DELAYED;
        struct str fallback = is_delayed ? STR("4.4.0") : STR("5.0.0");
        out[i] = (struct dsn_recipient){.action = action_of(r->report),
                                        .address = r->address,
                                        .orcpt = r->orcpt,
                                        .status = r->status.len > 0 ? r->status : fallback,
                                        .remote_mta = r->remote,
                                        .diagnostic = r->reply,
                                        .is_remote_words = r->is_remote_words,
                                        .last_attempt_ms = r->last_attempt_ms,
                                        .will_retry_until_ms = is_delayed ? m->expires_ms : 0};
    }
}

static unsigned languages_of(const struct queue_report_message *m)
{
    if (str_eq(m->language, STR("ja")))
        return DSN_JAPANESE;
    if (str_eq(m->language, STR("en")))
        return DSN_ENGLISH;
    switch (worker.settings->queue_languages) {
    case SETTINGS_LANGUAGES_ENGLISH:
        return DSN_ENGLISH;
    case SETTINGS_LANGUAGES_JAPANESE:
        return DSN_JAPANESE;
    default:
        return DSN_ENGLISH | DSN_JAPANESE;
    }
}

/* What goes to whom; the texts live in the arena. */
struct notice {
    uint64_t id;
    struct address to;
    bool is_for_postmaster;
    struct buf text;
    uint32_t prefix_bytes;
    struct buf summary;
    bool has_long_lines;
    struct dsn_needs needs;
};

/* ENVID travels as xtext; what cannot be decoded is left out. */
static struct str decode_envid(const struct queue_report_message *m, struct arena *arena)
{
    struct str decoded;

    return m->envid.len > 0 && smtp_xtext_decode(m->envid, arena, &decoded) ? decoded : STR("");
}

static void write_notice(const struct queue_report_message *m, struct str original, bool is_whole,
                         struct arena *arena, struct notice *n)
{
    const char *host = worker.settings->server_hostname;
    struct dsn_recipient *list = arena_alloc(arena, m->count * sizeof(*list));
    char id[ID_TEXT_CHARS + 1], notice_id[ID_TEXT_CHARS + 1];
    struct buf to;

    list_recipients(m, list);
    buf_init(&to, ADDRESS_TEXT_MAX_BYTES);
    if (n->is_for_postmaster)
        buf_printf(&to, "postmaster@%s", host);
    else
        buf_put_str(&to, m->sender);
    struct dsn d = {.languages = languages_of(m),
                    .reporting_mta = str_from_c(host),
                    .from = str_from_c(arena_printf(arena, "MAILER-DAEMON@%s", host)),
                    .to = buf_str(&to),
                    .message_id = str_from_c(id_format(m->id, id)),
                    .notice_id = str_from_c(id_format(n->id, notice_id)),
                    .envid = decode_envid(m, arena),
                    .arrival_ms = m->created_ms,
                    .release_request = m->release_request,
                    .deliver_by_ms = m->by != 0 ? m->deliver_by_ms : 0,
                    .now_ms = clock_real_ms(),
                    .is_utf8 = (m->flags & DELIVER_SMTPUTF8) != 0,
                    .is_for_postmaster = n->is_for_postmaster,
                    .may_load_charsets = true, /* outbound.c has loaded them */
                    .sender = m->sender,
                    .original = is_whole ? original : header_of(original),
                    .is_original_whole = is_whole,
                    .recipients = list,
                    .recipient_count = m->count};
    buf_put_c(&n->text, "Return-Path: <>\r\n");
    n->prefix_bytes = (uint32_t)n->text.len;
    dsn_print(&d, &n->text, &n->needs);
    buf_done(&to);
}

static void summarise(struct notice *n)
{
    struct mime_scanner *scanner = mime_scanner_new();

    mime_scanner_feed(scanner, buf_str(&n->text));
    summary_encode(mime_scanner_finish(scanner), &n->summary);
    n->has_long_lines = mime_scanner_facts(scanner)->longest_line_bytes > MIME_LINE_MAX_BYTES;
    mime_scanner_free(scanner);
}

/* --- giving it to the store --- */

static void put_settled(const struct queue_report_message *m, struct buf *out)
{
    buf_put_u64(out, m->id);
    buf_put_u32(out, (uint32_t)m->count);
    for (size_t i = 0; i < m->count; i++) {
        buf_put_u32(out, m->recipients[i].n);
        buf_put_u8(out, m->recipients[i].report);
    }
}

static uint8_t notice_flags(const struct queue_report_message *m, const struct notice *n)
{
    bool is_utf8 = n->to.is_utf8 || n->needs.is_smtputf8;

    /* What postmaster cannot be told is told nobody: there the chain ends. */
    return (uint8_t)((n->is_for_postmaster ? 0 : DELIVER_NOTICE) |
                     (n->needs.is_8bit ? DELIVER_8BIT : 0) |
                     (n->has_long_lines ? DELIVER_LONG_LINES : 0) |
                     (is_utf8 ? DELIVER_SMTPUTF8 : 0) |
                     (m->flags & DELIVER_REQUIRETLS)); /* RFC 8689 section 5 */
}

/* RFC 6710 section 4.6: as urgent as what it is about. */
static int8_t notice_priority(const struct queue_report_message *m)
{
    return (m->flags & DELIVER_HAS_PRIORITY) != 0 ? m->priority : (int8_t)NOTICE_PRIORITY;
}

/* Yields. 0 or negative errno. */
static int give(const struct queue_report_message *m, const struct notice *n, struct buf *reply)
{
    struct deliver_recipient to = {.local = n->to.local, .domain = n->to.domain, .is_relay = true};
    struct deliver_request request = {
        .message_id = n->id,
        .session_id = n->id,
        .received_ms = clock_real_ms(),
        .flags = (uint8_t)(notice_flags(m, n) | (m->flags & DELIVER_HAS_PRIORITY)),
        .priority = notice_priority(m),
        .prefix_bytes = n->prefix_bytes,
        .summary = buf_str(&n->summary),
        .text = buf_str(&n->text),
        .recipients = &to,
        .recipient_count = 1};
    struct buf args;

    buf_init(&args, WIRE_DELIVER_MAX_BYTES);
    put_settled(m, &args);
    buf_put_u8(&args, 1);
    wire_put_deliver(&args, &request);
    int r = worker_call(STORE_QUEUE_REPORT, &args, reply);
    buf_done(&args);
    return r;
}

/* Nobody can be told: the reason is forgotten, the log keeps it. Yields. */
static int forget(const struct queue_report_message *m, struct str why)
{
    struct buf args, reply;

    LOG(LOG_WARNING, "outbound.notice-undeliverable", LOG_ID("message", m->id),
        LOG_STR("sender", m->sender), LOG_STR("why", why),
        LOG_C("hint", "there is neither a sender nor a postmaster to tell: make a domain with a "
                      "postmaster"));
    buf_init(&args, 4096);
    buf_init(&reply, 1024);
    put_settled(m, &args);
    buf_put_u8(&args, 0);
    int r = worker_call(STORE_QUEUE_REPORT, &args, &reply);
    buf_done(&args);
    buf_done(&reply);
    return r;
}

/* To the sender; to postmaster when the sender is nobody or cannot be reached here. Yields. */
static int report_to(const struct queue_report_message *m, struct str original, bool is_whole,
                     bool is_for_postmaster, struct arena *arena)
{
    struct notice n = {.id = id_make(&worker.ids), .is_for_postmaster = is_for_postmaster};
    struct buf reply;
    int r = 0;

    n.to = (struct address){.local = STR("postmaster"), .domain = STR("")};
    if (!is_for_postmaster &&
        address_parse(m->sender, ADDRESS_MAY_BE_UTF8, arena, &n.to) != ADDRESS_OK)
        r = -EINVAL;
    buf_init(&n.text, DSN_MAX_BYTES + 64);
    buf_init(&n.summary, SUMMARY_MAX_BYTES);
    buf_init(&reply, 4096);
    if (r == 0) {
        write_notice(m, original, is_whole, arena, &n);
        summarise(&n);
        r = give(m, &n, &reply);
    }
    if (r == 0)
        LOG(LOG_INFO, "outbound.notice", LOG_ID("message", m->id), LOG_ID("notice", n.id),
            LOG_STR("to", is_for_postmaster ? STR("postmaster") : m->sender),
            LOG_INT("recipients", m->count));
    else if (r != -ECANCELED && is_for_postmaster)
        r = forget(m, buf_str(&reply));
    buf_done(&reply);
    buf_done(&n.text);
    buf_done(&n.summary);
    return r;
}

static int report(const struct queue_report_message *m, struct arena *arena)
{
    bool is_whole = wants_whole(m);
    struct buf original;

    buf_init(&original, DSN_ORIGINAL_MAX_BYTES + 1);
    int r = read_original(m, is_whole ? m->bytes : MIN(m->bytes, (uint64_t)HEADER_MAX_BYTES),
                          &original);
    /* Damaged or gone: the notice is more important than what it quotes. */
    if (r != -ECANCELED)
        r = report_to(m, buf_str(&original), is_whole && r == 0, m->sender.len == 0, arena);
    if (r < 0 && r != -ECANCELED && m->sender.len > 0)
        r = report_to(m, buf_str(&original), is_whole, true, arena);
    buf_done(&original);
    return r;
}

/* All that is to be reported now. Yields. How many there were, or negative errno. */
static int report_some(void)
{
    struct queue_report_message m = {.id = 0};
    struct buf args, reply;
    struct arena arena;
    int count = 0;

    buf_init(&args, 16);
    buf_init(&reply, WORKER_CALL_MAX_BYTES);
    arena_init(&arena, REPORT_ARENA_BYTES);
    int r = worker_call(STORE_QUEUE_REPORTS, &args, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    while (r >= 0 && (r = queue_next_report(&c, &arena, &m)) > 0) {
        count++;
        int done = report(&m, &arena);
        arena_done(&arena);
        r = done < 0 ? done : r;
    }
    arena_done(&arena);
    buf_done(&args);
    buf_done(&reply);
    return r < 0 ? r : count;
}

static void run_reporter(void *arg)
{
    int r = 0;

    (void)arg;
    reporter.fiber = fiber_self();
    while (r != -ECANCELED && !worker.is_draining) {
        reporter.has_work = false;
        r = report_some();
        if (r < 0 && r != -ECANCELED)
            LOG(LOG_ERROR, "outbound.report-failed", LOG_ERR(r));
        if (r <= 0 && r != -ECANCELED && !reporter.has_work)
            r = fiber_park(clock_mono_ms() + LOOK_AGAIN_MS);
    }
    reporter.fiber = NULL;
}

int reporter_start(void)
{
    return fiber_spawn(&worker.services, "reporter", run_reporter, NULL);
}
