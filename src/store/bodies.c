/* The bytes of messages in append-only segment files: see bodies.h. */
#include "store/bodies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <libdeflate.h>

#include "base/cursor.h"

static const uint32_t RECORD_MAGIC = 0x314b4948; /* "HIK1" */
enum {
    NAME_BYTES = 40,
    VERIFY_CHUNK_BYTES = 64 * 1024,
    DIRECT_BYTES = 32 * 1024, /* from here on a copy costs more than a system call */
};

struct open_segment {
    int64_t segment;
    int fd;
    int users;
    uint64_t last_use;
};

struct bodies {
    char *dir;
    int dir_fd;
    int64_t max_bytes;
    int active_fd;
    int64_t active;
    int64_t flushed_end;
    struct buf pending;
    bool has_renamed; /* a name changed since the last sync: the folder needs one too */
    pthread_mutex_t lock;
    struct open_segment open[BODIES_OPEN_MAX];
    uint64_t use_clock;
};

static const char *segment_name(char out[NAME_BYTES], int64_t segment, const char *suffix)
{
    (void)snprintf(out, NAME_BYTES, "%012lld.%s", (long long)segment, suffix);
    return out;
}

int64_t body_record_bytes(int64_t length)
{
    return (BODIES_RECORD_HEADER_BYTES + length + 7) / 8 * 8;
}

int bodies_open(const char *dir, int64_t segment_max_bytes, struct bodies **out)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    struct bodies *b = xcalloc(1, sizeof(*b));
    b->dir = xstrdup(dir);
    b->dir_fd = fd;
    b->max_bytes = segment_max_bytes;
    b->active_fd = -1;
    buf_init(&b->pending, BODIES_WRITE_BUFFER_BYTES);
    pthread_mutex_init(&b->lock, NULL);
    for (size_t i = 0; i < BODIES_OPEN_MAX; i++)
        b->open[i].fd = -1;
    *out = b;
    return 0;
}

void bodies_close(struct bodies *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < BODIES_OPEN_MAX; i++) {
        if (b->open[i].fd >= 0)
            close(b->open[i].fd);
    }
    if (b->active_fd >= 0)
        close(b->active_fd);
    close(b->dir_fd);
    buf_done(&b->pending);
    pthread_mutex_destroy(&b->lock);
    free(b->dir);
    free(b);
}

const char *bodies_dir(const struct bodies *b)
{
    return b->dir;
}

