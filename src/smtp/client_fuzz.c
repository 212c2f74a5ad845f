/*
 * A whole session with a peer that says anything at all: greeting, EHLO, two transactions, QUIT.
 * The first byte sets what is asked for, the rest is all the peer will ever say. Every recipient
 * has a decision afterwards, success was said by the peer, and a lost connection is marked as such.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/fdpass.h"
#include "smtp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { RECIPIENTS = 3, PEER_MAX_BYTES = 32 * 1024, TIMEOUT_MS = 2000 };
enum { /* bits of the first byte */
       FUZZ_HELO = 1,
       FUZZ_TWO_PIECES = 2,
       FUZZ_TELLS_LAST = 4,
       FUZZ_NO_CHUNKING = 8,
       FUZZ_NO_PIPELINING = 16,
       FUZZ_FAILS = 32,
};

static struct {
    unsigned flags;
    int fd;
    unsigned pieces, ends;
} fuzz;

static int next_piece(void *arg, struct str *out_piece)
{
    unsigned count = fuzz.flags & FUZZ_TWO_PIECES ? 2 : 1;

    (void)arg;
    if (fuzz.pieces == count)
        return fuzz.flags & FUZZ_FAILS ? -EIO : 0;
    fuzz.pieces++;
    *out_piece = STR(".text\r");
    bool is_last = fuzz.flags & FUZZ_TELLS_LAST && fuzz.pieces == count;
    return is_last ? SMTP_CLIENT_LAST_PIECE : SMTP_CLIENT_PIECE;
}

static int before_end(void *arg)
{
    (void)arg;
    fuzz.ends++;
    return 0;
}

static void check_outcome(const struct smtp_client *c, const struct smtp_client_outcome *outcome)
{
    size_t accepted = 0;

    for (size_t i = 0; i < RECIPIENTS; i++) {
        const struct smtp_client_reply *r = &outcome->recipients[i];
        ASSERT((r->code == 0) == (r->error < 0));
        ASSERT(r->code == 0 || r->code / 100 == 2 || r->code / 100 == 4 || r->code / 100 == 5);
        ASSERT(r->error == 0 || !c->is_usable);
        ASSERT(r->code / 100 != 2 || r->stage == SMTP_CLIENT_BODY);
        accepted += r->code / 100 == 2;
    }
    ASSERT(accepted == outcome->accepted);
    ASSERT(fuzz.ends <= 1 && (accepted == 0 || fuzz.ends == 1));
    ASSERT(!outcome->is_unknown || (accepted == 0 && fuzz.ends == 1 && !c->is_usable));
}

static void send_one(struct smtp_client *c)
{
    static const struct smtp_client_recipient recipients[RECIPIENTS] = {
        {.address = {"a@x", 3}}, {.address = {"b@x", 3}}, {.address = {"c@x", 3}}};
    const struct smtp_client_message m = {.sender = STR("s@y"),
                                          .size = 1000,
                                          .recipients = recipients,
                                          .recipient_count = RECIPIENTS,
                                          .next_piece = next_piece,
                                          .before_end = before_end};
    struct smtp_client_outcome outcome;
    struct arena arena;

    fuzz.pieces = 0;
    fuzz.ends = 0;
    arena_init(&arena, smtp_client_arena_bytes(RECIPIENTS));
    ASSERT(smtp_client_send(c, &m, &arena, &outcome) == 0);
    check_outcome(c, &outcome);
    arena_done(&arena);
}

static void fuzz_main(void *arg)
{
    const struct smtp_client_config config = {
        .ehlo_name = "me",
        .timeouts = {TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_MS},
        .distrusted = (fuzz.flags & FUZZ_NO_CHUNKING ? SMTP_EXT_CHUNKING : 0U) |
                      (fuzz.flags & FUZZ_NO_PIPELINING ? SMTP_EXT_PIPELINING : 0U),
        .only_helo = fuzz.flags & FUZZ_HELO};
    static struct smtp_client c;
    struct smtp_client_reply reply;
    struct arena arena;
    int64_t start_ms = clock_mono_ms();

    (void)arg;
    arena_init(&arena, smtp_client_arena_bytes(0));
    int r = smtp_client_open(&c, fuzz.fd, &config, &arena, &reply);
    ASSERT(r == 0 || reply.error != 0 || reply.code >= 400);
    ASSERT(c.is_usable == (r == 0));
    ASSERT(strlen(c.peer_name) < sizeof(c.peer_name));
    for (int i = 0; i < 2 && c.is_usable; i++)
        send_one(&c);
    smtp_client_close(&c);
    /* All of the peer's words were there from the start: nothing has to be waited for. */
    ASSERT(clock_mono_ms() - start_ms < TIMEOUT_MS);
    arena_done(&arena);
    loop_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fiber_group group;
    int fds[2];

    if (len == 0 || len > PEER_MAX_BYTES)
        return 0;
    fuzz.flags = bytes[0];
    ASSERT(loop_init() == 0);
    ASSERT(fdpass_pair(SOCK_STREAM, fds) == 0);
    ASSERT(write(fds[1], bytes + 1, len - 1) == (ssize_t)len - 1);
    ASSERT(shutdown(fds[1], SHUT_WR) == 0);
    fuzz.fd = fds[0];
    fiber_group_init(&group);
    ASSERT(fiber_spawn(&group, "fuzz", fuzz_main, NULL) == 0);
    loop_run();
    close(fds[1]);
    loop_done();
    return 0;
}
