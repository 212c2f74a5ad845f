/* Passwords as they are typed or piped: see typed_password.h. */
#include "cli/typed_password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/text.h"

enum { CONTROL_C = 3 };

void password_done(struct buf *password)
{
    if (password->ptr != NULL)
        explicit_bzero(password->ptr, password->cap);
    buf_done(password);
}

/* One byte at a time: what follows the line is not ours to take. 0, or -errno, -ENODATA. */
static int read_line(int fd, struct buf *out)
{
    /* All room at once: growing would leave copies behind. */
    (void)buf_reserve(out, PASSWORD_TYPED_MAX_BYTES);
    for (;;) {
        char c = '\0';
        ssize_t n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 && out->len == 0)
            return -ENODATA;
        if (c == CONTROL_C)
            return -ECANCELED;
        if (n == 0 || c == '\n')
            return buf_status(out);
        buf_put_char(out, c);
    }
}

static int read_hidden(int fd, const char *prompt, struct buf *out)
{
    struct termios old, hidden;

    if (tcgetattr(fd, &old) < 0)
        return -errno;
    hidden = old;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    hidden.c_lflag |= ICANON;
    /* Ctrl-C must not end the program before the echo is back: here it ends the line. */
    hidden.c_cc[VEOL] = CONTROL_C;
    (void)dprintf(fd, "%s", prompt);
    if (tcsetattr(fd, TCSAFLUSH, &hidden) < 0)
        return -errno;
    int r = read_line(fd, out);
    (void)tcsetattr(fd, TCSAFLUSH, &old);
    (void)dprintf(fd, "\n");
    return r;
}

static int fail_read(int r)
{
    if (r == -ECANCELED)
        return cli_fail("cancelled; nothing was changed");
    if (r == -EMSGSIZE)
        return cli_fail("the password is too long; %d bytes are the most",
                        PASSWORD_TYPED_MAX_BYTES);
    if (r == -ENODATA)
        return cli_fail("no password came; nothing was changed");
    return cli_fail("the password cannot be read: %s", strerror(-r));
}

/* Asks on the terminal, and once more into `again` unless that is NULL. */
static int ask(const char *address, struct buf *out, struct buf *again)
{
    CLEANUP(cleanup_free)
    char *prompt =
        xasprintf(text_is_japanese() ? "%s のパスワード: " : "Password for %s: ", address);
    CLEANUP(cleanup_close) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return cli_fail("there is no terminal to ask for the password; pipe it in with "
                        "--password-stdin");
    int r = read_hidden(fd, prompt, out);
    if (r == 0 && again != NULL)
        r = read_hidden(fd, text_in("Once more: ", "もう一度: "), again);
    return r < 0 ? fail_read(r) : CLI_DONE;
}

int password_ask(const char *address, struct buf *out)
{
    struct buf again;

    buf_init(&again, PASSWORD_TYPED_MAX_BYTES);
    int status = ask(address, out, &again);
    bool is_same = str_eq(buf_str(out), buf_str(&again));
    password_done(&again);
    if (status != CLI_DONE || is_same)
        return status;
    return cli_fail("the two passwords differ; nothing was changed");
}

int password_ask_once(const char *address, struct buf *out)
{
    return ask(address, out, NULL);
}

int password_read_stdin(struct buf *out)
{
    int r = read_line(STDIN_FILENO, out);

    if (r < 0)
        return fail_read(r);
    if (out->len > 0 && out->ptr[out->len - 1] == '\r')
        out->len--;
    return CLI_DONE;
}
