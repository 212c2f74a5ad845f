/*
 * send: a mail from the command line, by any user of this machine. The text comes from standard
 * input, files go along as attachments, a subject in any language is encoded (RFC 2047); the mail
 * is left in the spool folder as sendmail does it, so it works while no server runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/queue_text.h"
#include "cli/send_times.h"
#include "cli/sendmail.h"
#include "cli/sendmail_drop.h"
#include "cli/text.h"
#include "mail/transfer.h"

enum {
    ATTACHMENTS_MAX = 100,
    PIECE_BYTES = 64 * 1024,
    HEADER_MAX_BYTES = 64 * 1024,
    BOUNDARY_BYTES = 40,
    TIMES_ARENA_BYTES = 1024,
};

struct sending {
    struct cli *cli;
    struct sendmail_recipients *to;
    struct sendmail_drop drop;
    const char *attachments[ATTACHMENTS_MAX];
    size_t attachment_count;
    char boundary[BOUNDARY_BYTES];
    struct send_times times;
    struct arena arena; /* of the times */
    uint64_t bytes;
    const char *at; /* the file at hand, for what is said of a failure */
};

/* --- attachments --- */

static const struct {
    const char *ending, *type;
} types[] = {
    {".txt", "text/plain; charset=utf-8"},
    {".log", "text/plain; charset=utf-8"},
    {".csv", "text/csv; charset=utf-8"},
    {".html", "text/html; charset=utf-8"},
    {".json", "application/json"},
    {".xml", "application/xml"},
    {".pdf", "application/pdf"},
    {".zip", "application/zip"},
    {".gz", "application/gzip"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".svg", "image/svg+xml"},
    {".mp3", "audio/mpeg"},
    {".mp4", "video/mp4"},
    {".eml", "application/octet-stream"}, /* message/rfc822 may not be base64 */
};

static const char *guess_type(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_has_suffix_nocase(name, str_from_c(types[i].ending)))
            return types[i].type;
    }
    return "application/octet-stream";
}

static struct str base_name(const char *path)
{
    struct str name = str_from_c(path);
    ptrdiff_t slash = str_rfind(name, '/');

    return slash < 0 ? name : str_sub(name, (size_t)slash + 1, name.len);
}

/* filename= for ASCII, filename*= for others (RFC 2231 section 4). */
static void put_filename(struct buf *out, struct str name)
{
    bool is_plain = !utf8_has_non_ascii(name);

    buf_put_c(out, is_plain ? "; filename=\"" : "; filename*=utf-8''");
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (is_plain)
            buf_put_char(out, c < ' ' || c == '"' || c == '\\' || c == 0x7f ? '_' : (char)c);
        else if (ascii_is_alnum((char)c) || c == '.' || c == '-' || c == '_')
            buf_put_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
    buf_put_c(out, is_plain ? "\"" : "");
}

static int write_out(struct sending *s, struct str text)
{
    s->bytes += text.len;
    return s->bytes > s->cli->settings->smtp_max_message_size ? -EFBIG
                                                              : sendmail_drop_write(&s->drop, text);
}

static int write_part_header(struct sending *s, const char *path)
{
    CLEANUP(buf_done) struct buf out;
    struct str name = base_name(path);

    buf_init(&out, HEADER_MAX_BYTES);
    buf_printf(&out,
               "\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n"
               "Content-Disposition: attachment",
               s->boundary, guess_type(name));
    put_filename(&out, name);
    buf_put_c(&out, "\r\n\r\n");
    return write_out(s, buf_str(&out));
}

static int write_file(struct sending *s, FILE *file)
{
    CLEANUP(cleanup_free) char *piece = xmalloc(PIECE_BYTES);
    CLEANUP(buf_done) struct buf out;
    struct transfer_encoder encoder;
    size_t n;
    int r = 0;

    buf_init(&out, TRANSFER_EXPANSION_MAX * (PIECE_BYTES + 8));
    transfer_init(&encoder, TRANSFER_BASE64);
    while (r == 0 && (n = fread(piece, 1, PIECE_BYTES, file)) > 0) {
        buf_reset(&out);
        transfer_put(&encoder, str_from_mem(piece, n), &out);
        r = write_out(s, buf_str(&out));
    }
    buf_reset(&out);
    transfer_finish(&encoder, &out);
    if (r == 0)
        r = write_out(s, buf_str(&out));
    return r == 0 && ferror(file) ? -EIO : r;
}

