/*
 * The folder into which programs on this machine put mail: made so that anybody may leave a file
 * and nobody but the server may list, read or remove those of others.
 *
 * Mode 03733: write and search for all, sticky (only its owner and the server remove a file),
 * setgid (a file gets the server's group, which may read it). Inside it a folder `taken`, for the
 * server alone, holds what was picked up and is not stored yet.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

#define SPOOL_TAKEN "taken" /* the folder within */

/* Makes both folders, or sets owner and modes right where they are there; for the master, before it
 * gives up root's rights. uid and gid are the server's; another owner can only be set by root.
 * Folders above are made too (0755). 0 or negative errno: -ENOTDIR, -EPERM (it belongs to somebody
 * else, or cannot be given away), -ELOOP (a symbolic link), ... */
MUST_CHECK int spool_folder_make(const char *path, uid_t uid, gid_t gid);
