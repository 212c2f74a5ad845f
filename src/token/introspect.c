/* Asking the issuer what a token is worth: see introspect.h. */
#include "token/introspect.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "crypt/secret.h"

enum {
    KEY_BYTES = 32,
    HASH_BYTES = 32,
    FORM_MAX_BYTES = 3 * 8192 + 256, /* a token, each byte of it coded */
    ANSWER_MAX_BYTES = 64 * 1024,
};

struct remembered {
    struct list link;
    uint8_t hash[HASH_BYTES]; /* its key in the map */
    int64_t until_ms;         /* monotonic */
    struct claims claims;
};

struct introspector {
    const struct settings *settings;
    struct str ca_pem;
    char *secret;
    uint8_t key[KEY_BYTES];
    pthread_mutex_t lock; /* of all below */
    struct map tokens;    /* hash -> struct remembered */
    struct list oldest;
    struct fetcher *idle[INTROSPECT_IDLE_MAX];
    size_t idle_count;
};

struct introspector *introspector_new(const struct settings *settings, struct str ca_pem,
                                      struct str client_secret)
{
    struct introspector *i = xcalloc(1, sizeof(*i));

    *i = (struct introspector){
        .settings = settings, .ca_pem = ca_pem, .secret = str_dup(client_secret)};
    secret_random(i->key, sizeof(i->key));
    map_init(&i->tokens, INTROSPECT_CACHE_MAX);
    list_init(&i->oldest);
    (void)map_hash(STR("")); /* its key is drawn at the first use, which should have one thread */
    ASSERT(pthread_mutex_init(&i->lock, NULL) == 0);
    return i;
}

static struct str key_of(const struct remembered *r)
{
    return str_from_mem(r->hash, sizeof(r->hash));
}

static void drop(struct introspector *i, struct remembered *r)
{
    (void)map_remove(&i->tokens, key_of(r));
    list_remove(&r->link);
    free(r);
}

static struct remembered *oldest(struct introspector *i)
{
    return list_is_empty(&i->oldest) ? NULL : CONTAINER_OF(i->oldest.next, struct remembered, link);
}

void introspector_free(struct introspector *i)
{
    if (i == NULL)
        return;
    while (oldest(i) != NULL)
        drop(i, oldest(i));
    map_done(&i->tokens);
    while (i->idle_count > 0)
        fetcher_free(i->idle[--i->idle_count]);
    (void)pthread_mutex_destroy(&i->lock);
    sodium_memzero(i->secret, str_from_c(i->secret).len);
    free(i->secret);
    free(i);
}

/* --- remembering; under the lock --- */

static bool recall(struct introspector *i, struct str hash, struct claims *out)
{
    struct remembered *r = map_get(&i->tokens, hash);

    if (r == NULL)
        return false;
    if (clock_mono_ms() >= r->until_ms || clock_real_ms() >= r->claims.until_ms) {
        drop(i, r);
        return false;
    }
    *out = r->claims;
    return true;
}

static void remember(struct introspector *i, struct str hash, const struct claims *claims)
{
    int64_t keep_ms = i->settings->auth_oauth_cache, now_ms = clock_mono_ms();
    struct remembered *before = map_get(&i->tokens, hash);

    if (before != NULL)
        drop(i, before);
    /* All are kept equally long: the oldest ends first. */
    for (struct remembered *r = oldest(i);
         r != NULL && (r->until_ms <= now_ms || i->tokens.count >= INTROSPECT_CACHE_MAX);
         r = oldest(i))
        drop(i, r);
    if (keep_ms == 0)
        return;
    struct remembered *r = xcalloc(1, sizeof(*r));
    *r = (struct remembered){.until_ms = now_ms + keep_ms, .claims = *claims};
    ASSERT(hash.len == sizeof(r->hash));
    for (size_t n = 0; n < hash.len; n++)
        r->hash[n] = (uint8_t)hash.ptr[n];
    list_init(&r->link);
    list_append(&i->oldest, &r->link);
    ASSERT(map_set(&i->tokens, hash, r) == 0);
}

