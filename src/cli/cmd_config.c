/* config check, show, sample, man, help: what src/conf can say of its table and of a file. */
#include <stdio.h>

#include "cli/commands.h"
#include "conf/settings.h"

enum { CONFIG_TEXT_MAX_BYTES = 8 * 1024 * 1024 };

static int print_document(void (*print)(struct buf *out))
{
    struct buf text;

    buf_init(&text, SETTINGS_DOC_MAX_BYTES);
    print(&text);
    (void)fputs(buf_c_str(&text), stdout);
    buf_done(&text);
    return CLI_DONE;
}

int cmd_config_check(struct cli *cli)
{
    int status = cli_load_settings(cli);

    if (status == CLI_DONE)
        (void)printf("%s is right\n", cli->config_path);
    return status;
}

int cmd_config_show(struct cli *cli)
{
    struct buf text;

    int status = cli_load_settings(cli);
    if (status != CLI_DONE)
        return status;
    buf_init(&text, CONFIG_TEXT_MAX_BYTES);
    if (cli->args.is_json)
        settings_print_json(cli->settings, &text);
    else
        settings_print(cli->settings, &text);
    bool is_whole = buf_status(&text) == 0;
    if (is_whole)
        (void)fputs(buf_c_str(&text), stdout);
    buf_done(&text);
    return is_whole ? CLI_DONE : cli_fail("the configuration is too long to be shown");
}

int cmd_config_sample(struct cli *cli)
{
    (void)cli;
    return print_document(settings_print_sample);
}

int cmd_config_man(struct cli *cli)
{
    (void)cli;
    return print_document(settings_print_man);
}

int cmd_config_help(struct cli *cli)
{
    (void)cli;
    return print_document(settings_print_help);
}
