/* Unit tests of TLS handshakes: who is believed, what is chosen, what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rt/tls_internal.h"
#include "rt/tls_pair.h"
#include "rt/tls_pki.h"

enum { NOTE_BYTES = 200 };

/* The certificates of the tests. The first of an identity list is the default. */
enum { ROOT, SUB, MX, MX_RSA, WILD, OTHER, EXPIRED, SELF, TARO, STRANGER_CA, STRANGER, PKI_COUNT };

static struct pki *pki[PKI_COUNT];
static struct tls_identity *ids[PKI_COUNT];
static struct tls_ticket_keys keys;

static void make(int i, const struct pki_spec *spec)
{
    pki[i] = pki_make(spec);
}

static int make_world(void **state)
{
    (void)state;
    tls_init();
    tls_ticket_keys_make(&keys);
    make(ROOT, &(struct pki_spec){.name = "Test Root", .is_ca = true});
    make(SUB, &(struct pki_spec){.name = "Test Sub", .is_ca = true, .issuer = pki[ROOT]});
    make(MX, &(struct pki_spec){
                 .name = "mx", .san = "DNS:mx.example.jp,DNS:mail.example.jp", .issuer = pki[SUB]});
    make(MX_RSA,
         &(struct pki_spec){
             .name = "mx rsa", .san = "DNS:mx.example.jp", .key = "RSA-2048", .issuer = pki[SUB]});
    make(WILD, &(struct pki_spec){.name = "wild",
                                  .san = "DNS:*.wild.example,DNS:wild.example",
                                  .issuer = pki[SUB]});
    make(OTHER,
         &(struct pki_spec){.name = "other", .san = "DNS:other.example", .issuer = pki[SUB]});
    make(EXPIRED, &(struct pki_spec){.name = "old",
                                     .san = "DNS:mx.example.jp",
                                     .issuer = pki[SUB],
                                     .from_days = -20,
                                     .to_days = -10});
    make(SELF, &(struct pki_spec){.name = "self", .san = "DNS:mx.example.jp"});
    make(TARO, &(struct pki_spec){.name = "Taro",
                                  .san = "email:taro@example.jp,email:t@example.jp",
                                  .issuer = pki[SUB]});
    make(STRANGER_CA, &(struct pki_spec){.name = "Stranger Root", .is_ca = true});
    make(STRANGER, &(struct pki_spec){
                       .name = "Eve", .san = "email:taro@example.jp", .issuer = pki[STRANGER_CA]});
    for (int i = MX; i < PKI_COUNT; i++)
        ids[i] = pki_identity(pki[i], i == SELF || i >= STRANGER_CA ? NULL : pki[SUB]);
    return 0;
}

static int drop_world(void **state)
{
    (void)state;
    for (int i = 0; i < PKI_COUNT; i++) {
        tls_identity_unref(ids[i]);
        pki_free(pki[i]);
    }
    return 0;
}

static struct tls_server *make_server(const int *which, size_t count, struct str client_ca)
{
    struct tls_identity *list[PKI_COUNT];
    struct tls_server_config config = {.identities = list,
                                       .identity_count = count,
                                       .ticket_keys = &keys,
                                       .client_ca_pem = client_ca};
    struct tls_server *server;
    struct tls_text error;

    for (size_t i = 0; i < count; i++)
        list[i] = ids[which[i]];
    if (tls_server_new(&config, &server, &error) < 0)
        fail_msg("tls_server_new: %s", error.text);
    return server;
}

static struct tls_client *make_client(int identity)
{
    struct tls_client_config config = {.ca_pem = str_from_c(pki[ROOT]->certificate_pem),
                                       .identity = identity >= 0 ? ids[identity] : NULL,
                                       .max_sessions = 8};
    struct tls_client *client;
    struct tls_text error;

    if (tls_client_new(&config, &client, &error) < 0)
        fail_msg("tls_client_new: %s", error.text);
    return client;
}

