/*
 * The letters of the demonstration, and the sending of one by SMTP.
 */
#pragma once

#include <stdint.h>

#include "cli/demo_server.h"

#define DEMO_TARO   "taro@tokyo.example"
#define DEMO_HANAKO "hanako@osaka.example"
#define DEMO_NOBODY "nobody@osaka.example"

struct demo_letter {
    const char *from, *to;
    const char *subject; /* decoded */
    const char *text;    /* what follows Date and Message-ID; CRLF */
};

extern const struct demo_letter demo_letter_japanese; /* ISO-2022-JP, Taro to Hanako */
extern const struct demo_letter demo_letter_english;  /* with an attachment, Hanako to Taro */
extern const struct demo_letter demo_letter_lost;     /* Taro to nobody */

/* Hands the letter to the sender's own server and shows what it said. CLI_DONE and the message's
 * id, or CLI_FAILED, said. */
MUST_CHECK int demo_letter_send(const struct demo_server *server, const struct demo_letter *letter,
                                uint64_t *out_id);
