/*
 * An LD_PRELOAD library that knows what a power cut would leave, and a disk that fails on demand.
 *
 * LOSTWRITES_DIR      files below this folder are watched
 * LOSTWRITES_SHADOW   a folder below it, made by test/torture/disk.py: what has been synced is kept
 *                     there, data/<id> with the bytes of each file as of its last sync, and log,
 *                     a line for each change of a name and each sync. disk.py makes from it the
 *                     folder as it is after the cut. Real syncs are left out then.
 * LOSTWRITES_SYNC_DELAY_US  each sync takes so much longer
 * LOSTWRITES_FAIL     a file of struct rule[RULES_MAX]: which calls fail, with which errno
 *
 * It does not see mmap: SQLite's -shm files are left alone, they are made anew after a crash. It
 * calls only what the sandbox of the store allows (system calls by hand, no dlsym), and keeps its
 * shadow inside the store's own folder, because Landlock allows no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_BYTES = 512,
    FDS_MAX = 65536,
    PAGE = 4096,
    COPY_PAGES = 64,
    BUCKETS = 4096,
    RULES_MAX = 16,
    LOG_MAX_BYTES = 64 * 1024 * 1024,
};

enum op { OP_WRITE = 1, OP_SYNC, OP_OPEN, OP_TRUNCATE, OP_RENAME, OP_UNLINK };

/* Shared with disk.py: the layout is part of its code. */
struct rule {
    uint32_t op; /* 0: not in use */
    int32_t error;
    int64_t skip;  /* so many calls still succeed */
    int64_t count; /* then so many fail; negative: all */
    int64_t hits;  /* calls that failed */
    char part[96]; /* of the path below LOSTWRITES_DIR */
};

struct file {
    struct file *next; /* in its bucket */
    int64_t id;
    bool is_dir;
    bool is_all_dirty; /* what an earlier process wrote is not known */
    bool is_resized;
    char *path; /* below the folder; "" when removed */
    uint8_t *dirty;
    size_t pages;
    pthread_mutex_t syncing; /* two syncs of one file: the second one waits for the first */
};

static struct {
    char dir[PATH_BYTES], shadow[PATH_BYTES];
    size_t dir_chars;
    bool has_shadow;
    bool is_loaded;
    int log_fd;
    long delay_us;
    struct rule *rules;
    int64_t last_id;
    struct file *buckets[BUCKETS];
    struct file *fds[FDS_MAX];
    pthread_mutex_t lock; /* of all above, and of the fields of files */
} lw = {.log_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

/* --- names --- */

static struct file **bucket_of(const char *path)
{
    uint32_t hash = 2166136261U;

    for (; *path != '\0'; path++)
        hash = (hash ^ (uint8_t)*path) * 16777619U;
    return &lw.buckets[hash % BUCKETS];
}

static struct file *find_file(const char *path)
{
    struct file *f = *bucket_of(path);

    while (f != NULL && strcmp(f->path, path) != 0)
        f = f->next;
    return f;
}

static struct file *add_file(const char *path, int64_t id)
{
    struct file *f = calloc(1, sizeof(*f));
    struct file **bucket = bucket_of(path);

    f->id = id;
    f->path = strdup(path);
    pthread_mutex_init(&f->syncing, NULL);
    f->next = *bucket;
    *bucket = f;
    return f;
}

/* The name is gone or another one ("" for gone); open descriptors go on with the file. */
static void rename_file(struct file *f, const char *path)
{
    struct file **at = bucket_of(f->path);

    while (*at != NULL && *at != f)
        at = &(*at)->next;
    if (*at == f)
        *at = f->next;
    free(f->path);
    f->path = strdup(path);
    f->next = NULL;
    if (path[0] == '\0')
        return;
    struct file *old = find_file(path);
    if (old != NULL)
        rename_file(old, "");
    at = bucket_of(path);
    f->next = *at;
    *at = f;
}

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* Whether this path is watched; then its part below the folder ("." for the folder itself). */
static bool locate(int dir_fd, const char *path, char out[PATH_BYTES])
{
    char full[2 * PATH_BYTES];

    if (lw.dir_chars == 0 || path == NULL)
        return false;
    if (path[0] == '/') {
        if (strncmp(path, lw.dir, lw.dir_chars) != 0)
            return false;
        (void)snprintf(full, sizeof(full), "%s", path + lw.dir_chars);
        if (full[0] != '/' && full[0] != '\0')
            return false;
    } else {
        if (dir_fd < 0 || dir_fd >= FDS_MAX || lw.fds[dir_fd] == NULL)
            return false;
        (void)snprintf(full, sizeof(full), "/%s/%s", lw.fds[dir_fd]->path, path);
    }
    if (strncmp(full, "/./", 3) == 0)
        memmove(full, full + 2, strlen(full + 2) + 1);
    if (has_suffix(full, "-shm") || strcmp(full, "/lock") == 0 || strncmp(full, "/.shadow", 8) == 0)
        return false;
    const char *below = full[0] == '\0' ? "." : full + 1;
    size_t chars = strnlen(below, PATH_BYTES - 1);
    memcpy(out, below, chars);
    out[chars] = '\0';
    return true;
}

/* --- the shadow --- */

static void write_log(const char *fmt, ...)
{
    char line[2 * PATH_BYTES + 64];
    va_list args;

    if (lw.log_fd < 0)
        return;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    (void)!syscall(SYS_write, lw.log_fd, line, (size_t)n);
}

static void replay_line(const char *line)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    long long id;
    struct file *f;

    if (sscanf(line, "C %lld %511s", &id, from) == 2) {
        f = find_file(from);
        if (f != NULL)
            rename_file(f, "");
        f = add_file(from, id);
        f->is_all_dirty = true;
        lw.last_id = id > lw.last_id ? id : lw.last_id;
    } else if (sscanf(line, "R %511s %511s", from, to) == 2) {
        f = find_file(from);
        if (f != NULL)
            rename_file(f, to);
    } else if (sscanf(line, "U %511s", from) == 1) {
        f = find_file(from);
        if (f != NULL)
            rename_file(f, "");
    }
}

