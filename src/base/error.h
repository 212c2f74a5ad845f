/*
 * The two kinds of failure that do not return: programming errors and out of memory.
 *
 * ASSERT stays on in production: the process dies with a line that says where, and the master
 * restarts it. The x-allocators never return NULL. Failures of the world are negative errno values
 * and are handled where they happen; protocol outcomes are values of their own (see smtp/reply.h).
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK             __attribute__((warn_unused_result))
#define CLEANUP(fn)            __attribute__((cleanup(fn)))
#define NONNULL                __attribute__((nonnull))
#define UNUSED                 __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* The structure that holds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Ends the process when `cond` is false; never compiled out. */
#define ASSERT(cond)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            die_at(__FILE__, __LINE__, #cond);                                                     \
    } while (0)

/* Prints file, line and text to standard error and aborts. */
_Noreturn void die_at(const char *file, int line, const char *text);

/* Like malloc and friends; abort the process when memory is exhausted. The caller frees. */
void *xmalloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t bytes) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *ptr, size_t bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull)) ATTR_PRINTF(1, 2);

/* For CLEANUP(): release what the variable holds, if anything. */
void cleanup_free(void *ptr_to_ptr);
void cleanup_close(const int *fd);
void cleanup_fclose(FILE **file);
