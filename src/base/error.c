/* Programming errors and out of memory: see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void die_at(const char *file, int line, const char *text)
{
    fprintf(stderr, "hikyaku: internal error at %s:%d: %s\n", file, line, text);
    abort();
}

static void *or_die(void *ptr)
{
    if (ptr == NULL)
        die_at(__FILE__, __LINE__, "out of memory");
    return ptr;
}

void *xmalloc(size_t bytes)
{
    return or_die(malloc(bytes > 0 ? bytes : 1));
}

void *xcalloc(size_t count, size_t bytes)
{
    return or_die(calloc(count > 0 ? count : 1, bytes > 0 ? bytes : 1));
}

void *xrealloc(void *ptr, size_t bytes)
{
    return or_die(realloc(ptr, bytes > 0 ? bytes : 1));
}

char *xstrdup(const char *text)
{
    return or_die(strdup(text));
}

char *xasprintf(const char *fmt, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return or_die(len < 0 ? NULL : text);
}

void cleanup_free(void *ptr_to_ptr)
{
    void *ptr;

    memcpy(&ptr, ptr_to_ptr, sizeof(ptr));
    free(ptr);
}

void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

void cleanup_fclose(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}
