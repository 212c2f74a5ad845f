/* Threads for calls that block: see pool.h. */
#include "svc/auth/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/loop.h"

struct worker {
    struct pool *pool;
    pthread_t thread;
    unsigned number;
    struct pool_job *job; /* at hand; NULL: idle */
    int64_t since_ms;     /* of the job at hand */
};

struct pool {
    pthread_mutex_t lock; /* for all below but the watch */
    pthread_cond_t changed;
    struct list waiting;
    size_t waiting_count;
    struct list done;
    bool is_closed;
    unsigned count;
    struct worker workers[POOL_THREADS_MAX];
    struct loop_watch watch; /* an eventfd: something is done */
};

/* --- on the threads --- */

static bool may_run(const struct pool *p, const struct pool_job *job)
{
    unsigned busy = 0;

    for (unsigned i = 0; i < p->count; i++)
        busy += p->workers[i].job != NULL && str_eq(p->workers[i].job->whose, job->whose);
    return busy < MAX(p->count / 2, 1U);
}

/* The first that may run, or whose time is over; NULL when all must wait. */
static struct pool_job *choose(struct pool *p)
{
    int64_t now_ms = clock_mono_ms();

    LIST_FOR_EACH (&p->waiting, link) {
        struct pool_job *job = CONTAINER_OF(link, struct pool_job, link);
        job->was_run = job->deadline_ms > now_ms;
        if (!job->was_run || may_run(p, job)) {
            list_remove(&job->link);
            p->waiting_count--;
            return job;
        }
    }
    return NULL;
}

/* NULL when the pool is closed. */
static struct pool_job *take(struct worker *w)
{
    struct pool *p = w->pool;
    struct pool_job *job = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->is_closed && (job = choose(p)) == NULL)
        pthread_cond_wait(&p->changed, &p->lock);
    w->job = job;
    w->since_ms = clock_mono_ms();
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void give_back(struct worker *w)
{
    struct pool *p = w->pool;
    uint64_t one = 1;

    pthread_mutex_lock(&p->lock);
    list_append(&p->done, &w->job->link);
    w->job = NULL;
    /* Also what had to wait for a thread of the same name may run now: let all look. */
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    (void)!write(p->watch.fd, &one, sizeof(one));
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pool_job *job;

    while ((job = take(w)) != NULL) {
        if (job->was_run)
            job->run(job, w->number);
        give_back(w);
    }
    return NULL;
}

/* --- on the loop --- */

static void on_ready(struct loop_watch *watch, unsigned ready)
{
    struct pool *p = CONTAINER_OF(watch, struct pool, watch);
    struct list done, *link;
    uint64_t count;

    (void)ready;
    (void)!read(watch->fd, &count, sizeof(count));
    list_init(&done);
    pthread_mutex_lock(&p->lock);
    list_splice(&done, &p->done);
    pthread_mutex_unlock(&p->lock);
    while ((link = list_pop(&done)) != NULL) {
        struct pool_job *job = CONTAINER_OF(link, struct pool_job, link);
        job->on_done(job);
    }
}

int pool_submit(struct pool *p, struct pool_job *job)
{
    pthread_mutex_lock(&p->lock);
    bool may = p->waiting_count < POOL_WAITING_MAX && !p->is_closed;
    if (may) {
        list_init(&job->link);
        list_append(&p->waiting, &job->link);
        p->waiting_count++;
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return may ? 0 : -EBUSY;
}

int64_t pool_busy_since_ms(struct pool *p)
{
    int64_t since_ms = 0;

    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->count; i++) {
        if (p->workers[i].job == NULL) {
            since_ms = 0;
            break;
        }
        since_ms = MAX(since_ms, p->workers[i].since_ms);
    }
    pthread_mutex_unlock(&p->lock);
    return since_ms;
}

static int start_threads(struct pool *p, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        struct worker *w = &p->workers[i];
        *w = (struct worker){.pool = p, .number = i};
        int error = pthread_create(&w->thread, NULL, work, w);
        if (error != 0)
            return -error;
        pthread_mutex_lock(&p->lock);
        p->count++;
        pthread_mutex_unlock(&p->lock);
    }
    return 0;
}

int pool_new(unsigned threads, struct pool **out)
{
    struct pool *p = xcalloc(1, sizeof(*p));

    ASSERT(threads > 0 && threads <= POOL_THREADS_MAX);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    list_init(&p->waiting);
    list_init(&p->done);
    p->watch =
        (struct loop_watch){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .on_ready = on_ready};
    int r = p->watch.fd < 0 ? -errno : loop_watch_add(&p->watch, LOOP_READ);
    if (r < 0) {
        free(p);
        return r;
    }
    r = start_threads(p, threads);
    if (r < 0) {
        pool_end(p);
        return r;
    }
    *out = p;
    return 0;
}

static bool is_idle(struct pool *p)
{
    bool is_idle = true;

    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->count; i++)
        is_idle &= p->workers[i].job == NULL;
    pthread_mutex_unlock(&p->lock);
    return is_idle;
}

void pool_end(struct pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->is_closed = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    loop_watch_remove(&p->watch);
    if (!is_idle(p))
        return;
    for (unsigned i = 0; i < p->count; i++)
        pthread_join(p->workers[i].thread, NULL);
    close(p->watch.fd);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
