/*
 * The envelope grammar of address.h: Path, Mailbox, Local-part and address literals of RFC 5321
 * section 4.1.2 with the UTF-8 of RFC 6531 section 3.3.
 *
 * Grammar first, then sizes: only a well-formed mailbox is too long. Nothing is copied into the
 * arena before its size has been checked, so that a long line cannot fill it.
 */
#include <string.h>

#include "base/ip.h"
#include "base/utf8.h"
#include "mail/address.h"

enum {
    PATH_BRACKETS_BYTES = 2,
    PATH_MAILBOX_MAX_BYTES = ADDRESS_PATH_MAX_BYTES - PATH_BRACKETS_BYTES,
    PATH_SNUM_MAX_DIGITS = 3,
};

/* A local part as it stands in the input. */
struct local_text {
    struct str raw;
    size_t bare_bytes; /* without quotes and backslashes */
    bool is_quoted;
};

static bool is_non_ascii(int c)
{
    return c >= 0x80;
}

static bool is_dot_string_char(char c)
{
    if (ascii_is_alnum(c) || is_non_ascii((unsigned char)c))
        return true;
    return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL;
}

static bool is_domain_char(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || is_non_ascii((unsigned char)c);
}

/* Well-formed, and no C1 controls (U+0080 to U+009F), which are as bad as the ASCII ones. */
static bool is_clean_utf8(struct str s)
{
    for (size_t i = 0; i + 1 < s.len; i++) {
        if ((unsigned char)s.ptr[i] == 0xc2 && (unsigned char)s.ptr[i + 1] < 0xa0)
            return false;
    }
    return utf8_is_valid(s);
}

static bool is_dot_string(struct str s)
{
    struct str atom, rest = s;
    bool has_more = true;

    while (has_more) {
        has_more = str_cut(rest, '.', &atom, &rest);
        if (atom.len == 0)
            return false;
    }
    return true;
}

/* Quoted-string behind its first quote. RFC 6531 adds UTF-8 to qtextSMTP, not to quoted-pairSMTP.
 */
static bool skip_quoted(struct cursor *c, size_t *out_bare_bytes)
{
    size_t bare_bytes = 0;

    for (;;) {
        int ch = cursor_next(c);
        if (ch == '"')
            break;
        bool is_pair = ch == '\\';
        if (is_pair)
            ch = cursor_next(c);
        if (ch < ' ' || ch == 0x7f || (is_pair && is_non_ascii(ch)))
            return false;
        bare_bytes++;
    }
    *out_bare_bytes = bare_bytes;
    return true;
}

static bool take_local(struct cursor *c, struct local_text *out)
{
    struct str rest = cursor_rest(c);
    size_t from = cursor_offset(c);

    out->is_quoted = cursor_take_if(c, '"');
    if (out->is_quoted) {
        if (!skip_quoted(c, &out->bare_bytes))
            return false;
        out->raw = str_sub(rest, 0, cursor_offset(c) - from);
        return is_clean_utf8(out->raw);
    }
    out->raw = cursor_take_while(c, is_dot_string_char);
    out->bare_bytes = out->raw.len;
    return is_dot_string(out->raw) && is_clean_utf8(out->raw);
}

static struct str unquote_local(const struct local_text *local, struct arena *arena)
{
    if (!local->is_quoted)
        return local->raw;
    struct cursor c = cursor_from(str_sub(local->raw, 1, local->raw.len - 2));
    char *bare = arena_alloc(arena, local->bare_bytes + 1);
    size_t len = 0;
    while (cursor_left(&c) > 0) {
        (void)cursor_take_if(&c, '\\');
        bare[len++] = (char)cursor_next(&c);
    }
    ASSERT(len == local->bare_bytes);
    return str_from_mem(bare, len);
}

/* Snum is one to three digits of a decimal number: leading zeros are allowed and never octal. */
static bool parse_v4_literal(struct str text, struct ip_addr *out)
{
    struct str snum, rest = text;
    uint64_t value = 0;

    out->family = IP_V4;
    for (int i = 0; i < IP_V4_BYTES; i++) {
        bool has_more = str_cut(rest, '.', &snum, &rest);
        if (snum.len > PATH_SNUM_MAX_DIGITS || str_to_u64(snum, UINT8_MAX, &value) < 0)
            return false;
        if (has_more != (i < IP_V4_BYTES - 1))
            return false;
        out->bytes[i] = (uint8_t)value;
    }
    return true;
}

/* `text` is what stands between the square brackets. Of the tags only IPv6 is registered. */
static enum address_error parse_literal(struct str text, struct arena *arena,
                                        struct str *out_domain)
{
    static const struct str tag = {"IPv6:", 5};
    struct ip_addr ip = {.family = IP_NONE};
    char printed[IP_TEXT_BYTES];

    if (str_has_prefix_nocase(text, tag)) {
        if (ip_parse(str_sub(text, tag.len, text.len), &ip) < 0 || ip.family != IP_V6)
            return ADDRESS_BAD_DOMAIN;
        *out_domain = str_from_c(arena_printf(arena, "[IPv6:%s]", ip_print(&ip, printed)));
        return ADDRESS_OK;
    }
    if (!parse_v4_literal(text, &ip))
        return ADDRESS_BAD_DOMAIN;
    *out_domain = str_from_c(arena_printf(arena, "[%s]", ip_print(&ip, printed)));
    return ADDRESS_OK;
}

