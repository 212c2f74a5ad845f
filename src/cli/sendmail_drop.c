/* Leaving a mail in the server's spool folder: see sendmail_drop.h. */
#include "cli/sendmail_drop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/files.h"

enum { FILE_MODE = 0640 }; /* the folder's group is the server's */

int sendmail_drop_open(const char *folder, struct sendmail_drop *out)
{
    uint64_t random = 0;

    *out = (struct sendmail_drop){.dir_fd = -1, .fd = -1};
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -EIO;
    (void)snprintf(out->name, sizeof(out->name), "msg.%lld.%ld.%016llx", (long long)clock_real_ms(),
                   (long)getpid(), (unsigned long long)random);
    (void)snprintf(out->tmp_name, sizeof(out->tmp_name), "new.%s", out->name + strlen("msg."));
    /* Users may not read the folder: this is a place, not a list. */
    out->dir_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (out->dir_fd < 0)
        return -errno;
    out->fd =
        openat(out->dir_fd, out->tmp_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (out->fd < 0) {
        int r = -errno;
        out->tmp_name[0] = '\0';
        sendmail_drop_abort(out);
        return r;
    }
    /* Whatever the umask. */
    return fchmod(out->fd, FILE_MODE) < 0 ? -errno : 0;
}

int sendmail_drop_write(struct sendmail_drop *d, struct str bytes)
{
    return file_write_all(d->fd, bytes);
}

/* The name is made durable by a second sync of the file: the folder itself cannot be opened by who
 * may not list it. Renaming changes the file's own record, and file systems with a journal (ext4,
 * xfs, btrfs) write both together. */
int sendmail_drop_commit(struct sendmail_drop *d)
{
    if (fsync(d->fd) < 0 || renameat(d->dir_fd, d->tmp_name, d->dir_fd, d->name) < 0)
        return -errno;
    d->tmp_name[0] = '\0';
    if (fsync(d->fd) == 0)
        return 0;
    int r = -errno;
    (void)unlinkat(d->dir_fd, d->name, 0);
    return r;
}

void sendmail_drop_abort(struct sendmail_drop *d)
{
    if (d->dir_fd >= 0 && d->tmp_name[0] != '\0')
        (void)unlinkat(d->dir_fd, d->tmp_name, 0);
    if (d->fd >= 0)
        close(d->fd);
    if (d->dir_fd >= 0)
        close(d->dir_fd);
    *d = (struct sendmail_drop){.dir_fd = -1, .fd = -1};
}

int sendmail_drop_status(int error)
{
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
    case -ENOENT:
    case -EACCES:
    case -ENOTDIR:
    case -EMFILE:
    case -ENFILE:
        return EX_TEMPFAIL;
    case -EROFS:
        return EX_CANTCREAT;
    default:
        return EX_IOERR;
    }
}

const char *sendmail_drop_hint(int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
        return "; the server makes it when it starts: hikyaku serve";
    case -EACCES:
        return "; its mode should be 3733: the server sets it right when it starts";
    default:
        return "";
    }
}
