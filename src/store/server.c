/* The store's side of its channels: see server.h. */
#include "store/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/log.h"
#include "store/answer_cache.h"
#include "store/auth_desk.h"
#include "store/gate.h"
#include "store/login_book.h"
#include "store/session_count.h"
#include "store/spools.h"
#include "store/verbs.h"

enum {
    CONNS_MAX = 256,
    FAILED_REPLY_BYTES = 1024,
    SESSIONS_REPLY_MAX_BYTES = 1024 * 1024, /* LOGIN_BOOK_LIST_MAX of them */
};

struct store_conn {
    struct list link;
    struct rpc_channel channel;
    struct store_server *server;
    enum rpc_role role;
    struct spools spools;
    size_t jobs; /* under way; the connection's record lives as long as one is */
};

struct pending_reload {
    struct store_conn *conn;
    uint32_t call_id;
    uint64_t token;
};

/* The outbound worker, as it waits for something to do. */
struct pending_wait {
    struct store_conn *conn;
    uint32_t call_id;
};

struct store_server {
    struct store_server_config config;
    struct list conns;
    size_t conn_count;
    struct session_count *sessions;
    struct gate gate;
    struct answer_cache recipients, senders; /* of recipient.check, sender.check */
    struct auth_desk auth;
    struct login_book logins;
    struct loop_watch done_watch;
    struct loop_watch listen_watch;
    struct pending_reload reload;
    struct pending_wait wait;
    uint64_t queue_generation; /* counts what woke the outbound worker */
    uint64_t next_token;
    uint64_t next_spool; /* ids of spool files: never those of an earlier start */
    bool is_maintaining;
    bool must_reroute; /* with the next maintenance */
    int64_t last_complaint_ms;
};

static void reply(struct store_conn *conn, uint32_t call_id, int status, struct str payload)
{
    if (status < 0)
        payload = str_sub(payload, 0, FAILED_REPLY_BYTES);
    int r = rpc_channel_send(&conn->channel, call_id, (uint16_t)-status, payload);
    /* Nobody must wait for an answer that will not come: the channel's end tells all. */
    if (r < 0 && r != -EPIPE) {
        LOG(LOG_WARNING, "store.reply-lost", LOG_ERR(r));
        (void)shutdown(conn->channel.watch.fd, SHUT_RDWR);
    }
}

/* --- spool files --- */

/* spool.open -> u64 id */
static int open_spool(struct store_conn *conn, uint32_t call_id)
{
    uint64_t id = conn->server->next_spool++;
    int r = spools_open(&conn->spools, id);
    struct buf payload;

    buf_init(&payload, 8);
    buf_put_u64(&payload, id);
    reply(conn, call_id, r, r == 0 ? buf_str(&payload) : STR(""));
    buf_done(&payload);
    return 0;
}

/* spool.drop: u64 id -> nothing */
static int drop_spool(struct store_conn *conn, const struct rpc_frame *frame)
{
    struct cursor c = cursor_from(frame->payload);

    spools_drop(&conn->spools, cursor_u64(&c));
    reply(conn, frame->call_id, 0, STR(""));
    return 0;
}

/* A request of the store's own. */
static void run_housekeeping(struct store_server *s, enum store_verb verb, struct str args)
{
    struct executor *executor = s->config.store->executor;
    struct job *job = job_new(verb_find(verb), args);

    if (executor == NULL || executor_submit(executor, job) < 0)
        job_free(job);
    else if (verb == STORE_MAINTAIN)
        s->is_maintaining = true;
}

/* --- sessions --- */

static void publish_sessions(struct store_server *s)
{
    s->config.store->session_total = (int64_t)session_count_total(s->sessions);
}

