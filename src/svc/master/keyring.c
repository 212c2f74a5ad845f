/* Keys, certificates, authorities and passwords: see keyring.h. */
#include "svc/master/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/ldap_text.h"
#include "rt/tls.h"
#include "svc/key_report.h"
#include "token/json.h"
#include "token/jwk.h"

enum { CA_MAX_BYTES = 4 << 20, WHY_MAX_BYTES = 4096, TITLE_MAX_BYTES = 256, NAMES_MAX_BYTES = 512 };

/* What was read of an item, before it is in use. */
struct fresh {
    struct buf bytes[KEYRING_FILES_MAX];
    struct tls_identity *identity;
    int64_t until_ms;
};

struct kind {
    const char *title; /* the name of the section follows, if there is one */
    struct key_file_rules rules[KEYRING_FILES_MAX];
    /* Whether it can be used; may change the bytes to what of them counts. 0 or negative errno,
     * and the reason. */
    int (*check)(const struct keyring_item *item, struct fresh *fresh, struct buf *out_why);
};

static int check_identity(const struct keyring_item *item, struct fresh *fresh, struct buf *out_why)
{
    struct tls_text error;

    int r = tls_identity_parse(buf_str(&fresh->bytes[0]), buf_str(&fresh->bytes[1]),
                               &fresh->identity, &error);
    if (r < 0)
        buf_printf(out_why, "%s with the key %s: %s", item->files[0].path, item->files[1].path,
                   error.text);
    return r;
}

static int check_ca(const struct keyring_item *item, struct fresh *fresh, struct buf *out_why)
{
    struct tls_client_config config = {.ca_pem = buf_str(&fresh->bytes[0])};
    struct tls_client *client;
    struct tls_text error;

    int r = tls_client_new(&config, &client, &error);
    if (r < 0) {
        buf_printf(out_why, "%s: %s", item->files[0].path, error.text);
        return r;
    }
    tls_client_unref(client);
    return 0;
}

static int check_crl(const struct keyring_item *item, struct fresh *fresh, struct buf *out_why)
{
    struct tls_text error;

    int r = tls_crl_check(buf_str(&fresh->bytes[0]), &fresh->until_ms, &error);
    if (r < 0)
        buf_printf(out_why, "%s: %s", item->files[0].path, error.text);
    return r;
}

static int check_token_keys(const struct keyring_item *item, struct fresh *fresh,
                            struct buf *out_why)
{
    struct jwk_set *set;
    const char *why;

    int r = jwk_set_parse(buf_str(&fresh->bytes[0]), &set, &why);
    if (r < 0)
        buf_printf(out_why, "%s is no set of keys (JWKS): %s", item->files[0].path, why);
    jwk_set_free(set);
    return r;
}

/* Only the first line counts. */
static int check_password(const struct keyring_item *item, struct fresh *fresh, struct buf *out_why)
{
    struct buf *bytes = &fresh->bytes[0];
    struct str line, rest;

    (void)str_cut(buf_str(bytes), '\n', &line, &rest);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line = str_sub(line, 0, line.len - 1);
    if (line.len == 0 || str_find(line, '\0') >= 0) {
        buf_printf(out_why, "%s has no password in its first line; write it there",
                   item->files[0].path);
        return -EINVAL;
    }
    explicit_bzero(bytes->ptr + line.len, bytes->len - line.len);
    buf_cut(bytes, line.len);
    return 0;
}

static const struct kind kinds[] = {
    [KEYRING_IDENTITY] = {"certificate",
                          {{TLS_PEM_MAX_BYTES, 0}, {TLS_PEM_MAX_BYTES, S_IRWXO}},
                          check_identity},
    [KEYRING_CLIENT_CA] = {"tls.client_ca_file", {{CA_MAX_BYTES, 0}}, check_ca},
    [KEYRING_CLIENT_CRL] = {"tls.client_crl_file", {{CA_MAX_BYTES, 0}}, check_crl},
    [KEYRING_TOKEN_KEYS] = {"auth.oauth_keys_file", {{TOKEN_JSON_MAX_BYTES, 0}}, check_token_keys},
    [KEYRING_TOKEN_SECRET] = {"auth.oauth_client_secret_file",
                              {{KEYRING_PASSWORD_MAX_BYTES, S_IRWXG | S_IRWXO}},
                              check_password},
    [KEYRING_LDAP_PASSWORD] = {"auth.ldap_service_password_file",
                               {{KEYRING_PASSWORD_MAX_BYTES, S_IRWXG | S_IRWXO}},
                               check_password},
    [KEYRING_CA] = {"tls.ca_file", {{CA_MAX_BYTES, 0}}, check_ca},
    [KEYRING_PASSWORD] = {"route",
                          {{KEYRING_PASSWORD_MAX_BYTES, S_IRWXG | S_IRWXO}},
                          check_password},
};

