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

struct settings_list {
    char **items; /* NULL when count is 0 */
    size_t count;
};

struct settings {
    char *server_hostname; /* "" only in settings_defaults() */
    char *server_data_dir;
    char *server_run_dir;
    char *server_user;
    int server_inbound_workers;
    int server_node;
    int64_t server_drain_timeout; /* ms */

    struct settings_list listen_smtp; /* value_parse_listen() takes each apart */

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
/* The values in force, in a form that settings_load takes; what is not at its default is marked. */
void settings_print(const struct settings *s, struct buf *out);
/* The same as one JSON object; sizes in bytes, durations in milliseconds. */
void settings_print_json(const struct settings *s, struct buf *out);

/* Names such as "smtp.max_recipients", in the order of the table; index below settings_count(). */
size_t settings_count(void);
const char *settings_name(size_t index);
