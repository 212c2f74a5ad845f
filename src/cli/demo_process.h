/*
 * A child process of the demonstration: started with its output in a log, in a process group of its
 * own so that Ctrl-C is ours alone, ended with us. And how the demonstration waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct demo_process {
    const char *name; /* for people, static */
    char *log_path;
    pid_t pid; /* 0: does not run */
    int pid_fd;
};

/* Takes log_path. Pair: demo_process_done. */
void demo_process_init(struct demo_process *p, const char *name, char *log_path);
/* Kills what still runs. */
void demo_process_done(struct demo_process *p);
/* Starts "PATH WORD -c CONFIG_PATH". CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int demo_process_start(struct demo_process *p, const char *path, const char *word,
                                  const char *config_path);
/* Asks again and again until is_ready says yes, the process ends, or time is over. The same. */
MUST_CHECK int demo_process_await(struct demo_process *p, bool (*is_ready)(void *arg), void *arg);
/* SIGTERM, and waits for the end. CLI_DONE if that was with status 0. */
MUST_CHECK int demo_process_stop(struct demo_process *p);
/* The end of the log, on standard error. */
void demo_process_print_log(const struct demo_process *p);

/* Whether somebody pressed Ctrl-C: its signals are blocked while mail flows, and stay pending. */
bool demo_is_interrupted(void);

/* --- waiting with a deadline --- */

struct demo_wait {
    int64_t deadline_ms;
    bool is_over; /* the time, or our own because of a signal */
};

void demo_wait_begin(struct demo_wait *w, int64_t timeout_ms);
/* Sleeps a moment. False when there is no more waiting. */
bool demo_wait_again(struct demo_wait *w);
