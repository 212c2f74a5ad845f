/*
 * The inbound process: accepts strangers' connections, runs a session fiber for each, owns nothing.
 * No files, no way out but the store's verbs for the role inbound.
 */
#include "svc/inbound/inbound.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber.h"
#include "rt/stream.h"
#include "smtp/session.h"
#include "svc/control.h"
#include "svc/inbound/store_backend.h"

enum {
    LISTENERS_MAX = 64,
    ACCEPTS_PER_TURN = 32,
    PAUSE_MS = 100, /* after accept failed for want of descriptors or memory */
    REFUSE_LINGER_MS = 500,
    LINGER_MS = 2000, /* for the peer to take the last reply */
};

struct listener {
    struct loop_watch watch;
    bool is_watched;
};

static struct {
    struct smtp_policy *policy;
    struct child_link store;
    struct child_link resolver; /* for the checks of senders that are to come */
    struct id_maker ids;
    struct store_backend backend;
    struct fiber_group sessions;
    struct fiber_group helpers;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct loop_timer pause_timer;
    bool is_draining;
    int64_t drain_until_ms;
} self;

static const char *const inbound_syscalls[] = {"accept4", "accept", NULL};

static const struct sandbox_profile *profile(const struct settings *settings)
{
    static const struct sandbox_profile p = {.name = "inbound", .syscalls = inbound_syscalls};

    (void)settings;
    return &p;
}

static struct ip_addr address_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof(address);

    if (ask(fd, (struct sockaddr *)&address, &bytes) < 0)
        address.ss_family = AF_UNSPEC;
    return ip_from_sockaddr((const struct sockaddr *)&address);
}

/* Turns a connection away with one line. Yields. */
static void turn_away(struct stream *stream, const struct ip_addr *peer, const char *text)
{
    char peer_text[IP_TEXT_BYTES];
    struct buf out;

    LOG(LOG_INFO, "smtp.turned-away", LOG_C("peer", ip_print(peer, peer_text)), LOG_C("why", text));
    buf_init(&out, 512);
    buf_printf(&out, "421 %s\r\n", text);
    if (stream_write(stream, buf_str(&out)) == 0)
        stream_close_gently(stream, REFUSE_LINGER_MS);
    buf_done(&out);
}

/* Yields. */
static void serve_counted(struct stream *stream, const struct ip_addr *peer,
                          const struct ip_addr *local)
{
    enum session_verdict verdict;

    int r = store_backend_open_session(&self.backend, peer, &verdict);
    if (r < 0) {
        turn_away(stream, peer, "4.3.2 The server is not ready; try again in a moment");
        return;
    }
    if (verdict == SESSION_TOO_MANY_FROM_ADDRESS) {
        turn_away(stream, peer, "4.7.0 Too many connections from your address; close some first");
        return;
    }
    if (verdict == SESSION_TOO_MANY) {
        turn_away(stream, peer, "4.3.2 Too many connections; try again later");
        return;
    }
    struct smtp_policy *policy = smtp_policy_ref(self.policy);
    struct smtp_session_config config = {.backend = &self.backend.smtp,
                                         .policy = policy,
                                         .stream = stream,
                                         .peer = *peer,
                                         .local = *local,
                                         .is_draining = &self.is_draining};
    smtp_session_run(&config);
    smtp_policy_unref(policy);
    /* Before the lingering close: whoever sees the end of one session may begin the next. */
    store_backend_close_session(&self.backend, peer);
    stream_close_gently(stream, LINGER_MS);
}

static void run_session(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct stream stream;

    struct ip_addr peer = address_of(fd, getpeername);
    struct ip_addr local = address_of(fd, getsockname);
    if (stream_init(&stream, fd) < 0)
        return;
    stream_set_deadline(&stream, clock_mono_ms() + self.policy->settings->smtp_command_timeout);
    serve_counted(&stream, &peer, &local);
    stream_done(&stream);
}

static void stop_accepting(void)
{
    for (size_t i = 0; i < self.listener_count; i++) {
        if (self.listeners[i].is_watched)
            loop_watch_remove(&self.listeners[i].watch);
        self.listeners[i].is_watched = false;
    }
}

static void start_accepting(void)
{
    for (size_t i = 0; i < self.listener_count; i++) {
        struct listener *l = &self.listeners[i];
        if (!l->is_watched)
            l->is_watched = loop_watch_add_listener(&l->watch) == 0;
    }
}

static void on_pause_over(struct loop_timer *t)
{
    (void)t;
    if (!self.is_draining)
        start_accepting();
}

