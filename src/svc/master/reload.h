/* Reading the configuration again while the server runs. A wrong file changes nothing. */
#pragma once

#include <stdint.h>

/* Reloads and says in the log how that went. `token` is that of the administrator who waits for the
 * store's answer; 0: by signal, nobody waits. */
void reload_run(uint64_t token);
