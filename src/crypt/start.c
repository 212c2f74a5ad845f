/* The libraries of cryptography, made ready: see start.h. */
#include "crypt/start.h"

#include <openssl/crypto.h>
#include <sodium.h>

#include "base/error.h"

void crypt_start(void)
{
    ASSERT(sodium_init() >= 0);
    ASSERT(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_DIGESTS, NULL) ==
           1);
}
