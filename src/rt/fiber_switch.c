/*
 * The stack switch: see fiber_switch.h. The assembly saves what the calling conventions call
 * callee-saved (System V AMD64 section 3.2.1; AAPCS64 section 6.1.1) and swaps stack pointers.
 */
#include "rt/fiber_switch.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(from, to) 0
#define VALGRIND_STACK_DEREGISTER(id)     ((void)(id))
#endif

#if defined(__x86_64__)
void fiber_switch_stacks(void **save_sp, void *load_sp);
void fiber_first_entry(void);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_switch_stacks\n"
        ".hidden fiber_switch_stacks\n"
        ".type fiber_switch_stacks, @function\n"
        "fiber_switch_stacks:\n"
        "  endbr64\n"
        "  pushq %rbp\n"
        "  pushq %rbx\n"
        "  pushq %r12\n"
        "  pushq %r13\n"
        "  pushq %r14\n"
        "  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n"
        "  popq %r14\n"
        "  popq %r13\n"
        "  popq %r12\n"
        "  popq %rbx\n"
        "  popq %rbp\n"
        "  ret\n"
        ".size fiber_switch_stacks, .-fiber_switch_stacks\n"
        /* First run: r12 = entry, r13 = arg. The zero frame pointer ends backtraces here. */
        ".p2align 4\n"
        ".globl fiber_first_entry\n"
        ".hidden fiber_first_entry\n"
        ".type fiber_first_entry, @function\n"
        "fiber_first_entry:\n"
        "  .cfi_startproc\n"
        "  .cfi_undefined rip\n"
        "  endbr64\n"
        "  movq %r13, %rdi\n"
        "  xorl %ebp, %ebp\n"
        "  callq *%r12\n"
        "  ud2\n"
        "  .cfi_endproc\n"
        ".size fiber_first_entry, .-fiber_first_entry\n");

static void *prepare_stack(void *stack_bottom, size_t stack_bytes, fiber_entry *entry, void *arg)
{
    void **sp = (void **)((uintptr_t)((char *)stack_bottom + stack_bytes) & ~(uintptr_t)15);

    *--sp = NULL; /* keeps the stack 16-byte aligned at the call in fiber_first_entry */
    *--sp = NULL;
    *--sp = (void *)(uintptr_t)fiber_first_entry;
    *--sp = NULL;                     /* rbp */
    *--sp = NULL;                     /* rbx */
    *--sp = (void *)(uintptr_t)entry; /* r12 */
    *--sp = arg;                      /* r13 */
    *--sp = NULL;                     /* r14 */
    *--sp = NULL;                     /* r15 */
    return (void *)sp;
}

#elif defined(__aarch64__)
void fiber_switch_stacks(void **save_sp, void *load_sp);
void fiber_first_entry(void);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_switch_stacks\n"
        ".hidden fiber_switch_stacks\n"
        ".type fiber_switch_stacks, %function\n"
        "fiber_switch_stacks:\n"
        "  sub sp, sp, #160\n"
        "  stp x19, x20, [sp, #0]\n"
        "  stp x21, x22, [sp, #16]\n"
        "  stp x23, x24, [sp, #32]\n"
        "  stp x25, x26, [sp, #48]\n"
        "  stp x27, x28, [sp, #64]\n"
        "  stp x29, x30, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n"
        "  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n"
        "  stp d14, d15, [sp, #144]\n"
        "  mov x9, sp\n"
        "  str x9, [x0]\n"
        "  mov sp, x1\n"
        "  ldp x19, x20, [sp, #0]\n"
        "  ldp x21, x22, [sp, #16]\n"
        "  ldp x23, x24, [sp, #32]\n"
        "  ldp x25, x26, [sp, #48]\n"
        "  ldp x27, x28, [sp, #64]\n"
        "  ldp x29, x30, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n"
        "  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n"
        "  ldp d14, d15, [sp, #144]\n"
        "  add sp, sp, #160\n"
        "  ret\n"
        ".size fiber_switch_stacks, .-fiber_switch_stacks\n"
        ".p2align 4\n"
        ".globl fiber_first_entry\n"
        ".hidden fiber_first_entry\n"
        ".type fiber_first_entry, %function\n"
        "fiber_first_entry:\n"
        "  .cfi_startproc\n"
        "  .cfi_undefined x30\n"
        "  mov x0, x20\n"
        "  mov x29, xzr\n"
        "  blr x19\n"
        "  brk #1\n"
        "  .cfi_endproc\n"
        ".size fiber_first_entry, .-fiber_first_entry\n");

