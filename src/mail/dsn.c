/*
 * The message around a delivery status notification: see dsn.h.
 *
 * multipart/report (RFC 6522) of three parts: the text for people (dsn_text.h), the fields for
 * programs (RFC 3464 section 2, RFC 6533 section 4) and what is returned of the original. All that
 * comes from elsewhere passes dsn_text_clean or an encoder, so it can neither end a line nor a
 * part.
 */
#include "mail/dsn.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/utf8.h"
#include "mail/dsn_text.h"
#include "mail/header.h"
#include "mail/transfer.h"

enum {
    LINE_MAX_BYTES = 998, /* RFC 5322 section 2.1.1 */
    FOLD_COLUMNS = 76,
    FOLD_WORD_MAX_BYTES = 900, /* a longer word is cut */
    VALUE_MAX_BYTES = 900,     /* of a field that may not be folded */
    DIAGNOSTIC_MAX_BYTES = 1000,
    ADDRESS_TYPE_MAX_BYTES = 30,
    BOUNDARY_ID_MAX_BYTES = 32, /* of the notice's id */
    BOUNDARY_MAX_BYTES = 64,    /* RFC 2046 section 5.1.1 allows 70 */
    BOUNDARY_NUMBERS = 65536,   /* more than an original of the greatest length can hold */
    BOUNDARY_DIGITS = 4,
};

static const char boundary_prefix[] = "=_hikyaku-";
_Static_assert(BOUNDARY_NUMBERS > DSN_ORIGINAL_MAX_BYTES / sizeof(boundary_prefix),
               "one is always free");

enum return_kind { RETURN_NOTHING, RETURN_HEADER, RETURN_WHOLE };

struct printer {
    const struct dsn *d;
    struct buf *out;
    struct buf text;     /* for people */
    struct str original; /* what of it is returned */
    enum return_kind kind;
    bool is_original_8bit, is_original_global, is_original_encoded;
    bool is_status_global; /* message/global-delivery-status */
    char boundary[BOUNDARY_MAX_BYTES + 1];
};

/* --- fields --- */

static void put_field(struct buf *out, const char *name, struct str value)
{
    buf_put_c(out, name);
    buf_put_c(out, ": ");
    buf_put_str(out, value);
    buf_put_c(out, "\r\n");
}

static void put_time(struct buf *out, const char *name, int64_t real_ms)
{
    char text[CLOCK_TEXT_BYTES];

    put_field(out, name, str_from_c(clock_format_mail(real_ms, text)));
}

/* Whole characters, at most FOLD_WORD_MAX_BYTES, up to the next space. */
static struct str take_word(struct str *text)
{
    struct str head, tail;

    (void)str_cut(*text, ' ', &head, &tail);
    if (head.len <= FOLD_WORD_MAX_BYTES) {
        *text = tail;
        return head;
    }
    head.len = FOLD_WORD_MAX_BYTES;
    while (head.len > 1 && ((unsigned char)text->ptr[head.len] & 0xc0) == 0x80)
        head.len--;
    *text = str_sub(*text, head.len, text->len);
    return head;
}

/* A value whose words may go to lines of their own (RFC 3464 section 2.1.1). */
static void put_folded(struct buf *out, const char *name, struct str value)
{
    size_t column = strlen(name) + 1;

    buf_put_c(out, name);
    buf_put_char(out, ':');
    while (value.len > 0) {
        struct str word = take_word(&value);
        if (word.len == 0)
            continue;
        if (column + 1 + word.len > FOLD_COLUMNS) {
            buf_put_c(out, "\r\n");
            column = 0;
        }
        buf_put_char(out, ' ');
        buf_put_str(out, word);
        column += 1 + word.len;
    }
    buf_put_c(out, "\r\n");
}

/* A stranger's value behind "type; ", on one line. */
static void put_typed(struct printer *p, const char *name, const char *type, struct str value)
{
    CLEANUP(buf_done) struct buf text;

    buf_init(&text, VALUE_MAX_BYTES);
    buf_put_c(&text, type);
    buf_put_c(&text, "; ");
    dsn_text_clean(value, DSN_ADDRESS_MAX_BYTES, !p->is_status_global, &text);
    put_field(p->out, name, buf_str(&text));
}

/* --- addresses --- */

static bool is_qchar(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '\\' && c != '+' && c != '=';
}

