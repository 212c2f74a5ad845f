/*
 * The master: reads the configuration, binds the listeners, starts the other processes and starts
 * them again when they die. Never parses mail.
 */
#pragma once

/* `hikyaku serve`: runs the server in the foreground until it is told to stop. The exit status. */
int master_main(const char *config_path);
