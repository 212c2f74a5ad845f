/*
 * slowsync: a library for LD_PRELOAD that makes every sync of a file slower, as a disk or network
 * volume with that latency would: each call first waits SLOWSYNC_US microseconds (2000 if unset),
 * then does the real thing. Calls of different threads wait at the same time.
 *
 * Only calls through libc are seen; that is how SQLite, Postfix and Dovecot sync.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static long delay_us = 2000;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_sync_file_range)(int, off64_t, off64_t, unsigned);
static int (*real_msync)(void *, size_t, int);

/* Before the program gives up its privileges: later a sandbox may forbid to look symbols up. */
__attribute__((constructor)) static void prepare(void)
{
    const char *text = getenv("SLOWSYNC_US");

    if (text != NULL)
        delay_us = strtol(text, NULL, 10);
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_sync_file_range = dlsym(RTLD_NEXT, "sync_file_range");
    *(void **)&real_msync = dlsym(RTLD_NEXT, "msync");
}

static void wait_a_while(void)
{
    struct timespec left = {.tv_sec = delay_us / 1000000, .tv_nsec = delay_us % 1000000 * 1000};

    while (nanosleep(&left, &left) != 0)
        ;
}

int fsync(int fd)
{
    wait_a_while();
    return real_fsync(fd);
}

int fdatasync(int fd)
{
    wait_a_while();
    return real_fdatasync(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags)
{
    wait_a_while();
    return real_sync_file_range(fd, offset, count, flags);
}

int msync(void *start, size_t bytes, int flags)
{
    if ((flags & MS_SYNC) != 0)
        wait_a_while();
    return real_msync(start, bytes, flags);
}
