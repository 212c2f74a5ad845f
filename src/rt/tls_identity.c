/* Who a server says it is: see tls_identity.h. */
#include "rt/tls_identity.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "rt/tls_internal.h"

enum { RSA_MIN_BITS = 2048, DATE_BYTES = 10, HOST_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 };

static int ATTR_PRINTF(2, 3) say(struct tls_text *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(out->text, sizeof(out->text), format, args);
    va_end(args);
    tls_make_printable(out->text);
    return -EINVAL;
}

void tls_make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

const char *tls_error_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return reason != NULL ? reason : "no reason given";
}

char *tls_name_text(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *bytes;

    ASSERT(bio != NULL);
    (void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    long len = BIO_get_mem_data(bio, &bytes);
    char *text = str_dup(str_sub(str_from_mem(bytes, (size_t)len), 0, TLS_NAME_TEXT_MAX_BYTES));
    BIO_free(bio);
    tls_make_printable(text);
    return text;
}

int64_t tls_time_ms(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static BIO *open_text(struct str text)
{
    BIO *bio = BIO_new_mem_buf(text.ptr != NULL ? text.ptr : "", (int)text.len);

    ASSERT(bio != NULL);
    ERR_clear_error();
    return bio;
}

/* No terminal is ever asked. */
static int refuse_passphrase(char *to, int bytes, int is_writing, void *arg)
{
    (void)to;
    (void)bytes;
    (void)is_writing;
    *(bool *)arg = true;
    return -1;
}

/* Whether the PEM reader stopped because there was no more. */
static bool is_end_of_pem(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

int tls_pem_read_certificates(struct str pem, int max_count,
                              void (*take)(void *arg, X509 *certificate), void *arg,
                              struct tls_text *out_error)
{
    bool is_locked = false;
    int count = 0;

    if (pem.len > TLS_PEM_MAX_BYTES * 4)
        return say(out_error, "the file with the certificates is too large");
    BIO *bio = open_text(pem);
    X509 *certificate;
    while (count < max_count &&
           (certificate = PEM_read_bio_X509(bio, NULL, refuse_passphrase, &is_locked)) != NULL) {
        take(arg, certificate);
        count++;
    }
    bool is_all = count < max_count && is_end_of_pem();
    BIO_free(bio);
    if (is_all && count > 0) {
        ERR_clear_error();
        return count;
    }
    if (is_all)
        return say(out_error, "there is no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    if (count == max_count)
        return say(out_error, "there are more than %d certificates", max_count - 1);
    return say(out_error, "certificate %d cannot be read: %s", count + 1, tls_error_reason());
}

static void take_certificate(void *arg, X509 *certificate)
{
    struct tls_identity *id = arg;

    if (id->leaf == NULL)
        id->leaf = certificate;
    else
        ASSERT(sk_X509_push(id->chain, certificate) > 0);
}

static int read_key(struct tls_identity *id, struct str pem, struct tls_text *out_error)
{
    bool is_locked = false;

    if (pem.len > TLS_PEM_MAX_BYTES)
        return say(out_error, "the file with the key is too large");
    BIO *bio = open_text(pem);
    id->key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &is_locked);
    BIO_free(bio);
    if (id->key != NULL)
        return 0;
    if (is_locked)
        return say(out_error, "the key is protected by a passphrase: store it without one "
                              "(openssl pkey -in KEY -out NEW) and let only root read it");
    if (!str_contains_nocase(pem, STR("PRIVATE KEY-----")))
        return say(out_error, "there is no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
    return say(out_error, "the private key cannot be read: %s", tls_error_reason());
}

static int check_key(const struct tls_identity *id, struct tls_text *out_error)
{
    if (X509_check_private_key(id->leaf, id->key) == 1)
        return 0;
    ERR_clear_error();
    for (int i = 0; i < sk_X509_num(id->chain); i++) {
        if (X509_check_private_key(sk_X509_value(id->chain, i), id->key) == 1)
            return say(out_error,
                       "the key belongs to certificate %d of the chain: it must come first", i + 2);
        ERR_clear_error();
    }
    return say(out_error, "the key does not belong to the certificate");
}

/* Names the kind of key; those that clients would not take are refused. */
static int describe_key(struct tls_identity *id, struct tls_text *out_error)
{
    int bits = EVP_PKEY_get_bits(id->key);
    char curve[32] = "";

    if (EVP_PKEY_is_a(id->key, "RSA") || EVP_PKEY_is_a(id->key, "RSA-PSS")) {
        if (bits < RSA_MIN_BITS)
            return say(out_error, "the key has %d bits, at least %d are needed: make a new one",
                       bits, RSA_MIN_BITS);
        id->facts.key = xasprintf("RSA %d bits", bits);
        return 0;
    }
    if (EVP_PKEY_is_a(id->key, "EC")) {
        (void)EVP_PKEY_get_group_name(id->key, curve, sizeof(curve), NULL);
        const char *name = EC_curve_nid2nist(OBJ_txt2nid(curve));
        if (name == NULL || bits < 256)
            return say(out_error, "the key's curve %s is not used with TLS: take P-256", curve);
        id->facts.key = xasprintf("ECDSA %s", name);
        return 0;
    }
    if (EVP_PKEY_is_a(id->key, "ED25519") || EVP_PKEY_is_a(id->key, "ED448")) {
        id->facts.key = xstrdup(EVP_PKEY_get0_type_name(id->key));
        return 0;
    }
    return say(out_error, "keys of this kind are not used with TLS: take ECDSA P-256 or RSA");
}

static int check_order(const struct tls_identity *id, struct tls_text *out_error)
{
    X509 *issued = id->leaf;

    for (int i = 0; i < sk_X509_num(id->chain); i++) {
        X509 *issuer = sk_X509_value(id->chain, i);
        if (X509_check_issued(issuer, issued) != X509_V_OK)
            return say(out_error,
                       "the chain is out of order: certificate %d did not issue certificate %d",
                       i + 2, i + 1);
        issued = issuer;
    }
    return 0;
}

static bool is_label_char(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_';
}

bool tls_is_host(struct str name)
{
    struct str label, rest = name;

    if (name.len == 0 || name.len > HOST_MAX_BYTES)
        return false;
    for (bool has_more = true; has_more;) {
        has_more = str_cut(rest, '.', &label, &rest);
        if (label.len == 0 || label.len > LABEL_MAX_BYTES)
            return false;
        struct cursor c = cursor_from(label);
        if (cursor_take_while(&c, is_label_char).len < label.len)
            return false;
    }
    return true;
}

static void add_name(struct tls_identity *id, struct str name)
{
    bool is_wild = str_has_prefix(name, STR("*."));

    if (id->facts.name_count == TLS_NAMES_MAX ||
        !tls_is_host(str_sub(name, is_wild ? 2 : 0, name.len)))
        return;
    char *copy = str_dup(name);
    for (char *c = copy; *c != '\0'; c++)
        *c = ascii_lower(*c);
    id->names[id->facts.name_count++] = copy;
}

/* RFC 6125 section 6.4.4: the common name counts only where no name is given. */
static void add_common_name(struct tls_identity *id)
{
    char name[HOST_MAX_BYTES + 2];
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(id->leaf), NID_commonName, name,
                                        sizeof(name));

    if (len > 0)
        add_name(id, str_from_mem(name, (size_t)len));
}

static void read_names(struct tls_identity *id)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(id->leaf, NID_subject_alt_name, NULL, NULL);

    id->names = xcalloc(TLS_NAMES_MAX, sizeof(*id->names));
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_DNS)
            add_name(id, str_from_mem(ASN1_STRING_get0_data(text), ASN1_STRING_length(text)));
    }
    GENERAL_NAMES_free(names);
    if (id->facts.name_count == 0)
        add_common_name(id);
    id->names = xrealloc(id->names, MAX(id->facts.name_count, (size_t)1) * sizeof(*id->names));
    id->facts.names = (const char *const *)id->names;
}

