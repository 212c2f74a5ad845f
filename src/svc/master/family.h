/*
 * The children together: made from the table of kinds, started, greeted, listened to, started again
 * when they die.
 */
#pragma once

#include "svc/master/children.h"

/* Makes the children of all kinds as the settings ask for, and starts them. */
void family_start(void);
/* Tells a child the settings in force, the keys and the listeners that it is to have. */
void family_send_settings(struct child_process *child);
/* A child process has ended, with this status of waitpid(2). */
void family_note_end(struct child_process *child, int wait_status);