/* What an end knew while the connection was there. */
struct note {
    struct tls_info info; /* its views point to the texts below */
    char subject[NOTE_BYTES], emails[NOTE_BYTES], sni[NOTE_BYTES], error[NOTE_BYTES];
    uint8_t exporter[TLS_EXPORTER_BYTES], end_point[TLS_END_POINT_MAX_BYTES];
    int has_exporter, end_point_bytes;
};

static struct note at_server, at_client;

static void copy(struct str text, char *to)
{
    assert_true(str_copy(text, to, NOTE_BYTES));
}

static void note(struct note *n, const struct stream *s)
{
    memset(n, 0, sizeof(*n));
    n->info = tls_info(s);
    copy(n->info.subject, n->subject);
    copy(n->info.emails, n->emails);
    copy(n->info.sni, n->sni);
    copy(str_from_c(tls_error(s)), n->error);
    n->has_exporter = tls_exporter(s, n->exporter);
    n->end_point_bytes = tls_server_end_point(s, n->end_point);
}

static void serve_line(struct tls_pair *p)
{
    struct str line;

    if (p->accepted == 0 && stream_read_line(&p->server, 100, &line) == 0) {
        assert_true(str_eq(line, STR("hello\r\n")));
        assert_int_equal(stream_write(&p->server, STR("welcome\r\n")), 0);
        stream_close_gently(&p->server, 1000);
    }
    note(&at_server, &p->server);
}

static void use_line(struct tls_pair *p)
{
    struct str line;

    if (p->connected == 0) {
        assert_int_equal(stream_write(&p->client, STR("hello\r\n")), 0);
        assert_int_equal(stream_read_line(&p->client, 100, &line), 0);
        assert_true(str_eq(line, STR("welcome\r\n")));
        assert_int_equal(stream_read_line(&p->client, 100, &line), -ENODATA);
    }
    note(&at_client, &p->client);
    stream_close_gently(&p->client, 0);
}

static void meet(struct tls_pair *p)
{
    p->serve = serve_line;
    p->use = use_line;
    tls_pair_run(p);
}

static void both_versions_carry_lines_both_ways(void **state)
{
    static const struct {
        int max_version;
        const char *version, *cipher;
        bool is_tcp;
    } table[] = {
        {TLS1_3_VERSION, "TLSv1.3", "TLS_AES_256_GCM_SHA384", false},
        {TLS1_2_VERSION, "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", true},
    };
    static const int mx[] = {MX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct tls_pair p = {.server_context = make_server(mx, 1, STR_NONE),
                             .client_context = make_client(-1),
                             .params = {.host = "mx.example.jp", .must_verify = true},
                             .is_tcp = table[i].is_tcp};
        SSL_CTX_set_max_proto_version(p.client_context->ctx, table[i].max_version);
        meet(&p);
        assert_int_equal(p.accepted, 0);
        assert_int_equal(p.connected, 0);
        assert_string_equal(at_client.info.version, table[i].version);
        assert_string_equal(at_server.info.version, table[i].version);
        assert_string_equal(at_server.info.cipher, table[i].cipher);
        assert_int_equal(at_server.info.bits, 256);
        assert_string_equal(at_server.sni, "mx.example.jp");
        assert_int_equal(at_server.info.trust, TLS_TRUST_NONE);
        assert_int_equal(at_client.info.trust, TLS_TRUST_VERIFIED);
        assert_string_equal(at_client.subject, "CN=mx");
        assert_false(at_client.info.is_resumed);
        /* Channel bindings: there, and the same at both ends. */
        assert_int_equal(at_client.has_exporter, 0);
        assert_int_equal(at_server.has_exporter, 0);
        assert_memory_equal(at_client.exporter, at_server.exporter, TLS_EXPORTER_BYTES);
        assert_int_equal(at_client.end_point_bytes, 32);
        assert_int_equal(at_server.end_point_bytes, 32);
        assert_memory_equal(at_client.end_point, at_server.end_point, 32);
        assert_memory_equal(at_client.end_point, tls_identity_facts(ids[MX])->sha256, 32);
        tls_server_unref(p.server_context);
        tls_client_unref(p.client_context);
    }
}

