/*
 * Files with keys, certificates and passwords, as the master reads them: whole, not larger than it
 * can be, not for everybody to read where that would give a secret away.
 *
 * A file is known again by its stamp: where it is, how large and when it was changed. Renewal
 * replaces files or the links to them; both show there.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"

/* What a file was when it was looked at, behind all symbolic links. */
struct key_file_stamp {
    int error; /* negative errno of looking; then the rest is 0 */
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec modified;
    struct timespec changed; /* also by a change of the owner or the mode */
};

struct key_file_rules {
    size_t max_bytes;
    mode_t forbidden; /* bits of the mode that must not be set */
};

struct key_file_stamp key_file_look(const char *path);
bool key_file_is_same(const struct key_file_stamp *a, const struct key_file_stamp *b);
/* Appends the file to out_bytes, with *out_stamp of what was read. 0; or negative errno, with the
 * path, what is wrong and what to do in one line in out_why (without an end of line). */
MUST_CHECK int key_file_read(const char *path, const struct key_file_rules *rules,
                             struct buf *out_bytes, struct key_file_stamp *out_stamp,
                             struct buf *out_why);
/* Overwrites and frees. */
void key_file_wipe(struct buf *bytes);
