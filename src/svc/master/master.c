/* The master process: see master.h. One loop, no fibers: everything here is short and rare. */
#include "svc/master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/log.h"
#include "conf/settings.h"
#include "config.h"
#include "rt/fdpass.h"
#include "rt/loop.h"
#include "rt/sandbox.h"
#include "svc/control.h"
#include "svc/master/children.h"
#include "svc/master/listen.h"
#include "svc/master/notify.h"

enum {
    STOP_GRACE_MS = 10000, /* beyond the drain, before children are killed */
    STORE_STOP_MS = 60000,
    ERRORS_MAX_BYTES = 64 * 1024,
    SPARE_FILES = 1024,
};

static struct {
    const char *config_path;
    struct settings *settings;
    struct buf encoded_settings;
    struct listen_set smtp;
    int control_fd;
    int lock_fd;
    struct child_process children[CHILDREN_MAX]; /* [0] is the store */
    size_t child_count;
    struct loop_watch signals;
    struct loop_timer stop_timer;
    char *buffer; /* FDPASS_MAX_BYTES */
    bool is_stopping;
    bool was_ready;
    int exit_status;
} self = {.control_fd = -1, .lock_fd = -1};

static struct child_process *store_child(void)
{
    return &self.children[0];
}

static bool is_worker(const struct child_process *child)
{
    return child->role != 0;
}

/* --- starting --- */

static int complain(int error, const char *what, const char *path)
{
    fprintf(stderr, "hikyaku: %s %s: %s\n", what, path, strerror(-error));
    return error;
}

/* The umask is strict; a folder that is made here has just this mode. */
static int make_folder(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 0 : complain(-errno, "cannot make the folder", path);
    return chmod(path, mode) < 0 ? complain(-errno, "cannot set the mode of", path) : 0;
}

/* Mail is for its owner only, whatever the mode of a folder that was there before. */
static int tighten_folder(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return complain(-errno, "cannot look at", path);
    bool is_ours = geteuid() == 0 || st.st_uid == geteuid();
    if (!is_ours || (st.st_mode & 07777) == 0700)
        return 0;
    return chmod(path, 0700) < 0 ? complain(-errno, "cannot set the mode of", path) : 0;
}

/* A worker that is taken over could then do what root can without capabilities: much. */
static void warn_about_root(const struct passwd *pw)
{
    if (pw->pw_uid == 0)
        LOG(LOG_WARNING, "master.user-is-root", LOG_C("user", self.settings->server_user),
            LOG_C("risk", "the processes that talk with strangers own root's files"),
            LOG_C("hint", "make a user of its own (useradd --system) and set server.user"));
}

/* Gives the folder to the server's user, if we are root. */
static int give_folder(const char *path)
{
    if (geteuid() != 0)
        return 0;
    const struct passwd *pw = getpwnam(self.settings->server_user);
    if (pw == NULL) {
        fprintf(stderr,
                "hikyaku: there is no user %s; make it: useradd --system --home-dir / --shell "
                "/usr/sbin/nologin %s\n",
                self.settings->server_user, self.settings->server_user);
        return -ENOENT;
    }
    warn_about_root(pw);
    if (chown(path, pw->pw_uid, pw->pw_gid) < 0)
        return complain(-errno, "cannot give to the server's user", path);
    return 0;
}

/* Two masters with one run folder would steal each other's sockets. */
static int lock_run_folder(void)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/master.lock", self.settings->server_run_dir);

    self.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self.lock_fd < 0)
        return complain(-errno, "cannot open", path);
    if (flock(self.lock_fd, LOCK_EX | LOCK_NB) < 0) {
        fprintf(stderr, "hikyaku: a server is running already with %s; see: hikyaku status\n",
                self.settings->server_run_dir);
        return -EBUSY;
    }
    return 0;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)self.settings->smtp_max_connections + SPARE_FILES;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
        return;
    struct rlimit wanted = {.rlim_cur = want, .rlim_max = MAX(limit.rlim_max, want)};
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
        return;
    wanted = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    (void)setrlimit(RLIMIT_NOFILE, &wanted);
    if (limit.rlim_max < want)
        LOG(LOG_WARNING, "master.few-files", LOG_INT("limit", limit.rlim_max),
            LOG_INT("wanted", want),
            LOG_C("hint", "raise the limit of open files, or lower smtp.max_connections"));
}

