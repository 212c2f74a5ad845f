/*
 * Unit tests of single messages of the client session: many recipients and slow peers, texts in
 * pieces, early words, sizes and parameters, failing sources, kept connections.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "smtp/client_peer.h"
#include "smtp/params.h"

#define ALL_OK   "> 250 ok\n> 250 ok\n> 250 ok\n"
#define ENVELOPE MAIL_LINE RCPT_A RCPT_B

static void many_recipients_and_a_peer_that_waits_for_its_reader(void **state)
{
    static const struct scenario table[] = {
        {.name = "all are accepted",
         .script = PIPE "small\n<> MAIL FROM:<s@example.jp> => 250 ok\n"
                        "times 1000\n<> RCPT TO:<r#@example.net> => 250 2.1.5 recipient # is fine\n"
                        "< DATA\n> 354 go\n<.\n> 250 taken\n" QUIT_OK,
         .expected = "1000 times 250 at end of data: taken\n",
         .recipients = 1000,
         .before_end = 1},
        {.name = "half are too many",
         .script = PIPE "small\n<> MAIL FROM:<s@example.jp> => 250 ok\n"
                        "times 500\n<> RCPT TO:<r#@example.net> => 250 ok\n"
                        "times 500 501\n<> RCPT TO:<r#@example.net> => 452 4.5.3 too many\n"
                        "< DATA\n> 354 go\n<.\n> 250 taken\n" QUIT_OK,
         .expected = "500 times 250 at end of data: taken\n"
                     "500 times 452 4.5.3 at RCPT: too many\n",
         .recipients = 1000,
         .before_end = 1},
        {.name = "in chunks",
         .script = CHUNK "small\n<> MAIL FROM:<s@example.jp> => 250 ok\n"
                         "times 1000\n<> RCPT TO:<r#@example.net> => 250 ok\n"
                         "<B\n> 250 taken\n" QUIT_OK,
         .expected = "1000 times 250 at end of data: taken\n",
         .recipients = 1000,
         .before_end = 1,
         .text = TEXT_DEFAULT},
        {.name = "none is accepted",
         .script = PIPE "small\n<> MAIL FROM:<s@example.jp> => 250 ok\n"
                        "times 1000\n<> RCPT TO:<r#@example.net> => 550 5.7.1 no\n"
                        "< DATA\n> 554 none\n" RSET_OK QUIT_OK,
         .expected = "1000 times 550 5.7.1 at RCPT: no\n",
         .recipients = 1000},
        {.name = "a refused sender ends the flight",
         .script = PIPE "<> MAIL FROM:<s@example.jp> => 550 5.7.1 spam\n"
                        "times 99\n<> RCPT TO:<r#@example.net> => 503 no\n" QUIT_OK,
         .expected = "1000 times 550 5.7.1 at MAIL: spam\n",
         .recipients = 1000},
        {.name = "421 in the middle",
         .script = PIPE "<> MAIL FROM:<s@example.jp> => 250 ok\n"
                        "times 200\n<> RCPT TO:<r#@example.net> => 250 ok\n"
                        "<> RCPT TO:<r201@example.net> => 550 5.1.1 no\n"
                        "<> RCPT TO:<r202@example.net> => 421 4.7.0 enough\nquiet\n",
         .expected = "200 times 421 4.7.0 at RCPT: enough\n550 5.1.1 at RCPT: no\n"
                     "799 times 421 4.7.0 at RCPT: enough\n",
         .recipients = 1000,
         .is_unusable = true},
        {.name = "one at a time",
         .script = PLAIN "<> MAIL FROM:<s@example.jp> => 250 ok\n"
                         "times 150\n<> RCPT TO:<r#@example.net> => 250 ok\n"
                         "<> DATA => 354 go\n<.\n> 250 taken\n" QUIT_OK,
         .expected = "150 times 250 at end of data: taken\n",
         .recipients = 150,
         .before_end = 1},
    };

    (void)state;
    RUN_TABLE(table);
}

/* Long commands: the flight is bounded in bytes too, whatever their number. */
static void long_main(void *arg)
{
    struct arena arena;
    struct buf printed, text;
    static struct smtp_client_recipient recipients[60];
    const int *fd = arg;

    arena_init(&arena, 1024 * 1024);
    buf_init(&printed, LINE_MAX_BYTES);
    buf_init(&text, LINE_MAX_BYTES);
    struct smtp_client_message m = scenario_message(2, &arena);
    for (size_t i = 0; i < 900; i++)
        buf_put_char(&text, 'x');
    buf_put_c(&text, "@y");
    for (size_t i = 0; i < ARRAY_LEN(recipients); i++)
        recipients[i].address = buf_str(&text);
    m.recipients = recipients;
    m.recipient_count = ARRAY_LEN(recipients);
    assert_true(scenario_open(*fd, &printed));
    assert_false(scenario_send(&m, &printed));
    assert_string_equal(buf_c_str(&printed), "60 times 550 at MAIL: no\n");
    /* 16 KiB hold 17 of them beside MAIL. */
    assert_int_equal(peer.text.len, 17 * 914);
    scenario_close();
    buf_done(&printed);
    buf_done(&text);
    arena_done(&arena);
    loop_stop();
}

