/*
 * The client session by hand, for the scenarios of test/smtp-client; not installed.
 *
 *     client_drive < SPECIFICATION
 *
 * The specification is lines "key value", an empty line, and the text of the message to the end of
 * the file. Keys: host, port, sender, recipient (ADDRESS [notify=BITS] [orcpt=TYPE;XTEXT]), 8bit,
 * utf8, size, ret (1 full, 2 headers), envid, timeout (ms), distrust (bits), helo, piece (bytes),
 * whole (the source tells its last piece), source-error and end-error (negative errno), messages
 * (how often it is sent on the connection). Prints one line a recipient and message:
 *
 *     RCPT ADDRESS CODE|ERROR ENHANCED|- STAGE TEXT
 *
 * then "UNKNOWN" if nobody knows, at the end "usable", "unusable", or "OPEN CODE|ERROR ..." if it
 * did not come to a transaction.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rt/connect.h"
#include "smtp/client.h"

enum { INPUT_MAX_BYTES = 16 * 1024 * 1024, RECIPIENTS_MAX = 2000, CONNECT_WAIT_MS = 5000 };

static struct {
    struct ip_addr host;
    uint64_t numbers[16]; /* see NUMBERS */
    struct str sender, envid, text;
    struct smtp_client_recipient recipients[RECIPIENTS_MAX];
    size_t recipient_count;
    size_t at; /* in the text */
    int status;
} drive;

enum number {
    PORT,
    SIZE,
    RET,
    TIMEOUT,
    DISTRUST,
    PIECE,
    SOURCE_ERROR,
    END_ERROR,
    MESSAGES,
    HAS_8BIT,
    IS_UTF8,
    ONLY_HELO,
    TELLS_LAST,
};

static const struct {
    const char *key;
    enum number number;
} NUMBERS[] = {
    {"port", PORT},
    {"size", SIZE},
    {"ret", RET},
    {"timeout", TIMEOUT},
    {"distrust", DISTRUST},
    {"piece", PIECE},
    {"source-error", SOURCE_ERROR},
    {"end-error", END_ERROR},
    {"messages", MESSAGES},
    {"8bit", HAS_8BIT},
    {"utf8", IS_UTF8},
    {"helo", ONLY_HELO},
    {"whole", TELLS_LAST},
};

static bool set_number(struct str key, struct str value)
{
    for (size_t i = 0; i < ARRAY_LEN(NUMBERS); i++) {
        if (str_eq_c(key, NUMBERS[i].key))
            return str_to_u64(value, INT64_MAX, &drive.numbers[NUMBERS[i].number]) == 0;
    }
    return false;
}

static bool add_recipient(struct str value)
{
    struct str word;

    if (drive.recipient_count == RECIPIENTS_MAX)
        return false;
    struct smtp_client_recipient *r = &drive.recipients[drive.recipient_count++];
    (void)str_cut(value, ' ', &r->address, &value);
    while (value.len > 0) {
        uint64_t bits;
        (void)str_cut(value, ' ', &word, &value);
        if (str_has_prefix(word, STR("orcpt=")))
            r->orcpt = str_sub(word, 6, word.len);
        else if (str_has_prefix(word, STR("notify=")) &&
                 str_to_u64(str_sub(word, 7, word.len), UINT8_MAX, &bits) == 0)
            r->notify = (uint8_t)bits;
        else
            return false;
    }
    return true;
}

static bool set(struct str line)
{
    struct str key, value;

    (void)str_cut(line, ' ', &key, &value);
    if (str_eq_c(key, "recipient"))
        return add_recipient(value);
    if (str_eq_c(key, "host"))
        return ip_parse(value, &drive.host) == 0;
    if (str_eq_c(key, "sender")) {
        drive.sender = value;
        return true;
    }
    if (str_eq_c(key, "envid")) {
        drive.envid = value;
        return true;
    }
    return set_number(key, value);
}

static int negative(enum number number)
{
    return -(int)drive.numbers[number];
}

static int next_piece(void *arg, struct str *out_piece)
{
    (void)arg;
    if (drive.at == drive.text.len)
        return negative(SOURCE_ERROR);
    *out_piece = str_sub(drive.text, drive.at, drive.numbers[PIECE]);
    drive.at += out_piece->len;
    bool is_last = drive.numbers[TELLS_LAST] && drive.at == drive.text.len;
    return is_last ? SMTP_CLIENT_LAST_PIECE : SMTP_CLIENT_PIECE;
}

static int before_end(void *arg)
{
    (void)arg;
    return negative(END_ERROR);
}

