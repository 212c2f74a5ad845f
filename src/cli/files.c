/* Files and folders: see files.h. */
#include "cli/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WALK_DESCRIPTORS = 16 };

int file_write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            text = str_sub(text, (size_t)n, text.len);
    }
    return 0;
}

bool file_is_absent_or_empty_dir(const char *path)
{
    const struct dirent *entry;
    bool is_empty = true;

    DIR *dir = opendir(path);
    if (dir == NULL)
        return errno == ENOENT;
    while ((entry = readdir(dir)) != NULL)
        is_empty =
            is_empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(dir);
    return is_empty;
}

int file_sync_fs(const char *path)
{
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}

int file_sync_parent(const char *path)
{
    CLEANUP(cleanup_free) char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');

    if (slash != NULL)
        slash[slash == parent ? 1 : 0] = '\0';
    CLEANUP(cleanup_close)
    int fd = open(slash != NULL ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_dir(const char *path, mode_t mode)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_make_dirs(const char *path, mode_t mode)
{
    CLEANUP(cleanup_free) char *part = xstrdup(path);

    for (char *at = strchr(part + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        int r = make_dir(part, 0755);
        *at = '/';
        if (r < 0)
            return r;
    }
    return make_dir(path, mode);
}

int file_write_new(const char *path, struct str text, mode_t mode)
{
    CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0)
        return -errno;
    int r = file_write_all(fd, text);
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        r = -errno;
    if (r < 0)
        (void)unlink(path);
    return r;
}

/* nftw() hands on no argument. */
static struct {
    uid_t uid;
    gid_t gid;
} new_owner;

static int own_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return lchown(path, new_owner.uid, new_owner.gid) < 0 ? -errno : 0;
}

int file_own_tree(const char *path, uid_t uid, gid_t gid)
{
    new_owner.uid = uid;
    new_owner.gid = gid;
    return nftw(path, own_one, WALK_DESCRIPTORS, FTW_PHYS);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void file_remove_tree(const char *path)
{
    (void)nftw(path, remove_one, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
