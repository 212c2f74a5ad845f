/* Files with keys, certificates and passwords: see key_file.h. */
#include "svc/master/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct key_file_stamp stamp_of(const struct stat *st)
{
    return (struct key_file_stamp){.device = st->st_dev,
                                   .inode = st->st_ino,
                                   .bytes = st->st_size,
                                   .modified = st->st_mtim,
                                   .changed = st->st_ctim};
}

struct key_file_stamp key_file_look(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct key_file_stamp){.error = -errno};
    return stamp_of(&st);
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool key_file_is_same(const struct key_file_stamp *a, const struct key_file_stamp *b)
{
    return a->error == b->error && a->device == b->device && a->inode == b->inode &&
           a->bytes == b->bytes && is_same_time(&a->modified, &b->modified) &&
           is_same_time(&a->changed, &b->changed);
}

static const char *cure(int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
        return "name the file that there is, or put it there";
    case -EACCES:
    case -EPERM:
        return "let the user who starts the server read it, or start the server as root";
    default:
        return "put a readable file there";
    }
}

static int complain(const char *path, int error, struct buf *out_why)
{
    buf_printf(out_why, "%s cannot be read: %s; %s", path, strerror(-error), cure(error));
    return error;
}

static int check(const char *path, const struct key_file_rules *rules, const struct stat *st,
                 struct buf *out_why)
{
    if (!S_ISREG(st->st_mode)) {
        buf_printf(out_why, "%s is no file; name one", path);
        return -EINVAL;
    }
    if ((st->st_mode & rules->forbidden) != 0) {
        bool is_for_group = (rules->forbidden & S_IRWXG) != 0;
        buf_printf(out_why, "%s is open to others (mode %04o); type: chmod %s %s", path,
                   (unsigned)(st->st_mode & 07777), is_for_group ? "go=" : "o=", path);
        return -EPERM;
    }
    if (st->st_size > 0 && (size_t)st->st_size <= rules->max_bytes)
        return 0;
    if (st->st_size <= 0)
        buf_printf(out_why, "%s is empty; put there what belongs into it", path);
    else
        buf_printf(out_why, "%s has more than %zu bytes; name the right file", path,
                   rules->max_bytes);
    return -EINVAL;
}

/* To the end, which may have moved since the size was asked for. One byte more is asked for, so
 * that a file of that size is read without growing the buffer, which would leave copies behind. */
static int read_all(int fd, size_t size, size_t max_bytes, struct buf *out)
{
    size_t start = out->len, done = 0;

    while (done <= max_bytes) {
        size_t want = done <= size ? size + 1 - done : size + 1;
        char *room = buf_reserve(out, want);
        if (room == NULL)
            return -EFBIG;
        ssize_t n = read(fd, room, want);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        buf_commit(out, n > 0 ? (size_t)n : 0);
        done = out->len - start;
    }
    return -EFBIG;
}

int key_file_read(const char *path, const struct key_file_rules *rules, struct buf *out_bytes,
                  struct key_file_stamp *out_stamp, struct buf *out_why)
{
    /* Not to wait for a writer where somebody has put a pipe. */
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    *out_stamp = key_file_look(path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return complain(path, -errno, out_why);
    *out_stamp = stamp_of(&st);
    int r = check(path, rules, &st, out_why);
    if (r < 0)
        return r;
    r = read_all(fd, (size_t)st.st_size, rules->max_bytes, out_bytes);
    return r < 0 ? complain(path, r, out_why) : 0;
}

void key_file_wipe(struct buf *bytes)
{
    if (bytes->ptr != NULL)
        explicit_bzero(bytes->ptr, bytes->cap);
    buf_done(bytes);
}
