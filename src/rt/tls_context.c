/*
 * Contexts: what all connections of a server, or of a client, have in common. See tls.h.
 *
 * A server has one context of the library whatever the number of certificates: they are put into
 * the connection once the name is known. A ticket holds the fingerprint of the certificate that it
 * began with, and is refused when that is no longer served: so a resumed connection has a definite
 * server certificate, which channel bindings need.
 */
#include "rt/tls.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "rt/tls_internal.h"

enum {
    CA_MAX_COUNT = 2000,
    PEER_CHAIN_MAX_BYTES = 64 * 1024,
    SESSION_MAX_BYTES = 16 * 1024,
    IV_BYTES = 16,
    TICKETS_PER_HANDSHAKE = 1,
};

/* RFC 9325 section 4.2.1, with ChaCha20 for devices without AES instructions. */
static const char server_ciphers[] =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
/* The same first; then what old servers have, because the alternative is plain text. */
static const char client_ciphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:"
    "!aNULL:!eNULL:!PSK:!SRP:!DSS:!MD5";
static const char groups[] = "X25519:P-256:P-384";

/* Fetched once: looking algorithms up by name takes longer than using them. */
static struct {
    EVP_CIPHER *ticket_cipher;
    bool is_set_up;
} library;

void tls_init(void)
{
    if (library.is_set_up)
        return;
    /* No openssl.cnf: settings are ours, and a sandboxed process has no files. */
    ASSERT(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                                OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT,
                            NULL) == 1);
    library.ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    ASSERT(library.ticket_cipher != NULL);
    library.is_set_up = true;
}

static void draw_key(struct tls_ticket_key *key)
{
    ASSERT(RAND_priv_bytes(key->name, sizeof(key->name)) == 1);
    ASSERT(RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1);
    ASSERT(RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1);
}

void tls_ticket_keys_make(struct tls_ticket_keys *out)
{
    draw_key(&out->current);
    draw_key(&out->previous);
}

void tls_ticket_keys_rotate(struct tls_ticket_keys *keys)
{
    keys->previous = keys->current;
    draw_key(&keys->current);
}

static int version_number(enum tls_version version)
{
    return version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

static SSL_CTX *make_context(const SSL_METHOD *method, enum tls_version min_version,
                             const char *ciphers)
{
    ASSERT(library.is_set_up);
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(method);
    ASSERT(ctx != NULL);
    ASSERT(SSL_CTX_set_min_proto_version(ctx, version_number(min_version)) == 1);
    ASSERT(SSL_CTX_set_cipher_list(ctx, ciphers) == 1);
    ASSERT(SSL_CTX_set1_groups_list(ctx, groups) == 1);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_MAX_BYTES);
    return ctx;
}

/* --- certificates of a server --- */

/* The slot of a key in a connection is taken once: the first identity of a kind wins. */
static void offer_identity(SSL *ssl, const struct tls_identity *id)
{
    (void)SSL_use_cert_and_key(ssl, id->leaf, id->key, id->chain, 0);
    ERR_clear_error();
}

void tls_server_offer(struct tls_server *server, SSL *ssl, struct str name)
{
    const struct tls_identity *first = server->identities[0];
    bool is_known = false;

    for (size_t i = 0; i < server->identity_count && name.len > 0 && !is_known; i++)
        is_known = tls_identity_is_for(server->identities[i], name);
    if (!is_known)
        name = first->facts.name_count > 0 ? str_from_c(first->names[0]) : STR_NONE;
    SSL_certs_clear(ssl);
    if (!is_known)
        offer_identity(ssl, first);
    for (size_t i = is_known ? 0 : 1; i < server->identity_count && name.len > 0; i++) {
        if (tls_identity_is_for(server->identities[i], name))
            offer_identity(ssl, server->identities[i]);
    }
}

static int on_certificate_wanted(SSL *ssl, void *arg)
{
    struct tls_server *server = arg;

    if (server->identity_count > 1)
        tls_server_offer(server, ssl,
                         str_from_c(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)));
    return 1;
}

/* --- tickets --- */

