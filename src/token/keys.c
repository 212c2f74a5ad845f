/* The keys of the issuer: see keys.h. */
#include "token/keys.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/url.h"
#include "token/json.h"
#include "token/jwk.h"

/* A set, as long as somebody looks at it. */
struct held {
    unsigned users;
    struct jwk_set *set;
};

struct keys {
    const struct settings *settings;
    struct str ca_pem;
    bool is_local;
    struct fetcher *fetcher; /* of the thread that fetches */
    pthread_mutex_t lock;    /* of all below */
    pthread_cond_t on_fetched;
    bool is_fetching;
    bool has_tried, has_failed;   /* the last time */
    int64_t tried_ms, fetched_ms; /* monotonic */
    struct held *now;             /* NULL: none yet */
    char why[FETCH_WHY_BYTES];    /* it failed */
};

static struct held *hold(struct jwk_set *set)
{
    struct held *h = xcalloc(1, sizeof(*h));

    *h = (struct held){.users = 1, .set = set};
    return h;
}

/* Under the lock. */
static void let_go(struct held *h)
{
    if (h == NULL || --h->users > 0)
        return;
    jwk_set_free(h->set);
    free(h);
}

int keys_new(const struct settings *settings, struct str ca_pem, struct str file_json,
             struct keys **out, const char **out_why)
{
    struct jwk_set *set = NULL;

    *out = NULL;
    *out_why = "";
    if (file_json.len > 0 && jwk_set_parse(file_json, &set, out_why) < 0)
        return -EINVAL;
    struct keys *k = xcalloc(1, sizeof(*k));
    *k = (struct keys){.settings = settings, .ca_pem = ca_pem, .is_local = set != NULL};
    k->now = set != NULL ? hold(set) : NULL;
    k->fetcher = fetcher_new();
    ASSERT(pthread_mutex_init(&k->lock, NULL) == 0 && pthread_cond_init(&k->on_fetched, NULL) == 0);
    *out = k;
    return 0;
}