/* session.open: the address key (ip_rate_key) -> u8 verdict */
static int open_session(struct store_conn *conn, const struct rpc_frame *frame)
{
    struct cursor c = cursor_from(frame->payload);
    struct ip_rate_key peer;

    if (gate_get_peer(&c, &peer) < 0 || cursor_finish(&c) < 0)
        return -EBADMSG;
    enum session_verdict verdict =
        gate_connect(&conn->server->gate, peer, conn->role == RPC_ROLE_ACCESS);
    if (verdict == SESSION_WELCOME)
        verdict = session_count_open(conn->server->sessions, conn, frame->payload);
    char byte = (char)verdict;

    publish_sessions(conn->server);
    reply(conn, frame->call_id, 0, str_from_mem(&byte, 1));
    return 0;
}

/* What the book of logins has gathered becomes rows. */
static void write_logins(struct store_server *s)
{
    struct buf entries;

    buf_init(&entries, LOGIN_BOOK_ROWS_MAX_BYTES);
    login_book_take(&s->logins, &entries);
    if (entries.len > 0 && buf_status(&entries) == 0)
        run_housekeeping(s, STORE_LOGIN_NOTE, buf_str(&entries));
    buf_done(&entries);
}

static int hear_login(struct store_conn *conn, const struct rpc_frame *frame)
{
    struct cursor c = cursor_from(frame->payload);
    struct store_server *s = conn->server;
    struct auth_session session;

    if (auth_next_session(&c, &session) <= 0 || cursor_finish(&c) < 0)
        return -EBADMSG;
    login_book_add(&s->logins, conn, &session);
    if (login_book_is_full(&s->logins))
        write_logins(s);
    return 0;
}

static int hear_logout(struct store_conn *conn, const struct rpc_frame *frame)
{
    struct cursor c = cursor_from(frame->payload);

    login_book_end(&conn->server->logins, conn, cursor_u64(&c));
    return cursor_finish(&c);
}

static int list_sessions(struct store_conn *conn, const struct rpc_frame *frame)
{
    CLEANUP(buf_done) struct buf sessions;
    struct cursor c = cursor_from(frame->payload);

    buf_init(&sessions, SESSIONS_REPLY_MAX_BYTES);
    uint64_t account = cursor_u64(&c);
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    login_book_list(&conn->server->logins, account, &sessions);
    reply(conn, frame->call_id, buf_status(&sessions), buf_str(&sessions));
    return 0;
}

/* --- the queue's worker --- */

static void answer_wait(struct store_server *s)
{
    struct pending_wait wait = s->wait;

    s->wait = (struct pending_wait){NULL};
    if (wait.conn != NULL)
        reply(wait.conn, wait.call_id, 0, STR(""));
}

static void wake_queue(struct store_server *s)
{
    s->queue_generation++;
    answer_wait(s);
}

/* queue.wait: u64 generation of the last queue.open -> nothing, once there is something new */
static int wait_for_queue(struct store_conn *conn, const struct rpc_frame *frame)
{
    struct cursor c = cursor_from(frame->payload);
    struct store_server *s = conn->server;
    uint64_t generation = cursor_u64(&c);

    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    /* Whoever waited before has given up or is gone. */
    answer_wait(s);
    s->wait = (struct pending_wait){.conn = conn, .call_id = frame->call_id};
    if (generation != s->queue_generation)
        answer_wait(s);
    return 0;
}

/* What a worker said before it died comes before what its successor asks. */
static void hear_predecessors(struct store_conn *newcomer)
{
    struct store_server *s = newcomer->server;

    newcomer->jobs++;
    for (struct list *it = s->conns.next; it != &s->conns;) {
        struct store_conn *conn = CONTAINER_OF(it, struct store_conn, link);
        it = it->next;
        if (conn != newcomer && conn->role == RPC_ROLE_OUTBOUND && conn->channel.is_open)
            rpc_channel_drain(&conn->channel);
    }
    newcomer->jobs--;
}

/* --- frames in, replies out --- */

static int start_reload(struct store_conn *conn, const struct rpc_frame *frame)
{
    struct store_server *s = conn->server;

    if (s->reload.conn != NULL || s->config.on_reload == NULL) {
        reply(conn, frame->call_id, -EBUSY, STR("a reload is under way"));
        return 0;
    }
    s->reload =
        (struct pending_reload){.conn = conn, .call_id = frame->call_id, .token = ++s->next_token};
    s->config.on_reload(s->config.arg, s->reload.token);
    return 0;
}