static int load_settings(struct settings **out, struct buf *out_errors)
{
    int r = settings_load(self.config_path, out, out_errors);

    if (r < 0 && out_errors->len == 0)
        buf_printf(out_errors, "%s: %s\n", self.config_path, strerror(-r));
    return r;
}

static void use_settings(struct settings *settings)
{
    settings_free(self.settings);
    self.settings = settings;
    buf_reset(&self.encoded_settings);
    settings_encode(settings, &self.encoded_settings);
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format, "master");
}

static int bind_listeners(struct buf *out_text)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/control.sock", self.settings->server_run_dir);

    int r = listen_set_bind(&self.settings->listen_smtp, &self.smtp, &self.smtp, out_text);
    if (r < 0)
        return r;
    r = listen_control(path, &self.control_fd);
    if (r < 0)
        buf_printf(out_text, "cannot make the control socket %s: %s", path, strerror(-r));
    return r;
}

/* --- children --- */

static void start_child(struct child_process *child);

/* Both ends of a fresh channel: one to the store, one to the worker. */
static void connect_worker(struct child_process *worker)
{
    struct buf number;
    int fds[2];
    char role = (char)worker->role;

    loop_timer_clear(&worker->channel_timer);
    worker->connected_ms = clock_mono_ms();
    worker->channel_number++;
    int r = fdpass_pair(SOCK_STREAM, fds);
    if (r < 0) {
        LOG(LOG_ERROR, "master.no-channel", LOG_ERR(r));
        return;
    }
    child_send(store_child(), CONTROL_ADD_CHANNEL, str_from_mem(&role, 1), fds[0]);
    buf_init(&number, 4);
    buf_put_u32(&number, worker->channel_number);
    child_send(worker, CONTROL_STORE_CHANNEL, buf_str(&number), fds[1]);
    buf_done(&number);
    close(fds[0]);
    close(fds[1]);
}

static void on_channel_timer(struct loop_timer *t)
{
    struct child_process *worker = CONTAINER_OF(t, struct child_process, channel_timer);

    if (worker->pid != 0 && store_child()->pid != 0)
        connect_worker(worker);
}

/* The store has cut a worker off. When the store has died, its start brings new channels: what is
 * told of the one before a newer one is old news, unless the newer one never came to be. The pause
 * bounds the loop of a worker that is cut off again and again. */
static void on_channel_lost(struct child_process *worker, uint32_t number)
{
    bool is_old = number != worker->channel_number &&
                  clock_mono_ms() < worker->connected_ms + CHANNEL_ASSUMED_MS;

    if (!is_worker(worker) || store_child()->pid == 0 || is_old ||
        worker->channel_timer.heap_at != 0)
        return;
    LOG(LOG_WARNING, "master.channel-lost", LOG_C("child", worker->service),
        LOG_INT("child_pid", worker->pid), LOG_INT("channel", number));
    loop_timer_set(&worker->channel_timer, clock_mono_ms() + RECONNECT_MS);
}

static void send_listeners(struct child_process *worker)
{
    child_send(worker, CONTROL_LISTEN_RESET, STR(""), -1);
    for (size_t i = 0; i < self.smtp.count; i++)
        child_send(worker, CONTROL_LISTEN, STR(""), self.smtp.sockets[i].fd);
}

static void greet_child(struct child_process *child)
{
    char slot = (char)child->slot;

    child_send(child, CONTROL_SETTINGS, buf_str(&self.encoded_settings), -1);
    child_send(child, CONTROL_IDENTITY, str_from_mem(&slot, 1), -1);
    if (is_worker(child)) {
        connect_worker(child);
        send_listeners(child);
        return;
    }
    child_send(child, CONTROL_LISTEN, STR(""), self.control_fd);
    for (size_t i = 1; i < self.child_count; i++) {
        if (self.children[i].pid != 0)
            connect_worker(&self.children[i]);
    }
}

