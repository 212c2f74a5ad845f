/* The store inside this process: see local_store.h. */
#include "cli/local_store.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "store/verbs.h"

enum { CALL_TIMEOUT_MS = 60 * 1000, TEXT_MAX_BYTES = 4096 };

int local_store_open(const struct settings *settings, struct store **out)
{
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    (void)umask(077); /* letters are nobody else's business */
    int r = store_open(settings, out, &text);
    if (r == 0) {
        r = store_start(*out);
        if (r < 0)
            store_close(*out);
    }
    int status = CLI_DONE;
    if (r < 0)
        status = cli_fail("%s (%s)", text.len > 0 ? buf_c_str(&text) : "the store does not open",
                          strerror(-r));
    buf_done(&text);
    return status;
}

int local_store_call(struct store *store, unsigned verb, struct str args, struct buf *out_reply)
{
    struct pollfd p = {.fd = executor_event_fd(store->executor), .events = POLLIN};
    struct list done;

    list_init(&done);
    struct job *job = job_new(verb_find(verb), args);
    int r = executor_submit(store->executor, job);
    if (r < 0) {
        job_free(job);
        return r;
    }
    while (list_is_empty(&done)) {
        if (poll(&p, 1, CALL_TIMEOUT_MS) == 0)
            return -ETIMEDOUT; /* the job is the executor's: it is not freed */
        executor_take_done(store->executor, &done);
    }
    (void)list_pop(&done);
    int status = job->status;
    if (status >= 0)
        trace_db_record(store->trace, buf_str(&job->trace));
    if (out_reply != NULL) {
        buf_reset(out_reply);
        buf_put_str(out_reply, buf_str(&job->reply));
    }
    job_free(job);
    return status;
}

void local_store_close(struct store *store)
{
    store_close(store);
}
