/* The client logs in (RFC 4954), before its first transaction. See client.h. */
#include <errno.h>
#include <string.h>

#include "rt/tls.h"
#include "sasl/client.h"
#include "smtp/client.h"
#include "smtp/client_io.h"

/* What the TLS connection gives for channel binding. */
struct binding_bytes {
    uint8_t exporter[TLS_EXPORTER_BYTES];
    uint8_t end_point[TLS_END_POINT_MAX_BYTES];
};

static void bind_channel(const struct smtp_client *c, struct binding_bytes *bytes,
                         struct sasl_bindings *out)
{
    if (!c->is_secure)
        return;
    if (tls_exporter(&c->stream, bytes->exporter) == 0)
        out->data[SASL_BINDING_TLS_EXPORTER] =
            str_from_mem(bytes->exporter, sizeof(bytes->exporter));
    int count = tls_server_end_point(&c->stream, bytes->end_point);
    if (count > 0)
        out->data[SASL_BINDING_TLS_SERVER_END_POINT] =
            str_from_mem(bytes->end_point, (size_t)count);
}

static int fail(struct smtp_client *c, const char *why, struct arena *arena,
                struct smtp_client_reply *out)
{
    smtp_client_give_up(c);
    *out = (struct smtp_client_reply){.stage = SMTP_CLIENT_AUTH, .error = -EACCES};
    out->text = arena_str(arena, str_from_c(why));
    return -1;
}

static void put_line(struct smtp_client *c, const struct buf *line)
{
    buf_put_str(&c->stream.out, buf_str(line));
    buf_put_c(&c->stream.out, "\r\n");
}

/* The server's word on the whole: 0 when both are content. */
static int conclude(struct smtp_client *c, struct sasl_client *sasl,
                    const struct smtp_reply_reader *reader, struct arena *arena,
                    struct smtp_client_reply *out)
{
    if (reader->code >= 400) {
        *out = smtp_client_reply_from(reader, SMTP_CLIENT_AUTH, arena);
        return -1;
    }
    return sasl_client_is_done(sasl) ? 0 : fail(c, sasl_client_problem(sasl), arena, out);
}

/* Answers challenges until the server has decided. Yields. */
static int converse(struct smtp_client *c, struct sasl_client *sasl, struct arena *arena,
                    struct smtp_client_reply *out)
{
    struct smtp_reply_reader reader;
    struct buf line;

    buf_init(&line, SASL_CLIENT_LINE_MAX_BYTES);
    int r = smtp_client_read(c, SMTP_CLIENT_AUTH, &reader, NULL);
    while (r == 0 && reader.code == 334) {
        struct str challenge = str_from_mem(reader.text, reader.text_len);
        if (sasl_client_step(sasl, challenge, &line) == SASL_CLIENT_CANCEL) {
            buf_reset(&line);
            buf_put_c(&line, "*");
        }
        put_line(c, &line);
        r = smtp_client_read(c, SMTP_CLIENT_AUTH, &reader, NULL);
    }
    if (line.ptr != NULL)
        explicit_bzero(line.ptr, line.cap);
    buf_done(&line);
    if (r < 0) {
        *out = smtp_client_error_from(&reader, SMTP_CLIENT_AUTH, r, arena);
        return -1;
    }
    return conclude(c, sasl, &reader, arena, out);
}

static int begin(struct smtp_client *c, struct sasl_client *sasl, enum sasl_mechanism mechanism,
                 struct arena *arena, struct smtp_client_reply *out)
{
    struct str name = sasl_mechanism_name(mechanism);
    struct buf line;

    buf_init(&line, SASL_CLIENT_LINE_MAX_BYTES);
    enum sasl_client_outcome outcome =
        sasl_client_start(sasl, mechanism, c->auth_mechanisms, &line);
    int r = outcome == SASL_CLIENT_CANCEL ? fail(c, sasl_client_problem(sasl), arena, out) : 0;
    if (r == 0) {
        buf_printf(&c->stream.out, "AUTH %.*s", STR_ARG(name));
        if (outcome == SASL_CLIENT_SEND)
            buf_printf(&c->stream.out, " %s", line.len > 0 ? buf_c_str(&line) : "=");
        buf_put_c(&c->stream.out, "\r\n");
        r = converse(c, sasl, arena, out);
    }
    if (line.ptr != NULL)
        explicit_bzero(line.ptr, line.cap);
    buf_done(&line);
    return r;
}

int smtp_client_authenticate(struct smtp_client *c, struct arena *arena,
                             struct smtp_client_reply *out)
{
    const struct smtp_client_config *config = c->config;
    struct sasl_client_login login = {
        .authcid = config->username, .password = config->password, .is_encrypted = c->is_secure};
    struct binding_bytes bytes;
    enum sasl_mechanism mechanism;

    if (config->username.len == 0)
        return 0;
    bind_channel(c, &bytes, &login.bindings);
    if (!sasl_client_choose(&login, c->auth_mechanisms, &mechanism))
        return fail(c, "the server offers no way to log in that we may use", arena, out);
    struct sasl_client *sasl = sasl_client_new(&login);
    int r = begin(c, sasl, mechanism, arena, out);
    sasl_client_free(sasl);
    return r;
}
