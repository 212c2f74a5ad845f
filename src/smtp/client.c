/* The sending side of SMTP: see client.h. Here are the connection's beginning and end, and the
 * reading of replies; client_send.c holds the transaction. */
#include "smtp/client.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "smtp/client_io.h"

enum { QUIT_WAIT_MS = 3000 };

const char *smtp_client_stage_name(enum smtp_client_stage stage)
{
    static const char *const names[] = {
        [SMTP_CLIENT_CONNECT] = "connect",  [SMTP_CLIENT_GREETING] = "greeting",
        [SMTP_CLIENT_EHLO] = "EHLO",        [SMTP_CLIENT_TLS] = "STARTTLS",
        [SMTP_CLIENT_AUTH] = "AUTH",        [SMTP_CLIENT_MAIL] = "MAIL",
        [SMTP_CLIENT_RCPT] = "RCPT",        [SMTP_CLIENT_DATA] = "DATA",
        [SMTP_CLIENT_BODY] = "end of data", [SMTP_CLIENT_RSET] = "RSET",
        [SMTP_CLIENT_QUIT] = "QUIT",
    };

    ASSERT((size_t)stage < ARRAY_LEN(names));
    return names[stage];
}

void smtp_client_give_up(struct smtp_client *c)
{
    c->is_usable = false;
    c->may_quit = false;
}

void smtp_client_drop_output(struct smtp_client *c)
{
    stream_drop_output(&c->stream);
    c->has_dropped_output = true;
    c->may_quit = false;
}

/* RFC 5321 section 4.5.3.2. */
static int64_t stage_timeout_ms(const struct smtp_client *c, enum smtp_client_stage stage)
{
    const struct smtp_client_timeouts *t = &c->config->timeouts;

    switch (stage) {
    case SMTP_CLIENT_GREETING:
        return t->greeting;
    case SMTP_CLIENT_DATA:
        return t->data;
    case SMTP_CLIENT_BODY:
        return t->final;
    case SMTP_CLIENT_QUIT:
        return MIN(t->command, (int64_t)QUIT_WAIT_MS);
    default:
        return t->command;
    }
}

static int read_line(struct smtp_client *c, struct str *out_line)
{
    for (;;) {
        int r = stream_read_line(&c->stream, SMTP_CLIENT_LINE_MAX_BYTES, out_line);
        if (r == -EINTR) /* meant for idle waits */
            continue;
        if (r >= 0 || r == -ECANCELED)
            return r;
        /* A peer that closed on us, or does not read on, may have said why before. */
        bool is_stuck = r == -ETIMEDOUT && stream_has_output(&c->stream);
        if ((c->stream.error == 0 && !is_stuck) || !stream_has_input(&c->stream))
            return r == -ENODATA || r == -EPIPE ? -ECONNRESET : r;
        smtp_client_drop_output(c);
    }
}

static int read_lines(struct smtp_client *c, struct smtp_reply_reader *reader,
                      struct smtp_ehlo *ehlo)
{
    struct str line;
    int r;

    smtp_reply_begin(reader);
    do {
        r = read_line(c, &line);
        if (r == 0)
            r = smtp_reply_take_line(reader, line);
        if (r >= 0 && ehlo != NULL && reader->line_count > 1)
            smtp_ehlo_take_line(ehlo, reader->words);
    } while (r == 0);
    return r < 0 ? r : 0;
}

/* A positive intermediate reply is due to DATA and nowhere else: elsewhere the peer waits for
 * something that we do not have (RFC 5321 section 4.2.1), and 2yz to DATA means that it does not
 * wait for the text. Both ends disagree about the state, so the connection cannot go on. */
static bool is_due(enum smtp_client_stage stage, uint16_t code)
{
    if (stage == SMTP_CLIENT_AUTH && code == 334)
        return true;
    return code >= 400 || (code >= 300) == (stage == SMTP_CLIENT_DATA);
}

int smtp_client_read(struct smtp_client *c, enum smtp_client_stage stage,
                     struct smtp_reply_reader *reader, struct smtp_ehlo *ehlo)
{
    /* One deadline for all of the reply: dripping does not prolong it. */
    stream_set_deadline(&c->stream, clock_mono_ms() + stage_timeout_ms(c, stage));
    int r = read_lines(c, reader, ehlo);
    if (r == 0 && !is_due(stage, reader->code))
        r = -EPROTO;
    if (r < 0 || reader->code == 421 || c->has_dropped_output)
        smtp_client_give_up(c);
    return r;
}

struct smtp_client_reply smtp_client_reply_from(const struct smtp_reply_reader *reader,
                                                enum smtp_client_stage stage, struct arena *arena)
{
    struct smtp_client_reply reply = {.stage = stage, .code = reader->code};

    memcpy(reply.enhanced, reader->enhanced, sizeof(reply.enhanced));
    reply.text = arena_str(arena, str_from_mem(reader->text, reader->text_len));
    return reply;
}

struct smtp_client_reply smtp_client_error_from(const struct smtp_reply_reader *reader,
                                                enum smtp_client_stage stage, int error,
                                                struct arena *arena)
{
    struct smtp_client_reply reply = {.stage = stage, .error = error};
    struct str said = str_from_mem(reader->text, reader->text_len);

    if (error != -EPROTO)
        return reply;
    if (reader->code != 0)
        said = str_from_c(arena_printf(arena, "%u %.*s", reader->code, STR_ARG(said)));
    reply.text = arena_str(arena, said);
    return reply;
}

