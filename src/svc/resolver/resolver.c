/*
 * The resolver process: answers the questions of all workers with libunbound. It may ask name
 * servers and nothing else: no files (what it needs from one is read before the sandbox), no
 * listeners, no store, no mail.
 *
 * Workers are strangers here as well: a frame that is malformed cuts the channel off, and what one
 * worker has under way is bounded, so that it cannot keep the others from asking.
 */
#include "svc/resolver/resolver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "dns/dns_wire.h"
#include "rt/rpc.h"
#include "svc/resolver/engine.h"
#include "svc/resolver/unbound_config.h"

enum {
    ASKERS_MAX = 64,
    QUESTIONS_PER_ASKER_MAX = ENGINE_QUESTIONS_MAX / 4 * 3,
};

/* A worker's channel. */
struct asker {
    struct rpc_channel channel;
    struct list calls;
    size_t under_way; /* questions without an answer */
    bool is_used;
};

/* A call under way: its answers as they come in, each in wire form. */
struct call {
    struct list link;    /* of the asker */
    struct asker *asker; /* NULL: gone, nobody waits */
    uint32_t id;
    size_t count;
    size_t pending;
    struct slot {
        struct call *call;
        struct buf answer;
    } slots[];
};

static struct {
    struct settings *settings;
    struct engine *engine;
    struct buf anchors;
    int anchors_status;
    struct asker askers[ASKERS_MAX];
} self;

/* Threads and the pipes to them, again at every reload. */
static const char *const resolver_syscalls[] = {"socketpair", "pipe", "pipe2", NULL};

static const struct sandbox_profile *profile(const struct settings *settings)
{
    static const struct sandbox_profile p = {.name = "resolver",
                                             .syscalls = resolver_syscalls,
                                             .has_threads = true,
                                             .may_ask_dns = true};

    buf_init(&self.anchors, ANCHORS_MAX_BYTES);
    self.anchors_status =
        unbound_config_read_anchors(settings->resolver_trust_anchor_file, &self.anchors);
    return &p;
}

/* --- calls --- */

static void free_call(struct call *call)
{
    list_remove(&call->link);
    for (size_t i = 0; i < call->count; i++)
        buf_done(&call->slots[i].answer);
    free(call);
}

static int send_reply(const struct call *call)
{
    struct buf reply;

    buf_init(&reply, DNS_WIRE_MAX_BYTES);
    for (size_t i = 0; i < call->count; i++)
        buf_put_str(&reply, buf_str(&call->slots[i].answer));
    int r = buf_status(&reply);
    if (r == 0)
        r = rpc_channel_send(&call->asker->channel, call->id, 0, buf_str(&reply));
    buf_done(&reply);
    return r;
}

static void forget_asker(struct asker *asker)
{
    LIST_FOR_EACH (&asker->calls, link) {
        list_remove(link);
        CONTAINER_OF(link, struct call, link)->asker = NULL;
    }
    asker->is_used = false;
}

/* One answer less to wait for. Replies and frees the call after the last one. */
static void note_answer(struct call *call)
{
    struct asker *asker = call->asker;

    if (--call->pending > 0)
        return;
    int r = asker != NULL ? send_reply(call) : 0;
    free_call(call);
    if (r == 0)
        return;
    /* Who does not take his answers has no use for the channel. */
    LOG(LOG_WARNING, "resolver.asker-dropped", LOG_ERR(r));
    rpc_channel_close(&asker->channel);
    forget_asker(asker);
}

static void on_answer(void *arg, const struct dns_answer *answer)
{
    struct slot *slot = arg;
    struct call *call = slot->call;

    dns_wire_put_answer(&slot->answer, answer, DNS_WIRE_MAX_BYTES / call->count);
    if (call->asker != NULL)
        call->asker->under_way--;
    note_answer(call);
}

static struct call *new_call(struct asker *asker, uint32_t id, size_t count)
{
    struct call *call = xcalloc(1, sizeof(*call) + count * sizeof(call->slots[0]));

    call->asker = asker;
    call->id = id;
    call->count = count;
    call->pending = count + 1; /* one for the asking itself */
    list_init(&call->link);
    list_append(&asker->calls, &call->link);
    for (size_t i = 0; i < count; i++) {
        call->slots[i].call = call;
        buf_init(&call->slots[i].answer, DNS_WIRE_MAX_BYTES);
    }
    return call;
}

