/*
 * The loop of an SMTP server session: read a line, find the command, look at its flags, run it,
 * send the reply. The only place that sends, logs and counts replies. See session.h.
 */
#include "smtp/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "smtp/commands.h"
#include "smtp/intake.h"

enum { LONG_LINE_DROP_BYTES = 1024 * 1024, LOG_TEXT_BYTES = 200 };

void smtp_transaction_reset(struct smtp_session *s)
{
    struct smtp_transaction *t = &s->transaction;

    smtp_intake_drop(s);
    arena_done(&t->arena);
    *t = (struct smtp_transaction){0};
    arena_init(&t->arena, SMTP_TRANSACTION_ARENA_BYTES);
    t->recipients_end = &t->recipients;
}

void smtp_login_reset(struct smtp_session *s)
{
    if (s->login.account != 0)
        s->backend->logged_out(s->backend->arg, s->id);
    free(s->login.address);
    free(s->login.mechanism);
    s->login = (struct smtp_login){0};
}

bool smtp_lacks_tls(const struct smtp_session *s)
{
    const struct settings *settings = s->policy->settings;

    if (!s->is_submission || s->is_secure || !settings->submission_require_tls)
        return false;
    return !settings->submission_plaintext_on_loopback || !ip_is_loopback(&s->peer);
}

size_t smtp_max_recipients(const struct smtp_session *s)
{
    return MIN((size_t)s->policy->settings->smtp_max_recipients, (size_t)SMTP_RECIPIENTS_MAX);
}

/* What the trace is asked for: the message if there is one, else the session. */
static uint64_t trace_ref(const struct smtp_session *s)
{
    return s->transaction.intake.is_open ? s->transaction.intake.message_id : s->id;
}

static void log_refusal(struct smtp_session *s, const char *stage, const struct reply *reply)
{
    const struct address *sender = &s->transaction.sender;

    LOG(LOG_INFO, "smtp.refused", LOG_ID("session", s->id), LOG_ID("ref", trace_ref(s)),
        LOG_C("peer", s->peer_text), LOG_C("stage", stage), LOG_INT("code", reply->code),
        LOG_C("enhanced", reply->enhanced),
        LOG_STR("text", str_sub(str_from_c(reply->text), 0, LOG_TEXT_BYTES)),
        LOG_STR("sender", s->transaction.has_mail ? sender->raw : STR_NONE));
}

/* The beginning of a text, without half a character at its end. */
static struct str cut(struct str text)
{
    struct str head = str_sub(text, 0, SMTP_TRACE_TEXT_BYTES);

    while (head.len < text.len && head.len > 0 &&
           ((unsigned char)text.ptr[head.len] & 0xc0) == 0x80)
        head.len--;
    return head;
}

static struct smtp_refusal describe(const struct smtp_session *s, const char *event)
{
    struct str sender = s->transaction.has_mail ? s->transaction.sender.raw : STR("");

    return (struct smtp_refusal){
        .event = event,
        .ref = trace_ref(s),
        .session_id = s->id,
        .peer_text = str_from_c(s->peer_text),
        .helo = cut(str_from_c(s->helo)),
        .sender = cut(sender),
        .login = str_from_c(s->login.account != 0 ? s->login.address : ""),
    };
}

/* A whole message is found in the trace by the first of its recipients. */
static struct str print_first_recipient(const struct smtp_session *s, struct buf *out)
{
    if (s->transaction.recipients != NULL)
        address_print(&s->transaction.recipients->address, out);
    return buf_str(out);
}

/* A client that is refused all the time shall not fill the trace. */
static void trace_refusal(struct smtp_session *s, const char *stage, const struct reply *reply)
{
    struct smtp_refusal refusal = describe(s, "refused");
    struct buf printed;

    if (s->traced_refusal_count >= SMTP_TRACED_REFUSALS_MAX)
        return;
    s->traced_refusal_count++;
    refusal.stage = stage;
    refusal.reply = reply;
    refusal.recipient = reply->recipient;
    if (!s->transaction.has_mail)
        refusal.sender = cut(reply->sender);
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    if (refusal.recipient.len == 0 && s->transaction.intake.is_open)
        refusal.recipient = print_first_recipient(s, &printed);
    s->backend->refused(s->backend->arg, &refusal);
    buf_done(&printed);
}