/* The name a peer gives itself: the first word of its greeting or EHLO reply. */
static void note_name(struct smtp_client *c, struct str words)
{
    struct str name, rest;

    (void)str_cut(str_trim(words), ' ', &name, &rest);
    if (name.len == 0)
        return;
    size_t len = smtp_reply_clean(name, c->peer_name, sizeof(c->peer_name) - 1);
    c->peer_name[len] = '\0';
}

/* Reads the reply of a stage before the first transaction: 0 if it is positive; else -1 and *out.
 */
static int read_positive(struct smtp_client *c, struct smtp_ehlo *ehlo, struct arena *arena,
                         struct smtp_client_reply *out)
{
    struct smtp_reply_reader reader;
    enum smtp_client_stage stage = out->stage;

    int r = smtp_client_read(c, stage, &reader, ehlo);
    if (r < 0) {
        *out = smtp_client_error_from(&reader, stage, r, arena);
        return -1;
    }
    *out = smtp_client_reply_from(&reader, stage, arena);
    if (reader.code >= 400)
        return -1;
    struct str first, rest;
    (void)str_cut(out->text, '\n', &first, &rest);
    note_name(c, first);
    return 0;
}

static void put_hello(struct smtp_client *c, const char *verb)
{
    buf_put_c(&c->stream.out, verb);
    buf_put_c(&c->stream.out, c->config->ehlo_name);
    buf_put_str(&c->stream.out, STR("\r\n"));
}

/* RFC 5321 section 4.1.1.1: a server that does not know EHLO still has to know HELO. */
static int say_helo(struct smtp_client *c, struct arena *arena, struct smtp_client_reply *out)
{
    struct smtp_client_reply refusal = *out;

    put_hello(c, "HELO ");
    *out = (struct smtp_client_reply){.stage = SMTP_CLIENT_EHLO};
    int r = read_positive(c, NULL, arena, out);
    /* What the peer said counts for more than that it went away. */
    if (r < 0 && out->code == 0 && out->error != -ECANCELED && refusal.code != 0)
        *out = refusal;
    return r;
}

static int say_hello(struct smtp_client *c, struct arena *arena, struct smtp_client_reply *out)
{
    struct smtp_ehlo ehlo = {.extensions = 0};

    *out = (struct smtp_client_reply){.stage = SMTP_CLIENT_EHLO};
    if (c->config->only_helo)
        return say_helo(c, arena, out);
    put_hello(c, "EHLO ");
    if (read_positive(c, &ehlo, arena, out) < 0)
        return out->code >= 500 ? say_helo(c, arena, out) : -1;
    c->is_esmtp = true;
    c->extensions = ehlo.extensions & ~c->config->distrusted;
    c->auth_mechanisms = ehlo.auth_mechanisms;
    c->max_size = c->extensions & SMTP_EXT_SIZE ? ehlo.max_size : 0;
    c->max_recipients = ehlo.max_recipients;
    c->max_messages = ehlo.max_messages;
    c->min_by_s = ehlo.min_by_s;
    return 0;
}

/* After EHLO, and then once more: what a peer says before TLS counts no more (RFC 3207
 * section 4.2).
 */
static int secure(struct smtp_client *c, struct arena *arena, struct smtp_client_reply *out)
{
    if (c->is_secure || c->config->tls_policy == SMTP_CLIENT_TLS_NEVER)
        return 0;
    int r = smtp_client_start_tls(c, arena, out);
    if (r <= 0)
        return r;
    c->extensions = 0;
    return say_hello(c, arena, out);
}

static int begin(struct smtp_client *c, struct arena *arena, struct smtp_client_reply *out)
{
    if (c->config->is_tls_at_once && smtp_client_begin_tls(c, arena, out) < 0)
        return -1;
    *out = (struct smtp_client_reply){.stage = SMTP_CLIENT_GREETING};
    if (read_positive(c, NULL, arena, out) < 0 || say_hello(c, arena, out) < 0)
        return -1;
    int r = secure(c, arena, out);
    return r < 0 ? r : smtp_client_authenticate(c, arena, out);
}

int smtp_client_open(struct smtp_client *c, int fd, const struct smtp_client_config *config,
                     struct arena *arena, struct smtp_client_reply *out)
{
    *c = (struct smtp_client){.config = config, .may_quit = true};
    int r = stream_init(&c->stream, fd);
    if (r < 0) {
        smtp_client_give_up(c);
        *out = (struct smtp_client_reply){.stage = SMTP_CLIENT_CONNECT, .error = r};
        return -1;
    }
    if (begin(c, arena, out) < 0)
        return -1;
    c->is_usable = true;
    return 0;
}

bool smtp_client_is_alive(const struct smtp_client *c)
{
    return c->is_usable && stream_is_quiet(&c->stream);
}

void smtp_client_close(struct smtp_client *c)
{
    struct smtp_reply_reader reader;

    if (c->may_quit) {
        buf_put_str(&c->stream.out, STR("QUIT\r\n"));
        (void)!smtp_client_read(c, SMTP_CLIENT_QUIT, &reader, NULL);
        stream_end_now(&c->stream);
    }
    smtp_client_give_up(c);
    stream_done(&c->stream);
}

void smtp_client_leave(struct smtp_client *c)
{
    /* Nothing is on its way to the peer, so that this little has room in the socket. */
    if (c->may_quit) {
        buf_put_str(&c->stream.out, STR("QUIT\r\n"));
        stream_end_now(&c->stream);
    }
    smtp_client_give_up(c);
    stream_done(&c->stream);
}
