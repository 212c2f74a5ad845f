/* Asking the DNS with libunbound: see engine.h. */
#include "svc/resolver/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/list.h"
#include "dns/record.h"
#include "rt/loop.h"
#include "svc/resolver/unbound_config.h"

enum {
    CLASS_IN = 1,
    RCODE_OK = 0,
    RCODE_SERVFAIL = 2,
    RCODE_NXDOMAIN = 3,
    RCODE_REFUSED = 5,
    OLD_CONTEXTS_MAX = 4, /* that still have questions; one more and the oldest goes */
    FAILED_TTL_S = 30,
};

/* One set of settings: the one in force, or an old one whose questions finish. */
struct context {
    struct list link;
    struct engine *engine;
    struct ub_ctx *ub;
    struct loop_watch watch;
    struct list queries;
};

struct query {
    struct list link; /* of the context */
    struct engine *engine;
    struct loop_timer timer;
    engine_answer_fn *answer; /* NULL: answered in vain, or forgotten */
    void *arg;
};

struct engine {
    struct context *now;
    struct list old; /* contexts, oldest first */
    size_t old_count;
    size_t under_way;
    int64_t timeout_ms;
    struct str data[DNS_RECORDS_MAX]; /* of the answer at hand */
};

/* --- answers --- */

static void give_answer(struct query *q, const struct dns_answer *answer)
{
    engine_answer_fn *fn = q->answer;

    loop_timer_clear(&q->timer);
    q->answer = NULL;
    if (fn != NULL)
        fn(q->arg, answer);
}

static struct dns_answer failure(struct str why)
{
    return (struct dns_answer){.status = DNS_FAILED, .ttl_s = FAILED_TTL_S, .why = why};
}

static const char *explain_rcode(int rcode)
{
    switch (rcode) {
    case RCODE_SERVFAIL:
        return "the name servers cannot be reached or do not answer usefully (SERVFAIL)";
    case RCODE_REFUSED:
        return "the name servers refuse to answer (REFUSED)";
    default:
        return "the name servers answer with an error";
    }
}

/* The records, as far as they are few and small enough. */
static size_t list_records(struct engine *e, const struct ub_result *result)
{
    size_t count = 0;

    for (size_t i = 0; result->data[i] != NULL && count < DNS_RECORDS_MAX; i++) {
        if (result->len[i] >= 0 && result->len[i] <= DNS_RDATA_MAX_BYTES)
            e->data[count++] = str_from_mem(result->data[i], (size_t)result->len[i]);
    }
    return count;
}

static void set_status(struct dns_answer *a, struct engine *e, const struct ub_result *result)
{
    if (result->rcode == RCODE_NXDOMAIN) {
        a->status = DNS_NO_NAME;
        return;
    }
    if (result->rcode != RCODE_OK) {
        *a = failure(str_from_c(explain_rcode(result->rcode)));
        return;
    }
    a->data = e->data;
    a->count = result->havedata && result->data != NULL ? list_records(e, result) : 0;
    a->status = a->count > 0 ? DNS_OK : DNS_NO_DATA;
}

static void deliver_bogus(struct query *q, const struct ub_result *result)
{
    char why[ENGINE_WHY_MAX_BYTES];
    struct dns_answer answer = failure(STR(""));

    (void)snprintf(why, sizeof(why), "DNSSEC validation failed: %s",
                   result->why_bogus != NULL ? result->why_bogus : "no reason is known");
    answer.status = DNS_BOGUS;
    answer.why = str_from_c(why);
    give_answer(q, &answer);
}

static void deliver(struct query *q, const struct ub_result *result)
{
    struct dns_answer answer = {.is_secure = result->secure != 0,
                                .ttl_s = result->ttl > 0 ? (uint32_t)result->ttl : 0};
    char name[4 * DNS_NAME_MAX_BYTES + 1]; /* with escapes */

    if (result->bogus) {
        deliver_bogus(q, result);
        return;
    }
    const char *canonical = result->canonname != NULL ? result->canonname : result->qname;
    (void)snprintf(name, sizeof(name), "%s", canonical != NULL ? canonical : "");
    for (char *c = name; *c != '\0'; c++)
        *c = ascii_lower(*c);
    answer.name = str_from_c(name);
    if (answer.name.len > 0 && answer.name.ptr[answer.name.len - 1] == '.')
        answer.name.len--;
    set_status(&answer, q->engine, result);
    give_answer(q, &answer);
}

static void on_result(void *arg, int error, struct ub_result *result)
{
    struct query *q = arg;

    list_remove(&q->link);
    q->engine->under_way--;
    if (error != 0 || result == NULL) {
        struct dns_answer answer = failure(str_from_c(ub_strerror(error)));
        give_answer(q, &answer);
    } else {
        deliver(q, result);
    }
    ub_resolve_free(result);
    free(q);
}

static void on_timeout(struct loop_timer *t)
{
    struct query *q = CONTAINER_OF(t, struct query, timer);
    struct dns_answer answer =
        failure(STR("the name servers did not answer in time (resolver.timeout)"));

    give_answer(q, &answer);
}