static uint32_t code_point(struct str ch)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)ch.ptr[0] & masks[ch.len];

    for (size_t i = 1; i < ch.len; i++)
        code = code << 6 | ((unsigned char)ch.ptr[i] & 0x3f);
    return code;
}

/* RFC 6533 section 3, utf-8-addr-xtext: ASCII only. The text is valid UTF-8. */
static void put_unitext(struct str text, struct buf *out)
{
    /* "\x{10FFFF}" */
    while (text.len > 0 && out->max - out->len >= 10) {
        size_t len = MAX(utf8_char_len(text), (size_t)1);
        if (len == 1 && is_qchar((unsigned char)text.ptr[0]))
            buf_put_char(out, text.ptr[0]);
        else
            buf_printf(out, "\\x{%02X}", code_point(str_sub(text, 0, len)));
        text = str_sub(text, len, text.len);
    }
}

/* An address that is clean already; type "rfc822" becomes "utf-8" where the address asks for it. */
static void put_address(struct printer *p, const char *name, const char *type, struct str address)
{
    CLEANUP(buf_done) struct buf text;
    bool is_wide = utf8_has_non_ascii(address) || strcmp(type, "utf-8") == 0;

    buf_init(&text, VALUE_MAX_BYTES);
    buf_put_c(&text, is_wide ? "utf-8" : type);
    buf_put_c(&text, "; ");
    if (is_wide && !p->is_status_global)
        put_unitext(address, &text);
    else
        buf_put_str(&text, address);
    put_field(p->out, name, buf_str(&text));
}

