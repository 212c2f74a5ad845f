/*
 * The summary as IMAP prints it (RFC 3501 section 7.4.2, RFC 9051 section 7.5.2), and the parts by
 * their section numbers. What is absent gets the defaults of MIME: text/plain, us-ascii, 7bit.
 */
#include "mail/mime_describe.h"
#include "mail/summary.h"

/* A part that a multipart or a message without any is shown to have. */
static const struct summary_part empty_part = {
    .type = {"text", 4},
    .subtype = {"plain", 5},
};

static bool is_quotable(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '\0' || c == '\r' || c == '\n' || c >= 0x80)
            return false;
    }
    return true;
}

static void print_string(struct str s, struct buf *out)
{
    bool is_literal = !is_quotable(s);

    if (is_literal)
        buf_printf(out, "{%zu}\r\n", s.len);
    else
        buf_put_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (!is_literal && (s.ptr[i] == '"' || s.ptr[i] == '\\'))
            buf_put_char(out, '\\');
        buf_put_char(out, s.ptr[i] != '\0' ? s.ptr[i] : '?'); /* a literal has no NUL */
    }
    if (!is_literal)
        buf_put_char(out, '"');
}

static void print_nstring(struct str s, struct buf *out)
{
    if (s.ptr != NULL)
        print_string(s, out);
    else
        buf_put_c(out, "NIL");
}

static void print_spaced(struct str s, struct buf *out)
{
    buf_put_char(out, ' ');
    print_nstring(s, out);
}

/* --- ENVELOPE --- */

static void print_mailboxes(const struct summary_mailbox *list, struct buf *out)
{
    buf_put_char(out, ' ');
    if (list == NULL) {
        buf_put_c(out, "NIL");
        return;
    }
    buf_put_char(out, '(');
    for (const struct summary_mailbox *m = list; m != NULL; m = m->next) {
        buf_put_char(out, '(');
        print_nstring(m->has_name ? m->name : STR_NONE, out);
        print_spaced(m->has_adl ? m->adl : STR_NONE, out);
        print_spaced(m->has_mailbox ? m->mailbox : STR_NONE, out);
        print_spaced(m->has_host ? m->host : STR_NONE, out);
        buf_put_char(out, ')');
    }
    buf_put_char(out, ')');
}

void summary_print_envelope(const struct summary_envelope *envelope, struct buf *out)
{
    static const struct summary_envelope nothing;
    const struct summary_envelope *e = envelope != NULL ? envelope : &nothing;

    buf_put_char(out, '(');
    print_nstring(e->date, out);
    print_spaced(e->subject, out);
    for (int i = 0; i < SUMMARY_LIST_COUNT; i++)
        print_mailboxes(e->lists[i], out);
    print_spaced(e->in_reply_to, out);
    print_spaced(e->message_id, out);
    buf_put_char(out, ')');
}

/* --- BODY and BODYSTRUCTURE --- */

static bool is_text(const struct summary_part *part)
{
    return str_eq_nocase(part->type, STR("text"));
}

static void print_params(const struct summary_param *params, bool needs_charset, struct buf *out)
{
    const char *separator = " (";

    for (const struct summary_param *p = params; p != NULL; p = p->next) {
        buf_put_c(out, separator);
        print_string(p->name, out);
        print_spaced(p->value, out);
        separator = " ";
        if (str_eq_nocase(p->name, STR("charset")))
            needs_charset = false;
    }
    if (needs_charset) {
        buf_put_c(out, separator);
        buf_put_c(out, "\"charset\" \"us-ascii\"");
    }
    buf_put_c(out, params != NULL || needs_charset ? ")" : " NIL");
}

/* body-fld-dsp, body-fld-lang, body-fld-loc. */
static void print_extension(const struct summary_part *part, struct buf *out)
{
    const char *separator = " (";

    if (part->disposition.ptr != NULL) {
        buf_put_c(out, " (");
        print_string(part->disposition, out);
        print_params(part->disposition_params, false, out);
        buf_put_char(out, ')');
    } else {
        buf_put_c(out, " NIL");
    }
    for (const struct summary_param *p = part->languages; p != NULL; p = p->next) {
        buf_put_c(out, separator);
        print_string(p->name, out);
        separator = " ";
    }
    buf_put_c(out, part->languages != NULL ? ")" : " NIL");
    print_spaced(part->location, out);
}

/* From the type to the size: what every part but a multipart begins with. */
static void print_basic(const struct summary_part *part, struct buf *out)
{
    print_string(part->type, out);
    print_spaced(part->subtype, out);
    print_params(part->params, is_text(part), out);
    print_spaced(part->id, out);
    print_spaced(part->description, out);
    print_spaced(part->encoding.ptr != NULL ? part->encoding : STR("7bit"), out);
    buf_printf(out, " %ju", (uintmax_t)part->body_bytes);
}

static void print_part(const struct summary_part *part, bool is_extended, size_t depth,
                       struct buf *out);

static void print_children(const struct summary_part *part, bool is_extended, size_t depth,
                           struct buf *out)
{
    if (part->children == NULL || depth >= SUMMARY_MAX_DEPTH) {
        print_part(&empty_part, is_extended, depth + 1, out);
        return;
    }
    for (const struct summary_part *p = part->children; p != NULL; p = p->next)
        print_part(p, is_extended, depth + 1, out);
}

/* Recursion is bounded by SUMMARY_MAX_DEPTH. */
static void print_part(const struct summary_part *part, bool is_extended, size_t depth,
                       struct buf *out)
{
    bool is_multipart = mime_part_is_multipart(part), is_message = mime_part_is_message(part);

    buf_put_char(out, '(');
    if (is_multipart) {
        print_children(part, is_extended, depth, out);
        print_spaced(part->subtype, out);
        if (is_extended)
            print_params(part->params, false, out);
    } else {
        print_basic(part, out);
    }
    if (is_message) {
        buf_put_char(out, ' ');
        summary_print_envelope(part->children != NULL ? part->children->envelope : NULL, out);
        buf_put_char(out, ' ');
        print_children(part, is_extended, depth, out);
    }
    if (is_message || is_text(part))
        buf_printf(out, " %ju", (uintmax_t)part->body_lines);
    if (is_extended && !is_multipart)
        print_spaced(part->md5, out);
    if (is_extended)
        print_extension(part, out);
    buf_put_char(out, ')');
}

void summary_print_body(const struct summary_part *root, bool is_extended, struct buf *out)
{
    print_part(root, is_extended, 1, out);
}

/* --- sections --- */

static const struct summary_part *find_child(const struct summary_part *part, uint64_t number)
{
    const struct summary_part *child = part->children;

    while (child != NULL && --number > 0)
        child = child->next;
    return child;
}

const struct summary_part *summary_find(const struct summary_part *root, struct str section)
{
    const struct summary_part *part = root;
    bool is_message_root = true; /* then part 1 of something else than a multipart is itself */
    struct str number_text;
    uint64_t number;

    if (section.len == 0)
        return root;
    for (bool has_more = true; has_more && part != NULL;) {
        has_more = str_cut(section, '.', &number_text, &section);
        if (str_to_u64(number_text, SUMMARY_MAX_PARTS, &number) < 0 || number == 0)
            return NULL;
        if (mime_part_is_multipart(part))
            part = find_child(part, number);
        else if (!is_message_root || number > 1)
            return NULL;
        is_message_root = has_more && part != NULL && mime_part_is_message(part);
        if (is_message_root)
            part = part->children;
    }
    return part;
}