static void read_facts(struct tls_identity *id)
{
    unsigned len = 0;

    read_names(id);
    id->facts.not_before_ms = tls_time_ms(X509_get0_notBefore(id->leaf));
    id->facts.not_after_ms = tls_time_ms(X509_get0_notAfter(id->leaf));
    id->facts.issuer = tls_name_text(X509_get_issuer_name(id->leaf));
    id->facts.is_self_signed = X509_self_signed(id->leaf, 0) == 1;
    ASSERT(X509_digest(id->leaf, EVP_sha256(), id->facts.sha256, &len) == 1);
    ERR_clear_error();
}

static int fill(struct tls_identity *id, struct str chain_pem, struct str key_pem,
                struct tls_text *out_error)
{
    int r =
        tls_pem_read_certificates(chain_pem, TLS_CHAIN_MAX + 1, take_certificate, id, out_error);
    if (r >= 0)
        r = read_key(id, key_pem, out_error);
    if (r >= 0)
        r = check_key(id, out_error);
    if (r >= 0)
        r = describe_key(id, out_error);
    if (r >= 0)
        r = check_order(id, out_error);
    return r;
}

int tls_identity_parse(struct str chain_pem, struct str key_pem, struct tls_identity **out,
                       struct tls_text *out_error)
{
    struct tls_identity *id = xcalloc(1, sizeof(*id));

