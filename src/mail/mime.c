/*
 * Streaming MIME scanner: see mime.h.
 *
 * Works line by line without buffering lines. Of a line that may mean something (all lines of a
 * header; in a body those that begin with '-') a head of at most LINE_HEAD_BYTES is gathered across
 * pieces and decided upon; everything else is skipped by memchr. So what comes out depends on the
 * bytes alone, not on how they were cut.
 */
#include "mail/mime.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "mail/header.h"
#include "mail/mime_describe.h"
#include "mail/mime_param.h"

enum {
    /* "--", the longest boundary, "--", CRLF, and enough for the names of all fields we keep. */
    LINE_HEAD_BYTES = 128,
    /* Kept of one header block: fields of the envelope must not crowd out those of the structure.
     */
    KEPT_BYTES = 64 * 1024,
    /* What all parts have taken together; once passed, further parts are described briefly. One
     * header adds 1.5 MiB at most, a brief part 6 KiB (64 short parameters). */
    ARENA_BRIEF_BYTES = 512 * 1024,
    ARENA_MAX_BYTES = 16 * 1024 * 1024,
};

/* Shares of KEPT_BYTES by the use of the field: neither long lists of recipients nor invented
 * Content fields may crowd out those that make the structure. */
struct kept_limits {
    size_t field_bytes, all_bytes;
};
static const struct kept_limits kept_limits[MIME_FIELD_USES] = {
    [MIME_FIELD_OF_MESSAGE] = {16 * 1024, 36 * 1024},
    [MIME_FIELD_OF_STRUCTURE] = {8 * 1024, 16 * 1024},
    [MIME_FIELD_OF_PART] = {8 * 1024, 11 * 1024},
};
enum { KEPT_BRIEF_FIELD_BYTES = 1024 };

enum scan_state {
    IN_HEADER,
    IN_BODY,
    IN_OPENING_LINE, /* the rest of a boundary line */
    IN_CLOSING_LINE,
};

/* A place in the message. */
struct mark {
    uint64_t bytes;
    uint64_t lines; /* line ends before it */
};

struct open_part {
    struct summary_part *part;
    struct summary_part **children_tail;
    struct mark body;    /* where it begins */
    struct str boundary; /* of a multipart whose closing line has not come; else NULL */
    bool is_message;     /* this part is the root of a message: it has an envelope */
};

struct mime_scanner {
    struct arena arena;
    struct summary_part *root;
    struct mime_facts facts;
    enum scan_state state;
    struct mark at; /* what is behind us, without the gathered head */
    uint64_t line_start;
    bool is_in_line;         /* the head of the line has been dealt with */
    char last_byte;          /* before `at` */
    unsigned line_end_bytes; /* of the line before, 1 or 2; 0: it is not ours to give away */
    char head[LINE_HEAD_BYTES];
    size_t head_bytes;
    /* The header being read. */
    struct buf kept;
    size_t kept_bytes[MIME_FIELD_USES];
    uint32_t seen_fields; /* of parts; the first of each counts */
    size_t field_bytes;
    enum mime_field_use field_use;
    bool is_brief;
    bool has_line;     /* a continuation line may follow */
    bool is_name_open; /* the head ended before the colon of the name came */
    /* Parts from the root to the one being read. */
    struct open_part open[SUMMARY_MAX_DEPTH];
    size_t depth;
    size_t part_count;
};

static struct open_part *innermost(struct mime_scanner *s)
{
    return &s->open[s->depth - 1];
}

/* --- parts --- */

