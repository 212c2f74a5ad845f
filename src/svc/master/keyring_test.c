/*
 * The keyring against folders as certbot makes them: what can be used is, what cannot is named, and
 * what is in use stays until there is something better.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/tls.h"
#include "rt/tls_pki.h"
#include "svc/master/keyring.h"

enum { TEXT_MAX_BYTES = 64 * 1024, WALK_DESCRIPTORS = 8, TWO_DAYS_MS = 2 * 86400 * 1000 };

#define HOST "server { hostname = mx.example.jp }\ntls { ca_file = \"\" }\n"

static char directory[64];
static struct pki *first, *second, *expired;

static int make_pairs(void **state)
{
    (void)state;
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "keyring_test");
    tls_init();
    first = pki_make(&(struct pki_spec){.name = "first", .san = "DNS:mx.example.jp"});
    second = pki_make(&(struct pki_spec){.name = "second", .san = "DNS:mx.example.jp"});
    expired = pki_make(&(struct pki_spec){
        .name = "expired", .san = "DNS:mx.example.jp", .from_days = -20, .to_days = -10});
    return 0;
}

static int free_pairs(void **state)
{
    (void)state;
    pki_free(first);
    pki_free(second);
    pki_free(expired);
    return 0;
}

static int enter_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/hikyaku-keyring-XXXXXX");
    if (mkdtemp(directory) == NULL || chdir(directory) < 0)
        return -1;
    return mkdir("live", 0755) < 0 || mkdir("archive", 0755) < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int leave_directory(void **state)
{
    (void)state;
    return chdir("/") < 0 ? -1
                          : nftw(directory, remove_one, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fchmod(fileno(file), mode), 0);
}

/* As certbot does it: the link is another one at once. */
static void point(const char *link, const char *target)
{
    (void)unlink("live/new");
    assert_int_equal(symlink(target, "live/new"), 0);
    assert_int_equal(rename("live/new", link), 0);
}

static void install_chain(const struct pki *pki, int number)
{
    CLEANUP(cleanup_free) char *path = xasprintf("archive/fullchain%d.pem", number);
    CLEANUP(cleanup_free) char *target = xasprintf("../%s", path);

    write_file(path, pki->certificate_pem, 0644);
    point("live/fullchain.pem", target);
}

static void install_key(const struct pki *pki, int number)
{
    CLEANUP(cleanup_free) char *path = xasprintf("archive/privkey%d.pem", number);
    CLEANUP(cleanup_free) char *target = xasprintf("../%s", path);

    write_file(path, pki->key_pem, 0600);
    point("live/privkey.pem", target);
}

static void install(const struct pki *pki, int number)
{
    install_chain(pki, number);
    install_key(pki, number);
}

/* In texts, @ stands for the directory. */
static char *expand(const char *text)
{
    struct buf out;

    buf_init(&out, TEXT_MAX_BYTES);
    for (; *text != '\0'; text++) {
        if (*text == '@')
            buf_put_c(&out, directory);
        else
            buf_put_char(&out, *text);
    }
    char *expanded = xstrdup(buf_c_str(&out));
    buf_done(&out);
    return expanded;
}

static struct settings *load(const char *sections)
{
    CLEANUP(cleanup_free) char *text = expand(sections);
    struct settings *settings;
    struct buf errors;

    write_file("hikyaku.conf", text, 0644);
    buf_init(&errors, TEXT_MAX_BYTES);
    int r = settings_load("hikyaku.conf", &settings, &errors);
    assert_string_equal(buf_c_str(&errors), "");
    assert_int_equal(r, 0);
    buf_done(&errors);
    return settings;
}

static struct keyring *open_good(const char *sections, const struct keyring *old)
{
    struct settings *settings = load(sections);
    struct keyring *k;
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    int r = keyring_new(settings, old, &k, &text);
    assert_string_equal(buf_c_str(&text), "");
    assert_int_equal(r, 0);
    buf_done(&text);
    settings_free(settings);
    return k;
}

