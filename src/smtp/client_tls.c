/*
 * Encryption of the client's connection (RFC 3207): asked for where the peer offers it, demanded
 * where the caller says so. See client.h.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "rt/tls.h"
#include "smtp/client.h"
#include "smtp/client_io.h"

static int fail(struct smtp_client *c, struct smtp_client_reply *out, int error)
{
    smtp_client_give_up(c);
    *out = (struct smtp_client_reply){.stage = SMTP_CLIENT_TLS, .error = error};
    return -1;
}

/* The words of the library say more than an error number. */
static int fail_handshake(struct smtp_client *c, struct arena *arena, int error,
                          struct smtp_client_reply *out)
{
    const char *why = tls_error(&c->stream);

    (void)fail(c, out, error);
    c->has_failed_tls = error != -ECANCELED;
    if (why[0] != '\0')
        out->text = arena_str(arena, str_from_c(why));
    return -1;
}

static int shake_hands(struct smtp_client *c, struct arena *arena, struct smtp_client_reply *out)
{
    const struct smtp_client_config *config = c->config;
    const struct tls_connect_params params = {
        .host = config->tls_name, .must_verify = config->tls_policy == SMTP_CLIENT_TLS_VERIFY};

    /* Whoever speaks between the reply and the handshake is not the one we shall know (section 6).
     */
    if (stream_pending(&c->stream).len > 0)
        return fail(c, out, -EPROTO);
    stream_set_deadline(&c->stream, clock_mono_ms() + config->timeouts.command);
    int r = tls_connect(&c->stream, config->tls, &params);
    if (r < 0)
        return fail_handshake(c, arena, r, out);
    c->is_secure = true;
    c->is_verified = tls_info(&c->stream).trust == TLS_TRUST_VERIFIED;
    return 0;
}

int smtp_client_begin_tls(struct smtp_client *c, struct arena *arena, struct smtp_client_reply *out)
{
    return shake_hands(c, arena, out);
}

int smtp_client_start_tls(struct smtp_client *c, struct arena *arena, struct smtp_client_reply *out)
{
    const bool is_demanded = c->config->tls_policy >= SMTP_CLIENT_TLS_REQUIRE;
    struct smtp_reply_reader reader;

    if ((c->extensions & SMTP_EXT_STARTTLS) == 0)
        return is_demanded ? fail(c, out, -ENOTSUP) : 0;
    buf_put_str(&c->stream.out, STR("STARTTLS\r\n"));
    int r = smtp_client_read(c, SMTP_CLIENT_TLS, &reader, NULL);
    if (r < 0)
        return fail(c, out, r);
    if (reader.code < 400)
        return shake_hands(c, arena, out) < 0 ? -1 : 1;
    if (!is_demanded && reader.code != 421)
        return 0;
    *out = smtp_client_reply_from(&reader, SMTP_CLIENT_TLS, arena);
    return -1;
}

void smtp_client_describe_tls(const struct smtp_client *c, char out[SMTP_CLIENT_TLS_BYTES])
{
    struct tls_info info = tls_info(&c->stream);
    const char *trust = c->is_verified ? "verified" : "not verified";

    if (!c->is_secure)
        (void)snprintf(out, SMTP_CLIENT_TLS_BYTES, "none");
    else
        (void)snprintf(out, SMTP_CLIENT_TLS_BYTES, "%s, %s, %s", info.version, info.cipher, trust);
}
