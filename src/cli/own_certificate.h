/*
 * A certificate that the server signs itself: to begin with, until there is one that others trust.
 * Made as certbot lays out its own, so that one setting names either.
 */
#pragma once

#include "base/buf.h"

/* Makes the folder (0700) and in it fullchain.pem and privkey.pem (0600) for the host. What is
 * there already stays. CLI_DONE, or CLI_FAILED and the reason in out_error. */
MUST_CHECK int own_certificate_make(const char *folder, const char *hostname,
                                    struct buf *out_error);