static int write_attachment(struct sending *s, const char *path)
{
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "re");
    struct stat st;

    s->at = path;
    if (file == NULL || fstat(fileno(file), &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    int r = write_part_header(s, path);
    return r < 0 ? r : write_file(s, file);
}

/* --- header and text --- */

static void put_text_field(struct buf *out, const char *name, const char *text)
{
    struct str value = str_from_c(text);

    if (value.len == 0)
        return;
    buf_printf(out, "%s: ", name);
    transfer_put_words(value, out);
    buf_put_c(out, "\r\n");
}

static void put_recipients(struct buf *out, const struct sendmail_recipients *to)
{
    buf_put_c(out, "To: ");
    for (size_t i = 0; i < to->count; i++) {
        buf_put_c(out, i > 0 ? ",\r\n\t" : "");
        buf_put_str(out, to->list[i].address);
    }
    buf_put_c(out, "\r\n");
}

static int write_header(struct sending *s)
{
    CLEANUP(buf_done) struct buf out;
    const char *from = cli_option(s->cli, "-f"), *subject = cli_option(s->cli, "-s");
    struct submit_envelope e = {.has_sender = from != NULL,
                                .sender = str_from_c(from),
                                .hold_until = s->times.hold_until,
                                .by = s->times.by,
                                .priority = s->times.priority,
                                .recipients = s->to->list,
                                .recipient_count = s->to->count};

    buf_init(&out, SUBMIT_ENVELOPE_MAX_BYTES + HEADER_MAX_BYTES +
                       SUBMIT_RECIPIENTS_MAX * SUBMIT_TEXT_MAX_BYTES);
    submit_file_put(&out, &e);
    put_recipients(&out, s->to);
    put_text_field(&out, "Subject", subject != NULL ? subject : "");
    buf_put_c(&out, "MIME-Version: 1.0\r\n");
    if (s->attachment_count > 0)
        buf_printf(&out, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n",
                   s->boundary, s->boundary);
    /* 8bit, and the server sees to hops that do not take it. */
    buf_put_c(&out, "Content-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: 8bit\r\n\r\n");
    return buf_status(&out) < 0 ? -EMSGSIZE : write_out(s, buf_str(&out));
}

static int write_text(struct sending *s)
{
    CLEANUP(cleanup_free) char *piece = xmalloc(PIECE_BYTES);
    size_t n;
    int r = 0;

    s->at = "-";
    while (r == 0 && (n = fread(piece, 1, PIECE_BYTES, stdin)) > 0) {
        r = memchr(piece, '\0', n) != NULL ? -EILSEQ : 0;
        if (r == 0)
            r = write_out(s, str_from_mem(piece, n));
    }
    return r == 0 && ferror(stdin) ? -EIO : r;
}

static int write_mail(struct sending *s)
{
    CLEANUP(buf_done) struct buf end;

    int r = write_header(s);
    if (r == 0)
        r = write_text(s);
    for (size_t i = 0; r == 0 && i < s->attachment_count; i++)
        r = write_attachment(s, s->attachments[i]);
    if (r == 0 && s->attachment_count > 0) {
        buf_init(&end, HEADER_MAX_BYTES);
        buf_printf(&end, "\r\n--%s--\r\n", s->boundary);
        return write_out(s, buf_str(&end));
    }
    buf_init(&end, 1);
    return r;
}

/* --- the command --- */

static int explain(const struct sending *s, int error)
{
    if (error == -EILSEQ)
        return cli_fail("the text has a NUL byte: it is no text; send it with -a FILE");
    if (error == -EFBIG)
        return cli_fail("the mail is too big: at most %llu bytes are taken",
                        (unsigned long long)s->cli->settings->smtp_max_message_size);
    if (s->at != NULL)
        return cli_fail("%s: %s", strcmp(s->at, "-") == 0 ? "standard input" : s->at,
                        strerror(-error));
    return cli_fail("the mail cannot be left in %s: %s%s", s->cli->settings->submit_spool_dir,
                    strerror(-error), sendmail_drop_hint(error));
}

/* When it goes out, and what can be done until then. */
static void say_scheduled(const struct sending *s)
{
    CLEANUP(buf_done) struct buf text;
    bool is_japanese = text_is_japanese();

    if (s->times.release_ms == 0)
        return;
    buf_init(&text, 256);
    queue_text_put_when(&text, s->times.release_ms, clock_real_ms(), is_japanese);
    if (is_japanese)
        (void)printf("送信日時: %s\n"
                     "それまでは取り消せます: hikyaku queue list --scheduled、"
                     "hikyaku queue cancel ID\n",
                     buf_c_str(&text));
    else
        (void)printf("It goes out at %s.\n"
                     "Until then it can be cancelled: hikyaku queue list --scheduled, "
                     "hikyaku queue cancel ID\n",
                     buf_c_str(&text));
}

static void say_done(const struct sending *s)
{
    char size[64];
    CLEANUP(buf_done) struct buf text;

    buf_init(&text, sizeof(size));
    text_put_size(&text, s->bytes);
    const char *first = buf_c_str(&text);
    struct str whom = s->to->list[0].address;
    if (text_is_japanese())
        (void)printf("サーバーに預けました: 宛先 %zu 件、%s\n"
                     "その後を見るには: hikyaku trace %.*s\n"
                     "届けられなかったときは、理由がメールで届きます。\n",
                     s->to->count, first, STR_ARG(whom));
    else
        (void)printf("Handed to the server: %zu recipient%s, %s\n"
                     "What becomes of it: hikyaku trace %.*s\n"
                     "If it cannot be sent, a mail will tell you why.\n",
                     s->to->count, s->to->count == 1 ? "" : "s", first, STR_ARG(whom));
}

static int send_mail(struct sending *s)
{
    int r = sendmail_drop_open(s->cli->settings->submit_spool_dir, &s->drop);

    if (r == 0)
        r = write_mail(s);
    if (r == 0) {
        s->at = NULL;
        r = sendmail_drop_commit(&s->drop);
    }
    sendmail_drop_abort(&s->drop);
    if (r < 0)
        return explain(s, r);
    say_done(s);
    say_scheduled(s);
    return CLI_DONE;
}

static int list_attachments(struct sending *s)
{
    const struct cli_args *args = &s->cli->args;

    for (int i = 1; i + 1 < args->argc && strcmp(args->argv[i], "--") != 0; i++) {
        if (strcmp(args->argv[i], "-a") != 0)
            continue;
        if (s->attachment_count == ATTACHMENTS_MAX)
            return cli_usage(s->cli, "at most %d files go along", ATTACHMENTS_MAX);
        s->attachments[s->attachment_count++] = args->argv[++i];
    }
    return CLI_DONE;
}

static int list_recipients(struct sending *s)
{
    struct str bad;

    for (size_t i = 0; i < s->cli->args.word_count; i++) {
        if (!sendmail_recipients_add(s->to, cli_word(s->cli, i), &bad))
            return cli_usage(s->cli, "\"%.*s\" is no address to send to: %s", STR_ARG(bad),
                             s->to->error);
    }
    return s->to->count > 0 ? CLI_DONE : cli_usage(s->cli, "say whom to send to");
}

static int check_texts(struct sending *s)
{
    const char *from = cli_option(s->cli, "-f"), *subject = cli_option(s->cli, "-s");
    struct str text = str_from_c(subject);

    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return cli_usage(s->cli, "a subject is one line of text");
    }
    if (!utf8_is_valid(text))
        return cli_usage(s->cli, "the subject is not UTF-8");
    if (from != NULL && !submit_file_may_hold(str_from_c(from)))
        return cli_usage(s->cli, "-f is no address");
    if (from != NULL && !sendmail_may_send_as(s->cli->settings, str_from_c(from)))
        return cli_fail("you may not send as %s; submit.senders in the server's configuration "
                        "gives more addresses",
                        from);
    return CLI_DONE;
}