static int tell_delay(struct store_conn *conn, const struct rpc_frame *frame)
{
    CLEANUP(buf_done) struct buf answer;
    int64_t delay_ms = 0;

    buf_init(&answer, FAILED_REPLY_BYTES);
    int r = gate_find_delay(&conn->server->gate, frame->payload, &delay_ms);
    buf_put_u32(&answer, (uint32_t)conn->server->config.store->wrong_step_ms);
    buf_put_u32(&answer, (uint32_t)delay_ms);
    reply(conn, frame->call_id, r, buf_str(&answer));
    return r;
}

static int serve_own(struct store_conn *conn, const struct rpc_frame *frame)
{
    switch (frame->code) {
    case STORE_SESSION_OPEN:
        return open_session(conn, frame);
    case STORE_SESSION_CLOSE:
        session_count_close(conn->server->sessions, conn, frame->payload);
        publish_sessions(conn->server);
        return 0;
    case STORE_SESSION_LOGIN:
        return hear_login(conn, frame);
    case STORE_SESSION_LOGOUT:
        return hear_logout(conn, frame);
    case STORE_AUTH_DELAY:
        return tell_delay(conn, frame);
    case STORE_SESSION_LIST:
        return list_sessions(conn, frame);
    case STORE_QUEUE_WAIT:
        return wait_for_queue(conn, frame);
    case STORE_SPOOL_OPEN:
        return open_spool(conn, frame->call_id);
    case STORE_SPOOL_DROP:
        return drop_spool(conn, frame);
    default:
        return start_reload(conn, frame);
    }
}

static int serve_on_loop(struct store_conn *conn, const struct verb *verb,
                         const struct rpc_frame *frame)
{
    if (verb->handler == NULL)
        return serve_own(conn, frame);
    struct job *job = job_new(verb, frame->payload);
    int r = verb->handler(conn->server->config.store, job);
    if (frame->code == STORE_AUTH_NOTE && r == 0)
        gate_note_told(&conn->server->gate, frame->payload);
    if (frame->code != STORE_TRACE_ADD && frame->code != STORE_AUTH_NOTE)
        reply(conn, frame->call_id, r, buf_str(&job->reply));
    job_free(job);
    return r == -EBADMSG ? r : 0;
}

static struct str find_answer(struct store_server *s, const struct rpc_frame *frame)
{
    if (frame->code == STORE_AUTH_PASSWORD)
        return auth_desk_answer(&s->auth, frame->payload);
    if (frame->code == STORE_SENDER_CHECK)
        return answer_cache_get(&s->senders, frame->payload);
    if (frame->code != STORE_RECIPIENT_CHECK || store_check_room(s->config.store) < 0)
        return STR_NONE;
    return answer_cache_get(&s->recipients, frame->payload);
}

static bool answer_from_memory(struct store_conn *conn, const struct rpc_frame *frame)
{
    struct str answer = find_answer(conn->server, frame);

    if (answer.len == 0)
        return false;
    if (frame->code == STORE_AUTH_PASSWORD)
        gate_note_password(&conn->server->gate, frame->payload, answer);
    reply(conn, frame->call_id, 0, answer);
    return true;
}

/* Who fails too often is not even asked. */
static bool stop_login(struct store_conn *conn, const struct rpc_frame *frame)
{
    CLEANUP(buf_done) struct buf answer;

    buf_init(&answer, FAILED_REPLY_BYTES);
    if (!gate_stops_login(&conn->server->gate, (enum store_verb)frame->code, frame->payload,
                          &answer))
        return false;
    reply(conn, frame->call_id, 0, buf_str(&answer));
    return true;
}

