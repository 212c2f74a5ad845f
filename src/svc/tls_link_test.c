/* A worker's keys: contexts are made of what the master sends, and stay when that is nonsense. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "rt/sealed.h"
#include "rt/tls_pki.h"
#include "svc/secrets.h"
#include "svc/tls_link.h"

enum { WIRE_MAX_BYTES = 1 << 20, PASSWORD_MAX_BYTES = 64 };

#define ALL_PARTS (SECRETS_IDENTITIES | SECRETS_CLIENT_CA | SECRETS_CA | SECRETS_CREDENTIALS)

static struct pki *pair, *other;
static struct settings *settings;

static int make_all(void **state)
{
    (void)state;
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "tls_link_test");
    tls_init();
    pair = pki_make(&(struct pki_spec){.name = "pair", .san = "DNS:mx.example.jp"});
    other = pki_make(&(struct pki_spec){.name = "other", .san = "DNS:mx.example.jp"});
    settings = settings_defaults();
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    pki_free(pair);
    pki_free(other);
    settings_free(settings);
    return 0;
}

/* As the master sends them; takes them in. The descriptor must be closed in any case. */
static int take_bytes(struct tls_link *link, struct str bytes)
{
    struct control_event event = {.type = CONTROL_TLS};

    assert_int_equal(sealed_make("test", bytes, &event.fd), 0);
    int r = tls_link_take(link, settings, &event);
    assert_int_equal(fcntl(event.fd, F_GETFD), -1);
    return r;
}

static int take(struct tls_link *link, const struct secrets *secrets, unsigned parts)
{
    struct buf wire;

    buf_init(&wire, WIRE_MAX_BYTES);
    secrets_encode(secrets, parts, &wire);
    int r = take_bytes(link, buf_str(&wire));
    buf_done(&wire);
    return r;
}

static void assert_password(const struct tls_link *link, const char *route, const char *expected)
{
    struct buf password;

    buf_init(&password, PASSWORD_MAX_BYTES);
    bool has_one = tls_link_put_password(link, str_from_c(route), &password);
    assert_int_equal(has_one, expected != NULL);
    assert_string_equal(buf_c_str(&password), expected != NULL ? expected : "");
    buf_done(&password);
}

static void everybody_gets_what_his_parts_allow(void **state)
{
    const struct secrets_identity identity = {STR("own"), str_from_c(pair->certificate_pem),
                                              str_from_c(pair->key_pem)};
    const struct secrets_credential credential = {STR("smarthost"), STR("secret")};
    const struct secrets secrets = {.identities = &identity,
                                    .identity_count = 1,
                                    .ca = str_from_c(pair->certificate_pem),
                                    .credentials = &credential,
                                    .credential_count = 1};
    struct tls_link link;

    (void)state;
    tls_link_init(&link);
    assert_password(&link, "smarthost", NULL);
    assert_int_equal(take(&link, &secrets, SECRETS_IDENTITIES), 0);
    assert_non_null(link.server);
    assert_password(&link, "smarthost", NULL);
    assert_int_equal(take(&link, &secrets, SECRETS_CA | SECRETS_CREDENTIALS), 0);
    assert_null(link.server);
    assert_non_null(link.client);
    assert_password(&link, "smarthost", "secret");
    assert_password(&link, "smart", NULL);
    tls_link_done(&link);
}

static void nonsense_leaves_all_as_it_was(void **state)
{
    const struct secrets_identity good = {STR("own"), str_from_c(pair->certificate_pem),
                                          str_from_c(pair->key_pem)};
    const struct secrets_identity bad = {STR("own"), str_from_c(pair->certificate_pem),
                                         str_from_c(other->key_pem)};
    const struct secrets_credential credential = {STR("smarthost"), STR("secret")};
    struct secrets secrets = {.identities = &good,
                              .identity_count = 1,
                              .credentials = &credential,
                              .credential_count = 1};
    struct control_event nothing = {.type = CONTROL_TLS, .fd = -1};
    struct tls_link link;

    (void)state;
    tls_link_init(&link);
    assert_int_equal(take(&link, &secrets, ALL_PARTS), 0);
    const struct tls_server *server = link.server;
    const struct tls_client *client = link.client;
    secrets.identities = &bad;
    secrets.credential_count = 0;
    assert_int_equal(take(&link, &secrets, ALL_PARTS), -EINVAL);
    secrets.identities = &good;
    secrets.ca = STR("nobody");
    assert_int_equal(take(&link, &secrets, ALL_PARTS), -EINVAL);
    assert_int_equal(take_bytes(&link, STR("nonsense")), -EBADMSG);
    assert_int_equal(take_bytes(&link, STR("")), -EBADMSG);
    assert_int_equal(tls_link_take(&link, settings, &nothing), -EBADF);
    assert_ptr_equal(link.server, server);
    assert_ptr_equal(link.client, client);
    assert_password(&link, "smarthost", "secret");
    tls_link_done(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_what_his_parts_allow),
        cmocka_unit_test(nonsense_leaves_all_as_it_was),
    };

    return cmocka_run_group_tests(tests, make_all, free_all);
}
