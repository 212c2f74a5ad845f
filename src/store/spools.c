/* The spool files of one connection: see spools.h. */
#include "store/spools.h"

#include <errno.h>
#include <stdlib.h>

enum { SPOOLS_PER_CONN_MAX = 20000 };

struct open_spool {
    struct spool spool;
    bool is_busy;   /* a piece is being written */
    bool is_doomed; /* drop it when that is done */
};

static struct str id_key(const uint64_t *id)
{
    return str_from_mem(id, sizeof(*id));
}

static void free_spool(struct store *store, struct open_spool *open)
{
    spool_discard(store->bodies, &open->spool);
    free(open);
}

static void give_up(struct store *store, struct open_spool *open)
{
    if (open->is_busy)
        open->is_doomed = true;
    else
        free_spool(store, open);
}

void spools_init(struct spools *s, struct store *store)
{
    s->store = store;
    map_init(&s->files, SPOOLS_PER_CONN_MAX);
}

void spools_done(struct spools *s)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&s->files, &at, &key, &value))
        give_up(s->store, value);
    map_done(&s->files);
}

int spools_open(struct spools *s, uint64_t id)
{
    struct open_spool *open = xcalloc(1, sizeof(*open));

    int r = store_check_room(s->store);
    if (r == 0)
        r = spool_open(s->store->bodies, s->store->next_segment++, &open->spool);
    if (r == 0 && map_set(&s->files, id_key(&id), open) < 0) {
        spool_discard(s->store->bodies, &open->spool);
        r = -EMFILE;
    }
    if (r < 0)
        free(open);
    return r;
}

void spools_drop(struct spools *s, uint64_t id)
{
    struct open_spool *open = map_remove(&s->files, id_key(&id));

    if (open != NULL)
        give_up(s->store, open);
}

static void finish_write(struct store *store, struct job *job)
{
    struct open_spool *open = CONTAINER_OF((struct spool *)job->extra, struct open_spool, spool);

    open->is_busy = false;
    if (open->is_doomed)
        free_spool(store, open);
}

static int attach(struct spools *s, struct job *job, enum store_verb verb, uint64_t id)
{
    struct open_spool *open = map_get(&s->files, id_key(&id));

    /* Most likely of a store that has died meanwhile. */
    if (open == NULL || open->is_busy)
        return -ESTALE;
    if (verb == STORE_SPOOL_WRITE) {
        open->is_busy = true;
        job->extra = &open->spool;
        job->on_done = finish_write;
        return 0;
    }
    job->spool = open->spool;
    job->has_spool = true;
    map_remove(&s->files, id_key(&id));
    free(open);
    return 0;
}

int spools_attach(struct spools *s, struct job *job, enum store_verb verb)
{
    struct cursor c = job_args(job);
    struct deliver_request deliver;
    struct append_request append;
    struct arena scratch;
    uint64_t id = 0;
    int r = 0;

    if (verb == STORE_SPOOL_WRITE)
        return attach(s, job, verb, cursor_u64(&c));
    if (verb == STORE_DELIVER) {
        arena_init(&scratch, JOB_ARENA_MAX_BYTES);
        r = wire_get_deliver(&c, &scratch, &deliver);
        id = r == 0 ? deliver.spool : 0;
        arena_done(&scratch);
    } else if (verb == STORE_MESSAGE_APPEND) {
        r = wire_get_append(&c, &append);
        id = r == 0 ? append.spool : 0;
    }
    return r < 0 || id == 0 ? r : attach(s, job, verb, id);
}
