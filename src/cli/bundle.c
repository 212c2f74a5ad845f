/* The file of a backup: see bundle.h. */
#include "cli/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/files.h"
#include "config.h"
#include "store/schema.h"

#define MANIFEST "manifest.json"

enum {
    FORMAT = 1,
    PIECE_BYTES = 256 * 1024,
    BLOCK_BYTES = 64 * 1024,
    MANIFEST_MAX_BYTES = 1 << 28
};

struct bundle {
    struct archive *archive;
    int fd;
    json_t *files; /* of the manifest: written so far, or found so far */
    char *path;
};

typedef crypto_generichash_state hash_state;

static int fail(struct buf *out_error, int error, const char *fmt, ...) ATTR_PRINTF(3, 4);

static int fail(struct buf *out_error, int error, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vprintf(out_error, fmt, args);
    va_end(args);
    return error < 0 ? error : -EIO;
}

static int fail_archive(const struct bundle *b, struct buf *out_error)
{
    const char *why = archive_error_string(b->archive);

    return fail(out_error, -archive_errno(b->archive), "%s: %s", b->path,
                why != NULL ? why : "the archive is damaged");
}

static void hash_finish(hash_state *hash, char out_text[BUNDLE_HASH_CHARS + 1])
{
    unsigned char bytes[BUNDLE_HASH_CHARS / 2];

    (void)crypto_generichash_final(hash, bytes, sizeof(bytes));
    (void)sodium_bin2hex(out_text, BUNDLE_HASH_CHARS + 1, bytes, sizeof(bytes));
}

static void hash_start(hash_state *hash)
{
    (void)crypto_generichash_init(hash, NULL, 0, BUNDLE_HASH_CHARS / 2);
}

static void note_file(struct bundle *b, const char *name, uint64_t bytes, hash_state *hash)
{
    char text[BUNDLE_HASH_CHARS + 1];

    hash_finish(hash, text);
    (void)json_array_append_new(b->files, json_pack("{s:s, s:I, s:s}", "name", name, "bytes",
                                                    (json_int_t)bytes, "blake2b", text));
}

static struct bundle *new_bundle(const char *path, int fd)
{
    struct bundle *b = xcalloc(1, sizeof(*b));

    b->fd = fd;
    b->files = json_array();
    b->path = xstrdup(path);
    return b;
}

void bundle_close(struct bundle *b)
{
    if (b == NULL)
        return;
    archive_free(b->archive);
    json_decref(b->files);
    if (b->fd >= 0)
        close(b->fd);
    free(b->path);
    free(b);
}

/* --- writing --- */

int bundle_create(const char *path, struct bundle **out, struct buf *out_error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return fail(out_error, -errno, "%s cannot be made: %s", path, strerror(errno));
    struct bundle *b = new_bundle(path, fd);
    b->archive = archive_write_new();
    if (archive_write_set_format_pax_restricted(b->archive) != ARCHIVE_OK ||
        archive_write_open_fd(b->archive, fd) != ARCHIVE_OK) {
        int r = fail_archive(b, out_error);
        bundle_close(b);
        return r;
    }
    *out = b;
    return 0;
}

static int put_header(struct bundle *b, const char *name, uint64_t bytes, struct buf *out_error)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)bytes);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_mtime(entry, (time_t)(clock_real_ms() / 1000), 0);
    int r = archive_write_header(b->archive, entry);
    archive_entry_free(entry);
    return r != ARCHIVE_OK ? fail_archive(b, out_error) : 0;
}

static int put_bytes(struct bundle *b, const char *bytes, size_t len, struct buf *out_error)
{
    return archive_write_data(b->archive, bytes, len) != (la_ssize_t)len
               ? fail_archive(b, out_error)
               : 0;
}

/* Copies the file's first `bytes` into the entry at hand. */
static int copy_in(struct bundle *b, int fd, const char *path, uint64_t bytes, hash_state *hash,
                   struct buf *out_error)
{
    CLEANUP(cleanup_free) char *piece = xmalloc(PIECE_BYTES);
    int r = 0;

