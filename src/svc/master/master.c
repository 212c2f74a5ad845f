/* The master process: see master.h. One loop, no fibers: everything here is short and rare. */
#include "svc/master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fdpass.h"
#include "svc/master/family.h"
#include "svc/master/keys.h"
#include "svc/master/reload.h"
#include "svc/master/setup.h"
#include "svc/master/state.h"
#include "svc/master/stop.h"

struct master master = {.control_fd = -1, .lock_fd = -1};

static struct loop_watch signals;

static void reap_children(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < master.child_count; i++) {
            if (master.children[i].pid == pid)
                family_note_end(&master.children[i], status);
        }
    }
}

static void on_signal(struct loop_watch *w, unsigned ready)
{
    struct signalfd_siginfo info;

    (void)ready;
    while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap_children();
            break;
        case SIGHUP:
            reload_run(0);
            break;
        default:
            stop_begin(0);
            break;
        }
    }
}

static int watch_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals.on_ready = on_signal;
    return signals.fd < 0 ? -errno : loop_watch_add(&signals, LOOP_READ);
}

static int run(void)
{
    int r = loop_init();

    if (r == 0)
        r = watch_signals();
    if (r < 0) {
        fprintf(stderr, "hikyaku: cannot start the event loop: %s\n", strerror(-r));
        return r;
    }
    master.buffer = xmalloc(FDPASS_MAX_BYTES);
    family_start();
    keys_watch();
    loop_run();
    LOG(LOG_INFO, "master.stopped", LOG_INT("status", stop_exit_status()));
    free(master.buffer);
    return 0;
}

int master_main(const char *config_path)
{
    const char *test_clock = getenv("HIKYAKU_TEST_CLOCK");
    struct settings *settings;
    struct buf errors;

    umask(077);
    master.config_path = config_path;
    buf_init(&errors, MASTER_ERRORS_MAX_BYTES);
    buf_init(&master.encoded_settings, MASTER_SETTINGS_MAX_BYTES);
    if (test_clock != NULL && clock_use_file(test_clock) < 0)
        return 1;
    if (setup_load_settings(&settings, &errors) < 0) {
        fputs(buf_c_str(&errors), stderr);
        buf_done(&errors);
        return 1;
    }
    buf_done(&errors);
    setup_use_settings(settings);
    int r = setup_prepare();
    if (r == 0)
        r = run();
    setup_undo();
    return r < 0 ? 1 : stop_exit_status();
}