static int prepare(struct sending *s)
{
    uint64_t random[2] = {0, 0};

    (void)!getrandom(random, sizeof(random), 0);
    (void)snprintf(s->boundary, sizeof(s->boundary), "=_%016llx%016llx",
                   (unsigned long long)random[0], (unsigned long long)random[1]);
    int status = cli_load_settings(s->cli);
    if (status == CLI_DONE && s->cli->settings->submit_spool_dir[0] == '\0')
        status = cli_fail("this server takes no mail from programs; see submit.spool_dir");
    if (status == CLI_DONE)
        status = check_texts(s);
    if (status == CLI_DONE)
        status = send_times_read(s->cli, &s->arena, &s->times);
    if (status == CLI_DONE)
        status = list_attachments(s);
    return status == CLI_DONE ? list_recipients(s) : status;
}

int cmd_send(struct cli *cli)
{
    struct sending *s = xcalloc(1, sizeof(*s));

    *s = (struct sending){.cli = cli, .drop = {.dir_fd = -1, .fd = -1}};
    s->to = sendmail_recipients_new();
    arena_init(&s->arena, TIMES_ARENA_BYTES);
    int status = prepare(s);
    if (status == CLI_DONE)
        status = send_mail(s);
    sendmail_recipients_free(s->to);
    arena_done(&s->arena);
    free(s);
    return status;
}