/* --- asking --- */

static struct fetcher *take_fetcher(struct introspector *i)
{
    struct fetcher *f = NULL;

    (void)pthread_mutex_lock(&i->lock);
    if (i->idle_count > 0)
        f = i->idle[--i->idle_count];
    (void)pthread_mutex_unlock(&i->lock);
    return f != NULL ? f : fetcher_new();
}

static void give_fetcher(struct introspector *i, struct fetcher *f)
{
    (void)pthread_mutex_lock(&i->lock);
    if (i->idle_count < INTROSPECT_IDLE_MAX) {
        i->idle[i->idle_count++] = f;
        f = NULL;
    }
    (void)pthread_mutex_unlock(&i->lock);
    fetcher_free(f);
}

/* RFC 7662 section 2.1. */
static int ask(struct introspector *i, struct str token, struct buf *answer,
               char out_why[FETCH_WHY_BYTES])
{
    struct buf form;

    buf_init(&form, FORM_MAX_BYTES);
    ASSERT(buf_reserve(&form, FORM_MAX_BYTES) != NULL);
    buf_put_c(&form, "token=");
    fetch_put_form(token, &form);
    buf_put_c(&form, "&token_type_hint=access_token");
    struct fetch_request request = {.url = i->settings->auth_oauth_introspection_url,
                                    .ca_pem = i->ca_pem,
                                    .may_http = i->settings->auth_oauth_http_on_loopback,
                                    .form = buf_c_str(&form),
                                    .id = i->settings->auth_oauth_client_id,
                                    .secret = i->secret,
                                    .timeout_ms = i->settings->auth_oauth_timeout};
    struct fetcher *f = take_fetcher(i);
    int r = buf_status(&form) < 0 ? -EMSGSIZE : fetch(f, &request, answer, out_why);
    give_fetcher(i, f);
    secret_wipe_buf(&form);
    return r;
}

static int judge(struct introspector *i, struct str answer, struct claims *out,
                 char out_why[FETCH_WHY_BYTES])
{
    const char *why;
    int r = claims_judge(answer, CLAIMS_OF_INTROSPECTION, i->settings, clock_real_ms(), out, &why);

    (void)snprintf(out_why, FETCH_WHY_BYTES, "%s", r < 0 ? why : "");
    return r < 0 ? -EKEYREJECTED : 0;
}

static int find_out(struct introspector *i, struct str token, struct claims *out,
                    char out_why[FETCH_WHY_BYTES])
{
    CLEANUP(buf_done) struct buf answer;

    buf_init(&answer, ANSWER_MAX_BYTES);
    if (ask(i, token, &answer, out_why) == 0)
        return judge(i, buf_str(&answer), out, out_why);
    LOG(LOG_WARNING, "token.not-introspected",
        LOG_C("url", i->settings->auth_oauth_introspection_url), LOG_C("why", out_why));
    return -EAGAIN;
}

int introspect(struct introspector *i, struct str token, struct claims *out,
               char out_why[FETCH_WHY_BYTES])
{
    uint8_t bytes[HASH_BYTES] = {0};
    struct str hash = str_from_mem(bytes, sizeof(bytes));

    out_why[0] = '\0';
    (void)crypto_generichash(bytes, sizeof(bytes), (const uint8_t *)token.ptr, token.len, i->key,
                             sizeof(i->key));
    (void)pthread_mutex_lock(&i->lock);
    bool is_known = recall(i, hash, out);
    (void)pthread_mutex_unlock(&i->lock);
    if (is_known)
        return 0;
    int r = find_out(i, token, out, out_why);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&i->lock);
    remember(i, hash, out);
    (void)pthread_mutex_unlock(&i->lock);
    return 0;
}
