/* What was typed, taken apart: see args.h. */
#include "cli/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/suggest.h"

enum { SUGGEST_BOUND = 2, NAMES_MAX = 64 };

/* What every command takes; --json only where the table says so. */
static const struct cli_option common_options[] = {
    {"-c", "FILE", "the configuration file; default " CLI_CONFIG_PATH},
    {"--json", NULL, "print JSON"},
    {"--help", NULL, "show this help"},
};

static size_t count_options(const struct cli_command *command)
{
    size_t n = 0;

    while (command->options != NULL && command->options[n].name != NULL)
        n++;
    ASSERT(n <= CLI_OPTIONS_MAX);
    return n;
}

/* --- which command --- */

static struct str first_word(const struct cli_command *command)
{
    struct str head, rest;

    (void)str_cut(str_from_c(command->name), ' ', &head, &rest);
    return head;
}

static struct str second_word(const struct cli_command *command)
{
    struct str head, rest;

    (void)str_cut(str_from_c(command->name), ' ', &head, &rest);
    return rest;
}

static bool is_group(struct str word)
{
    size_t count;
    const struct cli_command *table = cli_commands(&count);

    for (size_t i = 0; i < count; i++) {
        if (str_eq(first_word(&table[i]), word) && second_word(&table[i]).len > 0)
            return true;
    }
    return false;
}

static const struct cli_command *find_command(struct str first, struct str second)
{
    size_t count;
    const struct cli_command *table = cli_commands(&count);

    for (size_t i = 0; i < count; i++) {
        struct str tail = second_word(&table[i]);
        if (str_eq(first_word(&table[i]), first) && (tail.len == 0 || str_eq(tail, second)))
            return &table[i];
    }
    return NULL;
}

/* The first words of the table (in_group empty), or the second words of a group; distinct. */
static size_t list_names(struct str in_group, char *out_names[NAMES_MAX])
{
    size_t count, n = 0;
    const struct cli_command *table = cli_commands(&count);

    for (size_t i = 0; i < count && n < NAMES_MAX; i++) {
        struct str name = in_group.len == 0 ? first_word(&table[i]) : second_word(&table[i]);
        bool is_new = n == 0 || !str_eq_c(name, out_names[n - 1]);
        bool is_member = in_group.len == 0 || str_eq(first_word(&table[i]), in_group);
        if (is_new && is_member && !(table[i].flags & CLI_HIDDEN))
            out_names[n++] = str_dup(name);
    }
    return n;
}

/* The nearest name behind `lead`; or, when none is near, where help is. */
static void put_suggestion(struct str word, const char *const *names, size_t count,
                           const char *lead, const char *topic, struct buf *out)
{
    const char *nearest = suggest_nearest(word, names, count, SUGGEST_BOUND);

    if (nearest != NULL)
        buf_printf(out, "; did you mean %s%s?", lead, nearest);
    else
        buf_printf(out, "; see: hikyaku %s--help", topic);
}

static int fail_command(struct str first, struct str second, struct buf *out_error)
{
    char *names[NAMES_MAX];
    bool has_group = is_group(first);
    size_t count = list_names(has_group ? first : STR(""), names);
    CLEANUP(cleanup_free) char *lead = has_group ? xasprintf("%.*s ", STR_ARG(first)) : xstrdup("");

    if (has_group && second.len == 0)
        buf_printf(out_error, "hikyaku %.*s: say what to do; see: hikyaku %.*s --help",
                   STR_ARG(first), STR_ARG(first));
    else if (has_group)
        buf_printf(out_error, "hikyaku: there is no command \"%.*s %.*s\"", STR_ARG(first),
                   STR_ARG(second));
    else
        buf_printf(out_error, "hikyaku: there is no command \"%.*s\"", STR_ARG(first));
    if (!has_group || second.len > 0)
        put_suggestion(has_group ? second : first, (const char *const *)names, count, lead, lead,
                       out_error);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    return -EINVAL;
}

/* --- options --- */

struct parse {
    int argc;
    const char *const *argv;
    int at;
    bool only_words; /* after "--" */
    struct cli_args *out;
    struct buf *error;
};

static int fail(struct parse *p, const char *fmt, ...) ATTR_PRINTF(2, 3);

static int fail(struct parse *p, const char *fmt, ...)
{
    const char *name = p->out->command != NULL ? p->out->command->name : "";
    va_list args;

    buf_printf(p->error, "hikyaku%s%s: ", name[0] != '\0' ? " " : "", name);
    va_start(args, fmt);
    buf_vprintf(p->error, fmt, args);
    va_end(args);
    return -EINVAL;
}

static int fail_option(struct parse *p, struct str given)
{
    const struct cli_command *command = p->out->command;
    size_t own = command != NULL ? count_options(command) : 0, count = 0;
    const char *names[CLI_OPTIONS_MAX + ARRAY_LEN(common_options)];
    CLEANUP(cleanup_free) char *text = str_dup(given);

    for (size_t i = 0; i < own; i++)
        names[count++] = command->options[i].name;
    for (size_t i = 0; i < ARRAY_LEN(common_options); i++)
        names[count++] = common_options[i].name;
    (void)fail(p, "there is no option %s here", text);
    CLEANUP(cleanup_free)
    char *topic = command != NULL ? xasprintf("%s ", command->name) : xstrdup("");
    put_suggestion(given, names, count, "", topic, p->error);
    return -EINVAL;
}