static void the_certificate_is_chosen_by_name(void **state)
{
    static const struct {
        const char *host, *subject;
        bool only_rsa;
    } table[] = {
        {"mx.example.jp", "CN=mx", false},    {"MAIL.example.JP", "CN=mx", false},
        {"a.wild.example", "CN=wild", false}, {"wild.example", "CN=wild", false},
        {"a.b.wild.example", "CN=mx", false}, {"other.example", "CN=other", false},
        {"unknown.example", "CN=mx", false},  {"192.0.2.1", "CN=mx", false}, /* no name is sent */
        {"mx.example.jp", "CN=mx rsa", true}, {"unknown.example", "CN=mx rsa", true},
    };
    static const int all[] = {MX, WILD, OTHER, MX_RSA};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct tls_pair p = {.server_context = make_server(all, ARRAY_LEN(all), STR_NONE),
                             .client_context = make_client(-1),
                             .params = {.host = table[i].host}};
        if (table[i].only_rsa)
            SSL_CTX_set1_sigalgs_list(p.client_context->ctx, "RSA-PSS+SHA256");
        meet(&p);
        assert_int_equal(p.connected, 0);
        assert_string_equal(at_client.subject, table[i].subject);
        assert_memory_equal(at_client.end_point, at_server.end_point, 32);
        tls_server_unref(p.server_context);
        tls_client_unref(p.client_context);
    }
}

static void who_is_not_the_one_is_refused_or_named(void **state)
{
    static const struct {
        int server;
        const char *host, *name;
        enum tls_trust trust;
        const char *error;
    } table[] = {
        {MX, "mx.example.jp", NULL, TLS_TRUST_VERIFIED, ""},
        {MX, "anything.example", "mail.example.jp", TLS_TRUST_VERIFIED, ""},
        {MX, "other.example", NULL, TLS_TRUST_OTHER_NAME,
         "certificate verify failed: hostname mismatch"},
        {MX, "192.0.2.1", NULL, TLS_TRUST_OTHER_NAME,
         "certificate verify failed: IP address mismatch"},
        {EXPIRED, "mx.example.jp", NULL, TLS_TRUST_EXPIRED,
         "certificate verify failed: certificate has expired"},
        {SELF, "mx.example.jp", NULL, TLS_TRUST_SELF_SIGNED,
         "certificate verify failed: self-signed certificate"},
        {STRANGER, "mx.example.jp", NULL, TLS_TRUST_UNKNOWN_ISSUER,
         "certificate verify failed: unable to get local issuer certificate"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table) * 2; i++) {
        size_t row = i / 2;
        bool must_verify = i % 2 == 1;
        struct tls_pair p = {.server_context = make_server(&table[row].server, 1, STR_NONE),
                             .client_context = make_client(-1),
                             .params = {table[row].host, table[row].name, must_verify}};
        meet(&p);
        bool is_refused = must_verify && table[row].trust != TLS_TRUST_VERIFIED;
        assert_int_equal(p.connected, is_refused ? -EPROTO : 0);
        assert_string_equal(at_client.error, is_refused ? table[row].error : "");
        assert_int_equal(at_client.info.trust, table[row].trust);
        assert_int_equal(at_client.info.is_on, !is_refused);
        assert_int_equal(at_client.info.verified_name.len > 0,
                         table[row].trust == TLS_TRUST_VERIFIED);
        tls_server_unref(p.server_context);
        tls_client_unref(p.client_context);
    }
}

