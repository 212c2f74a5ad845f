/* A scripted peer for the tests of the client session: see client_peer.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rt/fdpass.h"
#include "smtp/client_peer.h"

struct scripted_peer peer;
struct scripted_source source;
struct smtp_client client;
struct smtp_client_config config;
static const struct scenario *scenario;

static void expect_bytes(const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        struct str pending = stream_pending(&peer.stream);
        size_t part = MIN(pending.len, len - at);
        if (part == 0) {
            int r = stream_fill(&peer.stream);
            if (r <= 0)
                fail_msg("the client said nothing more, instead of \"%.*s\" (%d)", (int)len, bytes,
                         r);
            continue;
        }
        if (memcmp(pending.ptr, &bytes[at], part) != 0)
            fail_msg("the client said \"%.*s\" instead of \"%.*s\"", STR_ARG(pending), (int)len,
                     bytes);
        stream_take(&peer.stream, part);
        at += part;
    }
}

static void take_bytes(size_t len)
{
    while (len > 0) {
        struct str pending = stream_pending(&peer.stream);
        size_t part = MIN(pending.len, len);
        buf_put(&peer.text, pending.ptr, part);
        stream_take(&peer.stream, part);
        len -= part;
        if (len > 0 && part == 0)
            assert_true(stream_fill(&peer.stream) > 0);
    }
}

static void take_dotted(void)
{
    struct str line;

    do {
        assert_int_equal(stream_read_line(&peer.stream, LINE_MAX_BYTES, &line), 0);
        buf_put_str(&peer.text, line);
    } while (!str_eq_c(line, ".\r\n"));
}

static void take_chunk(void)
{
    struct str line, head, tail;
    uint64_t len;

    assert_int_equal(stream_read_line(&peer.stream, LINE_MAX_BYTES, &line), 0);
    assert_true(str_has_prefix(line, STR("BDAT ")));
    assert_true(str_cut(str_sub(line, 5, line.len), ' ', &head, &tail));
    assert_true(str_eq_c(tail, "LAST\r\n"));
    assert_int_equal(str_to_u64(head, UINT32_MAX, &len), 0);
    take_bytes(len);
}

static void peer_wait_closed(void)
{
    do {
        stream_take(&peer.stream, stream_pending(&peer.stream).len);
    } while (stream_fill(&peer.stream) > 0);
}

static void peer_say(struct str text, bool is_line)
{
    struct str end = is_line ? STR("\r\n") : STR("");

    /* The client may be gone. */
    (void)!stream_write(&peer.stream, text);
    (void)!stream_write(&peer.stream, end);
}

static void expect_line(const char *line, size_t len)
{
    expect_bytes(line, len);
    expect_bytes("\r\n", 2);
}

/* One byte at a time. */
static void peer_drip(struct str text)
{
    for (size_t i = 0; i < text.len && !peer.is_client_done; i++) {
        (void)!stream_write(&peer.stream, str_sub(text, i, 1));
        (void)!stream_flush(&peer.stream);
        assert_int_equal(fiber_sleep_until(clock_mono_ms() + SHORT_MS / 5), 0);
    }
}

static void shrink(int fd)
{
    int bytes = 1; /* the kernel's least */

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
}

static void peer_shrink(void)
{
    shrink(peer.stream.watch.fd);
}

static void peer_flush(void)
{
    assert_int_equal(stream_flush(&peer.stream), 0);
}

static void peer_quiet(void)
{
    peer_flush();
    peer_wait_closed();
}

/* Neither reads nor speaks until the client has closed. */
static void peer_stuck(void)
{
    peer_flush();
    while (!peer.is_client_done)
        assert_int_equal(fiber_sleep_until(clock_mono_ms() + 1), 0);
}

/* Waits for the test to let it go on. */
static void peer_gate(void)
{
    peer_flush();
    while (!peer.may_pass && !peer.is_client_done)
        assert_int_equal(fiber_sleep_until(clock_mono_ms() + 1), 0);
}

/* Closes with unread bytes, which the client sees as a reset. */
static void peer_drop(void)
{
    (void)!stream_flush(&peer.stream);
    stream_done(&peer.stream);
}

static const struct {
    const char *step;
    void (*run)(void);
} STEPS[] = {
    {"<.", take_dotted}, {"<B", take_chunk},  {"small", peer_shrink}, {"quiet", peer_quiet},
    {"drop", peer_drop}, {"gate", peer_gate}, {"stuck", peer_stuck},
};

static bool peer_named_step(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(STEPS); i++) {
        if (!str_eq_c(text, STEPS[i].step))
            continue;
        STEPS[i].run();
        return true;
    }
    return false;
}

