/* Channels between workers and peers: see channels.h. */
#include "svc/master/channels.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fdpass.h"
#include "svc/master/state.h"

static const uint16_t channel_messages[CONTROL_PEERS] = {
    [CONTROL_PEER_STORE] = CONTROL_STORE_CHANNEL,
    [CONTROL_PEER_RESOLVER] = CONTROL_RESOLVER_CHANNEL,
    [CONTROL_PEER_AUTH] = CONTROL_AUTH_CHANNEL,
};

static bool is_running(enum control_peer peer)
{
    return master.peers[peer] != NULL && master.peers[peer]->pid != 0;
}

static bool uses_peer(const struct child_process *child, enum control_peer peer)
{
    switch (peer) {
    case CONTROL_PEER_STORE:
        return child->kind->role != 0;
    case CONTROL_PEER_RESOLVER:
        return child->kind->asks_resolver;
    default:
        return child->kind->asks_auth;
    }
}

/* Both ends of a fresh channel: one to the peer, one to the worker. */
static void connect_channel(struct child_channel *channel)
{
    struct child_process *worker = channel->worker;
    struct buf number;
    int fds[2];
    char role = (char)worker->kind->role;

    loop_timer_clear(&channel->timer);
    channel->connected_ms = clock_mono_ms();
    channel->number++;
    int r = fdpass_pair(SOCK_STREAM, fds);
    if (r < 0) {
        LOG(LOG_ERROR, "master.no-channel", LOG_ERR(r));
        return;
    }
    child_send(master.peers[channel->peer], CONTROL_ADD_CHANNEL, str_from_mem(&role, 1), fds[0]);
    buf_init(&number, 4);
    buf_put_u32(&number, channel->number);
    child_send(worker, channel_messages[channel->peer], buf_str(&number), fds[1]);
    buf_done(&number);
    close(fds[0]);
    close(fds[1]);
}

/* Only if both run; whoever is missing brings the channel along when it starts. */
static void try_connect(struct child_process *worker, enum control_peer peer)
{
    if (worker->pid != 0 && is_running(peer) && uses_peer(worker, peer))
        connect_channel(&worker->channels[peer]);
}

static void on_channel_timer(struct loop_timer *t)
{
    struct child_channel *channel = CONTAINER_OF(t, struct child_channel, timer);

    try_connect(channel->worker, channel->peer);
}

void channels_init(struct child_process *child)
{
    for (unsigned peer = 0; peer < CONTROL_PEERS; peer++)
        child->channels[peer] = (struct child_channel){
            .worker = child, .peer = peer, .timer = {.on_fire = on_channel_timer}};
}

void channels_connect(struct child_process *child)
{
    for (unsigned peer = 0; peer < CONTROL_PEERS; peer++) {
        if (child != master.peers[peer]) {
            try_connect(child, peer);
            continue;
        }
        for (size_t i = 0; i < master.child_count; i++)
            try_connect(&master.children[i], peer);
    }
}

/* The peer has cut a worker off. When the peer has died, its start brings new channels: what is
 * told of the one before a newer one is old news, unless the newer one never came to be. The pause
 * bounds the loop of a worker that is cut off again and again. */
void channels_note_loss(struct child_process *worker, enum control_peer peer, uint32_t number)
{
    if (peer >= CONTROL_PEERS || !uses_peer(worker, peer) || !is_running(peer))
        return;
    struct child_channel *channel = &worker->channels[peer];
    bool is_old =
        number != channel->number && clock_mono_ms() < channel->connected_ms + CHANNEL_ASSUMED_MS;
    if (is_old || channel->timer.heap_at != 0)
        return;
    LOG(LOG_WARNING, "master.channel-lost", LOG_C("child", worker->kind->service),
        LOG_INT("child_pid", worker->pid), LOG_C("to", master.peers[peer]->kind->service),
        LOG_INT("channel", number));
    loop_timer_set(&channel->timer, clock_mono_ms() + RECONNECT_MS);
}

void channels_forget(struct child_process *child)
{
    for (size_t peer = 0; peer < CONTROL_PEERS; peer++)
        loop_timer_clear(&child->channels[peer].timer);
}
