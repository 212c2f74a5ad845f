/* A context of libunbound as our settings want it: see unbound_config.h. */
#include "svc/resolver/unbound_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unbound.h>
#include <unistd.h>

#include "conf/value.h"
#include "svc/resolver/engine.h"

enum {
    SPARE_FILES = 256, /* channels, TCP, what libunbound needs by itself */
    SOCKETS_MIN = 128,
    LINE_MAX_BYTES = 4096, /* of a trust anchor */
    SERVER_TEXT_BYTES = VALUE_ADDRESS_MAX_CHARS + 8,
};

static const struct {
    const char *name, *value;
} options[] = {
    {"do-not-query-localhost:", "no"}, /* stub zones and forwarders may be there */
    {"qname-minimisation:", "yes"},
    {"harden-glue:", "yes"},
    {"harden-dnssec-stripped:", "yes"},
    {"harden-below-nxdomain:", "yes"},
    {"harden-short-bufsize:", "yes"},
    {"harden-large-queries:", "yes"},
    {"aggressive-nsec:", "yes"},
    {"edns-buffer-size:", "1232"},
    {"cache-max-ttl:", "86400"},
    {"cache-max-negative-ttl:", "900"},
    {"infra-host-ttl:", "120"},       /* how long a silent server is remembered as such */
    {"infra-cache-max-rtt:", "4000"}, /* ms; slower is silent: else one holds sockets for minutes */
    {"outgoing-num-tcp:", "64"},
    {"num-queries-per-thread:", "4096"},
    {"use-syslog:", "no"},
};

struct setup {
    struct ub_ctx *ub;
    struct buf *text; /* what is wrong */
};

static int refuse(struct setup *s, const char *what, struct str value, int error)
{
    buf_printf(s->text, "\"%s\" has \"%.*s\", which cannot be used: %s\n", what, STR_ARG(value),
               ub_strerror(error));
    return -EINVAL;
}

static int set_option(struct setup *s, const char *name, const char *value)
{
    int error = ub_ctx_set_option(s->ub, name, value);

    return error == 0 ? 0 : refuse(s, name, str_from_c(value), error);
}

static int set_number(struct setup *s, const char *name, uint64_t value)
{
    CLEANUP(cleanup_free) char *text = xasprintf("%llu", (unsigned long long)value);

    return set_option(s, name, text);
}

/* A socket for each question to a server, as far as there may be files: else those who ask silent
 * servers keep all others waiting for one. */
static uint64_t sockets_at_a_time(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 2 * SPARE_FILES)
        return SOCKETS_MIN;
    return MIN((uint64_t)limit.rlim_cur - SPARE_FILES, (uint64_t)ENGINE_QUESTIONS_MAX);
}

static int set_options(struct setup *s, const struct settings *settings)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(options); i++)
        r = set_option(s, options[i].name, options[i].value);
    if (r == 0)
        r = set_number(s, "outgoing-range:", sockets_at_a_time());
    /* Records need about twice the room of the messages that name them. */
    if (r == 0)
        r = set_number(s, "msg-cache-size:", settings->resolver_cache_size / 3);
    if (r == 0)
        r = set_number(s, "rrset-cache-size:", settings->resolver_cache_size / 3 * 2);
    return r;
}

static void print_server(const struct value_server *server, char out[SERVER_TEXT_BYTES])
{
    (void)snprintf(out, SERVER_TEXT_BYTES, "%s@%u", server->address, server->port);
}

static int set_forwarders(struct setup *s, const struct settings_list *list)
{
    char text[SERVER_TEXT_BYTES];
    struct value_server server;

    for (size_t i = 0; i < list->count; i++) {
        struct str item = str_from_c(list->items[i]);
        if (value_parse_server(item, &server) < 0)
            return refuse(s, "resolver.forwarders", item, UB_SYNTAX);
        print_server(&server, text);
        int error = ub_ctx_set_fwd(s->ub, text);
        if (error != 0)
            return refuse(s, "resolver.forwarders", item, error);
    }
    return 0;
}

static struct str without_final_dot(struct str name)
{
    return name.len > 0 && name.ptr[name.len - 1] == '.' ? str_sub(name, 0, name.len - 1) : name;
}

/* Whether one of the anchors belongs to the zone or to a name below it. */
static bool has_anchor(struct str anchors, struct str zone)
{
    struct str line, owner, rest;
    CLEANUP(cleanup_free) char *suffix = xasprintf(".%.*s", STR_ARG(zone));

    while (anchors.len > 0) {
        (void)str_cut(anchors, '\n', &line, &anchors);
        (void)str_cut(line, ' ', &owner, &rest);
        owner = without_final_dot(owner);
        if (str_eq_nocase(owner, zone) || str_has_suffix_nocase(owner, str_from_c(suffix)))
            return true;
    }
    return false;
}

/* A zone of one's own is hardly known to the root, so that nobody can prove it signed or unsigned:
 * it is validated only by an anchor of its own. */
