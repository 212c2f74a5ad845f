/*
 * Names and record data of the DNS as a mail server needs them: is this text a name that can be
 * asked for; what does this record say.
 *
 * Data comes from the resolver, whose answers strangers wrote: nothing in it is trusted. Names in
 * record data are not compressed any more (RFC 1035 sections 3.1, 3.3.9, 3.4.1, RFC 3596).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/ip.h"
#include "dns/dns.h"

enum {
    DNS_LABEL_MAX_BYTES = 63,
    DNS_NAME_MAX_CHARS = 253,
    DNS_NAME_TEXT_BYTES = DNS_NAME_MAX_CHARS + 1,
};

/* Whether the text is a name that can be asked for: labels of 1..63 printable ASCII characters but
 * '\', at most 253 characters, the final dot or none. "." alone is a name, "" is not. */
bool dns_name_is_valid(struct str name);
/* Reads a name in wire form as text in lower case without the final dot; the root is "". 0 and text
 * that ends in NUL; -EBADMSG: not a name (the cursor fails too); -EINVAL: a name, but not one that
 * dns_name_is_valid takes, such as one with a dot inside of a label. */
MUST_CHECK int dns_name_read(struct cursor *c, char out[DNS_NAME_TEXT_BYTES]);
/* Reads the data of an MX record; errors are those of dns_name_read. */
MUST_CHECK int dns_mx_read(struct str data, uint16_t *out_preference,
                           char out_name[DNS_NAME_TEXT_BYTES]);
/* Reads the data of a record of type A or AAAA. 0 or -EBADMSG. */
MUST_CHECK int dns_address_read(enum dns_type type, struct str data, struct ip_addr *out);
