/*
 * Views of text: a pointer and a length, never owning, never assumed to end in NUL.
 *
 * All comparisons here are of bytes; the _nocase ones fold ASCII letters only, which is what the
 * mail protocols mean by case-insensitive.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){.ptr = (literal), .len = sizeof(literal) - 1})
#define STR_NONE     ((struct str){.ptr = NULL, .len = 0})
/* For printf: "%.*s" with STR_ARG(s). */
#define STR_ARG(s) (int)(s).len, ((s).ptr != NULL ? (s).ptr : "")

/* The view of a C string; of NULL the empty view. */
struct str str_from_c(const char *text);
struct str str_from_mem(const void *ptr, size_t len);

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
/* Order of bytes, the shorter first on a tie: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
bool str_has_prefix(struct str s, struct str prefix);
bool str_has_prefix_nocase(struct str s, struct str prefix);
bool str_has_suffix_nocase(struct str s, struct str suffix);

/* The part from `from` (clamped) of at most `len` bytes. */
struct str str_sub(struct str s, size_t from, size_t len);
/* Without leading and trailing space, tab, CR and LF. */
struct str str_trim(struct str s);
/* Index of the first / last `c`, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_rfind(struct str s, char c);
/* Whether `needle` occurs in `s`, ASCII case folded. */
bool str_contains_nocase(struct str s, struct str needle);
/* Cuts s at the first `c`: the part before goes to *out_head, the part after to *out_tail; false
 * and head = all, tail = empty when there is none. */
bool str_cut(struct str s, char c, struct str *out_head, struct str *out_tail);

/* Decimal digits only, all of them, value at most `max`: 0, else -EINVAL or -ERANGE. */
MUST_CHECK int str_to_u64(struct str s, uint64_t max, uint64_t *out_value);

/* A NUL-terminated copy; the caller frees. */
char *str_dup(struct str s);
/* Copies into a fixed array with a NUL; false (and an empty string) when it does not fit. */
MUST_CHECK bool str_copy(struct str s, char *dst, size_t dst_bytes);

/* ASCII only: 'A'..'Z' to 'a'..'z'. */
static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static inline bool ascii_is_alnum(char c)
{
    return ascii_is_digit(c) || ascii_is_alpha(c);
}

/* Value of a hexadecimal digit, or -1. */
int ascii_hex_value(char c);
