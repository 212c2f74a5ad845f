/* SASLprep by libidn: see saslprep.h. */
#include "crypt/saslprep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <stringprep.h>

#include "base/utf8.h"

/* NFKC makes up to 18 characters of one: the 3 bytes of U+FDFA become 33. */
enum { SASLPREP_GROWTH = SASLPREP_OUT_MAX_BYTES / SASLPREP_MAX_BYTES };

static bool is_printable_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] > '~')
            return false;
    }
    return true;
}

/* The prepared text in place; the library counts the room with the NUL. */
static int prepare(char *text, size_t room, enum saslprep_kind kind)
{
    Stringprep_profile_flags flags = kind == SASLPREP_STORED ? STRINGPREP_NO_UNASSIGNED : 0;
    int rc = stringprep(text, room, flags, stringprep_saslprep);

    if (rc == STRINGPREP_MALLOC_ERROR)
        die_at(__FILE__, __LINE__, "out of memory");
    return rc == STRINGPREP_OK && text[0] != '\0' ? 0 : -EINVAL;
}

int saslprep(struct str text, enum saslprep_kind kind, struct buf *out)
{
    if (text.len == 0 || text.len > SASLPREP_MAX_BYTES)
        return -EINVAL;
    if (is_printable_ascii(text)) {
        buf_put_str(out, text);
        return buf_status(out);
    }
    /* The library takes a C string, so a NUL would end it. */
    if (str_find(text, '\0') >= 0 || !utf8_is_valid(text))
        return -EINVAL;
    size_t room = text.len * SASLPREP_GROWTH + 1;
    char *work = xmalloc(room);
    memcpy(work, text.ptr, text.len);
    work[text.len] = '\0';
    int rc = prepare(work, room, kind);
    if (rc == 0) {
        buf_put_c(out, work);
        rc = buf_status(out);
    }
    explicit_bzero(work, room);
    free(work);
    return rc;
}
