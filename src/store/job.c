/* One request under way inside the store: see job.h. */
#include "store/job.h"

#include <stdlib.h>
#include <string.h>

struct job *job_new_with(const struct verb *verb, char *memory, struct str payload)
{
    struct job *job = xcalloc(1, sizeof(*job));

    list_init(&job->link);
    job->verb = verb;
    job->memory = memory;
    job->payload = payload.ptr;
    job->payload_bytes = payload.len;
    job->spool.fd = -1;
    arena_init(&job->arena, JOB_ARENA_MAX_BYTES);
    buf_init(&job->reply, JOB_REPLY_MAX_BYTES);
    buf_init(&job->trace, JOB_REPLY_MAX_BYTES);
    return job;
}

struct job *job_new(const struct verb *verb, struct str payload)
{
    char *copy = str_dup(payload);

    return job_new_with(verb, copy, str_from_mem(copy, payload.len));
}

static void wipe(struct job *job)
{
    explicit_bzero((char *)(uintptr_t)job->payload, job->payload_bytes);
    if (job->reply.ptr != NULL)
        explicit_bzero(job->reply.ptr, job->reply.cap);
    arena_wipe(&job->arena);
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    if (job->verb->has_secret)
        wipe(job);
    free(job->memory);
    arena_done(&job->arena);
    buf_done(&job->reply);
    buf_done(&job->trace);
    free(job);
}

struct cursor job_args(const struct job *job)
{
    return cursor_from(str_from_mem(job->payload, job->payload_bytes));
}

verb_handler *job_prepare_handler(const struct job *job)
{
    return job->has_spool ? job->verb->prepare_spool : job->verb->prepare;
}

int job_fail(struct job *job, int error, const char *fmt, ...)
{
    va_list args;

    buf_reset(&job->reply);
    va_start(args, fmt);
    buf_vprintf(&job->reply, fmt, args);
    va_end(args);
    return error;
}
