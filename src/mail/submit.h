/*
 * The header of a message that a program on this machine hands in: read, judged by the caller, and
 * mended so that it may go out (RFC 5322 section 3.6, RFC 6409 section 8).
 *
 * Programs leave out what they do not know (Date, Message-ID, From, To), name people without a
 * domain, and have Bcc where it must not stay. From is written anew from what was understood of it,
 * so that no other reader can understand something else than what was judged. Takes lines that end
 * in LF or CRLF, gives CRLF. Knows nothing of users: who may use which address is told to it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "mail/address.h"

enum {
    SUBMIT_HEADER_MAX_BYTES = 256 * 1024,
    SUBMIT_AUTHORS_MAX = 16, /* addresses in From; more are not understood */
    SUBMIT_ARENA_BYTES = 16 * SUBMIT_HEADER_MAX_BYTES, /* for submit_header_read */
};

struct submit_mailbox {
    struct str name; /* as it stands, without quotes; may be encoded (RFC 2047) */
    struct address address;
};

/* From, or Resent-From. */
struct submit_authors {
    bool is_present;
    bool is_clean;                    /* one field, and every address in it is understood */
    struct submit_mailbox *mailboxes; /* at most SUBMIT_AUTHORS_MAX */
    size_t count;
};

struct submit_header {
    struct str fields; /* the lines of the header, without the empty one */
    struct str body;   /* what comes after the header */
    bool is_resent;    /* it has Resent- fields: somebody passes on a message (section 3.6.6) */
    bool has_date, has_message_id, has_destination;
    bool has_resent_date, has_resent_message_id;
    struct submit_authors from, resent_from;
};

/* Who sends, as the server knows him; texts are printable ASCII or UTF-8 without controls. */
struct submit_author {
    struct str own;            /* his address, printed */
    struct str full_name;      /* or empty */
    struct str sender;         /* the envelope's, printed; empty: the null sender */
    struct str default_domain; /* of names without one */
    struct str hostname;
    struct str login;
    unsigned uid;
    const char *id;                         /* of the message, as text */
    const char *date;                       /* clock_format_mail */
    bool may_use_from, may_use_resent_from; /* all addresses of the field */
    bool is_remote; /* it came by SMTP: whoever took it writes Received; login and uid mean nothing
                     */
};

/* Finds the header of a message: up to the empty line, or to the first line that can be none of its
 * lines (then it is body). A line "From sender date" of an mbox before it is dropped. Addresses
 * without a domain get `default_domain`. All views point into `message` and `arena`. */
void submit_header_read(struct str message, struct str default_domain, struct arena *arena,
                        struct submit_header *out);

/* Appends the mended header with its empty line. An author who may not be used is replaced by
 * the own address under the same name; the old field stays as X-Original-From. What
 * comes out may be much longer than what went in: look at buf_status. */
void submit_header_mend(const struct submit_header *header, const struct submit_author *author,
                        struct buf *out);

/* Calls fn for each address of To, Cc and Bcc; or, of a message that is passed on, of Resent-To,
 * Resent-Cc and Resent-Bcc. As `sendmail -t` asks for. The text is an envelope address that may
 * lack a domain; what cannot be one is given as it stands with is_good false. Stops when fn says
 * false. */
void submit_list_recipients(const struct submit_header *header,
                            bool (*fn)(void *arg, struct str address, bool is_good), void *arg);
