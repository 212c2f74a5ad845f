/* Views of text: see str.h. */
#include "base/str.h"

#include <errno.h>
#include <string.h>

struct str str_from_c(const char *text)
{
    return (struct str){.ptr = text, .len = text != NULL ? strlen(text) : 0};
}

struct str str_from_mem(const void *ptr, size_t len)
{
    return (struct str){.ptr = ptr, .len = len};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && str_has_prefix_nocase(a, b);
}

bool str_eq_c(struct str a, const char *b)
{
    return str_eq(a, str_from_c(b));
}

int str_cmp(struct str a, struct str b)
{
    size_t common = MIN(a.len, b.len);
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool str_has_prefix(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool str_has_prefix_nocase(struct str s, struct str prefix)
{
    if (s.len < prefix.len || prefix.len == 0)
        return prefix.len == 0;
    ASSERT(s.ptr != NULL && prefix.ptr != NULL);
    for (size_t i = 0; i < prefix.len; i++) {
        if (ascii_lower(s.ptr[i]) != ascii_lower(prefix.ptr[i]))
            return false;
    }
    return true;
}

bool str_has_suffix_nocase(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq_nocase(str_sub(s, s.len - suffix.len, suffix.len), suffix);
}

struct str str_sub(struct str s, size_t from, size_t len)
{
    if (from > s.len)
        from = s.len;
    if (len > s.len - from)
        len = s.len - from;
    return (struct str){.ptr = s.ptr != NULL ? s.ptr + from : NULL, .len = len};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_space(s.ptr[0]))
        s = str_sub(s, 1, s.len);
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

ptrdiff_t str_find(struct str s, char c)
{
    const char *hit = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;

    return hit != NULL ? hit - s.ptr : -1;
}

ptrdiff_t str_rfind(struct str s, char c)
{
    const char *hit = s.len > 0 ? memrchr(s.ptr, c, s.len) : NULL;

    return hit != NULL ? hit - s.ptr : -1;
}

bool str_contains_nocase(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.len <= s.len; i++) {
        if (str_has_prefix_nocase(str_sub(s, i, s.len), needle))
            return true;
    }
    return false;
}

bool str_cut(struct str s, char c, struct str *out_head, struct str *out_tail)
{
    ptrdiff_t at = str_find(s, c);
    size_t head_len = at < 0 ? s.len : (size_t)at;

    *out_head = str_sub(s, 0, head_len);
    *out_tail = str_sub(s, head_len + 1, s.len);
    return at >= 0;
}

int str_to_u64(struct str s, uint64_t max, uint64_t *out_value)
{
    uint64_t value = 0;

    if (s.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_digit(s.ptr[i]))
            return -EINVAL;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (max - digit) / 10 || digit > max)
            return -ERANGE;
        value = value * 10 + digit;
    }
    *out_value = value;
    return 0;
}

char *str_dup(struct str s)
{
    char *copy = xmalloc(s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

bool str_copy(struct str s, char *dst, size_t dst_bytes)
{
    bool fits = s.len < dst_bytes;

    if (fits && s.len > 0)
        memcpy(dst, s.ptr, s.len);
    dst[fits ? s.len : 0] = '\0';
    return fits;
}

int ascii_hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
