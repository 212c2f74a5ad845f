/*
 * Unit tests of the client session: every answer at every step, in every way of sending, on a
 * scripted peer. What is special about single messages is in client_send_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/client_peer.h"

static void good_mail_goes_out(void **state)
{
    static const struct scenario table[] = {
        {.name = "one at a time",
         .script = PLAIN MAIL_LINE "> 250 ok\n" RCPT_A "> 250 ok\n" RCPT_B
                                   "> 251 forwarded\n< DATA\n> 354 go\n<.\n"
                                   "> 250 2.0.0 taken as 1\n" QUIT_OK,
         .expected = "2 times 250 2.0.0 at end of data: taken as 1\n",
         .text = TEXT_DEFAULT ".\r\n",
         .before_end = 1},
        {.name = "pipelined",
         .script = PIPE MAIL_LINE RCPT_A RCPT_B
         "< DATA\n> 250 ok\n> 250 ok\n> 250 ok\n> 354 go\n<.\n> 250 taken\n" QUIT_OK,
         .expected = "2 times 250 at end of data: taken\n",
         .text = TEXT_DEFAULT ".\r\n",
         .before_end = 1},
        {.name = "in one flight",
         .script = CHUNK MAIL_LINE RCPT_A RCPT_B
         "<B\n> 250 ok\n> 250 ok\n> 250 ok\n> 250 taken\n" QUIT_OK,
         .expected = "2 times 250 at end of data: taken\n",
         .text = TEXT_DEFAULT,
         .before_end = 1},
        {.name = "chunk without pipelining",
         .script = CHUNK1 MAIL_LINE "> 250 ok\n" RCPT_A "> 250 ok\n" RCPT_B
                                    "> 250 ok\n<B\n> 250 taken\n" QUIT_OK,
         .expected = "2 times 250 at end of data: taken\n",
         .text = TEXT_DEFAULT,
         .before_end = 1},
    };

    (void)state;
    RUN_TABLE(table);
}

static void the_first_words_decide(void **state)
{
    static const struct scenario table[] = {
        {.name = "greeting 554",
         .script = "> 554 5.7.1 not you\n" QUIT_OK,
         .expected = "554 5.7.1 at greeting: not you\n"},
        {.name = "greeting 451",
         .script = "> 451 4.3.2 later\n" QUIT_OK,
         .expected = "451 4.3.2 at greeting: later\n"},
        {.name = "greeting 421", .script = "> 421 busy\n", .expected = "421 at greeting: busy\n"},
        {.name = "greeting is closed", .script = "", .expected = "ECONNRESET at greeting\n"},
        {.name = "half a greeting", .script = ">- 220 mx", .expected = "ECONNRESET at greeting\n"},
        {.name = "no greeting",
         .script = "quiet\n",
         .expected = "ETIMEDOUT at greeting\n",
         .is_short = true},
        {.name = "greeting 354", .script = "> 354 go\n", .expected = "EPROTO at greeting\n"},
        {.name = "greeting of another protocol",
         .script = "> SSH-2.0-OpenSSH_9.2\n",
         .expected = "EPROTO at greeting\n"},
        {.name = "EHLO 451",
         .script = "> 220 mx\n< EHLO me.example.jp\n> 451 4.7.1 wait\n" QUIT_OK,
         .expected = "451 4.7.1 at EHLO: wait\n"},
        {.name = "EHLO 421",
         .script = "> 220 mx\n< EHLO me.example.jp\n> 421 wait\n",
         .expected = "421 at EHLO: wait\n"},
        {.name = "EHLO is closed",
         .script = "> 220 mx\n< EHLO me.example.jp\n",
         .expected = "ECONNRESET at EHLO\n"},
        {.name = "half an EHLO reply",
         .script = "> 220 mx\n< EHLO me.example.jp\n> 250-mx\n> 250-SIZE 1\n",
         .expected = "ECONNRESET at EHLO\n"},
        {.name = "no EHLO reply",
         .script = "> 220 mx\n< EHLO me.example.jp\nquiet\n",
         .expected = "ETIMEDOUT at EHLO\n",
         .is_short = true},
        {.name = "EHLO of differing codes",
         .script = "> 220 mx\n< EHLO me.example.jp\n> 250-mx\n> 251 SIZE\n",
         .expected = "EPROTO at EHLO\n"},
        {.name = "EHLO and HELO refused",
         .script = "> 220 mx\n< EHLO me.example.jp\n> 550 no\n< HELO me.example.jp\n"
                   "> 550 5.7.1 never\n" QUIT_OK,
         .expected = "550 5.7.1 at EHLO: never\n"},
        {.name = "EHLO refused, HELO closed",
         .script = "> 220 mx\n< EHLO me.example.jp\n> 550 5.7.1 blocked\n< HELO me.example.jp\n",
         .expected = "550 5.7.1 at EHLO: blocked\n"},
        {.name = "EHLO unknown",
         .script = "> 220 mx\n< EHLO me.example.jp\n> 502 what\n< HELO me.example.jp\n> 250 "
                   "hi\n" MAIL_LINE "> 550 no\n" QUIT_OK,
         .expected = "2 times 550 at MAIL: no\n"},
        {.name = "words before their time",
         .script = PIPE "> 421 4.4.2 idle\n",
         .expected = "2 times 421 4.4.2 at MAIL: idle\n",
         .is_unusable = true},
        {.name = "a reply too many",
         .script = PIPE "> 250 again\n",
         .expected = "2 times EPROTO at MAIL\n",
         .is_unusable = true},
    };

    (void)state;
    RUN_TABLE(table);
}

/* Every answer at every step, in every way of sending: what is expected is computed here. */