static void put_utf8(uint32_t code, struct buf *out)
{
    if (code < 0x80) {
        buf_put_u8(out, (uint8_t)code);
        return;
    }
    if (code < 0x800) {
        buf_put_u8(out, (uint8_t)(0xc0 | code >> 6));
    } else if (code < 0x10000) {
        buf_put_u8(out, (uint8_t)(0xe0 | code >> 12));
        buf_put_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
    } else {
        buf_put_u8(out, (uint8_t)(0xf0 | code >> 18));
        buf_put_u8(out, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
        buf_put_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
    }
    buf_put_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
}

static bool is_hex(char c)
{
    return ascii_hex_value(c) >= 0;
}

/* Takes "x{HEXPOINT}", which stands behind a backslash; false and nothing taken: it is none. */
static bool take_hexpoint(struct cursor *c, uint32_t *out_code)
{
    struct cursor at = *c;

    cursor_expect(&at, 'x');
    cursor_expect(&at, '{');
    struct str digits = cursor_take_while(&at, is_hex);
    cursor_expect(&at, '}');
    if (cursor_status(&at) < 0 || digits.len < 2 || digits.len > 6)
        return false;
    *out_code = 0;
    for (size_t i = 0; i < digits.len; i++)
        *out_code = *out_code << 4 | (uint32_t)ascii_hex_value(digits.ptr[i]);
    if (*out_code > 0x10ffff || (*out_code >= 0xd800 && *out_code <= 0xdfff))
        return false;
    *c = at;
    return true;
}

/* What is not of the syntax stays as it is (RFC 6533 section 3). */
static void decode_unitext(struct str text, struct buf *out)
{
    struct cursor c = cursor_from(text);
    uint32_t code;

    while (cursor_left(&c) > 0) {
        char byte = (char)cursor_next(&c);
        if (byte == '\\' && take_hexpoint(&c, &code))
            put_utf8(code, out);
        else
            buf_put_char(out, byte);
    }
}

/* RFC 3461 section 4: "+" and two hexadecimal digits. */
static void decode_xtext(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        int high = text.ptr[i] == '+' && i + 2 < text.len ? ascii_hex_value(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex_value(text.ptr[i + 2]) : -1;
        if (low >= 0) {
            buf_put_u8(out, (uint8_t)(high << 4 | low));
            i += 2;
            continue;
        }
        buf_put_char(out, text.ptr[i]);
    }
}

/* The type of an ORCPT parameter; "unknown" for what is no atom. */
static void copy_type(struct str type, char out[ADDRESS_TYPE_MAX_BYTES + 1])
{
    bool is_atom = type.len > 0;

    for (size_t i = 0; i < type.len; i++)
        is_atom = is_atom && (ascii_is_alnum(type.ptr[i]) || type.ptr[i] == '-');
    if (str_eq_nocase(type, STR("utf-8")))
        type = STR("utf-8");
    if (!is_atom || type.len > ADDRESS_TYPE_MAX_BYTES)
        type = STR("unknown");
    bool fits = str_copy(type, out, ADDRESS_TYPE_MAX_BYTES + 1);
    ASSERT(fits);
}

/* The address of an ORCPT parameter, decoded and clean. */
static void decode_orcpt(struct str orcpt, struct buf *out)
{
    CLEANUP(buf_done) struct buf raw;
    struct str type, text;

    if (!str_cut(orcpt, ';', &type, &text))
        text = orcpt;
    text = str_sub(text, 0, 2 * VALUE_MAX_BYTES);
    buf_init(&raw, 2 * VALUE_MAX_BYTES);
    if (str_eq_nocase(type, STR("utf-8")))
        decode_unitext(text, &raw);
    else
        decode_xtext(text, &raw);
    dsn_text_clean(buf_str(&raw), DSN_ADDRESS_MAX_BYTES, false, out);
}

static void put_original_recipient(struct printer *p, const struct dsn_recipient *r)
{
    char type[ADDRESS_TYPE_MAX_BYTES + 1];
    struct str type_text, rest;

    if (r->orcpt.len == 0)
        return;
    CLEANUP(buf_done) struct buf address;
    bool has_type = str_cut(r->orcpt, ';', &type_text, &rest);
    copy_type(has_type ? type_text : STR(""), type);
    buf_init(&address, DSN_ADDRESS_MAX_BYTES);
    decode_orcpt(r->orcpt, &address);
    put_address(p, "Original-Recipient", type, buf_str(&address));
}

static void put_final_recipient(struct printer *p, const struct dsn_recipient *r)
{
    CLEANUP(buf_done) struct buf address;

    buf_init(&address, DSN_ADDRESS_MAX_BYTES);
    dsn_text_clean(r->address, DSN_ADDRESS_MAX_BYTES, false, &address);
    put_address(p, "Final-Recipient", "rfc822", buf_str(&address));
}

/* --- the part for programs --- */

/* RFC 3464 section 2.3.4: no leading zeros, one digit and twice one to three. */
static bool is_status(struct str s)
{
    struct str fields[3], rest;

    if (!str_cut(s, '.', &fields[0], &rest) || !str_cut(rest, '.', &fields[1], &fields[2]))
        return false;
    if (fields[0].len != 1 || str_find(STR("245"), fields[0].ptr[0]) < 0)
        return false;
    for (size_t i = 1; i < ARRAY_LEN(fields); i++) {
        uint64_t number;
        bool has_zero = fields[i].len > 1 && fields[i].ptr[0] == '0';
        if (has_zero || str_to_u64(fields[i], 999, &number) < 0)
            return false;
    }
    return true;
}

static struct str status_of(const struct dsn_recipient *r)
{
    if (is_status(r->status))
        return r->status;
    switch (r->action) {
    case DSN_DELAYED:
        return STR("4.0.0");
    case DSN_DELIVERED:
    case DSN_RELAYED:
    case DSN_EXPANDED:
        return STR("2.0.0");
    case DSN_FAILED:
        break;
    }
    return STR("5.0.0");
}

static const char *action_name(enum dsn_action action)
{
    static const char *const names[] = {
        [DSN_FAILED] = "failed",   [DSN_DELAYED] = "delayed",   [DSN_DELIVERED] = "delivered",
        [DSN_RELAYED] = "relayed", [DSN_EXPANDED] = "expanded",
    };

    return action >= DSN_FAILED && action <= DSN_EXPANDED ? names[action] : names[DSN_FAILED];
}

static void put_diagnostic(struct printer *p, const struct dsn_recipient *r)
{
    if (r->diagnostic.len == 0)
        return;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, DIAGNOSTIC_MAX_BYTES);
    buf_put_c(&text, r->is_remote_words ? "smtp; " : "x-hikyaku; ");
    dsn_text_clean(r->diagnostic, DIAGNOSTIC_MAX_BYTES, !p->is_status_global, &text);
    put_folded(p->out, "Diagnostic-Code", buf_str(&text));
}

