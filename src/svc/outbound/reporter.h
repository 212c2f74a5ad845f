/*
 * Writes the notices that senders get: takes from the store what has to be reported, makes the text
 * (mail/dsn.h), gives it back as a message. The store forgets the reason and takes the notice in
 * one transaction, so none is lost and none comes twice.
 */
#pragma once

/* Starts its fiber. 0 or negative errno. */
int reporter_start(void);
/* There is something to report. */
void reporter_wake(void);