static bool is_there(const char *name)
{
    char path[2 * PATH_BYTES];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", lw.dir, name);
    return fstatat(AT_FDCWD, path, &st, 0) == 0;
}

/* Lines are written before what they tell: when a kill came between, the last one is not true. */
static bool is_untrue(const char *line)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    long long id;

    if (sscanf(line, "C %lld %511s", &id, from) == 2)
        return !is_there(from);
    if (sscanf(line, "R %511s %511s", from, to) == 2)
        return !is_there(to);
    return sscanf(line, "U %511s", from) == 1 && is_there(from);
}

static void drop_untrue_end(char *text)
{
    size_t n = strlen(text), end = n;

    if (n > 0 && text[n - 1] == '\n')
        end = n - 1;
    char kept = text[end];
    text[end] = '\0';
    char *line = strrchr(text, '\n');
    line = line != NULL ? line + 1 : text;
    bool is_whole = end < n;
    if (is_whole && !is_untrue(line)) {
        text[end] = kept;
        return;
    }
    *line = '\0';
    (void)!syscall(SYS_ftruncate, lw.log_fd, (off_t)(line - text));
}

/* Learns from the log which file has which id: an earlier process may have made them. */
static void load_log(void)
{
    char path[PATH_BYTES + 8];
    struct stat st;

    if (lw.is_loaded || !lw.has_shadow)
        return;
    lw.is_loaded = true;
    (void)snprintf(path, sizeof(path), "%s/log", lw.shadow);
    lw.log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_APPEND | O_CLOEXEC, 0);
    if (lw.log_fd < 0 || fstat(lw.log_fd, &st) < 0 || st.st_size > LOG_MAX_BYTES)
        return;
    char *text = calloc(1, (size_t)st.st_size + 1), *save = NULL;
    ssize_t n = pread(lw.log_fd, text, (size_t)st.st_size, 0);
    drop_untrue_end(text);
    for (char *line = strtok_r(n > 0 ? text : NULL, "\n", &save); n > 0 && line != NULL;
         line = strtok_r(NULL, "\n", &save))
        replay_line(line);
    free(text);
}

static void mark(struct file *f, int64_t from, int64_t to)
{
    size_t first = (size_t)from / PAGE, end = ((size_t)to + PAGE - 1) / PAGE;

    if (!lw.has_shadow || from >= to)
        return;
    if (end > f->pages) {
        size_t pages = end + end / 2 + 16;
        f->dirty = realloc(f->dirty, pages);
        memset(f->dirty + f->pages, 0, pages - f->pages);
        f->pages = pages;
    }
    memset(f->dirty + first, 1, end - first);
}

