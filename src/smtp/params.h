/*
 * Parameters of MAIL and RCPT (RFC 5321 section 4.1.2): SIZE (RFC 1870), BODY (RFC 6152, RFC 3030),
 * SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and ORCPT (RFC 3461, RFC 6533); and, for those who are
 * offered them, HOLDFOR and HOLDUNTIL (RFC 4865), BY (RFC 2852), MT-PRIORITY (RFC 6710), REQUIRETLS
 * (RFC 8689), AUTH (RFC 4954 section 5), of which nothing is kept: nobody is trusted to say on
 * whose behalf he sends.
 *
 * Says what the client asked for; whether it may have it (SIZE too large, BINARYMIME without BDAT,
 * a time too far away) is the session's matter: see schedule.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum { /* RFC 3461 sections 4.4 and 4.2, as sent */
       SMTP_ENVID_MAX_BYTES = 100,
       SMTP_ORCPT_MAX_BYTES = 500,
       SMTP_AUTH_PARAM_MAX_BYTES = 500, /* RFC 4954 section 3 */
};

enum smtp_params_error {
    SMTP_PARAMS_OK = 0,
    SMTP_PARAMS_UNKNOWN = -1,    /* 555 5.5.4: no such parameter of this command */
    SMTP_PARAMS_BAD_SYNTAX = -2, /* 501 5.5.4 */
    SMTP_PARAMS_DUPLICATE = -3,  /* 501 5.5.4: given twice */
};

enum smtp_body { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };

enum smtp_notify { /* flags; 0: not given */
                   SMTP_NOTIFY_NEVER = 1,
                   SMTP_NOTIFY_SUCCESS = 2,
                   SMTP_NOTIFY_FAILURE = 4,
                   SMTP_NOTIFY_DELAY = 8,
};

/* What only some clients may use: bits. To others these parameters are unknown. */
enum smtp_offer {
    SMTP_OFFER_HOLD = 1,
    SMTP_OFFER_BY = 2,
    SMTP_OFFER_PRIORITY = 4,
    SMTP_OFFER_REQUIRETLS = 8,
    SMTP_OFFER_AUTH = 16,
    SMTP_OFFER_ALL = 31,
};

enum smtp_hold { SMTP_HOLD_NONE, SMTP_HOLD_FOR, SMTP_HOLD_UNTIL };

enum smtp_by { SMTP_BY_NONE, SMTP_BY_NOTIFY, SMTP_BY_RETURN };

enum {
    SMTP_SECONDS_MAX = 999999999,  /* nine digits: RFC 4865 section 4, RFC 2852 section 3 */
    SMTP_DATE_TIME_MAX_BYTES = 40, /* of RFC 3339, with parts of a second */
};

struct smtp_mail_params {
    bool has_size;
    uint64_t size_bytes; /* UINT64_MAX for what does not fit */
    enum smtp_body body;
    bool is_smtputf8;
    enum smtp_ret ret;
    struct str envid_raw; /* xtext as sent, to be passed on; ptr NULL: not given */
    struct str envid;     /* decoded, for showing: printable ASCII and spaces */
    enum smtp_hold hold;
    struct str hold_value; /* as sent; ptr NULL: not given */
    int64_t hold_s;        /* of SMTP_HOLD_FOR, 1 and more */
    int64_t hold_until_ms; /* of SMTP_HOLD_UNTIL, real time */
    enum smtp_by by;
    bool by_has_trace;
    int64_t by_s; /* from the transaction on; with SMTP_BY_NOTIFY also over already */
    bool has_priority;
    int8_t priority; /* -9, last, to 9, first */
    bool is_requiretls;
};

struct smtp_rcpt_params {
    unsigned notify;       /* enum smtp_notify */
    struct str orcpt_type; /* "rfc822", "utf-8", ...; ptr NULL: not given */
    struct str orcpt_addr; /* after the ';', encoded as sent */
    bool needs_smtputf8;   /* it has characters beyond ASCII as they are (RFC 6533 section 3) */
};

/* Read what follows the path of the command, from the space on; "" is no parameters. Of the
 * parameters that not all may use, those are known whose enum smtp_offer bits are in `offers`.
 * Views point into `text` and `arena`. On an error *out_keyword is the parameter's keyword (as
 * sent, printable ASCII, in `text`; empty where there is none to speak of), else empty. */
MUST_CHECK enum smtp_params_error smtp_params_parse_mail(struct str text, unsigned offers,
                                                         struct arena *arena,
                                                         struct smtp_mail_params *out,
                                                         struct str *out_keyword);
MUST_CHECK enum smtp_params_error smtp_params_parse_rcpt(struct str text,
                                                         struct smtp_rcpt_params *out,
                                                         struct str *out_keyword);

/* Decodes xtext (RFC 3461 section 4) that hides printable ASCII only; false for anything else.
 * `arena` may be NULL to check without decoding; then *out_decoded is not touched. */
MUST_CHECK bool smtp_xtext_decode(struct str text, struct arena *arena, struct str *out_decoded);
/* Whether valid UTF-8 has a control character of the second set, U+0080 to U+009F: terminals obey
 * some of them. */
bool smtp_has_c1_control(struct str text);
