/*
 * The cached summary as bytes: see summary.h for what it holds.
 *
 * Format 1: a version byte, then the root part. Numbers are LEB128; a text is 0 when absent, else
 * its length + 1 and the bytes; a list is its count and the elements. A part is its texts, its
 * parameters, where it lies, its envelope if any, its children. An address list that is the list of
 * From again is written as such, because Sender and Reply-To mostly are.
 */
#include "mail/summary.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"

enum { FORMAT_VERSION = 1, LIST_ABSENT = 0, LIST_IS_FROM = 1, LIST_OWN = 2, TEXT_COUNT = 8 };

/* The optional texts of a part, in the order of the format. */
static const size_t part_texts[TEXT_COUNT] = {
    offsetof(struct summary_part, type),     offsetof(struct summary_part, subtype),
    offsetof(struct summary_part, id),       offsetof(struct summary_part, description),
    offsetof(struct summary_part, encoding), offsetof(struct summary_part, md5),
    offsetof(struct summary_part, location), offsetof(struct summary_part, disposition),
};

static const size_t envelope_texts[] = {
    offsetof(struct summary_envelope, date),
    offsetof(struct summary_envelope, subject),
    offsetof(struct summary_envelope, in_reply_to),
    offsetof(struct summary_envelope, message_id),
};

/* What is left out, step by step, until it fits. The last step always does. */
struct encode_limits {
    size_t param_bytes; /* of name and value; longer ones are left out */
    size_t depth;       /* of parts */
    size_t mailboxes;   /* of one list */
    size_t text_bytes;  /* longer texts are cut */
};

static const struct encode_limits encode_steps[] = {
    {SIZE_MAX, SUMMARY_MAX_DEPTH, SIZE_MAX, SIZE_MAX},
    {64, SUMMARY_MAX_DEPTH, SIZE_MAX, SIZE_MAX},
    {0, SUMMARY_MAX_DEPTH, SIZE_MAX, SIZE_MAX},
    {0, 8, SIZE_MAX, SIZE_MAX},
    {0, 4, SIZE_MAX, SIZE_MAX},
    {0, 2, SIZE_MAX, SIZE_MAX},
    {0, 1, SIZE_MAX, SIZE_MAX},
    {0, 1, 100, 1000},
    {0, 1, 20, 100},
};

static const struct str *text_at(const void *object, size_t offset)
{
    return (const struct str *)(const void *)((const char *)object + offset);
}

/* --- encoding --- */

struct encoder {
    struct buf out;
    struct encode_limits limits;
};

