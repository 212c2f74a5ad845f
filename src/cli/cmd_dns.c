/*
 * dns: what the resolver says of a name, and where mail for it would go; through a resolver of its
 * own, in the sandbox and with the settings of the server's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/own_resolver.h"
#include "cli/text.h"
#include "conf/route.h"
#include "dns/mx.h"
#include "dns/record.h"
#include "mail/address.h"
#include "rt/fiber.h"
#include "rt/loop.h"
#include "svc/own_addresses.h"

enum {
    ASKERS = 64,     /* fibers, for lists of names */
    SPARE_MS = 5000, /* beyond resolver.timeout, which is the resolver's to keep */
    NAME_LINE_BYTES = 1024,
    DATA_TEXT_BYTES = 128 * 1024,
};

static const struct {
    const char *name;
    enum dns_type type;
} types[] = {{"A", DNS_A},     {"AAAA", DNS_AAAA}, {"MX", DNS_MX},
             {"PTR", DNS_PTR}, {"TLSA", DNS_TLSA}, {"TXT", DNS_TXT}};

static const char *const statuses[] = {
    [DNS_OK] = "ok",         [DNS_NO_DATA] = "no data", [DNS_NO_NAME] = "no name",
    [DNS_FAILED] = "failed", [DNS_BOGUS] = "bogus",
};

static const char *const outcomes[] = {
    [MX_OK] = "ok",
    [MX_NULL] = "null MX",
    [MX_NO_NAME] = "no name",
    [MX_NO_HOST] = "no host",
    [MX_TEMPORARY] = "temporary",
    [MX_LOOP] = "loop",
    [MX_FORBIDDEN] = "forbidden",
};

static const char *const vias[] = {
    [SETTINGS_VIA_MX] = "MX",     [SETTINGS_VIA_HOSTS] = "hosts",
    [SETTINGS_VIA_HOLD] = "hold", [SETTINGS_VIA_DISCARD] = "discard",
    [SETTINGS_VIA_FAIL] = "fail",
};

static struct {
    struct cli *cli;
    struct own_resolver resolver;
    struct own_addresses own;
    struct fiber_group askers;
    struct fiber_group parent;
    bool is_list;       /* names come from standard input */
    bool is_taken;      /* the only name is */
    enum dns_type type; /* 0: where mail goes */
    int status;
} self;

/* --- record data --- */

static void put_texts(struct str data, struct buf *out)
{
    struct cursor c = cursor_from(data);

    while (cursor_left(&c) > 0) {
        size_t bytes = cursor_u8(&c);
        buf_put_str(out, cursor_take(&c, MIN(bytes, cursor_left(&c))));
    }
}

static void put_hex(struct str data, struct buf *out)
{
    for (size_t i = 0; i < data.len; i++)
        buf_printf(out, "%02x", (unsigned char)data.ptr[i]);
}

static void put_name(struct str data, struct buf *out)
{
    char name[DNS_NAME_TEXT_BYTES];
    struct cursor c = cursor_from(data);

    buf_put_c(out, dns_name_read(&c, name) == 0 ? name : "(not a host name)");
}

static void put_mx(struct str data, struct buf *out)
{
    char name[DNS_NAME_TEXT_BYTES];
    uint16_t preference;

    int r = dns_mx_read(data, &preference, name);
    buf_printf(out, "%u %s", preference,
               r < 0             ? "(not a host name)"
               : name[0] == '\0' ? "."
                                 : name);
}

static void put_data(enum dns_type type, struct str data, struct buf *out)
{
    char text[IP_TEXT_BYTES];
    struct ip_addr ip;

    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        if (dns_address_read(type, data, &ip) == 0)
            buf_put_c(out, ip_print(&ip, text));
        break;
    case DNS_MX:
        put_mx(data, out);
        break;
    case DNS_PTR:
        put_name(data, out);
        break;
    case DNS_TXT:
        put_texts(data, out);
        break;
    case DNS_TLSA:
        if (data.len > 3)
            buf_printf(out, "%d %d %d ", data.ptr[0], data.ptr[1], data.ptr[2]);
        put_hex(str_sub(data, 3, data.len), out);
        break;
    }
}

