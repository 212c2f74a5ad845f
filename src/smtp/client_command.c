/* MAIL, RCPT and BDAT as they are written: see client_command.h. */
#include "smtp/client_command.h"

#include "base/utf8.h"
#include "smtp/params.h"

enum { DECIMAL_DIGITS_MAX = 20 };

static bool is_control(char c)
{
    return (c >= 0 && c < ' ') || c == 0x7f;
}

bool smtp_command_is_safe(struct str address)
{
    bool is_quoted = false, is_escaped = false;

    if (address.len > SMTP_CLIENT_ADDRESS_MAX_BYTES)
        return false;
    for (size_t i = 0; i < address.len; i++) {
        char c = address.ptr[i];
        if (is_control(c) || (!is_quoted && (c == ' ' || c == '<' || c == '>')))
            return false;
        if (c == '"' && !is_escaped)
            is_quoted = !is_quoted;
        is_escaped = c == '\\' && is_quoted && !is_escaped;
    }
    return !is_quoted;
}

static void put_decimal(struct buf *out, uint64_t value)
{
    char digits[DECIMAL_DIGITS_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_put(out, &digits[at], sizeof(digits) - at);
}

/* Whether a value in xtext may be passed on; characters beyond ASCII only where both ends speak
 * SMTPUTF8 (RFC 6533 section 3). */
static bool is_param_safe(struct str value, size_t max_bytes, bool may_be_utf8)
{
    if (value.len == 0 || value.len > max_bytes || (utf8_has_non_ascii(value) && !may_be_utf8))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (is_control(value.ptr[i]) || value.ptr[i] == ' ')
            return false;
    }
    return true;
}

static void put_signed(struct buf *out, int64_t value)
{
    if (value < 0)
        buf_put_char(out, '-');
    put_decimal(out, (uint64_t)(value < 0 ? -value : value));
}

/* Urgency: RFC 2852, 6710; and RFC 8689. */
static void put_wishes(const struct smtp_client_message *m, unsigned extensions, struct buf *out)
{
    if ((extensions & SMTP_EXT_DELIVERBY) && m->by != SMTP_BY_NONE) {
        buf_put_str(out, STR(" BY="));
        put_signed(out, m->by_s);
        buf_put_str(out, m->by == SMTP_BY_RETURN ? STR(";R") : STR(";N"));
        if (m->by_has_trace)
            buf_put_char(out, 'T');
    }
    if ((extensions & SMTP_EXT_MT_PRIORITY) && m->has_priority) {
        buf_put_str(out, STR(" MT-PRIORITY="));
        put_signed(out, m->priority);
    }
    if ((extensions & SMTP_EXT_REQUIRETLS) && m->is_requiretls)
        buf_put_str(out, STR(" REQUIRETLS"));
}

void smtp_command_put_mail(const struct smtp_client_message *m, unsigned extensions,
                           struct buf *out)
{
    buf_put_str(out, STR("MAIL FROM:<"));
    buf_put_str(out, m->sender);
    buf_put_char(out, '>');
    if ((extensions & SMTP_EXT_SIZE) && m->size > 0) {
        buf_put_str(out, STR(" SIZE="));
        put_decimal(out, m->size);
    }
    if ((extensions & SMTP_EXT_8BITMIME) && m->has_8bit)
        buf_put_str(out, STR(" BODY=8BITMIME"));
    if ((extensions & SMTP_EXT_SMTPUTF8) && m->is_utf8)
        buf_put_str(out, STR(" SMTPUTF8"));
    if (extensions & SMTP_EXT_DSN) {
        if (m->ret == SMTP_RET_FULL)
            buf_put_str(out, STR(" RET=FULL"));
        if (m->ret == SMTP_RET_HDRS)
            buf_put_str(out, STR(" RET=HDRS"));
        if (is_param_safe(m->envid, SMTP_ENVID_MAX_BYTES, false)) {
            buf_put_str(out, STR(" ENVID="));
            buf_put_str(out, m->envid);
        }
    }
    put_wishes(m, extensions, out);
    buf_put_str(out, STR("\r\n"));
}

static void put_notify(unsigned notify, struct buf *out)
{
    static const struct {
        unsigned bit;
        struct str name;
    } names[] = {
        {SMTP_NOTIFY_SUCCESS, {"SUCCESS", 7}},
        {SMTP_NOTIFY_FAILURE, {"FAILURE", 7}},
        {SMTP_NOTIFY_DELAY, {"DELAY", 5}},
    };
    char separator = '=';

    buf_put_str(out, STR(" NOTIFY"));
    /* RFC 3461 section 4.1: NEVER stands alone. */
    if (notify & SMTP_NOTIFY_NEVER) {
        buf_put_str(out, STR("=NEVER"));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!(notify & names[i].bit))
            continue;
        buf_put_char(out, separator);
        buf_put_str(out, names[i].name);
        separator = ',';
    }
}

void smtp_command_put_rcpt(const struct smtp_client_recipient *r, unsigned extensions,
                           struct buf *out)
{
    const unsigned known =
        SMTP_NOTIFY_NEVER | SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY;

    buf_put_str(out, STR("RCPT TO:<"));
    buf_put_str(out, r->address);
    buf_put_char(out, '>');
    if (extensions & SMTP_EXT_DSN) {
        if (r->notify & known)
            put_notify(r->notify, out);
        if (is_param_safe(r->orcpt, SMTP_ORCPT_MAX_BYTES, extensions & SMTP_EXT_SMTPUTF8)) {
            buf_put_str(out, STR(" ORCPT="));
            buf_put_str(out, r->orcpt);
        }
    }
    buf_put_str(out, STR("\r\n"));
}

void smtp_command_put_bdat(uint64_t bytes, struct buf *out)
{
    buf_put_str(out, STR("BDAT "));
    put_decimal(out, bytes);
    buf_put_str(out, STR(" LAST\r\n"));
}
