/*
 * What the master does before it has children: settings, folders, the lock, the listeners.
 */
#pragma once

#include "base/buf.h"
#include "conf/settings.h"

/* Reads the configuration. 0 and *out, or negative errno and lines in out_errors. */
MUST_CHECK int setup_load_settings(struct settings **out, struct buf *out_errors);
/* Makes these the settings in force, here and for the children that are told; owns them. */
void setup_use_settings(struct settings *settings);
/* Reads the keys, makes the folders, takes the lock, binds all sockets, gives up what a supervisor
 * does not need. 0, or negative errno after saying why on standard error. */
MUST_CHECK int setup_prepare(void);
/* Gives all of it back. */
void setup_undo(void);
