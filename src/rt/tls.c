/*
 * TLS as a layer of a stream: see tls.h and stream_layer.h.
 *
 * The library reads from the socket and writes into a buffer that the stream sends: so it never
 * stops in the middle of a record, and what it says while reading (alerts, new keys) goes out
 * before anybody waits. Its queue of errors belongs to the thread, not to the connection: it is
 * emptied before each call, and nothing yields between a call and the look at its errors.
 */
#include "rt/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "rt/tls_internal.h"

enum {
    WIRE_MAX_BYTES = 1024 * 1024, /* a call of the library makes less, whatever the peer sends */
    SEAL_BYTES = 64 * 1024,       /* as much goes out with one system call */
    READS_PER_CALL = 16,
    ALERT_REASONS = 1000, /* SSL_AD_REASON_OFFSET: from here on it is the peer who complains */
};

/* --- the library's way to the socket --- */

static int wire_write(BIO *bio, const char *bytes, int len)
{
    struct tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (t->layer.is_mute)
        return len;
    buf_put(&t->layer.wire, bytes, (size_t)len);
    return buf_status(&t->layer.wire) == 0 ? len : -1;
}

static int wire_read(BIO *bio, char *to, int room)
{
    struct tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    ssize_t n = -EAGAIN;
    if (t->stream->may_read && t->reads_left > 0) {
        t->reads_left--;
        n = stream_socket_recv(t->stream, to, (size_t)room);
    }
    if (n == -EAGAIN) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n == 0)
        t->has_raw_end = true;
    if (n < 0)
        t->socket_error = (int)n;
    return n < 0 ? -1 : (int)n;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls *t = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return t->has_raw_end;
    return command == BIO_CTRL_FLUSH;
}

static BIO *open_wire(struct tls *t)
{
    static BIO_METHOD *method;

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
        ASSERT(method != NULL && BIO_meth_set_write(method, wire_write) == 1 &&
               BIO_meth_set_read(method, wire_read) == 1 &&
               BIO_meth_set_ctrl(method, wire_control) == 1);
    }
    BIO *bio = BIO_new(method);
    ASSERT(bio != NULL);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- what calls of the library mean --- */

static void begin_call(struct tls *t)
{
    ERR_clear_error();
    t->reads_left = READS_PER_CALL;
}

/* The first error is the cause; the others are who passed it on. */
static void note_error_text(struct tls *t)
{
    unsigned long error = ERR_peek_error();
    const char *who = ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) > ALERT_REASONS
                          ? "the peer says: "
                          : "";
    bool is_trust = ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    const char *reason = tls_error_reason();
    long result = SSL_get_verify_result(t->ssl);

    if (t->error_text != NULL)
        return;
    t->error_text = xasprintf("%s%.100s%s%.100s", who, reason, is_trust ? ": " : "",
                              is_trust ? X509_verify_cert_error_string(result) : "");
    tls_make_printable(t->error_text);
}

/* Sticky, but for -EAGAIN: what the library cannot go on after. */
static int fail(struct tls *t, int error)
{
    t->error = error;
    return error;
}

/* What became of a call that did not succeed: 0: the peer ended; -EAGAIN; or an error for good. */
static int judge(struct tls *t, int result)
{
    int why = SSL_get_error(t->ssl, result);

    if (why == SSL_ERROR_WANT_READ)
        return -EAGAIN;
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (t->socket_error < 0)
        return fail(t, t->socket_error);
    if (t->has_raw_end) {
        if (t->error_text == NULL)
            t->error_text = xstrdup("the connection ended without a word");
        return fail(t, -ECONNABORTED);
    }
    note_error_text(t);
    return fail(t, buf_status(&t->layer.wire) < 0 ? -ENOBUFS : -EPROTO);
}

/* --- the layer --- */

static struct tls *from_layer(struct stream_layer *l)
{
    return CONTAINER_OF(l, struct tls, layer);
}

static ssize_t tls_open(struct stream_layer *l, char *to, size_t room)
{
    struct tls *t = from_layer(l);

    if (t->error < 0)
        return t->error;
    begin_call(t);
    int n = SSL_read(t->ssl, to, (int)room);
    return n > 0 ? n : judge(t, n);
}

static ssize_t tls_look(struct stream_layer *l)
{
    struct tls *t = from_layer(l);
    char first;

    if (t->error < 0)
        return t->error;
    begin_call(t);
    int n = SSL_peek(t->ssl, &first, 1);
    return n > 0 ? n : judge(t, n);
}

static bool tls_has_buffered(struct stream_layer *l)
{
    return SSL_has_pending(from_layer(l)->ssl) == 1;
}

