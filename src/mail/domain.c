/*
 * Domain names for address.h: the ASCII rules of RFC 5321 section 4.1.2 (with the underscore that
 * DNS has), IDNA 2008 through libidn2.
 *
 * Plain ASCII names never reach libidn2. What does is at most 255 bytes of checked UTF-8, and what
 * comes back is checked by the ASCII rules again, because mapping can make dots and the like.
 */
#include <idn2.h>

#include "base/utf8.h"
#include "mail/address.h"

enum { DOMAIN_LABEL_MAX_BYTES = 63 };

static const struct str ace_prefix = {"xn--", 4};

static bool is_label_char(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_';
}

static bool is_ascii_label(struct str label)
{
    if (label.len == 0 || label.len > DOMAIN_LABEL_MAX_BYTES)
        return false;
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_label_char(label.ptr[i]))
            return false;
    }
    return true;
}

/* A trailing dot leaves an empty last label, and so does the empty name: both are refused. */
static bool is_ascii_domain(struct str text)
{
    struct str label, rest = text;
    bool has_more = true;

    while (has_more) {
        has_more = str_cut(rest, '.', &label, &rest);
        if (!is_ascii_label(label))
            return false;
    }
    return true;
}

/* U-labels beside ASCII ones: what no mapping of libidn2 may ever see is sorted out here. */
static bool is_utf8_domain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if ((unsigned char)c < 0x80 && !is_label_char(c) && c != '.')
            return false;
    }
    return utf8_is_valid(text);
}

static bool has_ace_label(struct str text)
{
    struct str label, rest = text;
    bool has_more = true;

    while (has_more) {
        has_more = str_cut(rest, '.', &label, &rest);
        if (str_has_prefix_nocase(label, ace_prefix))
            return true;
    }
    return false;
}

static struct str copy_lower(struct str text, struct arena *arena)
{
    char *copy = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        copy[i] = ascii_lower(text.ptr[i]);
    return str_from_mem(copy, text.len);
}

/* `text` ends in a NUL behind the view. */
static enum address_error map_idna(struct str text, struct arena *arena, struct str *out_domain)
{
    uint8_t *mapped = NULL;
    int rc =
        idn2_lookup_u8((const uint8_t *)text.ptr, &mapped, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

    if (rc == IDN2_TOO_BIG_DOMAIN)
        return ADDRESS_TOO_LONG;
    if (rc == IDN2_MALLOC)
        die_at(__FILE__, __LINE__, "out of memory");
    if (rc != IDN2_OK)
        return ADDRESS_BAD_DOMAIN;
    struct str name = str_from_c((const char *)mapped);
    enum address_error error = ADDRESS_OK;
    if (!is_ascii_domain(name))
        error = ADDRESS_BAD_DOMAIN;
    else if (name.len > ADDRESS_DOMAIN_MAX_BYTES)
        error = ADDRESS_TOO_LONG;
    else
        *out_domain = copy_lower(name, arena);
    idn2_free(mapped);
    return error;
}

enum address_error domain_parse(struct str text, struct arena *arena, struct str *out_domain)
{
    bool is_ascii = !utf8_has_non_ascii(text);

    if (is_ascii ? !is_ascii_domain(text) : !is_utf8_domain(text))
        return ADDRESS_BAD_DOMAIN;
    if (text.len > ADDRESS_DOMAIN_MAX_BYTES)
        return ADDRESS_TOO_LONG;
    struct str lower = copy_lower(text, arena);
    if (!is_ascii || has_ace_label(lower))
        return map_idna(lower, arena, out_domain);
    *out_domain = lower;
    return ADDRESS_OK;
}

/* libidn2 decodes without asking whether the label is allowed ("xn--a" gives a control character):
 * only what maps back to the same name is fit to be seen. */
static bool is_showable(struct str unicode, struct str domain, struct arena *arena)
{
    struct str again;

    return domain_parse(unicode, arena, &again) == ADDRESS_OK && str_eq_nocase(again, domain);
}

struct str domain_to_unicode(struct str domain, struct arena *arena)
{
    char ascii[ADDRESS_DOMAIN_MAX_BYTES + 1];
    char *unicode = NULL;
    struct str shown = domain;

    if (!has_ace_label(domain) || !is_ascii_domain(domain))
        return domain;
    if (!str_copy(domain, ascii, sizeof(ascii)))
        return domain;
    if (idn2_to_unicode_8z8z(ascii, &unicode, IDN2_NONTRANSITIONAL) == IDN2_OK &&
        is_showable(str_from_c(unicode), domain, arena))
        shown = arena_str(arena, str_from_c(unicode));
    idn2_free(unicode);
    return shown;
}