/* --- contexts --- */

/* Ends the context with its thread; questions under way, if any are left, fail. */
static void delete_context(struct context *c)
{
    struct dns_answer answer = failure(STR("the settings changed meanwhile"));

    loop_watch_remove(&c->watch);
    ub_ctx_delete(c->ub);
    for (struct list *it = c->queries.next; it != &c->queries;) {
        struct query *q = CONTAINER_OF(it, struct query, link);
        it = it->next;
        c->engine->under_way--;
        give_answer(q, &answer);
        free(q);
    }
    free(c);
}

static void drop_old_context(struct context *c)
{
    list_remove(&c->link);
    c->engine->old_count--;
    delete_context(c);
}

static void on_results(struct loop_watch *w, unsigned ready)
{
    struct context *c = CONTAINER_OF(w, struct context, watch);

    (void)ready;
    (void)ub_process(c->ub);
    if (c != c->engine->now && list_is_empty(&c->queries))
        drop_old_context(c);
}

static int new_context(struct engine *e, const struct settings *settings, struct str anchors,
                       struct context **out, struct buf *out_text)
{
    struct ub_ctx *ub = unbound_config_apply(settings, anchors, out_text);

    if (ub == NULL)
        return -EINVAL;
    struct context *c = xcalloc(1, sizeof(*c));
    *c =
        (struct context){.engine = e, .ub = ub, .watch = {.fd = ub_fd(ub), .on_ready = on_results}};
    list_init(&c->link);
    list_init(&c->queries);
    int r = loop_watch_add(&c->watch, LOOP_READ);
    if (r < 0) {
        buf_put_c(out_text, "libunbound cannot be watched\n");
        ub_ctx_delete(ub);
        free(c);
        return r;
    }
    *out = c;
    return 0;
}

/* Keeps the context for its questions, if it has any. */
static void retire_context(struct engine *e, struct context *c)
{
    list_append(&e->old, &c->link);
    e->old_count++;
    if (list_is_empty(&c->queries))
        drop_old_context(c);
    else if (e->old_count > OLD_CONTEXTS_MAX)
        drop_old_context(CONTAINER_OF(e->old.next, struct context, link));
}

int engine_configure(struct engine *e, const struct settings *settings, struct str anchors,
                     struct buf *out_text)
{
    struct context *old = e->now;

    int r = new_context(e, settings, anchors, &e->now, out_text);
    if (r < 0)
        return r;
    e->timeout_ms = settings->resolver_timeout;
    if (old != NULL)
        retire_context(e, old);
    return 0;
}

int engine_new(const struct settings *settings, struct str anchors, struct engine **out,
               struct buf *out_text)
{
    struct engine *e = xcalloc(1, sizeof(*e));

    list_init(&e->old);
    int r = engine_configure(e, settings, anchors, out_text);
    if (r < 0) {
        free(e);
        return r;
    }
    *out = e;
    return 0;
}

static void forget_queries(struct context *c)
{
    LIST_FOR_EACH (&c->queries, link) {
        struct query *q = CONTAINER_OF(link, struct query, link);
        loop_timer_clear(&q->timer);
        q->answer = NULL;
    }
}

void engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    LIST_FOR_EACH (&e->old, link) {
        forget_queries(CONTAINER_OF(link, struct context, link));
        drop_old_context(CONTAINER_OF(link, struct context, link));
    }
    forget_queries(e->now);
    delete_context(e->now);
    free(e);
}

size_t engine_under_way(const struct engine *e)
{
    return e->under_way;
}

/* --- questions --- */

static int start_query(struct engine *e, struct query *q, const struct dns_question *question)
{
    char name[DNS_NAME_MAX_BYTES + 1];

    if (!str_copy(question->name, name, sizeof(name)))
        return UB_SYNTAX;
    int error =
        ub_resolve_async(e->now->ub, name, (int)question->type, CLASS_IN, q, on_result, NULL);
    if (error != 0)
        return error;
    list_append(&e->now->queries, &q->link);
    e->under_way++;
    loop_timer_set(&q->timer, clock_mono_ms() + e->timeout_ms);
    return 0;
}

void engine_ask(struct engine *e, const struct dns_question *question, engine_answer_fn *answer,
                void *arg)
{
    struct dns_answer refusal = failure(STR("too many questions at once"));

    if (!dns_name_is_valid(question->name)) {
        refusal.status = DNS_NO_NAME;
        refusal.why = STR("not a name that the DNS could have");
        answer(arg, &refusal);
        return;
    }
    if (e->under_way >= ENGINE_QUESTIONS_MAX) {
        answer(arg, &refusal);
        return;
    }
    struct query *q = xcalloc(1, sizeof(*q));
    *q =
        (struct query){.engine = e, .timer = {.on_fire = on_timeout}, .answer = answer, .arg = arg};
    list_init(&q->link);
    int error = start_query(e, q, question);
    if (error == 0)
        return;
    free(q);
    refusal.why = str_from_c(ub_strerror(error));
    answer(arg, &refusal);
}
