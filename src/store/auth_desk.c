/* Logins on the loop thread: see auth_desk.h. */
#include "store/auth_desk.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/auth_wire.h"
#include "store/store.h"
#include "store/verbs.h"

enum { LATER_MAX_BYTES = 4096, HASH_BYTES = 32 };

struct remembered {
    struct list link;
    int64_t until_ms; /* monotonic */
    int64_t account;
    uint8_t hash[HASH_BYTES]; /* its key in the map */
    size_t bytes;
    char answer[];
};

/* --- remembering --- */

void auth_desk_init(struct auth_desk *d, struct store *store)
{
    *d = (struct auth_desk){.store = store};
    map_init(&d->logins, AUTH_CACHE_MAX);
    list_init(&d->oldest);
    randombytes_buf(d->key, sizeof(d->key));
}

static void drop(struct auth_desk *d, struct remembered *r)
{
    (void)map_remove(&d->logins, str_from_mem(r->hash, sizeof(r->hash)));
    list_remove(&r->link);
    free(r);
}

void auth_desk_done(struct auth_desk *d)
{
    while (!list_is_empty(&d->oldest))
        drop(d, CONTAINER_OF(d->oldest.next, struct remembered, link));
    map_done(&d->logins);
    sodium_memzero(d->key, sizeof(d->key));
}

/* Of what makes two logins the same; lengths keep name and password apart. */
static void hash_request(const struct auth_desk *d, const struct auth_request *r,
                         uint8_t out[HASH_BYTES])
{
    uint64_t lengths[] = {r->username.len, r->password.len, r->service};
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, d->key, sizeof(d->key), HASH_BYTES);
    (void)crypto_generichash_update(&state, (const uint8_t *)lengths, sizeof(lengths));
    (void)crypto_generichash_update(&state, (const uint8_t *)r->username.ptr, r->username.len);
    (void)crypto_generichash_update(&state, (const uint8_t *)r->password.ptr, r->password.len);
    (void)crypto_generichash_final(&state, out, HASH_BYTES);
    sodium_memzero(&state, sizeof(state));
}

/* What was asked of the password: auth.outside tells the end of what auth.password began. */
static bool get_login(enum store_verb verb, struct str payload, struct auth_request *out)
{
    struct cursor c = cursor_from(payload);
    struct auth_outside outside = {.kind = AUTH_OUTSIDE_PASSWORD};

    if (verb == STORE_AUTH_PASSWORD)
        return auth_get_request(&c, out) == 0;
    if (auth_get_outside(&c, &outside) < 0 || outside.kind != AUTH_OUTSIDE_PASSWORD)
        return false;
    *out = outside.login;
    return true;
}

static bool hash_payload(const struct auth_desk *d, enum store_verb verb, struct str payload,
                         uint8_t out[HASH_BYTES])
{
    struct auth_request request;

    if (!get_login(verb, payload, &request))
        return false;
    hash_request(d, &request, out);
    return true;
}

/* All live equally long: the oldest end first. */
static void drop_old(struct auth_desk *d, int64_t now_ms)
{
    while (!list_is_empty(&d->oldest)) {
        struct remembered *r = CONTAINER_OF(d->oldest.next, struct remembered, link);
        if (r->until_ms > now_ms && d->logins.count < AUTH_CACHE_MAX)
            return;
        drop(d, r);
    }
}

struct str auth_desk_answer(struct auth_desk *d, struct str request)
{
    uint8_t hash[HASH_BYTES];

    if (d->logins.count == 0 || !hash_payload(d, STORE_AUTH_PASSWORD, request, hash))
        return STR_NONE;
    const struct remembered *r = map_get(&d->logins, str_from_mem(hash, sizeof(hash)));
    if (r == NULL || r->until_ms <= clock_mono_ms())
        return STR_NONE;
    d->store->logins++;
    return str_from_mem(r->answer, r->bytes);
}

static bool is_outside(const struct job *job)
{
    return job->verb == verb_find(STORE_AUTH_OUTSIDE);
}

