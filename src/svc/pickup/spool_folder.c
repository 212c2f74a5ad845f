/* The folder into which programs on this machine put mail: see spool_folder.h. */
#include "svc/pickup/spool_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPOOL_MODE = 03733, TAKEN_MODE = 0700 };

static int make_parents(const char *path)
{
    CLEANUP(cleanup_free) char *part = xstrdup(path);

    for (char *at = strchr(part + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(part, 0755) == 0)
            (void)chmod(part, 0755); /* whatever the umask */
        else if (errno != EEXIST)
            return -errno;
        *at = '/';
    }
    return 0;
}

/* Owner first: a change of owner may take setgid away. */
static int settle(int fd, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) < 0)
        return -errno;
    return (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0 ? -errno : 0;
}

/* In the folder of `dir`. What is there must be a folder, not a link to one. Its owner may only be
 * the server or root: anybody may put a folder of this name where anybody may write. */
static int make_folder(int dir, const char *name, uid_t uid, int *out_fd)
{
    struct stat st;

    if (mkdirat(dir, name, TAKEN_MODE) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != uid && st.st_uid != 0 && st.st_uid != geteuid()) {
        close(fd);
        return -EPERM;
    }
    *out_fd = fd;
    return 0;
}

int spool_folder_make(const char *path, uid_t uid, gid_t gid)
{
    CLEANUP(cleanup_close) int spool = -1;
    CLEANUP(cleanup_close) int taken = -1;

    int r = make_parents(path);
    if (r == 0)
        r = make_folder(AT_FDCWD, path, uid, &spool);
    if (r == 0)
        r = make_folder(spool, SPOOL_TAKEN, uid, &taken);
    if (r == 0)
        r = settle(taken, uid, gid, TAKEN_MODE);
    /* Last of all: from here on others may write into it. */
    return r == 0 ? settle(spool, uid, gid, SPOOL_MODE) : r;
}
