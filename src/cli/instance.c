/* A new instance of the server: see instance.h. */
#include "cli/instance.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/local_store.h"
#include "cli/own_certificate.h"
#include "conf/value.h"
#include "mail/address.h"
#include "store/wire.h"

#define DEFAULT_USER "hikyaku"

enum {
    SMTP_PORT = 25,
    SUBMISSION_PORT = 587,
    SUBMISSIONS_PORT = 465,
    CONFIG_MAX_BYTES = 16 * 1024,
    RUN_DIR_MAX_CHARS = 80,
    ARENA_BYTES = 4096
};

static int fail(struct buf *out_error, int status, const char *fmt, ...) ATTR_PRINTF(3, 4);

static int fail(struct buf *out_error, int status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vprintf(out_error, fmt, args);
    va_end(args);
    return status;
}

/* --- checking what was asked for --- */

static int check_plan(const struct instance_plan *plan, struct instance *out, struct buf *out_error)
{
    struct arena arena;
    struct ip_addr ip;
    struct str domain;

    if (!value_is_hostname(str_from_c(plan->hostname)))
        return fail(out_error, CLI_USAGE,
                    "\"%s\" is no host name; write a full one such as mx.example.jp",
                    plan->hostname);
    arena_init(&arena, ARENA_BYTES);
    enum address_error e = domain_parse(str_from_c(plan->domain), &arena, &domain);
    bool is_domain = e == ADDRESS_OK && str_copy(domain, out->storage, sizeof(out->storage));
    arena_done(&arena);
    if (!is_domain)
        return fail(out_error, CLI_USAGE, "\"%s\" is no domain name; write it as in example.jp",
                    plan->domain);
    out->domain = str_from_c(out->storage);
    if (plan->address != NULL && ip_parse(str_from_c(plan->address), &ip) < 0)
        return fail(out_error, CLI_USAGE,
                    "\"%s\" is no address; write one such as 192.0.2.1 or 2001:db8::1",
                    plan->address);
    if (plan->user != NULL && !value_is_user(str_from_c(plan->user)))
        return fail(out_error, CLI_USAGE, "\"%s\" is no name of a user", plan->user);
    if (plan->port_offset < 0 || plan->port_offset > INSTANCE_MAX_PORT_OFFSET)
        return fail(out_error, CLI_USAGE,
                    "the port offset must be from 0 to %d, so that every port is below 65536",
                    INSTANCE_MAX_PORT_OFFSET);
    return CLI_DONE;
}

/* --- places --- */

static int make_dir(const char *path, mode_t mode, struct buf *out_error)
{
    int r = file_make_dirs(path, mode);

    return r < 0 ? fail(out_error, CLI_FAILED, "the folder %s cannot be made: %s%s", path,
                        strerror(-r), r == -EACCES ? "; try as root, or use --dir" : "")
                 : CLI_DONE;
}

/* Root's instance runs as another user, who must be able to pass through the folder. */
static int choose_places(const struct instance_plan *plan, struct instance *out,
                         struct buf *out_error)
{
    if (plan->dir == NULL) {
        out->config_path = xstrdup(CLI_CONFIG_PATH);
        out->data_dir = xstrdup("/var/lib/hikyaku");
        out->run_dir = xstrdup("/run/hikyaku");
        out->tls_dir = xstrdup("/etc/hikyaku/tls");
        return make_dir("/etc/hikyaku", 0755, out_error);
    }
    int status = make_dir(plan->dir, geteuid() == 0 ? 0711 : 0700, out_error);
    if (status != CLI_DONE)
        return status;
    out->dir = realpath(plan->dir, NULL);
    if (out->dir == NULL)
        return fail(out_error, CLI_FAILED, "%s: %s", plan->dir, strerror(errno));
    out->config_path = xasprintf("%s/hikyaku.conf", out->dir);
    out->data_dir = xasprintf("%s/data", out->dir);
    out->run_dir = xasprintf("%s/run", out->dir);
    out->tls_dir = xasprintf("%s/tls", out->dir);
    if (!value_is_path(str_from_c(out->dir)) || strlen(out->run_dir) > RUN_DIR_MAX_CHARS)
        return fail(out_error, CLI_FAILED,
                    "%s is too long or too strange a path for sockets; take one of at most %d "
                    "characters",
                    out->dir, RUN_DIR_MAX_CHARS - (int)strlen("/run"));
    return CLI_DONE;
}

