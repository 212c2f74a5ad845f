/* The DNS of the demonstration: see demo_dns.h. NSD's file is described in nsd.conf(5). */
#include "cli/demo_dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/files.h"

enum {
    PORT_TRIES = 100,
    FILE_MAX_BYTES = 16 * 1024,
    QUESTION_MAX_BYTES = 512, /* RFC 1035 section 4.2.1 */
    ANSWER_WAIT_MS = 100,
    NOBODY_PORT = 9, /* "discard": no name server */
};

/* --- the port --- */

static int bind_loopback(int fd, int port, int *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    *out_port = ntohs(address.sin_port);
    return 0;
}

/* A port that is free for UDP and TCP; 0 when there is none. */
static int find_port(void)
{
    for (int i = 0; i < PORT_TRIES; i++) {
        CLEANUP(cleanup_close) int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CLEANUP(cleanup_close) int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int port = 0;
        if (bind_loopback(udp, 0, &port) == 0 && bind_loopback(tcp, port, &port) == 0)
            return port;
    }
    return 0;
}

/* --- zones --- */

static int write_file(const char *path, const struct buf *text)
{
    int r = buf_status(text);

    if (r == 0)
        r = file_write_new(path, buf_str(text), 0644);
    return r < 0 ? cli_fail("%s cannot be written: %s", path, strerror(-r)) : CLI_DONE;
}

static int write_zone(const struct demo_dns *d, const struct demo_site *site)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/%s.zone", d->dir, site->domain);
    CLEANUP(buf_done) struct buf out;

    buf_init(&out, FILE_MAX_BYTES);
    buf_printf(&out,
               "$ORIGIN %s.\n"
               "$TTL 300\n"
               "@        SOA  ns postmaster 1 3600 600 86400 300\n"
               "@        NS   ns\n"
               "@        MX   10 %s.\n"
               "%s. A %s\n"
               "ns       A    127.0.0.1\n",
               site->domain, site->hostname, site->hostname, site->address);
    return write_file(path, &out);
}

static int write_config(const struct demo_dns *d, const char *path)
{
    CLEANUP(buf_done) struct buf out;

    buf_init(&out, FILE_MAX_BYTES);
    buf_printf(&out,
               "server:\n"
               "  ip-address: 127.0.0.1@%d\n"
               "  server-count: 1\n"
               "  username: \"\"\n"
               "  chroot: \"\"\n"
               "  zonesdir: \"%s\"\n"
               "  xfrdir: \"%s\"\n"
               "  xfrdfile: \"\"\n"
               "  zonelistfile: \"\"\n"
               "  database: \"\"\n"
               "  pidfile: \"\"\n"
               "remote-control:\n"
               "  control-enable: no\n",
               d->port, d->dir, d->dir);
    for (size_t i = 0; i < d->site_count; i++)
        buf_printf(&out, "zone:\n  name: %s\n  zonefile: %s.zone\n", d->sites[i].domain,
                   d->sites[i].domain);
    return write_file(path, &out);
}

/* --- the server --- */

/* Asks for the SOA of the first domain (RFC 1035 section 4.1). */
static void put_question(const struct demo_dns *d, struct buf *out)
{
    struct str rest = str_from_c(d->sites[0].domain), label;

    buf_put(out, "\0\1\0\0\0\1\0\0\0\0\0\0", 12);
    while (rest.len > 0) {
        (void)str_cut(rest, '.', &label, &rest);
        buf_put_u8(out, (uint8_t)label.len);
        buf_put_str(out, label);
    }
    buf_put(out, "\0\0\6\0\1", 5);
}

static bool has_answered(void *arg)
{
    const struct demo_dns *d = arg;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)d->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_usec = ANSWER_WAIT_MS * 1000L};
    unsigned char reply[QUESTION_MAX_BYTES];
    CLEANUP(buf_done) struct buf question;

    buf_init(&question, QUESTION_MAX_BYTES);
    put_question(d, &question);
    CLEANUP(cleanup_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        send(fd, question.ptr, question.len, 0) < 0)
        return false;
    ssize_t n = recv(fd, reply, sizeof(reply), 0);
    return n >= 12 && (reply[3] & 15) == 0; /* no error; NSD answers for its zones only */
}

static int run(struct demo_dns *d, const char *nsd_path)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/nsd.conf", d->dir);
    int status = write_config(d, path);

    for (size_t i = 0; status == CLI_DONE && i < d->site_count; i++)
        status = write_zone(d, &d->sites[i]);
    if (status == CLI_DONE)
        status = demo_process_start(&d->process, nsd_path, "-d", path);
    return status == CLI_DONE ? demo_process_await(&d->process, has_answered, d) : status;
}

int demo_dns_start(struct demo_dns *d, const char *nsd_path, const char *dir,
                   const struct demo_site *sites, size_t site_count)
{
    *d = (struct demo_dns){.sites = sites, .site_count = site_count, .dir = xstrdup(dir)};
    demo_process_init(&d->process, "NSD", xasprintf("%s/log", dir));
    if (nsd_path == NULL)
        return CLI_DONE;
    if (access(nsd_path, X_OK) < 0)
        return cli_fail("%s cannot be run: %s", nsd_path, strerror(errno));
    int r = file_make_dirs(dir, 0755);
    if (r < 0)
        return cli_fail("%s cannot be made: %s", dir, strerror(-r));
    d->port = find_port();
    if (d->port == 0)
        return cli_fail("there is no free port for NSD on 127.0.0.1");
    return run(d, nsd_path);
}

void demo_dns_done(struct demo_dns *d)
{
    demo_process_done(&d->process);
    free(d->dir);
    d->dir = NULL;
}

void demo_dns_put_settings(const struct demo_dns *d, struct buf *out)
{
    const char *before = "";

    buf_printf(out,
               "resolver.trust_anchor_file = \"\"\n"
               "# Of other names nobody knows: no mail leaves this machine.\n"
               "resolver.forwarders = [ \"127.0.0.1@%d\" ]\n",
               d->port != 0 ? d->port : NOBODY_PORT);
    buf_printf(out, "resolver.%s = [ ", d->port != 0 ? "stub_zones" : "local_records");
    for (size_t i = 0; i < d->site_count; i++) {
        const struct demo_site *site = &d->sites[i];
        if (d->port != 0)
            buf_printf(out, "%s\"%s 127.0.0.1@%d\"", before, site->domain, d->port);
        else
            buf_printf(out, "%s\"%s 300 MX 10 %s\", \"%s 300 A %s\"", before, site->domain,
                       site->hostname, site->hostname, site->address);
        before = ", ";
    }
    buf_put_c(out, " ]\n");
}