static void put_number(struct encoder *e, uint64_t v)
{
    while (v >= 0x80) {
        buf_put_u8(&e->out, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_put_u8(&e->out, (uint8_t)v);
}

static void put_text(struct encoder *e, struct str text)
{
    if (text.ptr == NULL) {
        put_number(e, 0);
        return;
    }
    text = str_sub(text, 0, e->limits.text_bytes);
    put_number(e, text.len + 1);
    buf_put_str(&e->out, text);
}

static bool is_param_kept(const struct encoder *e, const struct summary_param *p)
{
    return e->limits.param_bytes == SIZE_MAX || p->name.len + p->value.len <= e->limits.param_bytes;
}

static void put_params(struct encoder *e, const struct summary_param *params)
{
    uint64_t count = 0;

    for (const struct summary_param *p = params; p != NULL; p = p->next)
        count += is_param_kept(e, p);
    put_number(e, count);
    for (const struct summary_param *p = params; p != NULL; p = p->next) {
        if (!is_param_kept(e, p))
            continue;
        put_text(e, p->name);
        put_text(e, p->value);
    }
}

static void put_mailboxes(struct encoder *e, const struct summary_mailbox *list)
{
    uint64_t count = 0;

    for (const struct summary_mailbox *m = list; m != NULL && count < e->limits.mailboxes;
         m = m->next)
        count++;
    put_number(e, LIST_OWN - 1 + count);
    for (const struct summary_mailbox *m = list; count > 0; m = m->next, count--) {
        put_text(e, m->has_name ? m->name : STR_NONE);
        put_text(e, m->has_adl ? m->adl : STR_NONE);
        put_text(e, m->has_mailbox ? m->mailbox : STR_NONE);
        put_text(e, m->has_host ? m->host : STR_NONE);
    }
}

static void put_envelope(struct encoder *e, const struct summary_envelope *envelope)
{
    for (size_t i = 0; i < ARRAY_LEN(envelope_texts); i++)
        put_text(e, *text_at(envelope, envelope_texts[i]));
    for (int i = 0; i < SUMMARY_LIST_COUNT; i++) {
        if (envelope->lists[i] == NULL)
            put_number(e, LIST_ABSENT);
        else if (i != SUMMARY_FROM && envelope->lists[i] == envelope->lists[SUMMARY_FROM])
            put_number(e, LIST_IS_FROM);
        else
            put_mailboxes(e, envelope->lists[i]);
    }
}

static void put_place(struct encoder *e, const struct summary_part *part)
{
    ASSERT(part->body_offset == part->header_offset + part->header_bytes);
    put_number(e, part->header_offset);
    put_number(e, part->header_bytes);
    put_number(e, part->body_bytes);
    put_number(e, part->body_lines);
}

/* Recursion is bounded by limits.depth. */
static void put_part(struct encoder *e, const struct summary_part *part, size_t depth)
{
    uint64_t count = 0;

    for (size_t i = 0; i < TEXT_COUNT; i++)
        put_text(e, *text_at(part, part_texts[i]));
    put_params(e, part->params);
    put_params(e, part->disposition_params);
    put_params(e, part->languages);
    put_place(e, part);
    put_number(e, part->envelope != NULL);
    if (part->envelope != NULL)
        put_envelope(e, part->envelope);
    if (depth < e->limits.depth) {
        for (const struct summary_part *child = part->children; child != NULL; child = child->next)
            count++;
    }
    put_number(e, count);
    for (const struct summary_part *child = part->children; count > 0; child = child->next, count--)
        put_part(e, child, depth + 1);
}

void summary_encode(const struct summary_part *root, struct buf *out)
{
    struct encoder e;

    buf_init(&e.out, SUMMARY_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(encode_steps); i++) {
        e.limits = encode_steps[i];
        buf_reset(&e.out);
        buf_put_u8(&e.out, FORMAT_VERSION);
        put_part(&e, root, 1);
        if (buf_status(&e.out) == 0)
            break;
    }
    ASSERT(buf_status(&e.out) == 0);
    buf_put_str(out, buf_str(&e.out));
    buf_done(&e.out);
}

/* --- decoding --- */

struct decoder {
    struct cursor c;
    struct arena *arena;
    size_t parts;
};

/* NULL, and failure, when the caller's arena has no room: the counts are a stranger's. */
static void *alloc(struct decoder *d, size_t bytes)
{
    size_t left = d->arena->max_bytes - MIN(d->arena->max_bytes, d->arena->used_bytes);

    if (left < bytes + _Alignof(max_align_t)) {
        cursor_fail(&d->c);
        return NULL;
    }
    return arena_alloc(d->arena, bytes);
}

static uint64_t take_number(struct decoder *d)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(&d->c);
        uint64_t bits = byte & 0x7f;
        if (bits << shift >> shift != bits)
            break;
        v |= bits << shift;
        if (byte < 0x80)
            return v;
    }
    cursor_fail(&d->c);
    return 0;
}

static struct str take_text(struct decoder *d)
{
    uint64_t len = take_number(d);

    if (len == 0)
        return STR_NONE;
    if (len - 1 > cursor_left(&d->c)) {
        cursor_fail(&d->c);
        return STR_NONE;
    }
    return cursor_take(&d->c, len - 1);
}

/* Each element takes a byte at least, so that a count cannot make work beyond the input. */
static uint64_t take_count(struct decoder *d)
{
    uint64_t count = take_number(d);

    if (count <= cursor_left(&d->c))
        return count;
    cursor_fail(&d->c);
    return 0;
}

static struct summary_param *take_params(struct decoder *d)
{
    struct summary_param *head = NULL, **tail = &head;

    for (uint64_t count = take_count(d); count > 0 && !d->c.has_failed; count--) {
        struct summary_param *p = alloc(d, sizeof(*p));
        if (p == NULL)
            break;
        p->name = take_text(d);
        p->value = take_text(d);
        if (p->name.ptr == NULL || p->value.ptr == NULL)
            cursor_fail(&d->c);
        *tail = p;
        tail = &p->next;
    }
    return head;
}

static struct summary_mailbox *take_mailboxes(struct decoder *d, uint64_t count)
{
    struct summary_mailbox *head = NULL, **tail = &head;

