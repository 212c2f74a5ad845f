/* A child process of the demonstration: see demo_process.h. */
#include "cli/demo_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

enum {
    START_MS = 30000,
    STOP_MS = 40000,
    LOG_TAIL_BYTES = 6000,
    RETRY_MS = 10,
    NOT_EXECUTED = 127,
};

void demo_process_init(struct demo_process *p, const char *name, char *log_path)
{
    *p = (struct demo_process){.name = name, .log_path = log_path, .pid_fd = -1};
}

static _Noreturn void become(const struct demo_process *p, const char *path, const char *word,
                             const char *config_path)
{
    sigset_t none;
    int fd = open(p->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (fd < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
        dup2(fd, STDERR_FILENO) < 0)
        _exit(NOT_EXECUTED);
    (void)execl(path, p->name, word, "-c", config_path, (char *)NULL);
    _exit(NOT_EXECUTED);
}

int demo_process_start(struct demo_process *p, const char *path, const char *word,
                       const char *config_path)
{
    (void)fflush(stdout);
    p->pid = fork();
    if (p->pid == 0)
        become(p, path, word, config_path);
    if (p->pid < 0) {
        p->pid = 0;
        return cli_fail("no process can be started: %s", strerror(errno));
    }
    (void)setpgid(p->pid, p->pid); /* whoever of the two is first */
    p->pid_fd = pidfd_open(p->pid, 0);
    return p->pid_fd < 0 ? cli_fail("%s cannot be watched: %s", p->name, strerror(errno))
                         : CLI_DONE;
}

/* Waits for the end; false when it still runs after this time. */
static bool has_ended(const struct demo_process *p, int timeout_ms)
{
    struct pollfd poller = {.fd = p->pid_fd, .events = POLLIN};

    return poll(&poller, 1, timeout_ms) > 0;
}

int demo_process_await(struct demo_process *p, bool (*is_ready)(void *arg), void *arg)
{
    struct demo_wait wait;

    demo_wait_begin(&wait, START_MS);
    while (!is_ready(arg)) {
        if (has_ended(p, 0))
            return cli_fail("%s ended at once", p->name);
        if (!demo_wait_again(&wait))
            return demo_is_interrupted()
                       ? CLI_FAILED
                       : cli_fail("%s did not answer within %d s", p->name, START_MS / 1000);
    }
    return CLI_DONE;
}

/* Takes the exit status from the kernel. */
static int reap(struct demo_process *p)
{
    int state = 0;

    while (waitpid(p->pid, &state, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
    if (p->pid_fd >= 0)
        close(p->pid_fd);
    p->pid_fd = -1;
    return state;
}

int demo_process_stop(struct demo_process *p)
{
    if (p->pid <= 0)
        return CLI_DONE;
    (void)kill(p->pid, SIGTERM);
    if (!has_ended(p, STOP_MS))
        return cli_fail("%s did not end within %d s", p->name, STOP_MS / 1000);
    int state = reap(p);
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return CLI_DONE;
    return cli_fail("%s ended with status %d", p->name,
                    WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state));
}

void demo_process_done(struct demo_process *p)
{
    if (p->pid > 0) {
        (void)kill(p->pid, SIGKILL);
        (void)kill(-p->pid, SIGKILL); /* and its children */
        (void)reap(p);
    }
    free(p->log_path);
    p->log_path = NULL;
}

void demo_process_print_log(const struct demo_process *p)
{
    CLEANUP(cleanup_free) char *text = xmalloc(LOG_TAIL_BYTES);
    CLEANUP(cleanup_fclose) FILE *log = p->log_path != NULL ? fopen(p->log_path, "re") : NULL;

    if (log == NULL)
        return;
    if (fseek(log, -(long)LOG_TAIL_BYTES, SEEK_END) < 0)
        rewind(log);
    size_t len = fread(text, 1, LOG_TAIL_BYTES, log);
    (void)fprintf(stderr, "--- end of the log of %s ---\n%.*s---\n", p->name, (int)len, text);
}

bool demo_is_interrupted(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
            sigismember(&pending, SIGHUP) == 1);
}

void demo_wait_begin(struct demo_wait *w, int64_t timeout_ms)
{
    *w = (struct demo_wait){.deadline_ms = clock_mono_us() / 1000 + timeout_ms};
}

bool demo_wait_again(struct demo_wait *w)
{
    w->is_over = clock_mono_us() / 1000 > w->deadline_ms || demo_is_interrupted();
    if (!w->is_over)
        (void)poll(NULL, 0, RETRY_MS);
    return !w->is_over;
}
