/* Unit tests of the sandbox, each in a child process that is lost afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
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

/* --- system calls that are judged by their arguments --- */

static int connect_by_fastopen(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || enter_without_files() != 0)
        return 99;
    (void)sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&to, sizeof(to));
    return 1;
}

static int connect_by_fastopen_message(void)
{
    struct msghdr msg = {0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || enter_without_files() != 0)
        return 99;
    (void)sendmsg(fd, &msg, MSG_FASTOPEN);
    return 1;
}

static int send_to_an_address(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || enter_without_files() != 0)
        return 99;
    (void)sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to));
    return 1;
}

static int kill_parent(void)
{
    pid_t parent = getppid();

    if (enter_without_files() != 0)
        return 99;
    return kill(parent, 0) < 0 ? 1 : 2;
}

static int signal_a_thread_of_the_parent(void)
{
    pid_t parent = getppid();

    if (enter_without_files() != 0)
        return 99;
    return syscall(SYS_tgkill, parent, parent, 0) < 0 ? 1 : 2;
}

static int type_into_the_terminal(void)
{
    if (enter_without_files() != 0)
        return 99;
    return ioctl(STDERR_FILENO, TIOCSTI, "x") < 0 ? 1 : 2;
}

static int stop_reading(void)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || enter_without_files() != 0)
        return 99;
    return shutdown(fds[0], SHUT_RD) < 0 ? 1 : 2;
}

static int take_over_signals_of_a_socket(void)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || enter_without_files() != 0)
        return 99;
    return fcntl(fds[0], F_SETOWN, 1) < 0 ? 1 : 2;
}

static int limit_another(void)
{
    struct rlimit none = {0};
    pid_t parent = getppid();

    if (enter_without_files() != 0)
        return 99;
    return prlimit(parent, RLIMIT_CORE, &none, NULL) < 0 ? 1 : 2;
}

static int lock_a_record(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int fd = fileno(tmpfile());

    if (fd < 0 || enter_without_files() != 0)
        return 99;
    return fcntl(fd, F_SETLK, &lock) < 0 ? 1 : 2;
}

static void calls_with_forbidden_arguments_kill(void **state)
{
    static int (*const attempts[])(void) = {
        connect_by_fastopen, connect_by_fastopen_message,   send_to_an_address,
        kill_parent,         signal_a_thread_of_the_parent, type_into_the_terminal,
        stop_reading,        take_over_signals_of_a_socket, limit_another,
        lock_a_record,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        if (in_child(attempts[i]) != 256 + SIGSYS)
            fail_msg("attempt %zu was let pass", i);
    }
}

static int use_what_is_left(void)
{
    int fds[2], flags, pending = 0;
    struct rlimit limit;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || enter_without_files() != 0)
        return 99;
    flags = fcntl(fds[0], F_GETFL);
    if (fcntl(fds[0], F_SETFL, flags | O_NONBLOCK) < 0 || send(fds[0], "x", 1, MSG_NOSIGNAL) != 1)
        return 1;
    if (ioctl(fds[1], FIONREAD, &pending) < 0 || pending != 1 || isatty(fds[0]))
        return 2;
    if (shutdown(fds[0], SHUT_WR) < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 3;
    if (prctl(PR_SET_NAME, "renamed") < 0 || fcntl(fds[0], F_DUPFD_CLOEXEC, 0) < 0)
        return 4;
    (void)raise(SIGABRT);
    return 5;
}

static void the_same_calls_do_what_is_needed(void **state)
{
    (void)state;
    assert_int_equal(in_child(use_what_is_left), 256 + SIGABRT);
}

#ifndef HIKYAKU_SANITIZED
static int ask_prctl_for_more(void)
{
    if (enter_without_files() != 0)
        return 99;
    return prctl(PR_SET_DUMPABLE, 1) < 0 && errno == EPERM ? 7 : 1;
}

static void prctl_only_gives_names(void **state)
{
    (void)state;
    assert_int_equal(in_child(ask_prctl_for_more), 7);
}
#endif

/* Abstract names and TCP ports: Landlock's, where the kernel has it. */
static int reach_out(void)
{
    static const char *const calls[] = {"socket", "bind", "connect", NULL};
    static const struct sandbox_profile profile = {.name = "test", .syscalls = calls};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || sandbox_enter(&profile) != 0)
        return 99;
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 || errno != EACCES)
        return 1;
    to.sin_port = htons(0);
    return bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 && errno == EACCES ? 7 : 2;
}

