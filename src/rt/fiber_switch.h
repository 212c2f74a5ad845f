/*
 * The stack switch under fibers, and nothing else: x86-64, aarch64, ucontext elsewhere, with hooks
 * for ASan, TSan and Valgrind. Floating-point control words are not switched: nobody here changes
 * them.
 */
#pragma once

#include <stddef.h>

typedef void fiber_entry(void *arg);

struct fiber_context {
    void *stack_pointer; /* saved while parked; ucontext_t * in the fallback */
    void *stack_bottom;  /* lowest usable address; NULL for the thread's own stack */
    size_t stack_bytes;
    void *asan_fake_stack;
    void *tsan_fiber;
    unsigned valgrind_id;
};

/* The context of the running thread itself, to switch back to. */
void fiber_context_init_thread(struct fiber_context *c);
/* A context that will run entry(arg) on the given stack when first switched to. entry never
 * returns. */
void fiber_context_init(struct fiber_context *c, void *stack_bottom, size_t stack_bytes,
                        fiber_entry *entry, void *arg);
void fiber_context_done(struct fiber_context *c);

/* Parks `from` and runs `to`. is_last says that `from` will never run again. */
void fiber_context_switch(struct fiber_context *from, struct fiber_context *to, int is_last);
/* To be called first by a context's entry function (the sanitizer wants to know). */
void fiber_context_entered(void);
