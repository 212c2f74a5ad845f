/*
 * Header values for people: encoded words (RFC 2047) and raw 8-bit or ISO-2022-JP text to UTF-8.
 *
 * Made to show as much as can be shown of what mailers really send, so it is lenient: words without
 * space around them, spaces in words, words that end within a character. Charsets come from iconv,
 * whose modules are loaded from files: for the command line, never for sandboxed processes.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends the unfolded value as valid UTF-8. Bytes that cannot be decoded become U+FFFD; line ends
 * and tabs become spaces, other control characters and bidirectional overrides U+FFFD. When the
 * buffer is full the rest is dropped at a character's boundary, without the overflow mark.
 */
void encoded_word_decode(struct str value, struct buf *out);
