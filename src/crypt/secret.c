/* Comparing, wiping, drawing: see secret.h. */
#include "crypt/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>

/* getrandom gives up to so many bytes without being interrupted. */
enum { SECRET_RANDOM_MAX_BYTES = 256 };

bool secret_equal(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    return a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void secret_reset_buf(struct buf *b)
{
    if (b->ptr != NULL)
        explicit_bzero(b->ptr, b->cap);
    buf_reset(b);
}

void secret_wipe_buf(struct buf *b)
{
    if (b == NULL)
        return;
    secret_reset_buf(b);
    buf_done(b);
}

void secret_random(void *out, size_t bytes)
{
    ssize_t got;

    ASSERT(bytes <= SECRET_RANDOM_MAX_BYTES);
    do {
        got = getrandom(out, bytes, 0);
    } while (got < 0 && errno == EINTR);
    ASSERT(got == (ssize_t)bytes);
}