static void landlock_denies_the_network(void **state)
{
    enum { VERSION_OF_NET = 4 };

    (void)state;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < VERSION_OF_NET)
        skip();
    assert_int_equal(in_child(reach_out), 7);
}

/* --- processes that connect, and those that ask the DNS --- */

static struct sockaddr_in loopback;

static int enter_outbound(void)
{
    static const struct sandbox_profile profile = {.name = "test", .may_connect = true};

    return sandbox_enter(&profile);
}

static int enter_resolver(void)
{
    static const struct sandbox_profile profile = {
        .name = "test", .has_threads = true, .may_ask_dns = true};

    return sandbox_enter(&profile);
}

/* A socket of ours that waits at `loopback`. */
static int wait_at_loopback(int type)
{
    socklen_t bytes = sizeof(loopback);
    int fd = socket(AF_INET, type, 0);

    loopback = (struct sockaddr_in){.sin_family = AF_INET};
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&loopback, sizeof(loopback)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&loopback, &bytes), 0);
    return fd;
}

static int bind_to(int fd, uint32_t address, uint16_t port)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(port)};

    from.sin_addr.s_addr = htonl(address);
    return bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ? -errno : 0;
}

/* TCP from a source address that was chosen, and without. */
static int connect_twice(void)
{
    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, i == 0 ? 0 : IPPROTO_TCP);
        if (fd < 0)
            return 1;
        if (i == 0 && bind_to(fd, INADDR_LOOPBACK + 1, 0) != 0)
            return 2;
        if (connect(fd, (const struct sockaddr *)&loopback, sizeof(loopback)) < 0)
            return 3;
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
            return 4;
    }
    return socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0) < 0 && errno != EAFNOSUPPORT ? 5 : 7;
}

static int connect_as_outbound(void)
{
    return enter_outbound() != 0 ? 99 : connect_twice();
}

static int connect_as_resolver(void)
{
    return enter_resolver() != 0 ? 99 : connect_twice();
}

static void who_may_connect_can_choose_a_source(void **state)
{
    CLEANUP(cleanup_close) int listener = wait_at_loopback(SOCK_STREAM);

    (void)state;
    assert_int_equal(in_child(connect_as_outbound), 7);
    assert_int_equal(in_child(connect_as_resolver), 7);
    assert_true(listener >= 0);
}

static int ask_by_udp(void)
{
    if (enter_resolver() != 0)
        return 99;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0 || bind_to(fd, INADDR_ANY, 0) != 0)
        return 1;
    const struct sockaddr *to = (const struct sockaddr *)&loopback;
    if (sendto(fd, "q", 1, 0, to, sizeof(loopback)) != 1)
        return 2;
    if (connect(fd, to, sizeof(loopback)) < 0 || send(fd, "q", 1, 0) != 1)
        return 3;
    return 7;
}

static void a_resolver_can_ask_by_udp(void **state)
{
    CLEANUP(cleanup_close) int server = wait_at_loopback(SOCK_DGRAM);
    char byte = 0;

    (void)state;
    assert_int_equal(in_child(ask_by_udp), 7);
    assert_int_equal(recv(server, &byte, 1, MSG_DONTWAIT), 1);
    assert_int_equal(byte, 'q');
}

static int bind_a_port(int (*enter)(void))
{
    int fd = enter() == 0 ? socket(AF_INET, SOCK_STREAM, 0) : -1;

    if (fd < 0)
        return 99;
    return bind_to(fd, INADDR_LOOPBACK, 47123) == -EACCES ? 7 : 1;
}

static int bind_a_port_as_outbound(void)
{
    return bind_a_port(enter_outbound);
}

static int bind_a_port_as_resolver(void)
{
    return bind_a_port(enter_resolver);
}

static void who_may_connect_cannot_take_a_port(void **state)
{
    enum { VERSION_OF_NET = 4 };

    (void)state;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < VERSION_OF_NET)
        skip();
    assert_int_equal(in_child(bind_a_port_as_outbound), 7);
    assert_int_equal(in_child(bind_a_port_as_resolver), 7);
}

static int listen_somewhere(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 || listen(fd, 1) < 0 ? 1 : 2;
}

static int accept_from_a_listener(void)
{
    return accept4(0, NULL, NULL, 0) < 0 ? 1 : 2;
}

static int make_a_udp_socket(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? 1 : 2;
}

static int make_a_raw_socket(void)
{
    return socket(AF_INET, SOCK_RAW, IPPROTO_TCP) < 0 ? 1 : 2;
}

static int make_a_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? 1 : 2;
}

static int make_a_netlink_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? 1 : 2;
}

