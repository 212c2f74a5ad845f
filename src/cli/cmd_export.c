/*
 * mailbox export: an account's messages as an mbox file (mboxrd) or a Maildir.
 *
 * Lines end in LF, as such files have it. Never writes into anything that holds something already.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/lines.h"
#include "cli/maildir.h"
#include "cli/mbox.h"
#include "cli/messages.h"
#include "mail/header.h"
#include "store/wire.h"

enum { PIECE_MAX_BYTES = 4 * 1024 * 1024, NAME_MAX_BYTES = 4096 };

struct export
{
    struct client *client;
    struct str account;
    const char *path;
    int fd; /* of the mbox, or of the message at hand */
    uint64_t count;
    uint64_t failed; /* messages that the server could not read */
    /* of the message at hand */
    const struct message_row *row;
    struct mbox_writer writer;
    struct lines lines;
    bool has_begun;
    struct buf out;
    const char *folder; /* path of the Maildir folder */
};

static int write_out(struct export *x)
{
    int r = file_write_all(x->fd, buf_str(&x->out));

    buf_reset(&x->out);
    return r < 0 ? cli_fail("%s cannot be written: %s", x->path, strerror(-r)) : CLI_DONE;
}

/* --- mbox --- */

/* The envelope's sender, which delivery keeps in Return-Path (RFC 5321 section 4.4). */
static struct str find_sender(struct str block)
{
    struct header_field field;

    while (header_next(&block, &field)) {
        if (!str_eq_nocase(field.name, STR("Return-Path")))
            continue;
        struct str path = str_trim(field.body);
        bool is_path = path.len >= 2 && path.ptr[0] == '<' && path.ptr[path.len - 1] == '>';
        return is_path ? str_sub(path, 1, path.len - 2) : STR("");
    }
    return STR("");
}

static int put_mbox_piece(void *arg, struct str piece)
{
    struct export *x = arg;
    struct mbox_facts facts = {.received_ms = x->row->received_ms,
                               .has_date = true,
                               .flags = (uint32_t)x->row->flags,
                               .keywords = x->row->keywords};

    if (!x->has_begun)
        mbox_writer_begin(&x->writer, find_sender(piece), &facts, &x->out);
    x->has_begun = true;
    mbox_writer_put(&x->writer, piece, &x->out);
    return write_out(x);
}

/* One message that the server cannot read must not keep the others back; its failure was told. */
static int skip_message(struct export *x)
{
    (void)fprintf(stderr, "hikyaku: note: the message with UID %llu is left out\n",
                  (unsigned long long)x->row->uid);
    x->failed++;
    return CLI_DONE;
}

static int export_mbox_message(void *arg, const struct message_row *row)
{
    struct export *x = arg;

    x->row = row;
    x->has_begun = false;
    int status = messages_read(x->client, row->id, put_mbox_piece, x);
    if (status != CLI_DONE && !x->has_begun && x->client->is_open)
        return skip_message(x);
    if (status == CLI_DONE && !x->has_begun)
        status = put_mbox_piece(x, STR(""));
    if (status != CLI_DONE)
        return status;
    mbox_writer_end(&x->writer, &x->out);
    x->count++;
    return write_out(x);
}

