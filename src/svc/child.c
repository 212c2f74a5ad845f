/* What all children of the master have in common: see child.h. */
#include "svc/child.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fdpass.h"
#include "rt/fiber.h"
#include "rt/tls.h"
#include "svc/access/access.h"
#include "svc/auth/auth.h"
#include "svc/control.h"
#include "svc/inbound/inbound.h"
#include "svc/outbound/outbound.h"
#include "svc/pickup/pickup.h"
#include "svc/resolver/resolver.h"
#include "svc/store/store_service.h"

enum {
    TRIM_EVERY_MS = FIBER_TRIM_AFTER_MS,
    FIRST_MESSAGE_WAIT_S = 30,
    ASK_AGAIN_MS = 1000, /* for a channel */
};

static const struct service *const services[] = {
    &access_service, &auth_service,     &inbound_service, &outbound_service,
    &pickup_service, &resolver_service, &store_service,
};

static struct {
    const struct service *service;
    struct loop_watch watch;
    struct loop_timer trim_timer;
    char *buffer; /* FDPASS_MAX_BYTES */
} child;

void child_tell_master(uint16_t type, struct str payload)
{
    int r = fdpass_send(CONTROL_FD, type, payload, -1);

    if (r < 0)
        LOG(LOG_WARNING, "child.master-deaf", LOG_INT("message", type), LOG_ERR(r));
}

/* Receives one message, waiting for it. */
static int receive(struct control_event *out)
{
    struct str payload;

    int r = fdpass_recv(CONTROL_FD, child.buffer, &out->type, &payload, &out->fd);
    if (r == 0)
        out->payload = cursor_from(payload);
    return r;
}

static void hand_over(struct control_event *event)
{
    if (event->type != CONTROL_RESOLVER_CHANNEL || child.service->uses_resolver)
        child.service->on_control(event);
    else if (event->fd >= 0)
        close(event->fd);
}

static void on_control_ready(struct loop_watch *w, unsigned ready)
{
    struct control_event event;
    int r;

    (void)w;
    (void)ready;
    while ((r = receive(&event)) == 0)
        hand_over(&event);
    if (r != -EAGAIN && child.watch.fd >= 0) {
        loop_watch_remove(&child.watch);
        child.watch.fd = -1;
        child.service->on_orphaned();
    }
}

static void on_trim(struct loop_timer *t)
{
    fiber_trim_idle();
    loop_timer_set(t, clock_mono_ms() + TRIM_EVERY_MS);
}