enum step { MAIL, RCPT1, RCPT2, DATA, FINAL, STEP_COUNT };

struct mode {
    const char *name, *hello;
    bool is_piped, is_chunked;
};

struct event {
    const char *script; /* of the peer, instead of its reply */
    const char *reply;  /* printed, or NULL */
    const char *error;  /* or this */
    bool is_final;      /* 421 */
    bool is_short;
};

static const struct mode MODES[] = {
    {"plain", PLAIN, false, false},
    {"pipelining", PIPE, true, false},
    {"pipelining and chunking", CHUNK, true, true},
    {"chunking", CHUNK1, false, true},
};

static const struct event EVENTS[] = {
    {.script = "> 450 4.7.1 later\n", .reply = "450 4.7.1 at %s: later"},
    {.script = "> 550 5.1.1 no\n", .reply = "550 5.1.1 at %s: no"},
    {.script = "> 552-5.2.2 too\n> 552-\n> 552 5.2.2 full\n",
     .reply = "552 5.2.2 at %s: too\nfull"},
    {.script = "> 599\n", .reply = "599 at %s: "},
    {.script = "> 421 4.3.2 down\n", .reply = "421 4.3.2 at %s: down", .is_final = true},
    {.script = "> hello\n", .error = "EPROTO"},
    {.script = "> 199 odd\n", .error = "EPROTO"},
    {.script = "> 600 odd\n", .error = "EPROTO"},
    {.script = "> 25\n", .error = "EPROTO"},
    {.script = "> 2500 odd\n", .error = "EPROTO"},
    {.script = "> 550-no\n> 551 no\n", .error = "EPROTO"},
    {.script = NULL, .error = "EPROTO"}, /* 354, or 250 where 354 is due */
    {.script = "", .error = "ECONNRESET"},
    {.script = ">- 25", .error = "ECONNRESET"},
    {.script = ">- 250 ok", .error = "ECONNRESET"},
    {.script = "> 550-no\n", .error = "ECONNRESET"},
    {.script = "quiet\n", .error = "ETIMEDOUT", .is_short = true},
    {.script = ">- 25\nquiet\n", .error = "ETIMEDOUT", .is_short = true},
    {.script = "> 550-no\nquiet\n", .error = "ETIMEDOUT", .is_short = true},
};

static const char *command_of(const struct mode *mode, enum step step)
{
    static const char *const commands[] = {MAIL_LINE, RCPT_A, RCPT_B, "< DATA\n", "<.\n"};

    return mode->is_chunked && step == FINAL ? "<B\n" : commands[step];
}