/* Who the processes are to be when root starts them. A private instance of root's on a machine
 * without our user takes nobody. */
static void choose_user(const struct instance_plan *plan, struct instance *out)
{
    const char *user = plan->user != NULL ? plan->user : DEFAULT_USER;
    bool may_be_nobody = plan->user == NULL && plan->dir != NULL;

    if (geteuid() == 0 && getpwnam(user) == NULL) {
        if (may_be_nobody && getpwnam("nobody") != NULL)
            user = "nobody";
        else
            out->lacks_user = true;
    }
    out->user = xstrdup(user);
}

static int give_away(const struct instance *instance, const char *path, struct buf *out_error)
{
    const struct passwd *pw = geteuid() == 0 ? getpwnam(instance->user) : NULL;
    int r = pw != NULL ? file_own_tree(path, pw->pw_uid, pw->pw_gid) : 0;

    return r != 0 ? fail(out_error, CLI_FAILED, "%s cannot be given to the user %s: %s", path,
                         instance->user, strerror(-r))
                  : CLI_DONE;
}

/* --- configuration --- */

static void put_listen(struct buf *out, const char *address, int port, bool is_last)
{
    bool is_v6 = strchr(address, ':') != NULL;

    buf_printf(out, "\"%s%s%s:%d\"%s", is_v6 ? "[" : "", address, is_v6 ? "]" : "", port,
               is_last ? "" : ", ");
}

/* One setting of where to listen, at the port with the plan's offset. */
static void put_listeners(struct buf *out, const struct instance_plan *plan, const char *name,
                          int port)
{
    buf_printf(out, "    %s = [ ", name);
    port += plan->port_offset;
    if (plan->address != NULL) {
        put_listen(out, plan->address, port, true);
    } else {
        put_listen(out, "0.0.0.0", port, false);
        put_listen(out, "::", port, true);
    }
    buf_put_c(out, " ];\n");
}

static void put_listen_section(struct buf *out, const struct instance_plan *plan)
{
    buf_put_c(out, "listen {\n    # Where other mail servers deliver.\n");
    put_listeners(out, plan, "smtp", SMTP_PORT);
    buf_put_c(out, "    # Where users give mail to be sent: encrypted by STARTTLS, and from the\n"
                   "    # first byte.\n");
    put_listeners(out, plan, "submission", SUBMISSION_PORT);
    put_listeners(out, plan, "submissions", SUBMISSIONS_PORT);
    buf_put_c(out, "}\n\n");
}

static void put_certificate(struct buf *out, const struct instance_plan *plan,
                            const struct instance *instance)
{
    buf_printf(out,
               "# Made by init and signed by the server itself: mail programs will ask about it.\n"
               "# With one by certbot: folder = \"/etc/letsencrypt/live/%s\"\n"
               "certificate \"own\" {\n    folder = ",
               plan->hostname);
    value_format_quoted(str_from_c(instance->tls_dir), out);
    buf_put_c(out, ";\n}\n\n");
}

/* Where several instances may be, each has a spool of its own. */
static void put_submit(struct buf *out, const char *dir)
{
    CLEANUP(cleanup_free) char *spool = xasprintf("%s/spool", dir);

    buf_put_c(out, "submit {\n    # Where programs on this machine leave mail; see sendmail(8).\n"
                   "    spool_dir = ");
    value_format_quoted(str_from_c(spool), out);
    buf_put_c(out, ";\n}\n\n");
}

void instance_put_config(struct buf *out, const struct instance_plan *plan,
                         const struct instance *instance)
{
    buf_put_c(out, "# Hikyaku mail server; every setting is explained in hikyaku.conf(5) and by\n"
                   "# \"hikyaku config help\". Domains, accounts and aliases are not here: see\n"
                   "# \"hikyaku account --help\".\n\n"
                   "server {\n"
                   "    # The name that other servers see; it should resolve to this machine.\n");
    buf_printf(out, "    hostname = %s;\n", plan->hostname);
    buf_put_c(out, "    # All mail, accounts and traces. This is what to back up.\n"
                   "    data_dir = ");
    value_format_quoted(str_from_c(instance->data_dir), out);
    buf_put_c(out, ";\n    # Sockets of the running server.\n    run_dir = ");
    value_format_quoted(str_from_c(instance->run_dir), out);
    buf_put_c(out, ";\n");
    if (strcmp(instance->user, DEFAULT_USER) != 0)
        buf_printf(out,
                   "    # Whom the server becomes when root starts it.\n"
                   "    user = %s;\n",
                   instance->user);
    buf_put_c(out, "}\n\n");
    if (instance->dir != NULL)
        put_submit(out, instance->dir);
    put_listen_section(out, plan);
    put_certificate(out, plan, instance);
    settings_print_include(out);
}

