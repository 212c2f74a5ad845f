/* Unit tests of the sandbox, each in a child process that is lost afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "rt/sandbox.h"

static char dir[] = "/tmp/hikyaku-sandbox-XXXXXX";

/* Exit status of fn in a child, or 256 + signal. */
static int in_child(int (*fn)(void))
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int enter_without_files(void)
{
    static const struct sandbox_profile profile = {.name = "test"};

    return sandbox_enter(&profile) == 0 ? 0 : 99;
}

static int write_to_pipe_after_entering(void)
{
    int fds[2];

    if (pipe(fds) < 0 || enter_without_files() != 0)
        return 99;
    return write(fds[1], "x", 1) == 1 ? 7 : 98;
}

static void a_sandboxed_process_can_use_what_it_has_open(void **state)
{
    (void)state;
    assert_int_equal(in_child(write_to_pipe_after_entering), 7);
}

static int make_socket(void)
{
    if (enter_without_files() != 0)
        return 99;
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? 1 : 2;
}

static void a_sandboxed_process_dies_on_a_forbidden_system_call(void **state)
{
    (void)state;
    assert_int_equal(in_child(make_socket), 256 + SIGSYS);
}

#ifndef HIKYAKU_SANITIZED
static int use_files(void)
{
    static const char *const calls[] = {"openat", "unlink", "unlinkat", NULL};
    struct sandbox_path paths[] = {{dir, true}, {NULL, false}};
    struct sandbox_profile profile = {.name = "test", .paths = paths, .syscalls = calls};
    char inside[64];

    (void)snprintf(inside, sizeof(inside), "%s/file", dir);
    if (sandbox_enter(&profile) != 0)
        return 99;
    int fd = open(inside, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || unlink(inside) < 0)
        return 1;
    return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 2;
}

static void files_outside_of_the_profile_are_out_of_reach(void **state)
{
    (void)state;
    assert_int_equal(in_child(use_files), 0);
}
#endif

static int drop_user(void)
{
    if (sandbox_drop_user("no-such-user-here") != -ENOENT)
        return 1;
    if (sandbox_drop_user("nobody") != 0)
        return 2;
    return getuid() != 0 && setuid(0) < 0 ? 0 : 3;
}

static void root_becomes_the_user_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(drop_user), 0);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sandboxed_process_can_use_what_it_has_open),
        cmocka_unit_test(a_sandboxed_process_dies_on_a_forbidden_system_call),
#ifndef HIKYAKU_SANITIZED
        cmocka_unit_test(files_outside_of_the_profile_are_out_of_reach),
#endif
        cmocka_unit_test(root_becomes_the_user_for_good),
    };
    return cmocka_run_group_tests_name("sandbox", tests, make_dir, remove_dir);
}
