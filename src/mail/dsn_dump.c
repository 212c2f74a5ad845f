/*
 * Prints a notice to standard output, for the tests that read it with other programs' parsers; not
 * installed: dsn_dump LANGUAGES ACTION ADDRESS DIAGNOSTIC [utf8] <original
 *
 * LANGUAGES is the sum of enum dsn_language, ACTION the number of enum dsn_action.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/dsn.h"

enum { ARGUMENTS = 5, CHUNK_BYTES = 4096 };

static const int64_t now_ms = INT64_C(1795500000000);

static void read_all(FILE *file, struct buf *out)
{
    static char chunk[CHUNK_BYTES];
    size_t len;

    while ((len = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_put(out, chunk, len);
}

int main(int argc, char **argv)
{
    CLEANUP(buf_done) struct buf original, out;
    struct dsn_needs needs;

    buf_init(&original, 2 * DSN_ORIGINAL_MAX_BYTES);
    buf_init(&out, DSN_MAX_BYTES);
    if (argc < ARGUMENTS)
        return 2;
    read_all(stdin, &original);
    struct dsn_recipient recipient = {
        .action = (enum dsn_action)strtol(argv[2], NULL, 10),
        .address = str_from_c(argv[3]),
        .orcpt = STR("rfc822;old+2Baddress@example.org"),
        .status = argv[2][0] == '1'   ? STR("5.1.1")
                  : argv[2][0] == '2' ? STR("4.4.1")
                                      : STR("2.1.5"),
        .remote_mta = STR("mx.example.org"),
        .diagnostic = str_from_c(argv[4]),
        .is_remote_words = true,
        .last_attempt_ms = now_ms,
        .will_retry_until_ms = now_ms + INT64_C(86400000),
    };
    struct dsn d = {
        .languages = (unsigned)strtol(argv[1], NULL, 10),
        .reporting_mta = STR("mx.example.jp"),
        .from = STR("MAILER-DAEMON@mx.example.jp"),
        .to = STR("hanako@example.jp"),
        .message_id = STR("0sa3hmfk80201"),
        .notice_id = STR("0sa3hmfk80202"),
        .envid = STR("QQ314159"),
        .arrival_ms = now_ms,
        .now_ms = now_ms,
        .is_utf8 = argc > ARGUMENTS && strcmp(argv[ARGUMENTS], "utf8") == 0,
        .original = buf_str(&original),
        .is_original_whole = true,
        .recipients = &recipient,
        .recipient_count = 1,
    };
    dsn_print(&d, &out, &needs);
    return fwrite(out.ptr, 1, out.len, stdout) == out.len ? 0 : 1;
}