/* Takes the domain or literal, brackets with it; an empty view if there is none. */
static struct str take_domain(struct cursor *c)
{
    if (cursor_peek(c) != '[')
        return cursor_take_while(c, is_domain_char);
    struct str rest = cursor_rest(c);
    ptrdiff_t end = str_find(rest, ']');
    return end < 0 ? STR("") : cursor_take(c, (size_t)end + 1);
}

static enum address_error parse_domain(struct str text, struct arena *arena, struct address *out)
{
    out->is_literal = text.ptr[0] == '[';
    if (out->is_literal)
        return parse_literal(str_sub(text, 1, text.len - 2), arena, &out->domain);
    return domain_parse(text, arena, &out->domain);
}

static bool is_bare_postmaster(const struct local_text *local, unsigned flags)
{
    return (flags & ADDRESS_MAY_LACK_DOMAIN) != 0 && !local->is_quoted &&
           str_eq_nocase(local->raw, STR("postmaster"));
}

/* Sizes and the demand for SMTPUTF8, once the grammar is known to be right. The quoted form that
 * address_print makes is never longer than what the peer wrote, so it fits as well. */
static enum address_error check_limits(const struct address *a, const struct local_text *local,
                                       unsigned flags)
{
    size_t canonical_bytes = local->raw.len + 1 + a->domain.len;

    if (local->bare_bytes > ADDRESS_LOCAL_MAX_BYTES)
        return ADDRESS_TOO_LONG;
    if (a->raw.len > PATH_MAILBOX_MAX_BYTES || canonical_bytes > PATH_MAILBOX_MAX_BYTES)
        return ADDRESS_TOO_LONG;
    if ((flags & ADDRESS_MAY_BE_UTF8) == 0 && utf8_has_non_ascii(a->raw))
        return ADDRESS_NEEDS_SMTPUTF8;
    return ADDRESS_OK;
}

/* Mailbox up to `end` (-1: the end of the input), which stays. */
static enum address_error parse_mailbox(struct cursor *c, int end, unsigned flags,
                                        struct arena *arena, struct address *out)
{
    struct str rest = cursor_rest(c), domain = STR("");
    size_t from = cursor_offset(c);
    struct local_text local = {.bare_bytes = 0};
    enum address_error error = ADDRESS_OK;

    if (!take_local(c, &local))
        return ADDRESS_BAD_SYNTAX;
    if (cursor_take_if(c, '@'))
        domain = take_domain(c);
    else if (!is_bare_postmaster(&local, flags))
        return ADDRESS_BAD_SYNTAX;
    out->raw = str_sub(rest, 0, cursor_offset(c) - from);
    bool has_domain = out->raw.len > local.raw.len;
    if (cursor_peek(c) != end || (has_domain && domain.len == 0))
        return ADDRESS_BAD_SYNTAX;
    if (has_domain)
        error = parse_domain(domain, arena, out);
    if (error == ADDRESS_OK)
        error = check_limits(out, &local, flags);
    if (error != ADDRESS_OK)
        return error;
    out->local = unquote_local(&local, arena);
    out->is_utf8 = utf8_has_non_ascii(out->local);
    return ADDRESS_OK;
}

/* A-d-l ":" of RFC 5321: checked as far as its characters go, then forgotten. */
static bool skip_source_route(struct cursor *c, bool *out_is_utf8)
{
    do {
        cursor_expect(c, '@');
        struct str domain = cursor_take_while(c, is_domain_char);
        if (!is_dot_string(domain) || !is_clean_utf8(domain))
            return false;
        *out_is_utf8 |= utf8_has_non_ascii(domain);
    } while (cursor_take_if(c, ','));
    cursor_expect(c, ':');
    return cursor_status(c) == 0;
}

static void clear_address(struct address *out)
{
    *out = (struct address){.raw = STR(""), .local = STR(""), .domain = STR("")};
}

enum address_error path_parse(struct cursor *c, unsigned flags, struct arena *arena,
                              struct address *out)
{
    bool is_route_utf8 = false;

    clear_address(out);
    if (!cursor_take_if(c, '<'))
        return ADDRESS_BAD_SYNTAX;
    if (cursor_take_if(c, '>')) {
        out->is_null = true;
        return (flags & ADDRESS_MAY_BE_NULL) != 0 ? ADDRESS_OK : ADDRESS_BAD_SYNTAX;
    }
    bool has_route = cursor_peek(c) == '@';
    if (has_route && !skip_source_route(c, &is_route_utf8))
        return ADDRESS_BAD_SYNTAX;
    if (has_route)
        flags &= ~(unsigned)ADDRESS_MAY_LACK_DOMAIN;
    enum address_error error = parse_mailbox(c, '>', flags, arena, out);
    if (error != ADDRESS_OK)
        return error;
    cursor_expect(c, '>');
    if (is_route_utf8 && (flags & ADDRESS_MAY_BE_UTF8) == 0)
        return ADDRESS_NEEDS_SMTPUTF8;
    return ADDRESS_OK;
}

enum address_error address_parse(struct str text, unsigned flags, struct arena *arena,
                                 struct address *out)
{
    struct cursor c = cursor_from(text);

    clear_address(out);
    out->is_null = text.len == 0;
    if (out->is_null)
        return (flags & ADDRESS_MAY_BE_NULL) != 0 ? ADDRESS_OK : ADDRESS_BAD_SYNTAX;
    return parse_mailbox(&c, -1, flags | ADDRESS_MAY_BE_UTF8, arena, out);
}
