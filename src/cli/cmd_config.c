/* config check, show, sample, man, help: what src/conf can say of its table and of a file. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/show_keys.h"
#include "conf/settings.h"
#include "rt/tls.h"
#include "svc/key_report.h"
#include "svc/machine_check.h"
#include "svc/master/keyring.h"

enum { CONFIG_TEXT_MAX_BYTES = 8 * 1024 * 1024, TITLE_COLUMNS = 27 };

static int print_document(void (*print)(struct buf *out))
{
    struct buf text;

    buf_init(&text, SETTINGS_DOC_MAX_BYTES);
    print(&text);
    (void)fputs(buf_c_str(&text), stdout);
    buf_done(&text);
    return CLI_DONE;
}

static int complain(struct str lines)
{
    struct str line;

    while (str_cut(lines, '\n', &line, &lines))
        (void)fprintf(stderr, "hikyaku: %.*s\n", STR_ARG(line));
    return cli_fail("the settings are right, but what they name cannot be used");
}

/* Keys, certificates and passwords that the settings name, as the server will find them. */
static int check_keys(const struct cli *cli)
{
    struct keyring *keyring = NULL;
    struct buf text;
    int status;

    tls_init();
    buf_init(&text, KEY_REPORTS_MAX_BYTES);
    if (keyring_new(cli->settings, NULL, &keyring, &text) < 0) {
        status = complain(buf_str(&text));
    } else {
        keyring_put_reports(keyring, cli->settings, &text);
        status = show_keys_print(buf_str(&text), TITLE_COLUMNS);
    }
    keyring_free(keyring);
    buf_done(&text);
    return status;
}

static int check_machine(const struct cli *cli)
{
    struct str line, title, rest;
    int status = CLI_DONE;
    struct buf text;

    buf_init(&text, MACHINE_CHECK_MAX_BYTES);
    if (machine_check(cli->settings, &text) < 0) {
        status = complain(buf_str(&text));
    } else {
        machine_put_warnings(cli->settings, &text);
        for (rest = buf_str(&text); str_cut(rest, '\n', &line, &rest);) {
            (void)str_cut(line, '\t', &title, &line);
            (void)printf("%-*.*s warning: %.*s\n", TITLE_COLUMNS, STR_ARG(title), STR_ARG(line));
        }
    }
    buf_done(&text);
    return status;
}

int cmd_config_check(struct cli *cli)
{
    int status = cli_load_settings(cli);

    if (status == CLI_DONE)
        status = check_keys(cli);
    if (status == CLI_DONE)
        status = check_machine(cli);
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
