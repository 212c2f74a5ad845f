/* HELO and EHLO (RFC 5321 section 4.1.1.1), with the list of extensions. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "mail/address.h"
#include "smtp/commands.h"
#include "smtp/schedule.h"

enum { EHLO_MAX_BYTES = 4096 };

/* Other characters than these are let pass: many clients do not know their name. */
static bool is_host_name(struct str name)
{
    if (name.len > ADDRESS_DOMAIN_MAX_BYTES || !utf8_is_valid(name) || smtp_has_c1_control(name))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c <= ' ' || c == 0x7f)
            return false;
    }
    return true;
}

static struct reply begin_session(struct smtp_session *s, struct str name, bool is_extended)
{
    if (name.len == 0)
        return reply_of(501, "5.5.4", "Say who you are: EHLO your.host.name");
    if (!is_host_name(name))
        return reply_of(501, "5.5.4", "That is not a host name");
    smtp_transaction_reset(s);
    free(s->helo);
    s->helo = str_dup(name);
    s->has_hello = true;
    s->is_extended = is_extended;
    return reply_of(0, "", "");
}

struct reply smtp_cmd_helo(struct smtp_session *s, struct str args)
{
    struct reply refusal = begin_session(s, args, false);

    if (refusal.code != 0)
        return refusal;
    return reply_of(250, "", s->policy->settings->server_hostname);
}

/* Who has logged in needs no more of it (RFC 4954 section 4). */
static void put_auth(const struct smtp_session *s, struct buf *out)
{
    size_t before = out->len;

    if (s->login.account != 0)
        return;
    buf_put_c(out, "AUTH ");
    size_t begin = out->len;
    smtp_auth_put_mechanisms(s, out);
    if (out->len == begin)
        buf_cut(out, before);
    else
        buf_put_c(out, "\n");
}

/* BINARYMIME is not offered: a text without lines could be neither read by IMAP clients nor passed
 * on to most servers unchanged. LIMITS is RFC 9422. */
static void put_extensions(const struct smtp_session *s, struct buf *out)
{
    const struct settings *settings = s->policy->settings;

    buf_printf(out, "\nPIPELINING\nSIZE %llu\n8BITMIME\nSMTPUTF8\nCHUNKING\nDSN\n",
               (unsigned long long)settings->smtp_max_message_size);
    if (s->tls != NULL && !s->is_secure)
        buf_put_c(out, "STARTTLS\n");
    put_auth(s, out);
    buf_printf(out, "ENHANCEDSTATUSCODES\nLIMITS RCPTMAX=%d MAILMAX=%d",
               (int)smtp_max_recipients(s), settings->smtp_max_transactions);
    smtp_put_offers(settings, smtp_offers(settings, s->is_submission, s->is_secure),
                    clock_real_ms(), out);
    buf_put_c(out, "\nHELP");
}

struct reply smtp_cmd_ehlo(struct smtp_session *s, struct str args)
{
    struct reply refusal = begin_session(s, args, true);
    CLEANUP(buf_done) struct buf text;

    buf_init(&text, EHLO_MAX_BYTES);
    if (refusal.code != 0)
        return refusal;
    buf_printf(&text, "%s greets you", s->policy->settings->server_hostname);
    put_extensions(s, &text);
    return reply_of(250, "", arena_str(&s->command_arena, buf_str(&text)).ptr);
}
