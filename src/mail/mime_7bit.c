/*
 * Conversion of a message to 7 bits: see mime_7bit.h.
 *
 * The first pass walks lines the way the scanner (mime.c) does and writes down edits: places in the
 * message, in ascending order, and what to do there (mime_edit.h), which the second pass carries
 * out. An edit is written down where its place begins and gets its action when the part has ended
 * and is known to have 8-bit bytes or not.
 */
#include "mail/mime_7bit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cursor.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/mime_describe.h"
#include "mail/mime_edit.h"
#include "mail/mime_param.h"
#include "mail/summary.h"
#include "mail/transfer.h"

enum {
    LINE_HEAD_BYTES = 128, /* enough for boundaries and the names of the fields we look for */
    KEPT_BYTES = 16 * 1024,
    KEPT_FIELD_BYTES = 8 * 1024, /* the scanner keeps as much */
    HEADER_ARENA_BYTES = 4 * 1024 * 1024,
    EDITS_MAX = 16 * 1024,
    NO_EDIT = -1,
};

enum declared {
    DECLARED_7BIT,
    DECLARED_8BIT,
    DECLARED_BINARY,
    DECLARED_QP,
    DECLARED_BASE64,
    DECLARED_OTHER
};

enum part_kind {
    KIND_TEXT,
    KIND_BINARY,
    KIND_STATUS,
    KIND_UNTOUCHABLE,
    KIND_MULTIPART,
    KIND_MESSAGE
};

struct open_part {
    enum part_kind kind;
    enum declared declared;
    bool is_message; /* the root of a message */
    bool is_digest, is_signed;
    bool has_mime_version;
    bool has_children;
    bool has_nul, has_long_line;
    char boundary[MIME_BOUNDARY_MAX_BYTES + 1];
    size_t boundary_bytes;
    bool has_boundary; /* and its closing line has not come */
    int first_edit;    /* of its header */
    int insertion;     /* the edit at the end of the header */
    int body;          /* the edit of the body; of a multipart, of loose text */
    uint64_t bytes_8bit, bytes;
};

enum look_state { IN_HEADER, IN_BODY, IN_OPENING_LINE, IN_CLOSING_LINE };

struct mime_7bit {
    struct mime_7bit_facts facts;
    unsigned wants;
    enum look_state state;
    bool has_binary, is_impossible, is_too_complex, mends_lines;
    struct mime_edit *edits;
    int edit_count, edit_room;
    /* First pass. */
    uint64_t at;             /* what is behind us, without the gathered head */
    unsigned line_end_bytes; /* of the line before */
    char last_byte;
    bool is_in_line;
    uint64_t line_start; /* a fold begins a line, too */
    uint64_t space_at,
        fold_at; /* of a header line: its last space, the last one between words; 0 */
    bool has_word;
    char head[LINE_HEAD_BYTES];
    size_t head_bytes;
    struct buf kept; /* fields of the header being read */
    size_t field_bytes;
    uint32_t seen_fields;
    bool is_keeping, has_line;
    int open_field; /* the edit of the field being read */
    struct open_part open[SUMMARY_MAX_DEPTH];
    size_t depth, part_count;
    struct mime_editor editor; /* second pass */
};

static struct open_part *innermost(struct mime_7bit *m)
{
    return &m->open[m->depth - 1];
}

/* --- edits --- */

static int add_edit(struct mime_7bit *m, uint64_t start)
{
    if (m->edit_count == EDITS_MAX) {
        m->is_too_complex = true;
        return NO_EDIT;
    }
    if (m->edit_count == m->edit_room) {
        m->edit_room = m->edit_room > 0 ? 2 * m->edit_room : 16;
        m->edits = xrealloc(m->edits, (size_t)m->edit_room * sizeof(*m->edits));
    }
    m->edits[m->edit_count] = (struct mime_edit){.start = start, .end = start};
    return m->edit_count++;
}

static struct mime_edit *edit_at(struct mime_7bit *m, int index)
{
    return index == NO_EDIT ? NULL : &m->edits[index];
}

