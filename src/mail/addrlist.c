/*
 * Address lists of header fields: see addrlist.h.
 *
 * The grammar is tried from the narrow to the wide form, each from the same place: a group, a name
 * with an angle address, a bare address. Each try stops at the comma, so the work is linear.
 */
#include "mail/addrlist.h"

#include "base/buf.h"
#include "base/cursor.h"
#include "mail/header.h"

struct parser {
    struct cursor c;
    struct buf text;    /* of the element being read */
    struct buf comment; /* the last comment */
    struct arena *arena;
    struct summary_mailbox *head, **tail;
    size_t left;
};

static bool is_atext(char c)
{
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80 ||
           (c != '\0' && str_find(STR("!#$%&'*+-/=?^_`{|}~"), c) >= 0);
}

static bool is_atext_or_dot(char c)
{
    return is_atext(c) || c == '.';
}

static bool is_domain_literal_char(char c)
{
    return c != ']' && c != '[';
}

static bool skip_cfws(struct parser *p)
{
    return header_skip_cfws(&p->c, &p->comment);
}

static bool is_at_end(const struct parser *p)
{
    return cursor_left(&p->c) == 0;
}

static struct str copy_text(struct parser *p)
{
    return arena_str(p->arena, buf_str(&p->text));
}

static struct str copy_name(struct parser *p, const struct buf *name)
{
    return header_unfold_text(buf_str(name), p->arena);
}

static void set_text(struct str *field, bool *has_field, struct str value)
{
    *field = value;
    *has_field = true;
}

static void add_mailbox(struct parser *p, const struct summary_mailbox *m)
{
    if (p->left == 0)
        return;
    p->left--;
    *p->tail = arena_alloc(p->arena, sizeof(*m));
    **p->tail = *m;
    p->tail = &(*p->tail)->next;
}

static void add_filled(struct parser *p, struct summary_mailbox *m)
{
    if (!m->has_mailbox)
        set_text(&m->mailbox, &m->has_mailbox, STR("MISSING_MAILBOX"));
    if (!m->has_host)
        set_text(&m->host, &m->has_host, STR("MISSING_DOMAIN"));
    add_mailbox(p, m);
}

/* Appends words with one space between them; no word at all is a phrase too. False for what cannot
 * be one, or has nothing behind it: a phrase is always followed by something. */
static bool take_phrase(struct parser *p)
{
    int next = cursor_peek(&p->c);

    if (next == '.')
        return false;
    for (;;) {
        if (next == '"' && !header_take_quoted(&p->c, &p->text))
            return false;
        if (next != '"')
            buf_put_str(&p->text, cursor_take_while(&p->c, is_atext_or_dot));
        if (!skip_cfws(p) || is_at_end(p))
            return false;
        next = cursor_peek(&p->c);
        if (next != '"' && !is_atext_or_dot((char)next))
            return true;
        buf_put_char(&p->text, ' ');
    }
}

/* dot-atom with the white space around dots that RFC 822 allowed. */
static bool take_dot_atom(struct parser *p)
{
    for (;;) {
        struct str atom = cursor_take_while(&p->c, is_atext);
        if (atom.len == 0)
            return false;
        buf_put_str(&p->text, atom);
        if (!skip_cfws(p))
            return false;
        if (!cursor_take_if(&p->c, '.'))
            return true;
        buf_put_char(&p->text, '.');
        if (!skip_cfws(p))
            return false;
    }
}

/* On failure the text read so far is no local part. */
static bool take_local_part(struct parser *p, struct summary_mailbox *m)
{
    buf_reset(&p->text);
    if (cursor_peek(&p->c) == '"') {
        if (!header_take_quoted(&p->c, &p->text) || !skip_cfws(p))
            return false;
    } else if (!take_dot_atom(p)) {
        return false;
    }
    set_text(&m->mailbox, &m->has_mailbox, copy_text(p));
    return true;
}

/* At '@'; appends the domain to the text. */
static bool take_domain_text(struct parser *p)
{
    cursor_expect(&p->c, '@');
    if (!skip_cfws(p))
        return false;
    if (!cursor_take_if(&p->c, '['))
        return take_dot_atom(p);
    buf_put_char(&p->text, '[');
    buf_put_str(&p->text, cursor_take_while(&p->c, is_domain_literal_char));
    if (!cursor_take_if(&p->c, ']'))
        return false;
    buf_put_char(&p->text, ']');
    return skip_cfws(p);
}

static bool take_domain(struct parser *p, struct summary_mailbox *m)
{
    buf_reset(&p->text);
    if (!take_domain_text(p) || p->text.len == 0)
        return false;
    set_text(&m->host, &m->has_host, copy_text(p));
    return true;
}