static void a_refused_server_is_told_why(void **state)
{
    static const int self[] = {SELF};
    struct tls_pair p = {.server_context = make_server(self, 1, STR_NONE),
                         .client_context = make_client(-1),
                         .params = {.host = "mx.example.jp", .must_verify = true}};

    (void)state;
    /* In 1.2 the server is still in the handshake then. */
    SSL_CTX_set_max_proto_version(p.client_context->ctx, TLS1_2_VERSION);
    meet(&p);
    assert_int_equal(p.accepted, -EPROTO);
    assert_string_equal(at_server.error, "the peer says: tlsv1 alert unknown ca");
    tls_server_unref(p.server_context);
    tls_client_unref(p.client_context);
}

static void clients_may_show_certificates(void **state)
{
    static const struct {
        int client;
        bool is_asked;
        enum tls_trust trust;
        const char *subject, *emails;
    } table[] = {
        {TARO, true, TLS_TRUST_VERIFIED, "CN=Taro", "taro@example.jp t@example.jp"},
        {TARO, false, TLS_TRUST_NONE, "", ""},
        {-1, true, TLS_TRUST_NONE, "", ""},
        {STRANGER, true, TLS_TRUST_UNKNOWN_ISSUER, "CN=Eve", "taro@example.jp"},
        {SELF, true, TLS_TRUST_SELF_SIGNED, "CN=self", ""},
    };
    static const int mx[] = {MX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table) * 2; i++) {
        size_t row = i / 2;
        struct str ca = str_from_c(table[row].is_asked ? pki[ROOT]->certificate_pem : NULL);
        struct tls_pair p = {.server_context = make_server(mx, 1, ca),
                             .client_context = make_client(table[row].client),
                             .params = {.host = "mx.example.jp"}};
        if (i % 2 == 1)
            SSL_CTX_set_max_proto_version(p.client_context->ctx, TLS1_2_VERSION);
        for (int again = 0; again < 2; again++) {
            meet(&p);
            assert_int_equal(p.accepted, 0);
            assert_int_equal(at_server.info.is_resumed, again);
            assert_int_equal(at_server.info.trust, table[row].trust);
            assert_string_equal(at_server.subject, table[row].subject);
            assert_string_equal(at_server.emails, table[row].emails);
        }
        tls_server_unref(p.server_context);
        tls_client_unref(p.client_context);
    }
}

static struct tls_server *make_strict_server(const char *ca, const char *crl)
{
    struct tls_server_config config = {.identities = &ids[MX],
                                       .identity_count = 1,
                                       .ticket_keys = &keys,
                                       .client_ca_pem = str_from_c(ca),
                                       .client_crl_pem = str_from_c(crl)};
    struct tls_server *server;
    struct tls_text error;

    if (tls_server_new(&config, &server, &error) < 0)
        fail_msg("tls_server_new: %s", error.text);
    return server;
}

static void certificates_that_were_called_back_are_not_trusted(void **state)
{
    CLEANUP(cleanup_free) char *none = pki_crl(pki[SUB], NULL, 1);
    CLEANUP(cleanup_free) char *taro = pki_crl(pki[SUB], pki[TARO], 1);
    CLEANUP(cleanup_free) char *old = pki_crl(pki[SUB], NULL, -1);
    CLEANUP(cleanup_free) char *of_other = pki_crl(pki[ROOT], NULL, 1);
    CLEANUP(cleanup_free) char *both = xasprintf("%s%s", of_other, taro);
    const struct {
        const char *crl;
        enum tls_trust trust;
        const char *text;
    } table[] = {
        {NULL, TLS_TRUST_VERIFIED, "ok"},
        {none, TLS_TRUST_VERIFIED, "ok"},
        {taro, TLS_TRUST_BAD, "certificate revoked"},
        {both, TLS_TRUST_BAD, "certificate revoked"},
        {old, TLS_TRUST_BAD, "CRL has expired"},
        {of_other, TLS_TRUST_BAD, "unable to get certificate CRL"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table) * 2; i++) {
        size_t row = i / 2;
        struct tls_pair p = {.server_context =
                                 make_strict_server(pki[ROOT]->certificate_pem, table[row].crl),
                             .client_context = make_client(TARO),
                             .params = {.host = "mx.example.jp"}};
        if (i % 2 == 1)
            SSL_CTX_set_max_proto_version(p.client_context->ctx, TLS1_2_VERSION);
        for (int again = 0; again < 2; again++) {
            meet(&p);
            assert_int_equal(p.accepted, 0);
            assert_int_equal(at_server.info.is_resumed, again);
            assert_int_equal(at_server.info.trust, table[row].trust);
            assert_string_equal(at_server.info.trust_text, table[row].text);
        }
        tls_server_unref(p.server_context);
        tls_client_unref(p.client_context);
    }
}

