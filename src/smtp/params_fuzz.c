/* Parameters of MAIL and RCPT from the wire: what is accepted keeps the promises of params.h. */
#include <stdint.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "smtp/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FUZZ_ARENA_BYTES = 64 * 1024 };

static void check_keyword(enum smtp_params_error error, struct str text, struct str keyword)
{
    if (error == SMTP_PARAMS_OK || keyword.len == 0) {
        ASSERT(keyword.len == 0);
        return;
    }
    ASSERT(keyword.ptr >= text.ptr && keyword.ptr + keyword.len <= text.ptr + text.len);
    for (size_t i = 0; i < keyword.len; i++)
        ASSERT(ascii_is_alnum(keyword.ptr[i]) || keyword.ptr[i] == '-');
}

static void check_times(const struct smtp_mail_params *mail)
{
    ASSERT((mail->hold == SMTP_HOLD_NONE) == (mail->hold_value.ptr == NULL));
    ASSERT(mail->hold != SMTP_HOLD_FOR || (mail->hold_s > 0 && mail->hold_s <= SMTP_SECONDS_MAX));
    ASSERT(mail->hold_until_ms % 1000 == 0);
    ASSERT(mail->by_s >= -SMTP_SECONDS_MAX && mail->by_s <= SMTP_SECONDS_MAX);
    ASSERT(mail->by != SMTP_BY_RETURN || mail->by_s > 0);
    ASSERT(mail->by != SMTP_BY_NONE || (mail->by_s == 0 && !mail->by_has_trace));
    ASSERT(mail->priority >= -9 && mail->priority <= 9 &&
           (mail->has_priority || mail->priority == 0));
}

static void check_mail(struct str text, struct arena *arena)
{
    struct smtp_mail_params mail;
    struct str keyword;
    enum smtp_params_error error =
        smtp_params_parse_mail(text, SMTP_OFFER_ALL, arena, &mail, &keyword);

    check_keyword(error, text, keyword);
    if (error != SMTP_PARAMS_OK)
        return;
    check_times(&mail);
    ASSERT(mail.envid_raw.len <= SMTP_ENVID_MAX_BYTES && mail.envid.len <= mail.envid_raw.len);
    ASSERT((mail.envid_raw.ptr == NULL) == (mail.envid.ptr == NULL));
    ASSERT(mail.envid.ptr != NULL || mail.envid.len == 0);
    for (size_t i = 0; mail.envid.ptr != NULL && i < mail.envid.len; i++)
        ASSERT(mail.envid.ptr[i] >= ' ' && mail.envid.ptr[i] <= '~');
}

static void check_rcpt(struct str text)
{
    struct smtp_rcpt_params rcpt;
    struct str keyword;
    enum smtp_params_error error = smtp_params_parse_rcpt(text, &rcpt, &keyword);

    check_keyword(error, text, keyword);
    if (error != SMTP_PARAMS_OK)
        return;
    ASSERT((rcpt.notify & SMTP_NOTIFY_NEVER) == 0 || rcpt.notify == SMTP_NOTIFY_NEVER);
    ASSERT(rcpt.orcpt_type.len + rcpt.orcpt_addr.len <= SMTP_ORCPT_MAX_BYTES);
    ASSERT(utf8_is_valid(rcpt.orcpt_addr));
    for (size_t i = 0; i < rcpt.orcpt_addr.len; i++)
        ASSERT((unsigned char)rcpt.orcpt_addr.ptr[i] > ' ' && rcpt.orcpt_addr.ptr[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(arena_done) struct arena arena;
    struct str text = str_from_mem(bytes, len);

    arena_init(&arena, FUZZ_ARENA_BYTES);
    check_mail(text, &arena);
    check_rcpt(text);
    return 0;
}