/* The first two messages come before there is a loop; the socket is made to block for them. */
static int receive_first(struct settings **out_settings, unsigned *out_slot)
{
    struct control_event event;

    for (int i = 0; i < 2; i++) {
        int r = -EAGAIN;
        for (int tries = 0; r == -EAGAIN && tries < FIRST_MESSAGE_WAIT_S * 100; tries++) {
            r = receive(&event);
            if (r == -EAGAIN)
                (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        if (r < 0)
            return r;
        if (event.type == CONTROL_SETTINGS)
            r = settings_decode(cursor_rest(&event.payload), out_settings);
        else
            *out_slot = cursor_u8(&event.payload);
        if (r < 0)
            return r;
    }
    return *out_settings != NULL ? 0 : -EBADMSG;
}

/* The user of the process and the setting that says so. */
static const char *find_user(const struct settings *settings, const char **out_setting)
{
    const char *user = child.service->user != NULL ? child.service->user(settings) : "";

    *out_setting = user[0] != '\0' ? "auth.outside_user" : "server.user";
    return user[0] != '\0' ? user : settings->server_user;
}

/* Gives up what the process does not need, for good. */
static int enter_sandbox(const struct settings *settings)
{
    const char *setting, *user = find_user(settings, &setting);

    tzset(); /* reads the time zone's file while files can be read */
    tls_init();
    int r = sandbox_drop_user(user, child.service->has_its_groups);
    if (r < 0) {
        LOG(LOG_ERROR, "child.no-user", LOG_C("user", user), LOG_C("setting", setting), LOG_ERR(r),
            LOG_C("hint", "make the user (useradd --system) or change the setting"));
        return r;
    }
    r = sandbox_enter(child.service->profile(settings));
    if (r < 0)
        LOG(LOG_ERROR, "child.no-sandbox", LOG_ERR(r),
            LOG_C("hint", "the kernel refused the seccomp filter"));
    return r;
}

static int start(void)
{
    struct settings *settings = NULL;
    unsigned slot = 0;

    int r = receive_first(&settings, &slot);
    if (r < 0)
        return r;
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              child.service->name);
    r = enter_sandbox(settings);
    if (r == 0)
        r = loop_init();
    if (r < 0) {
        settings_free(settings);
        return r;
    }
    child.watch = (struct loop_watch){.fd = CONTROL_FD, .on_ready = on_control_ready};
    child.trim_timer.on_fire = on_trim;
    r = child.service->start(settings, slot);
    if (r == 0)
        r = loop_watch_add(&child.watch, LOOP_READ);
    return r;
}

int child_run(const struct service *service)
{
    const char *test_clock = getenv("HIKYAKU_TEST_CLOCK");
    char title[16];

    umask(077);
    child.service = service;
    child.buffer = xmalloc(FDPASS_MAX_BYTES);
    (void)snprintf(title, sizeof(title), "hk-%s", service->name);
    (void)prctl(PR_SET_NAME, title);
    /* Buffers of messages come and go all the time: do not give their pages back at once. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 4 << 20);
    signal(SIGPIPE, SIG_IGN);
    /* The terminal's Ctrl-C reaches the whole group; the master decides what it means. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (test_clock != NULL && clock_use_file(test_clock) < 0)
        return 1;
    int r = start();
    if (r == 0) {
        child_tell_master(CONTROL_READY, STR(""));
        on_trim(&child.trim_timer);
        loop_run();
    }
    service->finish();
#ifdef HIKYAKU_SANITIZED
    LOG(LOG_DEBUG, "child.stack-high-water", LOG_INT("bytes", fiber_high_water_bytes()));
#endif
    fiber_pool_done();
    free(child.buffer);
    /* Exit handlers (the leak checker of sanitized builds) want system calls that the sandbox
     * denies. */
    _exit(r < 0);
}

int svc_child_main(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        if (strcmp(name, services[i]->name) == 0)
            return child_run(services[i]);
    }
    fprintf(stderr, "hikyaku: there is no process named %s\n", name);
    return 2;
}

/* --- channels --- */

/* When the peer has died, the master knows already; when it has cut this worker off, nobody else
 * does. Asks again until there is a channel. */
static void ask_for_channel(struct child_link *link)
{
    struct buf payload;

    buf_init(&payload, 5);
    buf_put_u32(&payload, link->number);
    buf_put_u8(&payload, (uint8_t)link->peer);
    child_tell_master(CONTROL_CHANNEL_LOST, buf_str(&payload));
    buf_done(&payload);
    loop_timer_set(&link->timer, clock_mono_ms() + ASK_AGAIN_MS);
}

static const char *const peer_names[CONTROL_PEERS] = {
    [CONTROL_PEER_STORE] = "store",
    [CONTROL_PEER_RESOLVER] = "resolver",
    [CONTROL_PEER_AUTH] = "auth",
};

static void on_link_lost(struct rpc_client *c)
{
    struct child_link *link = CONTAINER_OF(c, struct child_link, client);

    LOG(LOG_WARNING, "child.channel-lost", LOG_C("to", peer_names[link->peer]),
        LOG_INT("channel", link->number));
    ask_for_channel(link);
}

static void on_link_timer(struct loop_timer *t)
{
    struct child_link *link = CONTAINER_OF(t, struct child_link, timer);

    if (!rpc_client_is_attached(&link->client))
        ask_for_channel(link);
}

void child_link_init(struct child_link *link, enum control_peer peer)
{
    *link = (struct child_link){.peer = peer, .timer = {.on_fire = on_link_timer}};
    rpc_client_init(&link->client);
    link->client.on_lost = on_link_lost;
}

void child_link_done(struct child_link *link)
{
    loop_timer_clear(&link->timer);
    rpc_client_done(&link->client);
}

int child_link_take(struct child_link *link, struct control_event *event)
{
    link->number = cursor_u32(&event->payload);
    int r = rpc_client_attach(&link->client, event->fd);
    if (r < 0)
        loop_timer_set(&link->timer, clock_mono_ms() + ASK_AGAIN_MS);
    else
        loop_timer_clear(&link->timer);
    return r;
}