/* A ticket remembers that the certificate was good: with another list it is not taken. */
static void a_ticket_does_not_outlive_the_list(void **state)
{
    CLEANUP(cleanup_free) char *none = pki_crl(pki[SUB], NULL, 1);
    CLEANUP(cleanup_free) char *taro = pki_crl(pki[SUB], pki[TARO], 1);
    struct tls_pair p = {.client_context = make_client(TARO), .params = {.host = "mx.example.jp"}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        p.server_context = make_strict_server(pki[ROOT]->certificate_pem, i < 2 ? none : taro);
        meet(&p);
        assert_int_equal(p.accepted, 0);
        assert_int_equal(at_server.info.is_resumed, i == 1);
        assert_int_equal(at_server.info.trust, i < 2 ? TLS_TRUST_VERIFIED : TLS_TRUST_BAD);
        tls_server_unref(p.server_context);
    }
    tls_client_unref(p.client_context);
}

static void lists_that_are_none_are_refused(void **state)
{
    CLEANUP(cleanup_free) char *crl = pki_crl(pki[SUB], NULL, 1);
    CLEANUP(cleanup_free) char *half = str_dup(str_sub(str_from_c(crl), 0, 100));
    struct tls_text error;
    int64_t until_ms;

    (void)state;
    assert_int_equal(tls_crl_check(str_from_c(crl), &until_ms, &error), 0);
    int64_t left_ms = until_ms - clock_real_ms();
    assert_true(left_ms > 23 * 3600 * 1000 && left_ms <= 24 * 3600 * 1000);
    assert_int_not_equal(tls_crl_check(STR(""), &until_ms, &error), 0);
    assert_string_equal(error.text, "there is no list in PEM form (-----BEGIN X509 CRL-----)");
    assert_int_not_equal(tls_crl_check(str_from_c(pki[SUB]->certificate_pem), &until_ms, &error),
                         0);
    assert_int_not_equal(tls_crl_check(str_from_c(half), &until_ms, &error), 0);
    assert_string_equal(error.text, "a list in it cannot be read");
}

static void a_certificate_may_expire_while_the_connection_lasts(void **state)
{
    char path[] = "/tmp/hikyaku-tls-clock-XXXXXX";
    struct tls_pair p = {.server_context = make_strict_server(pki[ROOT]->certificate_pem, NULL),
                         .client_context = make_client(TARO),
                         .params = {.host = "mx.example.jp"}};
    CLEANUP(cleanup_close) int fd = mkstemp(path);

    (void)state;
    assert_int_equal(clock_use_file(path), 0);
    meet(&p);
    assert_int_equal(at_server.info.trust, TLS_TRUST_VERIFIED);
    clock_advance_ms(2 * 24 * 3600 * 1000); /* it is good for a day */
    meet(&p);
    assert_int_equal(at_server.info.trust, TLS_TRUST_EXPIRED);
    assert_string_equal(at_server.info.trust_text, "certificate has expired");
    clock_advance_ms(-2 * 24 * 3600 * 1000);
    assert_int_equal(unlink(path), 0);
    tls_server_unref(p.server_context);
    tls_client_unref(p.client_context);
}

