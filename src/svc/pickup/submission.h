/*
 * One mail from a program on this machine, on its way from its file into the store: who may send it
 * as whom, to whom it goes, its header mended, its lines ended by CR LF; and what its sender is
 * told when some of that cannot be.
 *
 * A NUL byte refuses the message, as it does on port 25: what would become of it further on is
 * anybody's guess.
 */
#pragma once

#include "mail/submit_file.h"
#include "svc/pickup/complaint.h"
#include "svc/pickup/drop.h"
#include "svc/pickup/identity.h"
#include "svc/pickup/sink.h"
#include "svc/store_backend.h"

enum submission_end {
    SUBMISSION_STORED,  /* the store has it, or had it before: the file may go */
    SUBMISSION_REFUSED, /* and its sender has been told, if he can be */
    SUBMISSION_LATER,   /* not now: nothing has been decided */
};

struct submission {
    const struct settings *settings;
    const struct smtp_backend *backend;
    const struct drop_entry *entry;
    enum drop_verdict verdict;
    int fd; /* of DROP_GOOD */
    struct stat st;
    /* --- made by submission_run --- */
    struct user user;
    struct identity identity;
    struct address sender;
    bool has_null_sender; /* nobody is told anything */
    struct smtp_mail_params params;
    struct smtp_recipient *recipients;
    struct smtp_recipient **recipients_end;
    size_t recipient_count;
    struct arena arena;
    struct buf file; /* the bytes of the file that were read and not used yet */
    uint64_t read_bytes;
    struct submit_envelope envelope; /* all empty until it was read */
    struct complaint *complaints;    /* what is to be told */
    struct complaint **complaints_end;
    size_t traced_count;
};

/* The first fields are filled by the caller, who owns them. Yields. */
enum submission_end submission_run(struct submission *s);
