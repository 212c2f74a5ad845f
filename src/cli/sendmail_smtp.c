/*
 * sendmail -bs: SMTP on standard input and output, spoken by the server's own session; what it
 * accepts goes into the spool folder as everything else does.
 *
 * The session wants a socket that does not block; standard input may be a pipe, a file or a
 * terminal. So a second process carries bytes between them and a socketpair. It holds the input
 * back until the greeting is out: who speaks before it is sent away (RFC 5321 section 4.3.1), and a
 * pipe has always spoken already.
 */
#include <errno.h>
#include <fcntl.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "cli/files.h"
#include "cli/sendmail.h"
#include "cli/sendmail_drop.h"
#include "rt/fdpass.h"
#include "rt/fiber.h"
#include "rt/loop.h"
#include "smtp/session.h"

enum { PIECE_BYTES = 16 * 1024, LINGER_MS = 1000, SPOOL = 1 };

static struct {
    const struct settings *settings;
    const struct sendmail_args *args;
    struct id_maker ids;
    FILE *spool; /* a text that is too long for memory */
    int fd;
} self;

/* --- carrying bytes --- */

/* Who ends lines in LF alone, at a terminal or from a script, does so from the first line on. */
struct carrier {
    int fd;
    bool has_greeted, has_input_end;
    bool knows_lines, adds_cr;
};

static int put_input(struct carrier *c, struct str piece)
{
    CLEANUP(buf_done) struct buf out;
    ptrdiff_t lf = str_find(piece, '\n');

    if (!c->knows_lines && lf >= 0) {
        c->knows_lines = true;
        c->adds_cr = lf == 0 || piece.ptr[lf - 1] != '\r';
    }
    if (!c->adds_cr)
        return file_write_all(c->fd, piece);
    buf_init(&out, 2 * PIECE_BYTES);
    for (size_t i = 0; i < piece.len; i++) {
        if (piece.ptr[i] == '\n')
            buf_put_char(&out, '\r');
        buf_put_char(&out, piece.ptr[i]);
    }
    return file_write_all(c->fd, buf_str(&out));
}

static int carry_input(struct carrier *c)
{
    char piece[PIECE_BYTES];

    ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
    if (n > 0)
        return put_input(c, str_from_mem(piece, (size_t)n));
    if (n < 0 && errno == EINTR)
        return 0;
    c->has_input_end = true;
    (void)shutdown(c->fd, SHUT_WR);
    return 0;
}

/* 1; 0 at the end. */
static int carry_output(struct carrier *c)
{
    char piece[PIECE_BYTES];

    ssize_t n = read(c->fd, piece, sizeof(piece));
    if (n <= 0)
        return n < 0 && errno == EINTR;
    c->has_greeted = true;
    return file_write_all(STDOUT_FILENO, str_from_mem(piece, (size_t)n)) == 0;
}

static _Noreturn void carry(int fd)
{
    struct carrier c = {.fd = fd};

    for (;;) {
        bool takes_input = c.has_greeted && !c.has_input_end;
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = takes_input ? STDIN_FILENO : -1, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            _exit(1);
        if (fds[0].revents != 0 && carry_output(&c) == 0)
            _exit(0);
        if (takes_input && fds[1].revents != 0 && carry_input(&c) < 0)
            c.has_input_end = true;
    }
}

/* --- what the session asks for --- */

static uint64_t make_id(void *arg)
{
    (void)arg;
    return id_make(&self.ids);
}

/* Only the server knows who is here; it will say so in a mail. */
static int find_recipient(void *arg, const struct address *address, const struct ip_addr *peer,
                          enum smtp_destination *out)
{
    (void)arg;
    (void)peer;
    (void)address;
    *out = SMTP_DESTINATION_REMOTE;
    return 0;
}

static void spool_drop(void *arg, uint64_t spool)
{
    (void)arg;
    (void)spool;
    if (self.spool != NULL)
        (void)fclose(self.spool);
    self.spool = NULL;
}

static int spool_open(void *arg, uint64_t *out_spool)
{
    spool_drop(arg, SPOOL);
    self.spool = tmpfile();
    *out_spool = SPOOL;
    return self.spool == NULL ? -errno : 0;
}

static int spool_write(void *arg, uint64_t spool, struct str piece)
{
    (void)arg;
    (void)spool;
    return fwrite(piece.ptr, 1, piece.len, self.spool) == piece.len ? 0 : -ENOSPC;
}

static int copy_spool(struct sendmail_drop *d, uint32_t skip_bytes)
{
    char piece[PIECE_BYTES];
    size_t n;
    int r = 0;

    if (fflush(self.spool) != 0 || fseek(self.spool, (long)skip_bytes, SEEK_SET) != 0)
        return -EIO;
    while (r == 0 && (n = fread(piece, 1, sizeof(piece), self.spool)) > 0)
        r = sendmail_drop_write(d, str_from_mem(piece, n));
    return r == 0 && ferror(self.spool) ? -EIO : r;
}

static struct str print(struct arena *arena, const struct address *a)
{
    CLEANUP(buf_done) struct buf out;

    buf_init(&out, ADDRESS_TEXT_MAX_BYTES);
    address_print(a, &out);
    return arena_str(arena, buf_str(&out));
}