void keys_free(struct keys *k)
{
    if (k == NULL)
        return;
    let_go(k->now);
    fetcher_free(k->fetcher);
    (void)pthread_cond_destroy(&k->on_fetched);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

/* --- fetching, by one thread at a time, without the lock --- */

static int get(struct keys *k, const char *url, int64_t deadline_ms, struct buf *body,
               char why[FETCH_WHY_BYTES])
{
    struct fetch_request request = {.url = url,
                                    .ca_pem = k->ca_pem,
                                    .may_http = k->settings->auth_oauth_http_on_loopback,
                                    .timeout_ms = deadline_ms - clock_mono_ms()};

    buf_reset(body);
    return fetch(k->fetcher, &request, body, why);
}

/* The URL of the keys, in the issuer's own words; the caller frees. NULL: see why. */
static char *discover(struct keys *k, int64_t deadline_ms, struct buf *body,
                      char why[FETCH_WHY_BYTES])
{
    struct str issuer = str_from_c(k->settings->auth_oauth_issuer);
    CLEANUP(buf_done) struct buf url;

    buf_init(&url, URL_MAX_CHARS);
    url_put_discovery(issuer, &url);
    if (get(k, buf_c_str(&url), deadline_ms, body, why) < 0)
        return NULL;
    CLEANUP(token_json_free) json_t *told = token_json_load(buf_str(body));
    struct str keys_url = token_json_str(told, "jwks_uri");
    bool may_http = k->settings->auth_oauth_http_on_loopback;
    const char *wrong = NULL;
    if (!str_eq(token_json_str(told, "issuer"), issuer)) /* section 4.3 */
        wrong = "what it publishes about itself is not of auth.oauth_issuer";
    else if (!url_is_safe(keys_url, may_http))
        wrong = "it publishes no address of keys that may be asked";
    if (wrong == NULL)
        return str_dup(keys_url);
    (void)snprintf(why, FETCH_WHY_BYTES, "%s", wrong);
    return NULL;
}

/* NULL: see why. */
static struct jwk_set *fetch_set(struct keys *k, char why[FETCH_WHY_BYTES])
{
    int64_t deadline_ms = clock_mono_ms() + k->settings->auth_oauth_timeout;
    const char *configured = k->settings->auth_oauth_keys_url;
    CLEANUP(buf_done) struct buf body;
    struct jwk_set *set = NULL;
    const char *wrong = "";

    buf_init(&body, FETCH_MAX_BYTES);
    CLEANUP(cleanup_free)
    char *url = configured[0] != '\0' ? xstrdup(configured) : discover(k, deadline_ms, &body, why);
    if (url == NULL || get(k, url, deadline_ms, &body, why) < 0)
        return NULL;
    if (jwk_set_parse(buf_str(&body), &set, &wrong) < 0)
        (void)snprintf(why, FETCH_WHY_BYTES, "its keys cannot be used: %s", wrong);
    return set;
}

static void note_fetched(struct keys *k, struct jwk_set *set, const char *why)
{
    k->is_fetching = false;
    k->tried_ms = clock_mono_ms();
    k->has_tried = true;
    k->has_failed = set == NULL;
    (void)snprintf(k->why, sizeof(k->why), "%s", why);
    if (set != NULL) {
        let_go(k->now);
        k->now = hold(set);
        k->fetched_ms = k->tried_ms;
    }
    (void)pthread_cond_broadcast(&k->on_fetched);
}

/* Under the lock, which is given up meanwhile. Fetches, unless that has just been done; if somebody
 * else is at it, waits for him, or, without must_wait, does nothing. */
static void refresh(struct keys *k, bool must_wait)
{
    char why[FETCH_WHY_BYTES] = "";

    if (k->is_fetching) {
        while (must_wait && k->is_fetching)
            (void)pthread_cond_wait(&k->on_fetched, &k->lock);
        return;
    }
    int64_t pause_ms = k->has_failed ? KEYS_RETRY_MS : KEYS_PAUSE_MS;
    if (k->is_local || (k->has_tried && clock_mono_ms() - k->tried_ms < pause_ms))
        return;
    k->is_fetching = true;
    (void)pthread_mutex_unlock(&k->lock);
    struct jwk_set *set = fetch_set(k, why);
    if (set == NULL)
        LOG(LOG_WARNING, "token.keys-not-fetched", LOG_C("issuer", k->settings->auth_oauth_issuer),
            LOG_C("why", why));
    else
        LOG(LOG_INFO, "token.keys", LOG_C("issuer", k->settings->auth_oauth_issuer),
            LOG_INT("count", jwk_set_count(set)));
    (void)pthread_mutex_lock(&k->lock);
    note_fetched(k, set, why);
}

/* --- verifying --- */

/* Under the lock: keys that are good now, or NULL. */
static struct held *current(struct keys *k)
{
    int64_t age_ms = clock_mono_ms() - k->fetched_ms;

    if (k->is_local)
        return k->now;
    if (k->now == NULL || age_ms >= KEYS_LIFE_MS)
        refresh(k, k->now == NULL || age_ms >= KEYS_STALE_MAX_MS);
    bool is_too_old = clock_mono_ms() - k->fetched_ms >= KEYS_STALE_MAX_MS;
    return is_too_old ? NULL : k->now;
}

/* Under the lock, which is given up meanwhile. */
static enum jwk_result look(struct keys *k, struct held *h, const struct jwt *jwt)
{
    h->users++;
    (void)pthread_mutex_unlock(&k->lock);
    enum jwk_result result =
        jwk_set_verify(h->set, jwt->key_id, jwt->algorithm, jwt->signed_text, jwt->signature);
    (void)pthread_mutex_lock(&k->lock);
    let_go(h);
    return result;
}

static int fail(int error, const char *why, char out_why[FETCH_WHY_BYTES])
{
    (void)snprintf(out_why, FETCH_WHY_BYTES, "%s", why);
    return error;
}

static int verify(struct keys *k, const struct jwt *jwt, char out_why[FETCH_WHY_BYTES])
{
    struct held *h = current(k);

    if (h == NULL)
        return fail(-EAGAIN, k->why, out_why);
    enum jwk_result result = look(k, h, jwt);
    if (result == JWK_UNKNOWN_KEY && !k->is_local) {
        int64_t before_ms = k->fetched_ms;
        refresh(k, true);
        if (k->fetched_ms != before_ms)
            result = look(k, k->now, jwt);
        else if (k->has_failed)
            return fail(-EAGAIN, k->why, out_why);
    }
    if (result == JWK_GOOD)
        return 0;
    return fail(-EKEYREJECTED,
                result == JWK_BAD ? "its signature is wrong" : "its key is not known", out_why);
}

int keys_verify(struct keys *k, const struct jwt *jwt, char out_why[FETCH_WHY_BYTES])
{
    out_why[0] = '\0';
    (void)pthread_mutex_lock(&k->lock);
    int r = verify(k, jwt, out_why);
    (void)pthread_mutex_unlock(&k->lock);
    return r;
}
