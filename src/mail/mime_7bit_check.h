/* For the tests and the fuzz target of what makes messages fit: what holds for all input. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "mail/mime_7bit.h"
#include "mail/mime_check.h"

static inline void check_decode_qp(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = str_sub(text, i, text.len);
        int high = i + 2 < text.len ? ascii_hex_value(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex_value(text.ptr[i + 2]) : -1;
        if (text.ptr[i] != '=') {
            buf_put_char(out, text.ptr[i]);
        } else if (str_has_prefix(rest, STR("=\r\n"))) {
            i += 2;
        } else if (low >= 0) {
            buf_put_u8(out, (uint8_t)(high << 4 | low));
            i += 2;
        } else {
            buf_put_char(out, '=');
        }
    }
}

static inline int check_base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *hit = c != '\0' ? strchr(digits, c) : NULL;

    return hit != NULL ? (int)(hit - digits) : -1;
}

static inline void check_decode_base64(struct str text, struct buf *out)
{
    unsigned bits = 0, count = 0;

    for (size_t i = 0; i < text.len; i++) {
        int value = check_base64_value(text.ptr[i]);
        if (text.ptr[i] == '=')
            count = 0;
        if (value < 0)
            continue;
        bits = (bits << 6 | (unsigned)value) & 0xfff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_put_u8(out, (uint8_t)(bits >> count));
        }
    }
}

/* The content of a part without its transfer encoding. */
static inline void check_decode(const struct summary_part *part, struct str message,
                                struct buf *out)
{
    struct str body = str_sub(message, part->body_offset, part->body_bytes);

    if (str_eq_nocase(part->encoding, STR("base64")))
        check_decode_base64(body, out);
    else if (str_eq_nocase(part->encoding, STR("quoted-printable")))
        check_decode_qp(body, out);
    else
        buf_put_str(out, body);
}

static inline void check_same_content(const struct summary_part *a, struct str a_message,
                                      const struct summary_part *b, struct str b_message)
{
    CLEANUP(buf_done) struct buf before, after;

    buf_init(&before, CHECK_MAX_BYTES);
    buf_init(&after, CHECK_MAX_BYTES);
    check_decode(a, a_message, &before);
    check_decode(b, b_message, &after);
    ASSERT(str_eq(buf_str(&before), buf_str(&after)));
}

/* The same parts of the same types with the same content. */
static inline void check_same_parts(const struct summary_part *a, struct str a_message,
                                    const struct summary_part *b, struct str b_message)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        ASSERT(str_eq_nocase(a->type, b->type) && str_eq_nocase(a->subtype, b->subtype));
        if (a->children != NULL && b->children != NULL)
            check_same_parts(a->children, a_message, b->children, b_message);
        else
            check_same_content(a, a_message, b, b_message);
    }
    ASSERT(a == NULL && b == NULL);
}

/* The scanner looks into a message/global where its encoding lets it; here it is a leaf. What uses
 * one boundary inside and outside of it has other parts for each of them. */
static inline bool check_has_global(const struct summary_part *part)
{
    for (; part != NULL; part = part->next) {
        if (str_eq_nocase(part->subtype, STR("global")) || check_has_global(part->children))
            return true;
    }
    return false;
}

/* Converts in pieces of pseudo-random sizes up to `max_piece`; 0: whole. What decide said. */
static inline int check_convert(struct str message, unsigned wants, size_t max_piece,
                                struct buf *out, struct mime_7bit_facts *out_facts)
{
    struct mime_7bit *m = mime_7bit_new(wants);
    int decision = 0;

    for (int pass = 0; pass < 2; pass++) {
        uint32_t random = (uint32_t)message.len * 2654435761u + (uint32_t)(max_piece + pass);
        struct str left = message;
        while (left.len > 0) {
            random = random * 1664525u + 1013904223u;
            size_t len = max_piece == 0 ? left.len : 1 + (random >> 8) % max_piece;
            struct str piece = str_sub(left, 0, len);
            size_t had = out->len;
            char *copy = str_dup(piece);
            if (pass == 0)
                mime_7bit_look(m, str_from_mem(copy, piece.len));
            else
                mime_7bit_push(m, str_from_mem(copy, piece.len), out);
            free(copy);
            ASSERT(out->len - had <= MIME_7BIT_OUT_MAX(piece.len));
            left = str_sub(left, piece.len, left.len);
        }
        if (pass == 0)
            decision = mime_7bit_decide(m);
    }
    mime_7bit_finish(m, out);
    ASSERT(buf_status(out) == 0);
    *out_facts = *mime_7bit_facts(m);
    mime_7bit_free(m);
    return decision;
}

/* All of the above for one message; appends the converted message. What decide said. */
static inline int check_conversion(struct str message, unsigned wants, struct buf *out)
{
    static const size_t max_pieces[] = {1, 2, 7, 60, 1000};
    struct mime_7bit_facts facts, again;
    int decision = check_convert(message, wants, 0, out, &facts);

    for (size_t i = 0; i < ARRAY_LEN(max_pieces); i++) {
        CLEANUP(buf_done) struct buf pieces;
        buf_init(&pieces, CHECK_MAX_BYTES);
        ASSERT(check_convert(message, wants, max_pieces[i], &pieces, &again) == decision);
        ASSERT(str_eq(buf_str(&pieces), buf_str(out)));
        ASSERT(facts.bytes_8bit == again.bytes_8bit &&
               facts.has_header_8bit == again.has_header_8bit &&
               facts.breaks_signature == again.breaks_signature &&
               facts.has_dkim_signature == again.has_dkim_signature &&
               facts.has_long_lines_left == again.has_long_lines_left);
    }
    ASSERT(facts.bytes_8bit > 0 || decision >= 0);
    if (decision != 1) {
        ASSERT(str_eq(buf_str(out), message));
        return decision;
    }
    ASSERT((wants & MIME_7BIT_BYTES) == 0 || facts.has_header_8bit ||
           !utf8_has_non_ascii(buf_str(out)));
    struct mime_scanner *a = mime_scanner_new(), *b = mime_scanner_new();
    struct summary_part *before = check_scan(a, message, 0);
    struct summary_part *after = check_scan(b, buf_str(out), 0);
    if (!check_has_global(before))
        check_same_parts(before, message, after, buf_str(out));
    if ((wants & MIME_7BIT_LINES) != 0 && !facts.has_long_lines_left)
        ASSERT(mime_scanner_facts(b)->longest_line_bytes <= MIME_LINE_MAX_BYTES);
    mime_scanner_free(b);
    mime_scanner_free(a);
    return decision;
}
