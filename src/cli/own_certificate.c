/* A certificate that the server signs itself: see own_certificate.h. */
#include "cli/own_certificate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "rt/tls.h"

enum { ERROR_MAX_BYTES = 4096 };

static int fail(struct buf *out_error, const char *path, int error)
{
    buf_printf(out_error, "%s cannot be made: %s%s", path, strerror(-error),
               error == -EACCES ? "; try as root" : "");
    return CLI_FAILED;
}

static int write_files(const char *chain_path, const char *key_path, const char *hostname,
                       struct buf *out_error)
{
    struct buf chain, key;

    buf_init(&chain, TLS_PEM_MAX_BYTES);
    buf_init(&key, TLS_PEM_MAX_BYTES);
    tls_init();
    const char *path = chain_path;
    int r = tls_identity_make(str_from_c(hostname), clock_real_ms(), &chain, &key);
    if (r == 0) {
        path = key_path;
        r = file_write_new(key_path, buf_str(&key), 0600);
    }
    if (r == 0) {
        path = chain_path;
        r = file_write_new(chain_path, buf_str(&chain), 0644);
    }
    if (r < 0 && path == chain_path)
        (void)unlink(key_path);
    if (key.ptr != NULL)
        explicit_bzero(key.ptr, key.cap);
    buf_done(&key);
    buf_done(&chain);
    return r < 0 ? fail(out_error, path, r) : CLI_DONE;
}

int own_certificate_make(const char *folder, const char *hostname, struct buf *out_error)
{
    CLEANUP(cleanup_free) char *chain_path = xasprintf("%s/fullchain.pem", folder);
    CLEANUP(cleanup_free) char *key_path = xasprintf("%s/privkey.pem", folder);

    /* Half a pair is somebody's work, too: the server will say what is wrong with it. */
    if (access(chain_path, F_OK) == 0 || access(key_path, F_OK) == 0)
        return CLI_DONE;
    int r = file_make_dirs(folder, 0700);
    return r < 0 ? fail(out_error, folder, r)
                 : write_files(chain_path, key_path, hostname, out_error);
}

static void note_missing(const char *section, const char *name, const char *path)
{
    if (access(path, F_OK) < 0)
        (void)printf("note: %s \"%s\" needs %s, which is not here: keys and passwords are not in "
                     "backups\n",
                     section, name, path);
}

/* Beside the configuration, as init lays it out. */
static bool is_own_folder(const char *folder, const char *config_path)
{
    struct str dir = str_sub(str_from_c(config_path), 0,
                             (size_t)MAX(str_rfind(str_from_c(config_path), '/'), (ptrdiff_t)0));
    CLEANUP(cleanup_free) char *own = xasprintf("%.*s/tls", STR_ARG(dir));

    return strcmp(folder, own) == 0;
}

static int replace_certificate(const struct settings *settings,
                               const struct settings_certificate *c, const char *config_path)
{
    CLEANUP(cleanup_free) char *chain_path = xasprintf("%s/fullchain.pem", c->folder);
    struct buf error;
    int status = CLI_DONE;

    if (c->folder[0] == '\0') {
        note_missing("certificate", c->name, c->chain_file);
        note_missing("certificate", c->name, c->key_file);
        return CLI_DONE;
    }
    if (!is_own_folder(c->folder, config_path)) {
        note_missing("certificate", c->name, chain_path);
        return CLI_DONE;
    }
    if (access(chain_path, F_OK) == 0)
        return CLI_DONE;
    buf_init(&error, ERROR_MAX_BYTES);
    status = own_certificate_make(c->folder, settings->server_hostname, &error);
    if (status == CLI_DONE)
        (void)printf("note: %s has a new self-signed certificate: keys are not in backups\n",
                     c->folder);
    else
        status = cli_fail("%s", buf_c_str(&error));
    buf_done(&error);
    return status;
}

int own_certificate_replace(const struct settings *settings, const char *config_path)
{
    for (size_t i = 0; i < settings->certificate_count; i++) {
        int status = replace_certificate(settings, &settings->certificates[i], config_path);
        if (status != CLI_DONE)
            return status;
    }
    for (size_t i = 0; i < settings->route_count; i++) {
        const struct settings_route *route = &settings->routes[i];
        if (route->password_file[0] != '\0')
            note_missing("route", route->name, route->password_file);
    }
    return CLI_DONE;
}
