/* Making a connection: see dial.h. */
#include "svc/outbound/dial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/connect.h"
#include "svc/outbound/verdict.h"
#include "svc/outbound/worker.h"

enum {
    REPLY_ARENA_BYTES = 256 * 1024,
    WORDS_MAX_BYTES = 300,
    PASSWORD_MAX_BYTES = 1024,
    SUBMISSIONS_PORT = 465, /* TLS from the first byte (RFC 8314 section 7.3) */
};

/* Where to connect from and as whom: the route's wish, else that of all. */
static const char *wish(const char *of_route, const char *of_all)
{
    return of_route != NULL && of_route[0] != '\0' ? of_route : of_all;
}

static const char *find_ehlo_name(const struct settings *s, const struct settings_route *route)
{
    const char *name = wish(route != NULL ? route->ehlo_name : NULL, s->outbound_ehlo_name);

    return name[0] != '\0' ? name : s->server_hostname;
}

static bool find_source(const struct settings *s, const struct settings_route *route,
                        enum ip_family family, struct ip_addr *out)
{
    const char *v4 = wish(route != NULL ? route->source_ipv4 : NULL, s->outbound_source_ipv4);
    const char *v6 = wish(route != NULL ? route->source_ipv6 : NULL, s->outbound_source_ipv6);
    const char *text = family == IP_V4 ? v4 : v6;

    return text[0] != '\0' && ip_parse(str_from_c(text), out) == 0;
}

static enum smtp_client_tls tls_policy(const struct settings_route *route)
{
    switch (route != NULL ? route->tls : SETTINGS_TLS_OPPORTUNISTIC) {
    case SETTINGS_TLS_REQUIRE:
        return SMTP_CLIENT_TLS_REQUIRE;
    case SETTINGS_TLS_VERIFY:
        return SMTP_CLIENT_TLS_VERIFY;
    case SETTINGS_TLS_NONE:
        return SMTP_CLIENT_TLS_NEVER;
    default:
        return SMTP_CLIENT_TLS_IF_OFFERED;
    }
}

/* What encrypts the connection and who logs in over it. Without keys from the master yet, nothing
 * that demands encryption can be satisfied. */
static void set_security(struct connection *c, const struct settings_route *route, uint16_t port)
{
    struct smtp_client_config *config = &c->config;

    config->tls = tls_client_ref(worker.tls.client);
    config->tls_name = c->host;
    config->tls_policy = tls_policy(route);
    if (config->tls == NULL && config->tls_policy == SMTP_CLIENT_TLS_IF_OFFERED)
        config->tls_policy = SMTP_CLIENT_TLS_NEVER;
    config->is_tls_at_once =
        (port == SUBMISSIONS_PORT || (route != NULL && route->tls_on_connect)) &&
        config->tls_policy != SMTP_CLIENT_TLS_NEVER;
    if (route == NULL || route->username[0] == '\0')
        return;
    buf_init(&c->password, PASSWORD_MAX_BYTES);
    if (tls_link_put_password(&worker.tls, str_from_c(route->name), &c->password)) {
        config->username = str_from_c(route->username);
        config->password = buf_str(&c->password);
    }
}

static void set_config(struct connection *c, const struct settings *s,
                       const struct settings_route *route)
{
    (void)snprintf(c->ehlo_name, sizeof(c->ehlo_name), "%s", find_ehlo_name(s, route));
    c->config = (struct smtp_client_config){.ehlo_name = c->ehlo_name,
                                            .timeouts = {.greeting = s->outbound_greeting_timeout,
                                                         .command = s->outbound_command_timeout,
                                                         .data = s->outbound_data_timeout,
                                                         .block = s->outbound_block_timeout,
                                                         .final = s->outbound_final_timeout}};
}

/* Notes why this one failed; what was noted before stays in front. */
static void note_failure(struct trouble *f, const struct connection *c,
                         const struct smtp_client_reply *reply)
{
    char words[WORDS_MAX_BYTES];
    size_t used = strlen(f->why);

    verdict_put_words(reply, words, sizeof(words));
    (void)snprintf(f->why + used, sizeof(f->why) - used, "%s%s [%s]: %s (%s)", used > 0 ? "; " : "",
                   c->host, c->ip, words, smtp_client_stage_name(reply->stage));
    (void)snprintf(f->host, sizeof(f->host), "%s", c->host);
    verdict_host_status(reply, f->status);
    f->code = reply->code;
    LOG(LOG_INFO, "outbound.host-failed", LOG_C("host", c->host), LOG_C("ip", c->ip),
        LOG_C("stage", smtp_client_stage_name(reply->stage)), LOG_C("why", words));
}