static void open_part(struct mime_scanner *s, bool is_message)
{
    struct open_part *parent = s->depth > 0 ? innermost(s) : NULL;
    struct summary_part *part = arena_alloc(&s->arena, sizeof(*part));

    ASSERT(s->depth < SUMMARY_MAX_DEPTH);
    if (parent == NULL)
        s->root = part;
    part->header_offset = s->at.bytes;
    if (parent != NULL) {
        *parent->children_tail = part;
        parent->children_tail = &part->next;
    }
    s->open[s->depth++] = (struct open_part){
        .part = part, .children_tail = &part->children, .is_message = is_message};
    s->part_count++;
    s->state = IN_HEADER;
    s->is_brief = s->arena.used_bytes > ARENA_BRIEF_BYTES;
    s->has_line = s->is_name_open = false;
    s->field_use = MIME_FIELD_UNUSED;
    s->line_end_bytes = 0;
    s->seen_fields = 0;
    memset(s->kept_bytes, 0, sizeof(s->kept_bytes));
    buf_reset(&s->kept);
}

static bool may_add_part(const struct mime_scanner *s)
{
    return s->part_count < SUMMARY_MAX_PARTS && s->depth < SUMMARY_MAX_DEPTH;
}

static struct mark before_line_end(const struct mime_scanner *s, struct mark m)
{
    if (s->line_end_bytes > 0)
        m.lines--;
    m.bytes -= s->line_end_bytes;
    return m;
}

/* The default type; the canonical spelling of a type that has structure of its own. */
static void set_type(struct mime_scanner *s, struct summary_part *part)
{
    struct open_part *parent = s->depth > 1 ? &s->open[s->depth - 2] : NULL;
    bool is_in_digest = parent != NULL && mime_part_is_multipart(parent->part) &&
                        str_eq_nocase(parent->part->subtype, STR("digest"));

    if (part->type.ptr == NULL) {
        part->type = is_in_digest ? STR("message") : STR("text");
        part->subtype = is_in_digest ? STR("rfc822") : STR("plain");
    }
    if (!mime_part_is_message(part))
        return;
    bool is_global = str_eq_nocase(part->subtype, STR("global"));
    part->type = STR("message");
    part->subtype = is_global ? STR("global") : STR("rfc822");
}

static void note_bad_line(struct mime_scanner *s)
{
    if (s->depth == 1)
        s->facts.has_bad_header_line = true;
}

/* The header ends at `end`: describes the part and says what its body is. */
static void end_header(struct mime_scanner *s, struct mark end)
{
    struct open_part *o = innermost(s);
    struct summary_part *part = o->part;
    struct str fields = buf_str(&s->kept);

    if (s->is_name_open)
        note_bad_line(s);
    mime_describe_part(fields, s->is_brief, &s->arena, part);
    set_type(s, part);
    if (o->is_message)
        part->envelope = mime_describe_envelope(s->is_brief ? STR_NONE : fields, &s->arena);
    part->header_bytes = end.bytes - part->header_offset;
    part->body_offset = end.bytes;
    o->body = end;
    if (s->depth == 1)
        s->facts.header_bytes = part->header_bytes;
    if (mime_part_is_multipart(part) && may_add_part(s))
        o->boundary =
            mime_param_join(part->params, STR("boundary"), MIME_BOUNDARY_MAX_BYTES, &s->arena);
    s->state = IN_BODY;
}

/* A multipart or a message without content gets an empty part, so that every section number that a
 * client may ask for names something. */
static void add_empty_child(struct mime_scanner *s, struct mark end)
{
    struct open_part *o = innermost(s);
    bool is_message = mime_part_is_message(o->part);

    if (o->part->children != NULL || !may_add_part(s))
        return;
    if (!is_message && !mime_part_is_multipart(o->part))
        return;
    struct summary_part *part = arena_alloc(&s->arena, sizeof(*part));
    part->type = STR("text");
    part->subtype = STR("plain");
    part->header_offset = part->body_offset = end.bytes;
    if (is_message)
        part->envelope = arena_alloc(&s->arena, sizeof(*part->envelope));
    o->part->children = part;
    s->part_count++;
}

/* The innermost part ends at `end`. */
static void close_part(struct mime_scanner *s, struct mark end)
{
    struct open_part *o = innermost(s);

    o->part->body_bytes = end.bytes - o->part->body_offset;
    o->part->body_lines = end.lines - o->body.lines;
    add_empty_child(s, end);
    s->depth--;
}