static void on_restart(struct loop_timer *t)
{
    struct child_process *child = CONTAINER_OF(t, struct child_process, restart_timer);

    if (!self.is_stopping)
        start_child(child);
}

static void announce_ready(void)
{
    if (self.was_ready)
        return;
    for (size_t i = 0; i < self.child_count; i++) {
        if (!self.children[i].is_ready)
            return;
    }
    self.was_ready = true;
    for (size_t i = 0; i < self.smtp.count; i++)
        LOG(LOG_INFO, "master.listening", LOG_C("protocol", "smtp"),
            LOG_C("address", self.smtp.sockets[i].address));
    LOG(LOG_INFO, "master.ready", LOG_C("hostname", self.settings->server_hostname),
        LOG_C("version", HIKYAKU_VERSION));
    notify_manager("READY=1");
}

/* --- reload --- */

/* Settings that a running server cannot take. */
static bool needs_restart(const struct settings *new)
{
    const struct settings *old = self.settings;

    return strcmp(old->server_data_dir, new->server_data_dir) != 0 ||
           strcmp(old->server_run_dir, new->server_run_dir) != 0 ||
           strcmp(old->server_user, new->server_user) != 0 ||
           old->server_inbound_workers != new->server_inbound_workers ||
           old->server_node != new->server_node ||
           old->store_reader_threads != new->store_reader_threads ||
           old->store_segment_size != new->store_segment_size;
}

static int try_reload(struct buf *out_text)
{
    struct settings *new;

    int r = load_settings(&new, out_text);
    if (r < 0)
        return r;
    if (needs_restart(new)) {
        buf_put_c(out_text, "a setting that needs a restart was changed (server.*, "
                            "store.reader_threads, store.segment_size); restart the server, "
                            "the running one keeps its settings");
        settings_free(new);
        return -EINVAL;
    }
    r = listen_set_bind(&new->listen_smtp, &self.smtp, &self.smtp, out_text);
    if (r < 0) {
        settings_free(new);
        return r;
    }
    use_settings(new);
    for (size_t i = 0; i < self.child_count; i++) {
        child_send(&self.children[i], CONTROL_SETTINGS, buf_str(&self.encoded_settings), -1);
        if (is_worker(&self.children[i]))
            send_listeners(&self.children[i]);
    }
    return 0;
}

static void log_lines(enum log_level level, const char *event, struct str text)
{
    struct str line;

    while (text.len > 0) {
        (void)str_cut(text, '\n', &line, &text);
        if (line.len > 0)
            LOG(level, event, LOG_STR("why", line));
    }
}

/* A service manager that has not heard READY=1 does not know what RELOADING=1 is about. */
static int reload_and_notify(struct buf *out_text)
{
    char state[64];

    if (self.is_stopping) {
        buf_put_c(out_text, "the server is stopping");
        return -ESHUTDOWN;
    }
    if (!self.was_ready)
        return try_reload(out_text);
    (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)clock_mono_us());
    notify_manager(state);
    int r = try_reload(out_text);
    notify_manager("READY=1");
    return r;
}

/* token 0: by signal, nobody waits for an answer. */
static void reload(uint64_t token)
{
    struct buf text, answer;

    buf_init(&text, ERRORS_MAX_BYTES);
    int r = reload_and_notify(&text);
    if (r < 0)
        log_lines(LOG_ERROR, "master.reload-refused", buf_str(&text));
    else
        LOG(LOG_INFO, "master.reloaded", LOG_C("config", self.config_path));
    if (token != 0) {
        buf_init(&answer, FDPASS_MAX_BYTES / 2);
        buf_put_u64(&answer, token);
        buf_put_u16(&answer, (uint16_t)-r);
        buf_put_lp(&answer, str_sub(buf_str(&text), 0, FDPASS_MAX_BYTES / 4));
        child_send(store_child(), CONTROL_RELOAD_DONE, buf_str(&answer), -1);
        buf_done(&answer);
    }
    buf_done(&text);
}

