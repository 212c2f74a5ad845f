/* The options of sendmail: see sendmail_args.h. */
#include "cli/sendmail_args.h"

#include <errno.h>
#include <string.h>

#include "mail/submit_file.h"

struct parse {
    struct sendmail_args *out;
    struct buf *error;
};

typedef int option_fn(struct parse *p, struct str value);

enum option_kind {
    OPTION_FLAG,     /* -t; others may follow in the same word */
    OPTION_VALUE,    /* -fADDRESS or -f ADDRESS */
    OPTION_ATTACHED, /* -oi: the rest of the word, which may be empty */
};

struct option {
    char letter;
    enum option_kind kind;
    option_fn *take; /* NULL: taken, and means nothing here */
};

static int fail(struct parse *p, const char *fmt, ...) ATTR_PRINTF(2, 3);

static int fail(struct parse *p, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vprintf(p->error, fmt, args);
    va_end(args);
    return -EINVAL;
}

static int take_header(struct parse *p, struct str value)
{
    (void)value;
    p->out->takes_recipients = true;
    return 0;
}

static int take_ignore_dots(struct parse *p, struct str value)
{
    (void)value;
    p->out->ignores_dots = true;
    return 0;
}

static int take_verbose(struct parse *p, struct str value)
{
    (void)value;
    p->out->is_verbose = true;
    return 0;
}

static int take_nothing(struct parse *p, struct str value)
{
    (void)value;
    p->out->mode = SENDMAIL_NOTHING;
    return 0;
}

static int take_sender(struct parse *p, struct str value)
{
    value = str_trim(value);
    if (value.len >= 2 && value.ptr[0] == '<' && value.ptr[value.len - 1] == '>')
        value = str_sub(value, 1, value.len - 2);
    p->out->has_sender = true;
    p->out->sender = value;
    return submit_file_may_hold(value) ? 0 : fail(p, "-f: this is no address");
}

static int take_name(struct parse *p, struct str value)
{
    p->out->full_name = value;
    if (value.len > SUBMIT_NAME_MAX_BYTES || !submit_file_may_hold(value))
        return fail(p, "-F: the name is too long, or is not UTF-8");
    return 0;
}

/* What is xtext (RFC 3461 section 4) was meant as such; all else is a text that becomes it. */
static int take_envid(struct parse *p, struct str value)
{
    char *end = p->out->envid_text;

    p->out->envid = value;
    if (value.len == 0 || value.len > SMTP_ENVID_MAX_BYTES)
        return fail(p, "-V: an envelope id has 1 to 100 characters");
    if (smtp_xtext_decode(value, NULL, NULL))
        return 0;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c < ' ' || c > '~')
            return fail(p, "-V: an envelope id is of printable ASCII characters");
        if (c == ' ' || c == '+' || c == '=')
            end += sprintf(end, "+%02X", (unsigned)c);
        else
            *end++ = c;
    }
    p->out->envid = str_from_mem(p->out->envid_text, (size_t)(end - p->out->envid_text));
    if (p->out->envid.len > SMTP_ENVID_MAX_BYTES)
        return fail(p, "-V: the envelope id has more than 100 characters as xtext");
    return 0;
}

static int take_ret(struct parse *p, struct str value)
{
    bool is_known = str_eq_nocase(value, STR("full")) || str_eq_nocase(value, STR("hdrs"));

    p->out->ret = value;
    return is_known ? 0 : fail(p, "-R: say full or hdrs");
}

static int take_notify(struct parse *p, struct str value)
{
    static const char *const names[] = {"never", "success", "failure", "delay"};
    struct str word;
    unsigned bits = 0;

    while (value.len > 0) {
        unsigned bit = 0;
        (void)str_cut(value, ',', &word, &value);
        for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
            if (str_eq_nocase(word, str_from_c(names[i])))
                bit = 1U << i;
        }
        if (bit == 0)
            return fail(p, "-N: say never, or some of success,failure,delay");
        bits |= bit;
    }
    if (bits == 0 || ((bits & 1U) != 0 && bits != 1U))
        return fail(p, "-N: say never, or some of success,failure,delay");
    p->out->notify = bits;
    return 0;
}

static int take_body(struct parse *p, struct str value)
{
    bool is_known = str_eq_nocase(value, STR("8BITMIME")) || str_eq_nocase(value, STR("7BIT"));

    return is_known ? 0 : fail(p, "-B: say 8BITMIME or 7BIT");
}

static int take_config(struct parse *p, struct str value)
{
    p->out->config_path = value.ptr;
    return 0;
}

