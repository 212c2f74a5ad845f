/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, at most U+10FFFF. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* Length in bytes of the well-formed character at the start of `s`; 0 if there is none. */
size_t utf8_char_len(struct str s);
/* Whether all of `s` is well-formed. */
bool utf8_is_valid(struct str s);
/* Whether any byte is 0x80 or above. */
bool utf8_has_non_ascii(struct str s);
