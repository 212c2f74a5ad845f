/* UTF-8 validity (RFC 3629 section 4): see utf8.h. */
#include "base/utf8.h"

#include <string.h>

static bool is_tail(struct str s, size_t i)
{
    return i < s.len && ((unsigned char)s.ptr[i] & 0xc0) == 0x80;
}

/* The second byte has a narrower range after these lead bytes (overlong, surrogate, too large). */
static bool is_second(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second <= 0x9f;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second <= 0x8f;
    default:
        return true;
    }
}

size_t utf8_char_len(struct str s)
{
    size_t len = 0;

    if (s.len == 0)
        return 0;
    unsigned char lead = (unsigned char)s.ptr[0];
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        len = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        len = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        len = 4;
    if (len == 0 || !is_tail(s, 1) || !is_second(lead, (unsigned char)s.ptr[1]))
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (!is_tail(s, i))
            return 0;
    }
    return len;
}

bool utf8_is_valid(struct str s)
{
    while (s.len > 0) {
        size_t len = utf8_char_len(s);
        if (len == 0)
            return false;
        s = str_sub(s, len, s.len);
    }
    return true;
}

bool utf8_has_non_ascii(struct str s)
{
    uint64_t high = 0;
    size_t i = 0;

    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.ptr + i, 8);
        high |= word;
    }
    for (; i < s.len; i++)
        high |= (uint64_t)(unsigned char)s.ptr[i];
    return (high & 0x8080808080808080U) != 0;
}