static void put_recipient(struct printer *p, const struct dsn_recipient *r)
{
    put_original_recipient(p, r);
    put_final_recipient(p, r);
    put_field(p->out, "Action", str_from_c(action_name(r->action)));
    put_field(p->out, "Status", status_of(r));
    if (r->remote_mta.len > 0)
        put_typed(p, "Remote-MTA", "dns", r->remote_mta);
    put_diagnostic(p, r);
    if (r->last_attempt_ms > 0)
        put_time(p->out, "Last-Attempt-Date", r->last_attempt_ms);
    /* RFC 3464 section 2.3.9: MUST NOT appear with other actions. */
    if (r->action == DSN_DELAYED && r->will_retry_until_ms > 0)
        put_time(p->out, "Will-Retry-Until", r->will_retry_until_ms);
}

static void put_status_part(struct printer *p)
{
    const struct dsn *d = p->d;

    put_field(p->out, "Content-Type",
              p->is_status_global ? STR("message/global-delivery-status")
                                  : STR("message/delivery-status"));
    if (p->is_status_global)
        put_field(p->out, "Content-Transfer-Encoding", STR("8bit"));
    buf_put_c(p->out, "\r\n");
    if (d->envid.len > 0) {
        CLEANUP(buf_done) struct buf envid;
        buf_init(&envid, VALUE_MAX_BYTES);
        dsn_text_clean(d->envid, VALUE_MAX_BYTES, true, &envid);
        put_field(p->out, "Original-Envelope-Id", buf_str(&envid));
    }
    put_typed(p, "Reporting-MTA", "dns", d->reporting_mta);
    if (d->arrival_ms > 0)
        put_time(p->out, "Arrival-Date", d->arrival_ms);
    if (d->deliver_by_ms > 0)
        put_time(p->out, "Deliver-By-Date", d->deliver_by_ms);
    if (d->release_request.len > 0) {
        CLEANUP(buf_done) struct buf request;
        buf_init(&request, VALUE_MAX_BYTES);
        dsn_text_clean(d->release_request, VALUE_MAX_BYTES, true, &request);
        put_field(p->out, "Future-Release-Request", buf_str(&request));
    }
    for (size_t i = 0; i < MIN(d->recipient_count, (size_t)DSN_RECIPIENTS_MAX); i++) {
        buf_put_c(p->out, "\r\n");
        put_recipient(p, &d->recipients[i]);
    }
}

static bool is_recipient_wide(const struct dsn_recipient *r)
{
    CLEANUP(buf_done) struct buf orcpt;

    buf_init(&orcpt, DSN_ADDRESS_MAX_BYTES);
    decode_orcpt(r->orcpt, &orcpt);
    return utf8_has_non_ascii(r->address) || utf8_has_non_ascii(buf_str(&orcpt));
}

/* --- the original --- */

static struct str header_of(struct str message)
{
    struct str block = message;
    struct header_field field;

    while (header_next(&block, &field))
        continue;
    return str_sub(message, 0, message.len - block.len);
}

/* Whole lines only, at most DSN_HEADER_MAX_BYTES. */
static struct str bound_header(struct str header)
{
    struct str bounded = str_sub(header, 0, DSN_HEADER_MAX_BYTES);

    if (bounded.len < header.len)
        bounded.len = (size_t)(str_rfind(bounded, '\n') + 1);
    return bounded;
}

/* Lines that SMTP may carry: ended by CR LF, not too long, no NUL. */
static bool is_mailable(struct str text)
{
    while (text.len > 0) {
        ptrdiff_t lf = str_find(text, '\n');
        size_t len = lf < 0 ? text.len : (size_t)lf;
        struct str line = str_sub(text, 0, len);
        if (lf == 0 || (lf > 0 && line.ptr[--line.len] != '\r'))
            return false;
        if (line.len > LINE_MAX_BYTES || str_find(line, '\r') >= 0 || str_find(line, '\0') >= 0)
            return false;
        text = str_sub(text, lf < 0 ? len : len + 1, text.len);
    }
    return true;
}

static bool has_failed(const struct dsn *d)
{
    for (size_t i = 0; i < d->recipient_count; i++) {
        if (d->recipients[i].action == DSN_FAILED)
            return true;
    }
    return false;
}

