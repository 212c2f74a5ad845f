/* Reading the configuration again: see reload.h. */
#include "svc/master/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fdpass.h"
#include "svc/master/family.h"
#include "svc/master/keys.h"
#include "svc/master/notify.h"
#include "svc/master/setup.h"
#include "svc/master/state.h"

/* The name of a changed setting that a running server cannot take, or NULL. */
static const char *find_unchangeable(const struct settings *new)
{
    const struct settings *old = master.settings;
    const struct {
        const char *name;
        bool is_changed;
    } settings[] = {
        {"server.data_dir", strcmp(old->server_data_dir, new->server_data_dir) != 0},
        {"server.run_dir", strcmp(old->server_run_dir, new->server_run_dir) != 0},
        {"server.user", strcmp(old->server_user, new->server_user) != 0},
        {"server.inbound_workers", old->server_inbound_workers != new->server_inbound_workers},
        {"server.access_workers", old->server_access_workers != new->server_access_workers},
        {"server.node", old->server_node != new->server_node},
        {"resolver.trust_anchor_file",
         strcmp(old->resolver_trust_anchor_file, new->resolver_trust_anchor_file) != 0},
        {"submit.spool_dir", strcmp(old->submit_spool_dir, new->submit_spool_dir) != 0},
        {"auth.backend", old->auth_backend != new->auth_backend},
        {"auth.oauth",
         (old->auth_oauth == SETTINGS_OAUTH_OFF) != (new->auth_oauth == SETTINGS_OAUTH_OFF)},
        {"auth.outside_threads", old->auth_outside_threads != new->auth_outside_threads},
        {"auth.outside_user", strcmp(old->auth_outside_user, new->auth_outside_user) != 0},
        {"auth.outside_paths",
         !settings_list_is_equal(&old->auth_outside_paths, &new->auth_outside_paths)},
        {"store.reader_threads", old->store_reader_threads != new->store_reader_threads},
        {"store.segment_size", old->store_segment_size != new->store_segment_size},
    };

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (settings[i].is_changed)
            return settings[i].name;
    }
    return NULL;
}

static int try_reload(struct buf *out_text)
{
    struct keyring *keyring = NULL;
    struct settings *new;

    int r = setup_load_settings(&new, out_text);
    if (r < 0)
        return r;
    const char *unchangeable = find_unchangeable(new);
    if (unchangeable != NULL) {
        buf_printf(out_text,
                   "%s was changed, which needs a restart; restart the server, the running one "
                   "keeps its settings",
                   unchangeable);
        settings_free(new);
        return -EINVAL;
    }
    r = keyring_new(new, master.keyring, &keyring, out_text);
    if (r == 0)
        r = listen_set_bind(new, &master.listeners, &master.listeners, out_text);
    if (r < 0) {
        keyring_free(keyring);
        settings_free(new);
        return r;
    }
    setup_use_settings(new);
    keys_use(keyring);
    for (size_t i = 0; i < master.child_count; i++)
        family_send_settings(&master.children[i]);
    return 0;
}

static void log_lines(enum log_level level, const char *event, struct str text)
{
    struct str line;

    while (text.len > 0) {
        (void)str_cut(text, '\n', &line, &text);
        if (line.len > 0)
            LOG(level, event, LOG_STR("why", line));
    }
}

/* A service manager that has not heard READY=1 does not know what RELOADING=1 is about. */
static int reload_and_notify(struct buf *out_text)
{
    char state[64];

    if (master.is_stopping) {
        buf_put_c(out_text, "the server is stopping");
        return -ESHUTDOWN;
    }
    if (!master.was_ready)
        return try_reload(out_text);
    (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)clock_mono_us());
    notify_manager(state);
    int r = try_reload(out_text);
    notify_manager("READY=1");
    return r;
}

/* token 0: by signal, nobody waits for an answer. */
void reload_run(uint64_t token)
{
    struct buf text, answer;

    buf_init(&text, MASTER_ERRORS_MAX_BYTES);
    int r = reload_and_notify(&text);
    if (r < 0)
        log_lines(LOG_ERROR, "master.reload-refused", buf_str(&text));
    else
        LOG(LOG_INFO, "master.reloaded", LOG_C("config", master.config_path));
    if (token != 0) {
        buf_init(&answer, FDPASS_MAX_BYTES / 2);
        buf_put_u64(&answer, token);
        buf_put_u16(&answer, (uint16_t)-r);
        buf_put_lp(&answer, str_sub(buf_str(&text), 0, FDPASS_MAX_BYTES / 4));
        child_send(master.peers[CONTROL_PEER_STORE], CONTROL_RELOAD_DONE, buf_str(&answer), -1);
        buf_done(&answer);
    }
    buf_done(&text);
}
