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
    VALUE_WEIGHT_MAX = 1000,
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

/* A name server to ask. */
struct value_server {
    char address[VALUE_ADDRESS_MAX_CHARS + 1]; /* without the port */
    bool is_ipv6;
    uint16_t port;
};

/* Whom to ask about a zone and what is below it; the name is a view into the text. */
struct value_stub {
    struct str zone; /* "." is the root */
    struct value_server server;
};

/* Where a route leads; the name is a view into the text. */
struct value_host {
    struct str name; /* or an address, without brackets */
    bool is_address;
    uint16_t port;
    uint32_t weight; /* 1..VALUE_WEIGHT_MAX */
    bool is_backup;
};

/* What a system user may write as; views into the text. */
struct value_sender {
    struct str login;
    struct str address;
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
/* "192.0.2.53", "2001:db8::53" or either with "@PORT" behind it; without one the port is 53. */
MUST_CHECK int value_parse_server(struct str s, struct value_server *out);
/* "ZONE SERVER", the server as above; the zone may end in a dot. */
MUST_CHECK int value_parse_stub(struct str s, struct value_stub *out);
/* "HOST[:PORT] [weight=N] [backup]" in this order or with the last two swapped; HOST is a name of
 * one or more labels, an IPv4 address or an IPv6 address in brackets. Without them: port 25, weight
 * 1, no backup. */
MUST_CHECK int value_parse_host(struct str s, struct value_host *out);
/* "LOGIN ADDRESS": a system user and a mailbox whose local part needs no quotes. */
MUST_CHECK int value_parse_sender(struct str s, struct value_sender *out);

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

/* "NAME [TTL] [IN] TYPE DATA" as in a zone file, as far as can be said without knowing the types.
 */
bool value_is_record(struct str s);
/* An IPv4 address; an IPv6 address without brackets. */
bool value_is_ipv4(struct str s);
bool value_is_ipv6(struct str s);
/* Which domains: "example.org", "*.example.org" (what is below it, not itself) or "*". */
bool value_is_domain_pattern(struct str s);
/* Which senders: a domain pattern, "user@example.org", or "<>" for the null sender. */
bool value_is_sender_pattern(struct str s);
/* The label of a section: 1 to 64 of A-Z a-z 0-9 . _ - */
bool value_is_section_label(struct str s);

/* Index of s in `names` (ASCII case folded), which ends in NULL; or -1. */
int value_find_name(struct str s, const char *const *names);

/* The shortest text that parses back to the same value. */
void value_format_size(uint64_t bytes, struct buf *out);
void value_format_duration(int64_t ms, struct buf *out);
void value_format_network(const struct value_network *network, struct buf *out);
/* In double quotes, with what JSON escapes escaped. */
void value_format_quoted(struct str s, struct buf *out);