int bodies_activate(struct bodies *b, int64_t segment, int64_t end)
{
    char name[NAME_BYTES];

    ASSERT(b->pending.len == 0);
    int fd =
        openat(b->dir_fd, segment_name(name, segment, "seg"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, end) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    if (b->active_fd >= 0)
        close(b->active_fd);
    b->active_fd = fd;
    b->active = segment;
    b->flushed_end = end;
    b->has_renamed = true;
    return 0;
}

void bodies_active(const struct bodies *b, int64_t *out_segment, int64_t *out_end)
{
    *out_segment = b->active;
    *out_end = b->flushed_end + (int64_t)b->pending.len;
}

bool bodies_is_full(const struct bodies *b)
{
    return b->flushed_end + (int64_t)b->pending.len >= b->max_bytes;
}

/* CRC-32 as zlib has it. */
static uint32_t crc_add(uint32_t crc, struct str bytes)
{
    /* NULL would mean something else. */
    return bytes.len > 0 ? libdeflate_crc32(crc, bytes.ptr, bytes.len) : crc;
}

static void put_record_header(struct buf *out, uint64_t id, int64_t length, uint32_t crc)
{
    size_t at = out->len;

    buf_put_u32(out, RECORD_MAGIC);
    buf_put_u32(out, crc);
    buf_put_u64(out, id);
    buf_put_u64(out, (uint64_t)length);
    buf_put_u32(out, 0);
    buf_put_u32(out, crc_add(0, str_sub(buf_str(out), at, out->len)));
}

/* Writes the bytes of all parts, one behind the other. */
static int write_parts(int fd, struct iovec *parts, int count, int64_t at)
{
    while (count > 0) {
        ssize_t n = pwritev(fd, parts, count, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        for (; count > 0 && (size_t)n >= parts->iov_len; parts++, count--)
            n -= (ssize_t)parts->iov_len;
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int write_all(int fd, struct str bytes, int64_t at)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};

    return write_parts(fd, &part, bytes.len > 0, at);
}

int bodies_flush(struct bodies *b)
{
    if (b->pending.len == 0)
        return 0;
    int r = write_all(b->active_fd, buf_str(&b->pending), b->flushed_end);
    if (r < 0)
        return r;
    b->flushed_end += (int64_t)b->pending.len;
    buf_reset(&b->pending);
    return 0;
}

/* Writes a large record as it is, behind what waits. */
static int append_directly(struct bodies *b, uint64_t id, struct str text, uint32_t crc)
{
    static char padding[8];
    size_t record = (size_t)body_record_bytes((int64_t)text.len);
    struct buf header;

    buf_init(&header, BODIES_RECORD_HEADER_BYTES);
    put_record_header(&header, id, (int64_t)text.len, crc);
    struct iovec parts[3] = {
        {.iov_base = header.ptr, .iov_len = header.len},
        {.iov_base = (void *)(uintptr_t)text.ptr, .iov_len = text.len},
        {.iov_base = padding, .iov_len = record - header.len - text.len},
    };
    int r = write_parts(b->active_fd, parts, ARRAY_LEN(parts), b->flushed_end);
    buf_done(&header);
    if (r == 0)
        b->flushed_end += (int64_t)record;
    return r;
}

static void append_pending(struct bodies *b, uint64_t id, struct str text, uint32_t crc)
{
    static const char padding[8];
    size_t end = b->pending.len + (size_t)body_record_bytes((int64_t)text.len);

    put_record_header(&b->pending, id, (int64_t)text.len, crc);
    buf_put_str(&b->pending, text);
    buf_put(&b->pending, padding, end - b->pending.len);
    ASSERT(buf_status(&b->pending) == 0);
}

int bodies_append(struct bodies *b, uint64_t id, struct str text, struct body_place *out_place)
{
    size_t record = (size_t)body_record_bytes((int64_t)text.len);
    bool is_direct = record >= DIRECT_BYTES;
    int r = 0;

    if (record > BODIES_WRITE_BUFFER_BYTES)
        return -EMSGSIZE;
    if (is_direct || b->pending.len + record > BODIES_WRITE_BUFFER_BYTES)
        r = bodies_flush(b);
    if (r < 0)
        return r;
    uint32_t crc = crc_add(0, text);
    *out_place = (struct body_place){.segment = b->active,
                                     .offset = b->flushed_end + (int64_t)b->pending.len,
                                     .length = (int64_t)text.len,
                                     .crc = crc};
    if (is_direct)
        return append_directly(b, id, text, crc);
    append_pending(b, id, text, crc);
    return 0;
}

void bodies_cut_back(struct bodies *b, int64_t end)
{
    buf_reset(&b->pending);
    if (end >= b->flushed_end)
        return;
    /* A longer file than its rows say is harmless; the next record overwrites it. */
    (void)!ftruncate(b->active_fd, end);
    b->flushed_end = end;
}

int bodies_sync(struct bodies *b)
{
    if (fdatasync(b->active_fd) < 0)
        return -errno;
    if (b->has_renamed) {
        if (fsync(b->dir_fd) < 0)
            return -errno;
        b->has_renamed = false;
    }
    return 0;
}

int bodies_drop(struct bodies *b, int64_t segment)
{
    char name[NAME_BYTES];

    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < BODIES_OPEN_MAX; i++) {
        struct open_segment *o = &b->open[i];
        if (o->fd < 0 || o->segment != segment || o->users > 0)
            continue;
        close(o->fd);
        o->fd = -1;
    }
    pthread_mutex_unlock(&b->lock);
    if (unlinkat(b->dir_fd, segment_name(name, segment, "seg"), 0) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

int spool_open(struct bodies *b, int64_t segment, struct spool *out)
{
    char name[NAME_BYTES];

    *out = (struct spool){.segment = segment};
    out->fd = openat(b->dir_fd, segment_name(name, segment, "tmp"),
                     O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return out->fd < 0 ? -errno : 0;
}

int spool_write(struct spool *s, struct str piece)
{
    int r = write_all(s->fd, piece, BODIES_RECORD_HEADER_BYTES + s->written);

    if (r < 0)
        return r;
    s->crc = crc_add(s->crc, piece);
    s->written += (int64_t)piece.len;
    return 0;
}

int spool_finish(struct spool *s, uint64_t id, struct body_place *out_place)
{
    struct buf header;

    buf_init(&header, BODIES_RECORD_HEADER_BYTES);
    put_record_header(&header, id, s->written, s->crc);
    int r = write_all(s->fd, buf_str(&header), 0);
    buf_done(&header);
    if (r == 0 && ftruncate(s->fd, body_record_bytes(s->written)) < 0)
        r = -errno;
    if (r == 0 && fdatasync(s->fd) < 0)
        r = -errno;
    if (r < 0)
        return r;
    close(s->fd);
    s->fd = -1;
    *out_place = (struct body_place){.segment = s->segment, .length = s->written, .crc = s->crc};
    return 0;
}

void bodies_remove_spool(struct bodies *b, int64_t segment)
{
    char name[NAME_BYTES];

    (void)unlinkat(b->dir_fd, segment_name(name, segment, "tmp"), 0);
}

void spool_discard(struct bodies *b, struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    bodies_remove_spool(b, s->segment);
}

int spool_adopt(struct bodies *b, int64_t segment)
{
    char from[NAME_BYTES], to[NAME_BYTES];

    if (renameat(b->dir_fd, segment_name(from, segment, "tmp"), b->dir_fd,
                 segment_name(to, segment, "seg")) < 0)
        return -errno;
    b->has_renamed = true;
    return 0;
}

/* The slot to open a segment in: a free one, else the longest unused. NULL when all are in use. */
static struct open_segment *pick_slot(struct bodies *b)
{
    struct open_segment *best = NULL;

    for (size_t i = 0; i < BODIES_OPEN_MAX; i++) {
        struct open_segment *o = &b->open[i];
        if (o->fd < 0)
            return o;
        if (o->users == 0 && (best == NULL || o->last_use < best->last_use))
            best = o;
    }
    return best;
}

/* A shared descriptor of the segment; give it back with release_segment. */
static int borrow_segment(struct bodies *b, int64_t segment, struct open_segment **out)
{
    char name[NAME_BYTES];
    int r = 0;

    pthread_mutex_lock(&b->lock);
    struct open_segment *o = NULL;
    for (size_t i = 0; i < BODIES_OPEN_MAX && o == NULL; i++) {
        if (b->open[i].fd >= 0 && b->open[i].segment == segment)
            o = &b->open[i];
    }
    if (o == NULL) {
        int fd = openat(b->dir_fd, segment_name(name, segment, "seg"), O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
        o = r == 0 ? pick_slot(b) : NULL;
        if (o != NULL) {
            if (o->fd >= 0)
                close(o->fd);
            *o = (struct open_segment){.segment = segment, .fd = fd};
        } else if (fd >= 0) {
            close(fd);
            r = -EMFILE;
        }
    }
    if (o != NULL) {
        o->users++;
        o->last_use = ++b->use_clock;
        *out = o;
    }
    pthread_mutex_unlock(&b->lock);
    return r;
}

static void release_segment(struct bodies *b, struct open_segment *o)
{
    pthread_mutex_lock(&b->lock);
    o->users--;
    pthread_mutex_unlock(&b->lock);
}

static int read_all(int fd, char *into, size_t bytes, int64_t at)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, into, bytes, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EBADMSG; /* the file is shorter than its rows say */
        into += n;
        at += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int check_header(int fd, const struct body_place *place, uint64_t id)
{
    char raw[BODIES_RECORD_HEADER_BYTES];

    int r = read_all(fd, raw, sizeof(raw), place->offset);
    if (r < 0)
        return r;
    struct cursor c = cursor_from(str_from_mem(raw, sizeof(raw)));
    bool is_ours = cursor_u32(&c) == RECORD_MAGIC;
    is_ours &= cursor_u32(&c) == place->crc;
    is_ours &= cursor_u64(&c) == id;
    is_ours &= cursor_u64(&c) == (uint64_t)place->length;
    (void)cursor_u32(&c);
    is_ours &= cursor_u32(&c) == crc_add(0, str_from_mem(raw, sizeof(raw) - 4));
    return is_ours ? 0 : -EBADMSG;
}

/* The range into `out`; a whole body must have the CRC of its place. */
static int read_range(int fd, const struct body_place *place, int64_t from, int64_t length,
                      struct buf *out)
{
    char *room = buf_reserve(out, (size_t)length);

    if (room == NULL)
        return -EMSGSIZE;
    int r = read_all(fd, room, (size_t)length, place->offset + BODIES_RECORD_HEADER_BYTES + from);
    if (r < 0)
        return r;
    bool is_whole = from == 0 && length == place->length && length > 0;
    if (is_whole && crc_add(0, str_from_mem(room, (size_t)length)) != place->crc)
        return -EBADMSG;
    buf_commit(out, (size_t)length);
    return 0;
}

int bodies_read(struct bodies *b, const struct body_place *place, uint64_t id, int64_t from,
                int64_t length, struct buf *out)
{
    struct open_segment *o;

    if (from < 0 || length < 0 || from > place->length || length > place->length - from)
        return -EINVAL;
    int r = borrow_segment(b, place->segment, &o);
    if (r < 0)
        return r;
    r = check_header(o->fd, place, id);
    if (r == 0)
        r = read_range(o->fd, place, from, length, out);
    release_segment(b, o);
    return r;
}

int bodies_verify(struct bodies *b, const struct body_place *place, uint64_t id)
{
    struct open_segment *o;

    int r = borrow_segment(b, place->segment, &o);
    if (r < 0)
        return r;
    r = check_header(o->fd, place, id);
    CLEANUP(cleanup_free) char *chunk = xmalloc(VERIFY_CHUNK_BYTES);
    uint32_t crc = 0;
    for (int64_t at = 0; r == 0 && at < place->length; at += VERIFY_CHUNK_BYTES) {
        size_t part = (size_t)MIN((int64_t)VERIFY_CHUNK_BYTES, place->length - at);
        r = read_all(o->fd, chunk, part, place->offset + BODIES_RECORD_HEADER_BYTES + at);
        crc = r == 0 ? crc_add(crc, str_from_mem(chunk, part)) : crc;
    }
    release_segment(b, o);
    if (r == 0 && crc != place->crc)
        return -EBADMSG;
    return r;
}

int bodies_list(struct bodies *b, void (*fn)(void *arg, int64_t segment, bool is_spool), void *arg)
{
    DIR *dir = opendir(b->dir);

    if (dir == NULL)
        return -errno;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        struct str stem, suffix;
        uint64_t segment;
        (void)str_cut(str_from_c(e->d_name), '.', &stem, &suffix);
        if (str_to_u64(stem, INT64_MAX, &segment) < 0)
            continue;
        if (str_eq(suffix, STR("seg")) || str_eq(suffix, STR("tmp")))
            fn(arg, (int64_t)segment, str_eq(suffix, STR("tmp")));
    }
    closedir(dir);
    return 0;
}

int bodies_sync_segment(struct bodies *b, int64_t segment)
{
    char name[NAME_BYTES];
    CLEANUP(cleanup_close)
    int fd = openat(b->dir_fd, segment_name(name, segment, "seg"), O_RDWR | O_CLOEXEC);

    /* One that is gone has nothing to sync; what it held is judged by its rows. */
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    return fdatasync(fd) < 0 ? -errno : 0;
}

int bodies_sync_names(struct bodies *b)
{
    return fsync(b->dir_fd) < 0 ? -errno : 0;
}

int bodies_set_aside(struct bodies *b, int64_t segment)
{
    char from[NAME_BYTES], to[NAME_BYTES];
    struct stat st;

    segment_name(from, segment, "seg");
    if (fstatat(b->dir_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (st.st_size == 0)
        return bodies_drop(b, segment);
    if (renameat(b->dir_fd, from, b->dir_fd, segment_name(to, segment, "orphan")) < 0)
        return -errno;
    return 1;
}

void bodies_expire_orphans(struct bodies *b, int64_t before_s)
{
    DIR *dir = opendir(b->dir);
    struct stat st;

    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        if (!str_has_suffix_nocase(str_from_c(e->d_name), STR(".orphan")) ||
            fstatat(b->dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if ((int64_t)st.st_mtime < before_s)
            (void)unlinkat(b->dir_fd, e->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
}
