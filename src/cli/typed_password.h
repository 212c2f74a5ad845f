/* Passwords as they are typed or piped, never as an argument that others could see. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { PASSWORD_TYPED_MAX_BYTES = 1024 };

/* Asks twice on the terminal, without echo. CLI_DONE, or CLI_FAILED, said. */
MUST_CHECK int password_ask(const char *address, struct buf *out);
/* The same, once: to try a password that is set. */
MUST_CHECK int password_ask_once(const char *address, struct buf *out);
/* The first line of standard input. The same. */
MUST_CHECK int password_read_stdin(struct buf *out);
/* Frees and wipes. */
void password_done(struct buf *password);
