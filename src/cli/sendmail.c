/* The program under its traditional names: see sendmail.h. */
#include "cli/sendmail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/sendmail_dots.h"
#include "cli/sendmail_drop.h"
#include "config.h"
#include "mail/submit.h"
#include "smtp/data_scan.h"
#include "svc/pickup/identity.h"

enum {
    ERRORS_MAX_BYTES = 64 * 1024,
    PIECE_BYTES = 64 * 1024,
    HEAD_MAX_BYTES = SUBMIT_HEADER_MAX_BYTES + 8 * PIECE_BYTES,
    SCRATCH_BYTES = 64 * 1024,
};

int sendmail_fail(int status, const char *fmt, ...)
{
    va_list args;

    (void)fflush(stdout);
    (void)fputs("sendmail: ", stderr);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return status;
}

/* --- recipients and sender --- */

struct sendmail_recipients *sendmail_recipients_new(void)
{
    struct sendmail_recipients *r = xcalloc(1, sizeof(*r));

    arena_init(&r->arena, SUBMIT_RECIPIENTS_MAX * (SUBMIT_TEXT_MAX_BYTES + 64));
    return r;
}

void sendmail_recipients_free(struct sendmail_recipients *r)
{
    if (r == NULL)
        return;
    arena_done(&r->arena);
    free(r);
}

static const char *judge(struct str text)
{
    CLEANUP(arena_done) struct arena scratch;
    struct address ignored;

    if (!submit_file_may_hold(text))
        return "it is too long, or not text";
    arena_init(&scratch, SCRATCH_BYTES);
    if (str_rfind(text, '@') < 0)
        text = str_from_c(arena_printf(&scratch, "%.*s@example.org", STR_ARG(text)));
    enum address_error error = address_parse(text, ADDRESS_MAY_BE_UTF8, &scratch, &ignored);
    return error == ADDRESS_OK ? NULL : address_error_text(error);
}

struct adding {
    struct sendmail_recipients *to;
    struct str bad;
};

static bool is_known(const struct sendmail_recipients *to, struct str text)
{
    for (size_t i = 0; i < to->count; i++) {
        if (str_eq(to->list[i].address, text))
            return true;
    }
    return false;
}

static bool add(void *arg, struct str text, bool is_good)
{
    struct adding *a = arg;
    struct sendmail_recipients *to = a->to;

    to->error = is_good ? judge(text) : "it cannot be read";
    if (to->error == NULL && is_known(to, text))
        return true;
    if (to->error == NULL && to->count == SUBMIT_RECIPIENTS_MAX)
        to->error = "there are too many recipients; send to fewer at once";
    if (to->error != NULL) {
        a->bad = arena_str(&to->arena, str_sub(text, 0, SUBMIT_TEXT_MAX_BYTES));
        return false;
    }
    to->list[to->count++] =
        (struct submit_recipient){.address = arena_str(&to->arena, text), .notify = to->notify};
    return true;
}

static bool add_header(struct sendmail_recipients *r, const struct submit_header *header,
                       struct str *out_bad)
{
    struct adding a = {.to = r, .bad = STR("")};

    r->error = NULL;
    submit_list_recipients(header, add, &a);
    *out_bad = a.bad;
    return r->error == NULL;
}

bool sendmail_recipients_add(struct sendmail_recipients *r, struct str list, struct str *out_bad)
{
    CLEANUP(arena_done) struct arena scratch;
    CLEANUP(buf_done) struct buf text;
    struct submit_header header;

    *out_bad = list;
    r->error = "it cannot be read";
    if (str_find(list, '\n') >= 0)
        return false;
    arena_init(&scratch, SUBMIT_ARENA_BYTES);
    buf_init(&text, HEAD_MAX_BYTES);
    buf_put_c(&text, "To: ");
    buf_put_str(&text, list);
    buf_put_c(&text, "\n\n");
    if (buf_status(&text) < 0)
        return false;
    submit_header_read(buf_str(&text), STR("example.org"), &scratch, &header);
    return add_header(r, &header, out_bad);
}

/* Nobody can be asked here which other domains are ours. */
static int know_nobody(void *arg, const struct address *address, const struct ip_addr *peer,
                       enum smtp_destination *out)
{
    (void)arg;
    (void)peer;
    (void)address;
    *out = SMTP_DESTINATION_REMOTE;
    return 0;
}

bool sendmail_may_send_as(const struct settings *settings, struct str sender)
{
    CLEANUP(arena_done) struct arena scratch;
    static const struct smtp_backend backend = {.find_recipient = know_nobody};
    struct identity identity;
    struct address wanted;
    struct user user;
    bool may = true;

    if (sender.len == 0 || settings->server_hostname[0] == '\0' || users_find(getuid(), &user) < 0)
        return true;
    arena_init(&scratch, SCRATCH_BYTES);
    identity_init(&identity, settings, &backend, &user, &scratch);
    if (str_rfind(sender, '@') < 0)
        sender = str_from_c(
            arena_printf(&scratch, "%.*s@%.*s", STR_ARG(sender), STR_ARG(identity.domain)));
    return address_parse(sender, ADDRESS_MAY_BE_UTF8, &scratch, &wanted) != ADDRESS_OK ||
           identity_may_use(&identity, &wanted, &may) < 0 || may;
}

