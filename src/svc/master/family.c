/* The children together: see family.h. */
#include "svc/master/family.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/log.h"
#include "config.h"
#include "rt/fdpass.h"
#include "svc/master/channels.h"
#include "svc/master/keys.h"
#include "svc/master/notify.h"
#include "svc/master/reload.h"
#include "svc/master/state.h"
#include "svc/master/stop.h"

/* --- what children are told --- */

static void send_listener(struct child_process *child, enum control_listener use, int fd)
{
    char what = (char)use;

    child_send(child, CONTROL_LISTEN, str_from_mem(&what, 1), fd);
}

static void send_listeners(struct child_process *child)
{
    if (child->kind->listeners == 0)
        return;
    child_send(child, CONTROL_LISTEN_RESET, STR(""), -1);
    for (size_t i = 0; i < master.listeners.count; i++) {
        const struct listen_socket *socket = &master.listeners.sockets[i];
        if ((child->kind->listeners & LISTENER_BIT(socket->use)) != 0)
            send_listener(child, socket->use, socket->fd);
    }
}

void family_send_settings(struct child_process *child)
{
    child_send(child, CONTROL_SETTINGS, buf_str(&master.encoded_settings), -1);
    keys_send(child);
    send_listeners(child);
}

static void greet_child(struct child_process *child)
{
    char slot = (char)child->slot;

    child_send(child, CONTROL_SETTINGS, buf_str(&master.encoded_settings), -1);
    child_send(child, CONTROL_IDENTITY, str_from_mem(&slot, 1), -1);
    if (child == master.peers[CONTROL_PEER_STORE])
        send_listener(child, CONTROL_LISTENER_ADMIN, master.control_fd);
    /* Before there is anybody to serve or to call. */
    keys_send(child);
    channels_connect(child);
    send_listeners(child);
}

/* --- what children say --- */

static void announce_ready(void)
{
    if (master.was_ready)
        return;
    for (size_t i = 0; i < master.child_count; i++) {
        if (!master.children[i].is_ready)
            return;
    }
    master.was_ready = true;
    for (size_t i = 0; i < master.listeners.count; i++)
        LOG(LOG_INFO, "master.listening",
            LOG_C("protocol", listen_name(master.listeners.sockets[i].use)),
            LOG_C("address", master.listeners.sockets[i].address));
    LOG(LOG_INFO, "master.ready", LOG_C("hostname", master.settings->server_hostname),
        LOG_C("version", HIKYAKU_VERSION));
    notify_manager("READY=1");
}

static void on_child_message(struct child_process *child, uint16_t type, struct str payload)
{
    struct cursor c = cursor_from(payload);

    switch (type) {
    case CONTROL_READY:
        child->is_ready = child->was_ever_ready = true;
        announce_ready();
        break;
    case CONTROL_RELOAD:
        if (child == master.peers[CONTROL_PEER_STORE])
            reload_run(cursor_u64(&c));
        break;
    case CONTROL_CHANNEL_LOST: {
        uint32_t number = cursor_u32(&c);
        channels_note_loss(child, cursor_left(&c) > 0 ? cursor_u8(&c) : CONTROL_PEER_STORE, number);
        break;
    }
    default:
        LOG(LOG_WARNING, "master.unknown-message", LOG_C("child", child->kind->service),
            LOG_INT("message", type));
        break;
    }
}

static void on_child_ready(struct loop_watch *w, unsigned ready)
{
    struct child_process *child = CONTAINER_OF(w, struct child_process, control);
    struct str payload;
    uint16_t type;
    int fd;

    (void)ready;
    /* The end of the socket is no news: SIGCHLD says it better. */
    while (child->pid != 0 && fdpass_recv(w->fd, master.buffer, &type, &payload, &fd) == 0) {
        if (fd >= 0)
            close(fd); /* children have nothing to give */
        on_child_message(child, type, payload);
    }
}

/* --- lives --- */

static void start_child(struct child_process *child)
{
    int r = child_start(child);

    if (r == 0) {
        child->control.on_ready = on_child_ready;
        r = loop_watch_add(&child->control, LOOP_READ);
    }
    if (r < 0) {
        LOG(LOG_ERROR, "master.start-failed", LOG_C("child", child->kind->service), LOG_ERR(r));
        loop_timer_set(&child->restart_timer, clock_mono_ms() + RESTART_MAX_MS);
        return;
    }
    greet_child(child);
}

static void on_restart(struct loop_timer *t)
{
    struct child_process *child = CONTAINER_OF(t, struct child_process, restart_timer);

    /* While workers finish, those whom they ask are still started again. */
    if (!child->is_stopping)
        start_child(child);
}

static void add_child(const struct child_kind *kind, unsigned slot)
{
    ASSERT(master.child_count < CHILDREN_MAX && slot < CHILDREN_MAX);
    for (size_t i = 0; i < master.child_count; i++)
        ASSERT(master.children[i].slot != slot);
    struct child_process *child = &master.children[master.child_count++];
    *child = (struct child_process){.kind = kind,
                                    .slot = slot,
                                    .control = {.fd = -1},
                                    .restart_timer = {.on_fire = on_restart}};
    if (kind->is_peer)
        master.peers[kind->peer] = child;
    channels_init(child);
}

void family_start(void)
{
    size_t count;
    const struct child_kind *kinds = child_kinds(&count);

    for (size_t i = 0; i < count; i++) {
        for (int n = 0; n < kinds[i].count(master.settings); n++)
            add_child(&kinds[i], kinds[i].first_slot + (unsigned)n);
    }
    for (size_t i = 0; i < master.child_count; i++)
        start_child(&master.children[i]);
}

void family_note_end(struct child_process *child, int wait_status)
{
    loop_watch_remove(&child->control);
    channels_forget(child);
    int64_t pause_ms = child_note_end(child, wait_status);
    if (child->is_stopping) {
        stop_go_on();
        return;
    }
    /* What never worked does not get better by being tried again; it has said why. */
    if (!child->was_ever_ready && WIFEXITED(wait_status)) {
        if (!master.is_stopping)
            stop_begin(1);
        return;
    }
    loop_timer_set(&child->restart_timer, clock_mono_ms() + pause_ms);
}
