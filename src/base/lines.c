/* Clean lines, many bytes at once: see lines.h. */
#include "base/lines.h"

#include <string.h>

#include "base/utf8.h"

/* GCC's vectors: whatever the machine has, else ordinary words. */
enum { LANES = 16 };
typedef unsigned char lanes __attribute__((vector_size(LANES)));

/* What a block has, a bit or more set in some lane when it has it. */
struct block {
    lanes wrong; /* a bare CR or LF, a NUL */
    lanes dots;  /* a line that begins with a dot */
    lanes high;
};

static lanes load(const char *from)
{
    lanes v;

    memcpy(&v, from, sizeof(v));
    return v;
}

static lanes splat(char c)
{
    lanes v;

    memset(&v, c, sizeof(v));
    return v;
}

static bool has_any(lanes v)
{
    uint64_t words[LANES / 8];

    memcpy(words, &v, sizeof(words));
    return (words[0] | words[1]) != 0;
}

/* Looks at LINES_BLOCK_BYTES bytes and the one behind them. */
static struct block look(const char *at)
{
    const lanes cr = splat('\r'), lf = splat('\n'), dot = splat('.'), nul = splat('\0');
    struct block b = {.wrong = nul, .dots = nul, .high = nul};

    for (size_t i = 0; i < LINES_BLOCK_BYTES; i += LANES) {
        lanes here = load(at + i), next = load(at + i + 1);
        /* Every CR is followed by LF, every LF follows CR: the two compare alike. */
        b.wrong |= (lanes)(here == cr) ^ (lanes)(next == lf);
        b.wrong |= (lanes)(here == nul);
        b.dots |= (lanes)(here == lf) & (lanes)(next == dot);
        b.high |= here;
    }
    return b;
}

static bool begins_wrong(struct str text, bool stops_at_dots)
{
    return text.len == 0 || text.ptr[0] == '\n' || (stops_at_dots && text.ptr[0] == '.');
}

size_t lines_clean_prefix(struct str text, bool stops_at_dots, bool *out_has_8bit)
{
    size_t at = 0;
    lanes high = splat('\0');

    if (begins_wrong(text, stops_at_dots))
        return 0;
    while (text.len - at > LINES_BLOCK_BYTES) {
        struct block b = look(text.ptr + at);
        if (has_any(b.wrong) || (stops_at_dots && has_any(b.dots)))
            break;
        high |= b.high;
        at += LINES_BLOCK_BYTES;
    }
    const char *last = at > 0 ? memrchr(text.ptr, '\n', at) : NULL;
    if (last == NULL)
        return 0;
    size_t len = (size_t)(last - text.ptr) + 1;
    /* More than the part was looked at: where it matters, look again. */
    if (!*out_has_8bit && has_any(high & splat((char)0x80)))
        *out_has_8bit = utf8_has_non_ascii(str_sub(text, 0, len));
    return len;
}