static void addresses_are_alternative_names_or_else_in_the_subject(void **state)
{
    static const struct {
        const char *email, *san, *emails;
    } table[] = {
        {"old@example.jp", NULL, "old@example.jp"},
        {"old@example.jp", "DNS:a.example", "old@example.jp"},
        {"old@example.jp", "email:new@example.jp", "new@example.jp"},
        {"two words@example.jp", NULL, ""},
        {NULL, "DNS:a.example", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct pki *one = pki_make(&(struct pki_spec){
            .name = "one", .email = table[i].email, .san = table[i].san, .issuer = pki[SUB]});
        struct tls_identity *before = ids[TARO];
        ids[TARO] = pki_identity(one, pki[SUB]);
        struct tls_pair p = {.server_context = make_strict_server(pki[ROOT]->certificate_pem, NULL),
                             .client_context = make_client(TARO),
                             .params = {.host = "mx.example.jp"}};
        meet(&p);
        assert_string_equal(at_server.emails, table[i].emails);
        tls_server_unref(p.server_context);
        tls_client_unref(p.client_context);
        tls_identity_unref(ids[TARO]);
        ids[TARO] = before;
        pki_free(one);
    }
}

/* Another worker: a context of its own, the same ticket keys. */
static void sessions_are_resumed_by_all_who_share_ticket_keys(void **state)
{
    static const int served[] = {OTHER, WILD, MX};

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_pair p = {.client_context = make_client(-1),
                             .params = {.host = "mx.example.jp", .must_verify = true}};
        SSL_CTX_set_max_proto_version(p.client_context->ctx, version);
        for (int i = 0; i < 4; i++) {
            p.server_context = make_server(served, ARRAY_LEN(served), STR_NONE);
            meet(&p);
            assert_int_equal(p.connected, 0);
            assert_int_equal(at_server.info.is_resumed, i > 0);
            assert_int_equal(at_client.info.is_resumed, i > 0);
            assert_int_equal(at_client.info.trust, TLS_TRUST_VERIFIED);
            assert_string_equal(at_client.subject, "CN=mx");
            assert_int_equal(at_server.end_point_bytes, 32);
            assert_memory_equal(at_client.end_point, at_server.end_point, 32);
            assert_memory_equal(at_client.exporter, at_server.exporter, TLS_EXPORTER_BYTES);
            tls_server_unref(p.server_context);
        }
        tls_client_unref(p.client_context);
    }
}

static bool is_resumed_after(void (*change)(struct tls_ticket_keys *), int times,
                             const char *second_host, const int *second_served)
{
    static const int mx[] = {MX};
    struct tls_ticket_keys before = keys;
    struct tls_pair p = {.client_context = make_client(-1), .params = {.host = "mx.example.jp"}};

    p.server_context = make_server(mx, 1, STR_NONE);
    meet(&p);
    tls_server_unref(p.server_context);
    for (int i = 0; i < times; i++)
        change(&keys);
    p.server_context = make_server(second_served != NULL ? second_served : mx, 1, STR_NONE);
    p.params.host = second_host;
    meet(&p);
    assert_int_equal(p.connected, 0);
    tls_server_unref(p.server_context);
    tls_client_unref(p.client_context);
    keys = before;
    return at_client.info.is_resumed;
}

static void sessions_are_not_resumed_where_they_do_not_belong(void **state)
{
    static const int other[] = {OTHER};

    (void)state;
    assert_true(is_resumed_after(tls_ticket_keys_rotate, 0, "mx.example.jp", NULL));
    assert_true(is_resumed_after(tls_ticket_keys_rotate, 1, "mx.example.jp", NULL));
    assert_false(is_resumed_after(tls_ticket_keys_rotate, 2, "mx.example.jp", NULL));
    assert_false(is_resumed_after(tls_ticket_keys_make, 1, "mx.example.jp", NULL));
    assert_false(is_resumed_after(tls_ticket_keys_rotate, 0, "mail.example.jp", NULL));
    /* The certificate that it began with is served no more. */
    assert_false(is_resumed_after(tls_ticket_keys_rotate, 0, "mx.example.jp", other));
}