static void copy_pages(int from_fd, int to_fd, size_t first, size_t end)
{
    static __thread char room[COPY_PAGES * PAGE];

    while (first < end) {
        size_t n = end - first < COPY_PAGES ? end - first : COPY_PAGES;
        ssize_t got = syscall(SYS_pread64, from_fd, room, n * PAGE, (off_t)(first * PAGE));
        if (got > 0)
            (void)!syscall(SYS_pwrite64, to_fd, room, (size_t)got, (off_t)(first * PAGE));
        first += n;
    }
}

/* The bytes of a file become durable. The pages to copy were taken from f already. */
static void copy_file(struct file *f, int fd, const uint8_t *dirty, size_t pages)
{
    char path[PATH_BYTES + 32];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/data/%lld", lw.shadow, (long long)f->id);
    int to = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (to < 0 || fstat(fd, &st) < 0)
        abort(); /* a shadow with holes would accuse the innocent */
    size_t end = ((size_t)st.st_size + PAGE - 1) / PAGE;
    if (dirty == NULL)
        copy_pages(fd, to, 0, end);
    for (size_t i = 0; dirty != NULL && i < pages && i < end; i++) {
        size_t first = i;
        while (i < pages && i < end && dirty[i])
            i++;
        copy_pages(fd, to, first, i);
    }
    (void)!syscall(SYS_ftruncate, to, st.st_size);
    (void)syscall(SYS_close, to);
}

static void keep_synced(struct file *f, int fd, bool is_data_only)
{
    pthread_mutex_lock(&lw.lock);
    bool is_whole = f->is_all_dirty, is_resized = f->is_resized;
    uint8_t *dirty = f->dirty;
    size_t pages = f->pages;
    f->dirty = NULL;
    f->pages = 0;
    f->is_all_dirty = f->is_resized = false;
    pthread_mutex_unlock(&lw.lock);
    if (!f->is_dir && (is_whole || pages > 0 || is_resized))
        copy_file(f, fd, is_whole ? NULL : dirty == NULL ? (uint8_t *)"" : dirty, pages);
    free(dirty);
    pthread_mutex_lock(&lw.lock);
    if (f->is_dir)
        write_log("D %s\n", f->path);
    else
        write_log("F %lld %d\n", (long long)f->id, is_whole || is_resized || !is_data_only);
    pthread_mutex_unlock(&lw.lock);
}

/* A sync that fails marks the pages clean all the same, as Linux does: the next one does not write
 * them. What is not written again is lost at the cut. */
static void forget_dirty(struct file *f)
{
    pthread_mutex_lock(&lw.lock);
    free(f->dirty);
    f->dirty = NULL;
    f->pages = 0;
    f->is_all_dirty = false;
    pthread_mutex_unlock(&lw.lock);
}

/* --- faults --- */

/* part: text anywhere in the path; with a '$' behind it, at its end. */
static bool matches(const char *path, const char *part)
{
    char suffix[sizeof(((struct rule *)0)->part)];
    size_t n = strlen(part);

    if (n == 0 || part[n - 1] != '$')
        return strstr(path, part) != NULL;
    memcpy(suffix, part, n - 1);
    suffix[n - 1] = '\0';
    return has_suffix(path, suffix);
}

static int fault(enum op op, const char *path)
{
    for (int i = 0; lw.rules != NULL && i < RULES_MAX; i++) {
        struct rule *r = &lw.rules[i];
        if (__atomic_load_n(&r->op, __ATOMIC_ACQUIRE) != (uint32_t)op || !matches(path, r->part))
            continue;
        if (__atomic_load_n(&r->skip, __ATOMIC_RELAXED) > 0) {
            __atomic_sub_fetch(&r->skip, 1, __ATOMIC_RELAXED);
            continue;
        }
        int64_t left = __atomic_load_n(&r->count, __ATOMIC_RELAXED);
        if (left == 0)
            continue;
        if (left > 0)
            __atomic_sub_fetch(&r->count, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&r->hits, 1, __ATOMIC_RELAXED);
        return r->error;
    }
    return 0;
}

static bool fails(enum op op, const char *path)
{
    int error = fault(op, path);

    if (error != 0)
        errno = error;
    return error != 0;
}

static void map_rules(const char *path)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);

    if (fd < 0)
        return;
    void *p =
        mmap(NULL, sizeof(struct rule) * RULES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)syscall(SYS_close, fd);
    lw.rules = p == MAP_FAILED ? NULL : p;
}

