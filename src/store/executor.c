/* The store's threads and the group commit: see executor.h. */
#include "store/executor.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct list jobs;
    size_t count, max_count;
    bool is_closed;
};

/* Threads that take jobs one by one, each with a view of the rows of its own. */
struct crew {
    struct executor *executor;
    struct queue queue;
    pthread_t *threads;
    unsigned count;
};

struct executor {
    struct executor_config config;
    struct queue writes;
    struct crew readers;
    struct crew hashers; /* apart, so that no read waits behind a password */
    pthread_t writer;
    pthread_t syncer;
    /* The segment sync of the group at hand. */
    pthread_mutex_t sync_lock;
    pthread_cond_t sync_changed;
    enum { SYNC_IDLE, SYNC_WANTED, SYNC_DONE, SYNC_QUIT } sync_state;
    int sync_result;
    /* The way back. */
    pthread_mutex_t done_lock;
    struct list done;
    int done_fd;
    _Atomic uint64_t groups, jobs, failed_groups;
};

static void queue_init(struct queue *q, size_t max_count)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, NULL);
    list_init(&q->jobs);
    q->count = 0;
    q->max_count = max_count;
    q->is_closed = false;
}

static int queue_put(struct queue *q, struct job *job)
{
    pthread_mutex_lock(&q->lock);
    bool may = q->count < q->max_count && !q->is_closed;
    if (may) {
        list_append(&q->jobs, &job->link);
        if (q->count++ == 0)
            pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return may ? 0 : -EBUSY;
}

/* Waits for jobs and takes up to `max`. The number taken; 0 when the queue is closed and empty. */
static size_t queue_take(struct queue *q, struct list *out, size_t max)
{
    size_t taken = 0;

    pthread_mutex_lock(&q->lock);
    while (q->count == 0 && !q->is_closed)
        pthread_cond_wait(&q->filled, &q->lock);
    while (taken < max && q->count > 0) {
        list_append(out, list_pop(&q->jobs));
        q->count--;
        taken++;
    }
    /* Another reader may take the rest. */
    if (q->count > 0 || q->is_closed)
        pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
    return taken;
}

static void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->is_closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

static void give_back(struct executor *e, struct list *jobs)
{
    uint64_t one = 1;

    pthread_mutex_lock(&e->done_lock);
    bool was_empty = list_is_empty(&e->done);
    list_splice(&e->done, jobs);
    pthread_mutex_unlock(&e->done_lock);
    if (was_empty)
        (void)!write(e->done_fd, &one, sizeof(one));
}

static void give_back_one(struct executor *e, struct job *job)
{
    struct list one;

    list_init(&one);
    list_append(&one, &job->link);
    give_back(e, &one);
}

/* --- the syncer: the segment's half of a commit --- */

static void *run_syncer(void *arg)
{
    struct executor *e = arg;

    pthread_mutex_lock(&e->sync_lock);
    while (e->sync_state != SYNC_QUIT) {
        if (e->sync_state != SYNC_WANTED) {
            pthread_cond_wait(&e->sync_changed, &e->sync_lock);
            continue;
        }
        pthread_mutex_unlock(&e->sync_lock);
        int r = bodies_sync(e->config.bodies);
        pthread_mutex_lock(&e->sync_lock);
        e->sync_result = r;
        e->sync_state = SYNC_DONE;
        pthread_cond_broadcast(&e->sync_changed);
    }
    pthread_mutex_unlock(&e->sync_lock);
    return NULL;
}

static void set_sync_state(struct executor *e, int state)
{
    pthread_mutex_lock(&e->sync_lock);
    e->sync_state = state;
    pthread_cond_broadcast(&e->sync_changed);
    pthread_mutex_unlock(&e->sync_lock);
}

static int wait_for_sync(struct executor *e)
{
    pthread_mutex_lock(&e->sync_lock);
    while (e->sync_state != SYNC_DONE)
        pthread_cond_wait(&e->sync_changed, &e->sync_lock);
    e->sync_state = SYNC_IDLE;
    int r = e->sync_result;
    pthread_mutex_unlock(&e->sync_lock);
    return r;
}

/* --- the writer --- */

/* What the jobs of a group did, taken together. */
struct group {
    struct list *jobs;
    size_t count;
    int64_t before;      /* end of the active segment when it began */
    int64_t added_bytes; /* appended by jobs that succeeded */
    struct job_freed freed;
    bool has_body;
    bool has_moved;
};

/* Most often all of a group is of one segment: that is counted once. */
static int note_freed(struct executor *e, struct group *g, const struct job_freed *freed)
{
    if (freed->bytes == 0)
        return 0;
    if (g->freed.bytes > 0 && g->freed.segment != freed->segment)
        return e->config.count_freed(e->config.writer_db, *freed);
    g->freed.segment = freed->segment;
    g->freed.bytes += freed->bytes;
    return 0;
}

static int end_failed(const struct job *job, struct db *db, int64_t changes)
{
    if (!job->verb->is_whole)
        return db_rollback_to(db);
    if (!db_has_transaction(db))
        return -EIO;
    return db_changes(db) == changes ? 0 : job->status;
}

/* Runs one job, inside a savepoint if it needs one. Negative when the whole group cannot go on. */
static int run_write(struct executor *e, struct group *g, struct job *job, int64_t now_ms)
{
    struct db *db = e->config.writer_db;
    int64_t changes = db_changes(db);

    int r = job->verb->is_whole ? 0 : db_savepoint(db);
    if (r < 0)
        return r;
    job->db = db;
    job->now_ms = now_ms;
    job->status = job->verb->handler(e->config.store, job);
    job->db = NULL;
    if (job->status < 0)
        return end_failed(job, db, changes);
    g->added_bytes += job->added_bytes;
    g->has_body |= job->has_body;
    g->has_moved |= job->has_moved;
    r = job->verb->is_whole ? 0 : db_release(db);
    return r < 0 ? r : note_freed(e, g, &job->freed);
}

static int run_group(struct executor *e, struct group *g)
{
    struct db *db = e->config.writer_db;
    int64_t now_ms = clock_real_ms();

    int r = db_begin(db);
    for (struct list *it = g->jobs->next; r == 0 && it != g->jobs; it = it->next)
        r = run_write(e, g, CONTAINER_OF(it, struct job, link), now_ms);
    if (r == 0)
        r = bodies_flush(e->config.bodies);
    if (r == 0)
        r = e->config.before_commit(e->config.store, db, g->added_bytes, g->freed);
    /* Moved bytes were acknowledged long ago: no row may name their new place before it is durable.
     */
    if (r == 0 && g->has_moved)
        r = bodies_sync(e->config.bodies);
    return r;
}

static void fail_jobs(struct list *jobs, int error, bool is_only_bodies)
{
    LIST_FOR_EACH (jobs, it) {
        struct job *job = CONTAINER_OF(it, struct job, link);
        if (job->status >= 0 && (job->has_body || !is_only_bodies))
            job->status = job_fail(job, error, "the storage failed; nothing was changed");
    }
}

static void end_process(const char *event, int error)
{
    LOG(LOG_ERROR, event, LOG_ERR(error),
        LOG_C("hint", "the store restarts and recovers; check the disk"));
    abort();
}

/* Both halves at once; 0 only when both are durable. */
static int make_durable(struct executor *e, struct group *g)
{
    bool is_parallel = g->has_body && !g->has_moved;

    if (is_parallel)
        set_sync_state(e, SYNC_WANTED);
    int r = db_commit(e->config.writer_db);
    int synced = is_parallel ? wait_for_sync(e) : 0;
    /* Nobody knows whether the log holds the commit: only recovery can tell. Nothing of this group
     * was acknowledged. */
    if (r == -ENOTRECOVERABLE)
        end_process("store.commit-unknown", r);
    if (r < 0 || synced == 0)
        return r;
    LOG(LOG_ERROR, "store.segment-sync-failed", LOG_ERR(synced),
        LOG_C("hint", "the disk reports errors: check it; such mail is answered with 451"));
    fail_jobs(g->jobs, synced, true);
    r = e->config.undo_bodies(e->config.store, e->config.writer_db, g->before);
    if (r < 0)
        end_process("store.undo-failed", r);
    e->failed_groups++;
    return 0;
}

static void log_failed_group(int error, size_t count)
{
    LOG(LOG_ERROR, "store.group-failed", LOG_ERR(error), LOG_INT("requests", count),
        LOG_C("hint", error == -ENOSPC ? "the disk is full: make room; mail waits at its senders"
                                       : "check the disk and the permissions of the data folder"));
}

static void write_group(struct executor *e, struct list *jobs, size_t count)
{
    struct group g = {.jobs = jobs, .count = count};
    int64_t segment;

    bodies_active(e->config.bodies, &segment, &g.before);
    int r = run_group(e, &g);
    if (r == 0)
        r = make_durable(e, &g);
    if (r < 0) {
        db_rollback(e->config.writer_db);
        bodies_cut_back(e->config.bodies, g.before);
        fail_jobs(jobs, r, false);
        e->failed_groups++;
        log_failed_group(r, count);
    }
    e->groups++;
    e->jobs += count;
    e->config.after_group(e->config.store, e->config.writer_db, r);
}

/* Back to the loop, or first to a reader that finishes the reply. */
static void release_group(struct executor *e, struct list *jobs)
{
    struct list done, *link;

    list_init(&done);
    while ((link = list_pop(jobs)) != NULL) {
        struct job *job = CONTAINER_OF(link, struct job, link);
        job->is_written = job->status >= 0;
        if (!job->is_written || job->verb->finish == NULL || queue_put(&e->readers.queue, job) < 0)
            list_append(&done, &job->link);
    }
    if (!list_is_empty(&done))
        give_back(e, &done);
}

static void *run_writer(void *arg)
{
    struct executor *e = arg;
    struct list jobs;
    size_t count;

    list_init(&jobs);
    while ((count = queue_take(&e->writes, &jobs, EXECUTOR_GROUP_MAX_JOBS)) > 0) {
        write_group(e, &jobs, count);
        release_group(e, &jobs);
    }
    return NULL;
}

/* --- the readers and the hashers --- */

/* What comes before a write, or nothing: then it goes on to the writer. */
static void run_prepare(struct executor *e, struct job *job)
{
    job->status = job_prepare_handler(job)(e->config.store, job);
    job->db = NULL;
    if (job->status >= 0) {
        /* From here on it is the writer's. */
        if (queue_put(&e->writes, job) == 0)
            return;
        job->status = job_fail(job, -EBUSY, "too many requests wait for the disk");
    }
    give_back_one(e, job);
}

static void run_read(struct executor *e, struct job *job, struct db *db)
{
    job->db = db;
    job->now_ms = clock_real_ms();
    if (job->is_written) {
        (void)job->verb->finish(e->config.store, job);
    } else if (job->verb->kind == VERB_WRITE) {
        run_prepare(e, job);
        return;
    } else {
        job->status = job->verb->handler(e->config.store, job);
    }
    job->db = NULL;
    give_back_one(e, job);
}

static void *run_crew(void *arg)
{
    struct crew *crew = arg;
    struct executor *e = crew->executor;
    struct db *db = NULL;
    struct list jobs;

    list_init(&jobs);
    int r = db_open(e->config.db_path, DB_READER, true, &db);
    if (r < 0)
        LOG(LOG_ERROR, "store.reader-failed", LOG_ERR(r));
    while (queue_take(&crew->queue, &jobs, 1) > 0) {
        struct job *job = CONTAINER_OF(list_pop(&jobs), struct job, link);
        if (db == NULL && !job->is_written &&
            db_open(e->config.db_path, DB_READER, true, &db) < 0) {
            job->status = job_fail(job, -EIO, "the database cannot be opened for reading");
            give_back_one(e, job);
            continue;
        }
        run_read(e, job, db);
    }
    db_close(db);
    return NULL;
}

int executor_submit(struct executor *e, struct job *job)
{
    bool is_read_first = job->verb->kind == VERB_READ || job_prepare_handler(job) != NULL;

    if (is_read_first && job->verb->is_costly)
        return queue_put(&e->hashers.queue, job);
    return queue_put(is_read_first ? &e->readers.queue : &e->writes, job);
}

int executor_event_fd(const struct executor *e)
{
    return e->done_fd;
}

void executor_take_done(struct executor *e, struct list *out_jobs)
{
    uint64_t count;

    (void)!read(e->done_fd, &count, sizeof(count));
    pthread_mutex_lock(&e->done_lock);
    list_splice(out_jobs, &e->done);
    pthread_mutex_unlock(&e->done_lock);
}

void executor_get_stats(const struct executor *e, struct executor_stats *out)
{
    *out = (struct executor_stats){
        .groups = e->groups, .jobs = e->jobs, .failed_groups = e->failed_groups};
}

static void start_crew(struct executor *e, struct crew *crew, unsigned count)
{
    crew->executor = e;
    crew->count = count;
    crew->threads = xcalloc(count, sizeof(*crew->threads));
    for (unsigned i = 0; i < count; i++)
        ASSERT(pthread_create(&crew->threads[i], NULL, run_crew, crew) == 0);
}

/* After what is queued. */
static void stop_crew(struct crew *crew)
{
    queue_close(&crew->queue);
    for (unsigned i = 0; i < crew->count; i++)
        pthread_join(crew->threads[i], NULL);
    free(crew->threads);
}

int executor_start(const struct executor_config *config, struct executor **out)
{
    struct executor *e = xcalloc(1, sizeof(*e));

    e->config = *config;
    queue_init(&e->writes, EXECUTOR_QUEUE_MAX_JOBS);
    queue_init(&e->readers.queue, EXECUTOR_QUEUE_MAX_JOBS);
    queue_init(&e->hashers.queue, EXECUTOR_HASHES_MAX_JOBS);
    pthread_mutex_init(&e->sync_lock, NULL);
    pthread_cond_init(&e->sync_changed, NULL);
    pthread_mutex_init(&e->done_lock, NULL);
    list_init(&e->done);
    e->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e->done_fd < 0) {
        int r = -errno;
        free(e);
        return r;
    }
    ASSERT(pthread_create(&e->writer, NULL, run_writer, e) == 0);
    ASSERT(pthread_create(&e->syncer, NULL, run_syncer, e) == 0);
    start_crew(e, &e->readers, config->reader_threads);
    start_crew(e, &e->hashers, config->hash_threads);
    *out = e;
    return 0;
}

void executor_stop(struct executor *e, struct list *out_jobs)
{
    if (e == NULL)
        return;
    stop_crew(&e->hashers);
    stop_crew(&e->readers);
    queue_close(&e->writes);
    pthread_join(e->writer, NULL);
    set_sync_state(e, SYNC_QUIT);
    pthread_join(e->syncer, NULL);
    list_splice(out_jobs, &e->done);
    close(e->done_fd);
    free(e);
}
