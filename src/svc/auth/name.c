/* A user's name outside: see name.h. */
#include "svc/auth/name.h"

struct outside_name outside_name_of(struct str address)
{
    ptrdiff_t at = str_rfind(address, '@');
    struct outside_name name = {.address = address, .user = address};

    if (at < 0)
        return name;
    name.user = str_sub(address, 0, (size_t)at);
    name.domain = str_sub(address, (size_t)at + 1, address.len);
    return name;
}

/* RFC 4514: blanks count at the ends of a value only, and # at its beginning; but the template may
 * put more around it. Escaped everywhere they mean themselves. */
static bool is_special(char c, enum name_place place)
{
    static const char in_dn[] = "\"+,;<>\\ #=", in_filter[] = "*()\\";
    struct str specials = place == NAME_IN_DN ? str_from_c(in_dn) : str_from_c(in_filter);

    return (unsigned char)c < ' ' || c == 0x7f || str_find(specials, c) >= 0;
}

/* Both have the same form: a backslash and two hexadecimal digits. */
static void put_escaped(struct str value, enum name_place place, struct buf *out)
{
    for (size_t i = 0; i < value.len; i++) {
        if (is_special(value.ptr[i], place))
            buf_printf(out, "\\%02x", (unsigned char)value.ptr[i]);
        else
            buf_put_char(out, value.ptr[i]);
    }
}

int name_expand(struct str template, struct str address, enum name_place place, struct buf *out)
{
    struct outside_name name = outside_name_of(address);

    for (size_t i = 0; i < template.len; i++) {
        if (template.ptr[i] != '%') {
            buf_put_char(out, template.ptr[i]);
            continue;
        }
        char c = ++i < template.len ? template.ptr[i] : '%';
        if (c == 'u')
            put_escaped(name.user, place, out);
        else if (c == 'd')
            put_escaped(name.domain, place, out);
        else if (c == 'a')
            put_escaped(name.address, place, out);
        else
            buf_put_char(out, c);
    }
    return buf_status(out);
}