void keyring_put_title(const struct keyring_item *item, struct buf *out)
{
    buf_put_c(out, kinds[item->kind].title);
    if (item->name[0] != '\0')
        buf_printf(out, " \"%s\"", item->name);
}

/* --- taking up --- */

static void fresh_init(struct fresh *fresh, const struct keyring_item *item)
{
    *fresh = (struct fresh){.identity = NULL};
    for (size_t i = 0; i < KEYRING_FILES_MAX; i++)
        buf_init(&fresh->bytes[i], 2 * kinds[item->kind].rules[i].max_bytes + 2);
}

static void fresh_done(struct fresh *fresh)
{
    for (size_t i = 0; i < KEYRING_FILES_MAX; i++)
        key_file_wipe(&fresh->bytes[i]);
    tls_identity_unref(fresh->identity);
}

static int read_files(struct keyring_item *item, struct fresh *fresh, struct buf *out_why)
{
    int status = 0;

    for (size_t i = 0; i < item->file_count; i++) {
        struct keyring_file *file = &item->files[i];
        file->tried = key_file_look(file->path);
        if (status == 0)
            status = key_file_read(file->path, &kinds[item->kind].rules[i], &fresh->bytes[i],
                                   &file->tried, out_why);
        file->looked = file->tried;
    }
    return status;
}

/* Better to go on with what is valid than to change to what is not. */
static int check_time(const struct keyring_item *item, const struct fresh *fresh,
                      const struct tls_identity *old, struct buf *out_why)
{
    struct tls_text error, ignored;
    int64_t now_ms = clock_real_ms();

    if (fresh->identity == NULL || old == NULL ||
        tls_identity_check_time(fresh->identity, now_ms, &error) == 0 ||
        tls_identity_check_time(old, now_ms, &ignored) < 0)
        return 0;
    buf_printf(out_why, "%s: %s", item->files[0].path, error.text);
    return -EKEYEXPIRED;
}

static void put_into_use(struct keyring_item *item, struct fresh *fresh)
{
    for (size_t i = 0; i < item->file_count; i++) {
        key_file_wipe(&item->files[i].bytes);
        item->files[i].bytes = fresh->bytes[i];
        buf_init(&fresh->bytes[i], 0);
    }
    tls_identity_unref(item->identity);
    item->identity = fresh->identity;
    item->until_ms = fresh->until_ms;
    fresh->identity = NULL;
}

/* Reads and checks the files and puts them into use, or keeps what is. 0; or negative errno, with
 * the reason in item->problem. `old` is the identity that is in use, or NULL. */
static int take_up(struct keyring_item *item, const struct tls_identity *old)
{
    struct fresh fresh;
    struct buf why;

    buf_init(&why, WHY_MAX_BYTES);
    fresh_init(&fresh, item);
    int r = read_files(item, &fresh, &why);
    if (r == 0)
        r = kinds[item->kind].check(item, &fresh, &why);
    if (r == 0)
        r = check_time(item, &fresh, old, &why);
    if (r == 0)
        put_into_use(item, &fresh);
    fresh_done(&fresh);
    free(item->problem);
    item->problem = r < 0 ? xstrdup(buf_c_str(&why)) : NULL;
    buf_done(&why);
    return r;
}

/* --- all of them --- */

static struct keyring_item *add_item(struct keyring *k, enum keyring_kind kind, const char *name)
{
    k->items = xrealloc(k->items, (k->count + 1) * sizeof(k->items[0]));
    struct keyring_item *item = &k->items[k->count++];
    *item = (struct keyring_item){.kind = kind, .name = xstrdup(name)};
    return item;
}

/* Takes the path over. */
static void add_file(struct keyring_item *item, char *path)
{
    ASSERT(item->file_count < KEYRING_FILES_MAX);
    item->files[item->file_count++].path = path;
}

static void add_certificate(struct keyring *k, const struct settings_certificate *c)
{
    struct keyring_item *item = add_item(k, KEYRING_IDENTITY, c->name);
    bool has_folder = c->folder[0] != '\0';

    add_file(item, has_folder ? xasprintf("%s/fullchain.pem", c->folder) : xstrdup(c->chain_file));
    add_file(item, has_folder ? xasprintf("%s/privkey.pem", c->folder) : xstrdup(c->key_file));
}

static bool has_verified_route(const struct settings *settings)
{
    for (size_t i = 0; i < settings->route_count; i++) {
        if (settings->routes[i].tls == SETTINGS_TLS_VERIFY)
            return true;
    }
    return false;
}

/* Whether somebody is asked about tokens, whose certificate has to be verified. */
static bool asks_issuer(const struct settings *settings)
{
    bool has_file = settings->auth_oauth_keys_file[0] != '\0';

    return settings->auth_oauth == SETTINGS_OAUTH_INTROSPECTION ||
           (settings->auth_oauth == SETTINGS_OAUTH_KEYS && !has_file);
}

