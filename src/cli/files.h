/*
 * Files and folders as several commands need them. All block; negative errno on failure.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

MUST_CHECK int file_write_all(int fd, struct str text);
/* Nothing is there, or a folder with nothing in it. */
bool file_is_absent_or_empty_dir(const char *path);
/* Makes all that was written to the file system of `path` durable. */
MUST_CHECK int file_sync_fs(const char *path);
/* Makes the entries of the folder that holds `path` durable. */
MUST_CHECK int file_sync_parent(const char *path);
/* Makes the folder with this mode, and those above it (0755) where they are missing; 0 also when it
 * is there. */
MUST_CHECK int file_make_dirs(const char *path, mode_t mode);
/* Writes a new file; -EEXIST when there is one. */
MUST_CHECK int file_write_new(const char *path, struct str text, mode_t mode);
/* Gives a folder and all in it to the user; symbolic links are not followed. */
MUST_CHECK int file_own_tree(const char *path, uid_t uid, gid_t gid);
/* Removes a folder and all in it. */
void file_remove_tree(const char *path);
