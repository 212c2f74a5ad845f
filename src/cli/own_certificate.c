/* A certificate that the server signs itself: see own_certificate.h. */
#include "cli/own_certificate.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "rt/tls.h"

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