static const char *good_reply(enum step step)
{
    return step == DATA ? "> 354 go\n" : step == FINAL ? "> 250 taken\n" : "> 250 ok\n";
}

static bool is_in_flight(const struct mode *mode, enum step step)
{
    return mode->is_piped && step != (mode->is_chunked ? DATA : FINAL);
}

/* What follows a refusal at a step. */
static void put_after_refusal(const struct mode *mode, enum step step, struct buf *out)
{
    if (step == MAIL && mode->is_piped)
        buf_put_c(out, "times 3\n> 503 5.5.1 MAIL first\n");
    bool has_begun = mode->is_piped || step != MAIL;
    if (step != FINAL ? has_begun && (step == DATA || mode->is_chunked) : mode->is_chunked)
        buf_put_c(out, RSET_OK);
    buf_put_c(out, QUIT_OK);
}

/* The peer's words at a step: its reply, or the event. */
static const char *words_at(enum step step, enum step at, const struct event *event)
{
    if (step != at)
        return good_reply(step);
    if (event->script != NULL)
        return event->script;
    return step == DATA ? "> 250 odd\n" : "> 354 odd\n";
}

static void build_script(const struct mode *mode, enum step at, const struct event *event,
                         struct buf *out)
{
    bool is_last = event->error != NULL || event->is_final;

    buf_put_c(out, mode->hello);
    for (enum step s = MAIL; s < STEP_COUNT; s++) {
        if (is_in_flight(mode, s))
            buf_put_c(out, command_of(mode, s));
    }
    for (enum step s = MAIL; s < STEP_COUNT; s++) {
        if (mode->is_chunked && s == DATA)
            continue;
        if (!is_in_flight(mode, s))
            buf_put_c(out, command_of(mode, s));
        buf_put_c(out, words_at(s, at, event));
        if (s != at || (!is_last && (s == RCPT1 || s == RCPT2)))
            continue;
        if (!is_last)
            put_after_refusal(mode, s, out);
        return;
    }
    buf_put_c(out, QUIT_OK);
}

static void build_expected(enum step at, const struct event *event, struct buf *out)
{
    static const char *const stages[] = {"MAIL", "RCPT", "RCPT", "DATA", "end of data"};
    struct buf line;

    if (event->error != NULL) {
        buf_printf(out, "2 times %s at %s\n", event->error, stages[at]);
        return;
    }
    buf_init(&line, LINE_MAX_BYTES);
    const char *place = strstr(event->reply, "%s");
    buf_put(&line, event->reply, place - event->reply);
    buf_put_c(&line, stages[at]);
    buf_put_c(&line, place + 2);
    const char *good = "250 at end of data: taken";
    bool is_first = at == RCPT1 && !event->is_final, is_second = at == RCPT2 && !event->is_final;
    if (is_first)
        buf_printf(out, "%s\n%s\n", buf_c_str(&line), good);
    else if (is_second)
        buf_printf(out, "%s\n%s\n", good, buf_c_str(&line));
    else
        buf_printf(out, "2 times %s\n", buf_c_str(&line));
    buf_done(&line);
}

static void run_event(const struct mode *mode, enum step step, const struct event *event)
{
    struct buf script, expected;
    struct scenario s = {.name = mode->name,
                         .is_unusable = event->error != NULL || event->is_final,
                         .is_short = event->is_short};

    if (mode->is_chunked && step == DATA)
        return;
    buf_init(&script, 4096);
    buf_init(&expected, 4096);
    build_script(mode, step, event, &script);
    build_expected(step, event, &expected);
    s.script = buf_c_str(&script);
    s.expected = buf_c_str(&expected);
    /* All of a flight with BDAT LAST has gone out, whatever is answered first. */
    bool is_end_sent = step == FINAL || (mode->is_piped && mode->is_chunked);
    bool is_good = (step == RCPT1 || step == RCPT2) && event->error == NULL && !event->is_final;
    s.before_end = is_end_sent || is_good;
    s.is_unknown = is_end_sent && event->error != NULL;
    scenario_run(&s);
    buf_done(&script);
    buf_done(&expected);
}

