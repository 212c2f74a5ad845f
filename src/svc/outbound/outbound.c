/*
 * The outbound process: brings mail to other servers. It connects out, has no files and no
 * listeners, and sees of the store what is in the queue. Scheduler, destinations, connections and
 * notices are fibers of one loop; there is one such process, which holds the one truth about sites.
 */
#include "svc/outbound/outbound.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber.h"
#include "svc/outbound/reporter.h"
#include "svc/outbound/runner.h"
#include "svc/outbound/scheduler.h"
#include "svc/outbound/site.h"
#include "svc/outbound/target.h"
#include "svc/outbound/worker.h"

/* Settings that a reload replaced: fibers may still go by them. A few kilobytes each. */
struct old_settings {
    struct settings *settings;
    struct old_settings *next;
};

static struct {
    struct old_settings *all; /* the first ones are in force */
    struct fiber_group helpers;
    int64_t drain_until_ms;
} self;

/* Subjects that notices quote are in these charsets, if not in UTF-8. libc reads a module's file
 * when it is first asked for, which the sandbox does not allow; so they are opened before, and
 * never closed. Others are not shown. */
static void load_charsets(void)
{
    static const char *const names[] = {"ISO-2022-JP", "SHIFT_JIS",  "CP932",
                                        "EUC-JP",      "ISO-8859-1", "WINDOWS-1252",
                                        "GB18030",     "BIG5",       "EUC-KR"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)iconv_open("UTF-8", names[i]);
}

static const struct sandbox_profile *profile(const struct settings *settings)
{
    static const struct sandbox_profile p = {
        .name = "outbound", .may_connect = true, .tries_files = true};

    load_charsets();
    target_learn_own_addresses(settings);
    return &p;
}

static void take_settings(struct settings *settings)
{
    struct old_settings *entry = xcalloc(1, sizeof(*entry));

    *entry = (struct old_settings){.settings = settings, .next = self.all};
    self.all = entry;
    worker.settings = settings;
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              outbound_service.name);
}

/* Lets what is under way come to its end, then ends it. */
static void run_drain(void *arg)
{
    (void)arg;
    if (fiber_group_join(&worker.deliveries, self.drain_until_ms) < 0) {
        LOG(LOG_WARNING, "outbound.drain-cut", LOG_INT("fibers", worker.deliveries.count),
            LOG_C("hint", "deliveries that were cut are tried again after the start"));
        fiber_group_cancel(&worker.deliveries);
        (void)!fiber_group_join(&worker.deliveries, CLOCK_NEVER);
    }
    (void)!fiber_group_join(&worker.services, CLOCK_NEVER);
    sites_done();
    loop_stop();
}

static void drain(int64_t wait_ms)
{
    if (worker.is_draining)
        return;
    worker.is_draining = true;
    self.drain_until_ms = clock_mono_ms() + wait_ms;
    fiber_group_cancel(&worker.services);
    fiber_group_interrupt(&worker.deliveries);
    /* Nobody waits for name servers any more; mail has a connection by now or goes another time. */
    child_link_done(&worker.resolver);
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
        r = child_link_take(&worker.store, event);
        scheduler_note_channel();
        break;
    case CONTROL_RESOLVER_CHANNEL:
        if (!worker.is_draining)
            r = child_link_take(&worker.resolver, event);
        else if (event->fd >= 0)
            close(event->fd);
        break;
    case CONTROL_TLS:
        r = tls_link_take(&worker.tls, worker.settings, event);
        break;
    case CONTROL_DRAIN:
        drain(worker.settings->server_drain_timeout);
        break;
    default:
        if (event->fd >= 0)
            close(event->fd);
        break;
    }
    if (r < 0)
        LOG(LOG_ERROR, "outbound.control-failed", LOG_INT("message", event->type), LOG_ERR(r));
}

/* The store ends as well: results cannot be settled any more, so nobody is told QUIT. */
static void on_orphaned(void)
{
    loop_stop();
}

static int start(struct settings *settings, unsigned slot)
{
    take_settings(settings);
    id_maker_init(&worker.ids, (unsigned)settings->server_node, slot);
    child_link_init(&worker.store, CONTROL_PEER_STORE);
    child_link_init(&worker.resolver, CONTROL_PEER_RESOLVER);
    tls_link_init(&worker.tls);
    fiber_group_init(&worker.deliveries);
    fiber_group_init(&worker.services);
    fiber_group_init(&self.helpers);
    sites_init();
    runner_init();
    int r = reporter_start();
    return r < 0 ? r : scheduler_start();
}

static void finish(void)
{
    child_link_done(&worker.store);
    child_link_done(&worker.resolver);
    tls_link_done(&worker.tls);
    while (self.all != NULL) {
        struct old_settings *next = self.all->next;
        settings_free(self.all->settings);
        free(self.all);
        self.all = next;
    }
}

const struct service outbound_service = {
    .name = "outbound",
    .uses_resolver = true,
    .profile = profile,
    .start = start,
    .on_control = on_control,
    .on_orphaned = on_orphaned,
    .finish = finish,
};