    for (; count > 0 && !d->c.has_failed; count--) {
        struct summary_mailbox *m = alloc(d, sizeof(*m));
        if (m == NULL)
            break;
        m->name = take_text(d);
        m->adl = take_text(d);
        m->mailbox = take_text(d);
        m->host = take_text(d);
        m->has_name = m->name.ptr != NULL;
        m->has_adl = m->adl.ptr != NULL;
        m->has_mailbox = m->mailbox.ptr != NULL;
        m->has_host = m->host.ptr != NULL;
        *tail = m;
        tail = &m->next;
    }
    return head;
}

static struct summary_envelope *take_envelope(struct decoder *d)
{
    struct summary_envelope *e = alloc(d, sizeof(*e));

    if (e == NULL)
        return NULL;
    e->date = take_text(d);
    e->subject = take_text(d);
    e->in_reply_to = take_text(d);
    e->message_id = take_text(d);
    for (int i = 0; i < SUMMARY_LIST_COUNT; i++) {
        uint64_t count = take_count(d);
        if (count >= LIST_OWN)
            e->lists[i] = take_mailboxes(d, count - (LIST_OWN - 1));
        else if (count == LIST_IS_FROM)
            e->lists[i] = e->lists[SUMMARY_FROM];
    }
    return e;
}

/* Adds up without overflow, or fails. */
static uint64_t sum(struct decoder *d, uint64_t a, uint64_t b)
{
    if (a <= UINT64_MAX - b)
        return a + b;
    cursor_fail(&d->c);
    return 0;
}

/* Where a part may lie. Parts lie inside what encloses them, one behind the other: who slices the
 * message by them relies on it. */
struct span {
    uint64_t start, end;
};

static void take_place(struct decoder *d, struct summary_part *part, struct span span)
{
    part->header_offset = take_number(d);
    part->header_bytes = take_number(d);
    part->body_offset = sum(d, part->header_offset, part->header_bytes);
    part->body_bytes = take_number(d);
    part->body_lines = take_number(d);
    if (part->header_offset < span.start || sum(d, part->body_offset, part->body_bytes) > span.end)
        cursor_fail(&d->c);
}

static struct summary_part *take_part(struct decoder *d, struct span span)
{
    struct summary_part *part = d->parts < SUMMARY_MAX_PARTS ? alloc(d, sizeof(*part)) : NULL;

    if (part == NULL) {
        cursor_fail(&d->c);
        return NULL;
    }
    d->parts++;
    part->type = take_text(d);
    part->subtype = take_text(d);
    part->id = take_text(d);
    part->description = take_text(d);
    part->encoding = take_text(d);
    part->md5 = take_text(d);
    part->location = take_text(d);
    part->disposition = take_text(d);
    part->params = take_params(d);
    part->disposition_params = take_params(d);
    part->languages = take_params(d);
    take_place(d, part, span);
    if (take_number(d) != 0)
        part->envelope = take_envelope(d);
    if (part->type.ptr == NULL || part->subtype.ptr == NULL)
        cursor_fail(&d->c);
    return part;
}

/* Recursion is bounded by SUMMARY_MAX_DEPTH. */
static struct summary_part *take_tree(struct decoder *d, struct span span, size_t depth)
{
    struct summary_part *part = take_part(d, span);

    if (part == NULL)
        return NULL;
    struct summary_part **tail = &part->children;
    uint64_t count = take_count(d);
    if (count > 0 && depth == SUMMARY_MAX_DEPTH)
        cursor_fail(&d->c);
    span = (struct span){part->body_offset, part->body_offset + part->body_bytes};
    for (; count > 0 && !d->c.has_failed; count--) {
        struct summary_part *child = take_tree(d, span, depth + 1);
        if (child == NULL)
            break;
        span.start = child->body_offset + child->body_bytes;
        *tail = child;
        tail = &child->next;
    }
    return part;
}

int summary_decode(struct str bytes, struct arena *arena, struct summary_part **out_root)
{
    struct decoder d = {.c = cursor_from(STR_NONE), .arena = arena};

    *out_root = NULL;
    if (bytes.len == 0 || bytes.len > SUMMARY_MAX_BYTES)
        return -EBADMSG;
    char *copy = alloc(&d, bytes.len);
    if (copy == NULL)
        return -EBADMSG;
    memcpy(copy, bytes.ptr, bytes.len);
    d.c = cursor_from(str_from_mem(copy, bytes.len));
    if (cursor_u8(&d.c) != FORMAT_VERSION)
        return -EBADMSG;
    struct summary_part *root = take_tree(&d, (struct span){0, UINT64_MAX}, 1);
    if (root == NULL || root->envelope == NULL || cursor_finish(&d.c) != 0)
        return -EBADMSG;
    *out_root = root;
    return 0;
}
