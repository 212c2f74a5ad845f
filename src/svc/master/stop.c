/* Stopping in stages: see stop.h. */
#include "svc/master/stop.h"

#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "svc/master/notify.h"
#include "svc/master/state.h"

enum {
    STOP_GRACE_MS = 10000, /* beyond the drain, before workers are killed */
    HELPERS_STOP_MS = 10000,
    STORE_STOP_MS = 60000,
};

static struct {
    enum child_stage stage; /* that is under way */
    struct loop_timer timer;
    int exit_status;
} self;

static void kill_children(bool also_later_stages)
{
    for (size_t i = 0; i < master.child_count; i++) {
        const struct child_process *child = &master.children[i];
        if (child->pid > 0 && (child->is_stopping || also_later_stages))
            kill(child->pid, SIGKILL);
    }
}

static void on_timer(struct loop_timer *t)
{
    (void)t;
    LOG(LOG_WARNING, "master.killing", LOG_C("why", "children did not end in time"));
    kill_children(false);
}

/* Tells the children of the stage to end. How many there are that run. */
static size_t tell_stage(enum child_stage stage)
{
    size_t running = 0;

    for (size_t i = 0; i < master.child_count; i++) {
        struct child_process *child = &master.children[i];
        if (child->kind->stage != stage)
            continue;
        loop_timer_clear(&child->restart_timer);
        if (!child->is_stopping)
            child_send(child, CONTROL_DRAIN, STR(""), -1);
        child->is_stopping = true;
        running += child->pid != 0;
    }
    return running;
}

static int64_t stage_ms(enum child_stage stage)
{
    if (stage == CHILD_STAGE_WORKERS)
        return master.settings->server_drain_timeout + STOP_GRACE_MS;
    return stage == CHILD_STAGE_HELPERS ? HELPERS_STOP_MS : STORE_STOP_MS;
}

static void begin_stage(enum child_stage stage)
{
    self.stage = stage;
    loop_timer_set(&self.timer, clock_mono_ms() + stage_ms(stage));
}

void stop_go_on(void)
{
    while (tell_stage(self.stage) == 0) {
        if (self.stage + 1 == CHILD_STAGES) {
            loop_stop();
            return;
        }
        begin_stage(self.stage + 1);
    }
}

void stop_begin(int exit_status)
{
    if (master.is_stopping) {
        LOG(LOG_INFO, "master.stopping-at-once", LOG_C("why", "told twice"));
        kill_children(true);
        return;
    }
    LOG(LOG_INFO, "master.stopping", LOG_C("how", "sessions may finish"));
    notify_manager("STOPPING=1");
    master.is_stopping = true;
    self.exit_status = exit_status;
    self.timer.on_fire = on_timer;
    begin_stage(CHILD_STAGE_WORKERS);
    stop_go_on();
}

int stop_exit_status(void)
{
    return self.exit_status;
}