/* Whether a directory's certificate has to be verified. */
static bool asks_directory(const struct settings *settings)
{
    struct ldap_text_url url;

    if (settings->auth_backend != SETTINGS_AUTH_LDAP)
        return false;
    for (size_t i = 0; i < settings->auth_ldap_urls.count; i++) {
        if (ldap_text_parse_url(str_from_c(settings->auth_ldap_urls.items[i]), &url) == 0 &&
            ldap_text_has_tls(&url, (enum settings_ldap_starttls)settings->auth_ldap_starttls))
            return true;
    }
    return false;
}

static void add_named(struct keyring *k, enum keyring_kind kind, const char *path)
{
    if (path[0] != '\0')
        add_file(add_item(k, kind, ""), xstrdup(path));
}

static void add_all(struct keyring *k, const struct settings *settings)
{
    for (size_t i = 0; i < settings->certificate_count; i++)
        add_certificate(k, &settings->certificates[i]);
    add_named(k, KEYRING_CLIENT_CA, settings->tls_client_ca_file);
    add_named(k, KEYRING_CLIENT_CRL, settings->tls_client_crl_file);
    if (settings->auth_oauth == SETTINGS_OAUTH_KEYS)
        add_named(k, KEYRING_TOKEN_KEYS, settings->auth_oauth_keys_file);
    if (settings->auth_oauth == SETTINGS_OAUTH_INTROSPECTION)
        add_named(k, KEYRING_TOKEN_SECRET, settings->auth_oauth_client_secret_file);
    if (settings->auth_backend == SETTINGS_AUTH_LDAP)
        add_named(k, KEYRING_LDAP_PASSWORD, settings->auth_ldap_service_password_file);
    if (settings->tls_ca_file[0] != '\0') {
        struct keyring_item *item = add_item(k, KEYRING_CA, "");
        add_file(item, xstrdup(settings->tls_ca_file));
        item->may_lack =
            !has_verified_route(settings) && !asks_issuer(settings) && !asks_directory(settings);
    }
    for (size_t i = 0; i < settings->route_count; i++) {
        const struct settings_route *route = &settings->routes[i];
        if (route->password_file[0] != '\0')
            add_file(add_item(k, KEYRING_PASSWORD, route->name), xstrdup(route->password_file));
    }
}

static const struct tls_identity *find_identity(const struct keyring *k, const char *name)
{
    for (size_t i = 0; k != NULL && i < k->count; i++) {
        if (k->items[i].kind == KEYRING_IDENTITY && strcmp(k->items[i].name, name) == 0)
            return k->items[i].identity;
    }
    return NULL;
}

int keyring_new(const struct settings *settings, const struct keyring *old, struct keyring **out,
                struct buf *out_text)
{
    struct keyring *k = xcalloc(1, sizeof(*k));
    int status = 0;

    *out = NULL;
    add_all(k, settings);
    for (size_t i = 0; i < k->count; i++) {
        struct keyring_item *item = &k->items[i];
        if (take_up(item, find_identity(old, item->name)) == 0 || item->may_lack)
            continue;
        keyring_put_title(item, out_text);
        buf_printf(out_text, ": %s\n", item->problem);
        status = -EINVAL;
    }
    if (status < 0) {
        keyring_free(k);
        return status;
    }
    *out = k;
    return 0;
}

void keyring_free(struct keyring *k)
{
    if (k == NULL)
        return;
    for (size_t i = 0; i < k->count; i++) {
        struct keyring_item *item = &k->items[i];
        for (size_t j = 0; j < item->file_count; j++) {
            key_file_wipe(&item->files[j].bytes);
            free(item->files[j].path);
        }
        tls_identity_unref(item->identity);
        free(item->problem);
        free(item->name);
    }
    free(k->items);
    free(k);
}

/* --- what changes --- */

/* Whether files are not as they were when they were taken up, or tried to be. *out_is_settled: they
 * look as they did the last time. */
static bool has_changed(struct keyring_item *item, bool *out_is_settled)
{
    bool has_changed = false;

    *out_is_settled = true;
    for (size_t i = 0; i < item->file_count; i++) {
        struct keyring_file *file = &item->files[i];
        struct key_file_stamp now = key_file_look(file->path);
        has_changed |= !key_file_is_same(&now, &file->tried);
        *out_is_settled &= key_file_is_same(&now, &file->looked);
        file->looked = now;
    }
    return has_changed;
}