static void a_flight_is_bounded_in_bytes(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    scenario_run_fiber(long_main, PIPE MAIL_LINE "<~15538\n> 550 no\n"
                                                 "times 17\n> 503 no\n" QUIT_OK);
}

static void run_pieces(const struct scenario *s, const char *const *pieces, size_t count,
                       bool tells_last)
{
    struct scenario named = *s;

    named.pieces = pieces;
    named.piece_count = count;
    named.tells_last = tells_last;
    scenario_run(&named);
}

static void texts_in_pieces_are_repaired(void **state)
{
    static const char *const dots[] = {"a\r", "\n.", "\r\n.", "b\n", ".", "\n.\r", "c"};
    static const char *const whole[] = {".a\n.\r.b"};
    static const struct scenario plain = {.name = "dots at borders, plain",
                                          .script = PLAIN MAIL_LINE
                                          "> 250 ok\n" RCPT_A "> 250 ok\n" RCPT_B "> 250 ok\n"
                                          "< DATA\n> 354 go\n<.\n> 250 taken\n" QUIT_OK,
                                          .expected = "2 times 250 at end of data: taken\n",
                                          .text = "a\r\n..\r\n..b\r\n..\r\n..\r\nc\r\n.\r\n",
                                          .before_end = 1};
    static const struct scenario many = {.name = "more than one piece goes as DATA",
                                         .script = CHUNK ENVELOPE
                                         "< DATA\n" ALL_OK "> 354 go\n<.\n> 250 taken\n" QUIT_OK,
                                         .expected = "2 times 250 at end of data: taken\n",
                                         .text = "a\r\n..\r\n..b\r\n..\r\n..\r\nc\r\n.\r\n",
                                         .before_end = 1};
    static const struct scenario one = {.name = "one piece goes as BDAT, without stuffing",
                                        .script = CHUNK ENVELOPE "< BDAT 11 LAST\n<~11\n" ALL_OK
                                                                 "> 250 taken\n" QUIT_OK,
                                        .expected = "2 times 250 at end of data: taken\n",
                                        .text = ".a\r\n.\r\n.b\r\n",
                                        .before_end = 1};
    static const struct scenario empty = {.name = "no text as BDAT",
                                          .script = CHUNK ENVELOPE "< BDAT 0 LAST\n" ALL_OK
                                                                   "> 250 taken\n" QUIT_OK,
                                          .expected = "2 times 250 at end of data: taken\n",
                                          .before_end = 1};
    static const struct scenario empty_plain = {
        .name = "no text as DATA",
        .script = PIPE ENVELOPE "< DATA\n" ALL_OK "> 354 go\n<.\n> 250 taken\n" QUIT_OK,
        .expected = "2 times 250 at end of data: taken\n",
        .text = ".\r\n",
        .before_end = 1};

    (void)state;
    for (int tells_last = 0; tells_last < 2; tells_last++) {
        run_pieces(&plain, dots, ARRAY_LEN(dots), tells_last);
        run_pieces(&many, dots, ARRAY_LEN(dots), tells_last);
        run_pieces(&one, whole, ARRAY_LEN(whole), tells_last);
        run_pieces(&empty, whole, 0, tells_last);
        run_pieces(&empty_plain, whole, 0, tells_last);
    }
}

