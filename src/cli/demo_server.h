/*
 * The throwaway server of the demonstration: a folder, free ports, a child process.
 */
#pragma once

#include <sys/types.h>

#include "cli/instance.h"

struct demo_server {
    char *dir;
    char *log_path;
    struct instance instance;
    int port_offset;
    pid_t pid;
    int pid_fd;
};

/* Makes the folder and the instance. CLI_DONE or CLI_FAILED, said. Pair: demo_server_remove. */
MUST_CHECK int demo_server_make(struct demo_server *s, const char *hostname, const char *domain);
/* Starts it and waits until it greets. The same. */
MUST_CHECK int demo_server_start(struct demo_server *s);
/* SIGTERM, and waits for the end. */
MUST_CHECK int demo_server_stop(struct demo_server *s);
/* Kills what still runs, removes the folder. */
void demo_server_remove(struct demo_server *s);
/* The end of the log, on standard error. */
void demo_server_print_log(const struct demo_server *s);
int demo_server_smtp_port(const struct demo_server *s);