/* The client thinks, or will find out, that its message was not taken. */
static void note_lost(struct smtp_session *s)
{
    const struct smtp_transaction *t = &s->transaction;
    struct smtp_refusal lost = describe(s, "lost");
    struct buf printed;

    LOG(LOG_INFO, "smtp.lost", LOG_ID("session", s->id), LOG_ID("ref", lost.ref),
        LOG_C("peer", s->peer_text), LOG_STR("sender", t->sender.raw),
        LOG_INT("recipients", t->recipient_count), LOG_INT("bytes", t->intake.bytes));
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    lost.recipient = print_first_recipient(s, &printed);
    lost.recipient_count = t->recipient_count;
    lost.bytes = t->intake.bytes;
    s->backend->refused(s->backend->arg, &lost);
    buf_done(&printed);
}

int smtp_send_now(struct smtp_session *s, const struct reply *reply)
{
    struct buf out;

    buf_init(&out, 16 * 1024);
    reply_print(reply, &out);
    int r = stream_write(s->stream, buf_str(&out));
    buf_done(&out);
    return r;
}

/* Yields. 0 or negative errno. */
static int send_reply(struct smtp_session *s, const char *stage, const struct reply *reply)
{
    if (reply->code == 0)
        return 0;
    if (reply_is_failure(reply)) {
        log_refusal(s, stage, reply);
        if (!reply->is_forgiven) {
            s->error_count++;
            trace_refusal(s, stage, reply);
        }
    }
    if (reply->is_last)
        s->has_ended = true;
    return smtp_send_now(s, reply);
}

static struct reply check_flags(struct smtp_session *s, const struct smtp_command *command,
                                struct str args)
{
    const struct smtp_transaction *t = &s->transaction;

    if ((command->flags & SMTP_NEEDS_HELLO) && !s->has_hello)
        return reply_of(503, "5.5.1", "Say EHLO first");
    if ((command->flags & SMTP_NOT_IN_CHUNKS) && t->intake.is_open)
        return reply_of(503, "5.5.1", "A message is under way: send BDAT ... LAST or RSET");
    if ((command->flags & SMTP_NEEDS_MAIL) && !t->has_mail)
        return reply_of(503, "5.5.1", "Say MAIL FROM first");
    if ((command->flags & SMTP_NEEDS_RECIPIENT) && t->recipient_count == 0)
        return reply_of(554, "5.5.1", "There is no valid recipient");
    if ((command->flags & SMTP_TAKES_NO_ARGS) && args.len > 0)
        return reply_of(501, "5.5.4", "This command takes no argument");
    return reply_of(0, "", "");
}

static bool has_control(struct str line)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

/* Runs one command line (without CRLF). Yields. */
static struct reply run_line(struct smtp_session *s, struct str line, const char **out_stage)
{
    struct str verb, args;

    *out_stage = "command";
    if (has_control(line))
        return reply_of(500, "5.5.2", "A command has no control characters");
    (void)str_cut(line, ' ', &verb, &args);
    const struct smtp_command *command = smtp_command_find(verb);
    if (command == NULL && smtp_command_is_foreign(verb))
        return reply_last(reply_of(502, "5.7.0", "This is a mail server, not HTTP; closing"));
    if (command == NULL)
        return reply_of(500, "5.5.2", "Unknown command; HELP lists those there are");
    *out_stage = command->verb;
    struct reply refusal = check_flags(s, command, str_trim(args));
    return refusal.code != 0 ? refusal : command->run(s, str_trim(args));
}

static struct reply too_long(struct smtp_session *s)
{
    int r = stream_skip_line(s->stream, LONG_LINE_DROP_BYTES);

    if (r < 0)
        return reply_last(reply_of(500, "5.5.6", "Line too long"));
    return reply_printf(&s->command_arena, 500, "5.5.6", "Line too long: at most %d bytes",
                        s->policy->settings->smtp_max_command_length);
}

struct reply smtp_explain_read(struct smtp_session *s, int error)
{
    switch (error) {
    case -EMSGSIZE:
        return too_long(s);
    case -ETIMEDOUT:
        s->is_lost = true;
        return reply_last(reply_of(421, "4.4.2", "Timeout: no command came; closing"));
    case -EBADMSG:
        return reply_last(reply_of(500, "5.5.2", "A line ends in CR LF, not in LF alone; closing"));
    case -ECANCELED:
    case -EINTR:
        return reply_last(
            reply_of(421, "4.3.2", "The server is being stopped; try again in a moment"));
    default:
        s->is_lost = s->has_ended = true;
        return reply_of(0, "", "");
    }
}

int smtp_read_line(struct smtp_session *s, size_t max_bytes, struct str *out_line)
{
    const struct settings *settings = s->policy->settings;

    stream_set_deadline(s->stream, clock_mono_ms() + settings->smtp_command_timeout);
    int r = stream_read_line(s->stream, max_bytes, out_line);
    if (r < 0)
        return r;
    bool has_crlf = out_line->len >= 2 && out_line->ptr[out_line->len - 2] == '\r';
    if (!has_crlf && settings->smtp_bare_newline == SETTINGS_BARE_NEWLINE_REFUSE)
        return -EBADMSG;
    *out_line = str_sub(*out_line, 0, out_line->len - (has_crlf ? 2 : 1));
    return 0;
}

