/*
 * What can be wrong with a mail that a program on this machine leaves: one table of the reasons,
 * with their codes (RFC 3463) and their words in English and Japanese. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

enum complaint_reason {
    COMPLAINT_BAD_SENDER,      /* first: as typed; second: why */
    COMPLAINT_FOREIGN_SENDER,  /* first: who; second: as typed; third: what he may use */
    COMPLAINT_BAD_RECIPIENT,   /* first: why */
    COMPLAINT_NO_MAILBOX,      /* */
    COMPLAINT_ALIAS_LOOP,      /* */
    COMPLAINT_SUPPRESSED,      /* */
    COMPLAINT_PARAMETER,       /* first: our SMTP server's words, with their code in `enhanced` */
    COMPLAINT_LONG_HEADER,     /* first: how many bytes are taken */
    COMPLAINT_NUL,             /* */
    COMPLAINT_MAIL_LOOP,       /* first: how many servers */
    COMPLAINT_TOO_BIG,         /* first: how many bytes are taken */
    COMPLAINT_TOO_MANY_COPIES, /* */
    COMPLAINT_LONG_ENVELOPE,   /* */
    COMPLAINT_UNREADABLE_FILE, /* */
    COMPLAINT_FOREIGN_FILE,    /* */
    COMPLAINT_NO_MAIL,         /* */
    COMPLAINT_REASONS,
};

enum { COMPLAINT_WORDS = 3, COMPLAINT_TEXT_MAX_BYTES = 8 * 1024 };

struct complaint {
    enum complaint_reason reason;
    struct str recipient; /* as typed; empty: it is about the whole mail */
    const char *enhanced; /* of COMPLAINT_PARAMETER; NULL: that of the reason */
    struct str words[COMPLAINT_WORDS];
    struct complaint *next;
};

const char *complaint_enhanced(const struct complaint *c);
/* Appends the sentence, at most COMPLAINT_TEXT_MAX_BYTES. */
void complaint_put(const struct complaint *c, bool is_japanese, struct buf *out);