static void every_answer_at_every_step(void **state)
{
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(MODES); m++) {
        for (enum step s = MAIL; s < STEP_COUNT; s++) {
            for (size_t e = 0; e < ARRAY_LEN(EVENTS); e++) {
                print_message("step %d, event %zu:", (int)s, e);
                run_event(&MODES[m], s, &EVENTS[e]);
            }
        }
    }
}

#define ALL_REFUSED "> 250 ok\n> 550 5.1.1 a\n> 450 4.2.1 b\n"
#define REFUSED_OUT "550 5.1.1 at RCPT: a\n450 4.2.1 at RCPT: b\n"

static void nobody_is_accepted(void **state)
{
    static const struct scenario table[] = {
        {.name = "one at a time: DATA is not said",
         .script = PLAIN MAIL_LINE "> 250 ok\n" RCPT_A "> 550 5.1.1 a\n" RCPT_B
                                   "> 450 4.2.1 b\n" RSET_OK QUIT_OK,
         .expected = REFUSED_OUT},
        {.name = "DATA is refused",
         .script =
             PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED "> 554 none\n" RSET_OK QUIT_OK,
         .expected = REFUSED_OUT},
        {.name = "DATA is taken: a dot alone",
         .script = PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED
                                                "> 354 go\n< .\n> 554 none\n" QUIT_OK,
         .expected = REFUSED_OUT},
        {.name = "DATA is taken with an unknown code",
         .script = PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED
                                                "> 399 go\n< .\n> 554 none\n" QUIT_OK,
         .expected = REFUSED_OUT},
        {.name = "DATA is taken, and the dot too",
         .script = PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED
                                                "> 354 go\n< .\n> 250 none\n" QUIT_OK,
         .expected = REFUSED_OUT},
        {.name = "DATA is taken, then silence",
         .script = PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED "> 354 go\nquiet\n",
         .expected = REFUSED_OUT,
         .is_unusable = true,
         .is_short = true},
        {.name = "MAIL is refused, DATA is taken",
         .script = PIPE MAIL_LINE RCPT_A RCPT_B
         "< DATA\n> 550 5.1.8 s\n> 250 a\n> 250 b\n> 354 go\n< .\n> 554 none\n" QUIT_OK,
         .expected = "2 times 550 5.1.8 at MAIL: s\n"},
        {.name = "BDAT is refused",
         .script = CHUNK MAIL_LINE RCPT_A RCPT_B "<B\n" ALL_REFUSED "> 503 none\n" RSET_OK QUIT_OK,
         .expected = REFUSED_OUT,
         .before_end = 1},
        {.name = "BDAT says yes to nobody",
         .script = CHUNK MAIL_LINE RCPT_A RCPT_B "<B\n" ALL_REFUSED "> 250 fine\n" RSET_OK QUIT_OK,
         .expected = REFUSED_OUT,
         .before_end = 1},
        {.name = "RSET is refused",
         .script = PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED
                                                "> 554 none\n< RSET\n> 502 no\n" QUIT_OK,
         .expected = REFUSED_OUT,
         .is_unusable = true},
        {.name = "RSET is not answered",
         .script =
             PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED "> 554 none\n< RSET\nquiet\n",
         .expected = REFUSED_OUT,
         .is_unusable = true,
         .is_short = true},
        {.name = "RSET gets 421",
         .script =
             PIPE MAIL_LINE RCPT_A RCPT_B "< DATA\n" ALL_REFUSED "> 554 none\n< RSET\n> 421 bye\n",
         .expected = REFUSED_OUT,
         .is_unusable = true},
        {.name = "a chunk has one reply too many",
         .script = CHUNK MAIL_LINE RCPT_A RCPT_B
         "<B\n> 250 ok\n> 250 ok\n> 250 again\n> 250 ok\n> 250 taken\n",
         .expected = "2 times EPROTO at end of data\n",
         .is_unusable = true,
         .is_unknown = true,
         .before_end = 1},
    };

    (void)state;
    RUN_TABLE(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_mail_goes_out),
        cmocka_unit_test(the_first_words_decide),
        cmocka_unit_test(every_answer_at_every_step),
        cmocka_unit_test(nobody_is_accepted),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