/* Writes the file under another name, reads it back, and leaves it there for the end. */
static int write_config(const struct instance_plan *plan, const struct instance *instance,
                        const char *tmp_path, struct settings **out_settings, struct buf *out_error)
{
    struct buf text;

    buf_init(&text, CONFIG_MAX_BYTES);
    instance_put_config(&text, plan, instance);
    (void)unlink(tmp_path);
    int r = file_write_new(tmp_path, buf_str(&text), 0644);
    buf_done(&text);
    if (r < 0)
        return fail(out_error, CLI_FAILED, "%s cannot be written: %s", tmp_path, strerror(-r));
    r = settings_load(tmp_path, out_settings, out_error);
    if (r < 0)
        (void)unlink(tmp_path);
    return r < 0 ? CLI_FAILED : CLI_DONE;
}

/* --- the first domain --- */

static int add_domain(const struct settings *settings, struct str domain, struct buf *out_error)
{
    struct buf args, reply;
    struct store *store;

    /* The store talks to operators of a server; here only its failures are of interest. */
    log_setup(LOG_WARNING, LOG_FORMAT_TEXT, "init");
    if (local_store_open(settings, &store) != CLI_DONE)
        return fail(out_error, CLI_FAILED, "the data folder %s cannot be used",
                    settings->server_data_dir);
    buf_init(&args, 1024);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, domain);
    int r = local_store_call(store, STORE_DOMAIN_ADD, buf_str(&args), &reply);
    local_store_close(store);
    int status = CLI_DONE;
    if (r < 0 && r != -EEXIST) /* a second try finds the first one's domain */
        status = fail(out_error, CLI_FAILED, "the domain cannot be added: %s",
                      reply.len > 0 ? buf_c_str(&reply) : strerror(-r));
    buf_done(&reply);
    buf_done(&args);
    return status;
}

static int fill(const struct instance_plan *plan, const struct instance *out, const char *tmp_path,
                struct buf *out_error)
{
    struct settings *settings = NULL;

    int status = make_dir(out->data_dir, 0700, out_error);
    if (status == CLI_DONE)
        status = make_dir(out->run_dir, 0755, out_error);
    if (status == CLI_DONE)
        status = own_certificate_make(out->tls_dir, plan->hostname, out_error);
    if (status == CLI_DONE)
        status = write_config(plan, out, tmp_path, &settings, out_error);
    if (status == CLI_DONE)
        status = add_domain(settings, out->domain, out_error);
    settings_free(settings);
    if (status == CLI_DONE)
        status = give_away(out, out->data_dir, out_error);
    if (status == CLI_DONE)
        status = give_away(out, out->run_dir, out_error);
    return status;
}

int instance_make(const struct instance_plan *plan, struct instance *out, struct buf *out_error)
{
    memset(out, 0, sizeof(*out));
    int status = check_plan(plan, out, out_error);
    if (status == CLI_DONE)
        status = choose_places(plan, out, out_error);
    if (status != CLI_DONE)
        return status;
    if (access(out->config_path, F_OK) == 0)
        return fail(out_error, CLI_FAILED,
                    "%s exists already; edit it, or remove it and its data for a new start",
                    out->config_path);
    choose_user(plan, out);
    CLEANUP(cleanup_free) char *tmp_path = xasprintf("%s.new", out->config_path);
    status = fill(plan, out, tmp_path, out_error);
    /* Last of all: with this file the instance exists. */
    if (status == CLI_DONE && rename(tmp_path, out->config_path) < 0)
        status =
            fail(out_error, CLI_FAILED, "%s cannot be made: %s", out->config_path, strerror(errno));
    if (status != CLI_DONE)
        (void)unlink(tmp_path);
    return status;
}

void instance_done(struct instance *instance)
{
    free(instance->dir);
    free(instance->config_path);
    free(instance->data_dir);
    free(instance->run_dir);
    free(instance->tls_dir);
    free(instance->user);
}