/* --- output --- */

static void print_object(json_t *object)
{
    if (!self.is_list) {
        (void)cli_print_json(object);
        return;
    }
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(object);
}

static void print_safe(const char *before, struct str text)
{
    struct buf safe;

    buf_init(&safe, DATA_TEXT_BYTES);
    text_put_safe(&safe, text);
    (void)printf("%s%s", before, buf_c_str(&safe));
    buf_done(&safe);
}

static void print_answer_json(struct str name, const struct dns_answer *a)
{
    json_t *data = json_array();
    struct buf text;

    for (size_t i = 0; i < a->count; i++) {
        buf_init(&text, DATA_TEXT_BYTES);
        put_data(self.type, a->data[i], &text);
        (void)json_array_append_new(data, cli_json_text(buf_str(&text)));
        buf_done(&text);
    }
    print_object(json_pack("{s:o, s:s, s:b, s:I, s:o, s:o, s:o}", "name", cli_json_text(name),
                           "status", statuses[a->status], "secure", a->is_secure, "ttl",
                           (json_int_t)a->ttl_s, "canonical", cli_json_text(a->name), "why",
                           cli_json_text(a->why), "data", data));
}

static void print_answer(struct str name, const struct dns_answer *a)
{
    struct buf text;

    if (self.cli->args.is_json) {
        print_answer_json(name, a);
        return;
    }
    print_safe("", name);
    (void)printf(": %s, %s, %u s", statuses[a->status], a->is_secure ? "secure" : "insecure",
                 a->ttl_s);
    if (a->name.len > 0 && !str_eq_nocase(a->name, name))
        print_safe(", alias of ", a->name);
    print_safe(a->why.len > 0 ? ": " : "", a->why);
    (void)putchar('\n');
    for (size_t i = 0; i < a->count; i++) {
        buf_init(&text, DATA_TEXT_BYTES);
        put_data(self.type, a->data[i], &text);
        print_safe("  ", buf_str(&text));
        (void)putchar('\n');
        buf_done(&text);
    }
}

static json_t *host_json(const struct mx_host *host)
{
    char text[IP_TEXT_BYTES];
    json_t *addresses = json_array();

    for (size_t i = 0; i < host->address_count; i++)
        (void)json_array_append_new(addresses, json_string(ip_print(&host->addresses[i], text)));
    return json_pack("{s:o, s:i, s:b, s:o}", "name", cli_json_text(host->name), "preference",
                     (int)host->preference, "secure", host->is_secure, "addresses", addresses);
}

static json_t *list_json(const struct settings_list *list)
{
    json_t *items = json_array();

    for (size_t i = 0; i < list->count; i++)
        (void)json_array_append_new(items, cli_json_text(str_from_c(list->items[i])));
    return items;
}

/* The routes of the configuration that take such mail, up to the first that takes all of it. */
static json_t *routes_json(struct str domain)
{
    const struct settings *s = self.cli->settings;
    const struct settings_route *route = route_next(s, 0, domain);
    json_t *routes = json_array();

    for (; route != NULL; route = route_next(s, (size_t)(route - s->routes) + 1, domain)) {
        (void)json_array_append_new(
            routes, json_pack("{s:o, s:s, s:o, s:o}", "name",
                              cli_json_text(str_from_c(route->name)), "via", vias[route->via],
                              "from", list_json(&route->from), "hosts", list_json(&route->hosts)));
        if (route->from.count == 0)
            break;
    }
    return routes;
}

static void print_list(const struct settings_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        print_safe(i == 0 ? "" : ", ", str_from_c(list->items[i]));
}