/* Keeps what a finished job tells about recipients and senders. */
static void note_directory(struct store_server *s, const struct job *job)
{
    if (job->status < 0)
        return;
    if (job->verb->changes_directory || job->changes_suppression)
        answer_cache_forget(&s->recipients);
    if (job->verb->changes_directory || job->login_account != 0)
        answer_cache_forget(&s->senders);
    if (job->verb == verb_find(STORE_SENDER_CHECK) && job->is_lasting)
        answer_cache_put(&s->senders, str_from_mem(job->payload, job->payload_bytes),
                         buf_str(&job->reply), job->generation);
    bool is_lasting = job->reply.len > 0 && job->reply.ptr[0] != RECIPIENT_SUPPRESSED;
    if (job->verb == verb_find(STORE_RECIPIENT_CHECK) && is_lasting)
        answer_cache_put(&s->recipients, str_from_mem(job->payload, job->payload_bytes),
                         buf_str(&job->reply), job->generation);
}

/* Of what the answer may be kept for. */
static uint64_t current_generation(const struct store_server *s, uint16_t code)
{
    if (code == STORE_QUEUE_OPEN)
        return s->queue_generation;
    if (code == STORE_SENDER_CHECK)
        return s->senders.generation;
    bool is_login = code == STORE_AUTH_PASSWORD || code == STORE_AUTH_OUTSIDE;
    return is_login ? s->auth.generation : s->recipients.generation;
}

/* A message that begins is counted on the way to its first recipient. */
static bool stop_message(struct store_conn *conn, struct rpc_frame *frame)
{
    CLEANUP(buf_done) struct buf answer;

    buf_init(&answer, FAILED_REPLY_BYTES);
    if (frame->code != STORE_RECIPIENT_CHECK ||
        !gate_stops_message(&conn->server->gate, &frame->payload, &answer))
        return false;
    reply(conn, frame->call_id, 0, buf_str(&answer));
    return true;
}

static void note_login(struct store_server *s, const struct job *job)
{
    static const enum store_verb guesses[] = {STORE_AUTH_PASSWORD, STORE_AUTH_SCRAM,
                                              STORE_AUTH_CRAM};
    struct str request = str_from_mem(job->payload, job->payload_bytes);

    for (size_t i = 0; job->status < 0 && i < ARRAY_LEN(guesses); i++) {
        if (job->verb == verb_find(guesses[i]))
            gate_note_unjudged(&s->gate, guesses[i], request);
    }
    if (job->status < 0)
        return;
    if (job->verb == verb_find(STORE_AUTH_PASSWORD))
        gate_note_password(&s->gate, request, buf_str(&job->reply));
    if (job->verb == verb_find(STORE_AUTH_OUTSIDE))
        gate_note_outside(&s->gate, request, buf_str(&job->reply));
}

static int on_frame(struct rpc_channel *channel, struct rpc_frame *frame)
{
    struct store_conn *conn = CONTAINER_OF(channel, struct store_conn, channel);
    const struct verb *verb = verb_find(frame->code);

    if (verb == NULL || (verb->roles & conn->role) == 0) {
        /* A worker that asks for what its role may not do is broken or taken over. */
        LOG(LOG_ERROR, "store.forbidden-verb", LOG_INT("verb", frame->code),
            LOG_INT("role", conn->role));
        return -EBADMSG;
    }
    if (verb->kind == VERB_LOOP)
        return serve_on_loop(conn, verb, frame);
    if (stop_login(conn, frame) || stop_message(conn, frame) || answer_from_memory(conn, frame))
        return 0;
    if (frame->code == STORE_QUEUE_BEGIN)
        hear_predecessors(conn);
    if (frame->code == STORE_TRACE_QUERY)
        watch_write(&conn->server->gate.watch, true);
    if (frame->code == STORE_ACCOUNT_SESSIONS)
        write_logins(conn->server);
    char *memory = rpc_frame_keep(frame);
    struct job *job = job_new_with(verb, memory, frame->payload);
    job->generation = current_generation(conn->server, frame->code);
    int r = spools_attach(&conn->spools, job, frame->code);
    if (r < 0) {
        job_free(job);
        if (r == -ESTALE)
            reply(conn, frame->call_id, r, STR("the store was restarted; send the message again"));
        return r == -ESTALE ? 0 : r;
    }
    job->conn = conn;
    job->call_id = frame->call_id;
    conn->jobs++;
    if (executor_submit(conn->server->config.store->executor, job) < 0) {
        job->status = job_fail(job, -EBUSY, "too many requests wait");
        note_login(conn->server, job);
        conn->jobs--;
        if (job->on_done != NULL)
            job->on_done(conn->server->config.store, job);
        store_release_spool(conn->server->config.store, job);
        reply(conn, job->call_id, job->status, buf_str(&job->reply));
        job_free(job);
    }
    return 0;
}

