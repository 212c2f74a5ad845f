/*
 * Commands from stored rows: the input is an address, an ORCPT and an ENVID, separated by NUL; the
 * first byte gives the extensions and more. Whatever they hold, what is written is one line, and
 * its parameters are those the server's own parser finds.
 */
#include <stdint.h>
#include <string.h>

#include "smtp/client_command.h"
#include "smtp/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { LINE_MAX_BYTES = 4096, ARENA_BYTES = 16 * 1024 };

/* The parameters of a line that starts with `head` and the address. */
static struct str params_of(const struct buf *line, const char *head, struct str address)
{
    size_t start = strlen(head) + address.len + 1;
    struct str s = buf_str(line);

    ASSERT(buf_status(line) == 0 && s.len >= start + 2);
    ASSERT(str_has_prefix(s, str_from_c(head)) && s.ptr[start - 1] == '>');
    ASSERT(str_find(s, '\n') == (ptrdiff_t)s.len - 1 && str_find(s, '\r') == (ptrdiff_t)s.len - 2);
    return str_sub(s, start, s.len - 2 - start);
}

static void check_mail(const struct smtp_client_message *m, unsigned extensions)
{
    CLEANUP(buf_done) struct buf line;
    CLEANUP(arena_done) struct arena arena;
    struct smtp_mail_params params;
    struct str keyword;

    buf_init(&line, LINE_MAX_BYTES);
    arena_init(&arena, ARENA_BYTES);
    smtp_command_put_mail(m, extensions, &line);
    struct str text = params_of(&line, "MAIL FROM:<", m->sender);
    enum smtp_params_error error =
        smtp_params_parse_mail(text, SMTP_OFFER_ALL, &arena, &params, &keyword);
    /* An ENVID that is no xtext is passed on for the server to judge. */
    if (error != SMTP_PARAMS_OK) {
        ASSERT(str_eq_nocase(keyword, STR("ENVID")));
        return;
    }
    ASSERT(params.is_smtputf8 == ((extensions & SMTP_EXT_SMTPUTF8) && m->is_utf8));
    ASSERT(!(extensions & SMTP_EXT_DELIVERBY) ||
           (params.by == (enum smtp_by)m->by && params.by_s == m->by_s));
    ASSERT(params.priority == (extensions & SMTP_EXT_MT_PRIORITY ? m->priority : 0));
    ASSERT(params.is_requiretls == ((extensions & SMTP_EXT_REQUIRETLS) != 0));
    ASSERT(params.has_size == ((extensions & SMTP_EXT_SIZE) && m->size > 0));
}

static void check_rcpt(const struct smtp_client_recipient *r, unsigned extensions)
{
    CLEANUP(buf_done) struct buf line;
    struct smtp_rcpt_params params;
    struct str keyword;

    buf_init(&line, LINE_MAX_BYTES);
    smtp_command_put_rcpt(r, extensions, &line);
    struct str text = params_of(&line, "RCPT TO:<", r->address);
    if (smtp_params_parse_rcpt(text, &params, &keyword) != SMTP_PARAMS_OK)
        ASSERT(str_eq_nocase(keyword, STR("ORCPT")));
    else if (extensions & SMTP_EXT_DSN)
        ASSERT(params.notify ==
               (r->notify & SMTP_NOTIFY_NEVER ? (unsigned)SMTP_NOTIFY_NEVER : r->notify));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct smtp_client_message m = {.size = len,
                                    .has_8bit = true,
                                    .is_utf8 = true,
                                    .has_priority = true,
                                    .is_requiretls = true};
    struct smtp_client_recipient r = {.notify = 0};
    struct str rest;

    if (len < 2)
        return 0;
    unsigned extensions = bytes[0] * 31U;
    m.by = bytes[1] >> 4U & 1U ? SMTP_BY_RETURN : SMTP_BY_NOTIFY;
    m.by_s = m.by == SMTP_BY_RETURN ? bytes[1] + 1 : bytes[1] - 128;
    m.priority = (int8_t)(bytes[0] % 19 - 9);
    r.notify = bytes[1] & 15U;
    (void)str_cut(str_from_mem(bytes + 2, len - 2), '\0', &r.address, &rest);
    (void)str_cut(rest, '\0', &r.orcpt, &m.envid);
    m.sender = r.address;
    m.ret = bytes[1] >> 6U;
    if (!smtp_command_is_safe(r.address))
        return 0;
    check_mail(&m, extensions);
    check_rcpt(&r, extensions);
    return 0;
}
