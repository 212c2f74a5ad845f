/*
 * mailbox import: messages from an mbox file or a Maildir into an account.
 *
 * Nothing is compared with what is there: importing twice adds twice. A message that fails is named
 * and the others go on; the exit status tells.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/maildir.h"
#include "cli/mbox.h"
#include "cli/text.h"
#include "cli/upload.h"

enum { IMPORT_SLOT = 31, PIECE_BYTES = 64 * 1024, FAILURES_SHOWN = 100, NAME_MAX_BYTES = 4096 };

struct import {
    struct cli *cli;
    struct upload upload;
    struct id_maker ids;
    uint64_t stored, failed, bytes;
    uint64_t number; /* of the message in its file */
    const char *path;
    int64_t now_ms; /* for messages without a date */
};

static void import_start(struct import *m, struct cli *cli, const char *path)
{
    *m = (struct import){.cli = cli, .path = path, .now_ms = clock_real_ms()};
    id_maker_init(&m->ids, (unsigned)cli->settings->server_node, IMPORT_SLOT);
}

/* Counts one message and says why it failed. Negative when further ones are in vain. */
static int count_result(struct import *m, int result, const char *what)
{
    if (result == 0) {
        m->stored++;
        m->bytes += m->upload.bytes;
        return 0;
    }
    if (m->failed++ < FAILURES_SHOWN)
        (void)cli_fail("%s was not imported: %s", what, m->upload.client->error);
    return upload_is_fatal(result) ? result : 0;
}

/* --- mbox --- */

static int on_begin(void *arg)
{
    struct import *m = arg;

    m->number++;
    upload_begin(&m->upload);
    return 0;
}

static int on_data(void *arg, struct str piece)
{
    struct import *m = arg;

    upload_put(&m->upload, piece);
    return 0;
}

static int on_end(void *arg, const struct mbox_facts *facts)
{
    struct import *m = arg;
    struct upload_facts known = {.flags = facts->flags,
                                 .keywords = facts->keywords,
                                 .received_ms = facts->has_date ? facts->received_ms : m->now_ms};
    CLEANUP(cleanup_free)
    char *what = xasprintf("%s: message %llu", m->path, (unsigned long long)m->number);

    return count_result(m, upload_end(&m->upload, &known), what);
}

static int read_mbox(struct import *m, int fd, struct mbox_reader *reader)
{
    CLEANUP(cleanup_free) char *piece = xmalloc(PIECE_BYTES);
    ssize_t n;
    int r = 0;

    while (r == 0 && (n = read(fd, piece, PIECE_BYTES)) != 0) {
        if (n < 0)
            return cli_fail("%s cannot be read: %s", m->path, strerror(errno));
        r = mbox_reader_feed(reader, str_from_mem(piece, (size_t)n));
    }
    if (r == 0)
        r = mbox_reader_finish(reader);
    if (r == -EBADMSG && m->number == 0)
        return cli_fail("%s is no mbox file: it does not begin with a \"From \" line", m->path);
    return r < 0 ? CLI_FAILED : CLI_DONE; /* count_result has said it */
}

static int import_mbox(struct import *m, struct str account, struct str mailbox)
{
    struct mbox_events events = {.arg = m, .begin = on_begin, .data = on_data, .end = on_end};
    bool is_stdin = strcmp(m->path, "-") == 0;

    int fd = is_stdin ? STDIN_FILENO : open(m->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cli_fail("%s cannot be read: %s", m->path, strerror(errno));
    struct mbox_reader *reader = mbox_reader_new(&events);
    upload_init(&m->upload, &m->cli->client, &m->ids, account, mailbox);
    int status = read_mbox(m, fd, reader);
    upload_done(&m->upload);
    mbox_reader_free(reader);
    if (!is_stdin)
        close(fd);
    return status;
}

/* --- Maildir --- */

struct file {
    char *path;
    const char *name; /* inside path */
    int64_t mtime_ms;
};

struct files {
    struct file *items;
    size_t count;
};

static int compare_files(const void *a, const void *b)
{
    const struct file *x = a, *y = b;

    if (x->mtime_ms != y->mtime_ms)
        return x->mtime_ms < y->mtime_ms ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void add_file(struct files *files, const char *dir, const char *name)
{
    struct stat st;
    char *path = xasprintf("%s/%s", dir, name);

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
        free(path);
        return;
    }
    if (files->count % 256 == 0)
        files->items = xrealloc(files->items, (files->count + 256) * sizeof(struct file));
    files->items[files->count++] =
        (struct file){.path = path,
                      .name = path + strlen(dir) + 1,
                      .mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000};
}

/* False when there is no such folder. */
static bool list_files(struct files *files, const char *maildir, const char *sub)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", maildir, sub);
    const struct dirent *entry;

    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            add_file(files, path, entry->d_name);
    }
    closedir(dir);
    return true;
}