static int on_frame(struct rpc_channel *c, struct rpc_frame *frame)
{
    static const struct dns_answer refusal = {.status = DNS_FAILED,
                                              .why = {"too many questions at once", 26}};
    struct asker *asker = CONTAINER_OF(c, struct asker, channel);
    struct dns_question questions[DNS_QUESTIONS_MAX];
    size_t count;

    if (frame->code != DNS_VERB_LOOKUP)
        return -EBADMSG;
    int r = dns_wire_read_questions(frame->payload, questions, &count);
    if (r < 0)
        return r;
    struct call *call = new_call(asker, frame->call_id, count);
    for (size_t i = 0; i < count; i++) {
        bool is_refused = asker->under_way >= QUESTIONS_PER_ASKER_MAX;
        asker->under_way++;
        if (is_refused)
            on_answer(&call->slots[i], &refusal);
        else
            engine_ask(self.engine, &questions[i], on_answer, &call->slots[i]);
    }
    note_answer(call);
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

/* --- settings --- */

static void warn_about_anchors(const struct settings *settings)
{
    if (self.anchors_status == 0 && self.anchors.len > 0)
        return;
    LOG(LOG_WARNING, "resolver.no-trust-anchor",
        LOG_C("file", settings->resolver_trust_anchor_file),
        LOG_C("why", self.anchors_status < 0 ? strerror(-self.anchors_status) : "it is empty"),
        LOG_C("risk", "answers of the DNS are not validated, and DANE is out of use"),
        LOG_C("hint", "install dns-root-data, or set resolver.trust_anchor_file"));
}

/* A new context begins with an empty cache, which is not for nothing. */
static bool is_same(const struct settings *a, const struct settings *b)
{
    return settings_list_is_equal(&a->resolver_forwarders, &b->resolver_forwarders) &&
           settings_list_is_equal(&a->resolver_stub_zones, &b->resolver_stub_zones) &&
           settings_list_is_equal(&a->resolver_local_records, &b->resolver_local_records) &&
           a->resolver_cache_size == b->resolver_cache_size &&
           a->resolver_timeout == b->resolver_timeout;
}

static int configure(const struct settings *settings)
{
    struct buf text;
    int r;

    buf_init(&text, 4096);
    if (self.engine == NULL)
        r = engine_new(settings, buf_str(&self.anchors), &self.engine, &text);
    else
        r = engine_configure(self.engine, settings, buf_str(&self.anchors), &text);
    if (r < 0)
        LOG(LOG_ERROR, "resolver.settings-refused", LOG_STR("why", str_trim(buf_str(&text))));
    buf_done(&text);
    return r;
}

static int take_settings(struct cursor *payload)
{
    struct settings *settings;

    int r = settings_decode(cursor_rest(payload), &settings);
    if (r < 0)
        return r;
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format,
              resolver_service.name);
    if (!is_same(self.settings, settings))
        r = configure(settings);
    /* After a refusal the old ones stay the measure of what has changed. */
    settings_free(r < 0 ? settings : self.settings);
    if (r == 0)
        self.settings = settings;
    return r;
}

/* --- the service --- */

static void on_control(struct control_event *event)
{
    int r = 0;

    switch (event->type) {
    case CONTROL_SETTINGS:
        r = take_settings(&event->payload);
        break;
    case CONTROL_ADD_CHANNEL:
        r = add_channel(event->fd);
        break;
    case CONTROL_DRAIN:
        loop_stop(); /* all who could ask have ended before */
        break;
    default:
        break;
    }
    if (r < 0)
        LOG(LOG_ERROR, "resolver.control-failed", LOG_INT("message", event->type), LOG_ERR(r));
}

static void on_orphaned(void)
{
    loop_stop();
}

static int start(struct settings *settings, unsigned slot)
{
    (void)slot;
    self.settings = settings;
    warn_about_anchors(settings);
    return configure(settings);
}

static void finish(void)
{
    for (size_t i = 0; i < ASKERS_MAX; i++) {
        if (self.askers[i].is_used)
            rpc_channel_close(&self.askers[i].channel);
    }
    engine_free(self.engine);
    buf_done(&self.anchors);
    settings_free(self.settings);
}

const struct service resolver_service = {
    .name = "resolver",
    .profile = profile,
    .start = start,
    .on_control = on_control,
    .on_orphaned = on_orphaned,
    .finish = finish,
};