static void an_unverified_session_does_not_pass_for_a_verified_one(void **state)
{
    static const int self[] = {SELF};
    struct tls_pair p = {.server_context = make_server(self, 1, STR_NONE),
                         .client_context = make_client(-1),
                         .params = {.host = "mx.example.jp"}};

    (void)state;
    meet(&p);
    assert_int_equal(p.connected, 0);
    p.params.must_verify = true;
    meet(&p);
    assert_int_equal(p.connected, -EPROTO);
    tls_server_unref(p.server_context);
    tls_client_unref(p.client_context);
}

static void old_sessions_make_room(void **state)
{
    enum { HOSTS = 12, KEPT = 8 };
    static const int wild[] = {WILD};
    struct tls_pair p = {.server_context = make_server(wild, 1, STR_NONE),
                         .client_context = make_client(-1)};
    char host[40];

    (void)state;
    for (int i = 0; i < HOSTS; i++) {
        (void)snprintf(host, sizeof(host), "h%d.wild.example", i);
        p.params.host = host;
        meet(&p);
    }
    assert_int_equal(p.client_context->sessions.count, KEPT);
    p.params.host = "h0.wild.example";
    meet(&p);
    assert_false(at_client.info.is_resumed);
    p.params.host = "h11.wild.example";
    meet(&p);
    assert_true(at_client.info.is_resumed);
    tls_server_unref(p.server_context);
    tls_client_unref(p.client_context);
}

static void a_replaced_context_serves_its_connections_to_the_end(void **state)
{
    static const int mx[] = {MX};
    struct tls_pair p = {.server_context = make_server(mx, 1, STR_NONE),
                         .client_context = make_client(-1),
                         .params = {.host = "mx.example.jp"}};
    struct tls_server *server = p.server_context;

    (void)state;
    assert_int_equal(server->refs, 1);
    meet(&p);
    assert_int_equal(server->refs, 1);
    tls_server_unref(tls_server_ref(server));
    tls_server_unref(server);
    tls_client_unref(p.client_context);
    tls_server_unref(NULL);
    tls_client_unref(NULL);
}

static void only_modern_suites_are_served(void **state)
{
    static const struct {
        int max_version;
        const char *ciphers;
        int result;
    } table[] = {
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", 0},
        {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", 0},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA384", -EPROTO},
        {TLS1_2_VERSION, "AES256-GCM-SHA384", -EPROTO},
        {TLS1_1_VERSION, "ALL:@SECLEVEL=0", -EPROTO},
    };
    static const int served[] = {MX, MX_RSA};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct tls_pair p = {.server_context = make_server(served, 2, STR_NONE),
                             .client_context = make_client(-1),
                             .params = {.host = "mx.example.jp"}};
        SSL_CTX_set_min_proto_version(p.client_context->ctx, 0);
        SSL_CTX_set_max_proto_version(p.client_context->ctx, table[i].max_version);
        assert_int_equal(SSL_CTX_set_cipher_list(p.client_context->ctx, table[i].ciphers), 1);
        meet(&p);
        assert_int_equal(p.accepted, table[i].result);
        assert_int_equal(p.connected, table[i].result);
        tls_server_unref(p.server_context);
        tls_client_unref(p.client_context);
    }
}