static bool is_key(const struct tls_ticket_key *key,
                   const unsigned char name[TLS_TICKET_NAME_BYTES])
{
    return memcmp(key->name, name, TLS_TICKET_NAME_BYTES) == 0;
}

/* The library adds an HMAC over all, under the key that is set here: encrypt, then authenticate. */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int is_making)
{
    enum { FAILED = -1, UNKNOWN = 0, FINE = 1, RENEW = 2 };
    struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct tls_ticket_key *key = &server->ticket_keys.current;
    char digest[] = "SHA256";

    if (is_making) {
        memcpy(name, key->name, TLS_TICKET_NAME_BYTES);
        if (RAND_bytes(iv, IV_BYTES) != 1)
            return FAILED;
    } else if (!is_key(key, name)) {
        key = &server->ticket_keys.previous;
        if (!is_key(key, name))
            return UNKNOWN;
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_CipherInit_ex2(cipher, library.ticket_cipher, key->cipher, iv, is_making, NULL) != 1 ||
        EVP_MAC_CTX_set_params(mac, params) != 1)
        return FAILED;
    return key == &server->ticket_keys.current ? FINE : RENEW;
}

/* Writes into the ticket which certificate it began with. A resumed session has it already. */
static int on_ticket_made(SSL *ssl, void *arg)
{
    struct tls_server *server = arg;
    SSL_SESSION *session = SSL_get_session(ssl);
    const X509 *leaf = SSL_get_certificate(ssl);

    if (SSL_session_reused(ssl))
        return 1;
    for (size_t i = 0; i < server->identity_count; i++) {
        const struct tls_identity *id = server->identities[i];
        if (id->leaf == leaf)
            return SSL_SESSION_set1_ticket_appdata(session, id->facts.sha256, TLS_SHA256_BYTES);
    }
    return 0;
}

const struct tls_identity *tls_server_identity_of(const struct tls_server *server,
                                                  SSL_SESSION *session)
{
    void *sha256 = NULL;
    size_t len = 0;

    if (SSL_SESSION_get0_ticket_appdata(session, &sha256, &len) != 1 || len != TLS_SHA256_BYTES)
        return NULL;
    for (size_t i = 0; i < server->identity_count; i++) {
        if (memcmp(server->identities[i]->facts.sha256, sha256, len) == 0)
            return server->identities[i];
    }
    return NULL;
}