/* Whether a route takes all such mail elsewhere than to its MX. */
static bool print_routes(struct str name, struct str domain)
{
    const struct settings *s = self.cli->settings;
    const struct settings_route *route = route_next(s, 0, domain);

    for (; route != NULL; route = route_next(s, (size_t)(route - s->routes) + 1, domain)) {
        print_safe("", name);
        if (route->from.count > 0) {
            (void)printf(", from ");
            print_list(&route->from);
        }
        print_safe(": by the route \"", str_from_c(route->name));
        (void)printf("\": %s", vias[route->via]);
        if (route->hosts.count > 0)
            (void)printf(" ");
        print_list(&route->hosts);
        (void)putchar('\n');
        if (route->from.count == 0)
            return route->via != SETTINGS_VIA_MX;
    }
    return false;
}

static void print_mx_json(struct str name, struct str domain, const struct mx_result *r)
{
    json_t *hosts = json_array();

    for (size_t i = 0; i < r->host_count; i++)
        (void)json_array_append_new(hosts, host_json(&r->hosts[i]));
    print_object(json_pack("{s:o, s:o, s:s, s:o, s:b, s:b, s:I, s:o, s:o}", "name",
                           cli_json_text(name), "domain", cli_json_text(domain), "outcome",
                           outcomes[r->outcome], "why", cli_json_text(r->why), "secure",
                           r->is_secure, "implicit", r->is_implicit, "ttl", (json_int_t)r->ttl_s,
                           "hosts", hosts, "routes", routes_json(domain)));
}

static void print_mx(struct str name, const struct mx_result *r)
{
    char text[IP_TEXT_BYTES];

    print_safe("", name);
    if (r->outcome == MX_LOOP) {
        (void)printf(": its mail comes to this server, and stays if the domain is one of its own "
                     "(hikyaku domain list); if not: ");
        print_safe("", r->why);
        (void)putchar('\n');
        return;
    }
    if (r->outcome != MX_OK) {
        print_safe(": no mail can be sent there: ", r->why);
        (void)putchar('\n');
        return;
    }
    (void)printf(": %s, %s, %u s\n", r->is_implicit ? "no MX, its own address" : "by MX",
                 r->is_secure ? "secure" : "insecure", r->ttl_s);
    for (size_t i = 0; i < r->host_count; i++) {
        (void)printf("  %5u  ", r->hosts[i].preference);
        print_safe("", r->hosts[i].name);
        for (size_t j = 0; j < r->hosts[i].address_count; j++)
            (void)printf(" %s", ip_print(&r->hosts[i].addresses[j], text));
        (void)printf("%s\n", r->hosts[i].is_secure ? " (secure)" : "");
    }
}

/* --- asking, in fibers --- */

static int look_up(void *arg, const struct dns_question *questions, size_t count,
                   int64_t deadline_ms, struct arena *arena, struct dns_answer *out_answers)
{
    return dns_lookup(arg, questions, count, deadline_ms, arena, out_answers);
}

/* The domain as the DNS has it. */
static bool parse_name(struct str name, struct arena *arena, struct str *out)
{
    *out = name;
    if (name.len > 0 && (name.ptr[0] == '[' || !utf8_has_non_ascii(name)))
        return true;
    enum address_error error = domain_parse(name, arena, out);
    if (error == ADDRESS_OK)
        return true;
    (void)cli_fail("\"%.*s\" is no name: %s", STR_ARG(name), address_error_text(error));
    return false;
}

static bool ask_mx(struct str name, struct str domain, int64_t deadline_ms, struct arena *arena)
{
    const struct settings *settings = self.cli->settings;
    struct mx_config config = {.lookup = look_up,
                               .arg = &self.resolver.client,
                               .own_name = settings->server_hostname,
                               .own_addresses = self.own.list,
                               .own_address_count = self.own.count,
                               .own_port = self.own.port,
                               .port = (uint16_t)settings->outbound_port,
                               .allowed_networks = &settings->outbound_private_networks,
                               .families = settings->outbound_families};
    struct mx_result result;

    if (mx_resolve(&config, domain, deadline_ms, arena, &result) < 0)
        return false;
    if (self.cli->args.is_json)
        print_mx_json(name, domain, &result);
    else
        print_mx(name, &result);
    return result.outcome == MX_OK;
}

