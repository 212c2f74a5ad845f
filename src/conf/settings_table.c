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

#include "conf/settings_form.h"
#include "conf/url.h"
#include "conf/value.h"

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    KIB = 1024,
    MIB = 1024 * KIB,
    PATH_MAX_CHARS = 1024,
};

#define TEN_YEARS_MS (3650 * (int64_t)DAY_MS)
#define GIB          (1024 * (int64_t)MIB)

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const check_senders[] = {"nothing", "envelope", "header", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const oauth_checks[] = {"off", "keys", "introspection", NULL};
static const char *const bare_newlines[] = {"refuse", "normalise", NULL};

static const char *const backends[] = {"internal", "pam", "ldap", NULL};
static const char *const ldap_starttls[] = {"remote", "always", "never", NULL};
static const char *const pam_users[] = {"local_part", "address", NULL};

/* In the order of enum settings_families and settings_languages. */
static const char *const families[] = {"ipv4_first", "ipv6_first", "ipv4_only", "ipv6_only", NULL};
static const char *const languages[] = {"both", "english", "japanese", NULL};

static const struct setting_section sections[] = {
    {"server", "The machine, its directories and its processes."},
    {"listen", "Where the server waits for connections."},
    {"tls", "How connections are encrypted; the certificates have sections of their own."},
    {"log", "What is written to the log, on standard error."},
    {"smtp", "What other mail servers may do here."},
    {"store", "How mail is kept."},
    {"outbound", "How mail is given to other servers."},
    {"queue", "How long mail waits for them, and what its senders are told."},
    {"resolver", "How questions to the DNS are answered."},
    {"brakes", "What slows down those who guess passwords or come too often."},
    {"submission", "Mail that users give to be sent, after they have logged in."},
    {"auth", "How users prove who they are."},
    {"submit", "Mail of programs on this machine, given by the command sendmail."},
};

#define FIELD(section, leaf)                                                                       \
    .name = #section "." #leaf, .offset = offsetof(struct settings, section##_##leaf)

/* clang-format off */
static const struct setting table[] = {
    {FIELD(server, hostname), .type = SETTING_STRING, .form = &form_hostname,
     .min = 1, .max = VALUE_HOSTNAME_MAX_CHARS,
     .help = "The name by which other servers know this one: in the greeting, in Received fields "
             "and in message identifiers. It should resolve to this machine, and the addresses of "
             "this machine should resolve back to it."},
    {FIELD(server, data_dir), .type = SETTING_STRING, .form = &form_path,
     .text_default = "/var/lib/hikyaku", .min = 2, .max = PATH_MAX_CHARS,
     .help = "The directory that holds all mail, the queue and the accounts. It must be on a local "
             "disk."},
    {FIELD(server, run_dir), .type = SETTING_STRING, .form = &form_path,
     .text_default = "/run/hikyaku", .min = 2, .max = 80,
     .help = "The directory for the sockets of the running server. It may be emptied when the "
             "machine starts."},
    {FIELD(server, user), .type = SETTING_STRING, .form = &form_user,
     .text_default = "hikyaku", .min = 1, .max = 32,
     .help = "The system user that the server becomes after it has opened its ports. Used only "
             "when it is started as root."},
    {FIELD(server, inbound_workers), .type = SETTING_INT, .text_default = "2",
     .min = 1, .max = 24,
     .help = "How many processes receive mail. About one for each processor core that may be busy "
             "with it."},
    {FIELD(server, access_workers), .type = SETTING_INT, .text_default = "2", .min = 1, .max = 4,
     .help = "How many processes serve users who have to log in."},
    {FIELD(server, node), .type = SETTING_INT, .text_default = "0", .min = 0, .max = 63,
     .help = "The number of this machine where several share one store: each needs its own, so "
             "that identifiers never meet."},
    {FIELD(server, drain_timeout), .type = SETTING_DURATION, .text_default = "30s",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long a stop or restart waits for running sessions to come to an end before it "
             "closes them."},

    {FIELD(listen, smtp), .type = SETTING_LIST, .form = &form_listen,
     .text_default = "0.0.0.0:25 [::]:25", .min = 0, .max = 32,
     .help = "Addresses and ports where other mail servers deliver. With an empty list no mail is "
             "taken from the network."},
    {FIELD(listen, submission), .type = SETTING_LIST, .form = &form_listen,
     .text_default = "", .min = 0, .max = 32,
     .help = "Addresses and ports where users give mail to be sent, port 587 as a rule: the "
             "connection becomes encrypted by STARTTLS. None if empty."},
    {FIELD(listen, submissions), .type = SETTING_LIST, .form = &form_listen,
     .text_default = "", .min = 0, .max = 32,
     .help = "The same where connections are encrypted from the first byte, port 465 as a rule. "
             "None if empty."},

    {FIELD(tls, min_version), .type = SETTING_ENUM, .text_default = "1.2",
     .choices = tls_versions, .min = SETTINGS_TLS_1_2, .max = SETTINGS_TLS_1_3,
     .help = "The oldest version of TLS that is spoken, with clients and with other servers. Who "
             "cannot do better than an older one talks unencrypted or not at all."},
    {FIELD(tls, client_ca_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "A file (PEM) with the authorities that sign the certificates of users, who may then "
             "log in with these instead of a password (SASL EXTERNAL). The account is that of the "
             "mail address in the certificate (of several, the first, or the one that the program "
             "names), and it has to be the account's own address: name no authority that gives "
             "out certificates to strangers. A certificate is not a password: it is enough also "
             "where a second factor is on. One that is expired, called back or of another "
             "authority ends no connection, but nobody can log in with it. If empty, none is asked "
             "for."},
    {FIELD(tls, client_crl_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "A file (PEM) with the lists of certificates that these authorities have called back "
             "(CRL), one of each authority that signs users. It is read again when it changes. A "
             "list that has passed its time lets nobody in: renew it before. If empty, no "
             "certificate counts as called back."},
    {FIELD(tls, ca_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "/etc/ssl/certs/ca-certificates.crt", .min = 0, .max = PATH_MAX_CHARS,
     .help = "A file (PEM) with the authorities that are trusted to sign the certificates of other "
             "servers; routes with tls = verify need it."},

    {FIELD(log, level), .type = SETTING_ENUM, .text_default = "info", .choices = log_levels,
     .min = LOG_ERROR, .max = LOG_DEBUG,
     .help = "The least important kind of event that is written."},
    {FIELD(log, format), .type = SETTING_ENUM, .text_default = "text", .choices = log_formats,
     .min = LOG_FORMAT_TEXT, .max = LOG_FORMAT_JSON,
     .help = "The form of each line: key=value for people, or JSON for programs."},

    {FIELD(smtp, banner_text), .type = SETTING_STRING, .form = &form_printable,
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
    {FIELD(smtp, recipient_separators), .type = SETTING_STRING, .form = &form_separators,
     .text_default = "+", .min = 0, .max = 4,
     .help = "Characters that begin the detail of a local address: with \"+\", mail to "
             "user+list@example.org goes to user@example.org. None if empty."},
    {FIELD(smtp, relay_networks), .type = SETTING_LIST, .form = &form_network,
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

    {FIELD(outbound, port), .type = SETTING_INT, .text_default = "25", .min = 1, .max = 65535,
     .help = "The port of other servers that are found by MX records. Anything but 25 is for tests "
             "and closed networks; a route can name the port of each of its hosts."},
    {FIELD(outbound, ehlo_name), .type = SETTING_STRING, .form = &form_optional_hostname,
     .text_default = "", .min = 0, .max = VALUE_HOSTNAME_MAX_CHARS,
     .help = "The name by which this server greets others; server.hostname if empty. It should "
             "resolve to the address that mail comes from, and back: many servers refuse or mark "
             "mail otherwise."},
    {FIELD(outbound, source_ipv4), .type = SETTING_STRING, .form = &form_optional_ipv4,
     .text_default = "", .min = 0, .max = VALUE_ADDRESS_MAX_CHARS,
     .help = "The address that connections over IPv4 come from, where the machine has several. If "
             "empty, the system chooses."},
    {FIELD(outbound, source_ipv6), .type = SETTING_STRING, .form = &form_optional_ipv6,
     .text_default = "", .min = 0, .max = VALUE_ADDRESS_MAX_CHARS,
     .help = "The address that connections over IPv6 come from, where the machine has several. If "
             "empty, the system chooses."},
    {FIELD(outbound, families), .type = SETTING_ENUM, .text_default = "ipv4_first",
     .choices = families, .min = SETTINGS_FAMILIES_IPV4_FIRST, .max = SETTINGS_FAMILIES_IPV6,
     .help = "Which addresses of a host are tried, and which first. Prefer IPv6 only where the "
             "IPv6 address of this machine has reverse DNS that leads back to it: large providers "
             "refuse mail from others."},
    {FIELD(outbound, private_networks), .type = SETTING_LIST, .form = &form_network,
     .text_default = "", .min = 0, .max = 256,
     .help = "Loopback, private, link-local and other special addresses to which MX records may "
             "lead. Hosts at others of these are skipped, so that nobody's DNS can send this "
             "server to a machine of the inner network. Hosts of routes need no mention here."},
    {FIELD(outbound, max_connections), .type = SETTING_INT, .text_default = "500",
     .min = 1, .max = 20000,
     .help = "Connections to other servers at one time, to all of them together: those that are "
             "being made, that carry mail, and that are idle, which give way to the others."},
    {FIELD(outbound, max_connections_per_destination), .type = SETTING_INT, .text_default = "20",
     .min = 1, .max = 1000,
     .help = "Connections at one time to one destination, that is to one set of MX hosts. It "
             "cannot be above outbound.max_connections. A destination section has its own number."},
    {FIELD(outbound, messages_per_connection), .type = SETTING_INT, .text_default = "100",
     .min = 1, .max = 100000,
     .help = "Messages over one connection; then it is closed and, if need be, a new one is made."},
    {FIELD(outbound, max_recipients), .type = SETTING_INT, .text_default = "100",
     .min = 1, .max = 1000,
     .help = "Recipients of one transaction; a message with more is sent in several. RFC 5321 asks "
             "every server to take 100, and some take no more."},
    {FIELD(outbound, idle_timeout), .type = SETTING_DURATION, .text_default = "5s",
     .min = 0, .max = 5 * MINUTE_MS,
     .help = "How long a connection is kept open when there is nothing more to send over it. With "
             "0 it is closed at once."},
    {FIELD(outbound, connect_timeout), .type = SETTING_DURATION, .text_default = "30s",
     .min = SECOND_MS, .max = 10 * MINUTE_MS,
     .help = "How long to wait for a connection to one address before the next is tried."},
    {FIELD(outbound, greeting_timeout), .type = SETTING_DURATION, .text_default = "5min",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long to wait for the greeting. RFC 5321 asks for 5min at least."},
    {FIELD(outbound, command_timeout), .type = SETTING_DURATION, .text_default = "5min",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long to wait for the reply to EHLO, MAIL, RCPT and other short commands. RFC "
             "5321 asks for 5min at least."},
    {FIELD(outbound, data_timeout), .type = SETTING_DURATION, .text_default = "2min",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long to wait for the reply to DATA. RFC 5321 asks for 2min at least."},
    {FIELD(outbound, block_timeout), .type = SETTING_DURATION, .text_default = "3min",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long the other server may take no more of the message while it is sent. RFC 5321 "
             "asks for 3min at least."},
    {FIELD(outbound, final_timeout), .type = SETTING_DURATION, .text_default = "10min",
     .min = SECOND_MS, .max = HOUR_MS,
     .help = "How long to wait for the reply to the end of the message. RFC 5321 asks for 10min at "
             "least: a server that was given up too soon may have taken the mail, and would get it "
             "twice."},

    {FIELD(queue, retry), .type = SETTING_LIST, .form = &form_pause,
     .text_default = "5min 10min 15min 30min 1h 2h 4h", .min = 1, .max = 32,
     .help = "The pauses between attempts; the last one repeats. By default the attempts come 0, "
             "5, 15 and 30 minutes, 1, 2, 4 and 8 hours after arrival, and every 4 hours from "
             "then on."},
    {FIELD(queue, jitter), .type = SETTING_INT, .text_default = "10", .min = 0, .max = 50,
     .help = "By how many percent a pause may be longer than it says, drawn by lot, so that mail "
             "that failed together does not come back together."},
    {FIELD(queue, lifetime), .type = SETTING_DURATION, .text_default = "5d",
     .min = MINUTE_MS, .max = 60 * (int64_t)DAY_MS,
     .help = "How long mail is tried before it is returned to its sender. RFC 5321 asks for 4 to 5 "
             "days at least."},
    {FIELD(queue, notice_lifetime), .type = SETTING_DURATION, .text_default = "1d",
     .min = MINUTE_MS, .max = 60 * (int64_t)DAY_MS,
     .help = "The same for mail with the null sender, such as notices of failure: they cannot be "
             "returned, and addresses of forged senders often lead nowhere."},
    {FIELD(queue, warn_after), .type = SETTING_DURATION, .text_default = "4h",
     .min = 0, .max = 60 * (int64_t)DAY_MS,
     .help = "After how long a sender is told that mail is late and will be tried further. With 0 "
             "nobody is told."},
    {FIELD(queue, suppress_after), .type = SETTING_INT, .text_default = "3", .min = 0, .max = 1000,
     .help = "How many times the server of an address must say for good that there is no such user "
             "before the address is put on the suppression list; mail to it is then returned "
             "without an attempt. Large providers lower the standing of those who keep on writing "
             "to nobody. 0 turns that off."},
    {FIELD(queue, suppress_for), .type = SETTING_DURATION, .text_default = "30d",
     .min = HOUR_MS, .max = TEN_YEARS_MS,
     .help = "How long an address stays on the suppression list."},
    {FIELD(queue, languages), .type = SETTING_ENUM, .text_default = "both", .choices = languages,
     .min = SETTINGS_LANGUAGES_BOTH, .max = SETTINGS_LANGUAGES_JAPANESE,
     .help = "The language of notices to senders, where it is not known which one they read."},

    {FIELD(resolver, forwarders), .type = SETTING_LIST, .form = &form_server,
     .text_default = "", .min = 0, .max = 16,
     .help = "Name servers to ask instead of starting at the root. They must hand on DNSSEC "
             "records, or nothing can be validated; those of large public resolvers are refused by "
             "many block lists."},
    {FIELD(resolver, stub_zones), .type = SETTING_LIST, .form = &form_stub,
     .text_default = "", .min = 0, .max = 256,
     .help = "Zones that are asked of a server of their own, such as those of an inner network "
             "that the root does not know."},
    {FIELD(resolver, local_records), .type = SETTING_LIST, .form = &form_record,
     .text_default = "", .min = 0, .max = 1024,
     .help = "Records that override the DNS, for this server alone."},
    {FIELD(resolver, trust_anchor_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "/usr/share/dns/root.key", .min = 0, .max = 1024,
     .help = "The keys of the root, from which DNSSEC validation starts; Debian has them in the "
             "package dns-root-data. If empty, nothing is validated and DANE is not possible."},
    {FIELD(resolver, cache_size), .type = SETTING_SIZE, .text_default = "16M",
     .min = MIB, .max = 4 * GIB,
     .help = "Memory for answers of the DNS."},
    {FIELD(resolver, timeout), .type = SETTING_DURATION, .text_default = "20s",
     .min = SECOND_MS, .max = 2 * MINUTE_MS,
     .help = "How long one question to the DNS may take, with all its tries."},

    {FIELD(brakes, exempt_networks), .type = SETTING_LIST, .form = &form_network,
     .text_default = "127.0.0.0/8 ::1/128", .min = 0, .max = 256,
     .help = "Addresses and networks that are never slowed down or banned. Of IPv6, a single "
             "address stands for its /64, which is what is counted."},
    {FIELD(brakes, failures), .type = SETTING_INT, .text_default = "10", .min = 0, .max = 10000,
     .help = "Failed logins from one address (of IPv6, one /64) within brakes.period after which "
             "it is banned. From the third on the answer takes longer each time, up to 5 s. 0 "
             "bans nobody for what his address has done."},
    {FIELD(brakes, network_failures), .type = SETTING_INT, .text_default = "100",
     .min = 0, .max = 100000,
     .help = "The same for the network around it: a /24, of IPv6 a /48. From then on each address "
             "of it that fails is banned; of IPv6, those that the account does not know from "
             "earlier logins have to wait."},
    {FIELD(brakes, account_failures), .type = SETTING_INT, .text_default = "30",
     .min = 0, .max = 100000,
     .help = "Failed logins for one account within brakes.period after which strangers have to "
             "wait. Whoever has logged in from his address during the last 30 days does not."},
    {FIELD(brakes, period), .type = SETTING_DURATION, .text_default = "15min",
     .min = MINUTE_MS, .max = 7 * (int64_t)DAY_MS,
     .help = "The time over which failures are counted; they are forgotten evenly, one by one."},
    {FIELD(brakes, ban_time), .type = SETTING_DURATION, .text_default = "1h",
     .min = MINUTE_MS, .max = 365 * (int64_t)DAY_MS,
     .help = "How long an address is banned; each further time twice as long, up to "
             "brakes.max_ban_time. See: hikyaku ban list."},
    {FIELD(brakes, max_ban_time), .type = SETTING_DURATION, .text_default = "7d",
     .min = MINUTE_MS, .max = 365 * (int64_t)DAY_MS,
     .help = "The longest ban that is made by itself."},
    {FIELD(brakes, connections), .type = SETTING_INT, .text_default = "120",
     .min = 0, .max = 100000,
     .help = "Connections a minute from one address (of IPv6, one /64) before it is turned away "
             "for a while. smtp.relay_networks (on port 25) and brakes.exempt_networks are not "
             "limited. 0 sets no limit."},
    {FIELD(brakes, messages), .type = SETTING_INT, .text_default = "600",
     .min = 0, .max = 1000000,
     .help = "Messages a minute that one address (of IPv6, one /64) may begin on port 25; further "
             "ones are put off with 450. Counted at the first recipient of a message, accepted or "
             "not, before its text is sent: a limit that is felt only after the text has been "
             "taken saves nothing. smtp.relay_networks, brakes.exempt_networks and users who have "
             "logged in are not limited. 0 sets no limit."},

    {FIELD(submission, check_sender), .type = SETTING_ENUM, .text_default = "header",
     .choices = check_senders, .min = SETTINGS_CHECK_SENDER_NOTHING,
     .max = SETTINGS_CHECK_SENDER_HEADER,
     .help = "In whose name users may send. envelope: the sender that is given to other servers "
             "must be an address of the user: his own, an alias that leads to him, or one that "
             "was delegated to him. header: so must all addresses in the From field, which is "
             "what people see. nothing: anybody may send as anybody; do that only where all "
             "users trust each other."},
    {FIELD(submission, show_client), .type = SETTING_BOOL, .text_default = "no",
     .min = 0, .max = 1,
     .help = "Whether the Received field of a user's mail names the address of his computer. It "
             "tells every recipient where he is. The trace has it in any case."},
    {FIELD(submission, require_tls), .type = SETTING_BOOL, .text_default = "yes",
     .min = 0, .max = 1,
     .help = "Whether users must encrypt the connection before they log in and send. no: whoever "
             "logs in without showing the password (SCRAM) may also send in the clear, and who "
             "listens in can read the mail. A password is shown to nobody in either case."},
    {FIELD(submission, plaintext_on_loopback), .type = SETTING_BOOL, .text_default = "no",
     .min = 0, .max = 1,
     .help = "Whether programs on this machine, which connect over the loopback interface, may log "
             "in, also by a password, and send without encryption."},
    {FIELD(submission, messages_per_minute), .type = SETTING_INT, .text_default = "60",
     .min = 0, .max = 100000,
     .help = "Messages that one account may send in a minute; more are put off. 0 sets no limit."},
    {FIELD(submission, recipients_per_day), .type = SETTING_INT, .text_default = "2000",
     .min = 0, .max = 10000000,
     .help = "Recipients that one account may send to in a day (of UTC). 0 sets no limit."},
    {FIELD(submission, new_recipients_per_day), .type = SETTING_INT, .text_default = "300",
     .min = 0, .max = 10000000,
     .help = "Recipients elsewhere to whom one account never wrote before, in a day. A stolen "
             "password shows here first: spam goes to strangers. 0 sets no limit."},

    {FIELD(auth, cache), .type = SETTING_DURATION, .text_default = "5min",
     .min = 0, .max = HOUR_MS,
     .help = "How long the store remembers that a password was right, so that programs that log in "
             "every minute do not cost a slow hash each time. Only a keyed hash is remembered, in "
             "memory; any change of the account forgets it at once. 0 turns that off."},
    {FIELD(auth, hash_threads), .type = SETTING_INT, .text_default = "2", .min = 1, .max = 16,
     .help = "Threads that hash passwords. Each needs 19 MiB of memory while it works, and about "
             "15 ms for a password; more logins than they can do wait, but nothing else does."},
    {FIELD(auth, cram_md5), .type = SETTING_BOOL, .text_default = "no",
     .min = 0, .max = 1,
     .help = "Whether the mechanism CRAM-MD5 is offered. It needs passwords that can be recovered: "
             "while this is on, each new password is also kept in a form that whoever has the data "
             "folder or a backup can read. Passwords that were set before do not work with it. "
             "Better leave it off: SCRAM does the same without."},
    {FIELD(auth, backend), .type = SETTING_ENUM, .text_default = "internal", .choices = backends,
     .min = SETTINGS_AUTH_INTERNAL, .max = SETTINGS_AUTH_LDAP,
     .help = "Who checks the passwords of accounts that have none here (hikyaku account add "
             "--no-password). internal: nobody, such accounts cannot log in. pam: the PAM modules "
             "of this machine. ldap: a directory server, which is asked to let the user in with "
             "the password (bind). Both in a process of its own. A password that an account has "
             "here, and "
             "its app passwords, are still checked here; whoever is to be checked outside needs an "
             "account all the same. While passwords are checked outside, SCRAM and CRAM-MD5 are "
             "not offered, because they need keys that are not here; programs then send the "
             "password over TLS. A password that was right is remembered for auth.cache: so long "
             "may one that was changed outside still be taken. Changing this needs a restart."},
    {FIELD(auth, outside_threads), .type = SETTING_INT, .text_default = "8", .min = 1, .max = 64,
     .help = "How many passwords may be checked outside at one time. Others wait; one name never "
             "has more than half of them. Set it to 1 for PAM modules that are not made for "
             "threads. Changing it needs a restart."},
    {FIELD(auth, outside_timeout), .type = SETTING_DURATION, .text_default = "10s",
     .min = SECOND_MS, .max = 25 * SECOND_MS,
     .help = "How long a check outside may take, with the time that it waits for its turn. Then "
             "the client is told to try again later, which does not count as a wrong password."},
    {FIELD(auth, outside_user), .type = SETTING_STRING, .form = &form_optional_user,
     .text_default = "", .min = 0, .max = 32,
     .help = "The system user of the process that checks passwords outside; server.user if empty. "
             "It has the groups of that user. pam_unix reads /etc/shadow: for that the user must "
             "be a member of the group shadow (useradd --system --groups shadow hikyaku-auth), or "
             "root. A user of its own is better than server.user, because modules of others run "
             "in that process. Used only when the server is started as root. Changing it needs a "
             "restart."},
    {FIELD(auth, outside_paths), .type = SETTING_LIST, .form = &form_path,
     .text_default = "", .min = 0, .max = SETTINGS_OUTSIDE_PATHS_MAX,
     .help = "Folders that PAM modules may read, write and run programs in, beside the system's "
             "own: they may read /etc and /usr and write in /run, and nothing else. Never name a "
             "folder that holds server.data_dir. Changing it needs a restart."},
    {FIELD(auth, pam_service), .type = SETTING_STRING, .form = &form_service,
     .text_default = "hikyaku", .min = 1, .max = 64,
     .help = "The name of the PAM service, which is the name of a file in /etc/pam.d. Its auth and "
             "account modules are asked. What they do not call a wrong password (PAM_AUTH_ERR) or "
             "an unknown user counts as a failure of the system: the client is told to try again "
             "later. pam_exec is such a module; let pam_deny follow it."},
    {FIELD(auth, pam_user), .type = SETTING_ENUM, .text_default = "local_part",
     .choices = pam_users, .min = SETTINGS_PAM_USER_LOCAL_PART, .max = SETTINGS_PAM_USER_ADDRESS,
     .help = "What PAM is told as the name of the user: the part of the account's address before "
             "the @, or all of it. With accounts of the same name in several domains it must be "
             "the address."},
    {FIELD(auth, pam_dir), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "Another folder than /etc/pam.d in which the file of the PAM service is."},
    {FIELD(auth, ldap_urls), .type = SETTING_LIST, .form = &form_ldap_url,
     .text_default = "", .min = 0, .max = 8,
     .help = "The directory servers; the next one is asked where one does not answer. Certificates "
             "are verified with tls.ca_file."},
    {FIELD(auth, ldap_starttls), .type = SETTING_ENUM, .text_default = "remote",
     .choices = ldap_starttls, .min = SETTINGS_LDAP_STARTTLS_REMOTE,
     .max = SETTINGS_LDAP_STARTTLS_NEVER,
     .help = "Which connections to ldap:// addresses are encrypted by STARTTLS before a password "
             "is sent: those to other machines, all, or none. A server that cannot is not used."},
    {FIELD(auth, ldap_bind_dn), .type = SETTING_STRING, .form = &form_optional_ldap_name,
     .text_default = "", .min = 0, .max = 1000,
     .help = "The name by which a user is let in, with %u for the part of the account's address "
             "before the @, %d for the domain, %a for all of it: "
             "uid=%u,ou=people,dc=example,dc=jp. If empty, the entry is searched for."},
    {FIELD(auth, ldap_base), .type = SETTING_STRING, .form = &form_printable,
     .text_default = "", .min = 0, .max = 1000,
     .help = "Where entries of users are searched for, with all that is below: "
             "ou=people,dc=example,dc=jp."},
    {FIELD(auth, ldap_filter), .type = SETTING_STRING, .form = &form_ldap_filter,
     .text_default = "(mail=%a)", .min = 1, .max = 1000,
     .help = "Which entry is the user's. Exactly one must fit, or nobody is let in."},
    {FIELD(auth, ldap_service_dn), .type = SETTING_STRING, .form = &form_printable,
     .text_default = "", .min = 0, .max = 1000,
     .help = "The name that this server has in the directory, to search in it. If empty, it "
             "searches without one."},
    {FIELD(auth, ldap_service_password_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "A file with the password of auth.ldap_service_dn in its first line, for root alone."},
    {FIELD(auth, oauth), .type = SETTING_ENUM, .text_default = "off",
     .choices = oauth_checks, .min = SETTINGS_OAUTH_OFF, .max = SETTINGS_OAUTH_INTROSPECTION,
     .help = "Whether users may log in by a token of an identity provider (OAUTHBEARER, XOAUTH2), "
             "and how it is checked. keys: the token is a JWT, and the keys that its issuer "
             "publishes show that it is genuine; one that the issuer has called back is good until "
             "its end. introspection: the provider is asked about each token (RFC 7662). The "
             "account of the token has to exist here. A process of its own asks, which "
             "auth.outside_threads, auth.outside_timeout and auth.outside_user are about. Turning "
             "this on or off needs a restart."},
    {FIELD(auth, oauth_issuer), .type = SETTING_STRING, .form = &form_printable,
     .text_default = "", .min = 0, .max = URL_MAX_CHARS,
     .help = "The issuer of the tokens, letter by letter as they name it (iss)."},
    {FIELD(auth, oauth_audience), .type = SETTING_LIST, .form = &form_printable,
     .text_default = "", .min = 0, .max = 16,
     .help = "For whom tokens must be made out (aud): one of these. It keeps tokens that users "
             "gave to another service from being used here. With introspection it may be empty, if "
             "the provider tells this server of its own tokens only."},
    {FIELD(auth, oauth_scope), .type = SETTING_STRING, .form = &form_scope,
     .text_default = "", .min = 0, .max = 200,
     .help = "Words that must all be in the scope of a token; clients that bring a bad one are "
             "told them. If empty, the scope does not matter."},
    {FIELD(auth, oauth_account_claim), .type = SETTING_STRING, .form = &form_printable,
     .text_default = "", .min = 0, .max = 100,
     .help = "What in a token names the account: its own address, or its local part in the first "
             "domain; an alias is no name. If empty, the first of email, username and sub that is "
             "a mail address. An email that the provider has not verified is refused. Users must "
             "not be able to choose the value themselves, as with many providers they are able "
             "to choose preferred_username."},
    {FIELD(auth, oauth_keys_url), .type = SETTING_STRING, .form = &form_optional_url,
     .text_default = "", .min = 0, .max = URL_MAX_CHARS,
     .help = "Where the keys of the issuer are (a JWKS). If empty, auth.oauth_keys_file, and "
             "without that what the issuer says below /.well-known/openid-configuration."},
    {FIELD(auth, oauth_keys_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "A file with the keys of the issuer (a JWKS), in place of fetching them."},
    {FIELD(auth, oauth_introspection_url), .type = SETTING_STRING, .form = &form_optional_url,
     .text_default = "", .min = 0, .max = URL_MAX_CHARS,
     .help = "Where the provider is asked about tokens, with auth.oauth = introspection."},
    {FIELD(auth, oauth_client_id), .type = SETTING_STRING, .form = &form_printable,
     .text_default = "", .min = 0, .max = 200,
     .help = "The name by which this server is known to the provider that it asks."},
    {FIELD(auth, oauth_client_secret_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "A file with the secret that goes with it, in the first line; readable by nobody "
             "else."},
    {FIELD(auth, oauth_discovery_url), .type = SETTING_STRING, .form = &form_optional_url,
     .text_default = "", .min = 0, .max = URL_MAX_CHARS,
     .help = "Where clients that bring no good token are told to look (RFC 7628). If empty, "
             "/.well-known/openid-configuration of the issuer."},
    {FIELD(auth, oauth_leeway), .type = SETTING_DURATION, .text_default = "1min",
     .min = 0, .max = 10 * MINUTE_MS,
     .help = "By how much the clocks of the issuer and of this machine may differ."},
    {FIELD(auth, oauth_timeout), .type = SETTING_DURATION, .text_default = "5s",
     .min = SECOND_MS, .max = 15 * SECOND_MS,
     .help = "How long the provider may take for an answer. Then the login fails for now, and "
             "nobody is blamed for it."},
    {FIELD(auth, oauth_cache), .type = SETTING_DURATION, .text_default = "1min",
     .min = 0, .max = HOUR_MS,
     .help = "How long a token that the provider has called good is not asked for again; if the "
             "provider calls it back, that is noticed after this time. Only a keyed hash is "
             "remembered, in memory."},
    {FIELD(auth, oauth_http_on_loopback), .type = SETTING_BOOL, .text_default = "no",
     .min = 0, .max = 1,
     .help = "Whether the addresses above may begin with http if the host is an address of this "
             "machine, such as 127.0.0.1. All others must begin with https."},

    {FIELD(submit, spool_dir), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "/var/spool/hikyaku", .min = 0, .max = 1024,
     .help = "The directory where programs on this machine leave mail, also while the server is "
             "stopped. If empty, no mail is taken that way."},
    {FIELD(submit, trusted_users), .type = SETTING_LIST, .form = &form_user,
     .text_default = "root", .min = 0, .max = 64,
     .help = "System users that may write as anybody."},
    {FIELD(submit, senders), .type = SETTING_LIST, .form = &form_sender,
     .text_default = "", .min = 0, .max = 1024,
     .help = "Addresses that a system user may write as, beside LOGIN@submit.domain: one item for "
             "each pair."},
    {FIELD(submit, max_hold), .type = SETTING_DURATION, .text_default = "30d",
     .min = 0, .max = TEN_YEARS_MS,
     .help = "How long users may let a mail wait before it is sent (hikyaku send --at, "
             "FUTURERELEASE). With 0 they may not."},
    {FIELD(submit, min_deliver_by), .type = SETTING_DURATION, .text_default = "1min",
     .min = SECOND_MS, .max = DAY_MS,
     .help = "The shortest time within which users may ask for a mail to be delivered or returned "
             "(hikyaku send --by --return, DELIVERBY)."},
    {FIELD(submit, domain), .type = SETTING_STRING, .form = &form_optional_hostname,
     .text_default = "", .min = 0, .max = VALUE_HOSTNAME_MAX_CHARS,
     .help = "What is put behind names without a domain, in mail of programs on this machine; "
             "server.hostname if empty."},
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

static bool has_unreachable_destinations(const struct settings *s)
{
    return s->outbound_max_connections_per_destination > s->outbound_max_connections;
}

static bool has_common_item(const struct settings_list *a, const struct settings_list *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            if (strcmp(a->items[i], b->items[j]) == 0)
                return true;
        }
    }
    return false;
}

static bool has_mail_on_submission(const struct settings *s)
{
    return has_common_item(&s->listen_smtp, &s->listen_submission);
}

static bool has_mail_on_submissions(const struct settings *s)
{
    return has_common_item(&s->listen_smtp, &s->listen_submissions);
}

static bool has_one_submission(const struct settings *s)
{
    return has_common_item(&s->listen_submission, &s->listen_submissions);
}

static bool has_cram_without_keys(const struct settings *s)
{
    return s->auth_cram_md5 && s->auth_backend != SETTINGS_AUTH_INTERNAL;
}

static bool lacks_directory(const struct settings *s)
{
    return s->auth_backend == SETTINGS_AUTH_LDAP && s->auth_ldap_urls.count == 0;
}

static bool lacks_entries(const struct settings *s)
{
    return s->auth_backend == SETTINGS_AUTH_LDAP && s->auth_ldap_bind_dn[0] == '\0' &&
           s->auth_ldap_base[0] == '\0';
}

/* To LDAP a name without a password is nobody, and is let in (RFC 4513 section 5.1.2). */
static bool lacks_service_password(const struct settings *s)
{
    return s->auth_ldap_service_dn[0] != '\0' && s->auth_ldap_service_password_file[0] == '\0';
}

static bool lacks_certificate(const struct settings *s)
{
    return s->listen_submissions.count > 0 && s->certificate_count == 0;
}

/* Where nobody could log in. */
static bool lacks_encryption(const struct settings *s)
{
    return s->listen_submission.count > 0 && s->certificate_count == 0 &&
           s->submission_require_tls && !s->submission_plaintext_on_loopback;
}

static bool has_lists_of_nobody(const struct settings *s)
{
    return s->tls_client_crl_file[0] != '\0' && s->tls_client_ca_file[0] == '\0';
}

static bool lacks_issuer(const struct settings *s)
{
    return s->auth_oauth == SETTINGS_OAUTH_KEYS && s->auth_oauth_issuer[0] == '\0';
}

static bool lacks_audience(const struct settings *s)
{
    return s->auth_oauth == SETTINGS_OAUTH_KEYS && s->auth_oauth_audience.count == 0;
}

static bool has_two_kinds_of_keys(const struct settings *s)
{
    return s->auth_oauth_keys_file[0] != '\0' && s->auth_oauth_keys_url[0] != '\0';
}

static bool lacks_introspection(const struct settings *s)
{
    return s->auth_oauth == SETTINGS_OAUTH_INTROSPECTION &&
           s->auth_oauth_introspection_url[0] == '\0';
}

static bool lacks_client(const struct settings *s)
{
    return s->auth_oauth == SETTINGS_OAUTH_INTROSPECTION &&
           (s->auth_oauth_client_id[0] == '\0' || s->auth_oauth_client_secret_file[0] == '\0');
}

static bool is_unsafe(const struct settings *s, const char *url)
{
    return url[0] != '\0' && !url_is_safe(str_from_c(url), s->auth_oauth_http_on_loopback);
}

/* The issuer is a name, and only sometimes an address. */
static bool has_unsafe_discovery(const struct settings *s)
{
    return s->auth_oauth == SETTINGS_OAUTH_KEYS && s->auth_oauth_keys_file[0] == '\0' &&
           s->auth_oauth_keys_url[0] == '\0' && is_unsafe(s, s->auth_oauth_issuer);
}

static bool has_unsafe_keys(const struct settings *s)
{
    return is_unsafe(s, s->auth_oauth_keys_url);
}

static bool has_unsafe_introspection(const struct settings *s)
{
    return is_unsafe(s, s->auth_oauth_introspection_url);
}

#define HTTPS_TEXT                                                                                 \
    "what is told over http can be forged: write https, or auth.oauth_http_on_loopback = yes for " \
    "an address of this machine"
#define NO_CERTIFICATE_TEXT                                                                        \
    "there is no certificate to encrypt with; write certificate \"NAME\" { folder = "              \
    "\"/etc/letsencrypt/live/NAME\" }"
#define ONE_PORT_TEXT "one port cannot be both; remove it from one of the two"

static const struct setting_conflict conflicts[] = {
    {"listen.submission", "listen.smtp", has_mail_on_submission, ONE_PORT_TEXT},
    {"listen.submissions", "listen.smtp", has_mail_on_submissions, ONE_PORT_TEXT},
    {"listen.submissions", "listen.submission", has_one_submission, ONE_PORT_TEXT},
    {"listen.submissions", NULL, lacks_certificate, NO_CERTIFICATE_TEXT},
    {"listen.submission", "submission.require_tls", lacks_encryption, NO_CERTIFICATE_TEXT},
    {"tls.client_crl_file", "tls.client_ca_file", has_lists_of_nobody,
     "no certificates are asked for; name the authorities, or remove the lists"},
    {"auth.oauth_issuer", "auth.oauth", lacks_issuer,
     "tokens of anybody would be taken; write the issuer, as tokens name it"},
    {"auth.oauth_audience", "auth.oauth", lacks_audience,
     "tokens for any other service would be taken; write the name that tokens for this one have in "
     "aud"},
    {"auth.oauth_keys_file", "auth.oauth_keys_url", has_two_kinds_of_keys,
     "keys come from one of the two; remove the other"},
    {"auth.oauth_introspection_url", "auth.oauth", lacks_introspection,
     "there is nobody to ask; write the address"},
    {"auth.oauth_client_id", "auth.oauth", lacks_client,
     "providers tell about tokens only to those they know; write auth.oauth_client_id and "
     "auth.oauth_client_secret_file"},
    {"auth.oauth_issuer", NULL, has_unsafe_discovery, HTTPS_TEXT},
    {"auth.oauth_keys_url", NULL, has_unsafe_keys, HTTPS_TEXT},
    {"auth.oauth_introspection_url", NULL, has_unsafe_introspection, HTTPS_TEXT},
    {"auth.ldap_urls", "auth.backend", lacks_directory,
     "there is no server to ask; write ldaps://HOST"},
    {"auth.ldap_base", "auth.backend", lacks_entries,
     "nobody can be found; write where entries are searched for, or by which name users log in"},
    {"auth.ldap_service_password_file", "auth.ldap_service_dn", lacks_service_password,
     "a name without a password is nobody's; name the file, or remove the name"},
    {"smtp.max_connections_per_address", "smtp.max_connections", has_unreachable_connections,
     "one address cannot have more connections than all together; lower the first or raise the "
     "second"},
    {"server.run_dir", "server.data_dir", has_one_directory,
     "mail and sockets cannot share a directory; name two"},
    {"auth.cram_md5", "auth.backend", has_cram_without_keys,
     "CRAM-MD5 needs passwords that are kept here; turn it off"},
    {"outbound.max_connections_per_destination", "outbound.max_connections",
     has_unreachable_destinations,
     "one destination cannot have more connections than all together; lower the first or raise the "
     "second"},
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
    setting_objects_clear(s);
    free(s);
}