static int make_a_socket_of_another_protocol(void)
{
    return socket(AF_INET, SOCK_STREAM, 132) < 0 ? 1 : 2;
}

static int connect_by_fastopen_once_more(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&loopback, sizeof(loopback)) <
                   0
               ? 1
               : 2;
}

#ifndef HIKYAKU_SANITIZED
static int open_a_file(void)
{
    return open("/etc/passwd", O_RDONLY) < 0 ? 1 : 2;
}
#endif

#ifndef HIKYAKU_SANITIZED
static int open_as_resolver(void)
{
    if (enter_resolver() != 0)
        return 99;
    return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 7 : 1;
}

static int free_much(void *unused)
{
    enum { BLOCKS = 4000, BLOCK_BYTES = 16 * 1024 };
    static void *blocks[BLOCKS];

    (void)unused;
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = xmalloc(BLOCK_BYTES);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return 0;
}

static int free_much_in_a_thread(void)
{
    thrd_t thread;
    int status = 1;

    if (enter_resolver() != 0)
        return 99;
    if (thrd_create(&thread, free_much, NULL) != thrd_success ||
        thrd_join(thread, &status) != thrd_success)
        return 1;
    return status == 0 ? 7 : 2;
}

/* The C library wants to know how memory is counted; being killed for that would be absurd. */
static void threads_can_free_memory_without_files(void **state)
{
    (void)state;
    assert_int_equal(in_child(open_as_resolver), 7);
    assert_int_equal(in_child(free_much_in_a_thread), 7);
}
#endif

static int (*attempt)(void);

static int attempt_as_outbound(void)
{
    return enter_outbound() != 0 ? 99 : attempt();
}

static int attempt_as_resolver(void)
{
    return enter_resolver() != 0 ? 99 : attempt();
}

static int attempt_as_inbound(void)
{
    static const char *const calls[] = {"accept4", "accept", NULL};
    static const struct sandbox_profile profile = {.name = "test", .syscalls = calls};

    return sandbox_enter(&profile) != 0 ? 99 : attempt();
}

static int connect_an_open_socket(void)
{
    return connect(0, (const struct sockaddr *)&loopback, sizeof(loopback)) < 0 ? 1 : 2;
}

static int bind_an_open_socket(void)
{
    return bind_to(0, INADDR_LOOPBACK, 0) < 0 ? 1 : 2;
}

static int make_a_tcp_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? 1 : 2;
}

static void what_else_a_socket_can_do_kills(void **state)
{
    static const struct {
        const char *what;
        int (*run)(void);
        bool as_outbound, as_resolver, as_inbound;
    } attempts[] = {
        {"listen", listen_somewhere, true, true, true},
        {"accept", accept_from_a_listener, true, true, false},
        {"raw socket", make_a_raw_socket, true, true, true},
        {"unix socket", make_a_unix_socket, true, true, true},
        {"netlink socket", make_a_netlink_socket, true, true, true},
        {"SCTP", make_a_socket_of_another_protocol, true, true, true},
        {"UDP", make_a_udp_socket, true, false, true},
        {"fast open", connect_by_fastopen_once_more, true, false, true},
        {"TCP socket", make_a_tcp_socket, false, false, true},
        {"connect", connect_an_open_socket, false, false, true},
        {"bind", bind_an_open_socket, false, false, true},
#ifndef HIKYAKU_SANITIZED
        {"open", open_a_file, true, false, true},
#endif
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        attempt = attempts[i].run;
        if (attempts[i].as_outbound && in_child(attempt_as_outbound) != 256 + SIGSYS)
            fail_msg("%s as outbound was let pass", attempts[i].what);
        if (attempts[i].as_resolver && in_child(attempt_as_resolver) != 256 + SIGSYS)
            fail_msg("%s as resolver was let pass", attempts[i].what);
        if (attempts[i].as_inbound && in_child(attempt_as_inbound) != 256 + SIGSYS)
            fail_msg("%s as inbound was let pass", attempts[i].what);
    }
}

/* --- libraries and modules of others --- */

static int fail_softly(void)
{
    static const char *const calls[] = {"openat", NULL};
    struct sandbox_path paths[] = {{"/etc", .may_write = false}, {NULL}};
    struct sandbox_profile profile = {.name = "test",
                                      .paths = paths,
                                      .syscalls = calls,
                                      .has_threads = true,
                                      .may_ask_dns = true,
                                      .fails_softly = true};

    if (sandbox_enter(&profile) != 0)
        return 99;
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return 1;
    if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EPERM)
        return 2;
    if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EPERM)
        return 3;
    return open("/etc/passwd", O_RDONLY) >= 0 && socket(AF_INET, SOCK_DGRAM, 0) >= 0 ? 0 : 4;
}