static SSL_TICKET_RETURN on_ticket_read(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                        size_t name_bytes, SSL_TICKET_STATUS status, void *arg)
{
    (void)name;
    (void)name_bytes;
    if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (tls_server_identity_of(arg, session) == NULL)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    /* In 1.3 a client uses a ticket once, and needs the next. */
    bool is_enough = status == SSL_TICKET_SUCCESS && SSL_version(ssl) < TLS1_3_VERSION;
    return is_enough ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static void set_tickets(struct tls_server *server, const struct tls_ticket_keys *keys)
{
    /* Without a cache there are only tickets, which cost no memory here. */
    (void)SSL_CTX_set_session_cache_mode(server->ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(server->ctx, TLS_TICKET_LIFE_S);
    if (keys == NULL) {
        (void)SSL_CTX_set_options(server->ctx, SSL_OP_NO_TICKET);
        (void)SSL_CTX_set_num_tickets(server->ctx, 0);
        return;
    }
    server->ticket_keys = *keys;
    (void)SSL_CTX_set_num_tickets(server->ctx, TICKETS_PER_HANDSHAKE);
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(server->ctx, on_ticket_key);
    (void)SSL_CTX_set_session_ticket_cb(server->ctx, on_ticket_made, on_ticket_read, server);
}

/* A session is good only under the same demands (the library compares this): a certificate that was
 * called back does not live on in a ticket. */
static void set_session_context(SSL_CTX *ctx, const struct tls_server_config *config)
{
    unsigned char sha256[TLS_SHA256_BYTES];
    unsigned len = 0;

    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    ASSERT(digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1);
    ASSERT(EVP_DigestUpdate(digest, config->client_ca_pem.ptr, config->client_ca_pem.len) == 1 &&
           EVP_DigestUpdate(digest, config->client_crl_pem.ptr, config->client_crl_pem.len) == 1 &&
           EVP_DigestFinal_ex(digest, sha256, &len) == 1);
    EVP_MD_CTX_free(digest);
    ASSERT(SSL_CTX_set_session_id_context(ctx, sha256, MIN(len, SSL_MAX_SID_CTX_LENGTH)) == 1);
}

/* --- whom to trust --- */

static void trust(void *arg, X509 *certificate)
{
    /* One that is there already is no harm. */
    (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(arg), certificate);
    X509_free(certificate);
}

/* Says whose certificates may be shown. */
static void trust_and_tell(void *arg, X509 *certificate)
{
    (void)SSL_CTX_add_client_CA(arg, certificate);
    trust(arg, certificate);
}

/* Whoever shows a certificate is let in; what it is worth is asked for later. */
static int accept_any(int is_fine, X509_STORE_CTX *store)
{
    (void)is_fine;
    (void)store;
    return 1;
}

static int ask_for_client_certificates(SSL_CTX *ctx, const struct tls_server_config *config,
                                       struct tls_text *out_error)
{
    int64_t until_ms;

    if (config->client_ca_pem.len == 0)
        return 0;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
    int r = tls_pem_read_certificates(config->client_ca_pem, CA_MAX_COUNT, trust_and_tell, ctx,
                                      out_error);
    if (r < 0 || config->client_crl_pem.len == 0)
        return MIN(r, 0);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    (void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return MIN(tls_crl_add(store, config->client_crl_pem, &until_ms, out_error), 0);
}

static int use_identities(struct tls_server *server, struct tls_text *out_error)
{
    const struct tls_identity *first = server->identities[0];

    if (SSL_CTX_use_cert_and_key(server->ctx, first->leaf, first->key, first->chain, 1) != 1) {
        (void)snprintf(out_error->text, sizeof(out_error->text), "the certificate is refused: %s",
                       tls_error_reason());
        return -EINVAL;
    }
    SSL_CTX_set_cert_cb(server->ctx, on_certificate_wanted, server);
    return 0;
}

int tls_server_new(const struct tls_server_config *config, struct tls_server **out,
                   struct tls_text *out_error)
{
    ASSERT(config->identity_count > 0);
    struct tls_server *server = xcalloc(1, sizeof(*server));
    server->refs = 1;
    server->identity_count = config->identity_count;
    server->identities = xcalloc(config->identity_count, sizeof(*server->identities));
    for (size_t i = 0; i < config->identity_count; i++)
        server->identities[i] = tls_identity_ref(config->identities[i]);
    server->ctx = make_context(TLS_server_method(), config->min_version, server_ciphers);
    (void)SSL_CTX_set_app_data(server->ctx, server);
    set_tickets(server, config->ticket_keys);
    set_session_context(server->ctx, config);
    int r = ask_for_client_certificates(server->ctx, config, out_error);
    if (r == 0)
        r = use_identities(server, out_error);
    if (r < 0) {
        tls_server_unref(server);
        server = NULL;
    }
    *out = server;
    return r;
}

void tls_server_set_ticket_keys(struct tls_server *server, const struct tls_ticket_keys *keys)
{
    server->ticket_keys = *keys;
}

struct tls_server *tls_server_ref(struct tls_server *server)
{
    if (server != NULL)
        server->refs++;
    return server;
}

void tls_server_unref(struct tls_server *server)
{
    if (server == NULL || --server->refs > 0)
        return;
    SSL_CTX_free(server->ctx);
    for (size_t i = 0; i < server->identity_count; i++)
        tls_identity_unref(server->identities[i]);
    free(server->identities);
    OPENSSL_cleanse(&server->ticket_keys, sizeof(server->ticket_keys));
    free(server);
}

/* --- clients --- */

/* A session in the cache, in the library's portable form, which is smaller than its objects. */
struct session {
    struct list in_ages;
    struct str key;
    size_t len;
    unsigned char bytes[];
};

static void forget(struct tls_client *c, struct session *session)
{
    (void)map_remove(&c->sessions, session->key);
    list_remove(&session->in_ages);
    free((void *)(uintptr_t)session->key.ptr);
    OPENSSL_cleanse(session->bytes, session->len);
    free(session);
}

SSL_SESSION *tls_client_take_session(struct tls_client *c, struct str key)
{
    struct session *kept = map_get(&c->sessions, key);

    if (kept == NULL)
        return NULL;
    const unsigned char *from = kept->bytes;
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &from, (long)kept->len);
    /* RFC 8446 section C.4: tickets are used once, and each connection gets a new one. In 1.2 it
     * does not. */
    if (session == NULL || SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
        forget(c, kept);
    ERR_clear_error();
    return session;
}

void tls_client_keep_session(struct tls_client *c, struct str key, const SSL_SESSION *session)
{
    int len = i2d_SSL_SESSION(session, NULL);
    struct session *old = map_get(&c->sessions, key);

    if (old != NULL)
        forget(c, old);
    if (c->max_sessions == 0 || len <= 0 || len > SESSION_MAX_BYTES)
        return;
    if (c->sessions.count == c->max_sessions)
        forget(c, CONTAINER_OF(c->by_age.next, struct session, in_ages));
    struct session *kept = xmalloc(sizeof(*kept) + (size_t)len);
    unsigned char *to = kept->bytes;
    *kept = (struct session){.key = {str_dup(key), key.len}, .len = (size_t)len};
    (void)i2d_SSL_SESSION(session, &to);
    list_init(&kept->in_ages);
    list_append(&c->by_age, &kept->in_ages);
    ASSERT(map_set(&c->sessions, key, kept) == 0);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls *t = SSL_get_app_data(ssl);

    if (SSL_SESSION_is_resumable(session))
        tls_client_keep_session(t->client, str_from_c(t->session_key), session);
    return 0; /* the library keeps its reference */
}

static void set_session_cache(struct tls_client *client, size_t max_sessions)
{
    client->max_sessions = MIN(max_sessions, (size_t)TLS_SESSIONS_MAX);
    list_init(&client->by_age);
    map_init(&client->sessions, TLS_SESSIONS_MAX);
    if (max_sessions == 0) {
        (void)SSL_CTX_set_session_cache_mode(client->ctx, SSL_SESS_CACHE_OFF);
        return;
    }
    (void)SSL_CTX_set_session_cache_mode(client->ctx,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->ctx, on_session);
}

static int fill_client(struct tls_client *client, const struct tls_client_config *config,
                       struct tls_text *out_error)
{
    const struct tls_identity *id = config->identity;

    if (id != NULL && SSL_CTX_use_cert_and_key(client->ctx, id->leaf, id->key, id->chain, 1) != 1) {
        (void)snprintf(out_error->text, sizeof(out_error->text), "the certificate is refused: %s",
                       tls_error_reason());
        return -EINVAL;
    }
    if (config->ca_pem.len == 0)
        return 0;
    int r = tls_pem_read_certificates(config->ca_pem, CA_MAX_COUNT, trust, client->ctx, out_error);
    return r < 0 ? r : 0;
}

int tls_client_new(const struct tls_client_config *config, struct tls_client **out,
                   struct tls_text *out_error)
{
    struct tls_client *client = xcalloc(1, sizeof(*client));

    client->refs = 1;
    client->ctx = make_context(TLS_client_method(), config->min_version, client_ciphers);
    set_session_cache(client, config->max_sessions);
    int r = fill_client(client, config, out_error);
    if (r < 0) {
        tls_client_unref(client);
        client = NULL;
    }
    *out = client;
    return r;
}

struct tls_client *tls_client_ref(struct tls_client *client)
{
    if (client != NULL)
        client->refs++;
    return client;
}

void tls_client_unref(struct tls_client *client)
{
    if (client == NULL || --client->refs > 0)
        return;
    while (!list_is_empty(&client->by_age))
        forget(client, CONTAINER_OF(client->by_age.next, struct session, in_ages));
    map_done(&client->sessions);
    SSL_CTX_free(client->ctx);
    free(client);
}
