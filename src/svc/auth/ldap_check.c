/*
 * Passwords by LDAP: see ldap_check.h.
 *
 * A connection for each check: those that were right are remembered by the store, so there are few.
 * libldap is built with GnuTLS, which wants a file for the authorities: it gets one in memory.
 */
#include "svc/auth/ldap_check.h"

#include <errno.h>
#include <ldap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "conf/ldap_text.h"
#include "svc/auth/complaint.h"
#include "svc/auth/name.h"

enum {
    NAME_MAX_BYTES = 8192, /* of a name or filter with the user's in it, which may be escaped */
    CA_PATH_BYTES = 40,
    LEAST_MS = 10, /* less time than that is none */
    FOUND_MAX = 2, /* entries: more than one is already too many */
};

struct ldap_directory {
    int ca_fd;
    char ca_path[CA_PATH_BYTES];
    char *password;
};

/* One connection. */
struct attempt {
    const struct check *check;
    const char *url;
    int64_t until_ms; /* monotonic: then another server is asked */
    LDAP *ld;
    const char *step; /* that is under way, for the log */
};

void ldap_check_start(void)
{
    (void)setenv("LDAPNOINIT", "1", 1);
}

struct ldap_directory *ldap_directory_new(struct str ca_pem, struct str password)
{
    struct ldap_directory *d = xcalloc(1, sizeof(*d));

    d->password = str_dup(password);
    d->ca_fd = memfd_create("ldap-ca", MFD_CLOEXEC);
    if (d->ca_fd < 0 || write(d->ca_fd, ca_pem.ptr, ca_pem.len) != (ssize_t)ca_pem.len) {
        LOG(LOG_ERROR, "auth.no-memory-file", LOG_ERR(-errno),
            LOG_C("effect", "no directory is asked"));
        ldap_directory_free(d);
        return NULL;
    }
    (void)snprintf(d->ca_path, sizeof(d->ca_path), "/proc/self/fd/%d", d->ca_fd);
    return d;
}

void ldap_directory_free(struct ldap_directory *d)
{
    if (d == NULL)
        return;
    if (d->ca_fd >= 0)
        close(d->ca_fd);
    explicit_bzero(d->password, strlen(d->password));
    free(d->password);
    free(d);
}

/* --- the connection --- */

static const struct settings *settings_of(const struct attempt *a)
{
    return a->check->config->settings;
}

/* The step that follows may take what time is left. */
static int begin_step(struct attempt *a, const char *step)
{
    int64_t left_ms = a->until_ms - clock_mono_ms();
    struct timeval left = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};

    a->step = step;
    if (left_ms < LEAST_MS)
        return LDAP_TIMEOUT;
    (void)ldap_set_option(a->ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
    (void)ldap_set_option(a->ld, LDAP_OPT_TIMEOUT, &left);
    return LDAP_SUCCESS;
}

static int set_plain_options(LDAP *ld)
{
    const int version = LDAP_VERSION3;
    int r = ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);

    if (r == LDAP_OPT_SUCCESS)
        r = ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    if (r == LDAP_OPT_SUCCESS)
        r = ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
    return r == LDAP_OPT_SUCCESS ? LDAP_SUCCESS : LDAP_OTHER;
}

/* The certificate must be good, and the server's. */
static int set_tls_options(LDAP *ld, const struct ldap_directory *d)
{
    const int demand = LDAP_OPT_X_TLS_HARD, oldest = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, is_server = 0;
    int r = ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);

    if (r == LDAP_OPT_SUCCESS)
        r = ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, d->ca_path);
    if (r == LDAP_OPT_SUCCESS)
        r = ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &oldest);
    if (r == LDAP_OPT_SUCCESS)
        r = ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &is_server);
    return r == LDAP_OPT_SUCCESS ? LDAP_SUCCESS : LDAP_CONNECT_ERROR;
}

