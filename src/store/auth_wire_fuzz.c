/*
 * Fuzz target: requests and answers about logins from arbitrary bytes. The first byte chooses the
 * form; what decodes is within its bounds, and encodes to the bytes it came from.
 */
#include <stdint.h>

#include "store/auth_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ARENA_BYTES = 1 << 20, AGAIN_MAX_BYTES = 1 << 20 };

static bool check_request(struct cursor *c, struct buf *again)
{
    struct auth_request request;

    if (auth_get_request(c, &request) < 0)
        return false;
    ASSERT(request.service == AUTH_SEND || request.service == AUTH_READ);
    ASSERT(request.username.len <= AUTH_USERNAME_MAX_BYTES);
    auth_put_request(again, &request);
    return true;
}

static bool check_answer(struct cursor *c, struct buf *again)
{
    struct auth_answer answer;

    if (auth_get_answer(c, &answer) < 0)
        return false;
    ASSERT(answer.verdict < AUTH_VERDICT_END && (answer.scope & ~AUTH_ALL) == 0);
    auth_put_answer(again, &answer);
    return true;
}

static bool check_scram(struct cursor *c, struct arena *arena, struct buf *again)
{
    struct auth_scram scram;

    if (auth_get_scram(c, arena, &scram) < 0)
        return false;
    ASSERT(scram.count <= AUTH_KEYS_MAX && (scram.count > 0 || scram.verdict != AUTH_OK));
    for (size_t i = 0; i < scram.count; i++)
        ASSERT(scram.keys[i].stored_key.len <= AUTH_KEY_MAX_BYTES);
    auth_put_scram(again, &scram);
    return true;
}

static bool check_cram(struct cursor *c, struct buf *again)
{
    struct auth_cram cram;

    if (auth_get_cram(c, &cram) < 0)
        return false;
    auth_put_cram(again, &cram);
    return true;
}

static bool check_note(struct cursor *c, struct buf *again)
{
    struct auth_note note;

    if (auth_get_note(c, &note) < 0)
        return false;
    ASSERT(note.mechanism.len <= AUTH_MECHANISM_MAX_BYTES);
    auth_put_note(again, &note);
    return true;
}

static bool check_senders(struct cursor *c, struct buf *again)
{
    struct auth_senders senders;

    if (auth_get_senders(c, &senders) < 0)
        return false;
    ASSERT(senders.count <= AUTH_SENDERS_MAX);
    auth_put_senders(again, &senders);
    return true;
}

static bool check_sender_check(struct cursor *c, struct buf *again)
{
    struct auth_sender_check q;

    if (auth_get_sender_check(c, &q) < 0)
        return false;
    auth_put_sender_check(again, &q);
    return true;
}

static bool check_sessions(struct cursor *c, struct buf *again)
{
    struct auth_session s;
    int r;

    while ((r = auth_next_session(c, &s)) > 0) {
        ASSERT(s.mechanism.len <= AUTH_MECHANISM_MAX_BYTES);
        auth_put_session(again, &s);
    }
    return r == 0;
}

static bool check_outside(struct cursor *c, struct buf *again)
{
    struct auth_outside outside;

    if (auth_get_outside(c, &outside) < 0)
        return false;
    ASSERT(outside.kind < AUTH_OUTSIDE_KIND_END && outside.outcome < AUTH_OUTSIDE_OUTCOME_END);
    auth_put_outside(again, &outside);
    return true;
}

static bool check(uint8_t form, struct cursor *c, struct arena *arena, struct buf *again)
{
    switch (form % 9) {
    case 0:
        return check_request(c, again);
    case 1:
        return check_answer(c, again);
    case 2:
        return check_scram(c, arena, again);
    case 3:
        return check_cram(c, again);
    case 4:
        return check_note(c, again);
    case 5:
        return check_senders(c, again);
    case 6:
        return check_outside(c, again);
    case 7:
        return check_sessions(c, again);
    default:
        return check_sender_check(c, again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor c = cursor_from(str_from_mem(bytes, len));
    struct arena arena;
    struct buf again;

    arena_init(&arena, ARENA_BYTES);
    buf_init(&again, AGAIN_MAX_BYTES);
    uint8_t form = cursor_u8(&c);
    if (check(form, &c, &arena, &again))
        ASSERT(str_eq(buf_str(&again), str_from_mem(&bytes[1], len - 1)));
    buf_done(&again);
    arena_done(&arena);
    return 0;
}