/* obs-domain-list ":" at '@'. */
static bool take_route(struct parser *p, struct summary_mailbox *m)
{
    buf_reset(&p->text);
    while (cursor_peek(&p->c) == '@') {
        if (p->text.len > 0)
            buf_put_char(&p->text, ',');
        buf_put_char(&p->text, '@');
        if (!take_domain_text(p))
            return false;
        do {
            if (!skip_cfws(p))
                return false;
        } while (cursor_take_if(&p->c, ','));
    }
    set_text(&m->adl, &m->has_adl, copy_text(p));
    return cursor_take_if(&p->c, ':');
}

/* At '<'. False: broken, `m` has what could be read. */
static bool take_angle_address(struct parser *p, struct summary_mailbox *m)
{
    cursor_expect(&p->c, '<');
    if (!skip_cfws(p))
        return false;
    if (cursor_peek(&p->c) == '@' && !take_route(p, m)) {
        set_text(&m->adl, &m->has_adl, STR("INVALID_ROUTE"));
        if (is_at_end(p))
            return false;
    }
    if (!skip_cfws(p))
        return false;
    if (cursor_peek(&p->c) != '>') {
        if (!take_local_part(p, m))
            return false;
        if (cursor_peek(&p->c) == '@' && !take_domain(p, m))
            return false;
    }
    return cursor_take_if(&p->c, '>') && skip_cfws(p);
}

/* [phrase] "<" ... ">". False: this is none, the caller goes back. */
static bool take_name_address(struct parser *p, struct summary_mailbox *m)
{
    buf_reset(&p->text);
    if (!take_phrase(p) || cursor_peek(&p->c) != '<')
        return false;
    if (p->text.len > 0)
        set_text(&m->name, &m->has_name, copy_name(p, &p->text));
    if (!take_angle_address(p, m))
        set_text(&m->host, &m->has_host, STR("SYNTAX_ERROR"));
    return true;
}

/* A name without an address: "Big Bug bb@bug.example" reads as a name up to the '@'. */
static void take_lone_words(struct parser *p, struct summary_mailbox *m)
{
    buf_put_char(&p->text, ' ');
    size_t before = p->text.len;
    (void)take_phrase(p);
    if (p->text.len == before)
        return;
    m->has_mailbox = false;
    set_text(&m->name, &m->has_name, copy_name(p, &p->text));
}

/* local-part "@" domain, with a comment as the name. */
static void take_bare_address(struct parser *p, struct summary_mailbox *m)
{
    buf_reset(&p->comment);
    bool has_ended = take_local_part(p, m) && is_at_end(p);
    bool has_domain = !has_ended && cursor_peek(&p->c) == '@';
    if (has_domain)
        m->is_broken = !take_domain(p, m);
    if (p->comment.len > 0)
        set_text(&m->name, &m->has_name, copy_name(p, &p->comment));
    else if (!has_domain)
        take_lone_words(p, m);
}

static void take_mailbox(struct parser *p)
{
    struct summary_mailbox m = {0};
    struct cursor start = p->c;

    if (!take_name_address(p, &m)) {
        p->c = start;
        m = (struct summary_mailbox){0};
        take_bare_address(p, &m);
    }
    add_filled(p, &m);
}

/* False when no comma with something behind it follows: the list ends here. */
static bool take_comma(struct parser *p)
{
    if (!cursor_take_if(&p->c, ','))
        return false;
    if (skip_cfws(p))
        return !is_at_end(p);
    add_filled(p, &(struct summary_mailbox){0}); /* a comment that does not end */
    return false;
}

/* phrase ":" ... ";". False: this is none, the caller goes back. */
static bool take_group(struct parser *p)
{
    struct summary_mailbox m = {0};

    buf_reset(&p->text);
    if (!take_phrase(p) || !cursor_take_if(&p->c, ':'))
        return false;
    if (p->left < 2) {
        p->left = 0;
        return true;
    }
    p->left--; /* for the end mark */
    set_text(&m.mailbox, &m.has_mailbox, copy_text(p));
    add_mailbox(p, &m);
    if (skip_cfws(p) && !is_at_end(p) && cursor_peek(&p->c) != ';') {
        do
            take_mailbox(p);
        while (p->left > 0 && take_comma(p));
    }
    if (cursor_take_if(&p->c, ';'))
        (void)skip_cfws(p);
    p->left++;
    add_mailbox(p, &(struct summary_mailbox){0});
    return true;
}

static void take_list(struct parser *p)
{
    if (!skip_cfws(p) || is_at_end(p))
        return;
    do {
        struct cursor start = p->c;
        if (!take_group(p)) {
            p->c = start;
            take_mailbox(p);
        }
    } while (p->left > 0 && take_comma(p));
}

struct summary_mailbox *addrlist_parse(struct str body, size_t max, struct arena *arena)
{
    struct parser p = {.c = cursor_from(body), .arena = arena, .left = max};

    p.tail = &p.head;
    /* Each byte read gives at most one byte of text and one separator. */
    buf_init(&p.text, 2 * body.len + 2);
    buf_init(&p.comment, body.len + 1);
    take_list(&p);
    buf_done(&p.text);
    buf_done(&p.comment);
    return p.head;
}