static void the_least_version_can_be_raised(void **state)
{
    struct tls_server_config config = {
        .identities = &ids[MX], .identity_count = 1, .min_version = TLS_1_3};
    struct tls_pair p = {.client_context = make_client(-1), .params = {.host = "mx.example.jp"}};
    struct tls_text error;

    (void)state;
    assert_int_equal(tls_server_new(&config, &p.server_context, &error), 0);
    SSL_CTX_set_max_proto_version(p.client_context->ctx, TLS1_2_VERSION);
    meet(&p);
    assert_int_equal(p.accepted, -EPROTO);
    assert_string_equal(at_server.error, "unsupported protocol");
    assert_string_equal(at_client.error, "the peer says: tlsv1 alert protocol version");
    tls_server_unref(p.server_context);
    tls_client_unref(p.client_context);
}

/* RFC 9266 section 3. */
static void there_is_no_exporter_without_extended_master_secret(void **state)
{
    static const int mx[] = {MX};
    struct tls_pair p = {.server_context = make_server(mx, 1, STR_NONE),
                         .client_context = make_client(-1),
                         .params = {.host = "mx.example.jp"}};

    (void)state;
    SSL_CTX_set_max_proto_version(p.client_context->ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(p.client_context->ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    meet(&p);
    assert_int_equal(p.accepted, 0);
    assert_int_equal(at_server.has_exporter, -ENOTSUP);
    assert_int_equal(at_client.has_exporter, -ENOTSUP);
    assert_int_equal(at_server.end_point_bytes, 32);
    tls_server_unref(p.server_context);
    tls_client_unref(p.client_context);
}

static void contexts_say_what_is_wrong_with_their_texts(void **state)
{
    struct tls_client_config client = {.ca_pem = STR("no certificates here")};
    struct tls_server_config server = {
        .identities = &ids[MX], .identity_count = 1, .client_ca_pem = STR("nor here")};
    struct tls_client *c = (void *)&client;
    struct tls_server *s = (void *)&server;
    struct tls_text error;

    (void)state;
    assert_int_equal(tls_client_new(&client, &c, &error), -EINVAL);
    assert_string_equal(error.text,
                        "there is no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    assert_null(c);
    assert_int_equal(tls_server_new(&server, &s, &error), -EINVAL);
    assert_null(s);
}

static void plain_streams_have_no_tls(void **state)
{
    struct tls_pair p = {0};

    (void)state;
    meet(&p);
    assert_false(at_client.info.is_on);
    assert_int_equal(at_client.has_exporter, -ENOTSUP);
    assert_int_equal(at_client.end_point_bytes, -ENOTSUP);
    assert_string_equal(at_client.error, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_carry_lines_both_ways),
        cmocka_unit_test(the_certificate_is_chosen_by_name),
        cmocka_unit_test(who_is_not_the_one_is_refused_or_named),
        cmocka_unit_test(a_refused_server_is_told_why),
        cmocka_unit_test(clients_may_show_certificates),
        cmocka_unit_test(certificates_that_were_called_back_are_not_trusted),
        cmocka_unit_test(a_ticket_does_not_outlive_the_list),
        cmocka_unit_test(lists_that_are_none_are_refused),
        cmocka_unit_test(a_certificate_may_expire_while_the_connection_lasts),
        cmocka_unit_test(addresses_are_alternative_names_or_else_in_the_subject),
        cmocka_unit_test(sessions_are_resumed_by_all_who_share_ticket_keys),
        cmocka_unit_test(sessions_are_not_resumed_where_they_do_not_belong),
        cmocka_unit_test(an_unverified_session_does_not_pass_for_a_verified_one),
        cmocka_unit_test(old_sessions_make_room),
        cmocka_unit_test(a_replaced_context_serves_its_connections_to_the_end),
        cmocka_unit_test(only_modern_suites_are_served),
        cmocka_unit_test(the_least_version_can_be_raised),
        cmocka_unit_test(there_is_no_exporter_without_extended_master_secret),
        cmocka_unit_test(contexts_say_what_is_wrong_with_their_texts),
        cmocka_unit_test(plain_streams_have_no_tls),
    };
    return cmocka_run_group_tests_name("tls", tests, make_world, drop_world);
}
