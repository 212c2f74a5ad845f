/*
 * A certificate that the server signs itself: to begin with, until there is one that others trust.
 * Made as certbot lays out its own, so that one setting names either.
 */
#pragma once

#include "base/buf.h"
#include "conf/settings.h"

/* Makes the folder (0700) and in it fullchain.pem and privkey.pem (0600) for the host. What is
 * there already stays. CLI_DONE, or CLI_FAILED and the reason in out_error. */
MUST_CHECK int own_certificate_make(const char *folder, const char *hostname,
                                    struct buf *out_error);
/* On a machine to which the settings came without the files they name: says which keys and
 * passwords are missing, and makes its own certificate anew where init would have made it, beside
 * the configuration. CLI_DONE, or CLI_FAILED, said. */
MUST_CHECK int own_certificate_replace(const struct settings *settings, const char *config_path);