/* Decides what is returned, and how: see dsn.h. */
static void plan_original(struct printer *p)
{
    const struct dsn *d = p->d;
    struct str header = header_of(d->original);
    bool is_ascii = !utf8_has_non_ascii(header);
    bool is_wide = !is_ascii && d->is_utf8 && utf8_is_valid(header);

    if (header.len == 0)
        return;
    if (d->is_original_whole && has_failed(d) && d->original.len <= DSN_ORIGINAL_MAX_BYTES &&
        (is_ascii || is_wide) && is_mailable(d->original)) {
        p->kind = RETURN_WHOLE;
        p->original = d->original;
        p->is_original_8bit = utf8_has_non_ascii(d->original);
        p->is_original_global = is_wide;
        return;
    }
    p->kind = RETURN_HEADER;
    p->original = bound_header(header);
    p->is_original_global = is_wide && is_mailable(p->original);
    p->is_original_8bit = p->is_original_global;
    p->is_original_encoded = !p->is_original_global && (!is_ascii || !is_mailable(p->original));
}

static const char *original_type(const struct printer *p)
{
    if (p->is_original_global)
        return p->kind == RETURN_WHOLE ? "message/global" : "message/global-headers";
    return p->kind == RETURN_WHOLE ? "message/rfc822" : "text/rfc822-headers";
}

/* RFC 2045 section 6.4 forbids encoding message/rfc822, so it is 8bit where it must; a text may be
 * encoded. */
static void put_original_part(struct printer *p)
{
    put_field(p->out, "Content-Type", str_from_c(original_type(p)));
    if (p->is_original_encoded)
        put_field(p->out, "Content-Transfer-Encoding", STR("quoted-printable"));
    else if (p->is_original_8bit)
        put_field(p->out, "Content-Transfer-Encoding", STR("8bit"));
    buf_put_c(p->out, "\r\n");
    if (!p->is_original_encoded) {
        buf_put_str(p->out, p->original);
        return;
    }
    struct transfer_encoder e;
    transfer_init(&e, TRANSFER_QUOTED_PRINTABLE);
    transfer_put(&e, p->original, p->out);
    transfer_finish(&e, p->out);
}

/* --- the whole --- */

/* Marks the numbers that the original uses behind the prefix. */
static void mark_numbers(struct str original, struct str prefix, bool *is_used)
{
    const char *hit;

    while ((hit = memmem(original.ptr, original.len, prefix.ptr, prefix.len)) != NULL) {
        original = str_sub(original, (size_t)(hit - original.ptr) + prefix.len, original.len);
        uint32_t number = 0;
        for (size_t i = 0; i < MIN(original.len, (size_t)BOUNDARY_DIGITS); i++)
            number = number << 4 | ((uint32_t)ascii_hex_value(original.ptr[i]) & 15);
        is_used[number % BOUNDARY_NUMBERS] = true;
    }
}

/* A line of the original may not look like the boundary. "=_" occurs in no quoted-printable or
 * base64 text (RFC 2045 section 6.7), so only an original that is returned as it is can hold it. */
static void choose_boundary(struct printer *p)
{
    char prefix[sizeof(boundary_prefix) + BOUNDARY_ID_MAX_BYTES + 1];
    struct str id = p->d->notice_id;
    size_t len = strlen(boundary_prefix);

    memcpy(prefix, boundary_prefix, len);
    for (size_t i = 0; i < MIN(id.len, (size_t)BOUNDARY_ID_MAX_BYTES); i++)
        prefix[len++] = ascii_is_alnum(id.ptr[i]) ? id.ptr[i] : '-';
    prefix[len++] = '.';
    bool *is_used = xcalloc(BOUNDARY_NUMBERS, sizeof(*is_used));
    if (p->original.len > 0)
        mark_numbers(p->original, str_from_mem(prefix, len), is_used);
    uint32_t number = 0;
    while (number < BOUNDARY_NUMBERS - 1 && is_used[number])
        number++;
    free(is_used);
    (void)snprintf(p->boundary, sizeof(p->boundary), "%.*s%04x", (int)len, prefix, number);
}

static void put_boundary(struct printer *p, const char *end)
{
    buf_printf(p->out, "\r\n--%s%s\r\n", p->boundary, end);
}