static int open_connection(struct attempt *a)
{
    int starttls = settings_of(a)->auth_ldap_starttls;
    struct ldap_text_url url;

    a->step = "address";
    if (ldap_text_parse_url(str_from_c(a->url), &url) < 0)
        return LDAP_PARAM_ERROR;
    int r = ldap_initialize(&a->ld, a->url);
    if (r == LDAP_SUCCESS)
        r = set_plain_options(a->ld);
    if (r != LDAP_SUCCESS || !ldap_text_has_tls(&url, (enum settings_ldap_starttls)starttls))
        return r;
    a->step = "authorities";
    r = set_tls_options(a->ld, a->check->config->directory);
    if (r != LDAP_SUCCESS || url.is_encrypted)
        return r;
    r = begin_step(a, "STARTTLS");
    return r == LDAP_SUCCESS ? ldap_start_tls_s(a->ld, NULL, NULL) : r;
}

static int bind_as(struct attempt *a, const char *step, const char *dn, struct str password)
{
    struct berval secret = {.bv_len = password.len, .bv_val = (char *)(uintptr_t)password.ptr};
    int r = begin_step(a, step);

    return r == LDAP_SUCCESS
               ? ldap_sasl_bind_s(a->ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL)
               : r;
}

/* --- the user's entry --- */

/* What a user's bind says about him, and not about the directory. */
static bool is_about_user(int error)
{
    switch (error) {
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_NO_SUCH_OBJECT:
    case LDAP_INAPPROPRIATE_AUTH: /* the entry has no password */
    case LDAP_INVALID_DN_SYNTAX:
    case LDAP_UNWILLING_TO_PERFORM: /* locked */
    case LDAP_INSUFFICIENT_ACCESS:
    case LDAP_CONSTRAINT_VIOLATION: /* too many tries */
        return true;
    default:
        return false;
    }
}

static void warn_of_many(const struct attempt *a, const char *filter)
{
    static struct complaint complaint;

    if (complaint_may(&complaint))
        LOG(LOG_WARNING, "auth.ldap-ambiguous", LOG_C("server", a->url), LOG_C("filter", filter),
            LOG_C("effect", "nobody is let in"),
            LOG_C("hint", "write auth.ldap_filter so that one entry fits"));
}

/* The one entry that fits. LDAP_SUCCESS, and *out_dn is the caller's (ldap_memfree), or NULL: there
 * is none, or more than one. */
static int search(struct attempt *a, const char *filter, char **out_dn)
{
    char *attributes[] = {(char[]){LDAP_NO_ATTRS}, NULL};
    LDAPMessage *found = NULL;

    *out_dn = NULL;
    int r = begin_step(a, "search");
    if (r == LDAP_SUCCESS)
        r = ldap_search_ext_s(a->ld, settings_of(a)->auth_ldap_base, LDAP_SCOPE_SUBTREE, filter,
                              attributes, 0, NULL, NULL, NULL, FOUND_MAX, &found);
    int count =
        r == LDAP_SUCCESS || r == LDAP_SIZELIMIT_EXCEEDED ? ldap_count_entries(a->ld, found) : 0;
    if (count == 1 && r == LDAP_SUCCESS)
        *out_dn = ldap_get_dn(a->ld, ldap_first_entry(a->ld, found));
    if (count > 1)
        warn_of_many(a, filter);
    if (found != NULL)
        (void)ldap_msgfree(found);
    return r == LDAP_SIZELIMIT_EXCEEDED ? LDAP_SUCCESS : r;
}

static int find_entry(struct attempt *a, char **out_dn)
{
    const struct settings *settings = settings_of(a);
    struct str password = str_from_c(a->check->config->directory->password);
    CLEANUP(buf_done) struct buf filter;
    int r = LDAP_SUCCESS;

    buf_init(&filter, NAME_MAX_BYTES);
    *out_dn = NULL;
    if (name_expand(str_from_c(settings->auth_ldap_filter), a->check->request.name, NAME_IN_FILTER,
                    &filter) < 0)
        return LDAP_SUCCESS; /* no entry can have such a name */
    if (settings->auth_ldap_service_dn[0] != '\0')
        r = bind_as(a, "service bind", settings->auth_ldap_service_dn, password);
    return r == LDAP_SUCCESS ? search(a, buf_c_str(&filter), out_dn) : r;
}

/* --- one server --- */

/* LDAP_SUCCESS, or LDAP_INVALID_CREDENTIALS for all that is about the user; else the server's or
 * our own failure. */