static void assert_refused(const char *sections, const struct keyring *old, const char *expected)
{
    CLEANUP(cleanup_free) char *lines = expand(expected);
    struct settings *settings = load(sections);
    struct keyring *k;
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    assert_int_equal(keyring_new(settings, old, &k, &text), -EINVAL);
    assert_null(k);
    assert_string_equal(buf_c_str(&text), lines);
    buf_done(&text);
    settings_free(settings);
}

static void assert_in_use(const struct keyring *k, const struct pki *pki)
{
    struct secrets secrets;
    struct arena arena;

    arena_init(&arena, SECRETS_ARENA_BYTES);
    keyring_secrets(k, &arena, &secrets);
    assert_int_equal(secrets.identity_count, 1);
    assert_true(str_eq_c(secrets.identities[0].name, "own"));
    assert_true(str_eq_c(secrets.identities[0].chain, pki->certificate_pem));
    assert_true(str_eq_c(secrets.identities[0].key, pki->key_pem));
    arena_done(&arena);
}

#define FOLDER HOST "certificate \"own\" { folder = \"@/live\" }\n"

static void a_renewal_is_taken_up_when_it_has_settled(void **state)
{
    (void)state;
    install(first, 1);
    struct keyring *k = open_good(FOLDER, NULL);
    assert_in_use(k, first);
    assert_int_equal(keyring_refresh(k), 0);
    install(second, 2);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_in_use(k, first);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_NEWS);
    assert_in_use(k, second);
    assert_null(k->items[0].problem);
    assert_int_equal(keyring_refresh(k), 0);
    keyring_free(k);
}

static void half_a_renewal_changes_nothing_and_is_told_of_once(void **state)
{
    CLEANUP(cleanup_free)
    char *expected =
        expand("@/live/fullchain.pem with the key @/live/privkey.pem: the key does not "
               "belong to the certificate");

    (void)state;
    install(first, 1);
    struct keyring *k = open_good(FOLDER, NULL);
    install_chain(second, 2);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_PROBLEM);
    assert_string_equal(k->items[0].problem, expected);
    assert_in_use(k, first);
    assert_int_equal(keyring_refresh(k), 0);
    install_key(second, 2);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_NEWS);
    assert_null(k->items[0].problem);
    assert_in_use(k, second);
    keyring_free(k);
}

/* Written over in place, which is not how certbot does it. */
static void a_file_that_is_being_written_is_left_alone(void **state)
{
    CLEANUP(cleanup_free) char *half = xstrdup(second->certificate_pem);

    (void)state;
    install(first, 1);
    struct keyring *k = open_good(FOLDER, NULL);
    half[strlen(half) / 2] = '\0';
    write_file("archive/fullchain1.pem", half, 0644);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    write_file("archive/privkey1.pem", second->key_pem, 0600);
    write_file("archive/fullchain1.pem", second->certificate_pem, 0644);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_in_use(k, first);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_NEWS);
    assert_in_use(k, second);
    keyring_free(k);
}

static void files_that_vanish_stay_in_use(void **state)
{
    (void)state;
    install(first, 1);
    struct keyring *k = open_good(FOLDER, NULL);
    assert_int_equal(rename("live", "elsewhere"), 0);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_PROBLEM);
    assert_non_null(strstr(k->items[0].problem, "No such file"));
    assert_in_use(k, first);
    assert_int_equal(rename("elsewhere", "live"), 0);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_NEWS);
    assert_null(k->items[0].problem);
    keyring_free(k);
}

