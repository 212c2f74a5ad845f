/*
 * Parameters of MAIL and RCPT: see params.h. One table row per parameter; its handler sees the
 * value after the general grammar has been checked and says only whether it is well-formed.
 */
#include "smtp/params.h"

#include <errno.h>

#include "base/cursor.h"
#include "base/utf8.h"
#include "mail/date.h"

enum param_command { PARAM_OF_MAIL, PARAM_OF_RCPT };

enum param_value { PARAM_WITHOUT_VALUE, PARAM_WITH_VALUE };

/* Where the handlers write; the member of the other command is NULL. */
struct param_target {
    struct arena *arena;
    struct smtp_mail_params *mail;
    struct smtp_rcpt_params *rcpt;
    unsigned offers;
};

struct param_def {
    const char *keyword;
    enum param_command command;
    enum param_value value;
    unsigned offer; /* enum smtp_offer bit that it needs; 0: it is everybody's */
    bool (*handle)(struct param_target *target, struct str value);
};

struct param_choice {
    const char *text;
    unsigned meaning;
};

static bool find_choice(struct str value, const struct param_choice *choices, size_t count,
                        unsigned *out_meaning)
{
    for (size_t i = 0; i < count; i++) {
        if (!str_eq_nocase(value, str_from_c(choices[i].text)))
            continue;
        *out_meaning = choices[i].meaning;
        return true;
    }
    return false;
}

/* --- xtext and its UTF-8 sibling --- */

