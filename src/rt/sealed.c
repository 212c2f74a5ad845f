/* Bytes that nobody can change any more: see sealed.h. */
#include "rt/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        bytes = str_sub(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    return 0;
}

int sealed_make(const char *name, struct str bytes, int *out_fd)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    int r = write_all(fd, bytes);
    if (r == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    *out_fd = fd;
    return 0;
}

int sealed_map(int fd, size_t max_bytes, struct str *out_bytes)
{
    struct stat st;

    *out_bytes = STR("");
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size == 0)
        return 0;
    if (st.st_size < 0 || (uint64_t)st.st_size > max_bytes)
        return -EMSGSIZE;
    /* Private: kernels before 6.7 refuse to share what is sealed against writing. */
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *out_bytes = str_from_mem(bytes, (size_t)st.st_size);
    return 0;
}

void sealed_unmap(struct str bytes)
{
    void *start;

    if (bytes.len == 0)
        return;
    memcpy(&start, &bytes.ptr, sizeof(start));
    (void)munmap(start, bytes.len);
}