static int use_a_unix_socket(void)
{
    struct sandbox_profile profile = {
        .name = "test", .may_connect = true, .may_use_unix = true, .fails_softly = true};

    if (sandbox_enter(&profile) != 0)
        return 99;
    if (socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 || errno != EPERM)
        return 1;
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : 2;
}

static void what_libraries_try_fails_softly(void **state)
{
    (void)state;
    assert_int_equal(in_child(fail_softly), 0);
    assert_int_equal(in_child(use_a_unix_socket), 0);
}

static int run_modules(void)
{
    struct sandbox_path paths[] = {{"/usr", .may_execute = true},
                                   {"/lib", .may_execute = true},
                                   {"/lib64", .may_execute = true},
                                   {"/etc"},
                                   {NULL}};
    struct sandbox_profile profile = {
        .name = "test", .paths = paths, .may_ask_dns = true, .runs_modules = true};
    int status = 0;

    if (access("/lib64", F_OK) < 0)
        paths[2].path = "/usr";
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (sandbox_enter(&profile) != 0 || listener < 0)
        return 99;
    if (listen(listener, 1) == 0 || errno != EPERM)
        return 1;
    if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
        return 2;
    if (ioctl(STDIN_FILENO, TIOCSTI, "x") == 0 || errno != EPERM)
        return 3;
    pid_t pid = fork();
    if (pid == 0)
        _exit(execl("/usr/bin/true", "true", (char *)NULL) != 0);
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 4;
}

static void modules_run_programs_and_rule_nobody(void **state)
{
    (void)state;
    assert_int_equal(in_child(run_modules), 0);
}

/* --- capabilities --- */

static bool has_no_capabilities(void)
{
    CLEANUP(cleanup_fclose) FILE *status = fopen("/proc/self/status", "r");
    char line[200];
    int zero = 0;

    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        bool is_set = strncmp(line, "CapInh:", 7) == 0 || strncmp(line, "CapPrm:", 7) == 0 ||
                      strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapAmb:", 7) == 0;
        zero += is_set && strstr(line, "\t0000000000000000") != NULL;
    }
    return zero == 4;
}

static int keep_ambient_capabilities(void)
{
    static const char *const calls[] = {"openat", "open", "getgroups", NULL};
    struct sandbox_path paths[] = {{"/proc", false}, {NULL, false}};
    struct sandbox_profile profile = {.name = "test", .paths = paths, .syscalls = calls};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    gid_t group = 12345;

    if (syscall(SYS_capget, &header, sets) < 0 || setgroups(1, &group) < 0)
        return 98;
    sets[0].inheritable = sets[0].permitted;
    if (syscall(SYS_capset, &header, sets) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) < 0)
        return 97;
    if (sandbox_enter(&profile) != 0)
        return 99;
    if (getgroups(0, NULL) != 0)
        return 1;
    return has_no_capabilities() ? 7 : 2;
}

static void no_capability_is_left_even_to_root(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(keep_ambient_capabilities), 7);
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
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int fd = open(inside, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0 || unlink(inside) < 0)
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
    if (sandbox_drop_user("no-such-user-here", false) != -ENOENT)
        return 1;
    if (sandbox_drop_user("nobody", false) != 0)
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
        cmocka_unit_test(calls_with_forbidden_arguments_kill),
        cmocka_unit_test(the_same_calls_do_what_is_needed),
        cmocka_unit_test(landlock_denies_the_network),
        cmocka_unit_test(who_may_connect_can_choose_a_source),
        cmocka_unit_test(a_resolver_can_ask_by_udp),
        cmocka_unit_test(who_may_connect_cannot_take_a_port),
        cmocka_unit_test(what_else_a_socket_can_do_kills),
        cmocka_unit_test(what_libraries_try_fails_softly),
        cmocka_unit_test(modules_run_programs_and_rule_nobody),
        cmocka_unit_test(no_capability_is_left_even_to_root),
#ifndef HIKYAKU_SANITIZED
        cmocka_unit_test(prctl_only_gives_names),
        cmocka_unit_test(threads_can_free_memory_without_files),
        cmocka_unit_test(files_outside_of_the_profile_are_out_of_reach),
#endif
        cmocka_unit_test(root_becomes_the_user_for_good),
    };
    return cmocka_run_group_tests_name("sandbox", tests, make_dir, remove_dir);
}