    *out = NULL;
    id->refs = 1;
    id->chain = sk_X509_new_null();
    ASSERT(id->chain != NULL);
    int r = fill(id, chain_pem, key_pem, out_error);
    if (r < 0) {
        tls_identity_unref(id);
        return r;
    }
    read_facts(id);
    *out = id;
    return 0;
}

static int check_dates(const X509 *certificate, int64_t now_ms, struct tls_text *out_error)
{
    char date[CLOCK_TEXT_BYTES];
    int64_t from_ms = tls_time_ms(X509_get0_notBefore(certificate));
    int64_t to_ms = tls_time_ms(X509_get0_notAfter(certificate));

    if (now_ms < from_ms)
        (void)say(out_error, "is not valid before %.*s: is the clock right?", DATE_BYTES,
                  clock_format_utc(from_ms, date));
    else if (now_ms > to_ms)
        (void)say(out_error, "expired on %.*s: renew it", DATE_BYTES,
                  clock_format_utc(to_ms, date));
    else
        return 0;
    return -EKEYEXPIRED;
}

int tls_identity_check_time(const struct tls_identity *id, int64_t now_ms,
                            struct tls_text *out_error)
{
    struct tls_text what;

    if (check_dates(id->leaf, now_ms, &what) < 0) {
        (void)say(out_error, "the certificate %s", what.text);
        return -EKEYEXPIRED;
    }
    for (int i = 0; i < sk_X509_num(id->chain); i++) {
        if (check_dates(sk_X509_value(id->chain, i), now_ms, &what) == 0)
            continue;
        (void)say(out_error, "certificate %d of the chain %s", i + 2, what.text);
        return -EKEYEXPIRED;
    }
    return 0;
}

const struct tls_identity_facts *tls_identity_facts(const struct tls_identity *id)
{
    return &id->facts;
}

bool tls_identity_is_for(const struct tls_identity *id, struct str host)
{
    struct str label, parent;
    bool has_parent = str_cut(host, '.', &label, &parent);

    for (size_t i = 0; i < id->facts.name_count; i++) {
        struct str name = str_from_c(id->names[i]);
        if (str_eq_nocase(name, host))
            return true;
        if (has_parent && label.len > 0 && str_has_prefix(name, STR("*.")) &&
            str_eq_nocase(str_sub(name, 2, name.len), parent))
            return true;
    }
    return false;
}

struct tls_identity *tls_identity_ref(struct tls_identity *id)
{
    if (id != NULL)
        id->refs++;
    return id;
}

void tls_identity_unref(struct tls_identity *id)
{
    if (id == NULL || --id->refs > 0)
        return;
    X509_free(id->leaf);
    EVP_PKEY_free(id->key);
    sk_X509_pop_free(id->chain, X509_free);
    for (size_t i = 0; i < id->facts.name_count; i++)
        free(id->names[i]);
    free(id->names);
    free((void *)(uintptr_t)id->facts.key);
    free((void *)(uintptr_t)id->facts.issuer);
    free(id);
}
