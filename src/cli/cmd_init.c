/*
 * init: the first set-up. Makes the instance (instance.c), then says what it made, which DNS
 * records to publish and what to type next.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/instance.h"

enum { ERRORS_MAX_BYTES = 64 * 1024 };

static void print_dns(const struct instance_plan *plan, const char *domain)
{
    bool is_v6 = plan->address != NULL && str_find(str_from_c(plan->address), ':') >= 0;
    const char *address = plan->address != NULL ? plan->address : "<this machine's address>";

    (void)printf("\nPublish in the DNS:\n"
                 "  %s.  MX  10 %s.\n"
                 "  %s.  %s  %s\n",
                 domain, plan->hostname, plan->hostname, is_v6 ? "AAAA" : "A", address);
    if (plan->address == NULL)
        (void)printf("  %s.  AAAA  <its IPv6 address, if it has one>\n", plan->hostname);
    (void)printf("  and let the address resolve back to %s (PTR, at your provider)\n",
                 plan->hostname);
    if (plan->port_offset != 0)
        (void)printf("  (other servers connect to port 25, not %d: that is for trying)\n",
                     25 + plan->port_offset);
}

static void print_next(const struct instance_plan *plan, const struct instance *instance)
{
    const char *domain = instance->storage;
    const char *host = plan->address != NULL ? plan->address : "127.0.0.1";
    CLEANUP(cleanup_free)
    char *option = plan->dir == NULL ? xstrdup("") : xasprintf(" -c %s", instance->config_path);

    (void)printf("\nNext:\n");
    if (instance->lacks_user)
        (void)printf("  useradd --system --home-dir / --shell /usr/sbin/nologin %s\n"
                     "  chown -R %s: %s %s\n",
                     instance->user, instance->user, instance->data_dir, instance->run_dir);
    (void)printf("  hikyaku serve%s\n"
                 "  hikyaku account add taro@%s%s\n"
                 "  swaks --server %s:%d --from me@example.org --to taro@%s\n"
                 "  hikyaku trace taro@%s%s\n",
                 option, domain, option, host, 25 + plan->port_offset, domain, domain, option);
}

static void print_made(const struct instance_plan *plan, const struct instance *instance)
{
    (void)printf("Made:\n"
                 "  %s  (settings)\n"
                 "  %s  (mail; back this up)\n"
                 "  %s  (sockets)\n"
                 "  %s  (certificate and key, self-signed; %s)\n"
                 "  the domain %s\n",
                 instance->config_path, instance->data_dir, instance->run_dir, instance->tls_dir,
                 "one that others trust comes from certbot or your authority", instance->storage);
    if (geteuid() == 0 && plan->user == NULL && str_eq_c(str_from_c(instance->user), "nobody"))
        (void)printf("  the server will run as nobody, because there is no user hikyaku\n");
    print_dns(plan, instance->storage);
    print_next(plan, instance);
}

/* The offset as a number; false when it is none. */
static bool parse_offset(const char *text, int *out)
{
    uint64_t value = 0;

    if (text != NULL && str_to_u64(str_from_c(text), INSTANCE_MAX_PORT_OFFSET, &value) < 0)
        return false;
    *out = (int)value;
    return true;
}

int cmd_init(struct cli *cli)
{
    struct instance_plan plan = {.dir = cli_option(cli, "--dir"),
                                 .hostname = cli_option(cli, "--hostname"),
                                 .domain = cli_option(cli, "--domain"),
                                 .address = cli_option(cli, "--address"),
                                 .user = cli_option(cli, "--user")};
    struct instance instance;
    struct buf error;

    if (plan.hostname == NULL || plan.domain == NULL)
        return cli_usage(cli, "say --hostname (such as mx.example.jp) and --domain (example.jp)");
    if (!parse_offset(cli_option(cli, "--port-offset"), &plan.port_offset))
        return cli_usage(cli,
                         "--port-offset is a number from 0 to %d, so that every port is "
                         "below 65536",
                         INSTANCE_MAX_PORT_OFFSET);
    if (cli->args.config_path != NULL)
        return cli_usage(cli, "init chooses the place of the configuration by --dir, not by -c");
    buf_init(&error, ERRORS_MAX_BYTES);
    int status = instance_make(&plan, &instance, &error);
    if (status == CLI_DONE)
        print_made(&plan, &instance);
    else if (status == CLI_USAGE)
        (void)cli_usage(cli, "%s", buf_c_str(&error));
    else
        (void)cli_fail("%s", buf_c_str(&error));
    buf_done(&error);
    instance_done(&instance);
    return status;
}
