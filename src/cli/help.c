/* Help and completion, made from the table of commands: see args.h. */
#include <string.h>

#include "cli/args.h"

enum { NAME_COLUMNS = 18, OPTION_COLUMNS = 22 };

static void put_line(const struct cli_command *command, struct buf *out)
{
    buf_printf(out, "  %-*s %s\n", NAME_COLUMNS, command->name, command->help);
}

void args_print_help(struct buf *out)
{
    size_t count;
    const struct cli_command *table = cli_commands(&count);

    buf_put_c(out, "Hikyaku, a mail server.\n\n"
                   "usage: hikyaku COMMAND [-c FILE] [--json] ...\n\n");
    for (size_t i = 0; i < count; i++) {
        if (!(table[i].flags & CLI_HIDDEN))
            put_line(&table[i], out);
    }
    buf_put_c(out, "\n-c FILE names the configuration (default " CLI_CONFIG_PATH ").\n"
                   "hikyaku COMMAND --help tells more about one of them; so does hikyaku(1).\n");
}

static void put_option(const char *name, const char *value, const char *help, struct buf *out)
{
    size_t at = out->len;

    buf_printf(out, "  %s%s%s", name, value != NULL ? " " : "", value != NULL ? value : "");
    size_t used = out->len - at;
    buf_printf(out, "%*s %s\n", used < OPTION_COLUMNS ? (int)(OPTION_COLUMNS - used) : 0, "", help);
}

void args_print_command_help(const struct cli_command *command, struct buf *out)
{
    const struct cli_option *option = command->options;

    buf_printf(out, "usage: hikyaku %s%s%s\n\n%s\n", command->name,
               command->synopsis[0] != '\0' ? " " : "", command->synopsis, command->help);
    if (command->more != NULL)
        buf_printf(out, "\n%s\n", command->more);
    buf_put_c(out, "\n");
    for (; option != NULL && option->name != NULL; option++)
        put_option(option->name, option->value, option->help, out);
    put_option("-c", "FILE", "the configuration; default " CLI_CONFIG_PATH, out);
    if (command->flags & CLI_JSON)
        put_option("--json", NULL, "print JSON", out);
    put_option("--help", NULL, "show this help", out);
}

bool args_print_group_help(struct str word, struct buf *out)
{
    size_t count, before = out->len;
    const struct cli_command *table = cli_commands(&count);

    for (size_t i = 0; i < count; i++) {
        struct str name = str_from_c(table[i].name);
        bool is_member =
            str_has_prefix(name, word) && name.len > word.len && name.ptr[word.len] == ' ';
        if (!is_member)
            continue;
        buf_printf(out, "hikyaku %s %s\n    %s\n", table[i].name, table[i].synopsis, table[i].help);
    }
    return out->len > before;
}

static void put_if_prefix(struct str prefix, struct str name, struct buf *out)
{
    if (!str_has_prefix(name, prefix))
        return;
    buf_put_str(out, name);
    buf_put_char(out, '\n');
}

/* The next word of a command that begins with the words before. */
static void complete_command(struct str before, struct str last, struct buf *out)
{
    size_t count;
    const struct cli_command *table = cli_commands(&count);
    struct str previous = STR("");

    for (size_t i = 0; i < count; i++) {
        struct str name = str_from_c(table[i].name), word, rest;
        if ((table[i].flags & CLI_HIDDEN) || !str_has_prefix(name, before))
            continue;
        (void)str_cut(str_sub(name, before.len, name.len), ' ', &word, &rest);
        if (!str_eq(word, previous))
            put_if_prefix(last, word, out);
        previous = word;
    }
}

static void complete_option(const struct cli_command *command, struct str last, struct buf *out)
{
    const struct cli_option *option = command->options;

    for (; option != NULL && option->name != NULL; option++)
        put_if_prefix(last, str_from_c(option->name), out);
    put_if_prefix(last, STR("-c"), out);
    put_if_prefix(last, STR("--help"), out);
    if (command->flags & CLI_JSON)
        put_if_prefix(last, STR("--json"), out);
}

static bool is_whole_command(struct str words, const struct cli_command **out_command)
{
    size_t count;
    const struct cli_command *table = cli_commands(&count);

    for (size_t i = 0; i < count; i++) {
        struct str name = str_from_c(table[i].name);
        if (str_has_prefix(words, name) && words.len > name.len && words.ptr[name.len] == ' ') {
            *out_command = &table[i];
            return true;
        }
    }
    return false;
}

void args_print_completion(int count, const char *const *words, struct buf *out)
{
    const struct cli_command *command = NULL;
    struct buf before;

    if (count == 0)
        return;
    struct str last = str_from_c(words[count - 1]);
    buf_init(&before, 64 * 1024);
    for (int i = 0; i + 1 < count; i++)
        buf_printf(&before, "%s ", words[i]);
    if (!is_whole_command(buf_str(&before), &command))
        complete_command(buf_str(&before), last, out);
    else if (last.len > 0 && last.ptr[0] == '-')
        complete_option(command, last, out);
    buf_done(&before);
}