/* The part's header is to say `field`: in place of the fields there are, or at its end. */
static void declare(struct mime_7bit *m, const struct open_part *o, const char *field)
{
    struct mime_edit *insertion = edit_at(m, o->insertion);
    bool has_field = false;

    for (int i = o->first_edit; i < o->insertion; i++) {
        struct mime_edit *e = &m->edits[i];
        if (!e->is_encoding)
            continue;
        e->action = EDIT_DROP;
        e->field = has_field ? NULL : field;
        has_field = true;
    }
    if (insertion == NULL)
        return;
    insertion->action = EDIT_DROP;
    insertion->field = has_field ? NULL : field;
    insertion->has_mime_version = o->is_message && !o->has_mime_version;
}

/* --- parts --- */

static bool is_in_signed(const struct mime_7bit *m)
{
    for (size_t i = 0; i < m->depth; i++) {
        if (m->open[i].is_signed)
            return true;
    }
    return false;
}

/* Quoted-printable takes three bytes for one, base64 four for three: they are even where a byte in
 * five or six is not ASCII. Most Japanese text is better off in base64. */
static enum transfer_encoding choose_encoding(const struct open_part *o)
{
    bool is_mostly_ascii = o->bytes_8bit <= o->bytes / 6;

    if (o->kind == KIND_STATUS || (o->kind == KIND_TEXT && is_mostly_ascii && !o->has_nul))
        return TRANSFER_QUOTED_PRINTABLE;
    return TRANSFER_BASE64;
}

static void encode_leaf(struct mime_7bit *m, const struct open_part *o, struct mime_edit *body)
{
    body->action = EDIT_ENCODE;
    body->encoding = choose_encoding(o);
    declare(m, o, transfer_name(body->encoding));
    m->facts.breaks_signature |= is_in_signed(m);
}

/* It is only its lines that are too long: not worth a signature. Reports (RFC 3464 section 2.1) may
 * not be encoded. */
static void mend_lines(struct mime_7bit *m, const struct open_part *o, struct mime_edit *body)
{
    bool is_fixed = o->kind == KIND_UNTOUCHABLE || o->kind == KIND_STATUS;

    if (is_fixed || o->declared == DECLARED_OTHER || is_in_signed(m)) {
        m->facts.has_long_lines_left = true;
        return;
    }
    m->mends_lines = true;
    if (o->declared == DECLARED_QP) {
        body->action = EDIT_ESCAPE;
        body->breaks_lines = true;
    } else if (o->declared == DECLARED_BASE64) {
        body->action = EDIT_REWRAP;
    } else {
        encode_leaf(m, o, body);
    }
}

static void make_7bit(struct mime_7bit *m, const struct open_part *o, struct mime_edit *body)
{
    if (o->kind == KIND_UNTOUCHABLE || o->declared == DECLARED_OTHER) {
        m->is_impossible = true;
    } else if (o->declared == DECLARED_QP) {
        body->action = EDIT_ESCAPE;
        body->breaks_lines = o->has_long_line;
        m->facts.breaks_signature |= is_in_signed(m);
    } else if (o->declared == DECLARED_BASE64) {
        body->action = o->has_long_line ? EDIT_REWRAP : EDIT_FILTER;
        m->facts.breaks_signature |= is_in_signed(m);
    } else {
        encode_leaf(m, o, body);
    }
}

static void close_leaf(struct mime_7bit *m, const struct open_part *o, struct mime_edit *body)
{
    bool wants_7bit = (m->wants & MIME_7BIT_BYTES) != 0;
    bool is_binary = o->declared == DECLARED_BINARY;

    m->has_binary |= wants_7bit && is_binary;
    if (wants_7bit && (o->bytes_8bit > 0 || is_binary))
        make_7bit(m, o, body);
    else if (o->has_long_line)
        mend_lines(m, o, body);
    else if (wants_7bit && o->declared == DECLARED_8BIT)
        declare(m, o, "7bit");
}

/* Text before, behind or instead of the parts of a multipart ends at `end`. */
static void end_loose_text(struct mime_7bit *m, struct open_part *o, uint64_t end)
{
    struct mime_edit *e = edit_at(m, o->body);
    bool is_8bit = (m->wants & MIME_7BIT_BYTES) != 0 && o->bytes_8bit > 0;
    bool may_break = o->has_long_line && o->has_children && !is_in_signed(m);

    if (is_8bit && !o->has_children)
        m->is_impossible = true;
    if (e != NULL && (is_8bit || may_break)) {
        e->action = is_8bit ? EDIT_MASK : EDIT_BREAK;
        e->breaks_lines = may_break;
        e->end = MAX(end, e->start);
        m->mends_lines |= may_break;
        m->facts.breaks_signature |= is_in_signed(m);
    }
    m->facts.has_long_lines_left |= o->has_long_line && !may_break;
    o->bytes_8bit = 0;
    o->has_long_line = false;
    o->body = NO_EDIT;
}

