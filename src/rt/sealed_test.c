/* Sealed bytes: they arrive whole, and nobody can change them, not even their maker. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "rt/sealed.h"

enum { LARGE_BYTES = 3 * 1024 * 1024 + 7 };

static void bytes_arrive_whole(void **state)
{
    static char large[LARGE_BYTES];
    const struct str rows[] = {STR("x"), str_from_mem(large, sizeof(large)), STR("")};

    (void)state;
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 31 >> 3);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str got;
        int fd;
        assert_int_equal(sealed_make("test", rows[i], &fd), 0);
        assert_int_equal(sealed_map(fd, LARGE_BYTES, &got), 0);
        close(fd);
        assert_true(str_eq(got, rows[i]));
        sealed_unmap(got);
    }
}

static void nobody_changes_them(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(sealed_make("test", STR("secret"), &fd), 0);
    assert_int_equal(pwrite(fd, "X", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 3), -1);
    assert_int_equal(ftruncate(fd, 300), -1);
    assert_true(mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    close(fd);
}

static void too_many_bytes_are_refused(void **state)
{
    struct str got;
    int fd, pipe_fds[2];

    (void)state;
    assert_int_equal(sealed_make("test", STR("secret"), &fd), 0);
    assert_int_equal(sealed_map(fd, 5, &got), -EMSGSIZE);
    assert_int_equal(got.len, 0);
    close(fd);
    assert_int_equal(sealed_map(fd, 5, &got), -EBADF);
    /* Something that is no memory has no bytes. */
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(sealed_map(pipe_fds[0], 5, &got), 0);
    assert_int_equal(got.len, 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_whole),
        cmocka_unit_test(nobody_changes_them),
        cmocka_unit_test(too_many_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
