/* Logins as bytes: see auth_wire.h. */
#include "store/auth_wire.h"

#include <errno.h>

#include "crypt/scram_keys.h"

_Static_assert((int)AUTH_KEY_MAX_BYTES == (int)SCRAM_KEY_MAX_BYTES, "keys must fit");

static struct str get_lp(struct cursor *c, size_t max_bytes)
{
    struct str s = cursor_lp(c);

    if (s.len > max_bytes)
        cursor_fail(c);
    return s;
}

/* A number below `end`. */
static uint8_t get_choice(struct cursor *c, uint8_t end)
{
    uint8_t value = cursor_u8(c);

    if (value >= end)
        cursor_fail(c);
    return value;
}

static void put_peer(struct buf *out, const struct ip_rate_key *peer)
{
    buf_put_u8(out, peer->family);
    buf_put_u64(out, peer->prefix);
}

static void get_peer(struct cursor *c, struct ip_rate_key *out)
{
    *out = (struct ip_rate_key){.family = cursor_u8(c)};
    out->prefix = cursor_u64(c);
}

void auth_put_request(struct buf *out, const struct auth_request *r)
{
    buf_put_lp(out, r->username);
    buf_put_lp(out, r->password);
    buf_put_u8(out, r->service);
    buf_put_u8(out, r->hash);
    put_peer(out, &r->peer);
}

int auth_get_request(struct cursor *c, struct auth_request *out)
{
    *out = (struct auth_request){.username = get_lp(c, AUTH_USERNAME_MAX_BYTES)};
    out->password = get_lp(c, AUTH_PASSWORD_MAX_BYTES);
    out->service = get_choice(c, AUTH_ALL);
    out->hash = get_choice(c, SCRAM_SHA_256 + 1);
    get_peer(c, &out->peer);
    return out->service == 0 ? -EBADMSG : cursor_finish(c);
}

void auth_put_outside(struct buf *out, const struct auth_outside *o)
{
    buf_put_u8(out, o->kind);
    buf_put_u8(out, o->outcome);
    auth_put_request(out, &o->login);
}

int auth_get_outside(struct cursor *c, struct auth_outside *out)
{
    *out = (struct auth_outside){.kind = get_choice(c, AUTH_OUTSIDE_KIND_END)};
    out->outcome = get_choice(c, AUTH_OUTSIDE_OUTCOME_END);
    return auth_get_request(c, &out->login);
}

static void put_identity(struct buf *out, const struct auth_identity *who)
{
    buf_put_u64(out, (uint64_t)who->account);
    buf_put_lp(out, who->address);
    buf_put_lp(out, who->language);
    buf_put_u64(out, (uint64_t)who->epoch);
}

static void get_identity(struct cursor *c, struct auth_identity *out)
{
    out->account = (int64_t)cursor_u64(c);
    out->address = get_lp(c, AUTH_ADDRESS_MAX_BYTES);
    out->language = get_lp(c, AUTH_ADDRESS_MAX_BYTES);
    out->epoch = (int64_t)cursor_u64(c);
}

void auth_put_answer(struct buf *out, const struct auth_answer *a)
{
    buf_put_u8(out, a->verdict);
    buf_put_u8(out, a->scope);
    buf_put_u64(out, (uint64_t)a->app_password);
    put_identity(out, &a->who);
}

static void get_answer(struct cursor *c, struct auth_answer *out)
{
    *out = (struct auth_answer){.verdict = get_choice(c, AUTH_VERDICT_END)};
    out->scope = get_choice(c, AUTH_ALL + 1);
    out->app_password = (int64_t)cursor_u64(c);
    get_identity(c, &out->who);
}

int auth_get_answer(struct cursor *c, struct auth_answer *out)
{
    get_answer(c, out);
    return cursor_finish(c);
}

void auth_put_scram(struct buf *out, const struct auth_scram *s)
{
    buf_put_u8(out, s->verdict);
    put_identity(out, &s->who);
    buf_put_u32(out, s->iterations);
    buf_put_lp(out, s->salt);
    buf_put_u32(out, (uint32_t)s->count);
    for (size_t i = 0; i < s->count; i++) {
        buf_put_u8(out, s->keys[i].verdict);
        buf_put_u8(out, s->keys[i].scope);
        buf_put_u64(out, (uint64_t)s->keys[i].app_password);
        buf_put_lp(out, s->keys[i].stored_key);
        buf_put_lp(out, s->keys[i].server_key);
    }
}