static void peer_words(char *line, size_t len)
{
    struct str text = str_from_mem(line, len);
    uint64_t count = 0;

    if (str_has_prefix(text, STR("<> "))) {
        char *reply = strstr(line, " => ");
        assert_non_null(reply);
        expect_line(&line[3], (size_t)(reply - line) - 3);
        peer_say(str_sub(text, (size_t)(reply - line) + 4, len), true);
        peer_flush();
    } else if (str_has_prefix(text, STR(">~ "))) {
        peer_drip(str_sub(text, 3, len));
    } else if (str_has_prefix(text, STR(">-"))) {
        peer_say(str_sub(text, 3, len), false);
    } else if (str_has_prefix(text, STR("> "))) {
        peer_say(str_sub(text, 2, len), true);
    } else if (str_has_prefix(text, STR("<~"))) {
        assert_int_equal(str_to_u64(str_sub(text, 2, len), UINT32_MAX, &count), 0);
        take_bytes(count);
    } else {
        assert_true(str_has_prefix(text, STR("< ")));
        expect_line(&line[2], len - 2);
    }
}

static void peer_step(struct str step, size_t number)
{
    char line[LINE_MAX_BYTES];
    size_t len = 0;

    if (peer_named_step(step))
        return;
    for (size_t i = 0; i < step.len; i++) {
        if (step.ptr[i] == '#')
            len += (size_t)snprintf(&line[len], 8, "%zu", number);
        else
            line[len++] = step.ptr[i];
    }
    line[len] = '\0';
    peer_words(line, len);
}

static void peer_main(void *arg)
{
    struct str rest = str_from_c(peer.script), step;
    uint64_t times = 1, from = 1;

    (void)arg;
    stream_set_deadline(&peer.stream, clock_mono_ms() + LONG_MS);
    while (rest.len > 0) {
        (void)str_cut(rest, '\n', &step, &rest);
        if (str_has_prefix(step, STR("times "))) {
            struct str count, first;
            (void)str_cut(str_sub(step, 6, step.len), ' ', &count, &first);
            assert_int_equal(str_to_u64(count, 1000000, &times), 0);
            from = 1;
            assert_true(first.len == 0 || str_to_u64(first, 1000000, &from) == 0);
            continue;
        }
        for (size_t i = 0; i < times; i++)
            peer_step(step, from + i);
        times = 1;
    }
    peer_drop();
    peer.has_ended = true;
}

static int next_piece(void *arg, struct str *out_piece)
{
    (void)arg;
    if (source.at == source.piece_count)
        return source.error;
    *out_piece = str_from_c(source.pieces[source.at++]);
    bool is_last = source.tells_last && source.at == source.piece_count;
    return is_last ? SMTP_CLIENT_LAST_PIECE : SMTP_CLIENT_PIECE;
}

static int before_end(void *arg)
{
    (void)arg;
    source.ends++;
    return source.end_error;
}

static void reply_print(const struct smtp_client_reply *reply, struct buf *out)
{
    if (reply->error != 0)
        buf_printf(out, "%s at %s\n", strerrorname_np(-reply->error),
                   smtp_client_stage_name(reply->stage));
    else
        buf_printf(out, "%d%s%s at %s%s: %.*s\n", reply->code, reply->enhanced[0] ? " " : "",
                   reply->enhanced, smtp_client_stage_name(reply->stage),
                   reply->is_local ? " (local)" : "", STR_ARG(reply->text));
}

/* One line a recipient; equal ones that follow each other as one, with their number. */
static void outcome_print(const struct smtp_client_outcome *o, size_t count, struct buf *out)
{
    struct buf line, last;
    size_t same = 0;

    buf_init(&line, LINE_MAX_BYTES);
    buf_init(&last, LINE_MAX_BYTES);
    for (size_t i = 0; i <= count; i++) {
        buf_reset(&line);
        if (i < count)
            reply_print(&o->recipients[i], &line);
        if (i > 0 && !str_eq(buf_str(&line), buf_str(&last))) {
            if (same > 1)
                buf_printf(out, "%zu times ", same);
            buf_put_str(out, buf_str(&last));
            same = 0;
        }
        buf_reset(&last);
        buf_put_str(&last, buf_str(&line));
        same++;
    }
    buf_done(&line);
    buf_done(&last);
}

static struct smtp_client_recipient *make_recipients(size_t count, struct arena *arena)
{
    struct smtp_client_recipient *list = arena_alloc(arena, MAX(count, (size_t)2) * sizeof(*list));

    for (size_t i = 0; i < count; i++)
        list[i].address = str_from_c(arena_printf(arena, "r%zu@example.net", i + 1));
    if (count == 0) {
        list[0].address = STR("a@example.net");
        list[1].address = STR("b@example.net");
    }
    return list;
}