/* --- the message --- */

struct message {
    const struct settings *settings;
    const struct sendmail_args *args;
    struct sendmail_recipients *to;
    struct sendmail_dots dots;
    struct data_scan scan;
    struct buf text; /* with CR LF, not written yet */
    struct sendmail_drop drop;
    bool has_ended;
};

/* Reads a piece of standard input. 0 or negative errno; -E2BIG, -EILSEQ: not this message. */
static int read_piece(struct message *m)
{
    CLEANUP(cleanup_free) char *piece = xmalloc(PIECE_BYTES);
    CLEANUP(buf_done) struct buf kept;

    ssize_t n = read(STDIN_FILENO, piece, PIECE_BYTES);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    buf_init(&kept, PIECE_BYTES + 16);
    sendmail_dots_feed(&m->dots, str_from_mem(piece, (size_t)n), &kept);
    if (n == 0)
        sendmail_dots_finish(&m->dots, &kept);
    (void)data_scan_feed(&m->scan, buf_str(&kept), &m->text);
    m->has_ended = n == 0 || m->dots.has_ended;
    if (m->has_ended)
        data_scan_finish(&m->scan, &m->text);
    if (m->scan.has_nul)
        return -EILSEQ;
    return m->scan.content_bytes > m->settings->smtp_max_message_size ? -E2BIG : 0;
}

static int explain_reading(const struct message *m, int error)
{
    if (error == -EILSEQ)
        return sendmail_fail(EX_DATAERR, "the message has a NUL byte; encode it as an attachment");
    if (error == -E2BIG)
        return sendmail_fail(EX_DATAERR, "the message is too big: at most %llu bytes are taken",
                             (unsigned long long)m->settings->smtp_max_message_size);
    return sendmail_fail(EX_IOERR, "the message cannot be read: %s", strerror(-error));
}

static bool has_header(struct str text)
{
    for (size_t i = 0; i + 3 < text.len; i++) {
        if (text.ptr[i] == '\r' && memcmp(text.ptr + i, "\r\n\r\n", 4) == 0)
            return true;
    }
    return str_has_prefix(text, STR("\r\n"));
}

static int explain_recipient(const struct message *m, struct str bad, int status)
{
    return sendmail_fail(status, "\"%.*s\" is no address to send to: %s", STR_ARG(bad),
                         m->to->error);
}

/* -t: reads on until the header is there. An exit status. */
static int take_from_header(struct message *m)
{
    CLEANUP(arena_done) struct arena scratch;
    struct submit_header header;
    struct str bad;

    while (!m->has_ended && !has_header(buf_str(&m->text)) &&
           m->text.len < SUBMIT_HEADER_MAX_BYTES) {
        int r = read_piece(m);
        if (r < 0)
            return explain_reading(m, r);
    }
    arena_init(&scratch, SUBMIT_ARENA_BYTES);
    submit_header_read(buf_str(&m->text), STR("example.org"), &scratch, &header);
    return add_header(m->to, &header, &bad) ? EX_OK : explain_recipient(m, bad, EX_DATAERR);
}

static int take_recipients(struct message *m)
{
    struct str bad;

    m->to->notify = m->args->notify;
    for (size_t i = 0; i < m->args->word_count; i++) {
        if (!sendmail_recipients_add(m->to, str_from_c(m->args->words[i]), &bad))
            return explain_recipient(m, bad, EX_NOUSER);
    }
    int status = m->args->takes_recipients ? take_from_header(m) : EX_OK;
    if (status == EX_OK && m->to->count == 0)
        return sendmail_fail(EX_USAGE, m->args->takes_recipients
                                           ? "the header names nobody to send to"
                                           : "say whom to send to, or -t to take that from the "
                                             "header");
    return status;
}

static int write_envelope(struct message *m)
{
    CLEANUP(buf_done) struct buf out;
    const struct sendmail_args *args = m->args;
    struct submit_envelope e = {.has_sender = args->has_sender,
                                .sender = args->sender,
                                .full_name = args->full_name,
                                .envid = args->envid,
                                .ret = args->ret,
                                .recipients = m->to->list,
                                .recipient_count = m->to->count};

    buf_init(&out, SUBMIT_ENVELOPE_MAX_BYTES);
    submit_file_put(&out, &e);
    return sendmail_drop_write(&m->drop, buf_str(&out));
}

static int explain_drop(const struct message *m, int error)
{
    return sendmail_fail(sendmail_drop_status(error), "the mail cannot be left in %s: %s%s",
                         m->settings->submit_spool_dir, strerror(-error),
                         sendmail_drop_hint(error));
}