/* --- what children say --- */

static void on_child_message(struct child_process *child, uint16_t type, struct str payload)
{
    struct cursor c = cursor_from(payload);

    switch (type) {
    case CONTROL_READY:
        child->is_ready = child->was_ever_ready = true;
        announce_ready();
        break;
    case CONTROL_RELOAD:
        if (child == store_child())
            reload(cursor_u64(&c));
        break;
    case CONTROL_CHANNEL_LOST:
        on_channel_lost(child, cursor_u32(&c));
        break;
    default:
        LOG(LOG_WARNING, "master.unknown-message", LOG_C("child", child->service),
            LOG_INT("message", type));
        break;
    }
}

static void on_child_ready(struct loop_watch *w, unsigned ready)
{
    struct child_process *child = CONTAINER_OF(w, struct child_process, control);
    struct str payload;
    uint16_t type;
    int fd;

    (void)ready;
    /* The end of the socket is no news: SIGCHLD says it better. */
    while (child->pid != 0 && fdpass_recv(w->fd, self.buffer, &type, &payload, &fd) == 0) {
        if (fd >= 0)
            close(fd); /* children have nothing to give */
        on_child_message(child, type, payload);
    }
}

static void start_child(struct child_process *child)
{
    int r = child_start(child);

    if (r == 0) {
        child->control.on_ready = on_child_ready;
        r = loop_watch_add(&child->control, LOOP_READ);
    }
    if (r < 0) {
        LOG(LOG_ERROR, "master.start-failed", LOG_C("child", child->service), LOG_ERR(r));
        loop_timer_set(&child->restart_timer, clock_mono_ms() + RESTART_MAX_MS);
        return;
    }
    greet_child(child);
}

/* --- stopping --- */

static void kill_children(int signal_number)
{
    for (size_t i = 0; i < self.child_count; i++) {
        if (self.children[i].pid > 0)
            kill(self.children[i].pid, signal_number);
    }
}

static bool has_workers(void)
{
    for (size_t i = 1; i < self.child_count; i++) {
        if (self.children[i].pid != 0)
            return true;
    }
    return false;
}

/* Workers end first, so that the store outlives all who need it. */
static void go_on_stopping(void)
{
    struct child_process *store = store_child();

    if (!self.is_stopping || has_workers())
        return;
    if (store->pid == 0) {
        loop_stop();
        return;
    }
    if (!store->is_stopping) {
        store->is_stopping = true;
        child_send(store, CONTROL_DRAIN, STR(""), -1);
        loop_timer_set(&self.stop_timer, clock_mono_ms() + STORE_STOP_MS);
    }
}

static void on_stop_timer(struct loop_timer *t)
{
    (void)t;
    LOG(LOG_WARNING, "master.killing", LOG_C("why", "children did not end in time"));
    kill_children(SIGKILL);
}

static void stop(int exit_status)
{
    if (self.is_stopping) {
        LOG(LOG_INFO, "master.stopping-at-once", LOG_C("why", "told twice"));
        kill_children(SIGKILL);
        return;
    }
    LOG(LOG_INFO, "master.stopping", LOG_C("how", "sessions may finish"));
    notify_manager("STOPPING=1");
    self.is_stopping = true;
    self.exit_status = exit_status;
    for (size_t i = 1; i < self.child_count; i++) {
        loop_timer_clear(&self.children[i].restart_timer);
        self.children[i].is_stopping = true;
        child_send(&self.children[i], CONTROL_DRAIN, STR(""), -1);
    }
    loop_timer_clear(&store_child()->restart_timer);
    loop_timer_set(&self.stop_timer,
                   clock_mono_ms() + self.settings->server_drain_timeout + STOP_GRACE_MS);
    go_on_stopping();
}