/* 0, or the errno of reading the file. */
static int put_file(struct import *m, int fd)
{
    CLEANUP(cleanup_free) char *piece = xmalloc(PIECE_BYTES);
    struct lines lines = {0};
    struct buf text;
    ssize_t n;

    buf_init(&text, 2 * PIECE_BYTES);
    while ((n = read(fd, piece, PIECE_BYTES)) > 0) {
        buf_reset(&text);
        lines_put_crlf(&lines, str_from_mem(piece, (size_t)n), &text);
        upload_put(&m->upload, buf_str(&text));
    }
    int r = n < 0 ? -errno : 0;
    buf_done(&text);
    return r;
}

static int import_file(struct import *m, const struct file *file)
{
    struct str name = str_from_c(file->name);
    struct upload_facts facts = {.flags = maildir_parse_flags(name),
                                 .keywords =
                                     maildir_is_forwarded(name) ? STR("$Forwarded") : STR(""),
                                 .received_ms = file->mtime_ms};

    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    upload_begin(&m->upload);
    int r = fd < 0 ? -errno : put_file(m, fd);
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        m->failed++;
        upload_drop(&m->upload);
        (void)cli_fail("%s cannot be read: %s", file->path, strerror(-r));
        return 0;
    }
    return count_result(m, upload_end(&m->upload, &facts), file->path);
}

static int import_folder(struct import *m, const char *path, struct str account, struct str mailbox)
{
    struct files files = {0};
    int r = 0;

    bool has_cur = list_files(&files, path, "cur"), has_new = list_files(&files, path, "new");
    if (files.count > 0)
        qsort(files.items, files.count, sizeof(files.items[0]), compare_files);
    upload_init(&m->upload, &m->cli->client, &m->ids, account, mailbox);
    for (size_t i = 0; r == 0 && i < files.count; i++)
        r = import_file(m, &files.items[i]);
    upload_done(&m->upload);
    for (size_t i = 0; i < files.count; i++)
        free(files.items[i].path);
    free(files.items);
    if (r < 0)
        return CLI_FAILED; /* count_result has said it */
    if (!has_cur && !has_new)
        return cli_fail("%s is no Maildir: it has neither cur nor new", path);
    return CLI_DONE;
}

static int import_sub_folder(struct import *m, const char *name, struct str account)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", m->path, name);
    struct buf mailbox;
    struct stat st;
    int status = CLI_DONE;

    buf_init(&mailbox, NAME_MAX_BYTES);
    if (maildir_parse_folder(str_from_c(name), &mailbox) && stat(path, &st) == 0 &&
        S_ISDIR(st.st_mode))
        status = import_folder(m, path, account, buf_str(&mailbox));
    buf_done(&mailbox);
    return status;
}

static int import_maildir(struct import *m, struct str account, const char *mailbox)
{
    const struct dirent *entry;

    int status =
        import_folder(m, m->path, account, mailbox != NULL ? str_from_c(mailbox) : STR("INBOX"));
    if (status != CLI_DONE || mailbox != NULL)
        return status;
    DIR *dir = opendir(m->path);
    if (dir == NULL)
        return cli_fail("%s cannot be read: %s", m->path, strerror(errno));
    while (status == CLI_DONE && (entry = readdir(dir)) != NULL)
        status = import_sub_folder(m, entry->d_name, account);
    closedir(dir);
    return status;
}

/* --- the command --- */

static int report(const struct import *m, int status, const char *account)
{
    struct buf size;

    if (status != CLI_DONE && m->stored + m->failed == 0)
        return status;
    buf_init(&size, 64);
    text_put_size(&size, m->bytes);
    (void)printf("%llu message%s (%s) imported into %s\n", (unsigned long long)m->stored,
                 m->stored == 1 ? "" : "s", buf_c_str(&size), account);
    buf_done(&size);
    if (m->failed > 0)
        return cli_fail("%llu message%s failed, see above; the others are in the mailbox",
                        (unsigned long long)m->failed, m->failed == 1 ? "" : "s");
    return status;
}

int cmd_mailbox_import(struct cli *cli)
{
    const char *format = cli_option(cli, "--format"), *mailbox = cli_option(cli, "--mailbox");
    struct str account = cli_word(cli, 0);
    struct import m;
    bool has;

    if (format == NULL)
        return cli_usage(cli, "say --format mbox or --format maildir");
    bool is_mbox = strcmp(format, "mbox") == 0;
    if (!is_mbox && strcmp(format, "maildir") != 0)
        return cli_usage(cli, "there is no format %s, only mbox and maildir", format);
    /* Says at once that there is no such account, not once for each message. */
    int status = messages_has_mailbox(&cli->client, account, STR("INBOX"), &has);
    if (status != CLI_DONE)
        return status;
    import_start(&m, cli, cli->args.words[1]);
    if (is_mbox)
        status = import_mbox(&m, account, mailbox != NULL ? str_from_c(mailbox) : STR("INBOX"));
    else
        status = import_maildir(&m, account, mailbox);
    return report(&m, status, cli->args.words[0]);
}