/* Yields. 1, 0 with *out_reply, -ECANCELED. */
static int try_address(struct connection *c, const struct settings *s,
                       const struct settings_route *route, const struct ip_addr *ip, uint16_t port,
                       struct arena *arena, struct smtp_client_reply *out_reply)
{
    struct ip_addr source;
    bool has_source = find_source(s, route, ip->family, &source);

    int fd = connect_tcp(ip, port, has_source ? &source : NULL,
                         clock_mono_ms() + s->outbound_connect_timeout);
    if (fd == -ECANCELED)
        return fd;
    if (fd < 0) {
        *out_reply = (struct smtp_client_reply){.stage = SMTP_CLIENT_CONNECT, .error = fd};
        return 0;
    }
    int r = smtp_client_open(&c->client, fd, &c->config, arena, out_reply);
    connection_forget_password(c);
    if (r == 0)
        return 1;
    return out_reply->error == -ECANCELED ? -ECANCELED : 0;
}

/* RFC 3207 section 4.1 leaves it to the client: mail that nobody asked to be encrypted goes without
 * rather than not at all. */
static bool may_go_without_tls(const struct connection *c)
{
    return c->client.has_failed_tls && c->config.tls_policy == SMTP_CLIENT_TLS_IF_OFFERED;
}

/* The same once more. Yields. */
static struct connection *without_tls(struct connection *c)
{
    struct connection *again = connection_new();

    LOG(LOG_INFO, "outbound.tls-failed", LOG_C("host", c->host), LOG_C("ip", c->ip),
        LOG_C("why", tls_error(&c->client.stream)), LOG_C("then", "without encryption"));
    again->host_index = c->host_index;
    memcpy(again->host, c->host, sizeof(again->host));
    memcpy(again->ip, c->ip, sizeof(again->ip));
    memcpy(again->ehlo_name, c->ehlo_name, sizeof(again->ehlo_name));
    again->config = c->config;
    again->config.ehlo_name = again->ehlo_name;
    again->config.tls = NULL;
    again->config.tls_policy = SMTP_CLIENT_TLS_NEVER;
    connection_free(c);
    return again;
}

static int dial_host(const struct settings *s, const struct target *t, size_t index,
                     unsigned *tries, struct connection **out, struct trouble *f)
{
    const struct target_host *host = &t->hosts[index];
    struct smtp_client_reply reply = {.code = 0};
    struct arena arena;
    char ip_text[IP_TEXT_BYTES];
    int r = 0;

    arena_init(&arena, REPLY_ARENA_BYTES);
    for (size_t i = 0; r == 0 && i < host->address_count && *tries < TARGET_TRIES_MAX; i++) {
        (*tries)++;
        struct connection *c = connection_new();
        c->host_index = index;
        (void)snprintf(c->host, sizeof(c->host), "%.*s", STR_ARG(host->name));
        (void)snprintf(c->ip, sizeof(c->ip), "%s", ip_print(&host->addresses[i], ip_text));
        set_config(c, s, t->route);
        set_security(c, t->route, host->port);
        r = try_address(c, s, t->route, &host->addresses[i], host->port, &arena, &reply);
        if (r == 0 && may_go_without_tls(c)) {
            c = without_tls(c);
            r = try_address(c, s, t->route, &host->addresses[i], host->port, &arena, &reply);
        }
        if (r > 0) {
            *out = c;
            break;
        }
        if (r == 0)
            note_failure(f, c, &reply);
        connection_free(c);
        arena_done(&arena);
    }
    arena_done(&arena);
    return r;
}

int dial(const struct settings *settings, const struct target *target, size_t first_host,
         struct connection **out, struct trouble *out_failure)
{
    unsigned tries = 0;
    int r = 0;

    *out = NULL;
    memset(out_failure, 0, sizeof(*out_failure));
    (void)snprintf(out_failure->status, sizeof(out_failure->status), "4.4.1");
    for (size_t i = first_host; r == 0 && i < target->host_count; i++)
        r = dial_host(settings, target, i, &tries, out, out_failure);
    return r;
}
