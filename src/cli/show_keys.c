/* Certificates for people: see show_keys.h. */
#include "cli/show_keys.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/text.h"
#include "store/wire.h"
#include "svc/key_report.h"

enum { DAY_MS = 24 * 3600 * 1000, LINE_MAX_BYTES = 16 * 1024, ARENA_BYTES = 1 << 20 };

int show_keys_ask(struct cli *cli, struct buf *out_reply)
{
    return client_do(&cli->client, STORE_KEY_REPORTS, STR(""), out_reply);
}

static int fail(void)
{
    return cli_fail("the server's answer makes no sense; is it the same version?");
}

static int64_t days_left(const struct key_report *report)
{
    return (report->not_after_ms - clock_real_ms()) / DAY_MS;
}

static bool has_expired(const struct key_report *report)
{
    return report->not_after_ms < clock_real_ms();
}

static void print_line(int columns, const char *lead, struct str text)
{
    struct buf line;

    buf_init(&line, LINE_MAX_BYTES);
    text_put_safe_line(&line, text);
    text_print_labelled((size_t)columns, lead, buf_c_str(&line));
    buf_done(&line);
}

static void put_date(struct buf *out, int64_t real_ms)
{
    char text[CLOCK_TEXT_BYTES];
    const char *date = clock_format_utc(real_ms, text);

    buf_put_str(out, str_sub(str_from_c(date), 0, sizeof("2026-11-21") - 1));
}

static void put_names(struct buf *out, const struct key_report *report)
{
    for (uint32_t i = 0; i < report->name_count; i++)
        buf_printf(out, "%s%.*s", i > 0 ? ", " : "", STR_ARG(report->names[i]));
    if (report->name_count == 0)
        buf_put_c(out, text_in("for no host", "ホスト名なし"));
    if (report->names_left_out > 0)
        buf_printf(out, text_is_japanese() ? "、ほか %u 件" : " and %u more",
                   report->names_left_out);
}

static void put_validity(struct buf *out, const struct key_report *report)
{
    long long days = (long long)days_left(report);
    bool is_japanese = text_is_japanese();

    buf_put_c(out, is_japanese ? "" : "until ");
    put_date(out, report->not_after_ms);
    if (is_japanese)
        buf_printf(out, " まで（残り %lld 日）、", days);
    else
        buf_printf(out, ", %lld day%s left; ", days, days == 1 ? "" : "s");
    buf_put_str(out, report->key);
    buf_put_c(out, is_japanese ? "、" : "; ");
    if (report->is_self_signed)
        buf_put_c(out, is_japanese ? "自己署名" : "self-signed");
    else
        buf_printf(out, is_japanese ? "発行者 %.*s" : "by %.*s", STR_ARG(report->issuer));
}

static void put_warning(struct buf *out, const struct key_report *report)
{
    if (has_expired(report))
        buf_put_c(out, text_in("warning: it has expired, others refuse it; renew it. ",
                               "警告: 期限が切れ、相手に拒否されます。更新してください。"));
    else if (report->not_before_ms > clock_real_ms())
        buf_put_c(out, text_in("warning: it is not valid yet; is the clock right? ",
                               "警告: まだ有効ではありません。時計は合っていますか。"));
    else if (days_left(report) < KEY_REPORT_WARN_DAYS)
        buf_put_c(out, text_in("warning: it expires soon; renew it. ",
                               "警告: まもなく期限が切れます。更新してください。"));
    if (report->lacks_hostname)
        buf_put_c(out, text_in("warning: it is not for server.hostname. ",
                               "警告: server.hostname の証明書ではありません。"));
}

static void print_certificate(int columns, const char *title, const struct key_report *report)
{
    struct buf text;

    buf_init(&text, LINE_MAX_BYTES);
    put_names(&text, report);
    print_line(columns, title, buf_str(&text));
    buf_reset(&text);
    put_validity(&text, report);
    print_line(columns, "", buf_str(&text));
    print_line(columns, "", report->file);
    buf_reset(&text);
    put_warning(&text, report);
    if (text.len > 0)
        print_line(columns, "", buf_str(&text));
    buf_done(&text);
}

static void print_report(int columns, const struct key_report *report)
{
    struct buf title, text;

    buf_init(&title, LINE_MAX_BYTES);
    buf_init(&text, LINE_MAX_BYTES);
    text_put_safe_line(&title, report->title);
    if (report->is_certificate)
        print_certificate(columns, buf_c_str(&title), report);
    if (report->problem.len > 0) {
        const char *kept = text_in("warning: what is there now cannot be used, the old one is",
                                   "警告: 今あるものは使えないため、以前のものを使っています");
        const char *unused = text_in("warning: it cannot be used", "警告: 使えません");
        buf_printf(&text, "%s: %.*s", report->is_certificate ? kept : unused,
                   STR_ARG(report->problem));
        print_line(columns, report->is_certificate ? "" : buf_c_str(&title), buf_str(&text));
    }
    buf_done(&title);
    buf_done(&text);
}

int show_keys_print(struct str reports, int columns)
{
    struct cursor c = cursor_from(reports);
    struct key_report report;
    struct arena arena;
    int r = 0;

    arena_init(&arena, ARENA_BYTES);
    while (r == 0 && cursor_left(&c) > 0) {
        r = key_report_get(&c, &arena, &report);
        if (r == 0)
            print_report(columns, &report);
    }
    arena_done(&arena);
    return r < 0 ? fail() : CLI_DONE;
}

static json_t *text_or_null(struct str text)
{
    return text.len > 0 ? cli_json_text(text) : json_null();
}

static json_t *certificate_json(const struct key_report *report)
{
    json_t *names = json_array();

    for (uint32_t i = 0; i < report->name_count; i++)
        (void)json_array_append_new(names, cli_json_text(report->names[i]));
    return json_pack("{s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:I, s:b, s:b, s:b, s:o}", "title",
                     cli_json_text(report->title), "file", cli_json_text(report->file), "names",
                     names, "names_left_out", (int)report->names_left_out, "issuer",
                     cli_json_text(report->issuer), "key", cli_json_text(report->key), "not_before",
                     cli_json_time(report->not_before_ms), "not_after",
                     cli_json_time(report->not_after_ms), "days_left",
                     (json_int_t)days_left(report), "has_expired", (int)has_expired(report),
                     "is_self_signed", (int)report->is_self_signed, "lacks_hostname",
                     (int)report->lacks_hostname, "problem", text_or_null(report->problem));
}

int show_keys_json(struct str reports, json_t *object)
{
    json_t *certificates = json_array(), *files = json_array();
    struct cursor c = cursor_from(reports);
    struct key_report report;
    struct arena arena;
    int r = 0;

    arena_init(&arena, ARENA_BYTES);
    while (r == 0 && cursor_left(&c) > 0) {
        r = key_report_get(&c, &arena, &report);
        if (r == 0 && report.is_certificate)
            (void)json_array_append_new(certificates, certificate_json(&report));
        else if (r == 0)
            (void)json_array_append_new(files, json_pack("{s:o, s:o, s:o}", "title",
                                                         cli_json_text(report.title), "file",
                                                         cli_json_text(report.file), "problem",
                                                         cli_json_text(report.problem)));
    }
    arena_done(&arena);
    (void)json_object_set_new(object, "certificates", certificates);
    (void)json_object_set_new(object, "unusable_files", files);
    return r < 0 ? fail() : CLI_DONE;
}
