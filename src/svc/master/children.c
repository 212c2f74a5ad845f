/* The master's children: see children.h. */
#include "svc/master/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fdpass.h"
#include "svc/control.h"

enum { ENVIRONMENT_MAX = 64 };

extern char **environ;

/* What children get of the environment: where libraries are, how dates and texts look, and what
 * tests put in. Secrets that somebody gave to the master stay there. */
static const char *const kept_variables[] = {
    "PATH=",
    "TZ=",
    "LANG=",
    "LC_",
    "HIKYAKU_TEST_CLOCK=",
    "ASAN_OPTIONS=",
    "UBSAN_OPTIONS=",
    "LSAN_OPTIONS=",
    "LD_PRELOAD=",
    "LD_LIBRARY_PATH=",
    "LOSTWRITES_",
    "SLOWSYNC_",
};

static bool is_kept(const char *variable)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_variables); i++) {
        if (str_has_prefix(str_from_c(variable), str_from_c(kept_variables[i])))
            return true;
    }
    return false;
}

static void list_environment(char *out_list[ENVIRONMENT_MAX + 1])
{
    size_t count = 0;

    for (char **v = environ; v != NULL && *v != NULL && count < ENVIRONMENT_MAX; v++) {
        if (is_kept(*v))
            out_list[count++] = *v;
    }
    out_list[count] = NULL;
}

/* In the child: only standard output and error, an empty input and the control socket stay open.
 * Never returns. */
static void become(const struct child_process *child, int control_fd, int null_fd)
{
    char title[64], option[] = "--process", service[32];
    char *environment[ENVIRONMENT_MAX + 1];
    sigset_t none;

    (void)snprintf(title, sizeof(title), "hikyaku: %s %u", child->kind->service, child->slot);
    (void)snprintf(service, sizeof(service), "%s", child->kind->service);
    char *const argv[] = {title, option, service, NULL};
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    list_environment(environment);
    if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(control_fd, CONTROL_FD) < 0)
        _exit(1);
    if (control_fd == CONTROL_FD)
        (void)fcntl(control_fd, F_SETFD, 0);
    (void)close_range(CONTROL_FD + 1, ~0U, 0);
    execve("/proc/self/exe", argv, environment);
    _exit(1);
}

int child_start(struct child_process *child)
{
    CLEANUP(cleanup_close) int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fds[2];

    if (null_fd < 0)
        return -errno;
    int r = fdpass_pair(SOCK_SEQPACKET, fds);
    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid == 0)
        become(child, fds[1], null_fd);
    close(fds[1]);
    if (pid < 0) {
        r = -errno;
        close(fds[0]);
        return r;
    }
    child->pid = pid;
    child->control.fd = fds[0];
    child->started_ms = clock_mono_us() / 1000;
    child->is_ready = false;
    return 0;
}

void child_send(struct child_process *child, uint16_t type, struct str payload, int fd)
{
    if (child->pid == 0)
        return;
    int r = fdpass_send(child->control.fd, type, payload, fd);
    if (r < 0 && r != -EPIPE && r != -ECONNRESET)
        LOG(LOG_WARNING, "master.send-failed", LOG_C("child", child->kind->service),
            LOG_INT("child_pid", child->pid), LOG_INT("message", type), LOG_ERR(r));
}

static void log_end(const struct child_process *child, int wait_status, int64_t pause_ms)
{
    bool was_signal = WIFSIGNALED(wait_status);

    LOG(LOG_ERROR, "master.child-died", LOG_C("child", child->kind->service),
        LOG_INT("child_pid", child->pid),
        LOG_C("how", was_signal ? strsignal(WTERMSIG(wait_status)) : "exit"),
        LOG_INT("status", was_signal ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status)),
        LOG_INT("restart_in_ms", pause_ms));
}

int64_t child_note_end(struct child_process *child, int wait_status)
{
    int64_t lived_ms = clock_mono_us() / 1000 - child->started_ms;

    if (lived_ms >= LONG_LIFE_MS || child->pause_ms == 0)
        child->pause_ms = RESTART_FIRST_MS;
    else
        child->pause_ms = MIN(child->pause_ms * 2, (int64_t)RESTART_MAX_MS);
    if (!child->is_stopping)
        log_end(child, wait_status, child->pause_ms);
    close(child->control.fd);
    child->control.fd = -1;
    child->pid = 0;
    child->is_ready = false;
    return child->pause_ms;
}
