/*
 * What a server offers in its reply to EHLO (RFC 5321 section 4.1.1.1). Pure.
 *
 * Keywords are known in any case; unknown ones and parameters that cannot be read are passed over:
 * a peer may offer what it likes.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

struct smtp_ehlo {
    unsigned extensions;      /* enum smtp_client_extension bits */
    unsigned auth_mechanisms; /* SASL_SET bits of those that we know */
    uint64_t max_size;        /* bytes, RFC 1870; 0: unknown or none */
    uint32_t max_recipients;  /* RFC 9422 RCPTMAX; 0: unknown */
    uint32_t max_messages;    /* RFC 9422 MAILMAX; 0: unknown */
    uint32_t min_by_s;        /* RFC 2852 min-by-time; 0: unknown or none */
};

/* Notes one line of the reply, without code and separator; not the first line, which is a name. */
void smtp_ehlo_take_line(struct smtp_ehlo *e, struct str words);
