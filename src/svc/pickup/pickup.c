/*
 * Picking up: one fiber waits for news of the folder and goes through it, a few others carry the
 * mails to the store at the same time. News come by inotify; a slow timer finds what it has missed.
 */
#include "svc/pickup/pickup.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber.h"
#include "svc/control.h"
#include "svc/pickup/drop.h"
#include "svc/pickup/submission.h"
#include "svc/store_backend.h"

enum {
    CARRIERS = 8,          /* mails on their way to the store at one time */
    LOOK_EVERY_MS = 30000, /* also without news, and at what could not be stored */
    LOOK_AGAIN_MS = 2000,  /* after something could not be stored */
    EXPIRE_EVERY_MS = 3600 * 1000,
};

static struct {
    struct settings *settings;
    struct settings *next_settings; /* after a reload, until nothing is under way */
    struct child_link store;
    struct id_maker ids;
    struct store_backend backend;
    struct fiber_group fibers;
    struct fiber_group helpers;
    struct fiber *collector; /* parked, or NULL */
    struct loop_watch news;
    bool has_news;
    bool has_recovered; /* what the process before this one left has been looked at */
    bool has_failures;  /* something was left in the taken folder */
    bool is_draining;
    int64_t drain_until_ms;
    int64_t look_ms;   /* when to look at what was taken before */
    int64_t expire_ms; /* when to remove what is old */
    struct drop drop;
    struct drop_entry batch[DROP_BATCH];
    size_t batch_count, batch_at;
} self = {.drop = {.dir_fd = -1, .taken_fd = -1}, .news = {.fd = -1}};

/* --- the sandbox --- */

static const char *const pickup_syscalls[] = {
    "openat",     "open",         "getdents64", "rename",        "renameat",          "renameat2",
    "unlink",     "unlinkat",     "fsync",      "inotify_init1", "inotify_add_watch", "lstat",
    "newfstatat", "clock_getres", NULL,
};

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The list of users is replaced by renaming when it changes: a rule for the file would go on to
 * mean the old one. What the server's user may read in /etc, all users may. */
static const struct sandbox_profile *profile(const struct settings *settings)
{
    static struct sandbox_path paths[3];
    static const struct sandbox_profile p = {
        .name = "pickup", .paths = paths, .syscalls = pickup_syscalls};
    size_t n = 0;

    paths[n++] = (struct sandbox_path){.path = "/etc"};
    /* A path that is not there would leave the process without any fence. */
    if (is_folder(settings->submit_spool_dir))
        paths[n++] = (struct sandbox_path){.path = settings->submit_spool_dir, .may_write = true};
    paths[n] = (struct sandbox_path){.path = NULL};
    return &p;
}

/* --- carrying --- */

static void use_settings(struct settings *settings)
{
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              pickup_service.name);
    self.settings = settings;
}

/* Yields. */
static enum submission_end submit(struct drop_entry *e, struct submission *s)
{
    s->verdict = drop_read(&self.drop, e, &s->fd, &s->st);
    if (s->verdict == DROP_GONE)
        return SUBMISSION_STORED;
    if (s->verdict == DROP_FAILED)
        return SUBMISSION_LATER;
    enum submission_end end = submission_run(s);
    if (s->fd >= 0)
        close(s->fd);
    return end;
}

/* Yields. */
static void carry(struct drop_entry *e)
{
    struct submission s = {.settings = self.settings, .backend = &self.backend.smtp, .entry = e};
    bool is_left_over = !self.has_recovered;

    if (is_left_over && !drop_note_death(&self.drop, e)) {
        LOG(LOG_ERROR, "pickup.set-aside", LOG_ID("message", e->id), LOG_C("file", e->name),
            LOG_C("why", "the process has died each time it took this mail up"));
        drop_refuse(&self.drop, e, true);
        return;
    }
    enum submission_end end = submit(e, &s);
    if (end == SUBMISSION_STORED)
        drop_done(&self.drop, e);
    if (end == SUBMISSION_REFUSED)
        drop_refuse(&self.drop, e, (uint64_t)s.st.st_size <= self.settings->smtp_max_message_size);
    if (end != SUBMISSION_LATER)
        return;
    self.has_failures = true;
    if (is_left_over)
        drop_forget_death(&self.drop, e);
}

static void run_carrier(void *arg)
{
    (void)arg;
    while (self.batch_at < self.batch_count && !self.is_draining)
        carry(&self.batch[self.batch_at++]);
}

/* Carries the batch to the store. Yields. */
static void carry_batch(int count)
{
    struct fiber_group carriers;

    self.batch_count = (size_t)MAX(count, 0);
    self.batch_at = 0;
    fiber_group_init(&carriers);
    /* One of those may be what the process before this one died of: the others must not be under
     * way when it happens again. */
    size_t carriers_max = self.has_recovered ? CARRIERS : 1;
    for (size_t i = 0; i < MIN(self.batch_count, carriers_max); i++) {
        if (fiber_spawn(&carriers, "carrier", run_carrier, NULL) < 0)
            break;
    }
    (void)!fiber_group_join(&carriers, CLOCK_NEVER);
}

static void complain(int error)
{
    if (error < 0)
        LOG(LOG_ERROR, "pickup.folder-failed", LOG_C("folder", self.settings->submit_spool_dir),
            LOG_ERR(error), LOG_C("hint", "restart the server: it sets the folder right"));
}

/* Takes what is new until there is nothing. Yields. */
static void collect_new(void)
{
    int count = DROP_BATCH;

    while (count == DROP_BATCH && !self.is_draining) {
        count = drop_take(&self.drop, &self.ids, self.batch);
        complain(count);
        carry_batch(count);
    }
}