enum { BIG_PIECE_BYTES = SMTP_CLIENT_PIECE_MAX_BYTES, BIG_PIECES = 24 };

static char *make_big(void)
{
    char *big = xmalloc(BIG_PIECE_BYTES + 1);

    for (size_t i = 0; i < BIG_PIECE_BYTES; i++)
        big[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
    big[BIG_PIECE_BYTES] = '\0';
    return big;
}

#define DATA_BEGUN PIPE ENVELOPE "< DATA\n" ALL_OK "> 354 go\n"

static void big_texts_and_early_words(void **state)
{
    static const struct scenario table[] = {
        {.name = "3 MiB",
         .script = DATA_BEGUN "<.\n> 250 taken\n" QUIT_OK,
         .expected = "2 times 250 at end of data: taken\n",
         .before_end = 1},
        {.name = "552 in the text, which the peer goes on to read",
         .script = DATA_BEGUN "<~20000\n> 552 5.3.4 too big\nquiet\n",
         .expected = "2 times 552 5.3.4 at end of data: too big\n",
         .is_unusable = true},
        {.name = "552 in the text, then the peer is stuck",
         .script = DATA_BEGUN "<~20000\n> 552 5.3.4 too big\nstuck\n",
         .expected = "2 times 552 5.3.4 at end of data: too big\n",
         .is_unusable = true,
         .is_short = true},
        {.name = "552 in the text, then the peer is gone",
         .script = DATA_BEGUN "<~20000\n> 552 5.3.4 too big\ndrop\n",
         .expected = "2 times 552 5.3.4 at end of data: too big\n",
         .is_unusable = true},
        {.name = "552 before the text",
         .script = DATA_BEGUN "> 552 5.3.4 too big\nquiet\n",
         .expected = "2 times 552 5.3.4 at end of data: too big\n",
         .is_unusable = true},
        {.name = "421 in the text",
         .script = DATA_BEGUN "<~20000\n> 421 4.3.2 down\ndrop\n",
         .expected = "2 times 421 4.3.2 at end of data: down\n",
         .is_unusable = true},
        {.name = "250 in the text",
         .script = DATA_BEGUN "<~20000\n> 250 fine\nquiet\n",
         .expected = "2 times EPROTO at end of data\n",
         .is_unusable = true},
        {.name = "half a word in the text",
         .script = DATA_BEGUN "<~20000\n>- 552 too\ndrop\n",
         .expected = "2 times ECONNRESET at end of data\n",
         .is_unusable = true},
        {.name = "closed in the text",
         .script = DATA_BEGUN "<~20000\ndrop\n",
         .expected = "2 times ECONNRESET at end of data\n",
         .is_unusable = true},
        {.name = "stuck in the text",
         .script = DATA_BEGUN "<~20000\nstuck\n",
         .expected = "2 times ETIMEDOUT at end of data\n",
         .is_unusable = true,
         .is_short = true},
    };
    const char *pieces[BIG_PIECES];
    char *big = make_big();

    (void)state;
    for (size_t i = 0; i < BIG_PIECES; i++)
        pieces[i] = big;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        run_pieces(&table[i], pieces, BIG_PIECES, i % 2);
    free(big);
}

static void words_behind_the_end_that_cannot_be_sent(void **state)
{
    static const struct scenario data = {.name = "552 while the end of the text does not go out",
                                         .script =
                                             DATA_BEGUN "<~1000\n> 552 5.3.4 too big\nstuck\n",
                                         .expected = "2 times 552 5.3.4 at end of data: too big\n",
                                         .is_unusable = true,
                                         .is_short = true,
                                         .is_narrow = true,
                                         .before_end = 1};
    static const struct scenario yes = {.name = "250 while the end of the text does not go out",
                                        .script = DATA_BEGUN "<~1000\n> 250 fine\nstuck\n",
                                        .expected = "2 times EPROTO at end of data\n",
                                        .is_unusable = true,
                                        .is_short = true,
                                        .is_narrow = true,
                                        .before_end = 1};
    static const struct scenario silent = {.name =
                                               "silence while the end of the text does not go out",
                                           .script = DATA_BEGUN "<~1000\nstuck\n",
                                           .expected = "2 times ETIMEDOUT at end of data\n",
                                           .is_unusable = true,
                                           .is_short = true,
                                           .is_narrow = true,
                                           .before_end = 1};
    /* Less than what is flushed at once, more than two of the smallest buffers. */
    static char text[15000];
    const char *pieces[] = {text};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    run_pieces(&data, pieces, 1, true);
    run_pieces(&yes, pieces, 1, true);
    run_pieces(&silent, pieces, 1, true);
}

static void a_big_chunk_waits_for_the_envelope(void **state)
{
    static const struct scenario taken = {.name = "taken",
                                          .script =
                                              CHUNK ENVELOPE ALL_OK "<B\n> 250 taken\n" QUIT_OK,
                                          .expected = "2 times 250 at end of data: taken\n",
                                          .before_end = 1};
    static const struct scenario refused = {.name = "nobody is there",
                                            .script = CHUNK ENVELOPE
                                            "> 250 ok\n> 550 no\n> 550 no\n" RSET_OK QUIT_OK,
                                            .expected = "2 times 550 at RCPT: no\n"};
    char *big = make_big();
    const char *pieces[] = {big};

    (void)state;
    run_pieces(&taken, pieces, 1, true);
    run_pieces(&taken, pieces, 1, false);
    run_pieces(&refused, pieces, 1, true);
    free(big);
}

static void replies_have_bounds(void **state)
{
    static const struct scenario table[] = {
        {.name = "a dripping peer",
         .script =
             PIPE ENVELOPE "< DATA\n>~ 250-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
         .expected = "2 times ETIMEDOUT at MAIL\n",
         .is_unusable = true,
         .is_short = true},
        {.name = "a long line",
         .script = PIPE ENVELOPE "< DATA\n>- 250 \ntimes 5000\n>- #\n>- x\n",
         .expected = "2 times EMSGSIZE at MAIL\n",
         .is_unusable = true},
        {.name = "lines without end",
         .script = PIPE ENVELOPE "< DATA\ntimes 300\n> 250-#\n",
         .expected = "2 times EMSGSIZE at MAIL\n",
         .is_unusable = true},
        {.name = "as many lines as may be",
         .script = PIPE ENVELOPE "< DATA\ntimes 199\n> 550-\n> 550 no\ntimes 3\n> 503 x\n" QUIT_OK,
         .expected = "2 times 550 at MAIL: no\n"},
    };

    (void)state;
    RUN_TABLE(table);
}

#define ALL_OFFERS                                                                                 \
    "> 220 mx.example.net ready\n< EHLO me.example.jp\n> 250-mx.example.net\n> 250-SIZE 1000\n"    \
    "> 250-8BITMIME\n> 250-SMTPUTF8\n> 250-DSN\n> 250-ENHANCEDSTATUSCODES\n> 250-CHUNKING\n"       \
    "> 250-LIMITS MAILMAX=20 RCPTMAX=50\n> 250-STARTTLS\n> 250 pipelining\n"

static void offers_main(void *arg)
{
    struct arena arena;
    struct buf printed;
    const int *fd = arg;

    arena_init(&arena, 1024 * 1024);
    buf_init(&printed, LINE_MAX_BYTES);
    struct smtp_client_message m = scenario_message(0, &arena);
    struct smtp_client_recipient recipients[] = {
        {.address = STR("a@example.net"), .notify = SMTP_NOTIFY_FAILURE},
        {.address = STR("b@example.net"), .orcpt = STR("rfc822;b@x")}};
    m.recipients = recipients;
    m.size = 1000;
    m.has_8bit = true;
    m.is_utf8 = true;
    m.ret = SMTP_RET_FULL;
    m.envid = STR("id1");
    assert_true(scenario_open(*fd, &printed));
    assert_true(client.is_esmtp);
    assert_int_equal(client.max_size, 1000);
    assert_int_equal(client.max_recipients, 50);
    assert_int_equal(client.max_messages, 20);
    assert_true(client.extensions & SMTP_EXT_STARTTLS);
    assert_string_equal(client.peer_name, "mx.example.net");
    assert_false(scenario_send(&m, &printed));
    m.size = 1001;
    assert_false(scenario_send(&m, &printed));
    assert_true(smtp_client_is_alive(&client));
    assert_int_equal(client.messages, 1);
    assert_string_equal(buf_c_str(&printed),
                        "2 times 250 at end of data: taken\n"
                        "2 times 552 5.3.4 at MAIL (local): message size 1001 exceeds the server's "
                        "limit of 1000\n");
    scenario_close();
    buf_done(&printed);
    arena_done(&arena);
    loop_stop();
}

static void what_is_offered_is_used(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    scenario_run_fiber(
        offers_main, ALL_OFFERS
        "< MAIL FROM:<s@example.jp> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=id1\n"
        "< RCPT TO:<a@example.net> NOTIFY=FAILURE\n< RCPT TO:<b@example.net> ORCPT=rfc822;b@x\n"
        "<B\n" ALL_OK "> 250 taken\n" QUIT_OK);
}

static void distrust_main(void *arg)
{
    struct arena arena;
    struct buf printed;
    const int *fd = arg;

    arena_init(&arena, 1024 * 1024);
    buf_init(&printed, LINE_MAX_BYTES);
    struct smtp_client_message m = scenario_message(0, &arena);
    m.size = 1001;
    m.has_8bit = true;
    assert_true(scenario_open(*fd, &printed));
    assert_int_equal(client.max_size, 0);
    assert_false(scenario_send(&m, &printed));
    assert_string_equal(buf_c_str(&printed), "2 times 250 at end of data: taken\n");
    scenario_close();
    buf_done(&printed);
    arena_done(&arena);
    loop_stop();
}

static void distrusted_offers_are_not_used(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    config.distrusted = SMTP_EXT_SIZE | SMTP_EXT_CHUNKING | SMTP_EXT_PIPELINING;
    scenario_run_fiber(distrust_main, ALL_OFFERS
                       "< MAIL FROM:<s@example.jp> BODY=8BITMIME\n> 250 ok\n" RCPT_A
                       "> 250 ok\n" RCPT_B "> 250 ok\n< DATA\n> 354 go\n<.\n> 250 taken\n" QUIT_OK);
}

static void helo_alone_can_be_asked_for(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    config.only_helo = true;
    scenario_run_fiber(distrust_main,
                       "> 220 mx\n< HELO me.example.jp\n> 250-mx\n> 250 PIPELINING\n" MAIL_LINE
                       "> 250 ok\n" RCPT_A "> 250 ok\n" RCPT_B
                       "> 250 ok\n< DATA\n> 354 go\n<.\n> 250 taken\n" QUIT_OK);
}

static void unsafe_main(void *arg)
{
    struct arena arena;
    struct buf printed;
    const int *fd = arg;
    struct smtp_client_recipient recipients[] = {{.address = STR("a> SIZE=1")},
                                                 {.address = STR("b@example.net")},
                                                 {.address = STR("")},
                                                 {.address = STR("c@x\r\nRSET")}};

    arena_init(&arena, 1024 * 1024);
    buf_init(&printed, LINE_MAX_BYTES);
    struct smtp_client_message m = scenario_message(0, &arena);
    m.recipients = recipients;
    m.recipient_count = ARRAY_LEN(recipients);
    assert_true(scenario_open(*fd, &printed));
    assert_false(scenario_send(&m, &printed));
    assert_string_equal(buf_c_str(&printed),
                        "553 5.1.3 at RCPT (local): the address cannot be sent\n"
                        "250 at end of data: taken\n"
                        "2 times 553 5.1.3 at RCPT (local): the address cannot be sent\n");
    buf_reset(&printed);
    m.sender = STR("s@x\r\nRSET");
    assert_false(scenario_send(&m, &printed));
    assert_string_equal(buf_c_str(&printed),
                        "4 times 553 5.1.7 at MAIL (local): the sender cannot be sent\n");
    scenario_close();
    buf_done(&printed);
    arena_done(&arena);
    loop_stop();
}

static void addresses_with_commands_in_them_are_not_sent(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    scenario_run_fiber(unsafe_main, PIPE MAIL_LINE RCPT_B "< DATA\n> 250 ok\n> 250 ok\n> 354 go\n"
                                                          "<.\n> 250 taken\n" QUIT_OK);
}

static void failing_sources_cost_the_connection(void **state)
{
    static const struct scenario table[] = {
        {.name = "an error at once, with CHUNKING",
         .script = CHUNK "quiet\n",
         .expected = "2 times EIO at end of data\n",
         .is_unusable = true,
         .source_error = -EIO},
        {.name = "an error in the text",
         .script = DATA_BEGUN "quiet\n",
         .expected = "2 times EIO at end of data\n",
         .is_unusable = true,
         .source_error = -EIO,
         .text = ""},
        {.name = "an error before the dot",
         .script = DATA_BEGUN "quiet\n",
         .expected = "2 times EIO at end of data\n",
         .is_unusable = true,
         .end_error = -EIO,
         .before_end = 1},
        {.name = "an error before BDAT LAST",
         .script = CHUNK "quiet\n",
         .expected = "2 times EIO at end of data\n",
         .is_unusable = true,
         .end_error = -EIO,
         .before_end = 1},
    };

    (void)state;
    RUN_TABLE(table);
}

static void keep_main(void *arg)
{
    struct arena arena;
    struct buf printed;
    const int *fd = arg;
    int64_t until_ms = clock_mono_ms() + LONG_MS;

    arena_init(&arena, 1024 * 1024);
    buf_init(&printed, LINE_MAX_BYTES);
    struct smtp_client_message m = scenario_message(0, &arena);
    assert_true(scenario_open(*fd, &printed));
    for (int i = 0; i < 3; i++) {
        assert_true(smtp_client_is_alive(&client));
        source.at = 0;
        assert_false(scenario_send(&m, &printed));
    }
    assert_true(smtp_client_is_alive(&client));
    peer.may_pass = true;
    while (smtp_client_is_alive(&client) && clock_mono_ms() < until_ms)
        assert_int_equal(fiber_sleep_until(clock_mono_ms() + 1), 0);
    assert_false(smtp_client_is_alive(&client));
    assert_true(client.is_usable);
    /* Who sends all the same is told what the peer said. */
    source.at = 0;
    assert_false(scenario_send(&m, &printed));
    assert_string_equal(buf_c_str(&printed), "2 times 250 at end of data: one\n"
                                             "2 times 452 at end of data: two\n"
                                             "2 times 250 at end of data: three\n"
                                             "2 times 421 at MAIL: idle\n");
    assert_false(client.is_usable);
    scenario_close();
    buf_done(&printed);
    arena_done(&arena);
    loop_stop();
}

#define ONE_MORE ENVELOPE "< DATA\n" ALL_OK "> 354 go\n<.\n"

static void connections_are_kept_and_seen_to_die(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    scenario_run_fiber(keep_main, PIPE ONE_MORE "> 250 one\n" ONE_MORE "> 452 two\n" ONE_MORE
                                                "> 250 three\ngate\n> 421 idle\n");
    scenario_set_up(LONG_MS);
    scenario_run_fiber(keep_main, PIPE ONE_MORE "> 250 one\n" ONE_MORE "> 452 two\n" ONE_MORE
                                                "> 250 three\ngate\n> 421 idle\nstuck\n");
}

static void closed_main(void *arg)
{
    struct buf printed;
    const int *fd = arg;
    int64_t until_ms = clock_mono_ms() + LONG_MS;

    buf_init(&printed, LINE_MAX_BYTES);
    assert_true(scenario_open(*fd, &printed));
    while (smtp_client_is_alive(&client) && clock_mono_ms() < until_ms)
        assert_int_equal(fiber_sleep_until(clock_mono_ms() + 1), 0);
    assert_false(smtp_client_is_alive(&client));
    scenario_close();
    buf_done(&printed);
    loop_stop();
}

static void a_closed_idle_connection_is_not_alive(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    scenario_run_fiber(closed_main, PIPE);
}

static void left_main(void *arg)
{
    struct buf printed;
    const int *fd = arg;

    buf_init(&printed, LINE_MAX_BYTES);
    assert_true(scenario_open(*fd, &printed));
    int64_t begun_ms = clock_mono_ms();
    smtp_client_leave(&client);
    assert_false(client.is_usable);
    scenario_close();
    assert_in_range(clock_mono_ms() - begun_ms, 0, LONG_MS / 2);
    buf_done(&printed);
    loop_stop();
}

static void who_leaves_says_so_and_does_not_wait(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    scenario_run_fiber(left_main, PIPE "< QUIT\nquiet\n");
}

struct cancelled {
    const int *fd;
    int result;
    bool is_unknown, is_error;
};

static void cancelled_main(void *arg)
{
    struct cancelled *c = arg;
    struct arena arena;
    struct buf printed;
    struct smtp_client_outcome outcome;

    arena_init(&arena, 1024 * 1024);
    buf_init(&printed, LINE_MAX_BYTES);
    struct smtp_client_message m = scenario_message(0, &arena);
    assert_true(scenario_open(*c->fd, &printed));
    c->result = smtp_client_send(&client, &m, &arena, &outcome);
    c->is_unknown = outcome.is_unknown;
    c->is_error = outcome.recipients[0].error == -ECANCELED;
    smtp_client_close(&client);
    buf_done(&printed);
    arena_done(&arena);
}

static void cancel_main(void *arg)
{
    struct fiber_group group;
    struct cancelled c = {.fd = arg};

    fiber_group_init(&group);
    assert_int_equal(fiber_spawn(&group, "cancelled", cancelled_main, &c), 0);
    assert_int_equal(fiber_sleep_until(clock_mono_ms() + 2 * SHORT_MS), 0);
    assert_int_equal(c.result, 0);
    fiber_group_cancel(&group);
    assert_int_equal(fiber_group_join(&group, clock_mono_ms() + LONG_MS), 0);
    assert_int_equal(c.result, -ECANCELED);
    assert_true(c.is_error);
    assert_true(c.is_unknown);
    loop_stop();
}

static void a_cancelled_fiber_ends_its_transaction(void **state)
{
    (void)state;
    scenario_set_up(LONG_MS);
    scenario_run_fiber(cancel_main, DATA_BEGUN "<.\nquiet\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_recipients_and_a_peer_that_waits_for_its_reader),
        cmocka_unit_test(a_flight_is_bounded_in_bytes),
        cmocka_unit_test(texts_in_pieces_are_repaired),
        cmocka_unit_test(big_texts_and_early_words),
        cmocka_unit_test(words_behind_the_end_that_cannot_be_sent),
        cmocka_unit_test(a_big_chunk_waits_for_the_envelope),
        cmocka_unit_test(replies_have_bounds),
        cmocka_unit_test(what_is_offered_is_used),
        cmocka_unit_test(distrusted_offers_are_not_used),
        cmocka_unit_test(helo_alone_can_be_asked_for),
        cmocka_unit_test(addresses_with_commands_in_them_are_not_sent),
        cmocka_unit_test(failing_sources_cost_the_connection),
        cmocka_unit_test(connections_are_kept_and_seen_to_die),
        cmocka_unit_test(a_closed_idle_connection_is_not_alive),
        cmocka_unit_test(who_leaves_says_so_and_does_not_wait),
        cmocka_unit_test(a_cancelled_fiber_ends_its_transaction),
    };
    return cmocka_run_group_tests_name("client_send", tests, NULL, NULL);
}