static void remember(struct auth_desk *d, const struct job *job, int64_t account)
{
    struct str answer = buf_str(&job->reply);
    int64_t now_ms = clock_mono_ms(), keep_ms = d->store->settings->auth_cache;
    struct remembered *r = xcalloc(1, sizeof(*r) + answer.len);

    drop_old(d, now_ms);
    *r = (struct remembered){.until_ms = now_ms + keep_ms, .account = account, .bytes = answer.len};
    memcpy(r->answer, answer.ptr, answer.len);
    list_init(&r->link);
    enum store_verb verb = is_outside(job) ? STORE_AUTH_OUTSIDE : STORE_AUTH_PASSWORD;
    struct str payload = str_from_mem(job->payload, job->payload_bytes);
    bool is_new = keep_ms > 0 && hash_payload(d, verb, payload, r->hash);
    struct str key = str_from_mem(r->hash, sizeof(r->hash));
    struct remembered *before = is_new ? map_get(&d->logins, key) : NULL;
    if (before != NULL)
        drop(d, before);
    if (!is_new || map_set(&d->logins, key, r) < 0) {
        free(r);
        return;
    }
    list_append(&d->oldest, &r->link);
}

static void forget(struct auth_desk *d, int64_t account)
{
    d->generation++;
    for (struct list *it = d->oldest.next; it != &d->oldest;) {
        struct remembered *r = CONTAINER_OF(it, struct remembered, link);
        it = it->next;
        if (account < 0 || r->account == account)
            drop(d, r);
    }
}

void auth_desk_finish(struct auth_desk *d, const struct job *job)
{
    struct auth_answer answer;

    if (job->login_account != 0)
        forget(d, job->login_account);
    if (job->status < 0 || (job->verb != verb_find(STORE_AUTH_PASSWORD) && !is_outside(job)))
        return;
    struct cursor c = cursor_from(buf_str(&job->reply));
    if (auth_get_answer(&c, &answer) < 0)
        return;
    d->store->logins += answer.verdict == AUTH_OK;
    d->store->failed_logins += answer.verdict == AUTH_BAD;
    if (answer.verdict == AUTH_OK && job->is_lasting && job->generation == d->generation)
        remember(d, job, answer.who.account);
}

/* --- later --- */

/* What is to be written, in the arena of the job that found out. */
struct later {
    enum store_verb verb;
    struct str payload;
};

static void submit(struct store *store, enum store_verb verb, struct str payload)
{
    struct job *job = job_new(verb_find(verb), payload);

    /* Under too much load, or at the end, the next login does it. */
    if (store->executor == NULL || executor_submit(store->executor, job) < 0)
        job_free(job);
}

static void submit_later(struct store *store, struct job *job)
{
    const struct later *later = job->extra;

    if (job->status >= 0)
        submit(store, later->verb, later->payload);
}

static void note_later(struct job *job, enum store_verb verb, struct buf *payload)
{
    struct later *later = arena_alloc(&job->arena, sizeof(*later));

    ASSERT(buf_status(payload) == 0);
    *later = (struct later){.verb = verb, .payload = arena_str(&job->arena, buf_str(payload))};
    sodium_memzero(payload->ptr, payload->cap);
    buf_done(payload);
    job->extra = later;
    job->on_done = submit_later;
}

void auth_desk_note_use(struct job *job, int64_t account, int64_t app_password)
{
    struct buf payload;

    buf_init(&payload, LATER_MAX_BYTES);
    buf_put_u64(&payload, (uint64_t)account);
    buf_put_u64(&payload, (uint64_t)app_password);
    note_later(job, STORE_AUTH_USED, &payload);
}

void auth_desk_note_renewal(struct job *job, int64_t account, struct str old_secret,
                            const struct password_rows *rows)
{
    struct buf payload;

    buf_init(&payload, LATER_MAX_BYTES);
    buf_put_u64(&payload, (uint64_t)account);
    buf_put_lp(&payload, old_secret);
    password_put_rows(&payload, rows);
    note_later(job, STORE_AUTH_RENEW, &payload);
}

/* auth.note: see auth_wire.h */
int verb_auth_note(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct auth_note note;
    struct buf payload;

    if (auth_get_note(&c, &note) < 0)
        return -EBADMSG;
    store->logins += note.verdict == AUTH_OK;
    store->failed_logins += note.verdict == AUTH_BAD;
    if (note.verdict != AUTH_OK || note.app_password == 0)
        return 0;
    buf_init(&payload, LATER_MAX_BYTES);
    buf_put_u64(&payload, (uint64_t)note.account);
    buf_put_u64(&payload, (uint64_t)note.app_password);
    submit(store, STORE_AUTH_USED, buf_str(&payload));
    buf_done(&payload);
    return 0;
}