/* What was taken before comes first: what the store has already must not wait until it has left.
 * Yields. */
static void collect_taken(void)
{
    int count = drop_list_taken(&self.drop, &self.ids, self.batch);

    complain(count);
    carry_batch(count);
    self.has_recovered = true;
    self.has_failures |= count == DROP_BATCH; /* there may be more */
}

/* Mails under way point into the settings: they change when there are none. */
static void change_settings(void)
{
    if (self.next_settings == NULL)
        return;
    settings_free(self.settings);
    use_settings(self.next_settings);
    self.next_settings = NULL;
}

static void look(void)
{
    self.has_news = false;
    self.has_failures = false;
    change_settings();
    if (clock_mono_ms() >= self.look_ms) {
        self.look_ms = clock_mono_ms() + LOOK_EVERY_MS;
        collect_taken();
    }
    collect_new();
    if (self.has_failures)
        self.look_ms = MIN(self.look_ms, clock_mono_ms() + LOOK_AGAIN_MS);
    if (clock_mono_ms() >= self.expire_ms) {
        drop_expire(&self.drop);
        self.expire_ms = clock_mono_ms() + EXPIRE_EVERY_MS;
    }
}

static void wake(void)
{
    self.has_news = true;
    if (self.collector != NULL)
        fiber_wake(self.collector);
}

static void run_collector(void *arg)
{
    int r = 0;

    (void)arg;
    while (!self.is_draining && r != -ECANCELED) {
        if (rpc_client_is_attached(&self.store.client))
            look();
        bool is_idle = !self.has_news || !rpc_client_is_attached(&self.store.client);
        int64_t until_ms = clock_mono_ms() + LOOK_EVERY_MS;
        if (rpc_client_is_attached(&self.store.client))
            until_ms = MIN(self.look_ms, until_ms);
        self.collector = fiber_self();
        r = is_idle && !self.is_draining ? fiber_park(until_ms) : fiber_yield();
        self.collector = NULL;
    }
}

/* --- news --- */

static void on_news(struct loop_watch *w, unsigned ready)
{
    char events[1024];

    (void)ready;
    /* What they say does not matter: the folder is looked at as it is. */
    while (read(w->fd, events, sizeof(events)) > 0)
        ;
    wake();
}

static int watch_folder(void)
{
    self.news =
        (struct loop_watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .on_ready = on_news};
    if (self.news.fd < 0 ||
        inotify_add_watch(self.news.fd, self.settings->submit_spool_dir, IN_MOVED_TO) < 0)
        return -errno;
    return loop_watch_add(&self.news, LOOP_READ);
}

/* --- the master --- */

static int take_channel(struct control_event *event)
{
    int r = child_link_take(&self.store, event);

    /* What the lost channel left undone. */
    self.look_ms = 0;
    wake();
    return r;
}

static void take_settings(struct settings *settings)
{
    settings_free(self.next_settings);
    self.next_settings = settings;
    wake();
}

static void run_drain(void *arg)
{
    (void)arg;
    if (fiber_group_join(&self.fibers, self.drain_until_ms) < 0) {
        fiber_group_cancel(&self.fibers);
        (void)!fiber_group_join(&self.fibers, CLOCK_NEVER);
    }
    loop_stop();
}

static void drain(int64_t wait_ms)
{
    if (self.is_draining)
        return;
    self.is_draining = true;
    self.drain_until_ms = clock_mono_ms() + wait_ms;
    wake();
    if (fiber_spawn(&self.helpers, "drain", run_drain, NULL) < 0)
        loop_stop();
}

static void on_control(struct control_event *event)
{
    struct settings *settings;
    int r = 0;

    switch (event->type) {
    case CONTROL_SETTINGS:
        r = settings_decode(cursor_rest(&event->payload), &settings);
        if (r == 0)
            take_settings(settings);
        break;
    case CONTROL_STORE_CHANNEL:
        r = take_channel(event);
        break;
    case CONTROL_DRAIN:
        drain(self.settings->server_drain_timeout);
        break;
    default:
        if (event->fd >= 0)
            close(event->fd);
        break;
    }
    if (r < 0)
        LOG(LOG_ERROR, "pickup.control-failed", LOG_INT("message", event->type), LOG_ERR(r));
}

static void on_orphaned(void)
{
    drain(0);
}

static int start(struct settings *settings, unsigned slot)
{
    use_settings(settings);
    id_maker_init(&self.ids, (unsigned)settings->server_node, slot);
    child_link_init(&self.store, CONTROL_PEER_STORE);
    store_backend_init(&self.backend, &self.store.client, &self.ids);
    fiber_group_init(&self.fibers);
    fiber_group_init(&self.helpers);
    int r = drop_open(settings->submit_spool_dir, &self.drop);
    if (r < 0) {
        /* The rest of the server does without; nothing that is made later could be reached. */
        complain(r);
        return 0;
    }
    r = watch_folder();
    if (r < 0)
        LOG(LOG_WARNING, "pickup.no-news", LOG_ERR(r),
            LOG_C("effect", "mail from this machine may wait for half a minute"));
    return fiber_spawn(&self.fibers, "collector", run_collector, NULL);
}

static void finish(void)
{
    child_link_done(&self.store);
    drop_close(&self.drop);
    if (self.news.fd >= 0)
        close(self.news.fd);
    settings_free(self.settings);
    settings_free(self.next_settings);
}

const struct service pickup_service = {
    .name = "pickup",
    .profile = profile,
    .start = start,
    .on_control = on_control,
    .on_orphaned = on_orphaned,
    .finish = finish,
};