static void an_expired_one_is_used_only_if_there_is_no_better(void **state)
{
    char date[CLOCK_TEXT_BYTES];

    (void)state;
    install(expired, 1);
    struct keyring *k = open_good(FOLDER, NULL);
    assert_in_use(k, expired);
    install(first, 2);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_NEWS);
    assert_in_use(k, first);
    install(expired, 3);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_PROBLEM);
    assert_in_use(k, first);
    int64_t until_ms = tls_identity_facts(k->items[0].identity)->not_after_ms;
    (void)clock_format_utc(until_ms - (int64_t)11 * 86400 * 1000, date);
    date[strlen("2026-11-21")] = '\0';
    CLEANUP(cleanup_free)
    char *refusal =
        xasprintf("certificate \"own\": @/live/fullchain.pem: the certificate expired on %s: "
                  "renew it\n",
                  date);
    assert_refused(FOLDER, k, refusal);
    /* When the one in use has expired as well, neither is better. */
    clock_advance_ms(TWO_DAYS_MS);
    struct keyring *again = open_good(FOLDER, k);
    assert_in_use(again, expired);
    clock_advance_ms(-TWO_DAYS_MS);
    keyring_free(again);
    keyring_free(k);
}

#define CHAIN_AND_KEY                                                                              \
    HOST "certificate \"own\" { chain_file = \"@/chain.pem\"; key_file = \"@/key.pem\" }\n"

static void what_cannot_be_used_is_named_with_a_cure(void **state)
{
    const struct {
        const char *chain;
        const char *key;
        mode_t key_mode;
        const char *expected;
    } rows[] = {
        {NULL, NULL, 0600,
         "@/chain.pem cannot be read: No such file or directory; name the file that there is, or "
         "put it there"},
        {first->certificate_pem, NULL, 0600,
         "@/key.pem cannot be read: No such file or directory; name the file that there is, or put "
         "it there"},
        {first->certificate_pem, first->key_pem, 0604,
         "@/key.pem is open to others (mode 0604); type: chmod o= @/key.pem"},
        {"", first->key_pem, 0600, "@/chain.pem is empty; put there what belongs into it"},
        {first->certificate_pem, second->key_pem, 0600,
         "@/chain.pem with the key @/key.pem: the key does not belong to the certificate"},
        {first->key_pem, first->key_pem, 0600,
         "@/chain.pem with the key @/key.pem: there is no certificate in PEM form (-----BEGIN "
         "CERTIFICATE-----)"},
        {first->certificate_pem, "secret\n", 0600,
         "@/chain.pem with the key @/key.pem: there is no private key in PEM form (-----BEGIN "
         "PRIVATE KEY-----)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(cleanup_free) char *line = xasprintf("certificate \"own\": %s\n", rows[i].expected);
        (void)unlink("chain.pem");
        (void)unlink("key.pem");
        if (rows[i].chain != NULL)
            write_file("chain.pem", rows[i].chain, 0644);
        if (rows[i].key != NULL)
            write_file("key.pem", rows[i].key, rows[i].key_mode);
        assert_refused(CHAIN_AND_KEY, NULL, line);
    }
    /* Neither a folder nor a pipe, at which one would wait, is a file. */
    write_file("key.pem", first->key_pem, 0640);
    (void)unlink("chain.pem");
    assert_int_equal(mkdir("chain.pem", 0755), 0);
    assert_refused(CHAIN_AND_KEY, NULL, "certificate \"own\": @/chain.pem is no file; name one\n");
    assert_int_equal(rmdir("chain.pem"), 0);
    assert_int_equal(mkfifo("chain.pem", 0644), 0);
    assert_refused(CHAIN_AND_KEY, NULL, "certificate \"own\": @/chain.pem is no file; name one\n");
    assert_int_equal(unlink("chain.pem"), 0);
    write_file("chain.pem", first->certificate_pem, 0644);
    keyring_free(open_good(CHAIN_AND_KEY, NULL));
}

static void all_that_is_wrong_is_named_at_once(void **state)
{
    (void)state;
    assert_refused(HOST "certificate \"a\" { folder = @/none }\n"
                        "tls.client_ca_file = @/clients.pem\n"
                        "certificate \"b\" { folder = @/none }\n",
                   NULL,
                   "certificate \"a\": @/none/fullchain.pem cannot be read: No such file or "
                   "directory; name the file that there is, or put it there\n"
                   "certificate \"b\": @/none/fullchain.pem cannot be read: No such file or "
                   "directory; name the file that there is, or put it there\n"
                   "tls.client_ca_file: @/clients.pem cannot be read: No such file or directory; "
                   "name the file that there is, or put it there\n");
}