static void free_conn(struct store_conn *conn)
{
    if (conn->channel.is_open || conn->jobs > 0)
        return;
    list_remove(&conn->link);
    conn->server->conn_count--;
    spools_done(&conn->spools);
    free(conn);
}

static void on_close(struct rpc_channel *channel)
{
    struct store_conn *conn = CONTAINER_OF(channel, struct store_conn, channel);
    struct store_server *s = conn->server;

    session_count_drop_owner(s->sessions, conn);
    login_book_drop_owner(&s->logins, conn);
    publish_sessions(s);
    store_end_backup(s->config.store, conn);
    if (s->reload.conn == conn)
        s->reload.conn = NULL;
    if (s->wait.conn == conn)
        s->wait.conn = NULL;
    spools_done(&conn->spools);
    free_conn(conn);
}

static void note_queue(struct store_server *s, const struct job *job)
{
    store_count_queue(s->config.store, job);
    if (job->status >= 0 && job->wakes_queue)
        wake_queue(s);
}

/* From the first recipient on, or from the one where the last step ended. */
static void reroute(struct store_server *s, struct str from)
{
    static const char beginning[12];

    run_housekeeping(s, STORE_QUEUE_REROUTE,
                     from.len > 0 ? from : str_from_mem(beginning, sizeof(beginning)));
}

/* One pass goes on to its end; if the worker held something, there is another one later. */
static void finish_reroute(struct store_server *s, const struct job *job)
{
    struct cursor c = cursor_from(buf_str(&job->reply));

    if (job->status < 0) {
        LOG(LOG_ERROR, "store.reroute-failed", LOG_ERR(job->status),
            LOG_C("hint", "mail that waits keeps its old routes; reload once more"));
        return;
    }
    bool has_more = cursor_u8(&c) != 0;
    struct str next = cursor_take(&c, 12);
    s->must_reroute |= cursor_u8(&c) != 0;
    if (has_more)
        reroute(s, next);
}

/* Housekeeping goes on as long as there is more of it: the step itself, then the files it freed. */
static void finish_maintenance(struct store_server *s, const struct job *job)
{
    struct cursor c = cursor_from(buf_str(&job->reply));
    bool was_step = job->verb == verb_find(STORE_MAINTAIN);

    if (was_step)
        s->is_maintaining = false;
    if (job->status < 0)
        LOG(LOG_ERROR, "store.maintenance-failed", LOG_C("step", job->verb->name),
            LOG_ERR(job->status), LOG_C("hint", "old letters and dead bytes stay; check the disk"));
    if (job->status < 0 || !was_step)
        return;
    bool has_more = cursor_u8(&c) != 0;
    if (cursor_left(&c) > 0)
        run_housekeeping(s, STORE_DROP_FILES, cursor_rest(&c));
    if (has_more)
        run_housekeeping(s, STORE_MAINTAIN, STR(""));
}

/* What the store has asked of itself. */
static void finish_own(struct store_server *s, const struct job *job)
{
    if (job->verb == verb_find(STORE_QUEUE_REROUTE))
        finish_reroute(s, job);
    else if (job->verb == verb_find(STORE_MAINTAIN) || job->verb == verb_find(STORE_DROP_FILES))
        finish_maintenance(s, job);
    else if (job->status < 0)
        /* Of a login: the next one does it. */
        LOG(LOG_WARNING, "store.not-noted", LOG_C("what", job->verb->name), LOG_ERR(job->status));
}

