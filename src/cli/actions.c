/* Commands whose first word says what to do: see actions.h. */
#include "cli/actions.h"

int actions_run(struct cli *cli, const struct cli_action *actions, size_t count, size_t at)
{
    struct str name = cli_word(cli, at);
    size_t words = cli->args.word_count;

    for (size_t i = 0; i < count; i++) {
        const struct cli_action *action = &actions[i];
        bool is_meant = str_eq_c(name, action->name) || (i == 0 && words <= at);
        size_t others = words - (words > at);
        if (!is_meant)
            continue;
        if (others < action->min_words || others > action->max_words)
            return cli_usage(cli, "\"%s\" needs other words than these", action->name);
        return action->run(cli);
    }
    return cli_usage(cli, "there is no \"%.*s\" here", STR_ARG(name));
}
