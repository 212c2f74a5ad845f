/*
 * backup and restore: everything in one file, and back into an empty folder.
 *
 * The server copies its databases and keeps its body files from being dropped while this reads
 * them; mail goes on meanwhile. A backup counts only after it was read back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/bundle.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/local_store.h"
#include "cli/own_certificate.h"
#include "cli/text.h"
#include "store/wire.h"

enum { ERROR_MAX_BYTES = 64 * 1024, CONFIG_MAX_BYTES = 1 << 20 };

static void print_facts(const char *lead, const struct bundle_facts *facts)
{
    struct buf size;

    buf_init(&size, 64);
    text_put_size(&size, facts->bytes);
    (void)printf("%s: %s, %llu files (%llu of bodies), made %s by version %s\n", lead,
                 buf_c_str(&size), (unsigned long long)facts->files,
                 (unsigned long long)facts->segments, facts->created, facts->version);
    buf_done(&size);
}

/* --- backup --- */

static int add_named(struct bundle *b, const char *dir, const char *file, const char *name,
                     uint64_t bytes, struct buf *out_error)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", dir, file);

    return bundle_add(b, name, path, bytes, out_error);
}

/* One segment, as far as it is there: damage to one file must not keep the others out of the
 * backup. What lies behind its last living message may have been cut off by the server. */
static int add_segment(struct bundle *b, const char *dir, const char *name, uint64_t bytes,
                       struct buf *out_error)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", dir, name);
    struct stat st;

    if (stat(path, &st) < 0 && errno == ENOENT) {
        (void)cli_fail("note: %s is missing; hikyaku status counts damaged messages", path);
        return 0;
    }
    if (stat(path, &st) == 0 && (uint64_t)st.st_size < bytes)
        bytes = BUNDLE_ALL;
    return bundle_add(b, name, path, bytes, out_error);
}

/* The segments that the copied database speaks of: number and bytes each. */
static int add_segments(struct bundle *b, const char *dir, struct str list, struct buf *out_error)
{
    struct cursor c = cursor_from(list);
    char name[BUNDLE_NAME_MAX_BYTES];
    int r = 0;

    while (r == 0 && cursor_left(&c) > 0) {
        long long segment = (long long)cursor_u64(&c);
        uint64_t bytes = cursor_u64(&c);
        if (cursor_status(&c) < 0)
            return -EPROTO;
        (void)snprintf(name, sizeof(name), "segments/%012lld.seg", segment);
        /* A segment that is begun but empty may have no file yet. */
        if (bytes > 0)
            r = add_segment(b, dir, name, bytes, out_error);
    }
    return r;
}

static void take_segment(struct cursor *c, struct buf *next_args)
{
    uint64_t segment = cursor_u64(c);

    (void)cursor_u64(c);
    buf_put_u64(next_args, segment);
}

static int write_bundle(const struct cli *cli, const char *path, struct str segments,
                        struct buf *out_error)
{
    const char *dir = cli->settings->server_data_dir;
    struct bundle *b;

    int r = bundle_create(path, &b, out_error);
    if (r < 0)
        return r;
    r = bundle_add(b, BUNDLE_CONFIG, cli->config_path, BUNDLE_ALL, out_error);
    if (r == 0)
        r = add_named(b, dir, "backup-mail.db", BUNDLE_MAIL, BUNDLE_ALL, out_error);
    if (r == 0)
        r = add_named(b, dir, "backup-trace.db", BUNDLE_TRACE, BUNDLE_ALL, out_error);
    if (r == 0)
        r = add_segments(b, dir, segments, out_error);
    if (r == 0)
        r = bundle_finish(b, out_error);
    bundle_close(b);
    return r;
}

