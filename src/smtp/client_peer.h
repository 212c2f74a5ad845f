/*
 * A scripted peer for the tests of the client session: a fiber at the other end of a socketpair.
 *
 * A script has one step a line: "> TEXT" the peer says so and CRLF; ">- TEXT" without; ">~ TEXT"
 * one byte at a time; "< TEXT" the client says exactly this; "<> TEXT => REPLY" both, and the reply
 * goes out at once; "<." the text of DATA with its end, "<B" BDAT LAST with its bytes, "<~N" so
 * many bytes of anything, all noted for the test; "times N [M]" repeats the next line, with # for
 * the number from 1 (or M) on; "small" shrinks what the peer may have unread at the client; "gate"
 * sends and waits for peer.may_pass; "quiet" the peer reads on but does nothing until the client
 * has closed; "stuck" it does not even read; "drop" it closes with unread bytes. At the end of the
 * script the peer closes.
 */
#pragma once

#include "base/buf.h"
#include "rt/fiber.h"
#include "rt/stream.h"
#include "smtp/client.h"

enum { LONG_MS = 5000, SHORT_MS = 50, LINE_MAX_BYTES = 1024 };

#define TEXT_DEFAULT "Subject: x\r\n\r\nbody\r\n"

/* What the peer offers. */
#define PLAIN "> 220 mx.example.net ready\n< EHLO me.example.jp\n> 250 mx.example.net\n"
#define PIPE                                                                                       \
    "> 220 mx.example.net ready\n< EHLO me.example.jp\n> 250-mx.example.net\n> 250 PIPELINING\n"
#define CHUNK                                                                                      \
    "> 220 mx.example.net ready\n< EHLO me.example.jp\n> 250-mx.example.net\n> 250-PIPELINING\n"   \
    "> 250 CHUNKING\n"
#define CHUNK1                                                                                     \
    "> 220 mx.example.net ready\n< EHLO me.example.jp\n> 250-mx.example.net\n> 250 CHUNKING\n"
#define MAIL_LINE "< MAIL FROM:<s@example.jp>\n"
#define RCPT_A    "< RCPT TO:<a@example.net>\n"
#define RCPT_B    "< RCPT TO:<b@example.net>\n"
#define QUIT_OK   "< QUIT\n> 221 bye\n"
#define RSET_OK   "< RSET\n> 250 reset\n"

struct scenario {
    const char *name;
    const char *script;
    const char *expected; /* as scenario_print_outcome writes */
    size_t recipients;    /* 0: two, a@ and b@; else so many r1@... */
    bool is_unusable;     /* afterwards */
    bool is_unknown;
    bool is_short;       /* short time-outs */
    unsigned before_end; /* how often it is called */
    const char *text;    /* what the peer gets; NULL: not looked at */
    /* The source's; NULL: TEXT_DEFAULT in one piece. */
    const char *const *pieces;
    size_t piece_count;
    bool tells_last;
    int source_error; /* without any piece */
    int end_error;
    bool is_narrow; /* the client's send buffer is the smallest there is */
};

/* The state of the test at hand. */
struct scripted_peer {
    struct stream stream;
    struct buf text; /* what "<." and "<B" got */
    const char *script;
    bool has_ended;
    bool may_pass; /* the gate */
    bool is_client_done;
};

struct scripted_source {
    const char *const *pieces;
    size_t piece_count, at;
    bool tells_last;
    int error;     /* of the source, after the pieces */
    int end_error; /* of before_end */
    unsigned ends; /* how often before_end was called */
};

extern struct scripted_peer peer;
extern struct scripted_source source;
extern struct smtp_client client;
extern struct smtp_client_config config;

/* A configuration with this time-out everywhere and a source of TEXT_DEFAULT in one piece. */
void scenario_set_up(int64_t timeout_ms);
/* A message to so many recipients (0: a@ and b@) from the source. */
struct smtp_client_message scenario_message(size_t recipients, struct arena *arena);
/* Opens the client; prints the reply if that fails. Yields. */
bool scenario_open(int fd, struct buf *out);
/* Sends and prints the outcome, one line a recipient, equal neighbours as one. Yields. Whether
 * nobody knows. */
bool scenario_send(const struct smtp_client_message *m, struct buf *out);
/* Closes the client and waits for the end of the script. Yields. */
void scenario_close(void);
/* Runs a fiber, whose argument is a pointer to the client's descriptor, against the script; it has
 * to call loop_stop(). */
void scenario_run_fiber(fiber_fn *fn, const char *script);
/* Runs a scenario from greeting to QUIT. */
void scenario_run(const struct scenario *s);
void scenario_run_table(const struct scenario *table, size_t count);

#define RUN_TABLE(table) scenario_run_table(table, ARRAY_LEN(table))
