/* When a mail goes out, and how urgent it is: see send_times.h. */
#include "cli/send_times.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "cli/moment.h"
#include "cli/text.h"
#include "conf/value.h"
#include "store/wire.h"

enum { SECOND_MS = 1000, BY_MAX_S = 999999999 /* RFC 2852 */ };

/* A duration of at least a second. */
static int read_duration(const struct cli *cli, const char *option, int64_t *out_ms)
{
    if (value_parse_duration(str_from_c(cli_option(cli, option)), out_ms) < 0 ||
        *out_ms < SECOND_MS)
        return cli_usage(cli, "%s wants a time of at least 1s, such as 30min, 2h or 1d", option);
    return CLI_DONE;
}

static int check_release(const struct cli *cli, int64_t release_ms, int64_t now_ms)
{
    CLEANUP(buf_done) struct buf longest;

    if (release_ms <= now_ms)
        return cli_usage(cli, "that time is over; without --at the mail goes at once");
    if (release_ms - now_ms <= cli->settings->submit_max_hold)
        return CLI_DONE;
    buf_init(&longest, 64);
    text_put_span(&longest, cli->settings->submit_max_hold, false);
    return cli_fail("a mail can wait for %s at most (submit.max_hold in the server's "
                    "configuration)",
                    buf_c_str(&longest));
}

static int read_release(const struct cli *cli, int64_t now_ms, struct send_times *out)
{
    const char *at = cli_option(cli, "--at"), *in = cli_option(cli, "--in");
    int64_t wait_ms = 0;

    if (at == NULL && in == NULL)
        return CLI_DONE;
    if (at != NULL && in != NULL)
        return cli_usage(cli, "say either --at or --in");
    if (at != NULL && moment_parse(str_from_c(at), now_ms, &out->release_ms) < 0)
        return cli_usage(cli, "--at wants a time, such as 18:30 or \"2026-11-21 18:30\"");
    int status = in != NULL ? read_duration(cli, "--in", &wait_ms) : CLI_DONE;
    if (status != CLI_DONE)
        return status;
    /* Whole seconds, not too early. */
    if (in != NULL)
        out->release_ms = (now_ms + wait_ms + SECOND_MS - 1) / SECOND_MS * SECOND_MS;
    return check_release(cli, out->release_ms, now_ms);
}

/* --by counts from the time at which the mail goes out. */
static int read_by(const struct cli *cli, int64_t now_ms, struct arena *arena,
                   struct send_times *out)
{
    bool must_return = cli_option(cli, "--return") != NULL;
    int64_t by_ms = 0;

    if (cli_option(cli, "--by") == NULL)
        return must_return ? cli_usage(cli, "--return goes with --by") : CLI_DONE;
    int status = read_duration(cli, "--by", &by_ms);
    if (status != CLI_DONE)
        return status;
    if (must_return && by_ms < cli->settings->submit_min_deliver_by)
        return cli_fail("that is too soon to be promised (submit.min_deliver_by in the server's "
                        "configuration)");
    if (out->release_ms != 0)
        by_ms += out->release_ms - now_ms;
    if (by_ms / SECOND_MS > BY_MAX_S)
        return cli_usage(cli, "--by is too far away");
    out->by = str_from_c(
        arena_printf(arena, "%lld;%c", (long long)(by_ms / SECOND_MS), must_return ? 'R' : 'N'));
    return CLI_DONE;
}

static int read_priority(const struct cli *cli, struct send_times *out)
{
    struct str text = str_from_c(cli_option(cli, "--priority"));
    struct str digits = str_sub(text, str_has_prefix(text, STR("-")) ? 1 : 0, text.len);
    uint64_t value;

    if (text.len == 0)
        return CLI_DONE;
    if (digits.len != 1 || str_to_u64(digits, DELIVER_PRIORITY_MAX, &value) < 0)
        return cli_usage(cli, "--priority is a number from -9, last, to 9, first");
    out->priority = value == 0 ? STR("0") : text;
    return CLI_DONE;
}

int send_times_read(const struct cli *cli, struct arena *arena, struct send_times *out)
{
    const int64_t now_ms = clock_real_ms();
    char text[CLOCK_TEXT_BYTES];

    *out = (struct send_times){.release_ms = 0};
    int status = read_release(cli, now_ms, out);
    if (status == CLI_DONE)
        status = read_by(cli, now_ms, arena, out);
    if (status == CLI_DONE)
        status = read_priority(cli, out);
    if (status == CLI_DONE && out->release_ms != 0)
        out->hold_until = arena_str(arena, str_from_c(clock_format_utc(out->release_ms, text)));
    return status;
}
