/*
 * Names in a Maildir: flags behind ":2,", folders as ".Name" (Maildir++). Pure.
 *
 * A mailbox name's "/" is "." on disk; its own dots and backslashes, and what cannot stand in a
 * file name, are written as backslash and two hexadecimal digits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Flags (enum message_flags) of a file name; 0 when it has no ":2,". */
uint32_t maildir_parse_flags(struct str file_name);
/* Whether the file name says "P": passed on, the keyword $Forwarded. */
bool maildir_is_forwarded(struct str file_name);
/* Appends ":2," and the letters, in the order of the alphabet. */
void maildir_put_flags(struct buf *out, uint32_t flags, bool is_forwarded);

/* ".Archive.2026" for "Archive/2026"; and back. */
void maildir_put_folder(struct buf *out, struct str mailbox);
/* False when it is not the name of a folder. */
bool maildir_parse_folder(struct str dir_name, struct buf *out_mailbox);