static int set_stub_zone(struct setup *s, struct str item, struct str anchors)
{
    char text[SERVER_TEXT_BYTES];
    struct value_stub stub;

    if (value_parse_stub(item, &stub) < 0)
        return refuse(s, "resolver.stub_zones", item, UB_SYNTAX);
    print_server(&stub.server, text);
    CLEANUP(cleanup_free) char *zone = str_dup(stub.zone);
    int error = ub_ctx_set_stub(s->ub, zone, text, 0);
    if (error == 0 && !has_anchor(anchors, without_final_dot(stub.zone)))
        error = ub_ctx_set_option(s->ub, "domain-insecure:", zone);
    return error == 0 ? 0 : refuse(s, "resolver.stub_zones", item, error);
}

static int set_stub_zones(struct setup *s, const struct settings_list *list, struct str anchors)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = set_stub_zone(s, str_from_c(list->items[i]), anchors);
    return r;
}

static int set_anchors(struct setup *s, struct str anchors)
{
    struct str line;

    while (anchors.len > 0) {
        (void)str_cut(anchors, '\n', &line, &anchors);
        CLEANUP(cleanup_free) char *anchor = str_dup(line);
        int error = line.len > 0 ? ub_ctx_add_ta(s->ub, anchor) : 0;
        if (error != 0)
            return refuse(s, "resolver.trust_anchor_file", line, error);
    }
    return 0;
}

/* Some zones libunbound answers by itself (localhost, test, invalid, private reverse zones): not
 * where they are stub zones. */
static int open_stub_zone(struct setup *s, struct str item)
{
    struct value_stub stub;

    if (value_parse_stub(item, &stub) < 0 || str_eq_c(stub.zone, "."))
        return 0;
    CLEANUP(cleanup_free) char *zone = str_dup(stub.zone);
    int error = ub_ctx_zone_add(s->ub, zone, "transparent");
    return error == 0 ? 0 : refuse(s, "resolver.stub_zones", item, error);
}

/* From here on the context is finished: libunbound reads all that it was told. */
static int finish(struct setup *s, const struct settings *settings)
{
    int r = 0, error = ub_ctx_data_remove(s->ub, "nothing.invalid.");

    if (error != 0) {
        buf_printf(s->text,
                   "libunbound refuses the settings (%s); see whether what is in "
                   "\"resolver.trust_anchor_file\" are trust anchors\n",
                   ub_strerror(error));
        return -EINVAL;
    }
    for (size_t i = 0; r == 0 && i < settings->resolver_stub_zones.count; i++)
        r = open_stub_zone(s, str_from_c(settings->resolver_stub_zones.items[i]));
    for (size_t i = 0; i < settings->resolver_local_records.count; i++) {
        const char *record = settings->resolver_local_records.items[i];
        error = ub_ctx_data_add(s->ub, record);
        /* It says "out of memory" of every record that it cannot read. */
        if (error != 0)
            r = refuse(s, "resolver.local_records", str_from_c(record), UB_SYNTAX);
    }
    return r;
}

struct ub_ctx *unbound_config_apply(const struct settings *settings, struct str anchors,
                                    struct buf *out_text)
{
    struct setup s = {.ub = ub_ctx_create(), .text = out_text};

    if (s.ub == NULL) {
        buf_put_c(out_text, "libunbound cannot start\n");
        return NULL;
    }
    (void)ub_ctx_debugout(s.ub, NULL);
    (void)ub_ctx_async(s.ub, 1);
    int r = set_options(&s, settings);
    if (r == 0)
        r = set_forwarders(&s, &settings->resolver_forwarders);
    if (r == 0)
        r = set_stub_zones(&s, &settings->resolver_stub_zones, anchors);
    if (r == 0)
        r = set_anchors(&s, anchors);
    if (r == 0)
        r = finish(&s, settings);
    if (r == 0)
        return s.ub;
    ub_ctx_delete(s.ub);
    return NULL;
}

int unbound_config_check(const struct settings *settings, struct str anchors, struct buf *out_text)
{
    struct ub_ctx *ub = unbound_config_apply(settings, anchors, out_text);

    if (ub == NULL)
        return -EINVAL;
    ub_ctx_delete(ub);
    return 0;
}

/* Comments and empty lines go, so that each line is an anchor. */
static void put_anchors(struct str text, struct buf *out)
{
    struct str line, comment;

    while (text.len > 0) {
        (void)str_cut(text, '\n', &line, &text);
        (void)str_cut(line, ';', &line, &comment);
        line = str_trim(line);
        for (size_t i = 0; i < line.len; i++)
            buf_put_char(out, line.ptr[i] == '\t' ? ' ' : line.ptr[i]);
        if (line.len > 0)
            buf_put_char(out, '\n');
    }
}

int unbound_config_read_anchors(const char *path, struct buf *out)
{
    struct buf file;
    int r = 0;

    if (path[0] == '\0')
        return -ENOENT;
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    buf_init(&file, ANCHORS_MAX_BYTES);
    for (;;) {
        char *room = buf_reserve(&file, LINE_MAX_BYTES);
        ssize_t n = room != NULL ? read(fd, room, LINE_MAX_BYTES) : -1;
        if (n <= 0) {
            r = room == NULL ? -EFBIG : n < 0 ? -errno : 0;
            break;
        }
        buf_commit(&file, (size_t)n);
    }
    if (r == 0)
        put_anchors(buf_str(&file), out);
    buf_done(&file);
    return r < 0 ? r : buf_status(out);
}
