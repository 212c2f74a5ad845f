/*
 * Text into a header: encoded words in UTF-8 and base64 (RFC 2047 section 2), and base64 itself for
 * attachments (RFC 2045 section 6.8). The way back, for people's eyes, is encoded_word.h.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

enum { SUBMIT_BASE64_LINE_BYTES = 57 }; /* what becomes one line of 76 characters */

/* Appends the text as encoded words, one to a line, no character divided. False, and nothing is
 * appended, when it is not valid UTF-8 or has control characters. */
bool submit_put_words(struct buf *out, struct str text);
/* Appends base64 without line ends. */
void submit_put_base64(struct buf *out, struct str bytes);