struct smtp_client_message scenario_message(size_t recipients, struct arena *arena)
{
    return (struct smtp_client_message){.sender = STR("s@example.jp"),
                                        .recipients = make_recipients(recipients, arena),
                                        .recipient_count = recipients > 0 ? recipients : 2,
                                        .next_piece = next_piece,
                                        .before_end = before_end};
}

void scenario_close(void)
{
    int64_t until_ms = clock_mono_ms() + LONG_MS;

    smtp_client_close(&client);
    peer.is_client_done = true;
    while (!peer.has_ended && clock_mono_ms() < until_ms)
        assert_int_equal(fiber_sleep_until(clock_mono_ms() + 1), 0);
    assert_true(peer.has_ended);
}

bool scenario_send(const struct smtp_client_message *m, struct buf *out)
{
    struct arena arena;
    struct smtp_client_outcome outcome;
    size_t good = 0;

    arena_init(&arena, smtp_client_arena_bytes(m->recipient_count));
    assert_int_equal(smtp_client_send(&client, m, &arena, &outcome), 0);
    for (size_t i = 0; i < m->recipient_count; i++) {
        const struct smtp_client_reply *r = &outcome.recipients[i];
        good += r->code >= 200 && r->code < 300;
        assert_true((r->code == 0) == (r->error != 0));
    }
    assert_int_equal(outcome.accepted, good);
    outcome_print(&outcome, m->recipient_count, out);
    arena_done(&arena);
    return outcome.is_unknown;
}

bool scenario_open(int fd, struct buf *out)
{
    struct arena arena;
    struct smtp_client_reply reply;

    arena_init(&arena, smtp_client_arena_bytes(0));
    int r = smtp_client_open(&client, fd, &config, &arena, &reply);
    if (r < 0)
        reply_print(&reply, out);
    arena_done(&arena);
    return r == 0;
}

static void scenario_main(void *arg)
{
    struct arena arena;
    struct buf printed;
    bool is_unknown = false;
    const int *fd = arg;

    arena_init(&arena, 1024 * 1024);
    buf_init(&printed, 256 * 1024);
    struct smtp_client_message m = scenario_message(scenario->recipients, &arena);
    if (scenario->is_narrow)
        shrink(*fd);
    bool is_open = scenario_open(*fd, &printed);
    if (is_open)
        is_unknown = scenario_send(&m, &printed);
    bool is_usable = client.is_usable;
    scenario_close();
    assert_string_equal(buf_c_str(&printed), scenario->expected);
    assert_int_equal(is_usable, is_open && !scenario->is_unusable);
    assert_int_equal(is_unknown, scenario->is_unknown);
    assert_int_equal(source.ends, scenario->before_end);
    if (scenario->text != NULL)
        assert_string_equal(buf_c_str(&peer.text), scenario->text);
    buf_done(&printed);
    arena_done(&arena);
    loop_stop();
}

void scenario_run_fiber(fiber_fn *fn, const char *script)
{
    static struct fiber_group roots;
    int fds[2];

    source.at = 0;
    source.ends = 0;
    assert_int_equal(loop_init(), 0);
    assert_int_equal(fdpass_pair(SOCK_STREAM, fds), 0);
    memset(&peer, 0, sizeof(peer));
    peer.script = script;
    buf_init(&peer.text, 8 * 1024 * 1024);
    assert_int_equal(stream_init(&peer.stream, fds[1]), 0);
    fiber_group_init(&roots);
    assert_int_equal(fiber_spawn(&roots, "peer", peer_main, NULL), 0);
    assert_int_equal(fiber_spawn(&roots, "test", fn, &fds[0]), 0);
    loop_run();
    buf_done(&peer.text);
    loop_done();
}

void scenario_set_up(int64_t timeout_ms)
{
    static const char *const pieces[] = {TEXT_DEFAULT};

    memset(&source, 0, sizeof(source));
    source.pieces = pieces;
    source.piece_count = 1;
    config = (struct smtp_client_config){
        .ehlo_name = "me.example.jp",
        .timeouts = {timeout_ms, timeout_ms, timeout_ms, timeout_ms, timeout_ms}};
}

void scenario_run(const struct scenario *s)
{
    scenario = s;
    print_message("    %s\n", s->name);
    scenario_set_up(s->is_short ? SHORT_MS : LONG_MS);
    if (s->pieces != NULL || s->source_error != 0) {
        source.pieces = s->pieces;
        source.piece_count = s->piece_count;
        source.tells_last = s->tells_last;
    }
    source.error = s->source_error;
    source.end_error = s->end_error;
    scenario_run_fiber(scenario_main, s->script);
}

void scenario_run_table(const struct scenario *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        scenario_run(&table[i]);
}