/* What the disk does to single requests (spool files, reading) is said at most once a second. */
static void log_disk_failure(struct store_server *s, const struct job *job)
{
    int64_t now_ms = clock_mono_ms();
    int e = job->status;

    if ((e != -EIO && e != -ENOSPC && e != -EROFS) || now_ms - s->last_complaint_ms < 1000)
        return;
    s->last_complaint_ms = now_ms;
    LOG(LOG_ERROR, "store.request-failed", LOG_C("verb", job->verb->name), LOG_ERR(e),
        LOG_C("hint", e == -ENOSPC
                          ? "too little room on the disk: make some; mail waits at its senders"
                          : "the disk reports errors: check it; mail waits at its senders"));
}

static void finish_job(struct store_server *s, struct job *job)
{
    struct store *store = s->config.store;
    struct store_conn *conn = job->conn;

    note_directory(s, job);
    note_queue(s, job);
    auth_desk_finish(&s->auth, job);
    note_login(s, job);
    bool is_gates = gate_note_job(&s->gate, job);
    log_disk_failure(s, job);
    if (job->status >= 0 && buf_status(&job->trace) == 0)
        trace_db_record(store->trace, buf_str(&job->trace));
    if (job->on_done != NULL)
        job->on_done(store, job);
    store_release_spool(store, job);
    if (conn != NULL) {
        /* A backup whose client left while it began would keep every segment for ever. */
        if (!conn->channel.is_open)
            store_end_backup(store, conn);
        if (buf_status(&job->reply) < 0)
            job->status = -EMSGSIZE;
        if (conn->channel.is_open)
            reply(conn, job->call_id, job->status, buf_str(&job->reply));
        conn->jobs--;
        free_conn(conn);
    } else if (!is_gates) {
        finish_own(s, job);
    }
    job_free(job);
}

static void on_done_ready(struct loop_watch *w, unsigned ready)
{
    struct store_server *s = CONTAINER_OF(w, struct store_server, done_watch);
    struct list done, *link;

    (void)ready;
    list_init(&done);
    executor_take_done(s->config.store->executor, &done);
    while ((link = list_pop(&done)) != NULL)
        finish_job(s, CONTAINER_OF(link, struct job, link));
}

void store_server_maintain(struct store_server *s)
{
    watch_write(&s->gate.watch, false);
    write_logins(s);
    if (!s->is_maintaining)
        run_housekeeping(s, STORE_MAINTAIN, STR(""));
    if (s->must_reroute)
        reroute(s, STR(""));
    s->must_reroute = false;
}

void store_server_reroute(struct store_server *s)
{
    s->must_reroute = false;
    reroute(s, STR(""));
}

static void run_for_gate(void *arg, enum store_verb verb, struct str args)
{
    run_housekeeping(arg, verb, args);
}

static void record_for_gate(void *arg, struct str events)
{
    const struct store_server *s = arg;

    trace_db_record(s->config.store->trace, events);
}

int store_server_new(const struct store_server_config *config, struct store_server **out)
{
    struct store_server *s = xcalloc(1, sizeof(*s));

    s->config = *config;
    list_init(&s->conns);
    answer_cache_init(&s->recipients);
    answer_cache_init(&s->senders);
    auth_desk_init(&s->auth, config->store);
    login_book_init(&s->logins);
    ASSERT(getrandom(&s->next_spool, sizeof(s->next_spool), 0) == sizeof(s->next_spool));
    s->next_spool >>= 1; /* far from 0, which means none */
    s->sessions = session_count_new(config->max_sessions, config->max_sessions_per_address);
    s->done_watch.fd = executor_event_fd(config->store->executor);
    s->done_watch.on_ready = on_done_ready;
    s->listen_watch.fd = -1;
    int r = loop_watch_add(&s->done_watch, LOOP_READ);
    if (r < 0) {
        session_count_free(s->sessions);
        auth_desk_done(&s->auth);
        login_book_done(&s->logins);
        free(s);
        return r;
    }
    struct watch_hooks hooks = {.run = run_for_gate, .record = record_for_gate, .arg = s};
    gate_init(&s->gate, config->store->settings, &hooks);
    *out = s;
    return 0;
}

