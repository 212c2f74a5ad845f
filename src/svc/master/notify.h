/* Telling the service manager how we are (sd_notify(3)'s protocol: one datagram). */
#pragma once

/* Sends a state such as "READY=1" to $NOTIFY_SOCKET, if there is one. */
void notify_manager(const char *state);
