/*
 * The settings of this machine, read from hikyaku.conf and checked before anything is started.
 *
 * Every setting is one field here, named section_name, and one row of settings_table.c; the reader,
 * the help text, the manual page, the sample file and the wire form all follow from that row. What
 * changes daily (domains, accounts, aliases) is not here: it lives in the store.
 *
 * Sizes are bytes, durations milliseconds, strings never NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"

enum settings_bare_newline {
    SETTINGS_BARE_NEWLINE_REFUSE,
    SETTINGS_BARE_NEWLINE_NORMALISE,
};

/* Which addresses of a host are tried, and in what order. */
enum settings_families {
    SETTINGS_FAMILIES_IPV4_FIRST,
    SETTINGS_FAMILIES_IPV6_FIRST,
    SETTINGS_FAMILIES_IPV4,
    SETTINGS_FAMILIES_IPV6,
};

enum settings_languages {
    SETTINGS_LANGUAGES_BOTH,
    SETTINGS_LANGUAGES_ENGLISH,
    SETTINGS_LANGUAGES_JAPANESE,
};

/* In whose name a user may send; each checks what those before it check. */
enum settings_check_sender {
    SETTINGS_CHECK_SENDER_NOTHING,
    SETTINGS_CHECK_SENDER_ENVELOPE,
    SETTINGS_CHECK_SENDER_HEADER,
};

enum settings_tls_version {
    SETTINGS_TLS_1_2,
    SETTINGS_TLS_1_3,
};

/* How a route asks for TLS. */
enum settings_tls {
    SETTINGS_TLS_OPPORTUNISTIC, /* if the other side has it */
    SETTINGS_TLS_REQUIRE,       /* encrypted to whoever it is */
    SETTINGS_TLS_VERIFY,        /* encrypted, and the certificate proves the name */
    SETTINGS_TLS_NONE,
};

/* Who checks the passwords of accounts that have none of their own. */
enum settings_auth {
    SETTINGS_AUTH_INTERNAL, /* nobody: they cannot log in */
    SETTINGS_AUTH_PAM,
    SETTINGS_AUTH_LDAP,
};

/* Which connections to ldap:// addresses begin with STARTTLS. */
enum settings_ldap_starttls {
    SETTINGS_LDAP_STARTTLS_REMOTE, /* to other machines */
    SETTINGS_LDAP_STARTTLS_ALWAYS,
    SETTINGS_LDAP_STARTTLS_NEVER,
};

/* What PAM is told as the name of the user. */
enum settings_pam_user {
    SETTINGS_PAM_USER_LOCAL_PART,
    SETTINGS_PAM_USER_ADDRESS,
};

/* How tokens that somebody else gave are checked. */
enum settings_oauth {
    SETTINGS_OAUTH_OFF,
    SETTINGS_OAUTH_KEYS,          /* by their issuer's signature */
    SETTINGS_OAUTH_INTROSPECTION, /* by asking their issuer */
};

enum settings_via {
    SETTINGS_VIA_MX,
    SETTINGS_VIA_HOSTS,
    SETTINGS_VIA_HOLD,
    SETTINGS_VIA_DISCARD,
    SETTINGS_VIA_FAIL,
};

struct settings_list {
    char **items; /* NULL when count is 0 */
    size_t count;
};

/* route "NAME" { ... }: which mail goes another way; route_find() chooses. */
struct settings_route {
    char *name;
    struct settings_list to;    /* domain patterns; empty: any */
    struct settings_list from;  /* sender patterns; empty: any */
    int via;                    /* enum settings_via */
    struct settings_list hosts; /* value_parse_host() takes each apart */
    char *text;                 /* of SETTINGS_VIA_FAIL: what the sender is told; "": the usual */
    char *ehlo_name;            /* this and the addresses: "" as in outbound */
    char *source_ipv4;
    char *source_ipv6;
    int tls;             /* enum settings_tls */
    bool tls_on_connect; /* encryption from the first byte, as always on port 465 */
    char *username;      /* at the hosts of the route; "": none */
    char *password_file; /* read by the master alone */
};

/* certificate "NAME" { ... }: what the server proves its name with. The first is shown to those who
 * ask for no name, or for one that no certificate has. */
struct settings_certificate {
    char *name;
    char *folder; /* with fullchain.pem and privkey.pem in it; "": the files are named */
    char *chain_file;
    char *key_file;
};

/* destination "NAME" { ... }: how gently others are treated; 0: not limited by this section. */
struct settings_destination {
    char *name;
    struct settings_list domains; /* patterns of recipient domains */
    struct settings_list mx;      /* patterns of the names of MX hosts */
    int max_connections;
    int messages_per_connection;
    int max_recipients; /* per transaction */
    int messages_per_minute;
};