static bool ask_way(struct str name, struct str domain, int64_t deadline_ms, struct arena *arena)
{
    if (!self.cli->args.is_json && print_routes(name, domain))
        return true;
    return ask_mx(name, domain, deadline_ms, arena);
}

static bool ask_records(struct str name, struct str domain, int64_t deadline_ms,
                        struct arena *arena)
{
    struct dns_question question = {.name = domain, .type = self.type};
    struct dns_answer answer;

    int r = dns_lookup(&self.resolver.client, &question, 1, deadline_ms, arena, &answer);
    if (r < 0) {
        (void)cli_fail("the resolver gave no answer: %s", strerror(-r));
        return false;
    }
    print_answer(name, &answer);
    return answer.status == DNS_OK;
}

/* The next name to ask for, into `line`; false at the end. */
static bool next_name(char line[NAME_LINE_BYTES], struct str *out)
{
    if (!self.is_list) {
        bool is_first = !self.is_taken;
        self.is_taken = true;
        *out = cli_word(self.cli, 0);
        return is_first;
    }
    do {
        if (fgets(line, NAME_LINE_BYTES, stdin) == NULL)
            return false;
        *out = str_trim(str_from_c(line));
    } while (out->len == 0);
    return true;
}

static void run_asker(void *arg)
{
    char line[NAME_LINE_BYTES];
    struct arena arena;
    struct str name, domain;

    (void)arg;
    while (next_name(line, &name)) {
        int64_t deadline_ms = clock_mono_ms() + self.cli->settings->resolver_timeout + SPARE_MS;
        arena_init(&arena, MX_ARENA_BYTES);
        if (!parse_name(name, &arena, &domain) ||
            !(self.type == 0 ? ask_way(name, domain, deadline_ms, &arena)
                             : ask_records(name, domain, deadline_ms, &arena)))
            self.status = CLI_FAILED;
        arena_done(&arena);
    }
}

static void run_all(void *arg)
{
    int askers = self.is_list ? ASKERS : 1;

    (void)arg;
    fiber_group_init(&self.askers);
    for (int i = 0; i < askers; i++) {
        if (fiber_spawn(&self.askers, "asker", run_asker, NULL) < 0)
            self.status = cli_fail("there is not enough memory");
    }
    (void)!fiber_group_join(&self.askers, CLOCK_NEVER);
    loop_stop();
}

static int ask_all(void)
{
    int r = loop_init();

    if (r == 0)
        r = own_resolver_start(&self.resolver, self.cli->settings);
    fiber_group_init(&self.parent);
    if (r == 0)
        r = fiber_spawn(&self.parent, "dns", run_all, NULL);
    if (r == 0)
        loop_run();
    own_resolver_stop(&self.resolver);
    fiber_pool_done();
    loop_done();
    return r < 0 ? cli_fail("the resolver cannot be started: %s", strerror(-r)) : self.status;
}

/* CLI_DONE or CLI_USAGE, said. */
static int take_type(struct cli *cli)
{
    struct str word = cli_word(cli, 1);

    if (word.len == 0)
        return CLI_DONE;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_nocase(word, str_from_c(types[i].name)))
            self.type = types[i].type;
    }
    return self.type != 0 ? CLI_DONE
                          : cli_usage(cli, "the types are A, AAAA, MX, PTR, TLSA and TXT");
}

int cmd_dns(struct cli *cli)
{
    self.cli = cli;
    self.status = CLI_DONE;
    self.is_list = str_eq_c(cli_word(cli, 0), "-");
    int status = take_type(cli);
    if (status == CLI_DONE)
        status = cli_load_settings(cli);
    if (status != CLI_DONE)
        return status;
    own_addresses_learn(cli->settings, &self.own);
    return ask_all();
}