int auth_get_scram(struct cursor *c, struct arena *arena, struct auth_scram *out)
{
    *out = (struct auth_scram){.verdict = get_choice(c, AUTH_VERDICT_END)};
    get_identity(c, &out->who);
    out->iterations = cursor_u32(c);
    out->salt = get_lp(c, AUTH_SALT_MAX_BYTES);
    uint32_t count = cursor_u32(c);
    if (cursor_status(c) < 0 || count > AUTH_KEYS_MAX || (count == 0) != (out->verdict != AUTH_OK))
        return -EBADMSG;
    struct auth_scram_key *keys = arena_alloc(arena, (count + 1) * sizeof(*keys));
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = (struct auth_scram_key){.verdict = get_choice(c, AUTH_VERDICT_END)};
        keys[i].scope = get_choice(c, AUTH_ALL + 1);
        keys[i].app_password = (int64_t)cursor_u64(c);
        keys[i].stored_key = get_lp(c, AUTH_KEY_MAX_BYTES);
        keys[i].server_key = get_lp(c, AUTH_KEY_MAX_BYTES);
    }
    out->keys = keys;
    out->count = count;
    return cursor_finish(c);
}

void auth_put_cram(struct buf *out, const struct auth_cram *a)
{
    auth_put_answer(out, &a->answer);
    buf_put_lp(out, a->password);
}

int auth_get_cram(struct cursor *c, struct auth_cram *out)
{
    get_answer(c, &out->answer);
    out->password = get_lp(c, AUTH_PASSWORD_MAX_BYTES);
    return cursor_finish(c);
}

void auth_put_note(struct buf *out, const struct auth_note *n)
{
    buf_put_lp(out, n->username);
    buf_put_lp(out, n->mechanism);
    buf_put_u8(out, n->verdict);
    buf_put_u8(out, n->service);
    buf_put_u64(out, (uint64_t)n->account);
    buf_put_u64(out, (uint64_t)n->app_password);
    put_peer(out, &n->peer);
}

int auth_get_note(struct cursor *c, struct auth_note *out)
{
    *out = (struct auth_note){.username = get_lp(c, AUTH_USERNAME_MAX_BYTES)};
    out->mechanism = get_lp(c, AUTH_MECHANISM_MAX_BYTES);
    out->verdict = get_choice(c, AUTH_VERDICT_END);
    out->service = get_choice(c, AUTH_ALL);
    out->account = (int64_t)cursor_u64(c);
    out->app_password = (int64_t)cursor_u64(c);
    get_peer(c, &out->peer);
    return out->service == 0 ? -EBADMSG : cursor_finish(c);
}

void auth_put_session(struct buf *out, const struct auth_session *s)
{
    buf_put_u64(out, s->session);
    buf_put_u64(out, s->account);
    buf_put_u64(out, (uint64_t)s->app_password);
    buf_put_u64(out, (uint64_t)s->since_ms);
    buf_put_lp(out, s->address);
    buf_put_lp(out, s->peer);
    buf_put_lp(out, s->protocol);
    buf_put_lp(out, s->mechanism);
}

int auth_next_session(struct cursor *c, struct auth_session *out)
{
    if (cursor_left(c) == 0 && cursor_status(c) == 0)
        return 0;
    *out = (struct auth_session){.session = cursor_u64(c)};
    out->account = cursor_u64(c);
    out->app_password = (int64_t)cursor_u64(c);
    out->since_ms = (int64_t)cursor_u64(c);
    out->address = get_lp(c, AUTH_ADDRESS_MAX_BYTES);
    out->peer = get_lp(c, IP_TEXT_BYTES);
    out->protocol = get_lp(c, AUTH_PROTOCOL_MAX_BYTES);
    out->mechanism = get_lp(c, AUTH_MECHANISM_MAX_BYTES);
    return cursor_status(c) == 0 ? 1 : -EBADMSG;
}

void auth_put_sender_check(struct buf *out, const struct auth_sender_check *q)
{
    buf_put_u64(out, q->account);
    buf_put_u64(out, (uint64_t)q->app_password);
    buf_put_u64(out, (uint64_t)q->epoch);
    buf_put_u8(out, q->is_any);
    buf_put_lp(out, q->address);
}

int auth_get_sender_check(struct cursor *c, struct auth_sender_check *out)
{
    *out = (struct auth_sender_check){.account = cursor_u64(c)};
    out->app_password = (int64_t)cursor_u64(c);
    out->epoch = (int64_t)cursor_u64(c);
    out->is_any = get_choice(c, 2) != 0;
    out->address = cursor_lp(c);
    return cursor_finish(c);
}

void auth_put_senders(struct buf *out, const struct auth_senders *s)
{
    buf_put_u8(out, s->is_over);
    buf_put_u8(out, s->may_send);
    buf_put_u32(out, (uint32_t)s->count);
    for (size_t i = 0; i < s->count; i++)
        buf_put_lp(out, s->addresses[i]);
}

int auth_get_senders(struct cursor *c, struct auth_senders *out)
{
    *out = (struct auth_senders){.is_over = get_choice(c, 2) != 0};
    out->may_send = get_choice(c, 2) != 0;
    uint32_t count = cursor_u32(c);
    if (count > AUTH_SENDERS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < count; i++)
        out->addresses[i] = get_lp(c, AUTH_ADDRESS_MAX_BYTES);
    out->count = count;
    return cursor_finish(c);
}
