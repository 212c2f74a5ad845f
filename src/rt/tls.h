/*
 * TLS over streams: contexts, handshakes, and what is known of a connection that uses it.
 *
 * After tls_accept or tls_connect every function of stream.h works as before. Nothing here reads a
 * file, a configuration or the environment: certificates, keys and CA bundles come as text.
 * Versions 1.2 and 1.3; forward secrecy and AEAD on the server's side; no compression, no
 * renegotiation, no early data. Only src/rt/tls*.c know the library.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rt/stream.h"
#include "rt/tls_identity.h"
#include "rt/tls_text.h"

enum {
    TLS_TICKET_NAME_BYTES = 16,
    TLS_TICKET_KEY_BYTES = 32,
    TLS_TICKET_LIFE_S = 2 * 3600, /* keep a previous key at least this long */
    TLS_EXPORTER_BYTES = 32,
    TLS_END_POINT_MAX_BYTES = 64,
    TLS_SESSIONS_MAX = 512, /* kept by a client context */
};

enum tls_version { TLS_1_2, TLS_1_3 };

/* Sets up the library: before the sandbox is entered and before anything else here. */
void tls_init(void);

/* Keys of session tickets. Plain bytes, to be sent to all workers that serve the same names. */
struct tls_ticket_key {
    uint8_t name[TLS_TICKET_NAME_BYTES];
    uint8_t cipher[TLS_TICKET_KEY_BYTES];
    uint8_t mac[TLS_TICKET_KEY_BYTES];
};

struct tls_ticket_keys {
    struct tls_ticket_key current;
    struct tls_ticket_key previous; /* tickets of this one are taken and replaced */
};

/* Draws two keys that nobody has. */
void tls_ticket_keys_make(struct tls_ticket_keys *out);
/* The current key becomes the previous one, and a new one is drawn. */
void tls_ticket_keys_rotate(struct tls_ticket_keys *keys);

struct tls_server;

struct tls_server_config {
    struct tls_identity *const *identities; /* at least one; the first is for unknown names */
    size_t identity_count;
    const struct tls_ticket_keys *ticket_keys; /* NULL: no resumption */
    enum tls_version min_version;
    struct str
        client_ca_pem; /* not empty: clients are asked for a certificate, and may have none */
    /* Not empty: what these lists (CRL) have of them is not trusted, nor is a certificate whose
     * authority has no list here that is of now. */
    struct str client_crl_pem;
};

/* A context for accepting, from identities that it keeps references to. Several identities for one
 * name with different kinds of keys complete each other. 0: *out has one reference, the caller's.
 * -EINVAL: *out_error says why. */
MUST_CHECK int tls_server_new(const struct tls_server_config *config, struct tls_server **out,
                              struct tls_text *out_error);
/* Whether there are lists in the text that can be read. 0, and when the first of them will have to
 * be renewed; or -EINVAL and *out_error. */
MUST_CHECK int tls_crl_check(struct str pem, int64_t *out_until_ms, struct tls_text *out_error);
/* New keys for tickets, for handshakes from now on. */
void tls_server_set_ticket_keys(struct tls_server *server, const struct tls_ticket_keys *keys);
/* Contexts are counted, and connections count: a replaced one goes with the last of them. NULL is
 * taken. */
struct tls_server *tls_server_ref(struct tls_server *server);
void tls_server_unref(struct tls_server *server);

struct tls_client;

struct tls_client_config {
    struct str ca_pem;             /* whom to trust; empty: nobody */
    struct tls_identity *identity; /* shown to servers that ask; NULL: none */
    enum tls_version min_version;
    size_t max_sessions; /* kept for resumption, at most TLS_SESSIONS_MAX; 0: none */
};

/* A context for connecting, counted as a server's. 0, or -EINVAL and *out_error. */
MUST_CHECK int tls_client_new(const struct tls_client_config *config, struct tls_client **out,
                              struct tls_text *out_error);
struct tls_client *tls_client_ref(struct tls_client *client);
void tls_client_unref(struct tls_client *client);

struct tls_connect_params {
    const char *host; /* its name is asked for (SNI), unless it is an address */
    const char *name; /* that the certificate has to be for; NULL: as host */
    bool must_verify; /* else whoever answers is let pass, and tls_info() says who it was */
};

/* Serves the handshake under the stream's deadline. Yields. Input that came before it is refused:
 * it was not protected (RFC 3207 section 4.2). 0; -EPROTO, with tls_error(); -ECONNABORTED: the
 * peer left; -ETIMEDOUT, -ECANCELED, -EINTR, -ECONNRESET, ... After an error nothing more goes
 * through the stream. */
MUST_CHECK int tls_accept(struct stream *s, struct tls_server *server);
/* The same as a client. */
MUST_CHECK int tls_connect(struct stream *s, struct tls_client *client,
                           const struct tls_connect_params *params);
/* Why TLS failed, printable, one line; "" if it did not. Valid until stream_done. */
const char *tls_error(const struct stream *s);

/* What can be said of a peer's certificate. */
enum tls_trust {
    TLS_TRUST_NONE, /* it showed none */
    TLS_TRUST_VERIFIED,
    TLS_TRUST_UNKNOWN_ISSUER,
    TLS_TRUST_SELF_SIGNED,
    TLS_TRUST_EXPIRED, /* or not yet valid; also when that has come since the handshake */
    TLS_TRUST_OTHER_NAME,
    TLS_TRUST_BAD, /* anything else */
};

/* All of it is valid until stream_done. */
struct tls_info {
    bool is_on; /* the handshake is done; else only trust and the peer's texts may be set */
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    int bits;
    struct str sni; /* the name that the client asked for */
    bool is_resumed;
    enum tls_trust trust;
    const char *trust_text;   /* "certificate has expired" */
    struct str verified_name; /* by the client: whom the certificate is for */
    struct str subject;       /* of the peer's certificate; empty: it showed none */
    struct str issuer;
    /* The mail addresses of its alternative names, separated by blanks; if there is none, those of
     * its subject (RFC 5280 section 4.1.2.6: the old way). */
    struct str emails;
    uint8_t peer_sha256[TLS_SHA256_BYTES];
};

/* Of any stream; a plain one has nothing set. */
struct tls_info tls_info(const struct stream *s);

/* Channel bindings, the same at both ends. tls-exporter (RFC 9266): 0, or -ENOTSUP for TLS 1.2
 * without extended master secret, where it would not be unique, and for plain streams. */
MUST_CHECK int tls_exporter(const struct stream *s, uint8_t out[TLS_EXPORTER_BYTES]);
/* tls-server-end-point (RFC 5929 section 4): the number of bytes, or -ENOTSUP. */
MUST_CHECK int tls_server_end_point(const struct stream *s, uint8_t out[TLS_END_POINT_MAX_BYTES]);
