/* A throwaway server: see demo_server.h. */
#include "cli/demo_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/demo_smtp.h"
#include "cli/files.h"
#include "store/wire.h"

enum { ERROR_MAX_BYTES = 64 * 1024, ARGS_MAX_BYTES = 1024 };

static int add_settings(const struct demo_server *s, struct str settings)
{
    const char *path = s->instance.config_path;
    CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

    int r = fd < 0 ? -errno : file_write_all(fd, settings);
    return r < 0 ? cli_fail("%s cannot be written: %s", path, strerror(-r)) : CLI_DONE;
}

int demo_server_make(struct demo_server *s, const struct demo_site *site, const char *dir, int port,
                     struct str settings)
{
    struct instance_plan plan = {.dir = dir,
                                 .hostname = site->hostname,
                                 .domain = site->domain,
                                 .address = site->address,
                                 .port_offset = port - DEMO_SMTP_PORT};
    struct buf error;

    *s = (struct demo_server){.site = site, .port = port};
    demo_process_init(&s->process, site->name, xasprintf("%s/log", dir));
    buf_init(&error, ERROR_MAX_BYTES);
    /* The store leaves a strict mask behind, with which the next instance would be nobody's. */
    mode_t mask = umask(022);
    int status = instance_make(&plan, &s->instance, &error);
    (void)umask(mask);
    if (status != CLI_DONE)
        status = cli_fail("%s", buf_c_str(&error));
    buf_done(&error);
    return status == CLI_DONE ? add_settings(s, settings) : CLI_FAILED;
}

void demo_server_done(struct demo_server *s)
{
    client_close(&s->client);
    demo_process_done(&s->process);
    instance_done(&s->instance);
}

static bool has_greeted(void *arg)
{
    const struct demo_server *s = arg;
    struct demo_smtp smtp;

    int r = demo_smtp_open(&smtp, s->site->address, s->port);
    bool is_ready = r == 0 && smtp.code == 220;
    if (is_ready)
        is_ready = demo_smtp_command(&smtp, "QUIT") == 0;
    demo_smtp_close(&smtp);
    return is_ready;
}

static int add_account(struct demo_server *s)
{
    struct buf args, reply;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, str_from_c(s->site->user));
    buf_put_u8(&args, 0);
    buf_put_lp(&args, STR(""));
    int status = client_do(&s->client, STORE_ACCOUNT_ADD, buf_str(&args), &reply);
    buf_done(&reply);
    buf_done(&args);
    return status;
}

int demo_server_start(struct demo_server *s)
{
    int status =
        demo_process_start(&s->process, "/proc/self/exe", "serve", s->instance.config_path);

    if (status == CLI_DONE)
        status = demo_process_await(&s->process, has_greeted, s);
    if (status == CLI_DONE &&
        client_open(&s->client, s->instance.run_dir, s->instance.config_path) < 0)
        status = cli_fail("%s", s->client.error);
    return status == CLI_DONE ? add_account(s) : status;
}
