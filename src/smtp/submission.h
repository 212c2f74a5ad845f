/*
 * The header of a message that a user hands in (RFC 6409): it is gathered until it is whole, then
 * judged (may the user send in the names that From has?) and mended (Date, Message-ID, Bcc: see
 * mail/submit.h). Messages from strangers never come here.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "smtp/reply.h"

struct address;
struct smtp_session;

struct smtp_submission {
    bool is_gathering;    /* the header is not whole yet */
    struct buf head;      /* what there is of it, and what came along behind it */
    struct reply refusal; /* code 0: none */
};

/* For the transaction that begins; nothing happens if its session is not one of submission. */
void smtp_submission_open(struct smtp_session *s);
void smtp_submission_drop(struct smtp_session *s);
/* Where the text goes that comes from the scanner: into the head while it gathers. */
struct buf *smtp_submission_text(struct smtp_session *s);
/* After more text came: once the header is whole, or `is_end`, judges and mends it and moves all
 * into the intake's text. Yields. */
void smtp_submission_go_on(struct smtp_session *s, bool is_end);
/* Whether the user may be the sender of the envelope: code 0, or why not. Yields. */
struct reply smtp_submission_judge_sender(struct smtp_session *s, const struct address *sender);