/* What was said before the end is heard: results of deliveries above all. */
static void hear_all(struct store_server *s)
{
    for (struct list *it = s->conns.next; it != &s->conns;) {
        struct store_conn *conn = CONTAINER_OF(it, struct store_conn, link);
        it = it->next;
        if (conn->role == RPC_ROLE_OUTBOUND && conn->channel.is_open)
            rpc_channel_drain(&conn->channel);
    }
}

void store_server_free(struct store_server *s)
{
    struct list done, *link;

    if (s == NULL)
        return;
    list_init(&done);
    hear_all(s);
    write_logins(s);
    store_stop(s->config.store, &done);
    while ((link = list_pop(&done)) != NULL)
        finish_job(s, CONTAINER_OF(link, struct job, link));
    LIST_FOR_EACH (&s->conns, it) {
        struct store_conn *conn = CONTAINER_OF(it, struct store_conn, link);
        conn->jobs++; /* the flush may find the peer gone and close: the record must outlive that */
        rpc_channel_flush(&conn->channel);
        if (conn->channel.is_open) {
            rpc_channel_close(&conn->channel);
            on_close(&conn->channel);
        }
        conn->jobs--;
        free_conn(conn);
    }
    if (s->listen_watch.fd >= 0) {
        loop_watch_remove(&s->listen_watch);
        close(s->listen_watch.fd);
    }
    session_count_free(s->sessions);
    login_book_done(&s->logins);
    gate_done(&s->gate);
    answer_cache_done(&s->recipients);
    answer_cache_done(&s->senders);
    auth_desk_done(&s->auth);
    free(s);
}

int store_server_add(struct store_server *s, int fd, enum rpc_role role)
{
    if (s->conn_count >= CONNS_MAX) {
        close(fd);
        return -EMFILE;
    }
    struct store_conn *conn = xcalloc(1, sizeof(*conn));
    conn->server = s;
    conn->role = role;
    conn->channel.on_frame = on_frame;
    conn->channel.on_close = on_close;
    spools_init(&conn->spools, s->config.store);
    list_init(&conn->link);
    int r = rpc_channel_open(&conn->channel, fd);
    if (r < 0) {
        free(conn);
        return r;
    }
    list_append(&s->conns, &conn->link);
    s->conn_count++;
    return 0;
}

static void on_listen_ready(struct loop_watch *w, unsigned ready)
{
    struct store_server *s = CONTAINER_OF(w, struct store_server, listen_watch);

    (void)ready;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    int r = store_server_add(s, fd, RPC_ROLE_ADMIN);
    if (r < 0)
        LOG(LOG_WARNING, "store.control-refused", LOG_ERR(r));
}

int store_server_listen(struct store_server *s, int fd)
{
    s->listen_watch = (struct loop_watch){.fd = fd, .on_ready = on_listen_ready};
    return loop_watch_add_listener(&s->listen_watch);
}

void store_server_set_limits(struct store_server *s, unsigned max_sessions,
                             unsigned max_sessions_per_address)
{
    session_count_set_limits(s->sessions, max_sessions, max_sessions_per_address);
    gate_configure(&s->gate, s->config.store->settings);
    /* The separators between user and detail may have changed. */
    answer_cache_forget(&s->recipients);
    answer_cache_forget(&s->senders);
}

void store_server_reload_done(struct store_server *s, uint64_t token, int status, struct str text)
{
    if (s->reload.conn == NULL || s->reload.token != token)
        return;
    reply(s->reload.conn, s->reload.call_id, status, text);
    s->reload.conn = NULL;
}
