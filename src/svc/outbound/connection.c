/* Connections to other servers: see connection.h. */
#include "svc/outbound/connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rt/tls.h"

static struct {
    struct list all; /* idle ones, the oldest first */
    unsigned count;
} idle;

struct connection *connection_new(void)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    list_init(&c->link);
    list_init(&c->in_all);
    c->client.stream.watch.fd = -1; /* nothing to close until it is opened */
    return c;
}

void connection_forget_password(struct connection *c)
{
    if (c->password.ptr != NULL)
        explicit_bzero(c->password.ptr, c->password.cap);
    buf_done(&c->password);
    c->config.username = c->config.password = STR_NONE;
}

static void release(struct connection *c)
{
    connection_forget_password(c);
    tls_client_unref(c->config.tls);
    free(c);
}

void connection_free(struct connection *c)
{
    if (c == NULL)
        return;
    smtp_client_close(&c->client);
    release(c);
}

void connections_init(void)
{
    list_init(&idle.all);
}

unsigned connections_idle(void)
{
    return idle.count;
}

void connection_keep(struct connection *c, struct list *of_site, int64_t until_ms)
{
    c->idle_until_ms = until_ms;
    list_append(of_site, &c->link);
    list_append(&idle.all, &c->in_all);
    idle.count++;
}

static void take_out(struct connection *c)
{
    list_remove(&c->link);
    list_remove(&c->in_all);
    idle.count--;
}

static void drop(struct connection *c)
{
    take_out(c);
    smtp_client_leave(&c->client);
    release(c);
}

static void drop_dead(struct connection *c)
{
    c->client.may_quit = false; /* no QUIT to one who has left */
    drop(c);
}

struct connection *connection_take(struct list *of_site)
{
    for (struct list *link = of_site->prev; link != of_site;) {
        struct connection *c = CONTAINER_OF(link, struct connection, link);
        link = link->prev;
        if (clock_mono_ms() >= c->idle_until_ms)
            return NULL; /* nor can those before it be used */
        if (smtp_client_is_alive(&c->client)) {
            take_out(c);
            return c;
        }
        drop_dead(c);
    }
    return NULL;
}

struct connection *connection_take_expired(void)
{
    if (list_is_empty(&idle.all))
        return NULL;
    struct connection *c = CONTAINER_OF(idle.all.next, struct connection, in_all);
    if (clock_mono_ms() < c->idle_until_ms)
        return NULL;
    take_out(c);
    return c;
}

void connection_drop_oldest(void)
{
    ASSERT(idle.count > 0);
    drop(CONTAINER_OF(idle.all.next, struct connection, in_all));
}

void connections_drop_dead(void)
{
    LIST_FOR_EACH (&idle.all, link) {
        struct connection *c = CONTAINER_OF(link, struct connection, in_all);
        if (!smtp_client_is_alive(&c->client))
            drop_dead(c);
    }
}