/* ASCII needs no encoding; English with a few foreign characters stays legible as it is. */
static void put_text_part(struct printer *p)
{
    struct str text = buf_str(&p->text);
    struct transfer_encoder e;
    bool is_ascii = !utf8_has_non_ascii(text);

    put_field(p->out, "Content-Type",
              is_ascii ? STR("text/plain; charset=us-ascii") : STR("text/plain; charset=utf-8"));
    if (is_ascii) {
        buf_put_c(p->out, "\r\n");
        buf_put_str(p->out, text);
        return;
    }
    transfer_init(&e, p->d->languages & DSN_JAPANESE ? TRANSFER_BASE64 : TRANSFER_QUOTED_PRINTABLE);
    put_field(p->out, "Content-Transfer-Encoding", str_from_c(transfer_name(e.encoding)));
    buf_put_c(p->out, "\r\n");
    transfer_put(&e, text, p->out);
    transfer_finish(&e, p->out);
}

/* Without SMTPUTF8 there is no way to write such an address: the empty group of RFC 6857. */
static void put_to(struct printer *p, struct dsn_needs *needs)
{
    CLEANUP(buf_done) struct buf to;

    buf_init(&to, DSN_ADDRESS_MAX_BYTES);
    dsn_text_clean(p->d->to, DSN_ADDRESS_MAX_BYTES, false, &to);
    bool is_wide = utf8_has_non_ascii(buf_str(&to));
    needs->is_8bit |= is_wide && p->d->is_utf8;
    needs->is_smtputf8 |= is_wide && p->d->is_utf8;
    if (!is_wide || p->d->is_utf8) {
        buf_printf(p->out, "To: <%.*s>\r\n", STR_ARG(buf_str(&to)));
        return;
    }
    buf_put_c(p->out, "To: ");
    transfer_put_words(buf_str(&to), p->out);
    buf_put_c(p->out, " :;\r\n");
}

static void put_header(struct printer *p, struct dsn_needs *needs)
{
    const struct dsn *d = p->d;
    CLEANUP(buf_done) struct buf subject, clean;

    buf_init(&subject, VALUE_MAX_BYTES);
    buf_init(&clean, DSN_ADDRESS_MAX_BYTES);
    put_time(p->out, "Date", d->now_ms);
    dsn_text_clean(d->from, DSN_ADDRESS_MAX_BYTES, true, &clean);
    buf_printf(p->out, "From: \"Mail Delivery System\" <%.*s>\r\n", STR_ARG(buf_str(&clean)));
    put_to(p, needs);
    dsn_text_subject(d, &subject);
    buf_put_c(p->out, "Subject: ");
    transfer_put_words(buf_str(&subject), p->out);
    buf_put_c(p->out, "\r\nMessage-ID: <");
    dsn_text_clean(d->notice_id, BOUNDARY_ID_MAX_BYTES, true, p->out);
    buf_put_char(p->out, '@');
    dsn_text_clean(d->reporting_mta, DSN_ADDRESS_MAX_BYTES, true, p->out);
    /* RFC 3834 section 5.1: auto-replied may be used on notifications; it is what they are. */
    buf_put_c(p->out, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    buf_printf(
        p->out,
        "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"%s\"\r\n",
        p->boundary);
    if (p->is_status_global || p->is_original_8bit)
        buf_put_c(p->out, "Content-Transfer-Encoding: 8bit\r\n");
}

void dsn_print(const struct dsn *d, struct buf *out, struct dsn_needs *out_needs)
{
    struct printer p = {.d = d, .out = out};

    ASSERT(d->recipient_count >= 1 && d->recipient_count <= DSN_RECIPIENTS_MAX);
    buf_init(&p.text, DSN_TEXT_MAX_BYTES);
    dsn_text_print(d, &p.text);
    for (size_t i = 0; d->is_utf8 && i < d->recipient_count; i++)
        p.is_status_global |= is_recipient_wide(&d->recipients[i]);
    plan_original(&p);
    choose_boundary(&p);
    *out_needs = (struct dsn_needs){
        .is_8bit = p.is_status_global || p.is_original_8bit,
        .is_smtputf8 = p.is_status_global || p.is_original_global,
    };
    put_header(&p, out_needs);
    put_boundary(&p, "");
    put_text_part(&p);
    put_boundary(&p, "");
    put_status_part(&p);
    if (p.kind != RETURN_NOTHING) {
        put_boundary(&p, "");
        put_original_part(&p);
    }
    put_boundary(&p, "--");
    buf_done(&p.text);
}
