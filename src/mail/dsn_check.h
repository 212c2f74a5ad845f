/* For the tests and the fuzz target of notices: what holds for all facts that may be printed. */
#pragma once

#include "mail/dsn.h"
#include "mail/header.h"
#include "mail/mime_7bit_check.h"

/* Lines end with CR LF, none is too long, no other control characters but tabs of the original. */
static inline void check_lines(struct str text)
{
    while (text.len > 0) {
        ptrdiff_t lf = str_find(text, '\n');
        ASSERT(lf >= 1 && lf <= 999 && text.ptr[lf - 1] == '\r');
        struct str line = str_sub(text, 0, (size_t)lf - 1);
        ASSERT(str_find(line, '\r') < 0 && str_find(line, '\0') < 0);
        text = str_sub(text, (size_t)lf + 1, text.len);
    }
}

static inline bool check_is_field(struct str name, bool is_first_group)
{
    static const char *const first[] = {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date",
                                        "Deliver-By-Date", "Future-Release-Request"};
    static const char *const others[] = {
        "Original-Recipient", "Final-Recipient",   "Action",          "Status", "Remote-MTA",
        "Diagnostic-Code",    "Last-Attempt-Date", "Will-Retry-Until"};
    const char *const *names = is_first_group ? first : others;
    size_t count = is_first_group ? ARRAY_LEN(first) : ARRAY_LEN(others);

    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(name, names[i]))
            return true;
    }
    return false;
}

/* Groups of known fields: one for the message and one for each recipient. */
static inline void check_fields(const struct dsn *d, struct str body, bool is_global)
{
    struct header_field field;
    size_t groups = 0;

    ASSERT(is_global || !utf8_has_non_ascii(body));
    ASSERT(utf8_is_valid(body));
    while (body.len > 0) {
        bool has_status = groups == 0, has_final = groups == 0;
        while (header_next(&body, &field)) {
            ASSERT(field.is_field && check_is_field(field.name, groups == 0));
            has_status |= str_eq(field.name, STR("Status"));
            has_final |= str_eq(field.name, STR("Final-Recipient"));
        }
        ASSERT(has_status && has_final);
        groups++;
        body = str_sub(body, 2, body.len);
    }
    ASSERT(groups == d->recipient_count + 1);
}

/* What is returned is the original or its header, in place or decoded. */
static inline void check_returned(const struct dsn *d, const struct summary_part *part,
                                  struct str message)
{
    CLEANUP(buf_done) struct buf body;
    bool is_whole = str_eq(part->subtype, STR("rfc822")) || str_eq(part->subtype, STR("global"));

    buf_init(&body, CHECK_MAX_BYTES);
    check_decode(part, message, &body);
    /* The scanner counts the line end before the boundary to a message that ends in a header. */
    if (is_whole && body.len == d->original.len + 2)
        body.len -= 2;
    ASSERT(body.len > 0 && str_has_prefix(d->original, buf_str(&body)));
    ASSERT(!is_whole || body.len == d->original.len);
    ASSERT(!is_whole || d->is_original_whole);
}

static inline void check_parts(const struct dsn *d, const struct summary_part *root,
                               struct str message)
{
    const struct summary_part *text = root->children, *status = text->next;

    ASSERT(str_eq(root->type, STR("multipart")) && str_eq(root->subtype, STR("report")));
    ASSERT(str_eq(text->type, STR("text")) && str_eq(text->subtype, STR("plain")));
    CLEANUP(buf_done) struct buf decoded;
    buf_init(&decoded, CHECK_MAX_BYTES);
    check_decode(text, message, &decoded);
    ASSERT(utf8_is_valid(buf_str(&decoded)));
    check_lines(buf_str(&decoded));
    bool is_global = str_eq(status->subtype, STR("global-delivery-status"));
    ASSERT(is_global ? d->is_utf8 : str_eq(status->subtype, STR("delivery-status")));
    check_fields(d, str_sub(message, status->body_offset, status->body_bytes), is_global);
    if (status->next == NULL)
        return;
    ASSERT(status->next->next == NULL);
    check_returned(d, status->next, message);
}

/* Prints and checks; appends the notice. */
static inline struct dsn_needs check_print(const struct dsn *d, struct buf *out)
{
    struct dsn_needs needs;

    dsn_print(d, out, &needs);
    struct str message = buf_str(out);
    ASSERT(buf_status(out) == 0 && message.len <= DSN_MAX_BYTES);
    check_lines(message);
    ASSERT(needs.is_8bit == utf8_has_non_ascii(message));
    ASSERT(!needs.is_smtputf8 || d->is_utf8);
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *root = check_scan(s, message, 0);
    const struct mime_facts *facts = mime_scanner_facts(s);
    ASSERT(facts->has_from && facts->has_date && facts->has_message_id);
    ASSERT(!facts->has_bad_header_line && facts->received_count == 0);
    ASSERT(!facts->has_header_8bit || needs.is_smtputf8);
    check_parts(d, root, message);
    mime_scanner_free(s);
    return needs;
}
