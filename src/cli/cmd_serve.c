/* serve: becomes the master of the server's processes. */
#include <locale.h>

#include "cli/commands.h"
#include "svc/master/master.h"

int cmd_serve(struct cli *cli)
{
    /* What servers write does not depend on who started them. */
    (void)setlocale(LC_ALL, "C");
    return master_main(cli->config_path);
}
