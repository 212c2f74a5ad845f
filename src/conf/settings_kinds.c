/*
 * The kinds of sections that have a label and may be there many times: a table for each, made of
 * the same rows as settings_table.c, and the objects that stand for the sections in struct
 * settings.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/settings_form.h"
#include "conf/settings_table.h"
#include "conf/value.h"

enum {
    PATTERNS_MAX = 256,
    ROUTE_HOSTS_MAX = 32,
    LABEL_MAX_CHARS = 64,
    FAIL_TEXT_MAX_CHARS = 400,
    PATH_MAX_CHARS = 1024,
    USERNAME_MAX_CHARS = 256,
};

/* In the order of enum settings_via. */
static const char *const vias[] = {"mx", "hosts", "hold", "discard", "fail", NULL};

/* In the order of enum settings_tls. */
static const char *const tls_policies[] = {"opportunistic", "require", "verify", "none", NULL};

#define ROUTE(leaf) .name = "route." #leaf, .offset = offsetof(struct settings_route, leaf)
#define DESTINATION(leaf)                                                                          \
    .name = "destination." #leaf, .offset = offsetof(struct settings_destination, leaf)
#define CERTIFICATE(leaf)                                                                          \
    .name = "certificate." #leaf, .offset = offsetof(struct settings_certificate, leaf)

/* clang-format off */
static const struct setting route_label = {
    ROUTE(name), .type = SETTING_STRING, .form = &form_section_label,
    .text_default = "", .min = 1, .max = LABEL_MAX_CHARS, .help = "Its name."};
static const struct setting destination_label = {
    DESTINATION(name), .type = SETTING_STRING, .form = &form_section_label,
    .text_default = "", .min = 1, .max = LABEL_MAX_CHARS, .help = "Its name."};
static const struct setting certificate_label = {
    CERTIFICATE(name), .type = SETTING_STRING, .form = &form_section_label,
    .text_default = "", .min = 1, .max = LABEL_MAX_CHARS, .help = "Its name."};

