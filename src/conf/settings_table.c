/*
 * The table of settings: whoever adds one adds a field in settings.h and a row here, nothing else.
 *
 * The texts are read by operators in the manual page, in `hikyaku config --help` and in the sample
 * file: plain sentences, no markup. Defaults are checked against their own ranges by the tests.
 */
#include "conf/settings_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    KIB = 1024,
    MIB = 1024 * KIB,
};

#define TEN_YEARS_MS (3650 * (int64_t)DAY_MS)
#define GIB          (1024 * (int64_t)MIB)

static bool is_listen_address(struct str s)
{
    struct value_listen parsed;

    return value_parse_listen(s, &parsed) == 0;
}

static bool put_listen_advice(struct str s, struct buf *out)
{
    if (!str_has_prefix(s, STR("*:")))
        return false;
    buf_printf(out, "write both \"0.0.0.0%.*s\" and \"[::]%.*s\"",
               STR_ARG(str_sub(s, 1, SETTING_TEXT_MAX_BYTES)),
               STR_ARG(str_sub(s, 1, SETTING_TEXT_MAX_BYTES)));
    return true;
}

static bool is_network(struct str s)
{
    struct value_network parsed;

    return value_parse_network(s, &parsed) == 0;
}

static bool put_network_advice(struct str s, struct buf *out)
{
    struct value_network meant;

    if (value_parse_network(s, &meant) != -EDOM)
        return false;
    buf_put_c(out, "bits are set after the prefix: write ");
    value_format_network(&meant, out);
    buf_put_c(out, " or one address");
    return true;
}

static const struct setting_form hostname_form = {
    value_is_hostname, "a full host name in ASCII, such as mx.example.org", NULL};
static const struct setting_form path_form = {value_is_path,
                                              "an absolute path without \"..\" in it", NULL};
static const struct setting_form user_form = {value_is_user,
                                              "the name of a system user, such as hikyaku", NULL};
static const struct setting_form printable_form = {value_is_printable, "printable ASCII characters",
                                                   NULL};
static const struct setting_form separators_form = {
    value_is_separators, "different ASCII marks that may stand in an address, such as \"+\"", NULL};
static const struct setting_form listen_form = {
    is_listen_address, "ADDRESS:PORT in numbers, such as \"0.0.0.0:25\" or \"[::]:25\"",
    put_listen_advice};
static const struct setting_form network_form = {
    is_network, "a network such as 192.0.2.0/24 or \"2001:db8::/32\"", put_network_advice};

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const bare_newlines[] = {"refuse", "normalise", NULL};

static const struct setting_section sections[] = {
    {"server", "The machine, its directories and its processes."},
    {"listen", "Where the server waits for connections."},
    {"log", "What is written to the log, on standard error."},
    {"smtp", "What other mail servers may do here."},
    {"store", "How mail is kept."},
};

#define FIELD(section, leaf)                                                                       \
    .name = #section "." #leaf, .offset = offsetof(struct settings, section##_##leaf)