static void note_end(struct child_process *child, int wait_status)
{
    loop_watch_remove(&child->control);
    loop_timer_clear(&child->channel_timer);
    int64_t pause_ms = child_note_end(child, wait_status);
    if (self.is_stopping) {
        go_on_stopping();
        return;
    }
    /* What never worked does not get better by being tried again; it has said why. */
    if (!child->was_ever_ready && WIFEXITED(wait_status)) {
        stop(1);
        return;
    }
    loop_timer_set(&child->restart_timer, clock_mono_ms() + pause_ms);
}

static void reap_children(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < self.child_count; i++) {
            if (self.children[i].pid == pid)
                note_end(&self.children[i], status);
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
            reload(0);
            break;
        default:
            stop(0);
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
    self.signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    self.signals.on_ready = on_signal;
    return self.signals.fd < 0 ? -errno : loop_watch_add(&self.signals, LOOP_READ);
}

/* --- the whole --- */

static void add_child(const char *service, enum rpc_role role)
{
    struct child_process *child = &self.children[self.child_count];

    *child = (struct child_process){.service = service,
                                    .role = role,
                                    .slot = (unsigned)self.child_count,
                                    .control = {.fd = -1}};
    child->restart_timer.on_fire = on_restart;
    child->channel_timer.on_fire = on_channel_timer;
    self.child_count++;
}

static int prepare(void)
{
    struct buf text;

    int r = make_folder(self.settings->server_run_dir, 0755);
    if (r == 0)
        r = make_folder(self.settings->server_data_dir, 0700);
    if (r == 0)
        r = tighten_folder(self.settings->server_data_dir);
    if (r == 0)
        r = give_folder(self.settings->server_data_dir);
    if (r == 0)
        r = lock_run_folder();
    if (r < 0)
        return r;
    raise_file_limit();
    buf_init(&text, ERRORS_MAX_BYTES);
    r = bind_listeners(&text);
    if (r < 0)
        fprintf(stderr, "hikyaku: %s\n", buf_c_str(&text));
    buf_done(&text);
    if (r == 0)
        sandbox_keep_supervisor();
    return r;
}

static int run(void)
{
    int r = loop_init();

    if (r == 0)
        r = watch_signals();
    if (r < 0)
        return complain(r, "cannot start", "the event loop");
    self.buffer = xmalloc(FDPASS_MAX_BYTES);
    self.stop_timer.on_fire = on_stop_timer;
    add_child("store", 0);
    for (int i = 0; i < self.settings->server_inbound_workers; i++)
        add_child("inbound", RPC_ROLE_INBOUND);
    /* outbound, access and resolver get their places here, after the store. */
    for (size_t i = 0; i < self.child_count; i++)
        start_child(&self.children[i]);
    loop_run();
    LOG(LOG_INFO, "master.stopped", LOG_INT("status", self.exit_status));
    return 0;
}

static void clean_up(void)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/control.sock", self.settings->server_run_dir);

    if (self.control_fd >= 0) {
        close(self.control_fd);
        (void)unlink(path);
    }
    listen_set_done(&self.smtp);
    if (self.lock_fd >= 0)
        close(self.lock_fd);
    free(self.buffer);
    buf_done(&self.encoded_settings);
    settings_free(self.settings);
}

int master_main(const char *config_path)
{
    const char *test_clock = getenv("HIKYAKU_TEST_CLOCK");
    struct settings *settings;
    struct buf errors;

    umask(077);
    self.config_path = config_path;
    buf_init(&errors, ERRORS_MAX_BYTES);
    buf_init(&self.encoded_settings, FDPASS_MAX_BYTES - 16);
    if (test_clock != NULL && clock_use_file(test_clock) < 0)
        return 1;
    if (load_settings(&settings, &errors) < 0) {
        fputs(buf_c_str(&errors), stderr);
        buf_done(&errors);
        return 1;
    }
    buf_done(&errors);
    use_settings(settings);
    int r = prepare();
    if (r == 0)
        r = run();
    clean_up();
    return r < 0 ? 1 : self.exit_status;
}