/* --- boundaries --- */

static bool is_watching(const struct mime_scanner *s)
{
    for (size_t i = s->depth; i > 0; i--) {
        if (s->open[i - 1].boundary.ptr != NULL)
            return s->part_count < SUMMARY_MAX_PARTS;
    }
    return false;
}

static struct str without_line_end(struct str line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* The index of the open part that the line belongs to, or -1. From the innermost on, because nested
 * parts may use the same boundary; a line may go on behind the boundary, but the longest boundary
 * wins, except over one that fits exactly. */
static int find_boundary(const struct mime_scanner *s, struct str line)
{
    int best = -1;

    if (!str_has_prefix(line, STR("--")))
        return -1;
    line = without_line_end(str_sub(line, 2, line.len));
    for (size_t i = s->depth; i > 0; i--) {
        struct str boundary = s->open[i - 1].boundary;
        if (boundary.ptr == NULL || !str_has_prefix(line, boundary))
            continue;
        if (best >= 0 && boundary.len <= s->open[best].boundary.len)
            continue;
        best = (int)i - 1;
        struct str rest = str_sub(line, boundary.len, line.len);
        if (rest.len == 0 || str_eq(rest, STR("--")))
            break;
    }
    return best;
}

/* The innermost part has no body: the boundary comes while its header is read or right behind it.
 * The line end before the boundary is not the header's, but stays in the body of what encloses it.
 */
static void close_part_without_body(struct mime_scanner *s)
{
    struct open_part *o = innermost(s);
    struct mark end = before_line_end(s, s->at);

    if (s->state == IN_HEADER)
        end_header(s, end);
    o->part->header_bytes = end.bytes - o->part->header_offset;
    o->part->body_offset = end.bytes;
    o->body = end;
    close_part(s, end);
}

/* A boundary line of the open part `index` begins here. */
static void take_boundary(struct mime_scanner *s, size_t index, struct str line)
{
    struct open_part *o = &s->open[index];
    struct mark end = before_line_end(s, s->at);
    struct str rest = str_sub(line, strlen("--") + o->boundary.len, line.len);
    bool is_last = str_has_prefix(rest, STR("--"));

    if (s->depth - 1 > index &&
        (s->state == IN_HEADER || innermost(s)->body.bytes == s->at.bytes)) {
        close_part_without_body(s);
        end = s->at;
    }
    while (s->depth - 1 > index)
        close_part(s, end);
    if (is_last)
        o->boundary = STR_NONE;
    s->state = is_last ? IN_CLOSING_LINE : IN_OPENING_LINE;
}

/* --- header lines --- */

static void keep(struct mime_scanner *s, struct str bytes)
{
    struct kept_limits limits = kept_limits[s->field_use];
    size_t *all_bytes = &s->kept_bytes[s->field_use];

    if (s->is_brief)
        limits.field_bytes = MIN(limits.field_bytes, KEPT_BRIEF_FIELD_BYTES);
    bytes =
        str_sub(bytes, 0, MIN(limits.field_bytes - s->field_bytes, limits.all_bytes - *all_bytes));
    s->field_bytes += bytes.len;
    *all_bytes += bytes.len;
    buf_put_str(&s->kept, bytes);
}

static void note_root_field(struct mime_facts *facts, struct str name)
{
    facts->received_count += str_eq_nocase(name, STR("Received"));
    facts->has_from |= str_eq_nocase(name, STR("From"));
    facts->has_date |= str_eq_nocase(name, STR("Date"));
    facts->has_message_id |= str_eq_nocase(name, STR("Message-ID"));
}

static void start_field(struct mime_scanner *s, struct str name)
{
    uint32_t bit;
    enum mime_field_use use = mime_field_use(name, &bit);
    bool is_of_message = use == MIME_FIELD_OF_MESSAGE;

    if (is_of_message ? !innermost(s)->is_message : (s->seen_fields & bit) != 0)
        use = MIME_FIELD_UNUSED;
    s->seen_fields |= bit;
    s->field_use = use;
    s->field_bytes = 0;
    /* The field before may have been cut off. */
    if (s->kept.len > 0 && s->kept.ptr[s->kept.len - 1] != '\n')
        buf_put_c(&s->kept, "\n");
    if (s->depth == 1)
        note_root_field(&s->facts, name);
}

static bool is_name_char(char c)
{
    return c > ' ' && c < 0x7f && c != ':';
}

/* In a name longer than the head: no field that we know, but one still if the colon comes. */
static void follow_open_name(struct mime_scanner *s, struct str bytes)
{
    struct cursor c = cursor_from(bytes);

    (void)cursor_take_while(&c, is_name_char);
    if (cursor_left(&c) == 0)
        return;
    s->is_name_open = false;
    if (cursor_peek(&c) != ':')
        note_bad_line(s);
}

/* The head of a header line that is neither empty nor a boundary. */
static void take_header_line(struct mime_scanner *s, struct str line)
{
    struct str name, rest;
    bool is_continuation = line.ptr[0] == ' ' || line.ptr[0] == '\t';
    bool is_first = s->at.bytes == innermost(s)->part->header_offset;

    if (s->depth == 1 && utf8_has_non_ascii(line))
        s->facts.has_header_8bit = true;
    if (is_continuation && s->has_line) {
        keep(s, line);
        return;
    }
    s->has_line = true;
    s->field_use = MIME_FIELD_UNUSED;
    s->is_name_open = false;
    if (header_cut_name(line, &name, &rest)) {
        start_field(s, name);
        keep(s, line);
        return;
    }
    if (line.len == LINE_HEAD_BYTES) {
        s->is_name_open = true;
        follow_open_name(s, line);
        return;
    }
    if (!is_first || !str_has_prefix(line, STR("From ")))
        note_bad_line(s);
}

/* --- lines --- */

/* The line end belongs to the boundary line, not to the next one if that is a boundary too. */
static void end_boundary_line(struct mime_scanner *s)
{
    bool is_opening = s->state == IN_OPENING_LINE;

    s->state = IN_BODY;
    s->line_end_bytes = 0;
    if (is_opening && may_add_part(s))
        open_part(s, false);
}

static void note_line(struct mime_scanner *s, uint64_t end)
{
    s->facts.longest_line_bytes = MAX(s->facts.longest_line_bytes, end - s->line_start);
    s->line_start = end;
}

static void advance(struct mime_scanner *s, struct str bytes)
{
    bool has_end = bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\n';

    if (bytes.len == 0)
        return;
    s->at.bytes += bytes.len;
    s->at.lines += has_end;
    if (bytes.len > 1)
        s->last_byte = bytes.ptr[bytes.len - 2];
    s->line_end_bytes = s->last_byte == '\r' ? 2 : 1;
    s->last_byte = bytes.ptr[bytes.len - 1];
    s->is_in_line = !has_end;
    if (has_end)
        note_line(s, s->at.bytes);
    if (has_end && (s->state == IN_OPENING_LINE || s->state == IN_CLOSING_LINE))
        end_boundary_line(s);
}

static void take_line_head(struct mime_scanner *s, struct str line)
{
    if (s->state == IN_HEADER && (str_eq(line, STR("\r\n")) || str_eq(line, STR("\n")))) {
        advance(s, line);
        end_header(s, s->at);
        if (mime_part_is_message(innermost(s)->part) && may_add_part(s))
            open_part(s, true);
        return;
    }
    int index = is_watching(s) ? find_boundary(s, line) : -1;
    if (index >= 0)
        take_boundary(s, (size_t)index, line);
    else if (s->state == IN_HEADER)
        take_header_line(s, line);
    advance(s, line);
}

static size_t line_bytes(struct str piece, size_t max)
{
    size_t most = MIN(piece.len, max);
    const char *lf = memchr(piece.ptr, '\n', most);

    return lf != NULL ? (size_t)(lf - piece.ptr) + 1 : most;
}

/* At the start of a line. Returns how much of the piece was taken. */
static size_t gather_line_head(struct mime_scanner *s, struct str piece)
{
    if (s->state == IN_BODY && s->head_bytes == 0 && (piece.ptr[0] != '-' || !is_watching(s))) {
        s->is_in_line = true;
        return 0;
    }
    size_t len = line_bytes(piece, LINE_HEAD_BYTES - s->head_bytes);
    bool is_whole = piece.ptr[len - 1] == '\n' || s->head_bytes + len == LINE_HEAD_BYTES;
    if (is_whole && s->head_bytes == 0) {
        take_line_head(s, str_sub(piece, 0, len));
        return len;
    }
    memcpy(s->head + s->head_bytes, piece.ptr, len);
    s->head_bytes += len;
    if (is_whole) {
        struct str head = str_from_mem(s->head, s->head_bytes);
        s->head_bytes = 0;
        take_line_head(s, head);
    }
    return len;
}

/* The hot loop: whole lines of a body, up to one that may be a boundary. */
static size_t skip_body_lines(struct mime_scanner *s, struct str piece)
{
    bool has_boundaries = is_watching(s);
    size_t at = 0;
    const char *lf;

    s->is_in_line = true;
    while ((lf = memchr(piece.ptr + at, '\n', piece.len - at)) != NULL) {
        at = (size_t)(lf - piece.ptr) + 1;
        s->at.lines++;
        note_line(s, s->at.bytes + at);
        if (at == piece.len || (has_boundaries && piece.ptr[at] == '-')) {
            s->line_end_bytes = (at > 1 ? piece.ptr[at - 2] : s->last_byte) == '\r' ? 2 : 1;
            s->is_in_line = false;
            break;
        }
    }
    if (lf == NULL)
        at = piece.len;
    s->at.bytes += at;
    s->last_byte = piece.ptr[at - 1];
    return at;
}

/* Behind the head of a line. Returns how much of the piece was taken. */
static size_t take_line_rest(struct mime_scanner *s, struct str piece)
{
    if (s->state == IN_BODY)
        return skip_body_lines(s, piece);
    struct str rest = str_sub(piece, 0, line_bytes(piece, piece.len));
    if (s->state == IN_HEADER) {
        if (s->depth == 1 && utf8_has_non_ascii(rest))
            s->facts.has_header_8bit = true;
        if (s->is_name_open)
            follow_open_name(s, rest);
        keep(s, rest);
    }
    advance(s, rest);
    return rest.len;
}

/* --- the public side --- */

struct mime_scanner *mime_scanner_new(void)
{
    struct mime_scanner *s = xcalloc(1, sizeof(*s));

    arena_init(&s->arena, ARENA_MAX_BYTES);
    buf_init(&s->kept, KEPT_BYTES);
    open_part(s, true);
    return s;
}

void mime_scanner_free(struct mime_scanner *s)
{
    if (s == NULL)
        return;
    buf_done(&s->kept);
    arena_done(&s->arena);
    free(s);
}

void mime_scanner_feed(struct mime_scanner *s, struct str piece)
{
    ASSERT(s->depth > 0);
    while (piece.len > 0) {
        size_t taken = s->is_in_line ? take_line_rest(s, piece) : gather_line_head(s, piece);
        piece = str_sub(piece, taken, piece.len);
    }
}

struct summary_part *mime_scanner_finish(struct mime_scanner *s)
{
    ASSERT(s->depth > 0);
    if (s->head_bytes > 0)
        take_line_head(s, str_from_mem(s->head, s->head_bytes));
    note_line(s, s->at.bytes);
    if (s->state == IN_HEADER)
        end_header(s, s->at);
    while (s->depth > 0)
        close_part(s, s->at);
    return s->root;
}

const struct mime_facts *mime_scanner_facts(const struct mime_scanner *s)
{
    return &s->facts;
}