enum {
    SETTINGS_ROUTES_MAX = 256,
    SETTINGS_DESTINATIONS_MAX = 512,
    SETTINGS_CERTIFICATES_MAX = 64,
    SETTINGS_OUTSIDE_PATHS_MAX = 32,
};

struct settings {
    char *server_hostname; /* "" only in settings_defaults() */
    char *server_data_dir;
    char *server_run_dir;
    char *server_user;
    int server_inbound_workers;
    int server_access_workers;
    int server_node;
    int64_t server_drain_timeout; /* ms */

    struct settings_list listen_smtp; /* value_parse_listen() takes each apart, of all three */
    struct settings_list listen_submission;
    struct settings_list listen_submissions;

    int tls_min_version;      /* enum settings_tls_version */
    char *tls_client_ca_file; /* "": no client is asked for a certificate */
    char *tls_client_crl_file;
    char *tls_ca_file; /* "": no server can be verified */

    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */

    char *smtp_banner_text;
    uint64_t smtp_max_message_size; /* bytes */
    int smtp_max_recipients;        /* per message */
    int smtp_max_command_length;    /* bytes, with CR LF */
    int smtp_max_commands;          /* per connection */
    int smtp_max_transactions;      /* per connection */
    int smtp_max_errors;            /* per connection */
    int smtp_max_received;          /* header fields per message */
    int smtp_bare_newline;          /* enum settings_bare_newline */
    char *smtp_recipient_separators;
    struct settings_list smtp_relay_networks; /* value_parse_network() takes each apart */
    int smtp_max_connections;
    int smtp_max_connections_per_address;
    int64_t smtp_command_timeout; /* ms */
    int64_t smtp_data_timeout;    /* ms, between two pieces of DATA */
    int64_t smtp_message_timeout; /* ms, for all of DATA */

    int64_t store_expunged_retention; /* ms */
    int64_t store_trace_retention;    /* ms */
    uint64_t store_segment_size;      /* bytes */
    int store_compact_below;          /* percent alive; 0 = off */
    int store_reader_threads;
    int store_max_queue_messages;
    uint64_t store_min_free_space; /* bytes */

    int outbound_port;
    char *outbound_ehlo_name;   /* "": server_hostname */
    char *outbound_source_ipv4; /* "": the system chooses */
    char *outbound_source_ipv6;
    int outbound_families;                          /* enum settings_families */
    struct settings_list outbound_private_networks; /* value_parse_network() */
    int outbound_max_connections;
    int outbound_max_connections_per_destination;
    int outbound_messages_per_connection;
    int outbound_max_recipients;   /* per transaction */
    int64_t outbound_idle_timeout; /* ms, this and those below; 0: closed at once */
    int64_t outbound_connect_timeout;
    int64_t outbound_greeting_timeout;
    int64_t outbound_command_timeout;
    int64_t outbound_data_timeout;  /* the reply to DATA */
    int64_t outbound_block_timeout; /* between two pieces of text */
    int64_t outbound_final_timeout; /* the reply to the final dot */

    struct settings_list queue_retry; /* value_parse_duration(); never empty; the last repeats */
    int queue_jitter;                 /* percent */
    int64_t queue_lifetime;           /* ms */
    int64_t queue_notice_lifetime;    /* ms, of mail with the null sender */
    int64_t queue_warn_after;         /* ms; 0: never */
    int queue_suppress_after;         /* permanent failures; 0: never */
    int64_t queue_suppress_for;       /* ms */
    int queue_languages;              /* enum settings_languages */

    struct settings_list resolver_forwarders;    /* value_parse_server(); empty: the root */
    struct settings_list resolver_stub_zones;    /* value_parse_stub() */
    struct settings_list resolver_local_records; /* "NAME [TTL] TYPE DATA" */
    char *resolver_trust_anchor_file;            /* "": no validation */
    uint64_t resolver_cache_size;                /* bytes */
    int64_t resolver_timeout;                    /* ms, one question with all its tries */

    struct settings_list brakes_exempt_networks; /* value_parse_network() */
    int brakes_failures;                         /* this and those below: 0: no such limit */
    int brakes_network_failures;
    int brakes_account_failures;
    int64_t brakes_period; /* ms */
    int64_t brakes_ban_time;
    int64_t brakes_max_ban_time;
    int brakes_connections; /* per minute, as those below */
    int brakes_messages;

    int submission_check_sender; /* enum settings_check_sender */
    bool submission_show_client;
    bool submission_require_tls;
    bool submission_plaintext_on_loopback;
    int submission_messages_per_minute; /* of an account, as those below; 0: not limited */
    int submission_recipients_per_day;
    int submission_new_recipients_per_day;

