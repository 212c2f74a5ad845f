/* Sites: see site.h. */
#include "svc/outbound/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "rt/fiber.h"
#include "svc/outbound/worker.h"

enum {
    FORGET_MS = 3600 * 1000, /* a site that was not used for so long */
    SWEPT_PER_TURN = 100,
    MINUTE_MS = 60 * 1000,
};

struct waiter {
    struct list link;
    struct fiber *fiber;
    int64_t order;
    bool has_place;
    bool is_crowded_out;
    struct connection *idle; /* that came with the place */
};

static struct {
    struct map by_key;
    struct list all;
    struct list hungry; /* sites whose waiters lack nothing but a place */
    unsigned in_use;    /* places that lines have; idle connections have the others */
} sites;

void sites_init(void)
{
    map_init(&sites.by_key, SITES_MAX);
    list_init(&sites.all);
    list_init(&sites.hungry);
    connections_init();
}

static void free_site(struct site *s)
{
    (void)map_remove(&sites.by_key, str_from_c(s->key));
    list_remove(&s->link);
    free(s->key);
    free(s);
}

void sites_done(void)
{
    while (connections_idle() > 0)
        connection_drop_oldest();
    LIST_FOR_EACH (&sites.all, link) {
        struct site *s = CONTAINER_OF(link, struct site, link);
        ASSERT(s->users == 0 && s->in_use == 0);
        free_site(s);
    }
    map_done(&sites.by_key);
}

struct site *site_use(struct str key)
{
    struct site *s = map_get(&sites.by_key, key);

    if (s == NULL) {
        s = xcalloc(1, sizeof(*s));
        s->key = str_dup(key);
        s->limit = SITE_FIRST_CONNECTIONS;
        s->limit_max = SITE_FIRST_CONNECTIONS;
        list_init(&s->idle);
        list_init(&s->waiters);
        list_init(&s->turn);
        list_init(&s->link);
        if (map_set(&sites.by_key, key, s) < 0) {
            free(s->key);
            free(s);
            return NULL;
        }
        list_append(&sites.all, &s->link);
    }
    s->users++;
    s->used_ms = clock_mono_ms();
    return s;
}

void site_leave(struct site *s)
{
    ASSERT(s->users > 0);
    s->users--;
    s->used_ms = clock_mono_ms();
}

static int smaller(int limit, int by_section)
{
    return by_section > 0 ? MIN(limit, by_section) : limit;
}

void site_set_limits(struct site *s, const struct settings *settings,
                     const struct settings_destination *limits)
{
    int connections = settings->outbound_max_connections_per_destination;

    s->messages_per_connection = settings->outbound_messages_per_connection;
    s->max_recipients = settings->outbound_max_recipients;
    s->messages_per_minute = 0;
    if (limits != NULL) {
        /* An operator's own section may also allow more than the default. */
        if (limits->max_connections > 0)
            connections = limits->max_connections;
        s->messages_per_connection =
            smaller(s->messages_per_connection, limits->messages_per_connection);
        s->max_recipients = smaller(s->max_recipients, limits->max_recipients);
        s->messages_per_minute = limits->messages_per_minute;
    }
    s->limit_max = (unsigned)connections;
    s->limit = MIN(s->limit, s->limit_max);
}

/* --- places --- */

static unsigned places(void)
{
    return (unsigned)worker.settings->outbound_max_connections;
}

/* Idle connections give way, the oldest first, until there are so many free places, or none of them
 * is left. */
static void make_room(unsigned wanted)
{
    while (connections_idle() > 0 && sites.in_use + connections_idle() + wanted > places())
        connection_drop_oldest();
}

static void take_place(struct site *s, struct waiter *w)
{
    w->idle = connection_take(&s->idle); /* it brings its place along */
    if (w->idle == NULL)
        make_room(1);
    s->in_use++;
    sites.in_use++;
    list_remove(&w->link);
    s->waiter_count--;
    w->has_place = true;
    fiber_wake(w->fiber);
}

/* Puts the site at the end of those that wait for a place, if it does. */
static void queue_up(struct site *s)
{
    if (s->waiter_count > 0 && s->in_use < s->limit && list_is_empty(&s->turn))
        list_append(&sites.hungry, &s->turn);
}

/* One to each site in turn: who has much mail does not come before who has little. */
static void give_places(void)
{
    while (sites.in_use < places() && !list_is_empty(&sites.hungry)) {
        struct site *s = CONTAINER_OF(list_pop(&sites.hungry), struct site, turn);
        if (s->in_use >= s->limit) /* it was lowered meanwhile */
            continue;
        take_place(s, CONTAINER_OF(s->waiters.next, struct waiter, link));
        queue_up(s);
    }
}

static void stop_waiting(struct site *s, struct waiter *w)
{
    list_remove(&w->link);
    if (--s->waiter_count == 0)
        list_remove(&s->turn);
}

bool site_has_room(const struct site *s)
{
    return s->in_use < s->limit && s->waiter_count == 0 && sites.in_use < places() &&
           list_is_empty(&sites.hungry);
}

