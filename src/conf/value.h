/*
 * Values as an operator writes them: sizes, durations, truth, addresses, names.
 *
 * Pure text in, numbers out, and back: no files, no name service. The parsers take the whole view
 * or refuse it; 0, -EINVAL (not of this form) or -ERANGE (of this form, but the number does not
 * fit).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    VALUE_ADDRESS_MAX_CHARS = 45, /* INET6_ADDRSTRLEN less its NUL */
    VALUE_HOSTNAME_MAX_CHARS = 253,
    VALUE_LABEL_MAX_CHARS = 63,
};

/* Where to listen. */
struct value_listen {
    char address[VALUE_ADDRESS_MAX_CHARS + 1]; /* as written, without brackets */
    bool is_ipv6;
    uint16_t port;
};

/* Which hosts: all whose first prefix_bits are those of bytes. */
struct value_network {
    uint8_t bytes[16]; /* network order; IPv4 uses the first 4 */
    bool is_ipv6;
    uint8_t prefix_bits;
};

/* true yes on, false no off; ASCII case folded. */
MUST_CHECK int value_parse_bool(struct str s, bool *out);
/* Decimal, with an optional minus sign. */
MUST_CHECK int value_parse_int(struct str s, int64_t *out);
/* Bytes: decimal digits, then nothing or K, M, G, T, each 1024 times the one before; "KB" and "KiB"
 * mean K. (In libucl 50M would be fifty million; here it is 50 * 1024 * 1024.) Any case. */
MUST_CHECK int value_parse_size(struct str s, uint64_t *out_bytes);
/* Digits and one unit of ms, s, min, h, d; only 0 may go without. A bare "m" is refused: it could
 * be minutes or months. */
MUST_CHECK int value_parse_duration(struct str s, int64_t *out_ms);
/* "192.0.2.1:25" or "[2001:db8::1]:25"; numbers only, port 1..65535. */
MUST_CHECK int value_parse_listen(struct str s, struct value_listen *out);
/* "192.0.2.0/24", "2001:db8::/32", or one address. -EDOM when bits after the prefix are set, with
 * *out the network that was probably meant. */
MUST_CHECK int value_parse_network(struct str s, struct value_network *out);

/* At least two labels of letters, digits and inner hyphens, the last not all digits; no final dot.
 */
bool value_is_hostname(struct str s);
/* Absolute, without control characters, "//", "." or ".." parts; "/" alone is refused. */
bool value_is_path(struct str s);
/* One POSIX portable user name: [a-z_][a-z0-9_-]*, at most 32 characters. */
bool value_is_user(struct str s);
/* ASCII from space to tilde only; also of nothing. */
bool value_is_printable(struct str s);
/* Each character one of those that may part "user" from "detail", none twice; also of nothing. */
bool value_is_separators(struct str s);

/* Index of s in `names` (ASCII case folded), which ends in NULL; or -1. */
int value_find_name(struct str s, const char *const *names);

/* The shortest text that parses back to the same value. */
void value_format_size(uint64_t bytes, struct buf *out);
void value_format_duration(int64_t ms, struct buf *out);
void value_format_network(const struct value_network *network, struct buf *out);
/* In double quotes, with what JSON escapes escaped. */
void value_format_quoted(struct str s, struct buf *out);