static const struct setting route_rows[] = {
    {ROUTE(to), .type = SETTING_LIST, .form = &form_domain_pattern,
     .text_default = "", .min = 0, .max = PATTERNS_MAX,
     .help = "The recipient domains that it is for; any if empty."},
    {ROUTE(from), .type = SETTING_LIST, .form = &form_sender_pattern,
     .text_default = "", .min = 0, .max = PATTERNS_MAX,
     .help = "The senders that it is for, by the envelope; any if empty."},
    {ROUTE(via), .type = SETTING_ENUM, .text_default = "mx", .choices = vias,
     .min = SETTINGS_VIA_MX, .max = SETTINGS_VIA_FAIL,
     .help = "Where the mail goes: mx by the DNS, as without a route; hosts to the hosts named "
             "here; hold into the queue until it is released by hand; discard nowhere, and the "
             "sender is told nothing; fail back to the sender."},
    {ROUTE(hosts), .type = SETTING_LIST, .form = &form_host,
     .text_default = "", .min = 0, .max = ROUTE_HOSTS_MAX,
     .help = "With via = hosts: the hosts to choose from. The port is 25 unless it is given; a "
             "host of weight 3 is chosen three times as often as one of weight 1; a backup is "
             "tried only when none of the others can be reached. No MX records are asked for."},
    {ROUTE(text), .type = SETTING_STRING, .form = &form_printable,
     .text_default = "", .min = 0, .max = FAIL_TEXT_MAX_CHARS,
     .help = "With via = fail: what the sender is told."},
    {ROUTE(ehlo_name), .type = SETTING_STRING, .form = &form_optional_hostname,
     .text_default = "", .min = 0, .max = VALUE_HOSTNAME_MAX_CHARS,
     .help = "As outbound.ehlo_name, which counts if this is empty."},
    {ROUTE(source_ipv4), .type = SETTING_STRING, .form = &form_optional_ipv4,
     .text_default = "", .min = 0, .max = VALUE_ADDRESS_MAX_CHARS,
     .help = "As outbound.source_ipv4, which counts if this is empty."},
    {ROUTE(source_ipv6), .type = SETTING_STRING, .form = &form_optional_ipv6,
     .text_default = "", .min = 0, .max = VALUE_ADDRESS_MAX_CHARS,
     .help = "As outbound.source_ipv6, which counts if this is empty."},
    {ROUTE(tls), .type = SETTING_ENUM, .text_default = "opportunistic", .choices = tls_policies,
     .min = SETTINGS_TLS_OPPORTUNISTIC, .max = SETTINGS_TLS_NONE,
     .help = "Encryption: opportunistic if the other server has it, whoever it is; require mails "
             "only over encrypted connections; verify wants a valid certificate of the host's name "
             "besides (see tls.ca_file); none never encrypts. Mail that cannot go as this asks for "
             "waits and goes back in the end."},
    {ROUTE(tls_on_connect), .type = SETTING_BOOL, .text_default = "no", .min = 0, .max = 1,
     .help = "With via = hosts: whether the hosts expect encryption from the first byte instead of "
             "by STARTTLS. Those on port 465 always do."},
    {ROUTE(username), .type = SETTING_STRING, .form = &form_printable,
     .text_default = "", .min = 0, .max = USERNAME_MAX_CHARS,
     .help = "With via = hosts: the name to log in with there. None if empty."},
    {ROUTE(password_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "The file whose first line is the password of that name. Only its owner may be "
             "allowed to read it, who can be root. A change is noticed within a minute."},
};

static const struct setting certificate_rows[] = {
    {CERTIFICATE(folder), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS - 32,
     .help = "A directory as certbot makes it: with the certificate and those above it in "
             "fullchain.pem and the key in privkey.pem."},
    {CERTIFICATE(chain_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "Instead of folder: the file (PEM) with the certificate and those above it."},
    {CERTIFICATE(key_file), .type = SETTING_STRING, .form = &form_optional_path,
     .text_default = "", .min = 0, .max = PATH_MAX_CHARS,
     .help = "The file (PEM) with its key, which has no passphrase and is not for everybody to "
             "read; root's will do."},
};

static const struct setting destination_rows[] = {
    {DESTINATION(domains), .type = SETTING_LIST, .form = &form_domain_pattern,
     .text_default = "", .min = 0, .max = PATTERNS_MAX,
     .help = "Recipient domains that it is for."},
    {DESTINATION(mx), .type = SETTING_LIST, .form = &form_host_pattern,
     .text_default = "", .min = 0, .max = PATTERNS_MAX,
     .help = "Names of MX hosts: it is also for all domains whose mail goes to one of these."},
    {DESTINATION(max_connections), .type = SETTING_INT, .text_default = "0",
     .min = 0, .max = 20000,
     .help = "Connections at one time, instead of outbound.max_connections_per_destination; 0 "
             "leaves it at that."},
    {DESTINATION(messages_per_connection), .type = SETTING_INT, .text_default = "0",
     .min = 0, .max = 100000,
     .help = "Messages over one connection, if fewer than outbound.messages_per_connection; 0 "
             "leaves it at that."},
    {DESTINATION(max_recipients), .type = SETTING_INT, .text_default = "0",
     .min = 0, .max = 1000,
     .help = "Recipients of one transaction, if fewer than outbound.max_recipients; 0 leaves it at "
             "that."},
    {DESTINATION(messages_per_minute), .type = SETTING_INT, .text_default = "0",
     .min = 0, .max = 1000000,
     .help = "Messages a minute over all connections together; 0 means without limit."},
};
/* clang-format on */

_Static_assert(ARRAY_LEN(route_rows) <= SETTING_KIND_MAX_ROWS &&
                   ARRAY_LEN(destination_rows) <= SETTING_KIND_MAX_ROWS &&
                   ARRAY_LEN(certificate_rows) <= SETTING_KIND_MAX_ROWS,
               "SETTING_KIND_MAX_ROWS is too small");

static bool is_for_nothing(const void *object)
{
    const struct settings_route *route = object;

    return route->to.count == 0 && route->from.count == 0;
}

static bool lacks_hosts(const void *object)
{
    const struct settings_route *route = object;

    return route->via == SETTINGS_VIA_HOSTS && route->hosts.count == 0;
}

static bool has_unused_hosts(const void *object)
{
    const struct settings_route *route = object;

    return route->via != SETTINGS_VIA_HOSTS && route->hosts.count > 0;
}

static bool has_unused_text(const void *object)
{
    const struct settings_route *route = object;

    return route->via != SETTINGS_VIA_FAIL && route->text[0] != '\0';
}

static bool has_unused_name(const void *object)
{
    const struct settings_route *route = object;

    return route->via != SETTINGS_VIA_HOSTS && route->username[0] != '\0';
}

static bool has_unused_tls_on_connect(const void *object)
{
    const struct settings_route *route = object;

    return route->tls_on_connect &&
           (route->via != SETTINGS_VIA_HOSTS || route->tls == SETTINGS_TLS_NONE);
}

static bool has_half_credentials(const void *object)
{
    const struct settings_route *route = object;

    return (route->username[0] != '\0') != (route->password_file[0] != '\0');
}

/* Whoever stands between could take STARTTLS out of what is offered. */
static bool has_open_password(const void *object)
{
    const struct settings_route *route = object;

    return route->username[0] != '\0' && route->tls != SETTINGS_TLS_REQUIRE &&
           route->tls != SETTINGS_TLS_VERIFY;
}

static bool has_no_files(const void *object)
{
    const struct settings_certificate *c = object;

    return c->folder[0] == '\0' && (c->chain_file[0] == '\0' || c->key_file[0] == '\0');
}

static bool has_files_twice(const void *object)
{
    const struct settings_certificate *c = object;

    return c->folder[0] != '\0' && (c->chain_file[0] != '\0' || c->key_file[0] != '\0');
}

static bool names_nobody(const void *object)
{
    const struct settings_destination *destination = object;

    return destination->domains.count == 0 && destination->mx.count == 0;
}

static const struct setting_rule route_rules[] = {
    {"route.to", is_for_nothing,
     "it has neither \"to\" nor \"from\"; name domains or senders, or write to = \"*\" for all "
     "mail"},
    {"route.via", lacks_hosts, "via is hosts, but there are none; write hosts = [ \"HOST\" ]"},
    {"route.hosts", has_unused_hosts,
     "\"hosts\" is used only with via = hosts; write that or remove the hosts"},
    {"route.text", has_unused_text,
     "\"text\" is used only with via = fail; write that or remove the text"},
    {"route.username", has_unused_name,
     "\"username\" is used only with via = hosts; write that or remove the name"},
    {"route.username", has_half_credentials,
     "\"username\" and \"password_file\" go together; write both or none"},
    {"route.tls_on_connect", has_unused_tls_on_connect,
     "\"tls_on_connect\" is used only with via = hosts, and not with tls = none"},
    {"route.tls", has_open_password,
     "a password goes over encrypted connections only; write tls = verify, or tls = require if "
     "the host has no certificate that can be verified"},
};

static const struct setting_rule certificate_rules[] = {
    {"certificate.folder", has_no_files,
     "it names no files; write folder = \"/etc/letsencrypt/live/NAME\", or both chain_file and "
     "key_file"},
    {"certificate.folder", has_files_twice,
     "the files are in \"folder\" or named by \"chain_file\" and \"key_file\"; remove one of the "
     "two"},
};

static const struct setting_rule destination_rules[] = {
    {"destination.domains", names_nobody,
     "it has neither \"domains\" nor \"mx\"; write whom it is for"},
};

static const struct setting_kind kinds[] = {
    {
        .name = "route",
        .plural = "routes",
        .help = "Another way for some of the mail. The first route in the file counts whose \"to\" "
                "and \"from\" both match.",
        .label = &route_label,
        .rows = route_rows,
        .row_count = ARRAY_LEN(route_rows),
        .rules = route_rules,
        .rule_count = ARRAY_LEN(route_rules),
        .object_bytes = sizeof(struct settings_route),
        .objects_offset = offsetof(struct settings, routes),
        .count_offset = offsetof(struct settings, route_count),
        .max_count = SETTINGS_ROUTES_MAX,
    },
    {
        .name = "destination",
        .plural = "destinations",
        .help = "How gently some receivers are treated. The first section in the file counts that "
                "names the recipient's domain, else the first that names one of its MX hosts. The "
                "domains of one set of MX hosts count together.",
        .label = &destination_label,
        .rows = destination_rows,
        .row_count = ARRAY_LEN(destination_rows),
        .rules = destination_rules,
        .rule_count = ARRAY_LEN(destination_rules),
        .object_bytes = sizeof(struct settings_destination),
        .objects_offset = offsetof(struct settings, destinations),
        .count_offset = offsetof(struct settings, destination_count),
        .max_count = SETTINGS_DESTINATIONS_MAX,
    },
    {
        .name = "certificate",
        .plural = "certificates",
        .help = "What the server proves its name with. Of several, each client gets the one with "
                "the name that it asks for; the first is for all others. Files that change, as "
                "certbot renews them, are taken up within a minute, and only if they can be used.",
        .label = &certificate_label,
        .rows = certificate_rows,
        .row_count = ARRAY_LEN(certificate_rows),
        .rules = certificate_rules,
        .rule_count = ARRAY_LEN(certificate_rules),
        .object_bytes = sizeof(struct settings_certificate),
        .objects_offset = offsetof(struct settings, certificates),
        .count_offset = offsetof(struct settings, certificate_count),
        .max_count = SETTINGS_CERTIFICATES_MAX,
    },
};

const struct setting_kind *setting_kinds(size_t *out_count)
{
    *out_count = ARRAY_LEN(kinds);
    return kinds;
}

const struct setting_kind *setting_kind_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq_c(name, kinds[i].name))
            return &kinds[i];
    }
    return NULL;
}