static void *prepare_stack(void *stack_bottom, size_t stack_bytes, fiber_entry *entry, void *arg)
{
    enum { SAVED_WORDS = 20, X19 = 0, X20 = 1, X30 = 11 };
    void **sp = (void **)((uintptr_t)((char *)stack_bottom + stack_bytes) & ~(uintptr_t)15);

    sp -= SAVED_WORDS;
    for (int i = 0; i < SAVED_WORDS; i++)
        sp[i] = NULL;
    sp[X19] = (void *)(uintptr_t)entry;
    sp[X20] = arg;
    sp[X30] = (void *)(uintptr_t)fiber_first_entry;
    return (void *)sp;
}

#else
#include <ucontext.h>

/* One system call more per switch (the signal mask), but any architecture of glibc. */
static void fiber_switch_stacks(void **save_sp, void *load_sp)
{
    ASSERT(swapcontext(*save_sp, load_sp) == 0);
}

static void ucontext_entry(unsigned high_entry, unsigned low_entry, unsigned high_arg,
                           unsigned low_arg)
{
    fiber_entry *entry = (fiber_entry *)((uintptr_t)((uint64_t)high_entry << 32 | low_entry));

    entry((void *)(uintptr_t)((uint64_t)high_arg << 32 | low_arg));
}

static void *prepare_stack(void *stack_bottom, size_t stack_bytes, fiber_entry *entry, void *arg)
{
    ucontext_t *uc = xcalloc(1, sizeof(*uc));
    uint64_t e = (uintptr_t)entry, a = (uintptr_t)arg;

    ASSERT(getcontext(uc) == 0);
    uc->uc_stack.ss_sp = stack_bottom;
    uc->uc_stack.ss_size = stack_bytes;
    makecontext(uc, (void (*)(void))ucontext_entry, 4, (unsigned)(e >> 32), (unsigned)e,
                (unsigned)(a >> 32), (unsigned)a);
    return uc;
}
#define WITH_UCONTEXT 1
#endif

void fiber_context_init_thread(struct fiber_context *c)
{
    *c = (struct fiber_context){0};
#ifdef WITH_UCONTEXT
    c->stack_pointer = xcalloc(1, sizeof(ucontext_t));
#endif
#ifdef WITH_TSAN
    c->tsan_fiber = __tsan_get_current_fiber();
#endif
}

void fiber_context_init(struct fiber_context *c, void *stack_bottom, size_t stack_bytes,
                        fiber_entry *entry, void *arg)
{
    *c = (struct fiber_context){.stack_bottom = stack_bottom, .stack_bytes = stack_bytes};
    c->stack_pointer = prepare_stack(stack_bottom, stack_bytes, entry, arg);
    c->valgrind_id = VALGRIND_STACK_REGISTER(stack_bottom, (char *)stack_bottom + stack_bytes);
#ifdef WITH_TSAN
    c->tsan_fiber = __tsan_create_fiber(0);
#endif
}

void fiber_context_done(struct fiber_context *c)
{
    VALGRIND_STACK_DEREGISTER(c->valgrind_id);
#ifdef WITH_UCONTEXT
    free(c->stack_pointer);
#endif
#ifdef WITH_TSAN
    if (c->tsan_fiber != NULL)
        __tsan_destroy_fiber(c->tsan_fiber);
#endif
    c->stack_pointer = NULL;
}

#ifdef WITH_ASAN
/* The thread's own stack bounds, learnt at the first switch away from it. */
static const void *thread_stack_bottom;
static size_t thread_stack_bytes;
#endif

void fiber_context_entered(void)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(NULL, &thread_stack_bottom, &thread_stack_bytes);
#endif
}

void fiber_context_switch(struct fiber_context *from, struct fiber_context *to, int is_last)
{
    (void)is_last;
#ifdef WITH_ASAN
    const void *bottom = to->stack_bottom != NULL ? to->stack_bottom : thread_stack_bottom;
    size_t bytes = to->stack_bottom != NULL ? to->stack_bytes : thread_stack_bytes;
    __sanitizer_start_switch_fiber(is_last ? NULL : &from->asan_fake_stack, bottom, bytes);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    fiber_switch_stacks(&from->stack_pointer, to->stack_pointer);
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(from->asan_fake_stack, NULL, NULL);
#endif
}