static int take_mode(struct parse *p, struct str value)
{
    static const struct {
        char letter;
        enum sendmail_mode mode;
    } modes[] = {{'m', SENDMAIL_DELIVER},
                 {'s', SENDMAIL_SMTP},
                 {'p', SENDMAIL_QUEUE},
                 {'i', SENDMAIL_NOTHING}};

    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (value.len > 0 && value.ptr[0] == modes[i].letter) {
            p->out->mode = modes[i].mode;
            return 0;
        }
    }
    return fail(p, "-b%.*s: there is no such mode; of -b there are m, s, p and i", STR_ARG(value));
}

/* Of these, only -oi says something about one message; the others are about a queue that is the
 * server's business. */
static int take_old_option(struct parse *p, struct str value)
{
    if (str_eq_c(value, "i") || str_eq_c(value, "itrue"))
        p->out->ignores_dots = true;
    return 0;
}

static int take_long_option(struct parse *p, struct str value)
{
    if (str_eq_nocase(value, STR("IgnoreDots")) || str_eq_nocase(value, STR("IgnoreDots=true")))
        p->out->ignores_dots = true;
    return 0;
}

static const struct option options[] = {
    {'t', OPTION_FLAG, take_header},
    {'i', OPTION_FLAG, take_ignore_dots},
    {'v', OPTION_FLAG, take_verbose},
    {'f', OPTION_VALUE, take_sender},
    {'r', OPTION_VALUE, take_sender},
    {'F', OPTION_VALUE, take_name},
    {'V', OPTION_VALUE, take_envid},
    {'R', OPTION_VALUE, take_ret},
    {'N', OPTION_VALUE, take_notify},
    {'B', OPTION_VALUE, take_body},
    {'C', OPTION_VALUE, take_config},
    {'b', OPTION_ATTACHED, take_mode},
    {'o', OPTION_ATTACHED, take_old_option},
    {'O', OPTION_VALUE, take_long_option},
    {'q', OPTION_ATTACHED, take_nothing},
    {'I', OPTION_FLAG, take_nothing},
    {'e', OPTION_ATTACHED, NULL},
    {'d', OPTION_ATTACHED, NULL},
    {'A', OPTION_ATTACHED, NULL},
    {'m', OPTION_FLAG, NULL},
    {'n', OPTION_FLAG, NULL},
    {'G', OPTION_FLAG, NULL},
    {'U', OPTION_FLAG, NULL},
    {'h', OPTION_VALUE, NULL},
    {'L', OPTION_VALUE, NULL},
    {'p', OPTION_VALUE, NULL},
    {'X', OPTION_VALUE, NULL},
};

static const struct option *find_option(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (options[i].letter == letter)
            return &options[i];
    }
    return NULL;
}

static int take(struct parse *p, const struct option *option, struct str value)
{
    return option->take != NULL ? option->take(p, value) : 0;
}

/* One word of options; *at is its place, moved when the next word is its value. */
static int take_word(struct parse *p, int argc, const char *const *argv, int *at)
{
    struct str rest = str_from_c(argv[*at] + 1);
    int r = 0;

    while (r == 0 && rest.len > 0) {
        const struct option *option = find_option(rest.ptr[0]);
        if (option == NULL)
            return fail(p, "there is no option -%c here; see sendmail(8)", rest.ptr[0]);
        rest = str_sub(rest, 1, rest.len);
        if (option->kind == OPTION_FLAG) {
            r = take(p, option, STR(""));
            continue;
        }
        if (option->kind == OPTION_ATTACHED || rest.len > 0)
            return take(p, option, rest);
        if (*at + 1 >= argc)
            return fail(p, "-%c needs a value", option->letter);
        return take(p, option, str_from_c(argv[++*at]));
    }
    return r;
}

static const struct {
    const char *name;
    enum sendmail_mode mode;
} program_names[] = {
    {"sendmail", SENDMAIL_DELIVER}, {"mailq", SENDMAIL_QUEUE}, {"newaliases", SENDMAIL_NOTHING}};

bool sendmail_args_is_name(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(program_names); i++) {
        if (str_eq_c(name, program_names[i].name))
            return true;
    }
    return false;
}

int sendmail_args_parse(struct str name, int argc, const char *const *argv,
                        struct sendmail_args *out, struct buf *out_error)
{
    struct parse p = {.out = out, .error = out_error};
    int at = 1, r = 0;

    *out = (struct sendmail_args){.mode = SENDMAIL_DELIVER};
    for (size_t i = 0; i < ARRAY_LEN(program_names); i++) {
        if (str_eq_c(name, program_names[i].name))
            out->mode = program_names[i].mode;
    }
    for (; r == 0 && at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "--version") == 0)
            out->mode = SENDMAIL_VERSION;
        else
            r = take_word(&p, argc, argv, &at);
    }
    out->words = argv + MIN(at, argc);
    out->word_count = at < argc ? (size_t)(argc - at) : 0;
    return r;
}