    while (r == 0 && bytes > 0) {
        ssize_t n = read(fd, piece, MIN((uint64_t)PIECE_BYTES, bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(out_error, -EIO, "%s cannot be read: %s", path,
                        n < 0 ? strerror(errno) : "it is shorter than the database says");
        (void)crypto_generichash_update(hash, (const unsigned char *)piece, (unsigned long long)n);
        r = put_bytes(b, piece, (size_t)n, out_error);
        bytes -= (uint64_t)n;
    }
    return r;
}

int bundle_add(struct bundle *b, const char *name, const char *path, uint64_t bytes,
               struct buf *out_error)
{
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    hash_state hash;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(out_error, -errno, "%s cannot be read: %s%s", path, strerror(errno),
                    errno == EACCES ? "; run this as root or as the server's user" : "");
    if (bytes == BUNDLE_ALL)
        bytes = (uint64_t)st.st_size;
    hash_start(&hash);
    int r = put_header(b, name, bytes, out_error);
    if (r == 0)
        r = copy_in(b, fd, path, bytes, &hash, out_error);
    if (r == 0)
        note_file(b, name, bytes, &hash);
    return r;
}

int bundle_finish(struct bundle *b, struct buf *out_error)
{
    char now[CLOCK_TEXT_BYTES];
    json_t *manifest = json_pack("{s:i, s:s, s:i, s:s, s:O}", "format", FORMAT, "hikyaku",
                                 HIKYAKU_VERSION, "schema", (int)schema_main.step_count, "created",
                                 clock_format_utc(clock_real_ms(), now), "files", b->files);
    CLEANUP(cleanup_free) char *text = json_dumps(manifest, JSON_INDENT(1));

    json_decref(manifest);
    ASSERT(text != NULL);
    int r = put_header(b, MANIFEST, strlen(text), out_error);
    if (r == 0)
        r = put_bytes(b, text, strlen(text), out_error);
    if (r == 0 && archive_write_close(b->archive) != ARCHIVE_OK)
        r = fail_archive(b, out_error);
    if (r == 0 && fsync(b->fd) < 0)
        r = fail(out_error, -errno, "%s cannot be made durable: %s", b->path, strerror(errno));
    return r;
}

/* --- reading --- */

/* What a backup may hold; anything else would be written where it does not belong. */
static bool is_known_name(const char *name)
{
    struct str s = str_from_c(name);

    if (strcmp(name, BUNDLE_CONFIG) == 0 || strcmp(name, BUNDLE_MAIL) == 0 ||
        strcmp(name, BUNDLE_TRACE) == 0 || strcmp(name, MANIFEST) == 0)
        return true;
    if (!str_has_prefix(s, STR("segments/")) || !str_has_suffix_nocase(s, STR(".seg")))
        return false;
    struct str number = str_sub(s, 9, s.len - 9 - 4);
    for (size_t i = 0; i < number.len; i++) {
        if (!ascii_is_digit(number.ptr[i]))
            return false;
    }
    return number.len >= 12 && number.len <= 19;
}

/* Reads the entry at hand into the file (fd -1: nowhere) and the buffer (NULL: none). */
static int copy_out(struct bundle *b, int fd, struct buf *text, hash_state *hash,
                    uint64_t *out_bytes, struct buf *out_error)
{
    CLEANUP(cleanup_free) char *piece = xmalloc(PIECE_BYTES);
    la_ssize_t n;

    *out_bytes = 0;
    while ((n = archive_read_data(b->archive, piece, PIECE_BYTES)) > 0) {
        struct str part = str_from_mem(piece, (size_t)n);
        (void)crypto_generichash_update(hash, (const unsigned char *)piece, (unsigned long long)n);
        *out_bytes += part.len;
        if (text != NULL)
            buf_put_str(text, part);
        int r = fd >= 0 ? file_write_all(fd, part) : 0;
        if (r < 0)
            return fail(out_error, r, "a file of the backup cannot be written: %s", strerror(-r));
    }
    return n < 0 ? fail_archive(b, out_error) : 0;
}

static int read_entry(struct bundle *b, const char *name, const char *dir, struct buf *manifest,
                      struct buf *out_error)
{
    bool is_manifest = strcmp(name, MANIFEST) == 0;
    const char *suffix = strcmp(name, BUNDLE_MAIL) == 0 ? ".part" : "";
    CLEANUP(cleanup_free)
    char *path = dir != NULL ? xasprintf("%s/%s%s", dir, name, suffix) : NULL;
    CLEANUP(cleanup_close) int fd = -1;
    hash_state hash;
    uint64_t bytes;

    if (path != NULL && !is_manifest) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            return fail(out_error, -errno, "%s cannot be made: %s", path, strerror(errno));
    }
    hash_start(&hash);
    int r = copy_out(b, fd, is_manifest ? manifest : NULL, &hash, &bytes, out_error);
    if (r == 0 && fd >= 0 && fsync(fd) < 0)
        r = fail(out_error, -errno, "%s cannot be made durable: %s", path, strerror(errno));
    if (r == 0 && !is_manifest)
        note_file(b, name, bytes, &hash);
    return r;
}

static int read_entries(struct bundle *b, const char *dir, struct buf *manifest,
                        struct buf *out_error)
{
    struct archive_entry *entry;
    int r = ARCHIVE_OK;

