/* Replies of a server, read line by line: see client_reply.h. */
#include "smtp/client_reply.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "base/utf8.h"

enum { ENHANCED_DIGITS_MAX = 3 };

void smtp_reply_begin(struct smtp_reply_reader *r)
{
    r->code = 0;
    r->line_count = 0;
    r->words = STR_NONE;
    r->enhanced[0] = '\0';
    r->text_len = 0;
}

size_t smtp_reply_clean(struct str words, char *out, size_t max_bytes)
{
    size_t at = 0, written = 0;

    while (at < words.len) {
        struct str rest = str_sub(words, at, words.len);
        unsigned char first = (unsigned char)rest.ptr[0];
        size_t len = utf8_char_len(rest);
        /* C1 controls, U+0080 to U+009F: C2 80 to C2 9F. */
        bool is_c1 = len == 2 && first == 0xc2 && (unsigned char)rest.ptr[1] < 0xa0;
        bool is_bad = len == 0 || first < 0x20 || first == 0x7f || is_c1;
        struct str shown = is_bad ? (first == '\t' ? STR(" ") : STR("?")) : str_sub(rest, 0, len);
        if (shown.len > max_bytes - written)
            break;
        memcpy(&out[written], shown.ptr, shown.len);
        written += shown.len;
        at += MAX(len, (size_t)1);
    }
    return written;
}

/* The code at the start of a line, 200 to 599; 0 if there is none. */
static uint16_t parse_code(struct cursor *in)
{
    struct str digits = cursor_take_while(in, ascii_is_digit);
    uint64_t code;

    if (digits.len != 3 || str_to_u64(digits, 599, &code) < 0 || code < 200)
        return 0;
    return (uint16_t)code;
}

static bool is_digits(struct str s)
{
    return s.len > 0 && s.len <= ENHANCED_DIGITS_MAX;
}

/* An enhanced code at the start of the words (RFC 2034 section 4), whose class has to be that of
 * the code; the empty view if there is none. */
static struct str find_enhanced(struct str words, uint16_t code)
{
    struct cursor in = cursor_from(words);

    struct str class = cursor_take_while(&in, ascii_is_digit);
    cursor_expect(&in, '.');
    struct str subject = cursor_take_while(&in, ascii_is_digit);
    cursor_expect(&in, '.');
    struct str detail = cursor_take_while(&in, ascii_is_digit);
    if (class.len != 1 || class.ptr[0] != '0' + code / 100 || !is_digits(subject) ||
        !is_digits(detail) || cursor_status(&in) < 0)
        return STR_NONE;
    size_t len = cursor_offset(&in);
    int next = cursor_peek(&in);
    return next < 0 || next == ' ' || next == '\t' ? str_sub(words, 0, len) : STR_NONE;
}

/* The first line with words decides about the enhanced code; others are to repeat it. */
static struct str without_enhanced(struct smtp_reply_reader *r, struct str words)
{
    struct str enhanced = find_enhanced(words, r->code);

    if (enhanced.len == 0)
        return words;
    if (r->enhanced[0] == '\0' && r->text_len == 0)
        ASSERT(str_copy(enhanced, r->enhanced, sizeof(r->enhanced)));
    if (!str_eq_c(enhanced, r->enhanced))
        return words;
    return str_sub(words, enhanced.len, words.len);
}

static void keep_text(struct smtp_reply_reader *r, struct str words)
{
    words = str_trim(words);
    size_t room = sizeof(r->text) - r->text_len;
    if (words.len == 0 || room < 2)
        return;
    if (r->text_len > 0) {
        r->text[r->text_len++] = '\n';
        room--;
    }
    r->text_len += smtp_reply_clean(words, &r->text[r->text_len], room);
}

int smtp_reply_take_line(struct smtp_reply_reader *r, struct str line)
{
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (r->line_count == SMTP_CLIENT_LINES_MAX)
        return -EMSGSIZE;
    struct cursor in = cursor_from(line);
    uint16_t code = parse_code(&in);
    int separator = cursor_next(&in); /* -1: a bare code, RFC 5321 section 4.2 */
    bool is_reply = code != 0 && (separator == ' ' || separator == '-' || separator == -1);
    /* RFC 5321 section 4.2.1: the code on each of the lines MUST be the same. */
    if (!is_reply || (r->line_count > 0 && code != r->code)) {
        keep_text(r, line); /* people want to see it */
        return -EPROTO;
    }
    r->code = code;
    r->line_count++;
    r->words = str_sub(line, 4, line.len);
    keep_text(r, without_enhanced(r, str_trim(r->words)));
    return separator == '-' ? 0 : 1;
}