__attribute__((constructor)) static void start(void)
{
    const char *dir = getenv("LOSTWRITES_DIR"), *shadow = getenv("LOSTWRITES_SHADOW");
    const char *delay = getenv("LOSTWRITES_SYNC_DELAY_US"), *rules = getenv("LOSTWRITES_FAIL");

    if (dir == NULL)
        return;
    (void)snprintf(lw.dir, sizeof(lw.dir), "%s", dir);
    (void)snprintf(lw.shadow, sizeof(lw.shadow), "%s", shadow != NULL ? shadow : "");
    lw.has_shadow = shadow != NULL;
    lw.delay_us = delay != NULL ? strtol(delay, NULL, 10) : 0;
    if (rules != NULL)
        map_rules(rules);
    lw.dir_chars = strlen(lw.dir);
}

/* --- the calls --- */

static struct file *file_of(int fd)
{
    return lw.dir_chars > 0 && fd >= 0 && fd < FDS_MAX
               ? __atomic_load_n(&lw.fds[fd], __ATOMIC_ACQUIRE)
               : NULL;
}

static void attach(int fd, struct file *f)
{
    if (fd >= 0 && fd < FDS_MAX)
        __atomic_store_n(&lw.fds[fd], f, __ATOMIC_RELEASE);
}

/* The file of this name, which is about to be opened; made known if it is new. */
static struct file *meet_file(const char *name, bool is_new)
{
    struct file *f = find_file(name);

    if (f != NULL && !is_new)
        return f;
    if (f != NULL)
        rename_file(f, "");
    f = add_file(name, ++lw.last_id);
    f->is_all_dirty = !is_new;
    f->is_resized = is_new;
    return f;
}

static int open_watched(int dir_fd, const char *path, int flags, mode_t mode, const char *name)
{
    struct stat st;

    pthread_mutex_lock(&lw.lock);
    load_log();
    bool is_old = fstatat(dir_fd, path, &st, 0) == 0;
    bool is_new = !is_old && (flags & O_CREAT) != 0;
    struct file *f = is_old || is_new ? meet_file(name, is_new) : NULL;
    if (is_new)
        write_log("C %lld %s\n", (long long)f->id, name);
    int fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    int error = errno;
    if (fd < 0 && is_new) {
        rename_file(f, "");
        write_log("U %s\n", name);
    } else if (f != NULL) {
        f->is_dir = is_old && S_ISDIR(st.st_mode);
        f->is_all_dirty |= (flags & O_TRUNC) != 0;
    }
    attach(fd, f);
    pthread_mutex_unlock(&lw.lock);
    errno = error;
    return fd;
}

static int do_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    char name[PATH_BYTES];

    if (locate(dir_fd, path, name))
        return fails(OP_OPEN, name) ? -1 : open_watched(dir_fd, path, flags, mode, name);
    int fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    attach(fd, NULL);
    return fd;
}

static mode_t mode_arg(int flags, va_list args)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define OPEN_BODY(dir_fd)                                                                          \
    va_list args;                                                                                  \
    va_start(args, flags);                                                                         \
    mode_t mode = mode_arg(flags, args);                                                           \
    va_end(args);                                                                                  \
    return do_open(dir_fd, path, flags, mode)

int open(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    OPEN_BODY(dir_fd);
}

int openat64(int dir_fd, const char *path, int flags, ...)
{
    OPEN_BODY(dir_fd);
}

int creat(const char *path, mode_t mode)
{
    return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What a fortified build calls when there is no mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir_fd, const char *path, int flags);
int __openat64_2(int dir_fd, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dir_fd, const char *path, int flags)
{
    return do_open(dir_fd, path, flags, 0);
}

int __openat64_2(int dir_fd, const char *path, int flags)
{
    return do_open(dir_fd, path, flags, 0);
}

int close(int fd)
{
    if (file_of(fd) != NULL)
        attach(fd, NULL);
    return (int)syscall(SYS_close, fd);
}

