/* The throwaway server: see demo_server.h. */
#include "cli/demo_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/demo_smtp.h"
#include "cli/files.h"

enum {
    SMTP_PORT = 25,
    OFFSET_MIN = 10000,
    OFFSETS = 21000, /* below the kernel's ephemeral ports */
    OFFSET_STEP = 1009,
    OFFSET_TRIES = 100,
    START_MS = 30000,
    STOP_MS = 40000,
    LOG_TAIL_BYTES = 6000,
    ERROR_MAX_BYTES = 64 * 1024,
    RETRY_MS = 5,
};

int demo_server_smtp_port(const struct demo_server *s)
{
    return SMTP_PORT + s->port_offset;
}

static bool is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    CLEANUP(cleanup_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

/* Several demonstrations at one time begin at different places. */
static int find_offset(void)
{
    for (int i = 0; i < OFFSET_TRIES; i++) {
        int offset = OFFSET_MIN + (int)((getpid() * 37L + i * (long)OFFSET_STEP) % OFFSETS);
        if (is_free(SMTP_PORT + offset))
            return offset;
    }
    return -1;
}

int demo_server_make(struct demo_server *s, const char *hostname, const char *domain)
{
    const char *tmp = getenv("TMPDIR");
    struct buf error;

    *s = (struct demo_server){.pid_fd = -1, .port_offset = find_offset()};
    if (s->port_offset < 0)
        return cli_fail("there is no free port between 10025 and 31025 on 127.0.0.1");
    s->dir = xasprintf("%s/hikyaku-demo-XXXXXX", tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
    if (mkdtemp(s->dir) == NULL) {
        int r = cli_fail("%s cannot be made: %s", s->dir, strerror(errno));
        free(s->dir);
        s->dir = NULL;
        return r;
    }
    /* Started by root, the processes are another user, who must get to the data. */
    if (geteuid() == 0 && chmod(s->dir, 0711) < 0)
        return cli_fail("%s: %s", s->dir, strerror(errno));
    s->log_path = xasprintf("%s/log", s->dir);
    struct instance_plan plan = {.dir = s->dir,
                                 .hostname = hostname,
                                 .domain = domain,
                                 .address = "127.0.0.1",
                                 .port_offset = s->port_offset};
    buf_init(&error, ERROR_MAX_BYTES);
    int status = instance_make(&plan, &s->instance, &error);
    if (status != CLI_DONE)
        status = cli_fail("%s", buf_c_str(&error));
    buf_done(&error);
    return status;
}

/* The child: this program again, in a process group of its own, so that Ctrl-C is ours alone. */
static _Noreturn void exec_server(const struct demo_server *s)
{
    sigset_t none;
    int fd = open(s->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (fd < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
        dup2(fd, STDERR_FILENO) < 0)
        _exit(CLI_FAILED);
    (void)execl("/proc/self/exe", "hikyaku", "serve", "-c", s->instance.config_path, (char *)NULL);
    _exit(CLI_FAILED);
}

/* Waits for the server's end; false when it still runs after this time. */
static bool has_ended(const struct demo_server *s, int timeout_ms)
{
    struct pollfd p = {.fd = s->pid_fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) > 0;
}

static bool has_greeted(const struct demo_server *s)
{
    struct demo_smtp smtp;

    int r = demo_smtp_open(&smtp, demo_server_smtp_port(s));
    bool is_ready = r == 0 && smtp.code == 220;
    if (is_ready)
        is_ready = demo_smtp_command(&smtp, "QUIT") == 0;
    demo_smtp_close(&smtp);
    return is_ready;
}

int demo_server_start(struct demo_server *s)
{
    int64_t deadline_ms = clock_mono_us() / 1000 + START_MS;

    (void)fflush(stdout);
    s->pid = fork();
    if (s->pid == 0)
        exec_server(s);
    if (s->pid < 0)
        return cli_fail("no process can be started: %s", strerror(errno));
    s->pid_fd = pidfd_open(s->pid, 0);
    if (s->pid_fd < 0)
        return cli_fail("the server cannot be watched: %s", strerror(errno));
    while (!has_greeted(s)) {
        if (has_ended(s, RETRY_MS))
            return cli_fail("the server ended at once; its log follows");
        if (clock_mono_us() / 1000 > deadline_ms)
            return cli_fail("the server did not greet within %d s; its log follows",
                            START_MS / 1000);
    }
    return CLI_DONE;
}

/* Takes the exit status from the kernel. */
static int reap(struct demo_server *s)
{
    int state = 0;

    while (waitpid(s->pid, &state, 0) < 0 && errno == EINTR)
        ;
    s->pid = 0;
    close(s->pid_fd);
    s->pid_fd = -1;
    return state;
}

int demo_server_stop(struct demo_server *s)
{
    if (s->pid <= 0)
        return CLI_DONE;
    (void)kill(s->pid, SIGTERM);
    if (!has_ended(s, STOP_MS))
        return cli_fail("the server did not end within %d s; its log follows", STOP_MS / 1000);
    int state = reap(s);
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return CLI_DONE;
    return cli_fail("the server ended with status %d; its log follows",
                    WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state));
}

void demo_server_remove(struct demo_server *s)
{
    if (s->pid > 0) {
        /* Its children end with it. */
        (void)kill(s->pid, SIGKILL);
        (void)reap(s);
    }
    if (s->dir != NULL)
        file_remove_tree(s->dir);
    instance_done(&s->instance);
    free(s->log_path);
    free(s->dir);
}

void demo_server_print_log(const struct demo_server *s)
{
    CLEANUP(cleanup_free) char *text = xmalloc(LOG_TAIL_BYTES);
    CLEANUP(cleanup_fclose) FILE *log = s->log_path != NULL ? fopen(s->log_path, "r") : NULL;

    if (log == NULL)
        return;
    if (fseek(log, -(long)LOG_TAIL_BYTES, SEEK_END) < 0)
        rewind(log);
    size_t len = fread(text, 1, LOG_TAIL_BYTES, log);
    (void)fprintf(stderr, "--- end of the server's log ---\n%.*s---\n", (int)len, text);
}