/* The value of the option at hand: behind "=", or the next word. */
static int take_value(struct parse *p, struct str inline_value, bool has_inline,
                      const char **out_value)
{
    if (has_inline) {
        *out_value = inline_value.ptr != NULL ? inline_value.ptr : ""; /* up to its NUL */
        return 0;
    }
    if (p->at + 1 >= p->argc)
        return fail(p, "%s needs a value", p->argv[p->at]);
    *out_value = p->argv[++p->at];
    return 0;
}

/* 1 if it was one of the options that all commands take; 0 if not; -EINVAL. */
static int take_common(struct parse *p, struct str name, struct str value, bool has_value)
{
    if (str_eq(name, STR("-c")) || str_eq(name, STR("--config"))) {
        int r = take_value(p, value, has_value, &p->out->config_path);
        return r < 0 ? r : 1;
    }
    if (str_eq(name, STR("--help")) || str_eq(name, STR("-h"))) {
        p->out->wants_help = true;
        return 1;
    }
    if (str_eq(name, STR("--json"))) {
        p->out->is_json = true;
        return 1;
    }
    return 0;
}

static int take_own(struct parse *p, struct str name, struct str value, bool has_value)
{
    const struct cli_command *command = p->out->command;
    size_t count = command != NULL ? count_options(command) : 0;

    for (size_t i = 0; i < count; i++) {
        const struct cli_option *option = &command->options[i];
        if (!str_eq_c(name, option->name))
            continue;
        if (option->value != NULL)
            return take_value(p, value, has_value, &p->out->values[i]);
        if (has_value)
            return fail(p, "%s takes no value", option->name);
        p->out->values[i] = "";
        return 0;
    }
    return fail_option(p, name);
}

static int take_option(struct parse *p)
{
    struct str arg = str_from_c(p->argv[p->at]), name, value;
    bool has_value = false;

    name = arg;
    value = STR("");
    if (str_has_prefix(arg, STR("--")))
        has_value = str_cut(arg, '=', &name, &value);
    int r = take_common(p, name, value, has_value);
    return r != 0 ? MIN(r, 0) : take_own(p, name, value, has_value);
}

/* Takes one argument as a word. The first one or two words choose the command. */
static int take_word(struct parse *p)
{
    struct cli_args *out = p->out;
    struct str word = str_from_c(p->argv[p->at]);

    out->words[out->word_count++] = p->argv[p->at];
    if (out->command != NULL)
        return 0;
    struct str first = str_from_c(out->words[0]);
    struct str second = out->word_count > 1 ? word : STR("");
    if (out->word_count == 1 && is_group(first))
        return 0;
    out->command = find_command(first, second);
    if (out->command == NULL)
        return fail_command(first, second, p->error);
    out->word_count = 0;
    return 0;
}

static int check_words(struct parse *p)
{
    const struct cli_command *command = p->out->command;
    const char *blank = command->synopsis[0] != '\0' ? " " : "";
    size_t count = p->out->word_count;

    if (count < command->min_words)
        return fail(p, "something is missing; write: hikyaku %s%s%s", command->name, blank,
                    command->synopsis);
    if (count > command->max_words)
        return fail(p, "\"%s\" is too much here; write: hikyaku %s%s%s",
                    p->out->words[command->max_words], command->name, blank, command->synopsis);
    if (p->out->is_json && !(command->flags & CLI_JSON))
        return fail(p, "it has no JSON to print; leave --json away");
    return 0;
}

int args_parse(int argc, const char *const *argv, struct cli_args *out, struct buf *out_error)
{
    struct parse p = {.argc = argc, .argv = argv, .out = out, .error = out_error};

    memset(out, 0, sizeof(*out));
    out->argc = argc;
    out->argv = argv;
    out->words = xcalloc((size_t)argc + 1, sizeof(out->words[0]));
    int r = 0;
    for (p.at = 1; r == 0 && p.at < argc; p.at++) {
        const char *arg = argv[p.at];
        bool is_option = !p.only_words && arg[0] == '-' && arg[1] != '\0';
        if (is_option && strcmp(arg, "--") == 0)
            p.only_words = true;
        else
            r = is_option ? take_option(&p) : take_word(&p);
    }
    if (r < 0 || out->wants_help)
        return r;
    if (out->command == NULL && out->word_count > 0)
        return fail_command(str_from_c(out->words[0]), STR(""), out_error);
    if (out->command == NULL) {
        buf_put_c(out_error, "hikyaku: say what to do; see: hikyaku --help");
        return -EINVAL;
    }
    return check_words(&p);
}

void args_free(struct cli_args *args)
{
    free(args->words);
    args->words = NULL;
}
