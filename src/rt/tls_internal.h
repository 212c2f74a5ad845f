/* What the files that wrap OpenSSL share: for src/rt/tls*.c only. */
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "rt/stream_layer.h"
#include "rt/tls.h"
#include "rt/tls_identity.h"

enum { TLS_NAME_TEXT_MAX_BYTES = 512 };

struct tls_identity {
    unsigned refs;
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* without the leaf */
    char **names;
    struct tls_identity_facts facts;
};

struct tls_server {
    unsigned refs;
    SSL_CTX *ctx;
    struct tls_identity **identities;
    size_t identity_count;
    bool has_tickets;
    struct tls_ticket_keys ticket_keys;
};

struct tls_client {
    unsigned refs;
    SSL_CTX *ctx;
    struct map sessions; /* by host and whether it was verified */
    struct list by_age;  /* oldest first */
    size_t max_sessions;
};

/* What is known of the peer's certificate, kept because OpenSSL's own form is large. */
struct tls_peer {
    char *subject;
    char *issuer;
    char *emails;
    int64_t not_after_ms;
    uint8_t sha256[TLS_SHA256_BYTES];
};

/* A layer over a stream. */
struct tls {
    struct stream_layer layer;
    struct stream *stream;
    SSL *ssl;
    struct tls_server *server; /* one of the two */
    struct tls_client *client;
    char *name;        /* client: whom the server should be */
    char *session_key; /* client: in its session cache */
    struct tls_peer *peer;
    char *error_text;
    int error; /* sticky, of reading; 0 or negative errno */
    int socket_error;
    int reads_left; /* until others should run */
    bool is_established;
    bool has_raw_end; /* the socket has ended */
};

/* The layer of the stream, which must be of TLS. NULL when it is plain. */
const struct tls *tls_of(const struct stream *s);

/* A byte that strangers may have in names is replaced if it is not printable ASCII. */
void tls_make_printable(char *text);
/* "CN=mx.example.jp,O=..." in an order as RFC 4514 has it; the caller frees. */
char *tls_name_text(const X509_NAME *name);
/* The reason of the oldest error in OpenSSL's queue, which is emptied. Never NULL. */
const char *tls_error_reason(void);
/* Whether it is a host name as certificates and SNI may have one: labels, no dot at the end. */
bool tls_is_host(struct str name);
int64_t tls_time_ms(const ASN1_TIME *time);

/* Reads all certificates of a PEM text. How many (each is handed to `take`, which owns it then), or
 * -EINVAL with *out_error. */
MUST_CHECK int tls_pem_read_certificates(struct str pem, int max_count,
                                         void (*take)(void *arg, X509 *certificate), void *arg,
                                         struct tls_text *out_error);

/* Adds the lists of a PEM text; *out_until_ms is when the first of them ends. How many there are,
 * or -EINVAL with *out_error. */
MUST_CHECK int tls_crl_add(X509_STORE *store, struct str pem, int64_t *out_until_ms,
                           struct tls_text *out_error);

/* The certificates that this connection may use, by the name that the client asked for. */
void tls_server_offer(struct tls_server *server, SSL *ssl, struct str name);
/* The identity that a session of the server began with, or NULL when it is served no more. */
const struct tls_identity *tls_server_identity_of(const struct tls_server *server,
                                                  SSL_SESSION *session);
/* The session kept for the key, or NULL; the caller frees. If it is good for one use only, it is
 * forgotten here. */
SSL_SESSION *tls_client_take_session(struct tls_client *c, struct str key);
void tls_client_keep_session(struct tls_client *c, struct str key, const SSL_SESSION *session);

/* What is to be kept of the peer's certificate; NULL if there is none. */
struct tls_peer *tls_peer_new(const SSL *ssl);
void tls_peer_free(struct tls_peer *peer);
