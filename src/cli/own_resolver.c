/* A resolver process of our own: see own_resolver.h. */
#include "cli/own_resolver.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/fdpass.h"
#include "svc/control.h"

static const struct child_kind *find_kind(void)
{
    size_t count;
    const struct child_kind *kinds = child_kinds(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(kinds[i].service, "resolver") == 0)
            return &kinds[i];
    }
    return NULL;
}

/* What the master says to a fresh resolver. */
static int greet(struct own_resolver *r, const struct settings *settings, int fd)
{
    char slot = (char)r->child.kind->first_slot, role = 0;
    struct buf encoded;

    buf_init(&encoded, FDPASS_MAX_BYTES - 16);
    settings_encode(settings, &encoded);
    int status = buf_status(&encoded);
    if (status == 0)
        status = fdpass_send(r->child.control.fd, CONTROL_SETTINGS, buf_str(&encoded), -1);
    if (status == 0)
        status = fdpass_send(r->child.control.fd, CONTROL_IDENTITY, str_from_mem(&slot, 1), -1);
    if (status == 0)
        status = fdpass_send(r->child.control.fd, CONTROL_ADD_CHANNEL, str_from_mem(&role, 1), fd);
    buf_done(&encoded);
    return status;
}

int own_resolver_start(struct own_resolver *r, const struct settings *settings)
{
    int fds[2];

    *r = (struct own_resolver){.child = {.kind = find_kind(), .control = {.fd = -1}}};
    rpc_client_init(&r->client);
    ASSERT(r->child.kind != NULL);
    int status = fdpass_pair(SOCK_STREAM, fds);
    if (status < 0)
        return status;
    status = child_start(&r->child);
    if (status == 0)
        status = greet(r, settings, fds[0]);
    close(fds[0]);
    if (status == 0)
        return rpc_client_attach(&r->client, fds[1]);
    close(fds[1]);
    return status;
}

void own_resolver_stop(struct own_resolver *r)
{
    rpc_client_done(&r->client);
    if (r->child.pid <= 0)
        return;
    child_send(&r->child, CONTROL_DRAIN, STR(""), -1);
    while (waitpid(r->child.pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(r->child.control.fd);
    r->child.pid = 0;
}
