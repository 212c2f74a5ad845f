/*
 * The options of sendmail, as programs have used them for forty years: which mean something here,
 * which are taken and mean nothing, which are refused. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "smtp/params.h"

enum sendmail_mode {
    SENDMAIL_DELIVER, /* a message on standard input */
    SENDMAIL_SMTP,    /* -bs: SMTP on standard input and output */
    SENDMAIL_QUEUE,   /* -bp, mailq: what waits */
    SENDMAIL_NOTHING, /* -bi, newaliases, -q: there is nothing to do */
    SENDMAIL_VERSION,
};

struct sendmail_args {
    enum sendmail_mode mode;
    bool takes_recipients; /* -t: from the header */
    bool ignores_dots;     /* -i: a line of a dot alone is text */
    bool is_verbose;
    bool has_sender;
    struct str sender; /* without brackets; empty: the null sender */
    struct str full_name;
    struct str envid; /* xtext, which may stand in envid_text */
    char envid_text[3 * SMTP_ENVID_MAX_BYTES];
    struct str ret;
    unsigned notify;
    const char *config_path;  /* NULL: not given */
    const char *const *words; /* recipients */
    size_t word_count;
};

/* `name` is that of the program, without folders. 0; -EINVAL and a line in out_error. Views point
 * into argv and into *out, which must not be moved. */
MUST_CHECK int sendmail_args_parse(struct str name, int argc, const char *const *argv,
                                   struct sendmail_args *out, struct buf *out_error);
/* Whether a program of this name is sendmail: sendmail, mailq, newaliases. */
bool sendmail_args_is_name(struct str name);