static void put_envelope(struct buf *out, struct arena *arena, const struct smtp_message *m)
{
    struct submit_recipient *list = arena_alloc(arena, m->recipient_count * sizeof(*list));
    size_t i = 0;

    for (const struct smtp_recipient *r = m->recipients; r != NULL; r = r->next, i++) {
        list[i].address = print(arena, &r->address);
        list[i].notify = r->params.notify;
        if (r->params.orcpt_type.ptr != NULL)
            list[i].orcpt = str_from_c(arena_printf(
                arena, "%.*s;%.*s", STR_ARG(r->params.orcpt_type), STR_ARG(r->params.orcpt_addr)));
    }
    struct submit_envelope e = {.has_sender = true,
                                .sender = print(arena, m->sender),
                                .full_name = self.args->full_name,
                                .envid = m->params->envid_raw,
                                .recipients = list,
                                .recipient_count = m->recipient_count};
    if (m->params->ret != SMTP_RET_NONE)
        e.ret = m->params->ret == SMTP_RET_FULL ? STR("full") : STR("hdrs");
    submit_file_put(out, &e);
}

static int write_message(struct sendmail_drop *d, const struct smtp_message *m)
{
    CLEANUP(arena_done) struct arena arena;
    CLEANUP(buf_done) struct buf envelope;

    arena_init(&arena, 4 * SUBMIT_ENVELOPE_MAX_BYTES);
    buf_init(&envelope, SUBMIT_ENVELOPE_MAX_BYTES);
    put_envelope(&envelope, &arena, m);
    int r = buf_status(&envelope);
    if (r == 0)
        r = sendmail_drop_write(d, buf_str(&envelope));
    if (r == 0 && m->spool != 0)
        r = copy_spool(d, m->prefix_bytes);
    else if (r == 0)
        r = sendmail_drop_write(d, str_sub(m->text, m->prefix_bytes, m->text.len));
    return r == 0 ? sendmail_drop_commit(d) : r;
}

static int deliver(void *arg, const struct smtp_message *m)
{
    struct sendmail_drop drop;

    int r = sendmail_drop_open(self.settings->submit_spool_dir, &drop);
    if (r == 0)
        r = write_message(&drop, m);
    sendmail_drop_abort(&drop);
    spool_drop(arg, m->spool);
    if (r < 0)
        (void)sendmail_fail(EX_OK, "the mail cannot be left in %s: %s%s",
                            self.settings->submit_spool_dir, strerror(-r), sendmail_drop_hint(r));
    return r;
}

static void refused(void *arg, const struct smtp_refusal *refusal)
{
    (void)arg;
    (void)refusal;
}

static const struct smtp_backend backend = {.has_no_names = true, /* pickup gives them */
                                            .make_id = make_id,
                                            .find_recipient = find_recipient,
                                            .spool_open = spool_open,
                                            .spool_write = spool_write,
                                            .spool_drop = spool_drop,
                                            .deliver = deliver,
                                            .refused = refused};

/* --- the session --- */

/* A copy of the settings under which this one client may send everywhere. NULL: no memory. */
static struct smtp_policy *make_policy(const struct ip_addr *peer)
{
    CLEANUP(buf_done) struct buf bytes;
    struct settings *copy = NULL;

    buf_init(&bytes, 1024 * 1024);
    settings_encode(self.settings, &bytes);
    if (settings_decode(buf_str(&bytes), &copy) < 0)
        copy = settings_defaults();
    copy->smtp_bare_newline = SETTINGS_BARE_NEWLINE_NORMALISE;
    if (copy->server_hostname[0] == '\0') {
        free(copy->server_hostname);
        copy->server_hostname = xstrdup("localhost");
    }
    struct smtp_policy *policy = smtp_policy_new(copy);
    free(policy->relay_nets);
    policy->relay_nets = xcalloc(1, sizeof(*policy->relay_nets));
    policy->relay_nets[0] = (struct ip_net){.base = *peer, .prefix_bits = 32};
    policy->relay_net_count = 1;
    return policy;
}

static void run_session(void *arg)
{
    static const bool is_draining = false;
    struct ip_addr here;
    struct stream stream;

    (void)arg;
    if (ip_parse(STR("127.0.0.1"), &here) == 0 && stream_init(&stream, self.fd) == 0) {
        struct smtp_policy *policy = make_policy(&here);
        struct smtp_session_config config = {.backend = &backend,
                                             .policy = policy,
                                             .stream = &stream,
                                             .peer = here,
                                             .local = here,
                                             .is_draining = &is_draining};
        smtp_session_run(&config);
        smtp_policy_unref(policy);
        stream_close_gently(&stream, LINGER_MS);
        stream_done(&stream);
    }
    loop_stop();
}

static int serve(void)
{
    struct fiber_group group;

    int r = loop_init();
    if (r < 0)
        return r;
    fiber_group_init(&group);
    r = fiber_spawn(&group, "smtp", run_session, NULL);
    if (r == 0)
        loop_run();
    loop_done();
    fiber_pool_done();
    return r;
}

/* The carrier must block, the session must not. */
static int make_pair(int fds[2])
{
    int r = fdpass_pair(SOCK_STREAM, fds);

    if (r < 0)
        return r;
    int flags = fcntl(fds[1], F_GETFL);
    return flags < 0 || fcntl(fds[1], F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int sendmail_serve(const struct settings *settings, const struct sendmail_args *args)
{
    int fds[2], status = 0;

    self.settings = settings;
    self.args = args;
    id_maker_init(&self.ids, (unsigned)settings->server_node, ID_MAX_SLOT);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "sendmail");
    (void)signal(SIGPIPE, SIG_IGN);
    int r = make_pair(fds);
    if (r < 0)
        return sendmail_fail(EX_OSERR, "no socketpair can be made: %s", strerror(-r));
    pid_t pid = fork();
    if (pid < 0)
        return sendmail_fail(EX_OSERR, "no process can be started: %s", strerror(errno));
    if (pid == 0) {
        close(fds[0]);
        carry(fds[1]);
    }
    close(fds[1]);
    self.fd = fds[0];
    r = serve();
    (void)waitpid(pid, &status, 0);
    return r < 0 ? sendmail_fail(EX_OSERR, "the session cannot be run: %s", strerror(-r)) : EX_OK;
}