/* The innermost part ends at `end`, or `loose_end` if it is a multipart. */
static void close_part(struct mime_7bit *m, uint64_t end, uint64_t loose_end)
{
    struct open_part *o = innermost(m);
    struct mime_edit *body = edit_at(m, o->body);

    if (o->kind == KIND_MULTIPART) {
        end_loose_text(m, o, loose_end);
    } else if (o->kind != KIND_MESSAGE && body != NULL) {
        body->end = MAX(end, body->start);
        close_leaf(m, o, body);
    }
    m->depth--;
}

static bool may_add_part(struct mime_7bit *m)
{
    bool may = m->part_count < SUMMARY_MAX_PARTS && m->depth < SUMMARY_MAX_DEPTH;

    m->is_too_complex |= !may;
    return may;
}

static void open_part(struct mime_7bit *m, bool is_message)
{
    m->open[m->depth++] = (struct open_part){.is_message = is_message,
                                             .first_edit = m->edit_count,
                                             .insertion = NO_EDIT,
                                             .body = NO_EDIT};
    m->part_count++;
    m->state = IN_HEADER;
    m->seen_fields = 0;
    m->is_keeping = m->has_line = false;
    m->open_field = NO_EDIT;
    m->line_end_bytes = 0;
    buf_reset(&m->kept);
}

/* --- the end of a header --- */

static enum declared declared_of(struct str encoding)
{
    static const struct {
        struct str name;
        enum declared declared;
    } names[] = {
        {{"7bit", 4}, DECLARED_7BIT},     {{"8bit", 4}, DECLARED_8BIT},
        {{"binary", 6}, DECLARED_BINARY}, {{"quoted-printable", 16}, DECLARED_QP},
        {{"base64", 6}, DECLARED_BASE64},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(encoding, names[i].name))
            return names[i].declared;
    }
    return encoding.len == 0 ? DECLARED_7BIT : DECLARED_OTHER;
}

/* message/partial and message/external-body are 7 bits by definition (RFC 2046 section 5.2); a
 * message/rfc822 must not be encoded (section 5.2.1), and if it is, nobody knows how it is read. */
static enum part_kind message_kind(struct str subtype, enum declared declared)
{
    bool is_identity = declared <= DECLARED_BINARY;

    if (str_eq_nocase(subtype, STR("rfc822")))
        return is_identity ? KIND_MESSAGE : KIND_UNTOUCHABLE;
    if (str_eq_nocase(subtype, STR("global")))
        return KIND_BINARY;
    if (str_eq_nocase(subtype, STR("partial")) || str_eq_nocase(subtype, STR("external-body")))
        return KIND_UNTOUCHABLE;
    return KIND_STATUS;
}

static void describe(struct mime_7bit *m, struct open_part *o)
{
    CLEANUP(arena_done) struct arena arena;
    struct summary_part part = {0};
    bool is_in_digest = m->depth > 1 && m->open[m->depth - 2].is_digest;

    arena_init(&arena, HEADER_ARENA_BYTES);
    mime_describe_part(buf_str(&m->kept), true, &arena, &part);
    if (part.type.ptr == NULL) {
        part.type = is_in_digest ? STR("message") : STR("text");
        part.subtype = is_in_digest ? STR("rfc822") : STR("plain");
    }
    o->declared = declared_of(part.encoding);
    o->kind = KIND_BINARY;
    if (str_eq_nocase(part.type, STR("text")))
        o->kind = KIND_TEXT;
    if (str_eq_nocase(part.type, STR("message")))
        o->kind = message_kind(part.subtype, o->declared);
    if (!mime_part_is_multipart(&part))
        return;
    o->kind = KIND_MULTIPART;
    o->is_digest = str_eq_nocase(part.subtype, STR("digest"));
    o->is_signed = str_eq_nocase(part.subtype, STR("signed"));
    struct str boundary =
        mime_param_join(part.params, STR("boundary"), MIME_BOUNDARY_MAX_BYTES, &arena);
    o->has_boundary = boundary.ptr != NULL && str_copy(boundary, o->boundary, sizeof(o->boundary));
    o->boundary_bytes = boundary.len;
}

