/* Sites: see site.h. */
#include "svc/outbound/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "svc/outbound/worker.h"

enum {
    FORGET_MS = 3600 * 1000, /* a site that was not used for so long */
    SWEPT_PER_TURN = 100,
    MINUTE_MS = 60 * 1000,
};

struct waiter {
    struct list link;
    struct fiber *fiber;
    bool has_slot;
};

static struct {
    struct map by_key;
    struct list all;
    unsigned connections; /* in use and idle */
} sites;

void sites_init(void)
{
    map_init(&sites.by_key, SITES_MAX);
    list_init(&sites.all);
}

static void free_site(struct site *s)
{
    (void)map_remove(&sites.by_key, str_from_c(s->key));
    list_remove(&s->link);
    free(s->key);
    free(s);
}

void connection_free(struct connection *c)
{
    if (c == NULL)
        return;
    smtp_client_close(&c->client);
    sites.connections--;
    free(c);
}

struct connection *connection_new(void)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    list_init(&c->link);
    c->client.stream.watch.fd = -1; /* nothing to close until it is opened */
    sites.connections++;
    return c;
}

/* The one that was used last. */
static struct connection *pop_idle(struct site *s)
{
    if (list_is_empty(&s->idle))
        return NULL;
    struct connection *c = CONTAINER_OF(s->idle.prev, struct connection, link);
    list_remove(&c->link);
    return c;
}

void sites_done(void)
{
    for (struct list *link = sites.all.next; link != &sites.all;) {
        struct site *s = CONTAINER_OF(link, struct site, link);
        link = link->next;
        for (struct list *idle = s->idle.next; idle != &s->idle;) {
            struct connection *c = CONTAINER_OF(idle, struct connection, link);
            idle = idle->next;
            connection_free(c);
        }
        ASSERT(s->users == 0);
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

bool site_has_room(const struct site *s)
{
    return s->in_use < s->limit && s->waiter_count == 0 &&
           sites.connections < (unsigned)worker.settings->outbound_max_connections;
}

int site_acquire(struct site *s, int64_t deadline_ms)
{
    struct waiter w = {.fiber = fiber_self()};

    if (s->in_use < s->limit && s->waiter_count == 0) {
        s->in_use++;
        return 0;
    }
    if (s->waiter_count >= SITE_WAITERS_MAX)
        return -EAGAIN;
    list_init(&w.link);
    list_append(&s->waiters, &w.link);
    s->waiter_count++;
    int r = 0;
    while (!w.has_slot && r == 0)
        r = fiber_park(deadline_ms);
    if (!w.has_slot) {
        list_remove(&w.link);
        s->waiter_count--;
    } else if (r == -ECANCELED) {
        site_release(s);
        return r;
    }
    if (w.has_slot)
        return 0;
    return r == -ECANCELED ? r : -EAGAIN;
}

static void wake_waiters(struct site *s)
{
    while (s->in_use < s->limit && s->waiter_count > 0) {
        struct waiter *w = CONTAINER_OF(list_pop(&s->waiters), struct waiter, link);
        s->waiter_count--;
        s->in_use++;
        w->has_slot = true;
        fiber_wake(w->fiber);
    }
}

void site_release(struct site *s)
{
    ASSERT(s->in_use > 0);
    s->in_use--;
    wake_waiters(s);
}

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
        wake_waiters(s);
    }
}

void site_note_blame(struct site *s)
{
    s->blamed++;
    s->limit = MAX(s->limit / 2, 1U);
}

void site_note_down(struct site *s, int64_t until_ms, struct str status, struct str why)
{
    s->failures++;
    s->blamed = 0;
    s->limit = 1;
    s->down_until_ms = until_ms;
    if (!str_copy(str_sub(status, 0, sizeof(s->down_status) - 1), s->down_status,
                  sizeof(s->down_status)))
        s->down_status[0] = '\0';
    if (!str_copy(str_sub(why, 0, sizeof(s->down_why) - 1), s->down_why, sizeof(s->down_why)))
        s->down_why[0] = '\0';
}

struct connection *site_take_idle(struct site *s)
{
    struct connection *found = NULL, *c;
    struct list dead;

    list_init(&dead);
    while (found == NULL && (c = pop_idle(s)) != NULL) {
        if (smtp_client_is_alive(&c->client) && clock_mono_ms() < c->idle_until_ms) {
            found = c;
            continue;
        }
        c->client.may_quit = false; /* no QUIT to one who has left */
        list_append(&dead, &c->link);
    }
    for (struct list *link = dead.next; link != &dead;) {
        c = CONTAINER_OF(link, struct connection, link);
        link = link->next;
        connection_free(c);
    }
    return found;
}

void site_give_idle(struct site *s, struct connection *c, int64_t idle_ms)
{
    bool is_spent = c->client.messages >= (uint32_t)s->messages_per_connection ||
                    (c->client.max_messages > 0 && c->client.messages >= c->client.max_messages);

    /* With ten thousand destinations, each kept for seconds, descriptors would run out. */
    bool is_full = sites.connections > (unsigned)worker.settings->outbound_max_connections;

    if (!c->client.is_usable || is_spent || is_full || idle_ms <= 0 || worker.is_draining) {
        connection_free(c);
        return;
    }
    c->idle_until_ms = clock_mono_ms() + idle_ms;
    list_append(&s->idle, &c->link);
}

/* The oldest idle connection if its time is over. */
static struct connection *take_expired(struct site *s, int64_t now_ms)
{
    if (list_is_empty(&s->idle))
        return NULL;
    struct connection *c = CONTAINER_OF(s->idle.next, struct connection, link);
    if (now_ms < c->idle_until_ms && smtp_client_is_alive(&c->client))
        return NULL;
    list_remove(&c->link);
    return c;
}

/* One connection of any site whose time is over; NULL when there is none. Forgets sites on the way.
 */
static struct connection *find_expired(int64_t now_ms)
{
    for (struct list *link = sites.all.next; link != &sites.all;) {
        struct site *s = CONTAINER_OF(link, struct site, link);
        link = link->next;
        struct connection *c = take_expired(s, now_ms);
        if (c != NULL)
            return c;
        bool is_idle = s->users == 0 && s->in_use == 0 && list_is_empty(&s->idle);
        bool is_known_down = now_ms < s->down_until_ms;
        if (is_idle && !is_known_down && now_ms - s->used_ms > FORGET_MS)
            free_site(s);
    }
    return NULL;
}

void sites_sweep(void)
{
    struct connection *c;

    /* Closing yields, and the list may change then: begin anew each time. */
    for (int i = 0; i < SWEPT_PER_TURN && (c = find_expired(clock_mono_ms())) != NULL; i++)
        connection_free(c);
}
