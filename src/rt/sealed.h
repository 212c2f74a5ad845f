/*
 * Bytes that nobody can change any more, for handing them to other processes as a descriptor
 * (rt/fdpass.h): what is too long for a message, or is to leave no copies on its way, such as keys.
 *
 * They live in memory only (memfd_create(2)) and are gone with the last descriptor. Whoever maps
 * such bytes trusts their maker: bytes that are not sealed are refused only as far as the size
 * tells.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

/* Copies the bytes, seals the copy. `name` is for those who look into /proc. 0 and *out_fd
 * (close-on-exec), which the caller closes, or negative errno. */
MUST_CHECK int sealed_make(const char *name, struct str bytes, int *out_fd);
/* Maps them for reading; the view is valid until sealed_unmap, also when fd is closed. 0, -EMSGSIZE
 * when there are more than max_bytes, or another negative errno. */
MUST_CHECK int sealed_map(int fd, size_t max_bytes, struct str *out_bytes);
void sealed_unmap(struct str bytes);
