/*
 * The auth process: asks others whether a password or a token is right, for the access workers. It
 * is there because the libraries for that (libpam, libldap, libcurl) block, read files and connect
 * to wherever they like: so they do it here, on threads of their own, where there is no mail, no
 * store and no key of the server.
 *
 * It does not know who has an account: what an answer means is the store's to say. Workers are
 * strangers here as well: a malformed frame cuts the channel off, and what one worker has under way
 * is bounded.
 */
#include "svc/auth/auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "rt/rpc.h"
#include "svc/auth/check.h"
#include "svc/auth/check_secrets.h"
#include "svc/auth/ldap_check.h"
#include "svc/auth/pool.h"
#include "svc/auth/profile.h"
#include "svc/outside_wire.h"
#include "token/check.h"

enum {
    ASKERS_MAX = 16,
    CALLS_PER_ASKER_MAX = POOL_WAITING_MAX / 2,
    LOOK_EVERY_MS = 5000,
    STUCK_MS = 30000, /* beyond the time of a check: then the threads will not come back */
};

/* A worker's channel. */
struct asker {
    struct rpc_channel channel;
    struct list calls;
    size_t under_way;
    bool is_used;
};

/* A call under way. It outlives its answer where the thread takes longer than anybody waits. */
struct call {
    struct list link;    /* of the asker */
    struct asker *asker; /* NULL: answered, or gone */
    uint32_t id;
    struct loop_timer timer;
    struct pool_job job;
    struct check check;
    size_t bytes;
    char memory[]; /* the request lies in it */
};

static struct {
    struct check_config *config;
    struct check_secrets secrets;
    struct pool *pool;
    struct loop_timer look_timer;
    struct asker askers[ASKERS_MAX];
} self;

/* --- calls --- */

static void free_call(struct call *call)
{
    loop_timer_clear(&call->timer);
    check_config_unref(call->check.config);
    explicit_bzero(call->memory, call->bytes);
    free(call);
}

static void forget_asker(struct asker *asker)
{
    LIST_FOR_EACH (&asker->calls, link) {
        list_remove(link);
        CONTAINER_OF(link, struct call, link)->asker = NULL;
    }
    asker->is_used = false;
}

/* From here on nobody waits for the call. */
static void answer(struct call *call, enum outside_verdict verdict)
{
    struct asker *asker = call->asker;
    struct outside_answer a = {.verdict = (uint8_t)verdict};
    struct buf reply;

    loop_timer_clear(&call->timer);
    if (asker == NULL)
        return;
    list_remove(&call->link);
    call->asker = NULL;
    asker->under_way--;
    /* Only then has the thread done with it. */
    if (verdict == OUTSIDE_RIGHT)
        a.name = str_from_c(call->check.name);
    buf_init(&reply, OUTSIDE_ANSWER_MAX_BYTES);
    outside_put_answer(&reply, &a);
    int r = rpc_channel_send(&asker->channel, call->id, 0, buf_str(&reply));
    buf_done(&reply);
    if (r == 0)
        return;
    /* Who does not take his answers has no use for the channel. */
    LOG(LOG_WARNING, "auth.asker-dropped", LOG_ERR(r));
    rpc_channel_close(&asker->channel);
    forget_asker(asker);
}

static void run_job(struct pool_job *job, unsigned thread)
{
    struct call *call = CONTAINER_OF(job, struct call, job);

    call->check.thread = thread;
    check_run(&call->check);
}

static void on_done(struct pool_job *job)
{
    struct call *call = CONTAINER_OF(job, struct call, job);

    answer(call, job->was_run ? call->check.verdict : OUTSIDE_TEMPORARY);
    free_call(call);
}

/* The thread goes on with it, and what it finds out then is of no use. */
static void on_timeout(struct loop_timer *t)
{
    struct call *call = CONTAINER_OF(t, struct call, timer);

    LOG(LOG_WARNING, "auth.too-slow", LOG_STR("name", call->check.request.name),
        LOG_INT("waited_ms", self.config->settings->auth_outside_timeout),
        LOG_C("hint", "see why the directory, the PAM modules or the issuer of tokens take so "
                      "long, or raise auth.outside_timeout"));
    answer(call, OUTSIDE_TEMPORARY);
}

/* With its own copy of the request. */
static struct call *new_call(struct asker *asker, const struct rpc_frame *frame)
{
    struct call *call = xcalloc(1, sizeof(*call) + frame->payload.len);
    int64_t deadline_ms = clock_mono_ms() + self.config->settings->auth_outside_timeout;

    call->bytes = frame->payload.len;
    memcpy(call->memory, frame->payload.ptr, frame->payload.len);
    call->id = frame->call_id;
    call->timer.on_fire = on_timeout;
    call->check = (struct check){.verb = frame->code, .deadline_ms = deadline_ms};
    if (outside_get_request(str_from_mem(call->memory, call->bytes), &call->check.request) < 0) {
        free_call(call);
        return NULL;
    }
    call->check.config = check_config_ref(self.config);
    call->job = (struct pool_job){.whose = call->check.request.name,
                                  .deadline_ms = deadline_ms,
                                  .run = run_job,
                                  .on_done = on_done};
    call->asker = asker;
    list_init(&call->link);
    list_append(&asker->calls, &call->link);
    asker->under_way++;
    loop_timer_set(&call->timer, deadline_ms);
    return call;
}