static int bind_user(struct attempt *a, const char *dn)
{
    int r = bind_as(a, "bind", dn, a->check->request.secret);

    return is_about_user(r) ? LDAP_INVALID_CREDENTIALS : r;
}

static int try_by_search(struct attempt *a)
{
    char *dn;
    int r = find_entry(a, &dn);

    if (r != LDAP_SUCCESS)
        return r;
    /* A bind without a name is nobody's, and succeeds. */
    r = dn != NULL && dn[0] != '\0' ? bind_user(a, dn) : LDAP_INVALID_CREDENTIALS;
    ldap_memfree(dn);
    return r;
}

static int try_by_name(struct attempt *a)
{
    CLEANUP(buf_done) struct buf dn;

    buf_init(&dn, NAME_MAX_BYTES);
    if (name_expand(str_from_c(settings_of(a)->auth_ldap_bind_dn), a->check->request.name,
                    NAME_IN_DN, &dn) < 0)
        return LDAP_INVALID_CREDENTIALS;
    return bind_user(a, buf_c_str(&dn));
}

static void complain(const struct attempt *a, int error)
{
    static struct complaint complaint;
    char *said = NULL;

    if (!complaint_may(&complaint))
        return;
    if (a->ld != NULL)
        (void)ldap_get_option(a->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said);
    LOG(LOG_ERROR, "auth.ldap-failed", LOG_C("server", a->url), LOG_C("step", a->step),
        LOG_C("why", ldap_err2string(error)), LOG_C("server_says", said != NULL ? said : ""),
        LOG_C("effect", "another server is asked, or the client is told to try again later"),
        LOG_C("hint", "see whether the server runs, whether tls.ca_file has its authority, and "
                      "auth.ldap_service_dn the right password"));
    ldap_memfree(said);
}

static int try_server(struct attempt *a)
{
    int r = open_connection(a);

    if (r == LDAP_SUCCESS)
        r = settings_of(a)->auth_ldap_bind_dn[0] != '\0' ? try_by_name(a) : try_by_search(a);
    if (r != LDAP_SUCCESS && r != LDAP_INVALID_CREDENTIALS)
        complain(a, r);
    if (r == LDAP_INVALID_CREDENTIALS && strcmp(a->step, "service bind") == 0) {
        complain(a, r);
        r = LDAP_OTHER;
    }
    if (a->ld != NULL)
        (void)ldap_unbind_ext_s(a->ld, NULL, NULL);
    return r;
}

/* Each server in turn, with an equal share of the time that is left. */
enum outside_verdict ldap_check(const struct check *check)
{
    const struct settings_list *urls = &check->config->settings->auth_ldap_urls;

    if (check->config->directory == NULL)
        return OUTSIDE_TEMPORARY;
    for (size_t i = 0; i < urls->count; i++) {
        int64_t now_ms = clock_mono_ms(), left_ms = check->deadline_ms - now_ms;
        struct attempt a = {.check = check,
                            .url = urls->items[i],
                            .until_ms = now_ms + left_ms / (int64_t)(urls->count - i)};
        int r = try_server(&a);
        if (r == LDAP_SUCCESS)
            return OUTSIDE_RIGHT;
        if (r == LDAP_INVALID_CREDENTIALS)
            return OUTSIDE_WRONG;
    }
    return OUTSIDE_TEMPORARY;
}

void ldap_check_settings(const struct settings *settings)
{
    const struct settings_list *urls = &settings->auth_ldap_urls;
    struct ldap_text_url url;

    for (size_t i = 0; i < urls->count; i++) {
        if (ldap_text_parse_url(str_from_c(urls->items[i]), &url) < 0 || url.is_loopback ||
            url.is_unix ||
            ldap_text_has_tls(&url, (enum settings_ldap_starttls)settings->auth_ldap_starttls))
            continue;
        LOG(LOG_WARNING, "auth.ldap-in-the-clear", LOG_C("server", urls->items[i]),
            LOG_C("effect", "passwords go over the network as they are"),
            LOG_C("hint", "write ldaps://, or auth.ldap_starttls = remote"));
    }
}
