/*
 * Leaving a mail in the server's spool folder, as any user: written under a name that is not looked
 * at, made durable, then named so that it is. Works while no server runs.
 */
#pragma once

#include <stdio.h>

#include "conf/settings.h"
#include "mail/submit_file.h"

enum { SENDMAIL_DROP_NAME_BYTES = 64 };

struct sendmail_drop {
    int dir_fd;
    int fd;
    char tmp_name[SENDMAIL_DROP_NAME_BYTES];
    char name[SENDMAIL_DROP_NAME_BYTES];
};

/* 0; negative errno. Pair: sendmail_drop_abort, also after a commit. */
MUST_CHECK int sendmail_drop_open(const char *folder, struct sendmail_drop *out);
MUST_CHECK int sendmail_drop_write(struct sendmail_drop *d, struct str bytes);
/* 0: the mail is durable, whatever happens now. Else negative errno, and it is not there. */
MUST_CHECK int sendmail_drop_commit(struct sendmail_drop *d);
void sendmail_drop_abort(struct sendmail_drop *d);

/* The exit status that sendmail has for an errno value of these functions (sysexits.h). */
int sendmail_drop_status(int error);
/* What an operator can do about it; "" for what needs no hint. */
const char *sendmail_drop_hint(int error);
