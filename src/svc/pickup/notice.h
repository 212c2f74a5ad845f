/*
 * The mail to a user of this machine that says what of his mail was not taken, and why. It comes
 * from the null sender, so that nothing can come of it; it has an id of its own that was fixed when
 * the mail was picked up, so that the store takes it once.
 */
#pragma once

#include "svc/pickup/submission.h"

/* Says what the submission complains of, in the languages of the settings, and quotes the header of
 * the mail. Yields. 0 when it is stored or has been before; negative errno. */
MUST_CHECK int notice_send(const struct submission *s, struct str header);
