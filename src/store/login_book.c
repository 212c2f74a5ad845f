/* Who has logged in: see login_book.h. */
#include "store/login_book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/guard.h"

enum { KEY_MAX_BYTES = 512, NAME_MAX_BYTES = 64 };

struct entry {
    struct login_entry row; /* its texts are in `texts` */
    char texts[3][NAME_MAX_BYTES];
};

struct open_session {
    struct auth_session s; /* its texts are owned */
    char *texts[4];
};

/* --- rows --- */

void login_put_entry(struct buf *out, const struct login_entry *e)
{
    buf_put_u64(out, e->account);
    buf_put_u64(out, (uint64_t)e->app_password);
    buf_put_lp(out, e->network);
    buf_put_lp(out, e->protocol);
    buf_put_lp(out, e->mechanism);
    buf_put_u64(out, (uint64_t)e->first_ms);
    buf_put_u64(out, (uint64_t)e->last_ms);
    buf_put_u64(out, e->count);
}

int login_next_entry(struct cursor *c, struct login_entry *out)
{
    if (cursor_left(c) == 0 && cursor_status(c) == 0)
        return 0;
    *out = (struct login_entry){.account = cursor_u64(c)};
    out->app_password = (int64_t)cursor_u64(c);
    out->network = cursor_lp(c);
    out->protocol = cursor_lp(c);
    out->mechanism = cursor_lp(c);
    out->first_ms = (int64_t)cursor_u64(c);
    out->last_ms = (int64_t)cursor_u64(c);
    out->count = cursor_u64(c);
    return cursor_status(c) == 0 ? 1 : -EBADMSG;
}

/* --- the tables --- */

void login_book_init(struct login_book *b)
{
    map_init(&b->open, LOGIN_BOOK_OPEN_MAX);
    map_init(&b->pending, LOGIN_BOOK_PENDING_MAX);
}

static void free_open(struct open_session *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(o->texts); i++)
        free(o->texts[i]);
    free(o);
}

static void forget_pending(struct login_book *b)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&b->pending, &at, &key, &value))
        free(value);
    map_done(&b->pending);
    map_init(&b->pending, LOGIN_BOOK_PENDING_MAX);
}

void login_book_done(struct login_book *b)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&b->open, &at, &key, &value))
        free_open(value);
    map_done(&b->open);
    forget_pending(b);
    map_done(&b->pending);
}

struct session_key {
    char bytes[sizeof(void *) + sizeof(uint64_t)];
};

static struct str session_key(struct session_key *out, const void *owner, uint64_t session)
{
    memcpy(out->bytes, &owner, sizeof(owner));
    memcpy(out->bytes + sizeof(owner), &session, sizeof(session));
    return str_from_mem(out->bytes, sizeof(out->bytes));
}

static void add_open(struct login_book *b, const void *owner, const struct auth_session *s)
{
    struct session_key key;
    struct open_session *o = xcalloc(1, sizeof(*o));

    o->s = *s;
    struct str *texts[] = {&o->s.address, &o->s.peer, &o->s.protocol, &o->s.mechanism};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        o->texts[i] = str_dup(*texts[i]);
        *texts[i] = str_from_c(o->texts[i]);
    }
    login_book_end(b, owner, s->session);
    if (map_set(&b->open, session_key(&key, owner, s->session), o) < 0)
        free_open(o);
}

/* The network that the session is from, as it is kept: a v6 address stands for its /64. */
static struct str network_of(struct str peer, char out[IP_NET_TEXT_BYTES])
{
    struct ip_addr ip;

    if (ip_parse(peer, &ip) < 0)
        return STR("");
    struct ip_net net = guard_net_of(ip_rate_key(&ip));
    return str_from_c(ip_net_print(&net, out));
}

static struct str keep(struct str text, char out[NAME_MAX_BYTES])
{
    text = str_sub(text, 0, NAME_MAX_BYTES - 1);
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    return str_from_mem(out, text.len);
}

static struct entry *new_entry(struct login_book *b, struct str key, const struct auth_session *s,
                               struct str network)
{
    struct entry *e = xcalloc(1, sizeof(*e));

    e->row = (struct login_entry){.account = s->account,
                                  .app_password = s->app_password,
                                  .network = keep(network, e->texts[0]),
                                  .protocol = keep(s->protocol, e->texts[1]),
                                  .mechanism = keep(s->mechanism, e->texts[2]),
                                  .first_ms = s->since_ms};
    if (map_set(&b->pending, key, e) == 0)
        return e;
    free(e); /* nobody has written them; what is counted goes on being so */
    return NULL;
}

static void add_pending(struct login_book *b, const struct auth_session *s)
{
    char network[IP_NET_TEXT_BYTES];
    struct buf key;

    buf_init(&key, KEY_MAX_BYTES);
    buf_put_u64(&key, s->account);
    buf_put_u64(&key, (uint64_t)s->app_password);
    buf_put_lp(&key, network_of(s->peer, network));
    buf_put_lp(&key, s->protocol);
    buf_put_lp(&key, s->mechanism);
    struct entry *e = map_get(&b->pending, buf_str(&key));
    if (e == NULL)
        e = new_entry(b, buf_str(&key), s, network_of(s->peer, network));
    if (e != NULL) {
        e->row.last_ms = MAX(e->row.last_ms, s->since_ms);
        e->row.count++;
    }
    buf_done(&key);
}

void login_book_add(struct login_book *b, const void *owner, const struct auth_session *s)
{
    add_open(b, owner, s);
    add_pending(b, s);
}

void login_book_end(struct login_book *b, const void *owner, uint64_t session)
{
    struct session_key key;

    free_open(map_remove(&b->open, session_key(&key, owner, session)));
}

void login_book_drop_owner(struct login_book *b, const void *owner)
{
    struct str prefix = str_from_mem(&owner, sizeof(owner));
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&b->open, &at, &key, &value)) {
        if (!str_has_prefix(key, prefix))
            continue;
        (void)map_remove(&b->open, key);
        free_open(value);
        at--; /* removing may have moved another key here */
    }
}

bool login_book_is_full(const struct login_book *b)
{
    return b->pending.count >= LOGIN_BOOK_PENDING_MAX;
}

void login_book_take(struct login_book *b, struct buf *out)
{
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&b->pending, &at, &key, &value))
        login_put_entry(out, &((const struct entry *)value)->row);
    forget_pending(b);
}

/* --- listing --- */

static int compare_newest(const void *a, const void *b)
{
    const struct open_session *const *x = a, *const *y = b;

    return ((*x)->s.session < (*y)->s.session) - ((*x)->s.session > (*y)->s.session);
}

void login_book_list(const struct login_book *b, uint64_t account, struct buf *out)
{
    struct open_session **all = xcalloc(b->open.count + 1, sizeof(struct open_session *));
    size_t at = 0, count = 0;
    struct str key;
    void *value;

    while (map_next(&b->open, &at, &key, &value)) {
        struct open_session *o = value;
        if (account == 0 || o->s.account == account)
            all[count++] = o;
    }
    qsort(all, count, sizeof(struct open_session *), compare_newest);
    for (size_t i = 0; i < MIN(count, (size_t)LOGIN_BOOK_LIST_MAX); i++)
        auth_put_session(out, &all[i]->s);
    free(all);
}
