/*
 * Replies of servers: any bytes, read as one reply after another, each also as the offers of an
 * EHLO reply. What comes out is bounded, printable and of the promised form, and a reply that is
 * printed again reads the same.
 */
#include <stdint.h>
#include <string.h>

#include "base/cursor.h"
#include "base/utf8.h"
#include "smtp/client_ehlo.h"
#include "smtp/client_reply.h"
#include "smtp/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_enhanced(const struct smtp_reply_reader *r)
{
    struct cursor in = cursor_from(str_from_c(r->enhanced));

    if (r->enhanced[0] == '\0')
        return;
    ASSERT(cursor_next(&in) == '0' + r->code / 100);
    for (int i = 0; i < 2; i++) {
        cursor_expect(&in, '.');
        ASSERT(cursor_take_while(&in, ascii_is_digit).len - 1 < 3);
    }
    ASSERT(cursor_finish(&in) == 0);
}

static void check_text(struct str text)
{
    ASSERT(utf8_is_valid(text));
    ASSERT(!smtp_has_c1_control(text));
    for (size_t i = 0; i < text.len; i++)
        ASSERT((unsigned char)text.ptr[i] >= ' ' || text.ptr[i] == '\n');
}

static void check_reply(const struct smtp_reply_reader *r)
{
    struct smtp_reply_reader again;
    struct str rest = str_from_mem(r->text, r->text_len), line;
    bool has_more;
    int result;

    ASSERT(r->code >= 200 && r->code <= 599);
    ASSERT(r->line_count > 0 && r->line_count <= SMTP_CLIENT_LINES_MAX);
    ASSERT(r->text_len <= sizeof(r->text));
    check_enhanced(r);
    check_text(rest);
    smtp_reply_begin(&again);
    do {
        CLEANUP(buf_done) struct buf printed;
        buf_init(&printed, 2 * SMTP_CLIENT_TEXT_MAX_BYTES);
        has_more = str_cut(rest, '\n', &line, &rest);
        buf_printf(&printed, "%d%c", r->code, has_more ? '-' : ' ');
        if (r->enhanced[0] != '\0')
            buf_printf(&printed, "%s ", r->enhanced);
        buf_put_str(&printed, line);
        result = smtp_reply_take_line(&again, buf_str(&printed));
        ASSERT(result == !has_more);
    } while (has_more);
    ASSERT(again.code == r->code && strcmp(again.enhanced, r->enhanced) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = str_from_mem(bytes, len);
    static struct smtp_reply_reader reader; /* with its text, it is large for a frame */
    struct smtp_ehlo ehlo = {.extensions = 0};

    smtp_reply_begin(&reader);
    while (rest.len > 0) {
        ptrdiff_t lf = str_find(rest, '\n');
        struct str line = str_sub(rest, 0, lf < 0 ? rest.len : (size_t)lf + 1);
        rest = str_sub(rest, line.len, rest.len);
        int result = smtp_reply_take_line(&reader, line);
        if (result < 0)
            return 0;
        ASSERT(reader.words.len <= line.len);
        smtp_ehlo_take_line(&ehlo, reader.words);
        check_text(str_from_mem(reader.text, reader.text_len));
        if (result == 0)
            continue;
        check_reply(&reader);
        smtp_reply_begin(&reader);
    }
    return 0;
}
