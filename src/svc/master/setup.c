/* Before there are children: see setup.h. */
#include "svc/master/setup.h"
#include "svc/machine_check.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "rt/sandbox.h"
#include "rt/tls.h"
#include "svc/master/keys.h"
#include "svc/master/state.h"
#include "svc/pickup/spool_folder.h"

enum { SPARE_FILES = 1024 };

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
        LOG(LOG_WARNING, "master.user-is-root", LOG_C("user", master.settings->server_user),
            LOG_C("risk", "the processes that talk with strangers own root's files"),
            LOG_C("hint", "make a user of its own (useradd --system) and set server.user"));
}

/* Gives the folder to the server's user, if we are root. */
static int give_folder(const char *path)
{
    if (geteuid() != 0)
        return 0;
    const struct passwd *pw = getpwnam(master.settings->server_user);
    if (pw == NULL) {
        fprintf(stderr,
                "hikyaku: there is no user %s; make it: useradd --system --home-dir / --shell "
                "/usr/sbin/nologin %s\n",
                master.settings->server_user, master.settings->server_user);
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
    CLEANUP(cleanup_free) char *path = xasprintf("%s/master.lock", master.settings->server_run_dir);

    master.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (master.lock_fd < 0)
        return complain(-errno, "cannot open", path);
    if (flock(master.lock_fd, LOCK_EX | LOCK_NB) < 0) {
        fprintf(stderr, "hikyaku: a server is running already with %s; see: hikyaku status\n",
                master.settings->server_run_dir);
        return -EBUSY;
    }
    return 0;
}

/* One number for all processes: each has room for what any of them may need. */
static rlim_t files_wanted(void)
{
    return (rlim_t)master.settings->smtp_max_connections +
           (rlim_t)master.settings->outbound_max_connections + SPARE_FILES;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    rlim_t want = files_wanted();

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
            LOG_C("hint", "raise the limit of open files, or lower smtp.max_connections or "
                          "outbound.max_connections"));
}

/* Children get all settings in one message. */
static int check_length(const struct settings *settings, struct buf *out_errors)
{
    struct buf encoded;

    buf_init(&encoded, MASTER_SETTINGS_MAX_BYTES);
    settings_encode(settings, &encoded);
    int r = buf_status(&encoded);
    if (r < 0)
        buf_printf(out_errors, "%s: the configuration is too long: more than %d KiB of values\n",
                   master.config_path, MASTER_SETTINGS_MAX_BYTES / 1024);
    buf_done(&encoded);
    return r;
}

int setup_load_settings(struct settings **out, struct buf *out_errors)
{
    int r = settings_load(master.config_path, out, out_errors);

    if (r == 0) {
        r = check_length(*out, out_errors);
        if (r == 0)
            r = machine_check(*out, out_errors);
        if (r == 0)
            return 0;
        settings_free(*out);
        *out = NULL;
    }
    if (out_errors->len == 0)
        buf_printf(out_errors, "%s: %s\n", master.config_path, strerror(-r));
    return r;
}

void setup_use_settings(struct settings *settings)
{
    settings_free(master.settings);
    master.settings = settings;
    buf_reset(&master.encoded_settings);
    settings_encode(settings, &master.encoded_settings);
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format, "master");
}

static int bind_listeners(struct buf *out_text)
{
    CLEANUP(cleanup_free)
    char *path = xasprintf("%s/control.sock", master.settings->server_run_dir);

    int r = listen_set_bind(master.settings, &master.listeners, &master.listeners, out_text);
    if (r < 0)
        return r;
    r = listen_control(path, &master.control_fd);
    if (r < 0)
        buf_printf(out_text, "cannot make the control socket %s: %s", path, strerror(-r));
    return r;
}

/* Without it the server runs, and takes no mail from programs on this machine. */
static void make_spool_folder(void)
{
    const char *path = master.settings->submit_spool_dir;
    const struct passwd *pw = geteuid() == 0 ? getpwnam(master.settings->server_user) : NULL;

    if (path[0] == '\0')
        return;
    int r = spool_folder_make(path, pw != NULL ? pw->pw_uid : geteuid(),
                              pw != NULL ? pw->pw_gid : getegid());
    if (r < 0)
        LOG(LOG_WARNING, "master.no-spool-folder", LOG_C("folder", path), LOG_ERR(r),
            LOG_C("effect", "sendmail on this machine cannot be used"),
            LOG_C("hint", "let root start the server, or set submit.spool_dir"));
}

/* Before anything is made: a server without its keys does not start. */
static int load_keys(void)
{
    struct keyring *keyring;
    struct str line, rest;
    struct buf text;

    tls_init();
    buf_init(&text, MASTER_ERRORS_MAX_BYTES);
    int r = keyring_new(master.settings, NULL, &keyring, &text);
    for (rest = buf_str(&text); str_cut(rest, '\n', &line, &rest);)
        fprintf(stderr, "hikyaku: %.*s\n", STR_ARG(line));
    buf_done(&text);
    if (r == 0)
        keys_use(keyring);
    return r;
}

int setup_prepare(void)
{
    struct buf text;

    int r = load_keys();
    if (r == 0)
        r = make_folder(master.settings->server_run_dir, 0755);
    if (r == 0)
        r = make_folder(master.settings->server_data_dir, 0700);
    if (r == 0)
        r = tighten_folder(master.settings->server_data_dir);
    if (r == 0)
        r = give_folder(master.settings->server_data_dir);
    if (r == 0)
        r = lock_run_folder();
    if (r < 0)
        return r;
    make_spool_folder();
    raise_file_limit();
    buf_init(&text, MASTER_ERRORS_MAX_BYTES);
    r = bind_listeners(&text);
    if (r < 0)
        fprintf(stderr, "hikyaku: %s\n", buf_c_str(&text));
    buf_done(&text);
    if (r == 0)
        sandbox_keep_supervisor();
    return r;
}

void setup_undo(void)
{
    CLEANUP(cleanup_free)
    char *path = xasprintf("%s/control.sock", master.settings->server_run_dir);

    if (master.control_fd >= 0) {
        close(master.control_fd);
        (void)unlink(path);
    }
    listen_set_done(&master.listeners);
    keys_done();
    if (master.lock_fd >= 0)
        close(master.lock_fd);
    buf_done(&master.encoded_settings);
    settings_free(master.settings);
}