static void end_field(struct mime_7bit *m, uint64_t end)
{
    struct mime_edit *e = edit_at(m, m->open_field);

    if (e != NULL)
        e->end = end;
    m->open_field = NO_EDIT;
}

/* At the empty line, which begins at `end` and after which the body begins at `body_start`. */
static void end_header(struct mime_7bit *m, uint64_t end, uint64_t body_start)
{
    struct open_part *o = innermost(m);
    bool is_container;

    end_field(m, end);
    describe(m, o);
    is_container = o->kind == KIND_MULTIPART || o->kind == KIND_MESSAGE;
    o->insertion = add_edit(m, end);
    bool is_declared = o->declared == DECLARED_8BIT || o->declared == DECLARED_BINARY;
    if (is_container && is_declared && (m->wants & MIME_7BIT_BYTES) != 0)
        declare(m, o, "7bit");
    m->state = IN_BODY;
    if (o->kind == KIND_MESSAGE && may_add_part(m)) {
        open_part(m, true);
        return;
    }
    o->body = add_edit(m, body_start);
}

/* --- lines --- */

static int find_boundary(const struct mime_7bit *m, struct str line)
{
    int best = -1;

    if (!str_has_prefix(line, STR("--")))
        return -1;
    line = str_sub(line, 2, line.len);
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    /* The rules of the scanner: from the innermost on; the longest wins, except over an exact fit.
     */
    for (size_t i = m->depth; i > 0; i--) {
        const struct open_part *o = &m->open[i - 1];
        struct str boundary = str_from_mem(o->boundary, o->boundary_bytes);
        if (!o->has_boundary || !str_has_prefix(line, boundary))
            continue;
        if (best >= 0 && boundary.len <= m->open[best].boundary_bytes)
            continue;
        best = (int)i - 1;
        struct str rest = str_sub(line, boundary.len, line.len);
        if (rest.len == 0 || str_eq(rest, STR("--")))
            break;
    }
    return best;
}

/* The line end before a boundary belongs to it (RFC 2046 section 5.1.1). */
static void take_boundary(struct mime_7bit *m, size_t index, struct str line)
{
    struct open_part *o = &m->open[index];
    struct str rest = str_sub(line, strlen("--") + o->boundary_bytes, line.len);
    bool is_last = str_has_prefix(rest, STR("--"));
    uint64_t end = m->at - m->line_end_bytes;

    if (m->state == IN_HEADER)
        end_field(m, m->at);
    while (m->depth - 1 > index)
        close_part(m, end, end);
    o->has_children = true;
    end_loose_text(m, o, m->at);
    if (is_last)
        o->has_boundary = false;
    m->state = is_last ? IN_CLOSING_LINE : IN_OPENING_LINE;
}

static void start_field(struct mime_7bit *m, struct str name)
{
    struct open_part *o = innermost(m);
    uint32_t bit;
    bool is_new = mime_field_use(name, &bit) == MIME_FIELD_OF_STRUCTURE;

    is_new = is_new && (m->seen_fields & bit) == 0;
    m->seen_fields |= bit;
    m->is_keeping = is_new;
    m->field_bytes = 0;
    if (m->kept.len > 0 && m->kept.ptr[m->kept.len - 1] != '\n')
        buf_put_c(&m->kept, "\n");
    if (str_eq_nocase(name, STR("MIME-Version")))
        o->has_mime_version = true;
    if (m->depth == 1 && str_eq_nocase(name, STR("DKIM-Signature")))
        m->facts.has_dkim_signature = true;
    if (str_eq_nocase(name, STR("Content-Transfer-Encoding"))) {
        m->open_field = add_edit(m, m->at);
        if (m->open_field != NO_EDIT)
            m->edits[m->open_field].is_encoding = true;
    }
}

static void keep(struct mime_7bit *m, struct str bytes)
{
    if (!m->is_keeping)
        return;
    bytes = str_sub(bytes, 0, KEPT_FIELD_BYTES - m->field_bytes);
    m->field_bytes += bytes.len;
    buf_put_str(&m->kept, bytes);
}