static void print_reply(const struct smtp_client_reply *r)
{
    const char *stage =
        r->stage == SMTP_CLIENT_BODY ? "end-of-data" : smtp_client_stage_name(r->stage);

    if (r->error != 0) {
        printf(" %s - %s\n", strerrorname_np(-r->error), stage);
        return;
    }
    printf(" %d %s %s%s%s", r->code, r->enhanced[0] != '\0' ? r->enhanced : "-", stage,
           r->is_local ? " (local)" : "", r->text.len > 0 ? " " : "");
    for (size_t i = 0; i < r->text.len; i++)
        putchar(r->text.ptr[i] == '\n' ? '|' : r->text.ptr[i]);
    putchar('\n');
}

static void send_once(struct smtp_client *c)
{
    const struct smtp_client_message m = {.sender = drive.sender,
                                          .size = drive.numbers[SIZE],
                                          .has_8bit = drive.numbers[HAS_8BIT],
                                          .is_utf8 = drive.numbers[IS_UTF8],
                                          .ret = (uint8_t)drive.numbers[RET],
                                          .envid = drive.envid,
                                          .recipients = drive.recipients,
                                          .recipient_count = drive.recipient_count,
                                          .next_piece = next_piece,
                                          .before_end = before_end};
    struct smtp_client_outcome outcome;
    struct arena arena;

    drive.at = 0;
    arena_init(&arena, smtp_client_arena_bytes(m.recipient_count));
    if (smtp_client_send(c, &m, &arena, &outcome) < 0)
        puts("CANCELED");
    for (size_t i = 0; i < m.recipient_count; i++) {
        printf("RCPT %.*s", STR_ARG(m.recipients[i].address));
        print_reply(&outcome.recipients[i]);
    }
    if (outcome.is_unknown)
        puts("UNKNOWN");
    arena_done(&arena);
}

static void run_session(int fd)
{
    int64_t timeout_ms = (int64_t)drive.numbers[TIMEOUT];
    const struct smtp_client_config config = {
        .ehlo_name = "client.example.jp",
        .timeouts = {timeout_ms, timeout_ms, timeout_ms, timeout_ms, timeout_ms},
        .distrusted = (unsigned)drive.numbers[DISTRUST],
        .only_helo = drive.numbers[ONLY_HELO] != 0};
    static struct smtp_client c;
    struct smtp_client_reply reply;
    struct arena arena;

    arena_init(&arena, smtp_client_arena_bytes(0));
    if (smtp_client_open(&c, fd, &config, &arena, &reply) < 0) {
        printf("OPEN");
        print_reply(&reply);
    }
    for (uint64_t i = 0; i < drive.numbers[MESSAGES] && c.is_usable; i++)
        send_once(&c);
    puts(c.is_usable ? "usable" : "unusable");
    smtp_client_close(&c);
    arena_done(&arena);
}

static void drive_main(void *arg)
{
    (void)arg;
    int fd = connect_tcp(&drive.host, (uint16_t)drive.numbers[PORT], NULL,
                         clock_mono_ms() + CONNECT_WAIT_MS);
    if (fd >= 0) {
        run_session(fd);
    } else {
        fprintf(stderr, "client_drive: cannot connect: %s\n", strerror(-fd));
        drive.status = 1;
    }
    loop_stop();
}

static bool read_specification(char *input, size_t len)
{
    struct str rest = str_from_mem(input, len), line;

    drive.numbers[TIMEOUT] = CONNECT_WAIT_MS;
    drive.numbers[PIECE] = SMTP_CLIENT_PIECE_MAX_BYTES;
    drive.numbers[MESSAGES] = 1;
    drive.host = (struct ip_addr){.family = IP_V4, .bytes = {127, 0, 0, 1}};
    while (str_cut(rest, '\n', &line, &rest) && line.len > 0) {
        if (set(line))
            continue;
        fprintf(stderr, "client_drive: cannot read \"%.*s\"\n", STR_ARG(line));
        return false;
    }
    drive.text = rest;
    return drive.recipient_count > 0;
}

int main(void)
{
    struct fiber_group roots;
    char *input = xmalloc(INPUT_MAX_BYTES);
    size_t len = fread(input, 1, INPUT_MAX_BYTES, stdin);

    if (!read_specification(input, len) || loop_init() < 0) {
        free(input);
        return 2;
    }
    fiber_group_init(&roots);
    ASSERT(fiber_spawn(&roots, "drive", drive_main, NULL) == 0);
    loop_run();
    loop_done();
    fiber_pool_done();
    free(input);
    return drive.status;
}