static void note_write(struct file *f, int64_t at, ssize_t bytes)
{
    int error = errno;

    if (f == NULL || bytes <= 0)
        return;
    /* After the write: a sync that ran meanwhile may have missed it. */
    pthread_mutex_lock(&lw.lock);
    mark(f, at, at + bytes);
    f->is_resized = true; /* it may have grown; nothing is lost by taking it for so */
    pthread_mutex_unlock(&lw.lock);
    errno = error;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    struct file *f = file_of(fd);

    if (f != NULL && fails(OP_WRITE, f->path))
        return -1;
    ssize_t r = syscall(SYS_pwrite64, fd, bytes, n, at);
    note_write(f, at, r);
    return r;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return pwrite(fd, bytes, n, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    struct file *f = file_of(fd);

    if (f != NULL && fails(OP_WRITE, f->path))
        return -1;
    ssize_t r = syscall(SYS_pwritev, fd, parts, count, at, 0L);
    note_write(f, at, r);
    return r;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    struct file *f = file_of(fd);

    if (f == NULL)
        return syscall(SYS_write, fd, bytes, n);
    if (fails(OP_WRITE, f->path))
        return -1;
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t r = syscall(SYS_write, fd, bytes, n);
    note_write(f, at, r);
    return r;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct file *f = file_of(fd);

    if (f == NULL)
        return syscall(SYS_writev, fd, parts, count);
    if (fails(OP_WRITE, f->path))
        return -1;
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t r = syscall(SYS_writev, fd, parts, count);
    note_write(f, at, r);
    return r;
}

int ftruncate(int fd, off_t size)
{
    struct file *f = file_of(fd);
    struct stat st;

    if (f != NULL && fails(OP_TRUNCATE, f->path))
        return -1;
    if (f == NULL || fstat(fd, &st) < 0)
        return (int)syscall(SYS_ftruncate, fd, size);
    int r = (int)syscall(SYS_ftruncate, fd, size);
    int error = errno;
    pthread_mutex_lock(&lw.lock);
    if (r == 0 && size != st.st_size) {
        mark(f, size < st.st_size ? size : st.st_size, size < st.st_size ? st.st_size : size);
        f->is_resized = true;
    }
    pthread_mutex_unlock(&lw.lock);
    errno = error;
    return r;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

static int do_sync(int fd, bool is_data_only)
{
    struct file *f = file_of(fd);

    if (f == NULL)
        return (int)syscall(is_data_only ? SYS_fdatasync : SYS_fsync, fd);
    pthread_mutex_lock(&f->syncing);
    if (lw.delay_us > 0)
        (void)nanosleep(&(struct timespec){.tv_sec = lw.delay_us / 1000000,
                                           .tv_nsec = lw.delay_us % 1000000 * 1000},
                        NULL);
    int r = 0;
    if (fails(OP_SYNC, f->path)) {
        forget_dirty(f);
        r = -1;
    } else if (lw.has_shadow)
        keep_synced(f, fd, is_data_only);
    else
        r = (int)syscall(is_data_only ? SYS_fdatasync : SYS_fsync, fd);
    pthread_mutex_unlock(&f->syncing);
    return r;
}

int fsync(int fd)
{
    return do_sync(fd, false);
}

int fdatasync(int fd)
{
    return do_sync(fd, true);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    char old[PATH_BYTES], new[PATH_BYTES];

    if (!locate(from_fd, from, old) || !locate(to_fd, to, new))
        return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (fails(OP_RENAME, old))
        return -1;
    pthread_mutex_lock(&lw.lock);
    load_log();
    write_log("R %s %s\n", old, new);
    int r = (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
    int error = errno;
    struct file *f = r == 0 ? find_file(old) : NULL;
    if (r < 0)
        write_log("R %s %s\n", new, old);
    if (f != NULL)
        rename_file(f, new);
    pthread_mutex_unlock(&lw.lock);
    errno = error;
    return r;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
    char name[PATH_BYTES];

    if (!locate(dir_fd, path, name))
        return (int)syscall(SYS_unlinkat, dir_fd, path, flags);
    if (fails(OP_UNLINK, name))
        return -1;
    pthread_mutex_lock(&lw.lock);
    load_log();
    struct file *f = find_file(name);
    if (f != NULL)
        write_log("U %s\n", name);
    int r = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
    int error = errno;
    if (f != NULL)
        rename_file(f, "");
    pthread_mutex_unlock(&lw.lock);
    errno = error;
    return r;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
    char name[PATH_BYTES];

    if (locate(dir_fd, path, name) && strcmp(name, ".") != 0) {
        pthread_mutex_lock(&lw.lock);
        load_log();
        if (!is_there(name))
            write_log("K %s\n", name);
        pthread_mutex_unlock(&lw.lock);
    }
    return (int)syscall(SYS_mkdirat, dir_fd, path, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}