/* "+" and two upper-case hexadecimal digits at the cursor; -1 if they are not there. */
static int take_hexchar(struct cursor *c)
{
    cursor_expect(c, '+');
    struct str digits = cursor_take(c, 2);
    int value = 0;

    for (size_t i = 0; i < digits.len; i++) {
        bool is_lower = digits.ptr[i] >= 'a';
        int digit = is_lower ? -1 : ascii_hex_value(digits.ptr[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return cursor_status(c) < 0 ? -1 : value;
}

bool smtp_xtext_decode(struct str text, struct arena *arena, struct str *out_decoded)
{
    struct cursor c = cursor_from(text);
    char *decoded = arena != NULL ? arena_alloc(arena, text.len + 1) : NULL;
    size_t len = 0;

    while (cursor_left(&c) > 0) {
        bool is_hexchar = cursor_peek(&c) == '+';
        int ch = is_hexchar ? take_hexchar(&c) : cursor_next(&c);
        /* A space must be encoded; a control character must not even be hidden: it would be written
         * into a report's header one day. */
        if (ch < ' ' || ch > '~' || (!is_hexchar && (ch == ' ' || ch == '=')))
            return false;
        if (decoded != NULL)
            decoded[len] = (char)ch;
        len++;
    }
    if (decoded != NULL)
        *out_decoded = str_from_mem(decoded, len);
    return true;
}

bool smtp_has_c1_control(struct str text)
{
    for (size_t i = 1; i < text.len; i++) {
        unsigned char lead = (unsigned char)text.ptr[i - 1], next = (unsigned char)text.ptr[i];
        if (lead == 0xc2 && next < 0xa0)
            return true;
    }
    return false;
}

static bool is_hex_digit(char c)
{
    return ascii_hex_value(c) >= 0;
}

/* EmbeddedUnicodeChar of RFC 6533 section 3: "\x{HEXPOINT}", a character but no control character.
 */
static bool skip_embedded_char(struct cursor *c)
{
    uint32_t point = 0;

    cursor_expect(c, '\\');
    cursor_expect(c, 'x');
    cursor_expect(c, '{');
    struct str digits = cursor_take_while(c, is_hex_digit);
    cursor_expect(c, '}');
    if (cursor_status(c) < 0 || digits.len < 2 || digits.len > 6)
        return false;
    for (size_t i = 0; i < digits.len; i++)
        point = point << 4 | (uint32_t)ascii_hex_value(digits.ptr[i]);
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    return point >= ' ' && (point < 0x7f || point >= 0xa0) && point <= 0x10ffff && !is_surrogate;
}

/* utf-8-addr-xtext and utf-8-addr-unitext of RFC 6533 section 3. */
static bool is_utf8_enc_addr(struct str text)
{
    struct cursor c = cursor_from(text);

    if (smtp_has_c1_control(text))
        return false;
    while (cursor_left(&c) > 0) {
        int ch = cursor_peek(&c);
        if (ch == '\\') {
            if (!skip_embedded_char(&c))
                return false;
            continue;
        }
        if (ch <= ' ' || ch == 0x7f || ch == '+' || ch == '=')
            return false;
        (void)cursor_next(&c);
    }
    return true;
}

/* --- handlers --- */

static bool handle_size(struct param_target *target, struct str value)
{
    enum { MAX_DIGITS = 20 }; /* RFC 1870 section 4 */
    uint64_t bytes = 0;
    int rc = str_to_u64(value, UINT64_MAX, &bytes);

    if (rc == -EINVAL || value.len > MAX_DIGITS)
        return false;
    target->mail->has_size = true;
    target->mail->size_bytes = rc == -ERANGE ? UINT64_MAX : bytes;
    return true;
}

static bool handle_body(struct param_target *target, struct str value)
{
    static const struct param_choice choices[] = {
        {"7BIT", SMTP_BODY_7BIT},
        {"8BITMIME", SMTP_BODY_8BITMIME},
        {"BINARYMIME", SMTP_BODY_BINARYMIME},
    };
    unsigned meaning = SMTP_BODY_NONE;
    bool is_known = find_choice(value, choices, ARRAY_LEN(choices), &meaning);

    target->mail->body = (enum smtp_body)meaning;
    return is_known;
}

static bool handle_smtputf8(struct param_target *target, struct str value UNUSED)
{
    target->mail->is_smtputf8 = true;
    return true;
}

static bool handle_ret(struct param_target *target, struct str value)
{
    static const struct param_choice choices[] = {
        {"FULL", SMTP_RET_FULL},
        {"HDRS", SMTP_RET_HDRS},
    };
    unsigned meaning = SMTP_RET_NONE;
    bool is_known = find_choice(value, choices, ARRAY_LEN(choices), &meaning);

    target->mail->ret = (enum smtp_ret)meaning;
    return is_known;
}

static bool handle_envid(struct param_target *target, struct str value)
{
    struct smtp_mail_params *mail = target->mail;

    if (value.len > SMTP_ENVID_MAX_BYTES)
        return false;
    mail->envid_raw = value;
    return smtp_xtext_decode(value, target->arena, &mail->envid);
}

static bool handle_notify(struct param_target *target, struct str value)
{
    static const struct param_choice choices[] = {
        {"NEVER", SMTP_NOTIFY_NEVER},
        {"SUCCESS", SMTP_NOTIFY_SUCCESS},
        {"FAILURE", SMTP_NOTIFY_FAILURE},
        {"DELAY", SMTP_NOTIFY_DELAY},
    };
    struct str item, rest = value;
    unsigned flags = 0;
    bool has_more = true;

    while (has_more) {
        unsigned meaning = 0;
        has_more = str_cut(rest, ',', &item, &rest);
        if (!find_choice(item, choices, ARRAY_LEN(choices), &meaning))
            return false;
        flags |= meaning;
    }
    target->rcpt->notify = flags;
    /* RFC 3461 section 4.1: NEVER stands alone, be it only "NEVER,NEVER". */
    return (flags & SMTP_NOTIFY_NEVER) == 0 || str_eq_nocase(value, STR("NEVER"));
}

static bool is_atom_char(char c)
{
    return ascii_is_alnum(c) || (c != '\0' && str_find(STR("!#$%&'*+-/?^_`{|}~"), c) >= 0);
}

static bool handle_orcpt(struct param_target *target, struct str value)
{
    struct str type, addr;

    if (value.len > SMTP_ORCPT_MAX_BYTES || !str_cut(value, ';', &type, &addr))
        return false;
    for (size_t i = 0; i < type.len; i++) {
        if (!is_atom_char(type.ptr[i]))
            return false;
    }
    if (type.len == 0 || addr.len == 0)
        return false;
    target->rcpt->orcpt_type = type;
    target->rcpt->orcpt_addr = addr;
    target->rcpt->needs_smtputf8 = utf8_has_non_ascii(addr);
    if (str_eq_nocase(type, STR("utf-8")))
        return is_utf8_enc_addr(addr);
    return smtp_xtext_decode(addr, NULL, NULL);
}

/* future-release-integer of RFC 4865 section 4. */
static bool handle_holdfor(struct param_target *target, struct str value)
{
    struct smtp_mail_params *mail = target->mail;
    uint64_t seconds = 0;

    if (mail->hold != SMTP_HOLD_NONE || value.ptr[0] == '0' ||
        str_to_u64(value, SMTP_SECONDS_MAX, &seconds) < 0)
        return false;
    mail->hold = SMTP_HOLD_FOR;
    mail->hold_value = value;
    mail->hold_s = (int64_t)seconds;
    return true;
}

/* date-time of RFC 3339, as erratum 2040 has it. */
static bool handle_holduntil(struct param_target *target, struct str value)
{
    struct smtp_mail_params *mail = target->mail;
    struct date date;

    if (mail->hold != SMTP_HOLD_NONE || value.len > SMTP_DATE_TIME_MAX_BYTES ||
        date_parse_rfc3339(value, &date) < 0)
        return false;
    mail->hold = SMTP_HOLD_UNTIL;
    mail->hold_value = value;
    mail->hold_until_ms = date.real_ms;
    return true;
}

/* by-value of RFC 2852 section 3: by-time ";" by-mode [by-trace]. */
static bool handle_by(struct param_target *target, struct str value)
{
    static const struct param_choice modes[] = {
        {"N", SMTP_BY_NOTIFY},
        {"R", SMTP_BY_RETURN},
    };
    struct smtp_mail_params *mail = target->mail;
    struct cursor c = cursor_from(value);
    unsigned mode = SMTP_BY_NONE;
    uint64_t seconds = 0;

    bool is_over = cursor_peek(&c) == '-';
    if (is_over || cursor_peek(&c) == '+')
        (void)cursor_next(&c);
    struct str digits = cursor_take_while(&c, ascii_is_digit);
    cursor_expect(&c, ';');
    if (!find_choice(cursor_take(&c, 1), modes, ARRAY_LEN(modes), &mode) ||
        str_to_u64(digits, SMTP_SECONDS_MAX, &seconds) < 0)
        return false;
    mail->by = (enum smtp_by)mode;
    mail->by_s = is_over ? -(int64_t)seconds : (int64_t)seconds;
    mail->by_has_trace = cursor_take_if_nocase(&c, STR("T"));
    return cursor_finish(&c) == 0 && (mode != SMTP_BY_RETURN || mail->by_s > 0);
}

/* priority-value of RFC 6710 section 7. */
static bool handle_mt_priority(struct param_target *target, struct str value)
{
    bool is_negative = value.ptr[0] == '-';
    struct str digit = str_sub(value, is_negative ? 1 : 0, value.len);

    if (digit.len != 1 || !ascii_is_digit(digit.ptr[0]) || (is_negative && digit.ptr[0] == '0'))
        return false;
    int priority = digit.ptr[0] - '0';
    target->mail->has_priority = true;
    target->mail->priority = (int8_t)(is_negative ? -priority : priority);
    return true;
}

static bool handle_requiretls(struct param_target *target, struct str value UNUSED)
{
    target->mail->is_requiretls = true;
    return true;
}

static bool handle_auth(struct param_target *target UNUSED, struct str value)
{
    return value.len <= SMTP_AUTH_PARAM_MAX_BYTES &&
           (str_eq_c(value, "<>") || smtp_xtext_decode(value, NULL, NULL));
}

static const struct param_def param_defs[] = {
    {"SIZE", PARAM_OF_MAIL, PARAM_WITH_VALUE, 0, handle_size},
    {"BODY", PARAM_OF_MAIL, PARAM_WITH_VALUE, 0, handle_body},
    {"SMTPUTF8", PARAM_OF_MAIL, PARAM_WITHOUT_VALUE, 0, handle_smtputf8},
    {"RET", PARAM_OF_MAIL, PARAM_WITH_VALUE, 0, handle_ret},
    {"ENVID", PARAM_OF_MAIL, PARAM_WITH_VALUE, 0, handle_envid},
    {"HOLDFOR", PARAM_OF_MAIL, PARAM_WITH_VALUE, SMTP_OFFER_HOLD, handle_holdfor},
    {"HOLDUNTIL", PARAM_OF_MAIL, PARAM_WITH_VALUE, SMTP_OFFER_HOLD, handle_holduntil},
    {"BY", PARAM_OF_MAIL, PARAM_WITH_VALUE, SMTP_OFFER_BY, handle_by},
    {"MT-PRIORITY", PARAM_OF_MAIL, PARAM_WITH_VALUE, SMTP_OFFER_PRIORITY, handle_mt_priority},
    {"REQUIRETLS", PARAM_OF_MAIL, PARAM_WITHOUT_VALUE, SMTP_OFFER_REQUIRETLS, handle_requiretls},
    {"AUTH", PARAM_OF_MAIL, PARAM_WITH_VALUE, SMTP_OFFER_AUTH, handle_auth},
    {"NOTIFY", PARAM_OF_RCPT, PARAM_WITH_VALUE, 0, handle_notify},
    {"ORCPT", PARAM_OF_RCPT, PARAM_WITH_VALUE, 0, handle_orcpt},
};

static const struct param_def *find_def(enum param_command command, unsigned offers,
                                        struct str keyword)
{
    for (size_t i = 0; i < ARRAY_LEN(param_defs); i++) {
        if (param_defs[i].command == command && (param_defs[i].offer & ~offers) == 0 &&
            str_eq_nocase(keyword, str_from_c(param_defs[i].keyword)))
            return &param_defs[i];
    }
    return NULL;
}

/* --- the general grammar --- */

static bool is_space(char c)
{
    return c == ' ';
}

static bool is_keyword_char(char c)
{
    return ascii_is_alnum(c) || c == '-';
}

static bool is_value_char(char c)
{
    return (unsigned char)c > ' ' && c != '=' && c != 0x7f;
}

/* esmtp-param, its value still unread by a handler. */
struct param_text {
    struct str keyword, value;
    bool has_value;
};

static bool take_param(struct cursor *c, struct param_text *out)
{
    out->keyword = cursor_take_while(c, is_keyword_char);
    if (out->keyword.len == 0 || out->keyword.ptr[0] == '-')
        return false;
    out->has_value = cursor_take_if(c, '=');
    out->value = out->has_value ? cursor_take_while(c, is_value_char) : STR("");
    if (out->has_value && (out->value.len == 0 || !utf8_is_valid(out->value)))
        return false;
    return cursor_left(c) == 0 || cursor_peek(c) == ' ';
}

static enum smtp_params_error apply(const struct param_text *param, enum param_command command,
                                    struct param_target *target, unsigned *seen)
{
    const struct param_def *def = find_def(command, target->offers, param->keyword);

    if (def == NULL)
        return SMTP_PARAMS_UNKNOWN;
    unsigned mark = 1U << (def - param_defs);
    if ((*seen & mark) != 0)
        return SMTP_PARAMS_DUPLICATE;
    *seen |= mark;
    if (param->has_value != (def->value == PARAM_WITH_VALUE) || !def->handle(target, param->value))
        return SMTP_PARAMS_BAD_SYNTAX;
    return SMTP_PARAMS_OK;
}

/* Each parameter stands behind a space; more of them, and some at the end, are forgiven. */
static enum smtp_params_error parse(struct str text, enum param_command command,
                                    struct param_target *target, struct str *out_keyword)
{
    struct cursor c = cursor_from(text);
    unsigned seen = 0;

    *out_keyword = STR("");
    while (cursor_left(&c) > 0) {
        struct param_text param = {.has_value = false};
        struct str spaces = cursor_take_while(&c, is_space);
        if (cursor_left(&c) == 0)
            break;
        enum smtp_params_error error = SMTP_PARAMS_BAD_SYNTAX;
        if (spaces.len > 0 && take_param(&c, &param))
            error = apply(&param, command, target, &seen);
        if (error != SMTP_PARAMS_OK) {
            *out_keyword = param.keyword;
            return error;
        }
    }
    return SMTP_PARAMS_OK;
}

enum smtp_params_error smtp_params_parse_mail(struct str text, unsigned offers, struct arena *arena,
                                              struct smtp_mail_params *out, struct str *out_keyword)
{
    struct param_target target = {.arena = arena, .mail = out, .offers = offers};

    *out = (struct smtp_mail_params){.has_size = false};
    return parse(text, PARAM_OF_MAIL, &target, out_keyword);
}

enum smtp_params_error smtp_params_parse_rcpt(struct str text, struct smtp_rcpt_params *out,
                                              struct str *out_keyword)
{
    struct param_target target = {.rcpt = out};

    *out = (struct smtp_rcpt_params){.notify = 0};
    return parse(text, PARAM_OF_RCPT, &target, out_keyword);
}
