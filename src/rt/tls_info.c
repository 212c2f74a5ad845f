/* What is known of a connection under TLS, and its channel bindings: see tls.h. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "rt/tls_internal.h"

enum { EMAILS_MAX_BYTES = 1024 };

/* --- the peer's certificate --- */

static bool is_address_char(char c)
{
    return c > ' ' && c <= '~';
}

/* What holds a character that is in no address is left out, or it could be taken for another. */
static void add_email(const ASN1_STRING *value, struct buf *text)
{
    struct str email = str_from_mem(ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
    struct cursor c = cursor_from(email);
    size_t before = text->len;

    if (email.len == 0 || cursor_take_while(&c, is_address_char).len < email.len)
        return;
    if (before > 0)
        buf_put_char(text, ' ');
    buf_put_str(text, email);
    if (buf_status(text) < 0)
        buf_cut(text, before);
}

/* True when there are mail addresses, good or bad. */
static bool add_alternative_names(const X509 *certificate, struct buf *text)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool has_any = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != GEN_EMAIL)
            continue;
        has_any = true;
        add_email(value, text);
    }
    GENERAL_NAMES_free(names);
    return has_any;
}

static void add_subject_emails(const X509 *certificate, struct buf *text)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);

    for (int i = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, -1); i >= 0;
         i = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, i))
        add_email(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)), text);
}

static char *email_text(const X509 *certificate)
{
    struct buf text;

    buf_init(&text, EMAILS_MAX_BYTES);
    if (!add_alternative_names(certificate, &text))
        add_subject_emails(certificate, &text);
    char *copy = str_dup(buf_str(&text));
    buf_done(&text);
    return copy;
}

struct tls_peer *tls_peer_new(const SSL *ssl)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    unsigned len = 0;

    if (certificate == NULL)
        return NULL;
    struct tls_peer *peer = xcalloc(1, sizeof(*peer));
    peer->subject = tls_name_text(X509_get_subject_name(certificate));
    peer->issuer = tls_name_text(X509_get_issuer_name(certificate));
    peer->emails = email_text(certificate);
    peer->not_after_ms = tls_time_ms(X509_get0_notAfter(certificate));
    ASSERT(X509_digest(certificate, EVP_sha256(), peer->sha256, &len) == 1);
    ERR_clear_error();
    return peer;
}

void tls_peer_free(struct tls_peer *peer)
{
    if (peer == NULL)
        return;
    free(peer->subject);
    free(peer->issuer);
    free(peer->emails);
    free(peer);
}

/* --- what is known --- */

static enum tls_trust trust_from(long verify_result)
{
    static const struct {
        long result;
        enum tls_trust trust;
    } table[] = {
        {X509_V_OK, TLS_TRUST_VERIFIED},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TLS_TRUST_UNKNOWN_ISSUER},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TLS_TRUST_UNKNOWN_ISSUER},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TLS_TRUST_UNKNOWN_ISSUER},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TLS_TRUST_UNKNOWN_ISSUER},
        {X509_V_ERR_CERT_UNTRUSTED, TLS_TRUST_UNKNOWN_ISSUER},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TLS_TRUST_SELF_SIGNED},
        {X509_V_ERR_CERT_HAS_EXPIRED, TLS_TRUST_EXPIRED},
        {X509_V_ERR_CERT_NOT_YET_VALID, TLS_TRUST_EXPIRED},
        {X509_V_ERR_HOSTNAME_MISMATCH, TLS_TRUST_OTHER_NAME},
        {X509_V_ERR_IP_ADDRESS_MISMATCH, TLS_TRUST_OTHER_NAME},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].result == verify_result)
            return table[i].trust;
    }
    return TLS_TRUST_BAD;
}

static void add_peer(struct tls_info *info, const struct tls *t)
{
    long result = SSL_get_verify_result(t->ssl);

    /* Of a certificate that was refused only the reason is left. */
    if (t->peer == NULL && result == X509_V_OK)
        return;
    info->trust = trust_from(result);
    info->trust_text = X509_verify_cert_error_string(result);
    if (t->peer == NULL)
        return;
    /* A connection, and the ticket that it may have begun with, can outlive a certificate. */
    if (info->trust == TLS_TRUST_VERIFIED && clock_real_ms() > t->peer->not_after_ms) {
        info->trust = TLS_TRUST_EXPIRED;
        info->trust_text = X509_verify_cert_error_string(X509_V_ERR_CERT_HAS_EXPIRED);
    }
    info->subject = str_from_c(t->peer->subject);
    info->issuer = str_from_c(t->peer->issuer);
    info->emails = str_from_c(t->peer->emails);
    memcpy(info->peer_sha256, t->peer->sha256, TLS_SHA256_BYTES);
}

struct tls_info tls_info(const struct stream *s)
{
    const struct tls *t = tls_of(s);
    struct tls_info info = {.version = "", .cipher = "", .trust_text = ""};

    if (t == NULL)
        return info;
    info.sni = str_from_c(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name));
    add_peer(&info, t);
    if (!t->is_established)
        return info;
    info.is_on = true;
    info.version = SSL_get_version(t->ssl);
    info.cipher = SSL_get_cipher_name(t->ssl);
    info.bits = SSL_get_cipher_bits(t->ssl, NULL);
    if (t->client != NULL && info.trust == TLS_TRUST_VERIFIED)
        info.verified_name = str_from_c(t->name);
    info.is_resumed = SSL_session_reused(t->ssl) == 1;
    return info;
}

/* --- channel bindings --- */

int tls_exporter(const struct stream *s, uint8_t out[TLS_EXPORTER_BYTES])
{
    static const char label[] = "EXPORTER-Channel-Binding";
    const struct tls *t = tls_of(s);

    if (t == NULL || !t->is_established)
        return -ENOTSUP;
    /* RFC 9266 section 3: before 1.3 the master secret is unique only if it is extended. */
    if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1)
        return -ENOTSUP;
    ERR_clear_error();
    const unsigned char context[1] = {0};
    int done = SSL_export_keying_material(t->ssl, out, TLS_EXPORTER_BYTES, label, sizeof(label) - 1,
                                          context, 0, 1);
    ERR_clear_error();
    return done == 1 ? 0 : -ENOTSUP;
}

/* The server's certificate: as it was chosen in this handshake or in the one that is resumed. */
static X509 *server_certificate(const struct tls *t)
{
    if (t->client != NULL)
        return SSL_get0_peer_certificate(t->ssl);
    if (SSL_session_reused(t->ssl) == 0)
        return SSL_get_certificate(t->ssl);
    const struct tls_identity *id = tls_server_identity_of(t->server, SSL_get_session(t->ssl));
    return id != NULL ? id->leaf : NULL;
}

/* RFC 5929 section 4.1: that of the certificate's signature, but nothing weaker than SHA-256. */
static const EVP_MD *end_point_hash(X509 *certificate)
{
    int hash = NID_undef;

    if (X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef)
        return NULL;
    return hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
}

int tls_server_end_point(const struct stream *s, uint8_t out[TLS_END_POINT_MAX_BYTES])
{
    const struct tls *t = tls_of(s);
    unsigned len = 0;

    if (t == NULL || !t->is_established)
        return -ENOTSUP;
    ERR_clear_error();
    X509 *certificate = server_certificate(t);
    const EVP_MD *hash = certificate != NULL ? end_point_hash(certificate) : NULL;
    if (hash == NULL || EVP_MD_get_size(hash) > TLS_END_POINT_MAX_BYTES ||
        X509_digest(certificate, hash, out, &len) != 1) {
        ERR_clear_error();
        return -ENOTSUP;
    }
    return (int)len;
}