/* An exit status. */
static int write_text(struct message *m)
{
    int r = write_envelope(m);

    while (r == 0) {
        r = sendmail_drop_write(&m->drop, buf_str(&m->text));
        buf_reset(&m->text);
        if (r < 0 || m->has_ended)
            break;
        int read_error = read_piece(m);
        if (read_error < 0)
            return explain_reading(m, read_error);
    }
    if (r == 0)
        r = sendmail_drop_commit(&m->drop);
    return r < 0 ? explain_drop(m, r) : EX_OK;
}

static int deliver_message(struct message *m)
{
    int status = take_recipients(m);

    if (status != EX_OK)
        return status;
    int r = sendmail_drop_open(m->settings->submit_spool_dir, &m->drop);
    status = r < 0 ? explain_drop(m, r) : write_text(m);
    if (status == EX_OK && m->args->is_verbose)
        (void)printf("handed to the server for %zu recipient%s as %s\n", m->to->count,
                     m->to->count == 1 ? "" : "s", m->drop.name);
    sendmail_drop_abort(&m->drop);
    return status;
}

static int deliver(const struct settings *settings, const struct sendmail_args *args)
{
    struct message m = {.settings = settings,
                        .args = args,
                        .dots = {.is_text = args->ignores_dots},
                        .drop = {.dir_fd = -1, .fd = -1}};

    if (args->has_sender && args->sender.len > 0 && judge(args->sender) != NULL)
        return sendmail_fail(EX_USAGE, "\"%.*s\" is no address to send from: %s",
                             STR_ARG(args->sender), judge(args->sender));
    if (args->has_sender && !sendmail_may_send_as(settings, args->sender))
        return sendmail_fail(EX_NOPERM,
                             "this user may not send as %.*s; submit.senders in the server's "
                             "configuration gives more addresses",
                             STR_ARG(args->sender));
    m.to = sendmail_recipients_new();
    buf_init(&m.text, HEAD_MAX_BYTES);
    data_scan_init(&m.scan, DATA_CHUNKED, true);
    int status = deliver_message(&m);
    buf_done(&m.text);
    sendmail_recipients_free(m.to);
    return status;
}

/* --- the program --- */

/* Users without the right to read the configuration get the defaults. */
static int load(const struct sendmail_args *args, const char **out_path, struct settings **out)
{
    CLEANUP(buf_done) struct buf errors;
    const char *path = args->config_path != NULL ? args->config_path : getenv("HIKYAKU_CONFIG");

    buf_init(&errors, ERRORS_MAX_BYTES);
    *out_path = path != NULL ? path : CLI_CONFIG_PATH;
    int r = settings_load(*out_path, out, &errors);
    if (r == -EINVAL)
        return sendmail_fail(EX_CONFIG, "%s", buf_c_str(&errors));
    if (r < 0 && path != NULL)
        return sendmail_fail(EX_NOINPUT, "%s: %s", path, strerror(-r));
    if (r < 0)
        *out = settings_defaults();
    return EX_OK;
}

/* The same program under its own name. */
static int list_queue(const char *config_path)
{
    size_t count;
    const struct cli_command *table = cli_commands(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, "queue list") != 0)
            continue;
        (void)execl("/proc/self/exe", "hikyaku", "queue", "list", "-c", config_path, (char *)NULL);
        return sendmail_fail(EX_OSERR, "hikyaku cannot be started: %s", strerror(errno));
    }
    return sendmail_fail(EX_UNAVAILABLE, "this server cannot list its queue yet");
}

static int run(const struct sendmail_args *args)
{
    const char *config_path;
    struct settings *settings = NULL;

    if (args->mode == SENDMAIL_VERSION) {
        (void)printf("Hikyaku %s sendmail\n", HIKYAKU_VERSION);
        return EX_OK;
    }
    if (args->mode == SENDMAIL_NOTHING)
        return EX_OK;
    int status = load(args, &config_path, &settings);
    if (status != EX_OK)
        return status;
    if (args->mode == SENDMAIL_QUEUE)
        status = list_queue(config_path);
    else if (settings->submit_spool_dir[0] == '\0')
        status = sendmail_fail(EX_UNAVAILABLE, "this server takes no mail from programs; see "
                                               "submit.spool_dir in its configuration");
    else
        status =
            args->mode == SENDMAIL_SMTP ? sendmail_serve(settings, args) : deliver(settings, args);
    settings_free(settings);
    return status;
}

static struct str base_name(const char *program)
{
    struct str name = str_from_c(program);
    ptrdiff_t slash = str_rfind(name, '/');

    return slash < 0 ? name : str_sub(name, (size_t)slash + 1, name.len);
}

bool sendmail_is_called(const char *program)
{
    return sendmail_args_is_name(base_name(program));
}

int sendmail_main(int argc, char **argv)
{
    CLEANUP(buf_done) struct buf error;
    struct sendmail_args args;

    buf_init(&error, ERRORS_MAX_BYTES);
    int r = sendmail_args_parse(base_name(argv[0]), argc, (const char *const *)argv, &args, &error);
    int status = r < 0 ? sendmail_fail(EX_USAGE, "%s", buf_c_str(&error)) : run(&args);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        status = status == EX_OK ? EX_IOERR : status;
    return status;
}
