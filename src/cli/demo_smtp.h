/*
 * A tiny SMTP client for the demonstration: blocking, on loopback, one command at a time.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { DEMO_SMTP_BUFFER_BYTES = 4096, DEMO_SMTP_TIMEOUT_S = 20 };

struct demo_smtp {
    int fd;
    struct buf in;
    int code;         /* of the last reply */
    struct buf reply; /* its last line */
};

/* Connects to the IPv4 address and reads the greeting. 0 or negative errno. Pair: demo_smtp_close,
 * also after a failure. */
MUST_CHECK int demo_smtp_open(struct demo_smtp *s, const char *address, int port);
void demo_smtp_close(struct demo_smtp *s);
/* Sends a line and reads the reply. 0 or negative errno. */
MUST_CHECK int demo_smtp_command(struct demo_smtp *s, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Sends text (CRLF, no line of which begins with a dot) and the end; reads the reply. */
MUST_CHECK int demo_smtp_text(struct demo_smtp *s, struct str text);