#define SMARTHOST                                                                                  \
    HOST "route \"smarthost\" { to = \"*\"; via = hosts; hosts = relay.example; tls = require\n"   \
         " username = user; password_file = \"@/password\" }\n"

static void the_first_line_is_the_password(void **state)
{
    static const struct {
        const char *text;
        const char *password; /* NULL: refused */
    } rows[] = {
        {"secret", "secret"},
        {"secret\n", "secret"},
        {"two words \r\nmore\n", "two words "},
        {"\xe9\xa3\x9b\xe8\x84\x9a\n", "\xe9\xa3\x9b\xe8\x84\x9a"},
        {"\nsecret\n", NULL},
        {"\r\n", NULL},
    };
    struct secrets secrets;
    struct arena arena;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file("password", rows[i].text, 0600);
        if (rows[i].password == NULL) {
            assert_refused(SMARTHOST, NULL,
                           "route \"smarthost\": @/password has no password in its first line; "
                           "write it there\n");
            continue;
        }
        struct keyring *k = open_good(SMARTHOST, NULL);
        arena_init(&arena, SECRETS_ARENA_BYTES);
        keyring_secrets(k, &arena, &secrets);
        assert_int_equal(secrets.credential_count, 1);
        assert_true(str_eq_c(secrets.credentials[0].route, "smarthost"));
        assert_true(str_eq_c(secrets.credentials[0].password, rows[i].password));
        arena_done(&arena);
        keyring_free(k);
    }
    write_file("password", "secret\n", 0640);
    assert_refused(SMARTHOST, NULL,
                   "route \"smarthost\": @/password is open to others (mode 0640); type: chmod go= "
                   "@/password\n");
}

#define AUTHORITIES "server.hostname = mx.example.jp\ntls.ca_file = \"@/ca.pem\"\n"

static void authorities_may_lack_unless_somebody_is_verified(void **state)
{
    struct secrets secrets;
    struct arena arena;

    (void)state;
    assert_refused(AUTHORITIES "route \"x\" { to = a.example; tls = verify }\n", NULL,
                   "tls.ca_file: @/ca.pem cannot be read: No such file or directory; name the file "
                   "that there is, or put it there\n");
    struct keyring *k = open_good(AUTHORITIES, NULL);
    assert_non_null(k->items[0].problem);
    assert_int_equal(keyring_refresh(k), 0);
    write_file("ca.pem", first->certificate_pem, 0644);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_NEWS);
    assert_null(k->items[0].problem);
    arena_init(&arena, SECRETS_ARENA_BYTES);
    keyring_secrets(k, &arena, &secrets);
    assert_true(str_eq_c(secrets.ca, first->certificate_pem));
    assert_int_equal(secrets.client_ca.len, 0);
    arena_done(&arena);
    write_file("ca.pem", "nobody\n", 0644);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_PROBLEM);
    keyring_free(k);
}

#define TOKEN_KEYS                                                                                 \
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","                                             \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"
#define BY_KEYS                                                                                    \
    "server.hostname = mx.example.jp\ntls.ca_file = \"\"\n"                                        \
    "auth { oauth = keys; oauth_issuer = \"https://id.example.jp\"; oauth_audience = mail\n"
#define BY_ASKING                                                                                  \
    "server.hostname = mx.example.jp\ntls.ca_file = \"@/ca.pem\"\n"                                \
    "auth { oauth = introspection; oauth_introspection_url = \"https://id.example.jp/ask\"\n"      \
    "oauth_client_id = mail; oauth_client_secret_file = \"@/secret\" }\n"

#define BY_DIRECTORY                                                                               \
    "server.hostname = mx.example.jp\ntls.ca_file = \"@/ca.pem\"\n"                                \
    "auth { backend = ldap; ldap_urls = [ \"ldaps://ldap.example.jp\" ]\n"                         \
    "ldap_base = \"dc=example\"; ldap_service_dn = \"cn=mail,dc=example\"\n"                       \
    "ldap_service_password_file = \"@/secret\" }\n"
