/* The little world of the demonstration: see demo_world.h. */
#include "cli/demo_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/files.h"

enum {
    OFFSET_MIN = 10000,
    OFFSETS = 21000, /* below the kernel's ephemeral ports */
    OFFSET_STEP = 1009,
    OFFSET_TRIES = 100,
    SETTINGS_MAX_BYTES = 8 * 1024,
};

static bool is_free(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = inet_addr(host)};
    int on = 1;

    CLEANUP(cleanup_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

/* A port that is free at both addresses; 0 when there is none. Several demonstrations at one time
 * begin at different places. */
static int find_port(const struct demo_site *sites)
{
    for (int i = 0; i < OFFSET_TRIES; i++) {
        int offset = OFFSET_MIN + (int)((getpid() * 37L + i * (long)OFFSET_STEP) % OFFSETS);
        int port = DEMO_SMTP_PORT + offset;
        if (is_free(sites[0].address, port) && is_free(sites[1].address, port))
            return port;
    }
    return 0;
}

static int make_dir(struct demo_world *w)
{
    const char *tmp = getenv("TMPDIR");

    w->dir = xasprintf("%s/hikyaku-demo-XXXXXX", tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
    if (mkdtemp(w->dir) == NULL) {
        int status = cli_fail("%s cannot be made: %s", w->dir, strerror(errno));
        free(w->dir);
        w->dir = NULL;
        return status;
    }
    /* Started by root, the processes are another user, who must get to the data. */
    if (geteuid() == 0 && chmod(w->dir, 0711) < 0)
        return cli_fail("%s: %s", w->dir, strerror(errno));
    return CLI_DONE;
}

/* Both are on loopback, relay for who is there too, and try again soon. */
static void put_settings(const struct demo_world *w, struct buf *out)
{
    buf_put_c(out, "\n# For the demonstration.\n"
                   "smtp.relay_networks = [ \"127.0.0.0/8\" ]\n"
                   "outbound.private_networks = [ \"127.0.0.0/8\" ]\n");
    buf_printf(out, "outbound.port = %d\n", w->port);
    buf_put_c(out, "queue.retry = [ \"1s\", \"1s\", \"2s\" ]\n"
                   "queue.jitter = 0\n");
    demo_dns_put_settings(&w->dns, out);
}

int demo_world_make(struct demo_world *w, const struct demo_site sites[DEMO_SITES],
                    const char *nsd_path)
{
    CLEANUP(buf_done) struct buf settings;

    *w = (struct demo_world){.port = find_port(sites)};
    buf_init(&settings, SETTINGS_MAX_BYTES);
    if (w->port == 0)
        return cli_fail("no port between 10025 and 31025 is free on %s and %s", sites[0].address,
                        sites[1].address);
    int status = make_dir(w);
    if (status == CLI_DONE) {
        CLEANUP(cleanup_free) char *dir = xasprintf("%s/dns", w->dir);
        status = demo_dns_start(&w->dns, nsd_path, dir, sites, DEMO_SITES);
    }
    put_settings(w, &settings);
    for (size_t i = 0; status == CLI_DONE && i < DEMO_SERVERS; i++) {
        CLEANUP(cleanup_free) char *dir = xasprintf("%s/%s", w->dir, sites[i].name);
        status = demo_server_make(&w->servers[i], &sites[i], dir, w->port, buf_str(&settings));
    }
    return status;
}

int demo_world_stop(struct demo_world *w)
{
    int status = CLI_DONE;

    for (size_t i = 0; status == CLI_DONE && i < DEMO_SERVERS; i++)
        status = demo_process_stop(&w->servers[i].process);
    return status == CLI_DONE ? demo_process_stop(&w->dns.process) : status;
}

void demo_world_remove(struct demo_world *w)
{
    for (size_t i = 0; i < DEMO_SERVERS; i++)
        demo_server_done(&w->servers[i]);
    demo_dns_done(&w->dns);
    if (w->dir != NULL)
        file_remove_tree(w->dir);
    free(w->dir);
    w->dir = NULL;
}

void demo_world_print_logs(const struct demo_world *w)
{
    for (size_t i = 0; i < DEMO_SERVERS; i++)
        demo_process_print_log(&w->servers[i].process);
    demo_process_print_log(&w->dns.process);
}