/* clang-format off */
static const struct setting table[] = {
    {FIELD(server, hostname), .type = SETTING_STRING, .form = &hostname_form,
     .min = 1, .max = VALUE_HOSTNAME_MAX_CHARS,
     .help = "The name by which other servers know this one: in the greeting, in Received fields "
             "and in message identifiers. It should resolve to this machine, and the addresses of "
             "this machine should resolve back to it."},
    {FIELD(server, data_dir), .type = SETTING_STRING, .form = &path_form,
     .text_default = "/var/lib/hikyaku", .min = 2, .max = 1024,
     .help = "The directory that holds all mail, the queue and the accounts. It must be on a local "
             "disk."},
    {FIELD(server, run_dir), .type = SETTING_STRING, .form = &path_form,
     .text_default = "/run/hikyaku", .min = 2, .max = 80,
     .help = "The directory for the sockets of the running server. It may be emptied when the "
             "machine starts."},
    {FIELD(server, user), .type = SETTING_STRING, .form = &user_form,
     .text_default = "hikyaku", .min = 1, .max = 32,
     .help = "The system user that the server becomes after it has opened its ports. Used only "
             "when it is started as root."},
    {FIELD(server, inbound_workers), .type = SETTING_INT, .text_default = "2",
     .min = 1, .max = 24,
     .help = "How many processes receive mail. About one for each processor core that may be busy "
             "with it."},
    {FIELD(server, node), .type = SETTING_INT, .text_default = "0", .min = 0, .max = 63,
     .help = "The number of this machine where several share one store: each needs its own, so "
             "that identifiers never meet."},
    {FIELD(server, drain_timeout), .type = SETTING_DURATION, .text_default = "30s",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long a stop or restart waits for running sessions to come to an end before it "
             "closes them."},

    {FIELD(listen, smtp), .type = SETTING_LIST, .form = &listen_form,
     .text_default = "0.0.0.0:25 [::]:25", .min = 0, .max = 32,
     .help = "Addresses and ports where other mail servers deliver. With an empty list no mail is "
             "taken from the network."},

    {FIELD(log, level), .type = SETTING_ENUM, .text_default = "info", .choices = log_levels,
     .min = LOG_ERROR, .max = LOG_DEBUG,
     .help = "The least important kind of event that is written."},
    {FIELD(log, format), .type = SETTING_ENUM, .text_default = "text", .choices = log_formats,
     .min = LOG_FORMAT_TEXT, .max = LOG_FORMAT_JSON,
     .help = "The form of each line: key=value for people, or JSON for programs."},

    {FIELD(smtp, banner_text), .type = SETTING_STRING, .form = &printable_form,
     .text_default = "Hikyaku", .min = 0, .max = 100,
     .help = "What the greeting says after the host name. It may be empty."},
    {FIELD(smtp, max_message_size), .type = SETTING_SIZE, .text_default = "50M",
     .min = 64 * KIB, .max = GIB,
     .help = "The largest message that is taken. Senders are told by the SIZE extension and "
             "larger mail is refused. An attached file grows by a third on its way."},
    {FIELD(smtp, max_recipients), .type = SETTING_INT, .text_default = "1000",
     /* SMTP_RECIPIENTS_MAX, which is what a frame to the store holds; svc/inbound asserts it. */
     .min = 1, .max = 1000,
     .help = "Recipients of one message; the sender may send it again to the others. RFC 5321 "
             "asks for 100 at least."},
    {FIELD(smtp, max_command_length), .type = SETTING_INT, .text_default = "4096",
     .min = 1024, .max = 16384,
     .help = "Bytes in one line of a command. RFC 5321 asks for 512, its extensions for more."},
    {FIELD(smtp, max_commands), .type = SETTING_INT, .text_default = "10000",
     .min = 100, .max = 1000000,
     .help = "Commands in one connection; then the server closes it."},
    {FIELD(smtp, max_transactions), .type = SETTING_INT, .text_default = "1000",
     .min = 1, .max = 100000,
     .help = "Messages in one connection; then the server closes it."},
    {FIELD(smtp, max_errors), .type = SETTING_INT, .text_default = "20", .min = 1, .max = 1000,
     .help = "Commands that fail in one connection; then the server closes it."},
    {FIELD(smtp, max_received), .type = SETTING_INT, .text_default = "50", .min = 10, .max = 200,
     .help = "Received fields in a message, one for each server it has passed. A message with "
             "more is refused because it probably runs in a circle."},
    {FIELD(smtp, bare_newline), .type = SETTING_ENUM, .text_default = "refuse",
     .choices = bare_newlines, .min = SETTINGS_BARE_NEWLINE_REFUSE,
     .max = SETTINGS_BARE_NEWLINE_NORMALISE,
     .help = "What to do with a message in which a line ends in LF without CR. To refuse it "
             "protects against smuggled mail; to normalise it makes such an end a proper one, "
             "for old devices that know no better, and still never ends the message at it."},
    {FIELD(smtp, recipient_separators), .type = SETTING_STRING, .form = &separators_form,
     .text_default = "+", .min = 0, .max = 4,
     .help = "Characters that begin the detail of a local address: with \"+\", mail to "
             "user+list@example.org goes to user@example.org. None if empty."},
    {FIELD(smtp, relay_networks), .type = SETTING_LIST, .form = &network_form,
     .text_default = "", .min = 0, .max = 256,
     .help = "Clients in these networks may send mail to any domain without logging in. List only "
             "machines that are under your own control."},
    {FIELD(smtp, max_connections), .type = SETTING_INT, .text_default = "10000",
     .min = 1, .max = 200000,
     .help = "Connections at one time, from everybody together; more are told to come back later."},
    {FIELD(smtp, max_connections_per_address), .type = SETTING_INT, .text_default = "50",
     .min = 1, .max = 200000,
     .help = "Connections at one time from one client address. It cannot be above "
             "smtp.max_connections."},
    {FIELD(smtp, command_timeout), .type = SETTING_DURATION, .text_default = "5min",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long a client may be silent between commands. RFC 5321 asks for 5min at least."},
    {FIELD(smtp, data_timeout), .type = SETTING_DURATION, .text_default = "3min",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long a client may be silent while it sends a message. RFC 5321 asks for 3min at "
             "least."},
    {FIELD(smtp, message_timeout), .type = SETTING_DURATION, .text_default = "30min",
     .min = MINUTE_MS, .max = DAY_MS,
     .help = "How long a client may take to send one whole message, however steadily."},

    {FIELD(store, expunged_retention), .type = SETTING_DURATION, .text_default = "14d",
     .min = 0, .max = TEN_YEARS_MS,
     .help = "How long messages that users deleted for good can still be brought back."},
    {FIELD(store, trace_retention), .type = SETTING_DURATION, .text_default = "30d",
     .min = HOUR_MS, .max = TEN_YEARS_MS,
     .help = "How long hikyaku trace can tell what became of a message."},
    {FIELD(store, segment_size), .type = SETTING_SIZE, .text_default = "256M",
     .min = MIB, .max = 4 * GIB,
     .help = "The size at which a file of message bodies is finished and the next one is begun."},
    {FIELD(store, compact_below), .type = SETTING_INT, .text_default = "50", .min = 0, .max = 90,
     .help = "A finished file of bodies is rewritten when less than this percentage of it is still "
             "needed. 0 turns that off: then no space is ever given back."},
    {FIELD(store, reader_threads), .type = SETTING_INT, .text_default = "2", .min = 1, .max = 16,
     .help = "Threads that answer reads from the store."},
    {FIELD(store, max_queue_messages), .type = SETTING_INT, .text_default = "1000000",
     .min = 100, .max = 100000000,
     .help = "Messages that may wait in the queue; beyond that, new mail is put off with a "
             "temporary refusal."},
    {FIELD(store, min_free_space), .type = SETTING_SIZE, .text_default = "64M",
     .min = 0, .max = 1024 * GIB,
     .help = "When the disk of server.data_dir has less free space than this, new mail is put off "
             "with reply 452; reading and deleting go on."},
};
/* clang-format on */

_Static_assert(ARRAY_LEN(table) <= SETTING_MAX_ROWS, "SETTING_MAX_ROWS is too small");

static bool has_unreachable_connections(const struct settings *s)
{
    return s->smtp_max_connections_per_address > s->smtp_max_connections;
}

static struct str without_final_slash(const char *path)
{
    struct str s = str_from_c(path);

    return str_has_suffix_nocase(s, STR("/")) ? str_sub(s, 0, s.len - 1) : s;
}

static bool has_one_directory(const struct settings *s)
{
    return str_eq(without_final_slash(s->server_data_dir), without_final_slash(s->server_run_dir));
}

static const struct setting_conflict conflicts[] = {
    {"smtp.max_connections_per_address", "smtp.max_connections", has_unreachable_connections,
     "one address cannot have more connections than all together; lower the first or raise the "
     "second"},
    {"server.run_dir", "server.data_dir", has_one_directory,
     "mail and sockets cannot share a directory; name two"},
};

const struct setting *setting_table(size_t *out_count)
{
    *out_count = ARRAY_LEN(table);
    return table;
}

const struct setting_section *setting_sections(size_t *out_count)
{
    *out_count = ARRAY_LEN(sections);
    return sections;
}

const struct setting_conflict *setting_conflicts(size_t *out_count)
{
    *out_count = ARRAY_LEN(conflicts);
    return conflicts;
}

const struct setting *setting_find(struct str name, size_t *out_index)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!str_eq_c(name, table[i].name))
            continue;
        *out_index = i;
        return &table[i];
    }
    return NULL;
}

struct str setting_section_name(const struct setting *row)
{
    struct str section, leaf;

    (void)str_cut(str_from_c(row->name), '.', &section, &leaf);
    return section;
}

const char *setting_leaf_name(const struct setting *row)
{
    const char *dot = strchr(row->name, '.');

    ASSERT(dot != NULL);
    return dot + 1;
}

size_t settings_count(void)
{
    return ARRAY_LEN(table);
}

const char *settings_name(size_t index)
{
    ASSERT(index < ARRAY_LEN(table));
    return table[index].name;
}

struct settings *settings_defaults(void)
{
    struct settings *s = xcalloc(1, sizeof(*s));

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        setting_set_default(&table[i], s);
    return s;
}

void settings_free(struct settings *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        setting_clear(&table[i], s);
    free(s);
}