#define NO_AUTHORITIES                                                                             \
    "tls.ca_file: @/ca.pem cannot be read: No such file or directory; name the file that there "   \
    "is, or put it there\n"

static void what_checks_tokens_is_kept_as_keys_are(void **state)
{
    struct secrets secrets;
    struct arena arena;

    (void)state;
    write_file("keys", TOKEN_KEYS, 0644);
    write_file("secret", "s3cret\n", 0600);
    write_file("ca.pem", first->certificate_pem, 0644);
    arena_init(&arena, SECRETS_ARENA_BYTES);
    struct keyring *k = open_good(BY_KEYS "oauth_keys_file = \"@/keys\" }\n", NULL);
    keyring_secrets(k, &arena, &secrets);
    assert_true(str_eq_c(secrets.token_keys, TOKEN_KEYS));
    assert_int_equal(secrets.token_secret.len, 0);
    write_file("keys", "{}", 0644);
    assert_int_equal(keyring_refresh(k), KEYRING_IS_UNSETTLED);
    assert_int_equal(keyring_refresh(k), KEYRING_HAS_PROBLEM);
    keyring_free(k);
    assert_refused(BY_KEYS "oauth_keys_file = \"@/keys\" }\n", NULL,
                   "auth.oauth_keys_file: @/keys is no set of keys (JWKS): no array \"keys\"\n");
    k = open_good(BY_ASKING, NULL);
    keyring_secrets(k, &arena, &secrets);
    assert_true(str_eq_c(secrets.token_secret, "s3cret"));
    keyring_free(k);
    k = open_good(BY_DIRECTORY, NULL);
    keyring_secrets(k, &arena, &secrets);
    assert_true(str_eq_c(secrets.ldap_password, "s3cret"));
    keyring_free(k);
    /* Without authorities nobody could be asked. */
    assert_int_equal(unlink("ca.pem"), 0);
    assert_refused(BY_ASKING, NULL, NO_AUTHORITIES);
    assert_refused(BY_DIRECTORY, NULL, NO_AUTHORITIES);
    arena_done(&arena);
}

static void lists_of_certificates_are_read_with_their_authorities(void **state)
{
    CLEANUP(cleanup_free) char *crl = pki_crl(first, NULL, 1);
    static const char config[] = "server.hostname = mx.example.jp\ntls { ca_file = \"\"\n"
                                 "client_ca_file = \"@/ca.pem\"\n"
                                 "client_crl_file = \"@/crl.pem\" }\n";
    struct secrets secrets;
    struct arena arena;

    (void)state;
    write_file("ca.pem", first->certificate_pem, 0644);
    write_file("crl.pem", crl, 0644);
    arena_init(&arena, SECRETS_ARENA_BYTES);
    struct keyring *k = open_good(config, NULL);
    keyring_secrets(k, &arena, &secrets);
    assert_true(str_eq_c(secrets.client_ca, first->certificate_pem));
    assert_true(str_eq_c(secrets.client_crl, crl));
    keyring_free(k);
    arena_done(&arena);
    write_file("crl.pem", first->certificate_pem, 0644);
    assert_refused(config, NULL,
                   "tls.client_crl_file: @/crl.pem: there is no list in PEM form (-----BEGIN X509 "
                   "CRL-----)\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_renewal_is_taken_up_when_it_has_settled),
        TEST(half_a_renewal_changes_nothing_and_is_told_of_once),
        TEST(a_file_that_is_being_written_is_left_alone),
        TEST(files_that_vanish_stay_in_use),
        TEST(an_expired_one_is_used_only_if_there_is_no_better),
        TEST(what_cannot_be_used_is_named_with_a_cure),
        TEST(all_that_is_wrong_is_named_at_once),
        TEST(the_first_line_is_the_password),
        TEST(authorities_may_lack_unless_somebody_is_verified),
        TEST(what_checks_tokens_is_kept_as_keys_are),
        TEST(lists_of_certificates_are_read_with_their_authorities),
    };

    return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