static void log_overload(const struct call *call)
{
    LOG(LOG_WARNING, "auth.too-many", LOG_STR("name", call->check.request.name),
        LOG_C("effect", "the client is told to try again later"),
        LOG_C("hint", "raise auth.outside_threads, or see why each check takes so long"));
}

static int on_frame(struct rpc_channel *c, struct rpc_frame *frame)
{
    struct asker *asker = CONTAINER_OF(c, struct asker, channel);

    if (frame->code != OUTSIDE_PASSWORD && frame->code != OUTSIDE_TOKEN)
        return -EBADMSG;
    bool is_refused = asker->under_way >= CALLS_PER_ASKER_MAX;
    struct call *call = new_call(asker, frame);
    if (call == NULL)
        return -EBADMSG;
    if (!is_refused && pool_submit(self.pool, &call->job) == 0)
        return 0;
    log_overload(call);
    answer(call, OUTSIDE_TEMPORARY);
    free_call(call);
    return 0;
}

/* --- channels --- */

static void on_close(struct rpc_channel *c)
{
    forget_asker(CONTAINER_OF(c, struct asker, channel));
}

static int add_channel(int fd)
{
    struct asker *asker = self.askers;

    while (asker < self.askers + ASKERS_MAX && asker->is_used)
        asker++;
    if (asker == self.askers + ASKERS_MAX) {
        close(fd);
        return -EMFILE;
    }
    *asker = (struct asker){.channel = {.on_frame = on_frame, .on_close = on_close}};
    list_init(&asker->calls);
    int r = rpc_channel_open(&asker->channel, fd);
    asker->is_used = r == 0;
    return r;
}

/* --- the service --- */

/* Nobody can stop a thread that hangs in a library; but the master starts this process again. */
static void on_look(struct loop_timer *t)
{
    int64_t now_ms = clock_mono_ms(), since_ms = pool_busy_since_ms(self.pool);
    int64_t allowed_ms = self.config->settings->auth_outside_timeout + STUCK_MS;

    loop_timer_set(t, now_ms + LOOK_EVERY_MS);
    if (since_ms == 0 || now_ms - since_ms < allowed_ms)
        return;
    LOG(LOG_ERROR, "auth.stuck", LOG_INT("for_ms", now_ms - since_ms),
        LOG_C("effect", "all threads hang in a check: this process ends and is started again"),
        LOG_C("hint", "see which of the PAM modules, or which server, never answers"));
    loop_stop();
}

static void use_settings(struct settings *settings)
{
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              auth_service.name);
    check_config_unref(self.config);
    self.config = check_config_new(settings, &self.secrets);
}

static int take_secrets(struct control_event *event)
{
    int r = check_secrets_take(&self.secrets, event);

    if (r == 0)
        use_settings(settings_copy(self.config->settings));
    return r;
}

static int take_settings(struct cursor *payload)
{
    struct settings *settings;
    int r = settings_decode(cursor_rest(payload), &settings);

    if (r == 0)
        use_settings(settings);
    return r;
}

static void on_control(struct control_event *event)
{
    int r = 0;

    switch (event->type) {
    case CONTROL_SETTINGS:
        r = take_settings(&event->payload);
        break;
    case CONTROL_TLS:
        r = take_secrets(event);
        break;
    case CONTROL_ADD_CHANNEL:
        r = add_channel(event->fd);
        break;
    case CONTROL_DRAIN:
        loop_stop(); /* all who could ask have ended before */
        break;
    default:
        if (event->fd >= 0)
            close(event->fd);
        break;
    }
    if (r < 0)
        LOG(LOG_ERROR, "auth.control-failed", LOG_INT("message", event->type), LOG_ERR(r));
}

static void on_orphaned(void)
{
    loop_stop();
}

static int start(struct settings *settings, unsigned slot)
{
    (void)slot;
    check_secrets_init(&self.secrets);
    use_settings(settings);
    check_warn(settings);
    self.look_timer.on_fire = on_look;
    loop_timer_set(&self.look_timer, clock_mono_ms() + LOOK_EVERY_MS);
    int r = pool_new((unsigned)settings->auth_outside_threads, &self.pool);
    if (r < 0)
        LOG(LOG_ERROR, "auth.no-threads", LOG_ERR(r));
    return r;
}

static void finish(void)
{
    for (size_t i = 0; i < ASKERS_MAX; i++) {
        if (self.askers[i].is_used)
            rpc_channel_close(&self.askers[i].channel);
    }
    pool_end(self.pool);
    check_config_unref(self.config);
    check_secrets_done(&self.secrets);
}

/* What the libraries of tokens read at their first use, they read before the sandbox is closed. */
static const struct sandbox_profile *profile(const struct settings *settings)
{
    if (settings->auth_oauth != SETTINGS_OAUTH_OFF)
        token_start();
    if (settings->auth_backend == SETTINGS_AUTH_LDAP)
        ldap_check_start();
    return auth_profile(settings);
}

static const char *user(const struct settings *settings)
{
    return settings->auth_outside_user;
}

const struct service auth_service = {
    .name = "auth",
    .user = user,
    .has_its_groups = true,
    .profile = profile,
    .start = start,
    .on_control = on_control,
    .on_orphaned = on_orphaned,
    .finish = finish,
};