/* The head of a header line that is neither empty nor a boundary. */
static void take_header_line(struct mime_7bit *m, struct str line)
{
    struct str name, rest;
    bool is_continuation = line.ptr[0] == ' ' || line.ptr[0] == '\t';

    if (!is_continuation || !m->has_line) {
        m->has_line = true;
        m->is_keeping = false;
        end_field(m, m->at);
        if (header_cut_name(line, &name, &rest))
            start_field(m, name);
    }
    keep(m, line);
}

static uint64_t count_8bit(struct str bytes)
{
    uint64_t count = 0;

    for (size_t i = 0; i < bytes.len; i++)
        count += (unsigned char)bytes.ptr[i] >> 7;
    return count;
}

/* A line of a header reaches past what is allowed: it is folded at its last space, if it has one.
 */
static void fold(struct mime_7bit *m)
{
    if (m->fold_at == 0 || m->open_field != NO_EDIT || is_in_signed(m)) {
        m->facts.has_long_lines_left = true;
        return;
    }
    struct mime_edit *e = edit_at(m, add_edit(m, m->fold_at));
    if (e == NULL)
        return;
    e->action = EDIT_FOLD;
    m->mends_lines = true;
    m->line_start = m->fold_at;
    m->fold_at = 0;
}

static void watch_header_line(struct mime_7bit *m, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        uint64_t at = m->at + i;
        if (c == '\r' || c == '\n')
            continue;
        if (c == ' ' || c == '\t') {
            m->space_at = m->has_word ? at : 0; /* no line of spaces alone */
        } else {
            m->fold_at = m->space_at > m->line_start ? m->space_at : m->fold_at;
            m->has_word = true;
        }
        if (at - m->line_start >= MIME_LINE_TEXT_MAX_BYTES)
            fold(m);
    }
}

static void watch_length(struct mime_7bit *m, struct str bytes, bool has_end)
{
    uint64_t end = m->at + bytes.len;

    if (m->state == IN_HEADER)
        watch_header_line(m, bytes);
    else if (has_end && end - m->line_start > MIME_LINE_MAX_BYTES && m->state == IN_BODY)
        innermost(m)->has_long_line = true;
    else if (has_end && end - m->line_start > MIME_LINE_MAX_BYTES)
        m->facts.has_long_lines_left = true;
    if (has_end) {
        m->line_start = end;
        m->space_at = m->fold_at = 0;
        m->has_word = false;
    }
}

/* Bytes of a line go by, its last ones if they end in LF. */
static void advance(struct mime_7bit *m, struct str bytes)
{
    struct open_part *o = innermost(m);
    uint64_t count = count_8bit(bytes);
    bool has_end = bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\n';

    if (bytes.len == 0)
        return;
    if ((m->wants & MIME_7BIT_LINES) != 0)
        watch_length(m, bytes, has_end);
    m->facts.bytes_8bit += count;
    if (m->state == IN_HEADER)
        m->facts.has_header_8bit |= count > 0;
    else if (m->state != IN_BODY)
        m->is_impossible |= count > 0;
    o->bytes_8bit += m->state == IN_BODY ? count : 0;
    o->bytes += m->state == IN_BODY ? bytes.len : 0;
    if (m->state == IN_BODY && o->kind == KIND_TEXT)
        o->has_nul |= str_find(bytes, '\0') >= 0;
    m->at += bytes.len;
    if (bytes.len > 1)
        m->last_byte = bytes.ptr[bytes.len - 2];
    m->line_end_bytes = m->last_byte == '\r' ? 2 : 1;
    m->last_byte = bytes.ptr[bytes.len - 1];
    m->is_in_line = !has_end;
}

/* Behind the line end of a boundary line. */
static void end_boundary_line(struct mime_7bit *m)
{
    bool is_opening = m->state == IN_OPENING_LINE;

    m->state = IN_BODY;
    m->line_end_bytes = 0;
    if (is_opening && may_add_part(m))
        open_part(m, false);
    else
        innermost(m)->body = add_edit(m, m->at);
}

static void advance_line(struct mime_7bit *m, struct str bytes)
{
    advance(m, bytes);
    if (!m->is_in_line && (m->state == IN_OPENING_LINE || m->state == IN_CLOSING_LINE))
        end_boundary_line(m);
}