static void log_take_up(const struct keyring_item *item, int status)
{
    char until[CLOCK_TEXT_BYTES];
    struct buf title;

    buf_init(&title, TITLE_MAX_BYTES);
    keyring_put_title(item, &title);
    if (status < 0)
        LOG(LOG_ERROR, "tls.not-renewed", LOG_STR("what", buf_str(&title)),
            LOG_C("why", item->problem), LOG_C("effect", "the old one stays in use"));
    else if (item->identity != NULL)
        LOG(LOG_INFO, "tls.renewed", LOG_STR("what", buf_str(&title)),
            LOG_C("until",
                  clock_format_utc(tls_identity_facts(item->identity)->not_after_ms, until)));
    else
        LOG(LOG_INFO, "tls.renewed", LOG_STR("what", buf_str(&title)),
            LOG_C("file", item->files[0].path));
    buf_done(&title);
}

unsigned keyring_refresh(struct keyring *k)
{
    unsigned news = 0;

    for (size_t i = 0; i < k->count; i++) {
        struct keyring_item *item = &k->items[i];
        bool is_settled;
        if (!has_changed(item, &is_settled))
            continue;
        if (!is_settled) {
            news |= KEYRING_IS_UNSETTLED;
            continue;
        }
        int r = take_up(item, item->identity);
        log_take_up(item, r);
        news |= r == 0 ? KEYRING_HAS_NEWS : KEYRING_HAS_PROBLEM;
    }
    return news;
}

/* --- for the workers --- */

void keyring_secrets(const struct keyring *k, struct arena *arena, struct secrets *out)
{
    struct secrets_identity *identities = arena_alloc(arena, (k->count + 1) * sizeof(*identities));
    struct secrets_credential *credentials =
        arena_alloc(arena, (k->count + 1) * sizeof(*credentials));

    *out = (struct secrets){.identities = identities, .credentials = credentials};
    for (size_t i = 0; i < k->count; i++) {
        const struct keyring_item *item = &k->items[i];
        struct str name = str_from_c(item->name), bytes = buf_str(&item->files[0].bytes);
        if (item->kind == KEYRING_CLIENT_CA)
            out->client_ca = bytes;
        if (item->kind == KEYRING_CLIENT_CRL)
            out->client_crl = bytes;
        if (item->kind == KEYRING_CA)
            out->ca = bytes;
        if (item->kind == KEYRING_TOKEN_KEYS)
            out->token_keys = bytes;
        if (item->kind == KEYRING_TOKEN_SECRET)
            out->token_secret = bytes;
        if (item->kind == KEYRING_LDAP_PASSWORD)
            out->ldap_password = bytes;
        if (item->kind == KEYRING_PASSWORD)
            credentials[out->credential_count++] =
                (struct secrets_credential){.route = name, .password = bytes};
        if (item->kind == KEYRING_IDENTITY)
            identities[out->identity_count++] = (struct secrets_identity){
                .name = name, .chain = bytes, .key = buf_str(&item->files[1].bytes)};
    }
}

/* --- telling --- */

/* The one that is shown to those who ask for no name is the first. */
bool keyring_lacks_hostname(const struct keyring *k, const struct keyring_item *item,
                            const struct settings *settings)
{
    return item == &k->items[0] &&
           !tls_identity_is_for(item->identity, str_from_c(settings->server_hostname));
}

static void put_report(const struct keyring *k, const struct keyring_item *item,
                       const struct settings *settings, struct buf *out)
{
    const struct tls_identity_facts *facts =
        item->identity != NULL ? tls_identity_facts(item->identity) : NULL;
    struct str names[KEY_REPORT_NAMES_MAX];
    struct key_report report = {.file = str_from_c(item->files[0].path),
                                .problem = str_from_c(item->problem)};
    struct buf title;

    if (facts == NULL && item->problem == NULL)
        return;
    if (facts != NULL) {
        report.is_certificate = true;
        report.names = names;
        report.name_count = (uint32_t)MIN(facts->name_count, (size_t)KEY_REPORT_NAMES_MAX);
        report.names_left_out = (uint32_t)facts->name_count - report.name_count;
        report.issuer = str_from_c(facts->issuer);
        report.key = str_from_c(facts->key);
        report.not_before_ms = facts->not_before_ms;
        report.not_after_ms = facts->not_after_ms;
        report.is_self_signed = facts->is_self_signed;
        report.lacks_hostname = keyring_lacks_hostname(k, item, settings);
        for (size_t i = 0; i < report.name_count; i++)
            names[i] = str_from_c(facts->names[i]);
    }
    buf_init(&title, TITLE_MAX_BYTES);
    keyring_put_title(item, &title);
    report.title = buf_str(&title);
    key_report_put(out, &report);
    buf_done(&title);
}

void keyring_put_reports(const struct keyring *k, const struct settings *settings, struct buf *out)
{
    for (size_t i = 0; i < k->count; i++)
        put_report(k, &k->items[i], settings, out);
}