const struct setting *setting_kind_row(const struct setting_kind *kind, struct str name,
                                       size_t *out_index)
{
    for (size_t i = 0; i < kind->row_count; i++) {
        if (!str_eq_c(name, kind->rows[i].name))
            continue;
        *out_index = i;
        return &kind->rows[i];
    }
    return NULL;
}

/* The objects have types of their own, so their array is known here as bytes only. */
static char *get_objects(const struct setting_kind *kind, const struct settings *s)
{
    char *objects;

    memcpy(&objects, (const char *)s + kind->objects_offset, sizeof(objects));
    return objects;
}

static void set_objects(const struct setting_kind *kind, struct settings *s, char *objects,
                        size_t count)
{
    memcpy((char *)s + kind->objects_offset, &objects, sizeof(objects));
    memcpy((char *)s + kind->count_offset, &count, sizeof(count));
}

size_t setting_object_count(const struct setting_kind *kind, const struct settings *s)
{
    size_t count;

    memcpy(&count, (const char *)s + kind->count_offset, sizeof(count));
    return count;
}

const void *setting_object(const struct setting_kind *kind, const struct settings *s, size_t index)
{
    ASSERT(index < setting_object_count(kind, s));
    return get_objects(kind, s) + index * kind->object_bytes;
}

void *setting_object_add(const struct setting_kind *kind, struct settings *s)
{
    size_t count = setting_object_count(kind, s);

    if (count >= kind->max_count)
        return NULL;
    char *objects = xrealloc(get_objects(kind, s), (count + 1) * kind->object_bytes);
    char *object = objects + count * kind->object_bytes;
    memset(object, 0, kind->object_bytes);
    setting_set_default(kind->label, object);
    for (size_t i = 0; i < kind->row_count; i++)
        setting_set_default(&kind->rows[i], object);
    set_objects(kind, s, objects, count + 1);
    return object;
}

void setting_objects_clear(struct settings *s)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct setting_kind *kind = &kinds[i];
        char *objects = get_objects(kind, s);
        for (size_t j = 0; j < setting_object_count(kind, s); j++) {
            setting_clear(kind->label, objects + j * kind->object_bytes);
            for (size_t k = 0; k < kind->row_count; k++)
                setting_clear(&kind->rows[k], objects + j * kind->object_bytes);
        }
        free(objects);
        set_objects(kind, s, NULL, 0);
    }
}