    int64_t auth_cache; /* ms; 0: nothing is remembered */
    int auth_hash_threads;
    bool auth_cram_md5;
    int auth_backend; /* enum settings_auth */
    int auth_outside_threads;
    int64_t auth_outside_timeout; /* ms, of one check with all its tries */
    char *auth_outside_user;      /* "": server_user */
    struct settings_list auth_outside_paths;
    char *auth_pam_service;
    int auth_pam_user;  /* enum settings_pam_user */
    char *auth_pam_dir; /* "": the system's */
    struct settings_list auth_ldap_urls;
    int auth_ldap_starttls;  /* enum settings_ldap_starttls */
    char *auth_ldap_bind_dn; /* a template (ldap_text.h); "": the entry is searched for */
    char *auth_ldap_base;
    char *auth_ldap_filter;
    char *auth_ldap_service_dn; /* who searches; "": nobody in particular */
    char *auth_ldap_service_password_file;
    int auth_oauth;          /* enum settings_oauth; all of this is about tokens */
    char *auth_oauth_issuer; /* as tokens name it; "": any */
    char *auth_oauth_keys_url;
    char *auth_oauth_keys_file; /* read by the master alone, as is the secret */
    char *auth_oauth_introspection_url;
    char *auth_oauth_client_id;
    char *auth_oauth_client_secret_file;
    struct settings_list auth_oauth_audience;
    char *auth_oauth_scope;         /* words, all of them needed; "": none */
    char *auth_oauth_account_claim; /* "": the usual ones */
    char *auth_oauth_discovery_url; /* "": as the issuer has it */
    int64_t auth_oauth_leeway;      /* ms, as those below */
    int64_t auth_oauth_timeout;
    int64_t auth_oauth_cache; /* 0: each token is asked for each time */
    bool auth_oauth_http_on_loopback;

    char *submit_spool_dir; /* "": off */
    struct settings_list submit_trusted_users;
    struct settings_list submit_senders; /* value_parse_sender() takes each apart */
    int64_t submit_max_hold;             /* ms; 0: mail is never held */
    int64_t submit_min_deliver_by;       /* ms */
    char *submit_domain;                 /* "": server_hostname */

    struct settings_route *routes; /* in the order of the file; NULL when there is none */
    size_t route_count;
    struct settings_destination *destinations;
    size_t destination_count;
    struct settings_certificate *certificates;
    size_t certificate_count;
};

/* Reads and checks the file (and what it includes). 0 and *out, which the caller frees; or *out is
 * NULL and the result is -EINVAL (the file is wrong) or the errno of the failure to read it. Then
 * out_errors has one line for each thing that is wrong, in the order of the file, at most
 * SETTINGS_MAX_ERRORS and one that says there are more: "FILE:LINE: what is wrong; what to do". */
enum { SETTINGS_MAX_ERRORS = 20 };
MUST_CHECK int settings_load(const char *path, struct settings **out, struct buf *out_errors);

/* Every setting at its default; the hostname, which has none, is "". The caller frees. */
struct settings *settings_defaults(void);
/* NULL is taken. */
void settings_free(struct settings *s);

/* The form in which the master hands settings to its children; both must be the same program. */
void settings_encode(const struct settings *s, struct buf *out);
/* 0 and *out, which the caller frees; -EBADMSG when the bytes are not what settings_encode writes
 * or a value breaks its range. Safe for any bytes. */
MUST_CHECK int settings_decode(struct str bytes, struct settings **out);

/* A copy, which the caller frees. */
struct settings *settings_copy(const struct settings *s) __attribute__((returns_nonnull));

/* All made from the table. None needs more than SETTINGS_DOC_MAX_BYTES of room, except
 * settings_print when lists are very long. */
enum { SETTINGS_DOC_MAX_BYTES = 1 << 17 };
/* `hikyaku config --help`: plain text, at most 80 columns. */
void settings_print_help(struct buf *out);
/* hikyaku.conf(5) in mdoc. */
void settings_print_man(struct buf *out);
/* A file in which every setting is explained; only the hostname is set, the defaults are comments.
 */
void settings_print_sample(struct buf *out);
/* The line that includes the shipped sections of destinations, and a comment: for a new file. */
void settings_print_include(struct buf *out);
/* The values in force, in a form that settings_load takes; what is not at its default is marked. */
void settings_print(const struct settings *s, struct buf *out);
/* The same as one JSON object; sizes in bytes, durations in milliseconds. The labelled sections are
 * arrays of objects, "routes", "destinations", "certificates". No file that is named is read. */
void settings_print_json(const struct settings *s, struct buf *out);

/* Whether both have the same items in the same order. */
bool settings_list_is_equal(const struct settings_list *a, const struct settings_list *b);

/* Names such as "smtp.max_recipients", in the order of the table; index below settings_count(). */
size_t settings_count(void);
const char *settings_name(size_t index);