static int back_up(struct cli *cli, const char *tmp_path, struct bundle_facts *out_facts)
{
    struct buf segments, ignored, error;

    buf_init(&segments, CLIENT_LIST_MAX_BYTES);
    buf_init(&ignored, CLIENT_REPLY_MAX_BYTES);
    buf_init(&error, ERROR_MAX_BYTES);
    cli->client.timeout_ms = CLIENT_LONG_TIMEOUT_MS;
    int status = client_do(&cli->client, STORE_BACKUP_BEGIN, STR(""), &ignored);
    if (status == CLI_DONE)
        status = client_list(&cli->client, STORE_BACKUP_SEGMENTS, take_segment, &segments);
    if (status == CLI_DONE) {
        int r = write_bundle(cli, tmp_path, buf_str(&segments), &error);
        if (r == 0)
            r = bundle_read(tmp_path, NULL, out_facts, &error);
        if (r < 0)
            status = cli_fail("%s", error.len > 0 ? buf_c_str(&error) : strerror(-r));
        if (client_do(&cli->client, STORE_BACKUP_END, STR(""), &ignored) != CLI_DONE)
            status = CLI_FAILED; /* the server may be another one by now */
    }
    buf_done(&error);
    buf_done(&ignored);
    buf_done(&segments);
    return status;
}

int cmd_backup(struct cli *cli)
{
    const char *path = cli->args.words[0];
    CLEANUP(cleanup_free) char *tmp_path = xasprintf("%s.tmp", path);
    struct bundle_facts facts = {0};

    if (access(path, F_OK) == 0 && cli_option(cli, "--force") == NULL)
        return cli_fail("%s exists already; name another file, or add --force", path);
    /* Left by a backup that did not end: nobody else makes files of this name. */
    (void)unlink(tmp_path);
    int status = back_up(cli, tmp_path, &facts);
    if (status == CLI_DONE && rename(tmp_path, path) < 0)
        status = cli_fail("%s cannot be made: %s", path, strerror(errno));
    if (status != CLI_DONE) {
        (void)unlink(tmp_path);
        return status;
    }
    if (file_sync_parent(path) < 0)
        return cli_fail("%s was written, but its folder cannot be made durable", path);
    print_facts(path, &facts);
    (void)printf("Keys and passwords that the settings name are not in it: keep copies of those "
                 "files.\n");
    return CLI_DONE;
}

/* --- restore --- */

static bool is_server_running(const struct settings *settings, const char *config_path)
{
    struct client client;
    int r = client_open(&client, settings->server_run_dir, config_path);

    client_close(&client);
    /* Somebody answers, or might if we were allowed to ask. */
    return r == 0 || r == -EACCES || r == -EAGAIN;
}

/* The settings: of the file; or, on a new machine, of the backup, whose file is put in place. */
static int find_settings(struct cli *cli, const char *bundle)
{
    struct buf text, error;

    if (access(cli->config_path, F_OK) == 0)
        return cli_load_settings(cli);
    buf_init(&text, CONFIG_MAX_BYTES);
    buf_init(&error, ERROR_MAX_BYTES);
    int status = CLI_DONE;
    int r = bundle_read_config(bundle, &text, &error);
    if (r < 0)
        status = cli_fail("%s", buf_c_str(&error));
    else if ((r = file_write_new(cli->config_path, buf_str(&text), 0644)) < 0)
        status = cli_fail("%s cannot be made: %s", cli->config_path, strerror(-r));
    else
        (void)printf("%s is that of the backup now\n", cli->config_path);
    buf_done(&error);
    buf_done(&text);
    return status == CLI_DONE ? cli_load_settings(cli) : status;
}

static void print_count(struct str reply, const char *key)
{
    struct cursor c = cursor_from(reply);

    (void)cursor_lp(&c); /* version */
    while (cursor_left(&c) > 0 && cursor_status(&c) == 0) {
        struct str name = cursor_lp(&c);
        uint64_t value = cursor_u64(&c);
        if (str_eq_c(name, key))
            (void)printf("  %-10s %llu\n", key, (unsigned long long)value);
    }
}

