/* What `hikyaku status` says of certificates, and of files that cannot be used. */
#pragma once

#include <jansson.h>

#include "cli/cli.h"

/* The reports of the running server, in `out_reply`. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int show_keys_ask(struct cli *cli, struct buf *out_reply);
/* Prints them for people, with the first column of this width. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int show_keys_print(struct str reports, int columns);
/* Adds "certificates" and "unusable_files" to the object. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int show_keys_json(struct str reports, json_t *object);
