/*
 * Notices made of strangers' data: the first three bytes are flags, the rest is cut at 0xff into
 * the texts. Whatever they hold, the notice is one message of the right parts, with lines that SMTP
 * carries, and the fields for programs are those that we wrote.
 */
#include "mail/dsn_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FUZZ_RECIPIENTS = 3, FUZZ_FLAGS = 3 };

static void fill_recipient(struct dsn_recipient *r, struct str *rest, unsigned flags)
{
    *r = (struct dsn_recipient){
        .action = (enum dsn_action)(1 + flags % DSN_EXPANDED),
        .is_remote_words = (flags & 8) != 0,
        .last_attempt_ms = flags & 16 ? 1795500000000 : 0,
        .will_retry_until_ms = flags & 32 ? 1795900000000 : 0,
    };
    (void)str_cut(*rest, '\xff', &r->address, rest);
    (void)str_cut(*rest, '\xff', &r->orcpt, rest);
    (void)str_cut(*rest, '\xff', &r->status, rest);
    (void)str_cut(*rest, '\xff', &r->remote_mta, rest);
    (void)str_cut(*rest, '\xff', &r->diagnostic, rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dsn_recipient recipients[FUZZ_RECIPIENTS];

    if (len < FUZZ_FLAGS)
        return 0;
    struct str rest = str_from_mem(bytes + FUZZ_FLAGS, len - FUZZ_FLAGS);
    struct dsn d = {
        .languages = bytes[0] & 3U,
        .is_utf8 = (bytes[0] & 4) != 0,
        .is_for_postmaster = (bytes[0] & 8) != 0,
        .is_original_whole = (bytes[0] & 16) != 0,
        .may_load_charsets = (bytes[0] & 32) != 0,
        .from = STR("MAILER-DAEMON@mx.example.jp"),
        .message_id = STR("0sa3hmfk80201"),
        .arrival_ms = 1795499000000,
        .deliver_by_ms = 1795499060000,
        .now_ms = 1795500100000,
        .recipients = recipients,
        .recipient_count = 1 + bytes[1] % FUZZ_RECIPIENTS,
    };
    for (size_t i = 0; i < d.recipient_count; i++)
        fill_recipient(&recipients[i], &rest, bytes[2] + (unsigned)i * (bytes[1] >> 4));
    (void)str_cut(rest, '\xff', &d.reporting_mta, &rest);
    (void)str_cut(rest, '\xff', &d.to, &rest);
    (void)str_cut(rest, '\xff', &d.notice_id, &rest);
    (void)str_cut(rest, '\xff', &d.envid, &rest);
    d.release_request = d.envid;
    (void)str_cut(rest, '\xff', &d.sender, &d.original);
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, DSN_MAX_BYTES);
    (void)check_print(&d, &out);
    return 0;
}
