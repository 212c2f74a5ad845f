/* From a header block to the description of one MIME part: see mime_describe.h. */
#include "mail/mime_describe.h"

#include "mail/addrlist.h"
#include "mail/header.h"
#include "mail/mime_param.h"

enum field_kind {
    FIELD_ENVELOPE_TEXT,
    FIELD_ENVELOPE_LIST,
    FIELD_PART_TEXT,
    FIELD_TYPE,
    FIELD_ENCODING,
    FIELD_DISPOSITION,
    FIELD_LANGUAGE,
};

struct field_row {
    struct str name;
    enum field_kind kind;
    size_t offset; /* of the text in its structure, or the list */
};

#define ENVELOPE_TEXT(name, member)                                                                \
    {                                                                                              \
        {name, sizeof(name) - 1}, FIELD_ENVELOPE_TEXT, offsetof(struct summary_envelope, member)   \
    }
#define ENVELOPE_LIST(name, list)                                                                  \
    {                                                                                              \
        {name, sizeof(name) - 1}, FIELD_ENVELOPE_LIST, list                                        \
    }
#define PART(name, kind, member)                                                                   \
    {                                                                                              \
        {name, sizeof(name) - 1}, kind, offsetof(struct summary_part, member)                      \
    }

static const struct field_row field_rows[] = {
    ENVELOPE_TEXT("Date", date),
    ENVELOPE_TEXT("Subject", subject),
    ENVELOPE_TEXT("In-Reply-To", in_reply_to),
    ENVELOPE_TEXT("Message-ID", message_id),
    ENVELOPE_LIST("From", SUMMARY_FROM),
    ENVELOPE_LIST("Sender", SUMMARY_SENDER),
    ENVELOPE_LIST("Reply-To", SUMMARY_REPLY_TO),
    ENVELOPE_LIST("To", SUMMARY_TO),
    ENVELOPE_LIST("Cc", SUMMARY_CC),
    ENVELOPE_LIST("Bcc", SUMMARY_BCC),
    PART("Content-Type", FIELD_TYPE, type),
    PART("Content-Transfer-Encoding", FIELD_ENCODING, encoding),
    PART("Content-Disposition", FIELD_DISPOSITION, disposition),
    PART("Content-Language", FIELD_LANGUAGE, languages),
    PART("Content-ID", FIELD_PART_TEXT, id),
    PART("Content-Description", FIELD_PART_TEXT, description),
    PART("Content-MD5", FIELD_PART_TEXT, md5),
    PART("Content-Location", FIELD_PART_TEXT, location),
};

static const struct field_row *find_row(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(field_rows); i++) {
        if (str_eq_nocase(field_rows[i].name, name))
            return &field_rows[i];
    }
    return NULL;
}

static bool is_of_message(const struct field_row *row)
{
    return row->kind == FIELD_ENVELOPE_TEXT || row->kind == FIELD_ENVELOPE_LIST;
}

static bool is_of_structure(const struct field_row *row)
{
    return row->kind == FIELD_TYPE || row->kind == FIELD_ENCODING;
}

enum mime_field_use mime_field_use(struct str name, uint32_t *out_bit)
{
    const struct field_row *row = find_row(name);

    _Static_assert(ARRAY_LEN(field_rows) <= 32, "a bit for each");
    *out_bit = row != NULL ? UINT32_C(1) << (row - field_rows) : 0;
    if (row == NULL)
        return MIME_FIELD_UNUSED;
    if (is_of_message(row))
        return MIME_FIELD_OF_MESSAGE;
    return is_of_structure(row) ? MIME_FIELD_OF_STRUCTURE : MIME_FIELD_OF_PART;
}

static void fill_part(const struct field_row *row, struct str body, struct arena *arena,
                      struct summary_part *part)
{
    struct str *text = (struct str *)(void *)((char *)part + row->offset);

    switch (row->kind) {
    case FIELD_TYPE:
        if (part->type.ptr == NULL)
            (void)mime_param_parse_type(body, arena, part);
        return;
    case FIELD_DISPOSITION:
        if (text->ptr == NULL)
            *text = mime_param_parse_disposition(body, arena, &part->disposition_params);
        return;
    case FIELD_LANGUAGE:
        if (part->languages == NULL)
            part->languages = mime_param_parse_tokens(body, arena);
        return;
    case FIELD_ENCODING:
        if (text->ptr == NULL)
            *text = mime_param_parse_token(body, arena);
        return;
    case FIELD_PART_TEXT:
        if (text->ptr == NULL)
            *text = header_unfold(body, arena);
        return;
    case FIELD_ENVELOPE_TEXT:
    case FIELD_ENVELOPE_LIST:
        return;
    }
}

void mime_describe_part(struct str fields, bool is_brief, struct arena *arena,
                        struct summary_part *part)
{
    struct header_field field;

    while (header_next(&fields, &field)) {
        const struct field_row *row = find_row(field.name);
        if (row == NULL || is_of_message(row) || (is_brief && !is_of_structure(row)))
            continue;
        fill_part(row, field.body, arena, part);
    }
}

/* Several fields of one name make one list. */
static void append_list(struct summary_mailbox **list, struct str body, struct arena *arena)
{
    size_t count = 0;

    for (; *list != NULL; list = &(*list)->next)
        count++;
    if (count < MIME_MAX_MAILBOXES)
        *list = addrlist_parse(body, MIME_MAX_MAILBOXES - count, arena);
}

static void fill_text(const struct field_row *row, struct str body, struct arena *arena,
                      struct summary_envelope *envelope)
{
    struct str *text = (struct str *)(void *)((char *)envelope + row->offset);

    /* Dovecot's way: what people read is tidied, what machines read stays as it is. */
    *text =
        text == &envelope->subject ? header_unfold_text(body, arena) : header_unfold(body, arena);
}

struct summary_envelope *mime_describe_envelope(struct str fields, struct arena *arena)
{
    struct summary_envelope *e = arena_alloc(arena, sizeof(*e));
    struct header_field field;

    while (header_next(&fields, &field)) {
        const struct field_row *row = find_row(field.name);
        if (row != NULL && row->kind == FIELD_ENVELOPE_LIST)
            append_list(&e->lists[row->offset], field.body, arena);
        if (row != NULL && row->kind == FIELD_ENVELOPE_TEXT)
            fill_text(row, field.body, arena, e);
    }
    /* RFC 3501 section 7.4.2: the server defaults them to From. */
    if (e->lists[SUMMARY_SENDER] == NULL)
        e->lists[SUMMARY_SENDER] = e->lists[SUMMARY_FROM];
    if (e->lists[SUMMARY_REPLY_TO] == NULL)
        e->lists[SUMMARY_REPLY_TO] = e->lists[SUMMARY_FROM];
    return e;
}

bool mime_part_is_multipart(const struct summary_part *part)
{
    return str_eq_nocase(part->type, STR("multipart"));
}

bool mime_part_is_message(const struct summary_part *part)
{
    if (!str_eq_nocase(part->type, STR("message")))
        return false;
    if (str_eq_nocase(part->subtype, STR("rfc822")))
        return true;
    return str_eq_nocase(part->subtype, STR("global")) &&
           !str_eq_nocase(part->encoding, STR("base64")) &&
           !str_eq_nocase(part->encoding, STR("quoted-printable"));
}