bool site_must_give_way(const struct site *s, unsigned lines)
{
    /* There are no more destinations at work than places, so each may keep one line; but a reload
     * may have lowered their number. */
    bool is_wanted = s->waiter_count > 0 || !list_is_empty(&sites.hungry);

    return (is_wanted && lines > 1) || sites.in_use > places();
}

/* The last one waits no longer, if the newcomer comes before it. */
static bool crowd_out(struct site *s, int64_t order)
{
    struct waiter *last = CONTAINER_OF(s->waiters.prev, struct waiter, link);

    if (last->order <= order)
        return false;
    stop_waiting(s, last);
    last->is_crowded_out = true;
    fiber_wake(last->fiber);
    return true;
}

/* In its place: most often at the end. */
static void line_up(struct site *s, struct waiter *w)
{
    struct list *before = s->waiters.prev;

    while (before != &s->waiters && CONTAINER_OF(before, struct waiter, link)->order > w->order)
        before = before->prev;
    list_append(before->next, &w->link);
    s->waiter_count++;
}

int site_acquire(struct site *s, int64_t order, int64_t deadline_ms, struct connection **out_idle)
{
    struct waiter w = {.fiber = fiber_self(), .order = order};
    int r = 0;

    *out_idle = NULL;
    if (s->waiter_count >= SITE_WAITERS_MAX && !crowd_out(s, order))
        return -EAGAIN;
    list_init(&w.link);
    line_up(s, &w);
    queue_up(s);
    give_places();
    while (!w.has_place && !w.is_crowded_out && r == 0)
        r = fiber_park(deadline_ms);
    if (!w.has_place) {
        if (!w.is_crowded_out)
            stop_waiting(s, &w);
        return r == -ECANCELED ? r : -EAGAIN;
    }
    if (r == -ECANCELED) {
        site_release(s, w.idle, 0);
        return r;
    }
    *out_idle = w.idle;
    return 0;
}

static bool is_worth_keeping(const struct site *s, const struct connection *c)
{
    bool is_spent = c->client.messages >= (uint32_t)s->messages_per_connection ||
                    (c->client.max_messages > 0 && c->client.messages >= c->client.max_messages);

    return c->client.is_usable && !is_spent && !worker.is_draining;
}

void site_release(struct site *s, struct connection *c, int64_t idle_ms)
{
    bool is_kept = c != NULL && idle_ms > 0 && is_worth_keeping(s, c);

    if (!is_kept)
        connection_free(c); /* its place is taken until it is closed */
    ASSERT(s->in_use > 0);
    s->in_use--;
    sites.in_use--;
    if (is_kept)
        connection_keep(c, &s->idle, clock_mono_ms() + idle_ms);
    make_room(0); /* there are too many after a reload only */
    queue_up(s);
    give_places();
}

struct connection *site_take_idle(struct site *s)
{
    return connection_take(&s->idle);
}

/* --- rate, health --- */

int64_t site_take_slot(struct site *s)
{
    int64_t now_ms = clock_mono_ms();

    if (s->messages_per_minute <= 0)
        return 0;
    int64_t step_ms = MAX(MINUTE_MS / s->messages_per_minute, 1);
    int64_t slot_ms = MAX(s->next_slot_ms, now_ms - SITE_BURST * step_ms);
    s->next_slot_ms = slot_ms + step_ms;
    return slot_ms <= now_ms ? 0 : slot_ms;
}

void site_give_slot_back(struct site *s)
{
    s->next_slot_ms -= MAX(MINUTE_MS / MAX(s->messages_per_minute, 1), 1);
}

void site_note_limit(struct site *s)
{
    s->limit = MAX(s->in_use - 1, 1U);
}

void site_note_success(struct site *s, bool was_busy)
{
    s->blamed = 0;
    s->failures = 0;
    s->down_until_ms = 0;
    /* More mail for this destination, or others that wait for the same place. */
    bool has_more = was_busy || s->waiter_count > 0;
    if (has_more && s->limit < s->limit_max && s->in_use >= s->limit) {
        s->limit++;
        queue_up(s);
        give_places();
    }
}

void site_note_blame(struct site *s)
{
    s->blamed++;
    s->limit = MAX(s->limit / 2, 1U);
}

void site_note_down(struct site *s, int64_t until_ms, const struct trouble *why)
{
    s->failures++;
    s->blamed = 0;
    s->limit = 1;
    s->down_until_ms = until_ms;
    s->down = *why;
}

/* --- sweeping --- */

static void forget_unused(void)
{
    int64_t now_ms = clock_mono_ms();

    LIST_FOR_EACH (&sites.all, link) {
        struct site *s = CONTAINER_OF(link, struct site, link);
        bool is_unused = s->users == 0 && s->in_use == 0 && list_is_empty(&s->idle);
        bool is_known_down = now_ms < s->down_until_ms;
        if (is_unused && !is_known_down && now_ms - s->used_ms > FORGET_MS)
            free_site(s);
    }
}

void sites_sweep(void)
{
    struct connection *c;

    forget_unused();
    connections_drop_dead();
    /* A reload may have changed their number. */
    make_room(0);
    give_places();
    for (int i = 0; i < SWEPT_PER_TURN && (c = connection_take_expired()) != NULL; i++) {
        sites.in_use++;
        connection_free(c);
        sites.in_use--;
        give_places();
    }
}
