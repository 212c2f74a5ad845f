/*
 * The scheduler: asks the store for destinations that are due, as many as can be worked on, and
 * waits for news in between. One fiber; what it starts is in runner.h and reporter.h.
 */
#pragma once

/* Starts it. 0 or negative errno. */
int scheduler_start(void);
/* The channel to the store is new: what we hold is to be told again. */
void scheduler_note_channel(void);
