/* The letters of the demonstration: see demo_letter.h. */
#include "cli/demo_letter.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "cli/cli.h"
#include "cli/demo_smtp.h"

enum { TEXT_MAX_BYTES = 64 * 1024 };

/* The Japanese text is ISO-2022-JP, as mail in Japan has been written since the 1980s. The body
 * says: "Dear Hanako, I have given this letter to a courier. From Tokyo to Osaka, he runs without
 * a rest. Taro" */
const struct demo_letter demo_letter_japanese = {
    DEMO_TARO, DEMO_HANAKO, "飛脚のお知らせ",
    "From: =?ISO-2022-JP?B?GyRCQkBPOhsoQg==?= <" DEMO_TARO ">\r\n"
    "To: =?ISO-2022-JP?B?GyRCMlY7UhsoQg==?= <" DEMO_HANAKO ">\r\n"
    "Subject: =?ISO-2022-JP?B?GyRCSHQ1UyROJCpDTiRpJDsbKEI=?=\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=ISO-2022-JP\r\n"
    "Content-Transfer-Encoding: 7bit\r\n"
    "\r\n"
    "\033$B2V;RMM\033(B\r\n"
    "\r\n"
    "\033$B$*<j;f$rHt5S$KBw$7$^$7$?!#\033(B\r\n"
    "\033$BEl5~$+$iBg:e$^$G!\"5Y$^$:$KAv$j$^$9!#\033(B\r\n"
    "\r\n"
    "\033$BB@O:\033(B\r\n"};

const struct demo_letter demo_letter_english = {
    DEMO_HANAKO, DEMO_TARO, "Timetable of the couriers",
    "From: =?ISO-2022-JP?B?GyRCMlY7UhsoQg==?= <" DEMO_HANAKO ">\r\n"
    "To: =?ISO-2022-JP?B?GyRCQkBPOhsoQg==?= <" DEMO_TARO ">\r\n"
    "Subject: Timetable of the couriers\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=\"tokaido\"\r\n"
    "\r\n"
    "--tokaido\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "\r\n"
    "Dear Taro,\r\n"
    "\r\n"
    "your letter has arrived. The timetable for the way back is attached.\r\n"
    "\r\n"
    "Hanako\r\n"
    "--tokaido\r\n"
    "Content-Type: text/csv; name=\"timetable.csv\"\r\n"
    "Content-Disposition: attachment; filename=\"timetable.csv\"\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "\r\n"
    "c3RhdGlvbixkYXkNCk9zYWthLDENCkt5b3RvLDINCkhha29uZSw2DQpUb2t5byw3DQo=\r\n"
    "--tokaido--\r\n"};

const struct demo_letter demo_letter_lost = {DEMO_TARO, DEMO_NOBODY, "Is anybody there?",
                                             "From: =?ISO-2022-JP?B?GyRCQkBPOhsoQg==?= <" DEMO_TARO
                                             ">\r\n"
                                             "To: " DEMO_NOBODY "\r\n"
                                             "Subject: Is anybody there?\r\n"
                                             "\r\n"
                                             "Hello?\r\n"};

static void put_letter(const struct demo_letter *letter, const char *domain, struct buf *out)
{
    char date[CLOCK_TEXT_BYTES];
    int64_t now_ms = clock_real_ms();

    buf_printf(out, "Date: %s\r\nMessage-ID: <demo-%lld@%s>\r\n%s", clock_format_mail(now_ms, date),
               (long long)now_ms, domain, letter->text);
}

static int send_text(struct demo_smtp *s, const struct demo_letter *letter, const char *domain)
{
    CLEANUP(buf_done) struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    put_letter(letter, domain, &text);
    return demo_smtp_text(s, buf_str(&text));
}

/* The dialogue up to the reply to the text: 0 or negative errno; the last code tells how it went.
 */
static int talk(struct demo_smtp *s, const struct demo_server *server,
                const struct demo_letter *letter)
{
    int r = demo_smtp_open(s, server->site->address, server->port);

    if (r == 0 && s->code == 220)
        r = demo_smtp_command(s, "EHLO client.%s", server->site->domain);
    if (r == 0 && s->code == 250)
        r = demo_smtp_command(s, "MAIL FROM:<%s>", letter->from);
    if (r == 0 && s->code == 250)
        r = demo_smtp_command(s, "RCPT TO:<%s>", letter->to);
    if (r == 0 && s->code == 250)
        r = demo_smtp_command(s, "DATA");
    if (r == 0 && s->code == 354)
        r = send_text(s, letter, server->site->domain);
    return r;
}

/* "250 2.0.0 Accepted as 0sa3hmfk80201" */
static bool take_id(struct str reply, uint64_t *out_id)
{
    ptrdiff_t blank = str_rfind(reply, ' ');

    return str_has_prefix(reply, STR("250 ")) &&
           id_parse(str_sub(reply, (size_t)blank + 1, reply.len), out_id) == 0;
}

int demo_letter_send(const struct demo_server *server, const struct demo_letter *letter,
                     uint64_t *out_id)
{
    struct demo_smtp smtp;
    int status = CLI_DONE;

    int r = talk(&smtp, server, letter);
    if (r < 0)
        status =
            cli_fail("the SMTP dialogue with %s broke off: %s", server->site->name, strerror(-r));
    else if (!take_id(buf_str(&smtp.reply), out_id))
        status = cli_fail("%s answered what it should not: %.*s", server->site->name,
                          STR_ARG(buf_str(&smtp.reply)));
    else
        (void)printf("\n  \"%s\" to %s, by SMTP to %s\n  %s\n", letter->subject, letter->to,
                     server->site->hostname, buf_c_str(&smtp.reply));
    if (status == CLI_DONE && demo_smtp_command(&smtp, "QUIT") < 0)
        status = cli_fail("%s did not answer to QUIT", server->site->name);
    demo_smtp_close(&smtp);
    return status;
}
