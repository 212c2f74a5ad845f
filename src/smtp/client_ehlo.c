/* What a server offers in its reply to EHLO: see client_ehlo.h. */
#include "smtp/client_ehlo.h"

#include "base/cursor.h"
#include "sasl/mechanism.h"
#include "smtp/client.h"

static void note_size(struct smtp_ehlo *e, struct str params)
{
    struct cursor in = cursor_from(params);
    uint64_t size;

    /* RFC 1870 section 4: no value, or zero, is no fixed limit. */
    if (str_to_u64(cursor_take_while(&in, ascii_is_digit), UINT64_MAX, &size) == 0)
        e->max_size = size;
}

static void note_min_by(struct smtp_ehlo *e, struct str params)
{
    struct cursor in = cursor_from(params);
    uint64_t seconds;

    if (str_to_u64(cursor_take_while(&in, ascii_is_digit), UINT32_MAX, &seconds) == 0)
        e->min_by_s = (uint32_t)seconds;
}

static void note_limit(struct smtp_ehlo *e, struct str limit)
{
    struct str name, value;
    uint64_t count;

    if (!str_cut(limit, '=', &name, &value) || str_to_u64(value, UINT32_MAX, &count) < 0)
        return;
    if (str_eq_nocase(name, STR("RCPTMAX")))
        e->max_recipients = (uint32_t)count;
    if (str_eq_nocase(name, STR("MAILMAX")))
        e->max_messages = (uint32_t)count;
}

static void note_limits(struct smtp_ehlo *e, struct str params)
{
    struct str limit;

    while (params.len > 0) {
        (void)str_cut(params, ' ', &limit, &params);
        note_limit(e, limit);
    }
}

static void note_auth(struct smtp_ehlo *e, struct str params)
{
    e->auth_mechanisms |= sasl_mechanisms_read(params);
}

static const struct {
    struct str keyword;
    unsigned extension;
    void (*note)(struct smtp_ehlo *e, struct str params);
} KEYWORDS[] = {
    {{"PIPELINING", 10}, SMTP_EXT_PIPELINING, NULL},
    {{"SIZE", 4}, SMTP_EXT_SIZE, note_size},
    {{"8BITMIME", 8}, SMTP_EXT_8BITMIME, NULL},
    {{"SMTPUTF8", 8}, SMTP_EXT_SMTPUTF8, NULL},
    {{"DSN", 3}, SMTP_EXT_DSN, NULL},
    {{"CHUNKING", 8}, SMTP_EXT_CHUNKING, NULL},
    {{"ENHANCEDSTATUSCODES", 19}, SMTP_EXT_ENHANCED, NULL},
    {{"STARTTLS", 8}, SMTP_EXT_STARTTLS, NULL},
    {{"AUTH", 4}, SMTP_EXT_AUTH, note_auth},
    {{"BINARYMIME", 10}, SMTP_EXT_BINARYMIME, NULL},
    {{"DELIVERBY", 9}, SMTP_EXT_DELIVERBY, note_min_by},
    {{"MT-PRIORITY", 11}, SMTP_EXT_MT_PRIORITY, NULL},
    {{"REQUIRETLS", 10}, SMTP_EXT_REQUIRETLS, NULL},
    {{"LIMITS", 6}, 0, note_limits},
};

static bool is_keyword_char(char c)
{
    return ascii_is_alnum(c) || c == '-';
}

void smtp_ehlo_take_line(struct smtp_ehlo *e, struct str words)
{
    struct cursor in = cursor_from(str_trim(words));
    struct str keyword = cursor_take_while(&in, is_keyword_char);
    int next = cursor_peek(&in);

    /* Some old servers write "AUTH=PLAIN". */
    if (next != -1 && next != ' ' && next != '\t' && next != '=')
        return;
    for (size_t i = 0; i < ARRAY_LEN(KEYWORDS); i++) {
        if (!str_eq_nocase(keyword, KEYWORDS[i].keyword))
            continue;
        e->extensions |= KEYWORDS[i].extension;
        if (KEYWORDS[i].note != NULL)
            KEYWORDS[i].note(e, str_trim(str_sub(cursor_rest(&in), 1, in.end - in.pos)));
        return;
    }
}