    while ((r = archive_read_next_header(b->archive, &entry)) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        if (name == NULL || !is_known_name(name) || archive_entry_filetype(entry) != AE_IFREG)
            return fail(out_error, -EBADMSG, "%s is no backup of Hikyaku: it holds %s", b->path,
                        name != NULL ? name : "something nameless");
        int e = read_entry(b, name, dir, manifest, out_error);
        if (e < 0)
            return e;
    }
    return r == ARCHIVE_EOF ? 0 : fail_archive(b, out_error);
}

static void fill_facts(const json_t *manifest, const json_t *files, struct bundle_facts *out)
{
    const char *version = json_string_value(json_object_get(manifest, "hikyaku"));
    const char *created = json_string_value(json_object_get(manifest, "created"));
    const json_t *file;
    size_t i;

    *out = (struct bundle_facts){.files = json_array_size(files)};
    (void)snprintf(out->version, sizeof(out->version), "%s", version != NULL ? version : "?");
    (void)snprintf(out->created, sizeof(out->created), "%s", created != NULL ? created : "?");
    json_array_foreach(files, i, file)
    {
        const char *name = json_string_value(json_object_get(file, "name"));
        out->bytes += (uint64_t)json_integer_value(json_object_get(file, "bytes"));
        out->segments += name != NULL && strncmp(name, "segments/", 9) == 0;
    }
}

static int check_manifest(struct bundle *b, struct buf *text, struct bundle_facts *out_facts,
                          struct buf *out_error)
{
    int r = 0;

    if (text->len == 0)
        return fail(out_error, -EBADMSG, "%s is not whole: its end is missing; take another backup",
                    b->path);
    json_t *manifest = json_loadb(text->ptr, text->len, 0, NULL);
    json_int_t format = json_integer_value(json_object_get(manifest, "format"));
    json_int_t schema = json_integer_value(json_object_get(manifest, "schema"));
    if (format > FORMAT || schema > (json_int_t)schema_main.step_count)
        r = fail(out_error, -EPROTO, "%s was made by a newer Hikyaku; use that version", b->path);
    else if (format != FORMAT || !json_equal(json_object_get(manifest, "files"), b->files))
        r = fail(out_error, -EBADMSG, "%s is damaged: its files are not those that it was made of",
                 b->path);
    else
        fill_facts(manifest, b->files, out_facts);
    json_decref(manifest);
    return r;
}

/* NULL after a failure, which goes to *out_result. */
static struct bundle *open_bundle(const char *path, int *out_result, struct buf *out_error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *out_result = 0;
    if (fd < 0) {
        *out_result = fail(out_error, -errno, "%s cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    struct bundle *b = new_bundle(path, fd);
    b->archive = archive_read_new();
    (void)archive_read_support_format_tar(b->archive);
    if (archive_read_open_fd(b->archive, fd, BLOCK_BYTES) != ARCHIVE_OK) {
        bundle_close(b);
        *out_result = fail(out_error, -EBADMSG, "%s is no backup of Hikyaku", path);
        return NULL;
    }
    return b;
}

int bundle_read(const char *path, const char *dir, struct bundle_facts *out_facts,
                struct buf *out_error)
{
    CLEANUP(cleanup_free) char *segments = xasprintf("%s/segments", dir != NULL ? dir : "");
    struct buf manifest;
    int r;

    struct bundle *b = open_bundle(path, &r, out_error);
    if (b == NULL)
        return r;
    buf_init(&manifest, MANIFEST_MAX_BYTES);
    if (dir != NULL && mkdir(segments, 0700) < 0)
        r = fail(out_error, -errno, "%s cannot be made: %s", segments, strerror(errno));
    if (r == 0)
        r = read_entries(b, dir, &manifest, out_error);
    if (r == 0)
        r = check_manifest(b, &manifest, out_facts, out_error);
    buf_done(&manifest);
    bundle_close(b);
    return r;
}

int bundle_read_config(const char *path, struct buf *out_text, struct buf *out_error)
{
    struct archive_entry *entry;
    hash_state hash;
    uint64_t bytes;
    int r;

    struct bundle *b = open_bundle(path, &r, out_error);
    if (b == NULL)
        return r;
    hash_start(&hash);
    /* It comes first. */
    bool is_there = archive_read_next_header(b->archive, &entry) == ARCHIVE_OK &&
                    archive_entry_pathname(entry) != NULL &&
                    strcmp(archive_entry_pathname(entry), BUNDLE_CONFIG) == 0;
    if (!is_there)
        r = fail(out_error, -EBADMSG, "%s is no backup of Hikyaku", path);
    else
        r = copy_out(b, -1, out_text, &hash, &bytes, out_error);
    bundle_close(b);
    return r;
}
