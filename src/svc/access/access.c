/*
 * The access process: serves users, who have to log in. Mail submission (RFC 6409, 8314) over
 * STARTTLS and over TLS from the first byte; owns nothing but the server's certificates. No files,
 * no way out but the store's verbs for the role access, and questions to the auth process.
 */
#include "svc/access/access.h"

#include <unistd.h>

#include "base/log.h"
#include "svc/acceptor.h"
#include "svc/access/login.h"
#include "svc/reception.h"

static struct {
    struct reception reception;
    struct child_link auth; /* where there is an auth process */
    struct acceptor acceptor;
} self;

static const char *const access_syscalls[] = {"accept4", "accept", NULL};

static const struct sandbox_profile *profile(const struct settings *settings)
{
    static const struct sandbox_profile p = {.name = "access", .syscalls = access_syscalls};

    (void)settings;
    return &p;
}

static void serve(struct stream *stream, const struct accepted *from)
{
    struct login login;
    const struct settings *settings = self.reception.policy->settings;

    struct login_peers peers =
        login_peers_of(&self.reception.store.client, &self.auth.client, settings);
    login_init(&login, &peers, &from->peer, AUTH_SEND);
    struct smtp_session_config config = {
        .is_submission = true,
        .is_secure = from->use == CONTROL_LISTENER_SUBMISSIONS,
        .auth = {.backend = &login_backend, .ctx = &login, .enabled = login_mechanisms(settings)},
        .is_draining = &self.acceptor.is_draining};
    reception_serve(&self.reception, stream, from, &config);
    login_done(&login);
}

static int take_settings(struct control_event *event)
{
    struct settings *settings;
    int r = settings_decode(cursor_rest(&event->payload), &settings);

    if (r == 0)
        reception_take_settings(&self.reception, settings);
    return r;
}

static void on_control(struct control_event *event)
{
    int r = 0;

    switch (event->type) {
    case CONTROL_SETTINGS:
        r = take_settings(event);
        break;
    case CONTROL_STORE_CHANNEL:
        r = child_link_take(&self.reception.store, event);
        break;
    case CONTROL_AUTH_CHANNEL:
        r = child_link_take(&self.auth, event);
        break;
    case CONTROL_TLS:
        r = tls_link_take(&self.reception.tls, self.reception.policy->settings, event);
        break;
    case CONTROL_LISTEN_RESET:
        acceptor_reset(&self.acceptor);
        break;
    case CONTROL_LISTEN:
        acceptor_take_listener(&self.acceptor, event);
        break;
    case CONTROL_DRAIN:
        acceptor_drain(&self.acceptor, self.reception.policy->settings->server_drain_timeout);
        break;
    default:
        if (event->fd >= 0)
            close(event->fd);
        break;
    }
    if (r < 0)
        LOG(LOG_ERROR, "access.control-failed", LOG_INT("message", event->type), LOG_ERR(r));
}

static void on_orphaned(void)
{
    acceptor_drain(&self.acceptor, 0);
}

static int start(struct settings *settings, unsigned slot)
{
    reception_init(&self.reception, access_service.name, settings, slot);
    child_link_init(&self.auth, CONTROL_PEER_AUTH);
    acceptor_init(&self.acceptor, serve);
    return 0;
}

static void finish(void)
{
    child_link_done(&self.auth);
    reception_done(&self.reception);
}

const struct service access_service = {
    .name = "access",
    .profile = profile,
    .start = start,
    .on_control = on_control,
    .on_orphaned = on_orphaned,
    .finish = finish,
};