static bool is_idle(const struct smtp_session *s)
{
    return !s->transaction.has_mail && stream_pending(s->stream).len == 0;
}

/* An initial response may be long (RFC 4954 section 4). */
static size_t max_line_bytes(const struct smtp_session *s)
{
    size_t max = (size_t)s->policy->settings->smtp_max_command_length;

    return s->auth.backend != NULL ? MAX(max, (size_t)SMTP_AUTH_LINE_MAX_BYTES) : max;
}

/* Reads a command and answers it. Yields. */
static struct reply serve_command(struct smtp_session *s, const char **out_stage)
{
    const struct settings *settings = s->policy->settings;
    struct str line;

    *out_stage = "command";
    if (*s->is_draining && is_idle(s))
        return smtp_explain_read(s, -EINTR);
    fiber_set_interruptible(is_idle(s));
    int r = smtp_read_line(s, max_line_bytes(s), &line);
    fiber_set_interruptible(false);
    if (r < 0)
        return smtp_explain_read(s, r);
    if (++s->command_count > (unsigned)settings->smtp_max_commands)
        return reply_last(reply_of(421, "4.7.0", "Too many commands; closing"));
    return run_line(s, line, out_stage);
}

/* RFC 5321 section 4.3.1: the client waits for the greeting. Who does not is no mail server, or
 * somebody's browser that was made to speak for another. */
static int greet(struct smtp_session *s)
{
    struct reply greeting =
        reply_printf(&s->command_arena, 220, "", "%s ESMTP %s",
                     s->policy->settings->server_hostname, s->policy->settings->smtp_banner_text);

    if (stream_has_input(s->stream))
        greeting = reply_last(reply_of(554, "5.5.1", "You spoke before the greeting; closing"));
    return send_reply(s, "connect", &greeting);
}

static bool has_too_many_errors(const struct smtp_session *s, const struct reply *reply)
{
    return reply_is_failure(reply) && !reply->is_forgiven && !reply->is_last &&
           s->error_count + 1 > (unsigned)s->policy->settings->smtp_max_errors;
}

static void serve(struct smtp_session *s)
{
    int r = greet(s);

    while (r == 0 && !s->has_ended) {
        const char *stage;
        struct reply reply = serve_command(s, &stage);
        if (has_too_many_errors(s, &reply))
            reply = reply_last(reply_of(421, "4.7.0", "Too many errors; closing"));
        r = send_reply(s, stage, &reply);
        arena_wipe(&s->command_arena); /* AUTH may have left a password there */
        if (s->transaction.is_over)
            smtp_transaction_reset(s);
    }
    if ((s->is_lost || r < 0) && s->transaction.has_mail)
        note_lost(s);
}

static void init_session(struct smtp_session *s, const struct smtp_session_config *config)
{
    *s = (struct smtp_session){.backend = config->backend,
                               .policy = config->policy,
                               .stream = config->stream,
                               .is_draining = config->is_draining,
                               .peer = config->peer,
                               .is_submission = config->is_submission,
                               .is_implicit = config->is_secure,
                               .tls = config->tls,
                               .is_secure = config->is_secure,
                               .auth = config->auth,
                               .id = config->backend->make_id(config->backend->arg)};
    ip_print(&config->peer, s->peer_text);
    ip_print(&config->local, s->local_text);
    s->may_relay = smtp_policy_may_relay(config->policy, &config->peer);
    arena_init(&s->command_arena, SMTP_COMMAND_ARENA_BYTES);
    arena_init(&s->transaction.arena, SMTP_TRANSACTION_ARENA_BYTES);
    s->transaction.recipients_end = &s->transaction.recipients;
}

void smtp_session_run(const struct smtp_session_config *config)
{
    struct smtp_session s;

    init_session(&s, config);
    LOG(LOG_DEBUG, "smtp.connected", LOG_ID("session", s.id), LOG_C("peer", s.peer_text));
    serve(&s);
    LOG(LOG_DEBUG, "smtp.closed", LOG_ID("session", s.id), LOG_C("peer", s.peer_text),
        LOG_INT("commands", s.command_count), LOG_INT("messages", s.transaction_count),
        LOG_INT("errors", s.error_count));
    smtp_transaction_reset(&s);
    arena_done(&s.transaction.arena);
    arena_done(&s.command_arena);
    smtp_login_reset(&s);
    free(s.helo);
}
