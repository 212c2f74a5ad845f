/* Keys over time: see keys.h. */
#include "svc/master/keys.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/sealed.h"
#include "rt/tls.h"
#include "svc/key_report.h"
#include "svc/master/state.h"

enum {
    LOOK_EVERY_MS = 60 * 1000,
    LOOK_AGAIN_MS = 2000, /* whether what has changed has changed to the end */
    ROTATE_EVERY_MS = 12 * 3600 * 1000,
    DAY_MS = 24 * 3600 * 1000,
    TITLE_MAX_BYTES = 256,
    NAMES_MAX_BYTES = 400, /* in a line of the log */
};

_Static_assert((int)SECRETS_TICKET_KEY_BYTES == sizeof(struct tls_ticket_key),
               "secrets.h tells the size");

static struct {
    struct tls_ticket_keys ticket_keys;
    bool has_ticket_keys;
    struct loop_timer look_timer;
    struct loop_timer rotate_timer;
    struct loop_timer warn_timer;
} self;

/* --- what is to be said of them --- */

static void put_names(const struct tls_identity_facts *facts, struct buf *out)
{
    for (size_t i = 0; i < facts->name_count; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", facts->names[i]);
}

static int64_t days_left(const struct tls_identity_facts *facts)
{
    return (facts->not_after_ms - clock_real_ms()) / DAY_MS;
}

static void log_identity(const struct keyring_item *item)
{
    const struct tls_identity_facts *facts = tls_identity_facts(item->identity);
    char until[CLOCK_TEXT_BYTES];
    struct buf names;

    buf_init(&names, NAMES_MAX_BYTES);
    put_names(facts, &names);
    LOG(LOG_INFO, "tls.certificate", LOG_C("section", item->name),
        LOG_STR("names", buf_str(&names)), LOG_C("key", facts->key),
        LOG_C("until", clock_format_utc(facts->not_after_ms, until)),
        LOG_INT("days_left", days_left(facts)),
        LOG_C("issuer", facts->is_self_signed ? "itself" : facts->issuer));
    buf_done(&names);
}

static void warn_of_identity(const struct keyring *k, const struct keyring_item *item)
{
    const struct tls_identity_facts *facts = tls_identity_facts(item->identity);
    struct tls_text why;

    if (tls_identity_check_time(item->identity, clock_real_ms(), &why) < 0)
        LOG(LOG_WARNING, "tls.not-valid", LOG_C("section", item->name),
            LOG_C("file", item->files[0].path), LOG_C("why", why.text),
            LOG_C("effect", "others refuse it; it stays in use because there is no better one"));
    else if (days_left(facts) < KEY_REPORT_WARN_DAYS)
        LOG(LOG_WARNING, "tls.expires-soon", LOG_C("section", item->name),
            LOG_C("file", item->files[0].path), LOG_INT("days_left", days_left(facts)),
            LOG_C("hint", "renew it: what changes there is taken up by itself"));
    if (keyring_lacks_hostname(k, item, master.settings))
        LOG(LOG_WARNING, "tls.other-name", LOG_C("section", item->name),
            LOG_C("file", item->files[0].path), LOG_C("hostname", master.settings->server_hostname),
            LOG_C("hint", "the first certificate should be for server.hostname"));
}

static void warn_of_lists(const struct keyring_item *item)
{
    char until[CLOCK_TEXT_BYTES];

    if (item->until_ms > clock_real_ms())
        return;
    LOG(LOG_WARNING, "tls.list-ended", LOG_C("file", item->files[0].path),
        LOG_C("until", clock_format_utc(item->until_ms, until)),
        LOG_C("effect", "certificates of users open nothing: one of them may be called back"),
        LOG_C("hint", "get a new list from the authority: it is taken up by itself"));
}

static void warn_of_all(void)
{
    const struct keyring *k = master.keyring;
    struct buf title;

    if (k->count == 0 || k->items[0].kind != KEYRING_IDENTITY)
        LOG(LOG_WARNING, "tls.no-certificate",
            LOG_C("effect", "connections are not encrypted; users cannot log in by password"),
            LOG_C("hint",
                  "write certificate \"NAME\" { folder = \"/etc/letsencrypt/live/NAME\" }"));
    for (size_t i = 0; i < k->count; i++) {
        const struct keyring_item *item = &k->items[i];
        if (item->identity != NULL)
            warn_of_identity(k, item);
        if (item->kind == KEYRING_CLIENT_CRL)
            warn_of_lists(item);
        if (item->problem == NULL)
            continue;
        buf_init(&title, TITLE_MAX_BYTES);
        keyring_put_title(item, &title);
        LOG(LOG_WARNING, "tls.unusable", LOG_STR("what", buf_str(&title)),
            LOG_C("why", item->problem));
        buf_done(&title);
    }
}

/* --- to the children --- */

static void send_sealed(struct child_process *child, uint16_t message, struct buf *bytes)
{
    int fd = -1;

    int r = buf_status(bytes);
    if (r == 0)
        r = sealed_make("hikyaku-keys", buf_str(bytes), &fd);
    if (r < 0) {
        LOG(LOG_ERROR, "tls.not-sent", LOG_C("child", child->kind->service), LOG_ERR(r));
        return;
    }
    child_send(child, message, STR(""), fd);
    close(fd);
}

static void send_secrets(struct child_process *child)
{
    struct secrets secrets;
    struct arena arena;
    struct buf bytes;

    arena_init(&arena, SECRETS_ARENA_BYTES);
    keyring_secrets(master.keyring, &arena, &secrets);
    secrets.ticket_keys[0] =
        str_from_mem(&self.ticket_keys.current, sizeof(self.ticket_keys.current));
    secrets.ticket_keys[1] =
        str_from_mem(&self.ticket_keys.previous, sizeof(self.ticket_keys.previous));
    secrets.ticket_key_count = 2;
    buf_init(&bytes, SECRETS_MAX_BYTES);
    /* All room at once: growing would leave copies behind. */
    (void)buf_reserve(&bytes, secrets_length(&secrets, child->kind->secrets));
    secrets_encode(&secrets, child->kind->secrets, &bytes);
    send_sealed(child, CONTROL_TLS, &bytes);
    key_file_wipe(&bytes);
    arena_done(&arena);
}

static void send_reports(struct child_process *store)
{
    struct buf bytes;

    buf_init(&bytes, KEY_REPORTS_MAX_BYTES);
    keyring_put_reports(master.keyring, master.settings, &bytes);
    send_sealed(store, CONTROL_KEY_REPORTS, &bytes);
    buf_done(&bytes);
}

void keys_send(struct child_process *child)
{
    if (child->pid == 0)
        return;
    if (child == master.peers[CONTROL_PEER_STORE])
        send_reports(child);
    if (child->kind->secrets != 0)
        send_secrets(child);
}

/* To those who get some of these parts. */
static void send_to(unsigned parts)
{
    for (size_t i = 0; i < master.child_count; i++) {
        if ((master.children[i].kind->secrets & parts) != 0)
            keys_send(&master.children[i]);
    }
}

/* --- over time --- */

void keys_use(struct keyring *keyring)
{
    keyring_free(master.keyring);
    master.keyring = keyring;
    if (!self.has_ticket_keys)
        tls_ticket_keys_make(&self.ticket_keys);
    self.has_ticket_keys = true;
    for (size_t i = 0; i < keyring->count; i++) {
        if (keyring->items[i].identity != NULL)
            log_identity(&keyring->items[i]);
    }
    warn_of_all();
}

static void on_look(struct loop_timer *t)
{
    unsigned news = keyring_refresh(master.keyring);
    int64_t pause_ms = (news & KEYRING_IS_UNSETTLED) != 0 ? LOOK_AGAIN_MS : LOOK_EVERY_MS;

    if ((news & KEYRING_HAS_NEWS) != 0)
        send_to(~0U);
    if ((news & (KEYRING_HAS_NEWS | KEYRING_HAS_PROBLEM)) != 0)
        keys_send(master.peers[CONTROL_PEER_STORE]);
    loop_timer_set(t, clock_mono_ms() + pause_ms);
}

static void on_rotate(struct loop_timer *t)
{
    tls_ticket_keys_rotate(&self.ticket_keys);
    LOG(LOG_DEBUG, "tls.ticket-keys-changed", LOG_INT("next_in_ms", ROTATE_EVERY_MS));
    send_to(SECRETS_IDENTITIES);
    loop_timer_set(t, clock_mono_ms() + ROTATE_EVERY_MS);
}

static void on_warn(struct loop_timer *t)
{
    warn_of_all();
    loop_timer_set(t, clock_mono_ms() + DAY_MS);
}

void keys_watch(void)
{
    self.look_timer.on_fire = on_look;
    self.rotate_timer.on_fire = on_rotate;
    self.warn_timer.on_fire = on_warn;
    loop_timer_set(&self.look_timer, clock_mono_ms() + LOOK_EVERY_MS);
    loop_timer_set(&self.rotate_timer, clock_mono_ms() + ROTATE_EVERY_MS);
    loop_timer_set(&self.warn_timer, clock_mono_ms() + DAY_MS);
}

void keys_done(void)
{
    loop_timer_clear(&self.look_timer);
    loop_timer_clear(&self.rotate_timer);
    loop_timer_clear(&self.warn_timer);
    keyring_free(master.keyring);
    master.keyring = NULL;
    explicit_bzero(&self.ticket_keys, sizeof(self.ticket_keys));
    self.has_ticket_keys = false;
}
