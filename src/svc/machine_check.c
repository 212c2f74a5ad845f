/* What the settings name and this machine should have: see machine_check.h. */
#include "svc/machine_check.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/value.h"
#include "svc/resolver/unbound_config.h"

int machine_check(const struct settings *settings, struct buf *out_errors)
{
    struct buf anchors;

    buf_init(&anchors, ANCHORS_MAX_BYTES);
    int r = unbound_config_read_anchors(settings->resolver_trust_anchor_file, &anchors);
    /* Without anchors it works, as warnings tell. */
    if (r < 0)
        buf_reset(&anchors);
    r = unbound_config_check(settings, buf_str(&anchors), out_errors);
    buf_done(&anchors);
    return r;
}

static void warn_of_anchors(const struct settings *settings, struct buf *out)
{
    const char *path = settings->resolver_trust_anchor_file;
    struct buf anchors;

    buf_init(&anchors, ANCHORS_MAX_BYTES);
    int r = unbound_config_read_anchors(path, &anchors);
    if (path[0] != '\0' && (r < 0 || anchors.len == 0))
        buf_printf(out,
                   "resolver.trust_anchor_file\t%s: %s, so that answers of the DNS are not "
                   "validated; install dns-root-data, or name the file that there is\n",
                   path, r < 0 ? strerror(-r) : "it is empty");
    buf_done(&anchors);
}

static void warn_of_user(const char *setting, const char *login, struct buf *out)
{
    if (getpwnam(login) == NULL)
        buf_printf(out, "%s\tthis machine has no user \"%s\"\n", setting, login);
}

void machine_put_warnings(const struct settings *settings, struct buf *out)
{
    struct value_sender sender;

    warn_of_anchors(settings, out);
    if (geteuid() == 0)
        warn_of_user("server.user", settings->server_user, out);
    for (size_t i = 0; i < settings->submit_trusted_users.count; i++)
        warn_of_user("submit.trusted_users", settings->submit_trusted_users.items[i], out);
    for (size_t i = 0; i < settings->submit_senders.count; i++) {
        if (value_parse_sender(str_from_c(settings->submit_senders.items[i]), &sender) < 0)
            continue;
        CLEANUP(cleanup_free) char *login = str_dup(sender.login);
        warn_of_user("submit.senders", login, out);
    }
}