/* Opens the restored folder as a server would, and says what is in it. */
static int prove(const struct settings *settings)
{
    struct store *store;
    struct buf reply;

    log_setup(LOG_WARNING, LOG_FORMAT_TEXT, "restore");
    int status = local_store_open(settings, &store);
    if (status != CLI_DONE)
        return status;
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int r = local_store_call(store, STORE_STATUS, STR(""), &reply);
    local_store_close(store);
    if (r == 0) {
        print_count(buf_str(&reply), "domains");
        print_count(buf_str(&reply), "accounts");
        print_count(buf_str(&reply), "messages");
        print_count(buf_str(&reply), "damaged_messages");
    }
    buf_done(&reply);
    return r < 0 ? cli_fail("the restored store does not answer: %s", strerror(-r)) : CLI_DONE;
}

static int give_away(const struct settings *settings)
{
    const struct passwd *pw = geteuid() == 0 ? getpwnam(settings->server_user) : NULL;

    if (geteuid() == 0 && pw == NULL)
        (void)printf("There is no user %s yet; make it, then: chown -R %s: %s\n",
                     settings->server_user, settings->server_user, settings->server_data_dir);
    if (pw == NULL)
        return CLI_DONE;
    int r = file_own_tree(settings->server_data_dir, pw->pw_uid, pw->pw_gid);
    return r != 0 ? cli_fail("%s cannot be given to the user %s: %s", settings->server_data_dir,
                             settings->server_user, strerror(-r))
                  : CLI_DONE;
}

/* With its last step the folder is one that a server would take. */
static int finish_folder(const char *dir, struct buf *out_error)
{
    CLEANUP(cleanup_free) char *config = xasprintf("%s/" BUNDLE_CONFIG, dir);
    CLEANUP(cleanup_free) char *part = xasprintf("%s/" BUNDLE_MAIL_PART, dir);
    CLEANUP(cleanup_free) char *mail = xasprintf("%s/" BUNDLE_MAIL, dir);

    (void)unlink(config); /* it has its own place */
    int r = file_sync_fs(dir);
    if (r == 0 && rename(part, mail) < 0)
        r = -errno;
    if (r == 0)
        r = file_sync_fs(dir);
    if (r < 0)
        buf_printf(out_error, "%s cannot be written: %s", dir, strerror(-r));
    return r;
}

static int fill_folder(const struct settings *settings, const char *bundle)
{
    const char *dir = settings->server_data_dir;
    struct bundle_facts facts = {0};
    struct buf error;
    int status = CLI_DONE;

    int r = file_make_dirs(dir, 0700);
    if (r < 0)
        return cli_fail("%s cannot be made: %s", dir, strerror(-r));
    buf_init(&error, ERROR_MAX_BYTES);
    r = bundle_read(bundle, dir, &facts, &error);
    if (r == 0)
        r = finish_folder(dir, &error);
    if (r < 0) {
        /* The folder was empty: what is in it now is a part of the backup. */
        file_remove_tree(dir);
        status = cli_fail("%s", buf_c_str(&error));
    } else {
        print_facts(bundle, &facts);
    }
    buf_done(&error);
    return status;
}

int cmd_restore(struct cli *cli)
{
    const char *bundle = cli->args.words[0], *dir = cli_option(cli, "--dir");

    int status = find_settings(cli, bundle);
    if (status != CLI_DONE)
        return status;
    if (dir != NULL) {
        free(cli->settings->server_data_dir);
        cli->settings->server_data_dir = xstrdup(dir);
    } else if (is_server_running(cli->settings, cli->config_path)) {
        return cli_fail("a server is running with %s; stop it first", cli->config_path);
    }
    if (!file_is_absent_or_empty_dir(cli->settings->server_data_dir))
        return cli_fail("%s is not empty; move it away first, nothing is ever overwritten",
                        cli->settings->server_data_dir);
    status = fill_folder(cli->settings, bundle);
    if (status == CLI_DONE)
        status = prove(cli->settings);
    if (status == CLI_DONE)
        status = give_away(cli->settings);
    if (status == CLI_DONE)
        status = own_certificate_replace(cli->settings, cli->config_path);
    if (status == CLI_DONE)
        (void)printf("%s is restored%s\n", cli->settings->server_data_dir,
                     dir != NULL ? "; server.data_dir must name it" : "");
    return status;
}
