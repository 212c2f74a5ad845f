/*
 * The file of a backup: a tar archive with the files of the data folder, the configuration, and at
 * its end a manifest that names every file with its size and BLAKE2b hash. An archive that was cut
 * off has no manifest, and is refused whole.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum { BUNDLE_NAME_MAX_BYTES = 64, BUNDLE_HASH_CHARS = 64 };

#define BUNDLE_CONFIG "hikyaku.conf"
#define BUNDLE_MAIL   "mail.db"
#define BUNDLE_TRACE  "trace.db"

/* All functions: 0, or negative errno and a text in out_error. */
struct bundle;

/* Begins a new file; -EEXIST when there is one. Pair: bundle_close. */
MUST_CHECK int bundle_create(const char *path, struct bundle **out, struct buf *out_error);
/* Adds the first `bytes` of the file, or all of it with BUNDLE_ALL. */
#define BUNDLE_ALL UINT64_MAX
MUST_CHECK int bundle_add(struct bundle *b, const char *name, const char *path, uint64_t bytes,
                          struct buf *out_error);
/* Adds the manifest and makes the file durable. */
MUST_CHECK int bundle_finish(struct bundle *b, struct buf *out_error);
void bundle_close(struct bundle *b);

struct bundle_facts {
    uint64_t files, bytes, segments;
    char version[32]; /* of the program that made it */
    char created[40];
};

/* Reads the whole file and compares it with its manifest. With `dir` that is not NULL, its files
 * are made there (mode 0600, none may exist), the folder segments too; the database of mail only as
 * BUNDLE_MAIL_PART, so that nothing takes a half filled folder for a whole one. */
#define BUNDLE_MAIL_PART BUNDLE_MAIL ".part"
MUST_CHECK int bundle_read(const char *path, const char *dir, struct bundle_facts *out_facts,
                           struct buf *out_error);
/* Reads the configuration in it, nothing else. */
MUST_CHECK int bundle_read_config(const char *path, struct buf *out_text, struct buf *out_error);