/* What of `text` has become records; less than all only when there is enough for one call. */
static ssize_t seal_text(struct tls *t, struct str text)
{
    size_t done = 0;

    while (done < text.len && t->layer.wire.len < SEAL_BYTES) {
        size_t part = MIN(text.len - done, (size_t)SEAL_BYTES);
        begin_call(t);
        int n = SSL_write(t->ssl, text.ptr + done, (int)part);
        if (n <= 0) {
            int r = judge(t, n);
            if (done > 0)
                return (ssize_t)done;
            return r != 0 ? r : -EPIPE;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static ssize_t tls_seal(struct stream_layer *l, struct str text)
{
    struct tls *t = from_layer(l);

    if (l->is_mute) {
        buf_reset(&t->stream->out);
        return (ssize_t)text.len;
    }
    if (t->error < 0)
        return t->error;
    ssize_t n = seal_text(t, buf_str(&t->stream->out));
    if (n < 0)
        return n;
    buf_consume(&t->stream->out, (size_t)n);
    return t->stream->out.len == 0 ? seal_text(t, text) : 0;
}

static void tls_say_end(struct stream_layer *l)
{
    struct tls *t = from_layer(l);

    if (!t->is_established || l->is_mute || t->error < 0)
        return;
    begin_call(t);
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

static void tls_free(struct stream_layer *l)
{
    struct tls *t = from_layer(l);

    /* Otherwise the library takes a connection that was left for one that was attacked, and spoils
     * its session. */
    if (t->is_established && t->error == 0)
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    ERR_clear_error();
    tls_server_unref(t->server);
    tls_client_unref(t->client);
    tls_peer_free(t->peer);
    free(t->name);
    free(t->session_key);
    free(t->error_text);
    free(t);
}

static const struct stream_layer_ops tls_ops = {
    .open = tls_open,
    .seal = tls_seal,
    .look = tls_look,
    .has_buffered = tls_has_buffered,
    .say_end = tls_say_end,
    .free = tls_free,
};

const struct tls *tls_of(const struct stream *s)
{
    if (s->layer == NULL || s->layer->ops != &tls_ops)
        return NULL;
    return from_layer(s->layer);
}

/* --- handshakes --- */

static struct tls *add_layer(struct stream *s, SSL_CTX *ctx)
{
    struct tls *t = xcalloc(1, sizeof(*t));

    ERR_clear_error();
    t->layer.ops = &tls_ops;
    buf_init(&t->layer.wire, WIRE_MAX_BYTES);
    t->stream = s;
    t->ssl = SSL_new(ctx);
    ASSERT(t->ssl != NULL);
    BIO *bio = open_wire(t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    stream_set_layer(s, &t->layer);
    return t;
}

/* Yields. 0 or negative errno. */
static int shake_hands(struct tls *t)
{
    for (;;) {
        begin_call(t);
        int done = SSL_do_handshake(t->ssl);
        if (done == 1)
            return stream_flush(t->stream);
        int r = judge(t, done);
        if (r == 0) /* close_notify */
            r = fail(t, -ECONNABORTED);
        if (r == -EAGAIN)
            r = stream_wait_input(t->stream);
        if (r < 0)
            return r;
    }
}

static int finish(struct tls *t, int r)
{
    struct stream *s = t->stream;

    t->peer = tls_peer_new(t->ssl);
    t->is_established = r == 0;
    if (r == 0)
        return 0;
    /* The peer is told why at once or not at all; then nothing may follow, least of all in clear.
     */
    stream_end_now(s);
    t->error = r;
    s->error = r;
    return r;
}

static int refuse_early_input(struct stream *s)
{
    return s->error = stream_pending(s).len > 0 ? -EPROTO : s->error;
}

int tls_accept(struct stream *s, struct tls_server *server)
{
    int r = stream_flush(s);

    if (r == 0)
        r = refuse_early_input(s);
    if (r < 0)
        return r;
    struct tls *t = add_layer(s, server->ctx);
    t->server = tls_server_ref(server);
    SSL_set_accept_state(t->ssl);
    return finish(t, shake_hands(t));
}

static void set_peer_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1)
        (void)X509_VERIFY_PARAM_set1_host(param, name, 0);
}

/* A session is good for the same name under the same demands only. */
static void set_session(struct tls *t, const struct tls_connect_params *params)
{
    t->session_key =
        xasprintf("%s %s%s", params->host, t->name, params->must_verify ? " verified" : "");
    SSL_SESSION *session = tls_client_take_session(t->client, str_from_c(t->session_key));
    if (session == NULL)
        return;
    (void)SSL_set_session(t->ssl, session);
    SSL_SESSION_free(session);
}

static void set_up_client(struct tls *t, const struct tls_connect_params *params)
{
    struct ip_addr address;

    t->name = xstrdup(params->name != NULL ? params->name : params->host);
    set_peer_name(t->ssl, t->name);
    SSL_set_verify(t->ssl, params->must_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    /* RFC 6066 section 3: literal addresses are not permitted. */
    if (ip_parse(str_from_c(params->host), &address) < 0)
        (void)SSL_set_tlsext_host_name(t->ssl, params->host);
    set_session(t, params);
    SSL_set_connect_state(t->ssl);
}

int tls_connect(struct stream *s, struct tls_client *client,
                const struct tls_connect_params *params)
{
    int r = stream_flush(s);

    if (r == 0)
        r = refuse_early_input(s);
    if (r < 0)
        return r;
    struct tls *t = add_layer(s, client->ctx);
    t->client = tls_client_ref(client);
    set_up_client(t, params);
    r = shake_hands(t);
    /* A resumed session brings the verdict of its first handshake along. */
    if (r == 0 && params->must_verify && SSL_get_verify_result(t->ssl) != X509_V_OK) {
        t->error_text = xstrdup("the session that was resumed had not been verified");
        r = fail(t, -EPROTO);
    }
    return finish(t, r);
}

const char *tls_error(const struct stream *s)
{
    const struct tls *t = tls_of(s);

    if (t == NULL)
        return s->error == -EPROTO ? "there was input before the handshake" : "";
    return t->error_text != NULL ? t->error_text : "";
}