/* Without a pause, the loop would spin on a listener that it cannot empty. */
static void pause_accepting(int error)
{
    LOG(LOG_WARNING, "smtp.accept-failed", LOG_ERR(error),
        LOG_C("hint", "raise the limit of open files, or lower smtp.max_connections"));
    stop_accepting();
    loop_timer_set(&self.pause_timer, clock_mono_ms() + PAUSE_MS);
}

static void on_listener_ready(struct loop_watch *w, unsigned ready)
{
    (void)ready;
    for (int i = 0; i < ACCEPTS_PER_TURN && !self.is_draining; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                pause_accepting(-errno);
            return;
        }
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        int r = fiber_spawn(&self.sessions, "smtp", run_session, (void *)(intptr_t)fd);
        if (r < 0) {
            close(fd);
            pause_accepting(r);
            return;
        }
    }
}

static void reset_listeners(void)
{
    stop_accepting();
    for (size_t i = 0; i < self.listener_count; i++)
        close(self.listeners[i].watch.fd);
    self.listener_count = 0;
}

static void add_listener(int fd)
{
    if (self.listener_count == LISTENERS_MAX || self.is_draining) {
        close(fd);
        return;
    }
    struct listener *l = &self.listeners[self.listener_count++];
    *l = (struct listener){.watch = {.fd = fd, .on_ready = on_listener_ready}};
    int r = loop_watch_add_listener(&l->watch);
    l->is_watched = r == 0;
    if (r < 0)
        LOG(LOG_ERROR, "smtp.listener-failed", LOG_ERR(r));
}

static void take_settings(struct settings *settings)
{
    /* conf cannot know the store's limit; the range of the setting ends there. */
    ASSERT(settings->smtp_max_recipients <= WIRE_RECIPIENTS_MAX);
    ASSERT(settings->smtp_max_command_length <= SMTP_COMMAND_MAX_BYTES);
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              inbound_service.name);
    struct smtp_policy *old = self.policy;
    self.policy = smtp_policy_new(settings);
    smtp_policy_unref(old);
}

/* Waits for the sessions to end, then ends them. */
static void run_drain(void *arg)
{
    (void)arg;
    if (fiber_group_join(&self.sessions, self.drain_until_ms) < 0) {
        LOG(LOG_WARNING, "smtp.drain-cut", LOG_INT("sessions", self.sessions.count));
        fiber_group_cancel(&self.sessions);
        (void)!fiber_group_join(&self.sessions, CLOCK_NEVER);
    }
    loop_stop();
}

static void drain(int64_t wait_ms)
{
    if (self.is_draining)
        return;
    reset_listeners();
    loop_timer_clear(&self.pause_timer);
    self.is_draining = true;
    self.drain_until_ms = clock_mono_ms() + wait_ms;
    fiber_group_interrupt(&self.sessions);
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
        r = child_link_take(&self.store, event);
        break;
    case CONTROL_RESOLVER_CHANNEL:
        r = child_link_take(&self.resolver, event);
        break;
    case CONTROL_LISTEN_RESET:
        reset_listeners();
        break;
    case CONTROL_LISTEN:
        if (cursor_u8(&event->payload) == CONTROL_LISTENER_SMTP)
            add_listener(event->fd);
        else
            close(event->fd);
        break;
    case CONTROL_DRAIN:
        drain(self.policy->settings->server_drain_timeout);
        break;
    default:
        break;
    }
    if (r < 0)
        LOG(LOG_ERROR, "inbound.control-failed", LOG_INT("message", event->type), LOG_ERR(r));
}

static void on_orphaned(void)
{
    drain(0);
}

static int start(struct settings *settings, unsigned slot)
{
    take_settings(settings);
    id_maker_init(&self.ids, (unsigned)settings->server_node, slot);
    child_link_init(&self.store, CONTROL_PEER_STORE);
    child_link_init(&self.resolver, CONTROL_PEER_RESOLVER);
    store_backend_init(&self.backend, &self.store.client, &self.ids);
    fiber_group_init(&self.sessions);
    fiber_group_init(&self.helpers);
    self.pause_timer.on_fire = on_pause_over;
    return 0;
}

static void finish(void)
{
    child_link_done(&self.store);
    child_link_done(&self.resolver);
    smtp_policy_unref(self.policy);
}

const struct service inbound_service = {
    .name = "inbound",
    .uses_resolver = true,
    .profile = profile,
    .start = start,
    .on_control = on_control,
    .on_orphaned = on_orphaned,
    .finish = finish,
};