static void take_line_head(struct mime_7bit *m, struct str line)
{
    bool is_empty = str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"));

    if (m->state == IN_HEADER && is_empty) {
        uint64_t end = m->at;
        advance(m, line);
        end_header(m, end, m->at);
        return;
    }
    int index = find_boundary(m, line);
    if (index >= 0)
        take_boundary(m, (size_t)index, line);
    else if (m->state == IN_HEADER)
        take_header_line(m, line);
    advance_line(m, line);
}

static size_t line_bytes(struct str piece, size_t max)
{
    size_t most = MIN(piece.len, max);
    const char *lf = memchr(piece.ptr, '\n', most);

    return lf != NULL ? (size_t)(lf - piece.ptr) + 1 : most;
}

static size_t gather_line_head(struct mime_7bit *m, struct str piece)
{
    size_t len = line_bytes(piece, LINE_HEAD_BYTES - m->head_bytes);

    memcpy(m->head + m->head_bytes, piece.ptr, len);
    m->head_bytes += len;
    if (piece.ptr[len - 1] == '\n' || m->head_bytes == LINE_HEAD_BYTES) {
        struct str head = str_from_mem(m->head, m->head_bytes);
        m->head_bytes = 0;
        take_line_head(m, head);
    }
    return len;
}

/* --- the first pass --- */

struct mime_7bit *mime_7bit_new(unsigned wants)
{
    struct mime_7bit *m = xcalloc(1, sizeof(*m));

    m->wants = wants;
    buf_init(&m->kept, KEPT_BYTES + 2);
    open_part(m, true);
    return m;
}

void mime_7bit_free(struct mime_7bit *m)
{
    if (m == NULL)
        return;
    buf_done(&m->kept);
    free(m->edits);
    free(m);
}

void mime_7bit_look(struct mime_7bit *m, struct str piece)
{
    while (piece.len > 0) {
        size_t len;
        if (!m->is_in_line) {
            len = gather_line_head(m, piece);
        } else {
            struct str rest = str_sub(piece, 0, line_bytes(piece, piece.len));
            len = rest.len;
            if (m->state == IN_HEADER)
                keep(m, rest);
            advance_line(m, rest);
        }
        piece = str_sub(piece, len, piece.len);
    }
}

static void drop_idle_edits(struct mime_7bit *m)
{
    int count = 0;

    for (int i = 0; i < m->edit_count; i++) {
        if (m->edits[i].action != EDIT_NONE)
            m->edits[count++] = m->edits[i];
    }
    m->edit_count = count;
}

static int decide(const struct mime_7bit *m)
{
    bool is_8bit = m->facts.bytes_8bit > 0 || m->has_binary;

    if ((m->wants & MIME_7BIT_BYTES) == 0 || !is_8bit)
        return m->mends_lines && !m->is_too_complex && !m->facts.has_dkim_signature;
    if (m->is_impossible)
        return -EILSEQ;
    return m->is_too_complex ? -EMSGSIZE : 1;
}

/* The message ends without a line end. */
static void end_last_line(struct mime_7bit *m)
{
    if (m->at - m->line_start <= MIME_LINE_TEXT_MAX_BYTES)
        return;
    if (m->state == IN_BODY)
        innermost(m)->has_long_line = true;
    else if (m->state != IN_HEADER)
        m->facts.has_long_lines_left = true;
}

int mime_7bit_decide(struct mime_7bit *m)
{
    if (m->head_bytes > 0) {
        struct str head = str_from_mem(m->head, m->head_bytes);
        m->head_bytes = 0;
        take_line_head(m, head);
    }
    if ((m->wants & MIME_7BIT_LINES) != 0 && m->is_in_line)
        end_last_line(m);
    while (m->depth > 0)
        close_part(m, m->at, m->at);
    drop_idle_edits(m);
    int decision = decide(m);
    if (decision != 1) {
        m->edit_count = 0;
        m->facts.has_long_lines_left |= m->mends_lines;
    }
    mime_editor_init(&m->editor, m->edits, (size_t)m->edit_count, m->at);
    return decision;
}

const struct mime_7bit_facts *mime_7bit_facts(const struct mime_7bit *m)
{
    return &m->facts;
}

/* --- the second pass --- */

void mime_7bit_push(struct mime_7bit *m, struct str piece, struct buf *out)
{
    mime_editor_push(&m->editor, piece, out);
}

void mime_7bit_finish(struct mime_7bit *m, struct buf *out)
{
    mime_editor_finish(&m->editor, out);
}
