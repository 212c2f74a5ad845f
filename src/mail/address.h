/*
 * Mailboxes as the SMTP envelope carries them (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
 *
 * One form inside the server: the local part without quoting, the domain as lower-case A-labels (so
 * U-labels and A-labels are the same domain) or as a normalised address literal. What the peer
 * wrote is kept beside it. Header addresses (RFC 5322) are another grammar: see addrlist.h.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"

/* RFC 5321 section 4.5.3.1, in octets; RFC 6531 keeps them. */
enum {
    ADDRESS_LOCAL_MAX_BYTES = 64,
    ADDRESS_DOMAIN_MAX_BYTES = 255,
    ADDRESS_PATH_MAX_BYTES = 256,
    ADDRESS_TEXT_MAX_BYTES = 2 * ADDRESS_LOCAL_MAX_BYTES + 2 + 1 + ADDRESS_DOMAIN_MAX_BYTES,
};

enum address_flags {
    ADDRESS_MAY_BE_NULL = 1,     /* "<>" */
    ADDRESS_MAY_LACK_DOMAIN = 2, /* "<Postmaster>", any case, and nothing else */
    ADDRESS_MAY_BE_UTF8 = 4,     /* SMTPUTF8 is in force */
};

enum address_error {
    ADDRESS_OK = 0,
    ADDRESS_BAD_SYNTAX = -1,
    ADDRESS_TOO_LONG = -2,
    ADDRESS_NEEDS_SMTPUTF8 = -3, /* well formed, but non-ASCII without ADDRESS_MAY_BE_UTF8 */
    ADDRESS_BAD_DOMAIN = -4,     /* not a domain name, an IDNA violation or a bad literal */
};

struct address {
    struct str raw;    /* between the angle brackets, source route removed, as the peer wrote it */
    struct str local;  /* quotes and backslashes removed */
    struct str domain; /* lower-case A-labels, or "[192.0.2.1]", "[IPv6:2001:db8::1]"; "" if none */
    bool is_null;
    bool is_literal;
    bool is_utf8; /* needs SMTPUTF8 on the way on: the local part has non-ASCII bytes */
};

/* Reads "<...>" at the cursor: a Reverse-path or Forward-path; a source route is read and dropped
 * (RFC 5321 appendix C). Views live in `arena` or in the input. Anything after '>' stays. */
MUST_CHECK enum address_error path_parse(struct cursor *c, unsigned flags, struct arena *arena,
                                         struct address *out);
/* Reads all of `text` as local-part@domain without brackets, as people type it (always UTF-8). */
MUST_CHECK enum address_error address_parse(struct str text, unsigned flags, struct arena *arena,
                                            struct address *out);
/* What to tell a person, in English, without a full stop. */
const char *address_error_text(enum address_error error);

/* Normalises a domain name to lower-case A-labels (IDNA 2008, non-transitional) in `arena`.
 * Underscores are taken, as DNS does. No literals. */
MUST_CHECK enum address_error domain_parse(struct str text, struct arena *arena,
                                           struct str *out_domain);
/* The domain with U-labels, for showing to people; the input itself where that fails. */
struct str domain_to_unicode(struct str domain, struct arena *arena);

/* Appends local@domain with the local part quoted where the grammar asks for it; "" for null. */
void address_print(const struct address *a, struct buf *out);

/* The local part as a key for lookup: NFC, then full case folding (RFC 5321 leaves the case to the
 * host that owns the mailbox; ours do not tell cases apart). At most 4 * input bytes. */
struct str address_fold_local(struct str local, struct arena *arena);
/* Splits user+detail at the first separator byte that is not the first byte of `local`. False and
 * empty detail when there is none, or `separators` is empty. */
bool address_split_detail(struct str local, struct str separators, struct str *out_user,
                          struct str *out_detail);
