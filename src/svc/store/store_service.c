/*
 * The store process: no network, one folder. Wires the store to its channels and to the master, and
 * keeps house on a timer.
 */
#include "svc/store/store_service.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypt/start.h"
#include "rt/sealed.h"
#include "store/server.h"
#include "svc/control.h"
#include "svc/key_report.h"

_Static_assert((int)STORE_KEY_REPORTS_MAX_BYTES == (int)KEY_REPORTS_MAX_BYTES,
               "store.h tells the limit");

enum { MAINTAIN_EVERY_MS = 10000 };

static const char *const store_syscalls[] = {
    "open",      "openat",     "unlink",    "unlinkat",   "rename",     "renameat", "renameat2",
    "mkdir",     "mkdirat",    "ftruncate", "fdatasync",  "fsync",      "pread64",  "pwrite64",
    "preadv",    "pwritev",    "fallocate", "getdents64", "statfs",     "fstatfs",  "access",
    "faccessat", "faccessat2", "stat",      "lstat",      "newfstatat", "fchmod",   "fchown",
    "readlink",  "getcwd",     "flock",     "accept4",    "utimensat",  "rmdir",    NULL,
};

/* Settings that a reload replaced; a few kilobytes each. */
struct old_settings {
    struct settings *settings;
    struct old_settings *next;
};

static struct {
    struct store *store;
    struct store_server *server;
    struct settings *settings;
    struct old_settings *old; /* jobs may still look at them: kept to the end */
    struct loop_timer timer;
} self;

static const struct sandbox_profile *profile(const struct settings *settings)
{
    static struct sandbox_path paths[2];
    static struct sandbox_profile p = {
        .name = "store", .paths = paths, .syscalls = store_syscalls, .has_threads = true};

    crypt_start();
    paths[0] = (struct sandbox_path){.path = settings->server_data_dir, .may_write = true};
    return &p;
}

static void on_reload(void *arg, uint64_t token)
{
    struct buf payload;

    (void)arg;
    buf_init(&payload, 16);
    buf_put_u64(&payload, token);
    child_tell_master(CONTROL_RELOAD, buf_str(&payload));
    buf_done(&payload);
}

static void on_timer(struct loop_timer *t)
{
    store_server_maintain(self.server);
    loop_timer_set(t, clock_mono_ms() + MAINTAIN_EVERY_MS);
}

static int open_all(struct settings *settings)
{
    struct buf text;

    buf_init(&text, 4096);
    int r = store_open(settings, &self.store, &text);
    if (r < 0)
        LOG(LOG_ERROR, "store.not-started", LOG_ERR(r), LOG_STR("why", buf_str(&text)));
    buf_done(&text);
    return r;
}

static int start(struct settings *settings, unsigned slot)
{
    (void)slot;
    self.settings = settings;
    int r = open_all(settings);
    if (r == 0)
        r = store_start(self.store);
    if (r < 0)
        return r;
    struct store_server_config config = {
        .store = self.store,
        .max_sessions = (unsigned)settings->smtp_max_connections,
        .max_sessions_per_address = (unsigned)settings->smtp_max_connections_per_address,
        .on_reload = on_reload,
    };
    r = store_server_new(&config, &self.server);
    if (r < 0)
        return r;
    /* Routes may have changed while the server was down. */
    store_server_reroute(self.server);
    self.timer.on_fire = on_timer;
    loop_timer_set(&self.timer, clock_mono_ms() + MAINTAIN_EVERY_MS);
    return 0;
}

static void take_settings(struct cursor *payload)
{
    struct settings *settings;

    if (settings_decode(cursor_rest(payload), &settings) < 0)
        return;
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              store_service.name);
    struct old_settings *old = xcalloc(1, sizeof(*old));
    *old = (struct old_settings){.settings = self.settings, .next = self.old};
    self.old = old;
    bool has_routes = self.settings->route_count + settings->route_count > 0;
    self.settings = settings;
    store_configure(self.store, settings);
    if (has_routes)
        store_server_reroute(self.server);
    store_server_set_limits(self.server, (unsigned)settings->smtp_max_connections,
                            (unsigned)settings->smtp_max_connections_per_address);
}

static void finish_reload(struct cursor *payload)
{
    uint64_t token = cursor_u64(payload);
    int status = -(int)cursor_u16(payload);

    store_server_reload_done(self.server, token, status, cursor_lp(payload));
}

static int take_key_reports(struct control_event *event)
{
    struct str reports;

    int r = sealed_map(event->fd, KEY_REPORTS_MAX_BYTES, &reports);
    if (event->fd >= 0)
        close(event->fd);
    if (r == 0)
        store_keep_key_reports(self.store, reports);
    sealed_unmap(reports);
    return r;
}

static void on_control(struct control_event *event)
{
    int r = 0;

    switch (event->type) {
    case CONTROL_SETTINGS:
        take_settings(&event->payload);
        break;
    case CONTROL_ADD_CHANNEL:
        r = store_server_add(self.server, event->fd, (enum rpc_role)cursor_u8(&event->payload));
        break;
    case CONTROL_LISTEN:
        r = store_server_listen(self.server, event->fd);
        break;
    case CONTROL_KEY_REPORTS:
        r = take_key_reports(event);
        break;
    case CONTROL_RELOAD_DONE:
        finish_reload(&event->payload);
        break;
    case CONTROL_DRAIN:
        loop_stop();
        break;
    default:
        break;
    }
    if (r < 0)
        LOG(LOG_ERROR, "store.control-failed", LOG_INT("message", event->type), LOG_ERR(r));
}

static void on_orphaned(void)
{
    loop_stop();
}

static void finish(void)
{
    store_server_free(self.server);
    store_close(self.store);
    while (self.old != NULL) {
        struct old_settings *next = self.old->next;
        settings_free(self.old->settings);
        free(self.old);
        self.old = next;
    }
    settings_free(self.settings);
}

const struct service store_service = {
    .name = "store",
    .profile = profile,
    .start = start,
    .on_control = on_control,
    .on_orphaned = on_orphaned,
    .finish = finish,
};