static int open_mbox(struct export *x)
{
    struct stat st;

    if (strcmp(x->path, "-") == 0) {
        x->fd = STDOUT_FILENO;
        return CLI_DONE;
    }
    /* An empty file may be there; anything more is somebody's mail. */
    x->fd = open(x->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (x->fd < 0)
        return cli_fail("%s cannot be made: %s", x->path, strerror(errno));
    if (fstat(x->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        close(x->fd);
        return cli_fail("%s exists and is not empty; name another file", x->path);
    }
    return CLI_DONE;
}

static int close_mbox(struct export *x, int status)
{
    if (x->fd == STDOUT_FILENO)
        return status;
    /* A pipe or device cannot be synced, and need not be. */
    bool is_bad = fsync(x->fd) < 0 && errno != EINVAL;
    is_bad = close(x->fd) < 0 || is_bad;
    if (status == CLI_DONE && is_bad)
        return cli_fail("%s cannot be written: %s", x->path, strerror(errno));
    return status;
}

/* Says which mail of the account is not in the file. */
static int note_other(void *arg, const struct mailbox_row *row)
{
    const struct str *exported = arg;

    if (!str_eq(row->name, *exported) && row->messages > 0)
        (void)fprintf(stderr,
                      "hikyaku: note: %llu messages in %.*s are not in this file; "
                      "export them with --mailbox\n",
                      (unsigned long long)row->messages, STR_ARG(row->name));
    return CLI_DONE;
}

static int export_mbox(struct export *x, const char *mailbox)
{
    struct str name = mailbox != NULL ? str_from_c(mailbox) : STR("INBOX");
    bool has = true;

    /* An account that has got no mail yet has no INBOX, which is no failure. */
    int status =
        mailbox != NULL ? CLI_DONE : messages_has_mailbox(x->client, x->account, name, &has);
    if (status == CLI_DONE)
        status = open_mbox(x);
    if (status != CLI_DONE)
        return status;
    if (has)
        status = messages_list(x->client, x->account, name, export_mbox_message, x);
    status = close_mbox(x, status);
    if (status == CLI_DONE && mailbox == NULL)
        status = messages_list_mailboxes(x->client, x->account, note_other, &name);
    return status;
}

/* --- Maildir --- */

static int put_file_piece(void *arg, struct str piece)
{
    struct export *x = arg;

    x->has_begun = true;
    lines_put_lf(&x->lines, piece, &x->out);
    return write_out(x);
}

/* Writes the message at hand to tmp, sets its date and moves it to cur. */
static int write_file(struct export *x, const char *tmp_path, const char *path)
{
    struct timespec times[2] = {
        {.tv_sec = x->row->received_ms / 1000, .tv_nsec = x->row->received_ms % 1000 * 1000000},
    };

    times[1] = times[0];
    x->fd = open(tmp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (x->fd < 0)
        return cli_fail("%s cannot be made: %s", tmp_path, strerror(errno));
    x->lines = (struct lines){0};
    x->has_begun = false;
    int status = messages_read(x->client, x->row->id, put_file_piece, x);
    if (status != CLI_DONE && !x->has_begun && x->client->is_open) {
        close(x->fd);
        (void)unlink(tmp_path);
        x->count--;
        return skip_message(x);
    }
    lines_end_lf(&x->lines, &x->out);
    if (status == CLI_DONE)
        status = write_out(x);
    if (status == CLI_DONE && (futimens(x->fd, times) < 0 || rename(tmp_path, path) < 0))
        status = cli_fail("%s cannot be made: %s", path, strerror(errno));
    if (close(x->fd) < 0 && status == CLI_DONE)
        status = cli_fail("%s cannot be written: %s", path, strerror(errno));
    return status;
}

static int export_file(void *arg, const struct message_row *row)
{
    struct export *x = arg;
    char id[ID_TEXT_CHARS + 1];
    struct buf info;

    x->row = row;
    buf_init(&info, 64);
    maildir_put_flags(&info, (uint32_t)row->flags,
                      str_contains_nocase(row->keywords, STR("$Forwarded")));
    /* The UID keeps apart what is twice in one folder. */
    CLEANUP(cleanup_free)
    char *base = xasprintf("%lld.%s_%llu.hikyaku", (long long)(row->received_ms / 1000),
                           id_format(row->id, id), (unsigned long long)row->uid);
    CLEANUP(cleanup_free) char *tmp_path = xasprintf("%s/tmp/%s", x->folder, base);
    CLEANUP(cleanup_free)
    char *path = xasprintf("%s/cur/%s%s", x->folder, base, buf_c_str(&info));
    buf_done(&info);
    x->count++;
    return write_file(x, tmp_path, path);
}

static int make_folder(const char *path, bool may_exist)
{
    static const char *const subs[] = {"cur", "new", "tmp"};

    if (mkdir(path, 0700) < 0 && !(errno == EEXIST && may_exist))
        return cli_fail("%s cannot be made: %s", path, strerror(errno));
    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        CLEANUP(cleanup_free) char *sub = xasprintf("%s/%s", path, subs[i]);
        if (mkdir(sub, 0700) < 0)
            return cli_fail("%s cannot be made: %s", sub, strerror(errno));
    }
    return CLI_DONE;
}

static int export_folder(void *arg, const struct mailbox_row *row)
{
    struct export *x = arg;
    bool is_root = str_eq(row->name, STR("INBOX"));
    struct buf name;

    buf_init(&name, NAME_MAX_BYTES);
    if (!is_root)
        maildir_put_folder(&name, row->name);
    CLEANUP(cleanup_free)
    char *path = xasprintf("%s%s%s", x->path, is_root ? "" : "/", buf_c_str(&name));
    CLEANUP(cleanup_free) char *mailbox = str_dup(row->name);
    buf_done(&name);
    /* The root was made before; a folder must be new. */
    int status = is_root ? CLI_DONE : make_folder(path, false);
    x->folder = path;
    return status == CLI_DONE
               ? messages_list(x->client, x->account, str_from_c(mailbox), export_file, x)
               : status;
}

static int export_maildir(struct export *x, const char *mailbox)
{
    if (strcmp(x->path, "-") == 0)
        return cli_fail("a Maildir is a folder; name one instead of -");
    if (!file_is_absent_or_empty_dir(x->path))
        return cli_fail("%s exists and is not an empty folder; name another one", x->path);
    int status = make_folder(x->path, true);
    if (status != CLI_DONE)
        return status;
    x->folder = x->path;
    if (mailbox != NULL)
        status = messages_list(x->client, x->account, str_from_c(mailbox), export_file, x);
    else
        status = messages_list_mailboxes(x->client, x->account, export_folder, x);
    if (status == CLI_DONE && file_sync_fs(x->path) < 0)
        status = cli_fail("%s cannot be written: %s", x->path, strerror(errno));
    return status;
}

int cmd_mailbox_export(struct cli *cli)
{
    const char *format = cli_option(cli, "--format"), *mailbox = cli_option(cli, "--mailbox");
    struct export x = {
        .client = &cli->client, .account = cli_word(cli, 0), .path = cli->args.words[1]};

    if (format == NULL)
        return cli_usage(cli, "say --format mbox or --format maildir");
    bool is_mbox = strcmp(format, "mbox") == 0;
    if (!is_mbox && strcmp(format, "maildir") != 0)
        return cli_usage(cli, "there is no format %s, only mbox and maildir", format);
    buf_init(&x.out, PIECE_MAX_BYTES);
    int status = is_mbox ? export_mbox(&x, mailbox) : export_maildir(&x, mailbox);
    buf_done(&x.out);
    if (status == CLI_DONE && strcmp(x.path, "-") != 0)
        (void)printf("%llu message%s exported to %s\n", (unsigned long long)x.count,
                     x.count == 1 ? "" : "s", x.path);
    if (status == CLI_DONE && x.failed > 0)
        return cli_fail("%llu messages could not be read; restore them from a backup",
                        (unsigned long long)x.failed);
    return status;
}
