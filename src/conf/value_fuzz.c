/*
 * Fuzz target for all that src/conf reads. The first byte chooses: a value through every parser, a
 * whole file through the syntax or all the way to settings, or bytes through settings_decode. What
 * parses must print to something that parses to the same.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "conf/report.h"
#include "conf/route.h"
#include "conf/scan.h"
#include "conf/settings.h"
#include "conf/suggest.h"
#include "conf/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { TEXT_MAX_BYTES = 256, FILE_MAX_BYTES = 1 << 16, REPORT_MAX_BYTES = 1 << 20 };

static void try_numbers(struct str text)
{
    uint64_t size, size_again;
    int64_t ms, ms_again;
    struct buf b;

    buf_init(&b, TEXT_MAX_BYTES);
    if (value_parse_size(text, &size) == 0) {
        value_format_size(size, &b);
        ASSERT(value_parse_size(buf_str(&b), &size_again) == 0 && size_again == size);
    }
    buf_reset(&b);
    if (value_parse_duration(text, &ms) == 0) {
        value_format_duration(ms, &b);
        ASSERT(value_parse_duration(buf_str(&b), &ms_again) == 0 && ms_again == ms);
    }
    buf_done(&b);
}

static void try_names(struct str text)
{
    struct value_network network, again;
    struct value_listen listen;
    int64_t number;
    bool truth;
    struct buf b;

    buf_init(&b, TEXT_MAX_BYTES);
    int rc = value_parse_network(text, &network);
    if (rc == 0 || rc == -EDOM) {
        value_format_network(&network, &b);
        ASSERT(value_parse_network(buf_str(&b), &again) == 0);
        ASSERT(again.prefix_bits == network.prefix_bits);
    }
    buf_done(&b);
    (void)!value_parse_listen(text, &listen);
    (void)!value_parse_int(text, &number);
    (void)!value_parse_bool(text, &truth);
    (void)value_is_hostname(text);
    (void)value_is_path(text);
    (void)value_is_user(text);
    (void)value_is_printable(text);
    (void)value_is_separators(text);
    (void)suggest_distance(text, STR("smtp.max_message_size"), 3);
}

/* What is said to be of a form keeps its promises: numbers in range, names inside the text. */
static void try_composed(struct str text)
{
    struct value_server server;
    struct value_stub stub;
    struct value_host host;
    struct value_sender sender;

    if (value_parse_server(text, &server) == 0)
        ASSERT(server.port > 0 && server.address[0] != '\0');
    if (value_parse_stub(text, &stub) == 0)
        ASSERT(stub.zone.len > 0 && stub.zone.len < text.len && stub.server.port > 0);
    if (value_parse_host(text, &host) == 0) {
        ASSERT(host.name.len > 0 && host.name.len <= text.len && host.port > 0);
        ASSERT(host.weight >= 1 && host.weight <= VALUE_WEIGHT_MAX);
    }
    if (value_parse_sender(text, &sender) == 0)
        ASSERT(value_is_user(sender.login) && str_find(sender.address, '@') > 0);
    if (value_is_domain_pattern(text))
        ASSERT(value_is_sender_pattern(text));
    (void)value_is_record(text);
    (void)value_is_section_label(text);
    (void)route_pattern_matches(text, STR("a.example.org"));
    (void)route_pattern_matches(STR("*.example.org"), text);
}

/* The path lies where nothing can be included from. */
static void try_file(struct str text)
{
    struct scan scan;
    struct report report;
    struct buf b;

    scan_init(&scan);
    report_init(&report);
    buf_init(&b, REPORT_MAX_BYTES);
    scan_text(&scan, "/nonexistent/fuzz.conf", text, &report);
    for (size_t i = 0; i < scan.entry_count; i++)
        ASSERT(scan.entries[i].first_value + scan.entries[i].value_count <= scan.value_count);
    report_print(&report, &b);
    ASSERT(buf_status(&b) == 0);
    buf_done(&b);
    report_done(&report);
    scan_done(&scan);
}

static struct settings *load(struct str text)
{
    struct settings *s;
    struct buf errors;
    char path[64];
    CLEANUP(cleanup_close) int fd = memfd_create("fuzz.conf", MFD_CLOEXEC);

    ASSERT(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    buf_init(&errors, REPORT_MAX_BYTES);
    int rc = settings_load(path, &s, &errors);
    ASSERT((rc == 0) == (errors.len == 0) && (rc == 0) == (s != NULL));
    buf_done(&errors);
    return s;
}

/* What loads must print to a file that loads as the same. Nothing is included from anywhere. */
static void try_load(struct str text)
{
    struct buf printed, first, second;

    if (str_contains_nocase(text, STR(".include")))
        return;
    struct settings *s = load(text);
    if (s == NULL)
        return;
    buf_init(&printed, 4 * REPORT_MAX_BYTES);
    buf_init(&first, 4 * REPORT_MAX_BYTES);
    buf_init(&second, 4 * REPORT_MAX_BYTES);
    settings_print(s, &printed);
    settings_encode(s, &first);
    settings_free(s);
    s = load(buf_str(&printed));
    ASSERT(s != NULL);
    settings_encode(s, &second);
    ASSERT(str_eq(buf_str(&first), buf_str(&second)));
    settings_free(s);
    buf_done(&printed);
    buf_done(&first);
    buf_done(&second);
}

static void try_wire(struct str text)
{
    struct settings *s;
    struct buf b;

    if (settings_decode(text, &s) < 0)
        return;
    buf_init(&b, REPORT_MAX_BYTES * 2);
    settings_encode(s, &b);
    ASSERT(str_eq(buf_str(&b), text));
    buf_done(&b);
    settings_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_from_mem(bytes, len);

    if (len < 1 || len > FILE_MAX_BYTES)
        return 0;
    if (bytes[0] == 'F') {
        try_file(str_sub(text, 1, len));
    } else if (bytes[0] == 'L') {
        try_load(str_sub(text, 1, len));
    } else if (bytes[0] == 'W') {
        try_wire(str_sub(text, 1, len));
    } else {
        try_numbers(text);
        try_names(text);
        try_composed(text);
    }
    return 0;
}
