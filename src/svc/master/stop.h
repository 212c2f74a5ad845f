/*
 * Stopping in stages: workers, their helpers, the store; each is told to finish, given time, then
 * killed, so that whoever is asked outlives those who ask.
 */
#pragma once

/* Begins to stop; the loop ends when all children have. Told twice, it kills them all. */
void stop_begin(int exit_status);
/* A child that was told to end has ended: goes on to the next stage if it was the last of its own.
 */
void stop_go_on(void);
/* What was given to stop_begin. */
int stop_exit_status(void);
