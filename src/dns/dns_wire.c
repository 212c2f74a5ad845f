/* Questions and answers in frames: see dns_wire.h. */
#include "dns/dns_wire.h"

#include <errno.h>

#include "base/cursor.h"

enum {
    NAME_MAX_BYTES = 4 * DNS_NAME_MAX_BYTES + 4, /* canonical names may come with escapes */
    ANSWER_HEAD_BYTES = 1 + 1 + 4 + 4 + 4 + 2,
};

_Static_assert(DNS_WIRE_ANSWER_MIN_BYTES > ANSWER_HEAD_BYTES + NAME_MAX_BYTES + DNS_WHY_MAX_BYTES,
               "the smallest answer has room for its texts");
/* One copy of the payload, and at worst a view for every record. */
_Static_assert(DNS_ANSWER_ARENA_BYTES >=
                   DNS_WIRE_MAX_BYTES +
                       DNS_QUESTIONS_MAX * (DNS_RECORDS_MAX * sizeof(struct str) + 64) + 4096,
               "the arena holds every reply");

void dns_wire_put_questions(struct buf *out, const struct dns_question *questions, size_t count)
{
    ASSERT(count >= 1 && count <= DNS_QUESTIONS_MAX);
    buf_put_u8(out, (uint8_t)count);
    for (size_t i = 0; i < count; i++) {
        struct str name = questions[i].name;
        buf_put_u16(out, (uint16_t)questions[i].type);
        /* No name at all is as impossible as one that is too long, and is answered alike. */
        buf_put_lp(out, name.len <= DNS_NAME_MAX_BYTES ? name : STR(""));
    }
}

int dns_wire_read_questions(struct str payload, struct dns_question out[DNS_QUESTIONS_MAX],
                            size_t *out_count)
{
    struct cursor c = cursor_from(payload);

    size_t count = cursor_u8(&c);
    if (count < 1 || count > DNS_QUESTIONS_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++) {
        out[i].type = (enum dns_type)cursor_u16(&c);
        out[i].name = cursor_lp(&c);
        if (out[i].name.len > DNS_NAME_MAX_BYTES || out[i].type == 0)
            return -EBADMSG;
    }
    *out_count = count;
    return cursor_finish(&c);
}

/* How many of the records fit; those that are too large by themselves are left out. */
static bool is_record_kept(struct str data, size_t *room)
{
    size_t bytes = data.len + 4;

    if (data.len > DNS_RDATA_MAX_BYTES || bytes > *room)
        return false;
    *room -= bytes;
    return true;
}

void dns_wire_put_answer(struct buf *out, const struct dns_answer *answer, size_t max_bytes)
{
    struct str name = str_sub(answer->name, 0, NAME_MAX_BYTES);
    struct str why = str_sub(answer->why, 0, DNS_WHY_MAX_BYTES);
    size_t room = max_bytes - ANSWER_HEAD_BYTES - name.len - why.len;
    uint16_t kept = 0;

    ASSERT(max_bytes >= DNS_WIRE_ANSWER_MIN_BYTES);
    buf_put_u8(out, (uint8_t)answer->status);
    buf_put_u8(out, answer->is_secure);
    buf_put_u32(out, answer->ttl_s);
    buf_put_lp(out, name);
    buf_put_lp(out, why);
    size_t room_left = room;
    for (size_t i = 0; i < answer->count && kept < DNS_RECORDS_MAX; i++)
        kept += is_record_kept(answer->data[i], &room_left);
    buf_put_u16(out, kept);
    for (size_t i = 0; i < answer->count && kept > 0; i++) {
        if (!is_record_kept(answer->data[i], &room))
            continue;
        buf_put_lp(out, answer->data[i]);
        kept--;
    }
}

static int read_answer(struct cursor *c, struct arena *arena, struct dns_answer *out)
{
    *out = (struct dns_answer){.status = (enum dns_status)cursor_u8(c)};
    uint8_t secure = cursor_u8(c);
    out->ttl_s = cursor_u32(c);
    out->name = cursor_lp(c);
    out->why = cursor_lp(c);
    out->count = cursor_u16(c);
    out->is_secure = secure != 0;
    if (cursor_status(c) < 0 || secure > 1 || out->status < DNS_OK || out->status > DNS_BOGUS ||
        out->name.len > NAME_MAX_BYTES || out->why.len > DNS_WHY_MAX_BYTES ||
        out->count > DNS_RECORDS_MAX)
        return -EBADMSG;
    if (out->count == 0)
        return 0;
    out->data = arena_alloc(arena, out->count * sizeof(*out->data));
    for (size_t i = 0; i < out->count; i++) {
        out->data[i] = cursor_lp(c);
        if (out->data[i].len > DNS_RDATA_MAX_BYTES)
            return -EBADMSG;
    }
    return cursor_status(c);
}

int dns_wire_read_answers(struct str payload, size_t count, struct arena *arena,
                          struct dns_answer *out)
{
    ASSERT(count <= DNS_QUESTIONS_MAX);
    if (payload.len > DNS_WIRE_MAX_BYTES)
        return -EBADMSG;
    struct cursor c = cursor_from(arena_str(arena, payload));
    for (size_t i = 0; i < count; i++) {
        int r = read_answer(&c, arena, &out[i]);
        if (r < 0)
            return r;
    }
    return cursor_finish(&c);
}
