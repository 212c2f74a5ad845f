/* Values of MIME header fields: see mime_param.h. */
#include "mail/mime_param.h"

#include "base/buf.h"
#include "base/cursor.h"
#include "mail/header.h"

/* RFC 2045 token, and bytes from 0x80 on because they are met. */
static bool is_token_char(char c)
{
    if ((unsigned char)c >= 0x80)
        return true;
    return c > ' ' && c < 0x7f && str_find(STR("()<>@,;:\\\"/[]?="), c) < 0;
}

static bool is_no_delimiter(char c)
{
    return c != ';' && c != ' ' && c != '\t' && c != '\r' && c != '\n';
}

static bool skip_cfws(struct cursor *c)
{
    return header_skip_cfws(c, NULL);
}

/* The token with the white space behind it; empty when there is none. */
static struct str take_token(struct cursor *c)
{
    struct str token = cursor_take_while(c, is_token_char);

    return skip_cfws(c) ? token : STR_NONE;
}

static bool take_value(struct cursor *c, struct arena *arena, struct str *out_value)
{
    struct buf text;

    if (cursor_peek(c) != '"') {
        /* "name==?utf-8?q?...?=", an encoded word where none may be, is common in file names. */
        bool is_encoded_word = cursor_peek(c) == '=';
        *out_value = arena_str(
            arena, cursor_take_while(c, is_encoded_word ? is_no_delimiter : is_token_char));
        return skip_cfws(c);
    }
    buf_init(&text, cursor_left(c));
    bool is_whole = header_take_quoted(c, &text) && skip_cfws(c);
    *out_value = arena_str(arena, buf_str(&text));
    buf_done(&text);
    return is_whole;
}

/* One parameter behind the ';'. False: broken. */
static bool take_param(struct cursor *c, struct arena *arena, struct summary_param *out_param)
{
    if (!skip_cfws(c))
        return false;
    struct str name = take_token(c);
    if (name.len == 0 || !cursor_take_if(c, '='))
        return false;
    if (!skip_cfws(c) || cursor_left(c) == 0)
        return false;
    out_param->name = arena_str(arena, name);
    return take_value(c, arena, &out_param->value);
}

static struct summary_param *take_params(struct cursor *c, struct arena *arena)
{
    struct summary_param *head = NULL, **tail = &head;

    for (size_t count = 0; count < MIME_MAX_PARAMS; count++) {
        struct summary_param param = {0};
        if (!cursor_take_if(c, ';') || !take_param(c, arena, &param))
            break;
        *tail = arena_alloc(arena, sizeof(param));
        **tail = param;
        tail = &(*tail)->next;
    }
    return head;
}

bool mime_param_parse_type(struct str body, struct arena *arena, struct summary_part *out_part)
{
    struct cursor c = cursor_from(body);

    if (!skip_cfws(&c))
        return false;
    struct str type = take_token(&c);
    if (type.len == 0)
        return false;
    out_part->type = arena_str(arena, type);
    out_part->subtype = STR("");
    if (!cursor_take_if(&c, '/') || !skip_cfws(&c))
        return true;
    out_part->subtype = arena_str(arena, take_token(&c));
    if (out_part->subtype.len > 0 && cursor_peek(&c) == ';')
        out_part->params = take_params(&c, arena);
    return true;
}

struct str mime_param_parse_disposition(struct str body, struct arena *arena,
                                        struct summary_param **out_params)
{
    struct cursor c = cursor_from(body);

    *out_params = NULL;
    if (!skip_cfws(&c))
        return STR_NONE;
    struct str token = take_token(&c);
    if (token.len == 0)
        return STR_NONE;
    *out_params = take_params(&c, arena);
    return arena_str(arena, token);
}

struct str mime_param_parse_token(struct str body, struct arena *arena)
{
    struct cursor c = cursor_from(body);

    if (!skip_cfws(&c))
        return STR_NONE;
    struct str token = take_token(&c);
    if (token.len == 0 || cursor_left(&c) > 0)
        return STR_NONE;
    return arena_str(arena, token);
}

struct summary_param *mime_param_parse_tokens(struct str body, struct arena *arena)
{
    struct summary_param *head = NULL, **tail = &head;
    struct cursor c = cursor_from(body);

    for (size_t count = 0; count < MIME_MAX_PARAMS && skip_cfws(&c); count++) {
        struct str token = take_token(&c);
        if (token.len > 0) {
            *tail = arena_alloc(arena, sizeof(**tail));
            (*tail)->name = arena_str(arena, token);
            (*tail)->value = STR("");
            tail = &(*tail)->next;
        }
        if (!cursor_take_if(&c, ','))
            break;
    }
    return head;
}

/* RFC 2231 section 4: charset'language'text with %XX, the first two in the first piece only. */
static void put_extended(struct buf *out, struct str value, bool is_first)
{
    struct str charset, language, text;

    if (is_first && str_cut(value, '\'', &charset, &language) &&
        str_cut(language, '\'', &language, &text))
        value = text;
    for (size_t i = 0; i < value.len; i++) {
        int high = i + 2 < value.len ? ascii_hex_value(value.ptr[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex_value(value.ptr[i + 2]) : -1;
        if (value.ptr[i] != '%' || low < 0) {
            buf_put_char(out, value.ptr[i]);
            continue;
        }
        buf_put_char(out, (char)(high << 4 | low));
        i += 2;
    }
}

/* Byte by byte, so that what passes the maximum is cut off and not dropped whole. */
static void put_chars(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        buf_put_char(out, value.ptr[i]);
}

/* The parameter name, name*, name*N or name*N*; NULL when there is none. N < 0: not numbered. */
static const struct summary_param *find_piece(const struct summary_param *params, struct str name,
                                              int number, bool *out_is_extended)
{
    char number_text[16];

    (void)snprintf(number_text, sizeof(number_text), "*%d", number);
    for (const struct summary_param *p = params; p != NULL; p = p->next) {
        if (!str_has_prefix_nocase(p->name, name))
            continue;
        struct str rest = str_sub(p->name, name.len, p->name.len);
        if (number >= 0 && !str_has_prefix(rest, str_from_c(number_text)))
            continue;
        if (number >= 0)
            rest = str_sub(rest, str_from_c(number_text).len, rest.len);
        *out_is_extended = str_eq(rest, STR("*"));
        if (rest.len == 0 || *out_is_extended)
            return p;
    }
    return NULL;
}

struct str mime_param_join(const struct summary_param *params, struct str name, size_t max,
                           struct arena *arena)
{
    bool is_extended;
    const struct summary_param *whole = find_piece(params, name, -1, &is_extended);

    if (whole != NULL && !is_extended)
        return str_sub(whole->value, 0, max);
    struct buf text;
    buf_init(&text, max);
    if (whole != NULL)
        put_extended(&text, whole->value, true);
    for (int i = 0; whole == NULL && i < MIME_MAX_PARAMS; i++) {
        const struct summary_param *piece = find_piece(params, name, i, &is_extended);
        if (piece == NULL)
            break;
        if (is_extended)
            put_extended(&text, piece->value, i == 0);
        else
            put_chars(&text, piece->value);
    }
    struct str joined = text.len > 0 ? arena_str(arena, buf_str(&text)) : STR_NONE;
    buf_done(&text);
    return joined;
}
