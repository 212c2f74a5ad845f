/*
 * SCRAM at the server (RFC 5802, 7677): names and keys by the backend, the messages by scram.h.
 *
 * An account that does not exist goes the same way as a wrong password: the backend has keys for
 * every name. A proof that is wrong in any way counts as a failure there.
 */
#include <stdlib.h>
#include <string.h>

#include "crypt/secret.h"
#include "sasl/base64.h"
#include "sasl/scram.h"
#include "sasl/server_mech.h"

enum { NONCE_RANDOM_BYTES = 24 };

struct scram_state {
    struct scram_exchange exchange;
    struct scram_keys keys;
};

static void begin(struct sasl_server *s)
{
    struct scram_state *state = xcalloc(1, sizeof(*state));
    bool is_sha_256 = (sasl_mechanism_traits(s->mechanism) & SASL_TRAIT_SHA_256) != 0;

    scram_exchange_init(&state->exchange, is_sha_256 ? SCRAM_SHA_256 : SCRAM_SHA_1);
    s->state = state;
}

static void end(struct sasl_server *s)
{
    struct scram_state *state = s->state;

    scram_exchange_done(&state->exchange);
    explicit_bzero(state, sizeof(*state));
    free(state);
}

/*
 * RFC 5802 section 6. "y" from a client means that it has not seen the -PLUS that we offer:
 * somebody took it away. We offer -PLUS whenever there is a binding; whether by another hash is the
 * same to the client's eyes.
 */
static bool is_flag_right(const struct sasl_server *s, const struct gs2_header *gs2,
                          struct str *out_binding_data)
{
    bool is_plus = (sasl_mechanism_traits(s->mechanism) & SASL_TRAIT_BINDING) != 0;
    unsigned plus = SASL_SET(SASL_SCRAM_SHA_256_PLUS) | SASL_SET(SASL_SCRAM_SHA_1_PLUS);

    *out_binding_data = STR_NONE;
    if (is_plus != (gs2->flag == GS2_BINDING_USED))
        return false;
    if (gs2->flag == GS2_BINDING_UNUSED)
        return (sasl_offer_mechanisms(&s->offer) & plus) == 0;
    if (!is_plus)
        return true;
    *out_binding_data = sasl_bindings_find(&s->offer.bindings, gs2->binding_name);
    return out_binding_data->len > 0;
}

/* Why a flag is not right: no attack when -PLUS was taken at its word, but by a name such as
 * tls-unique, which was never offered. */
static enum sasl_reason reason_of_flag(const struct sasl_server *s, const struct gs2_header *gs2)
{
    bool is_plus = (sasl_mechanism_traits(s->mechanism) & SASL_TRAIT_BINDING) != 0;

    if (is_plus && gs2->flag == GS2_BINDING_USED && !sasl_binding_is_known(gs2->binding_name))
        return SASL_REASON_BINDING_TYPE;
    return SASL_REASON_BINDING;
}

static bool keep_names(struct sasl_server *s, const struct scram_client_first *first)
{
    CLEANUP(buf_done) struct buf name;
    CLEANUP(buf_done) struct buf authzid;

    buf_init(&name, SASL_NAME_MAX_BYTES);
    buf_init(&authzid, SASL_NAME_MAX_BYTES);
    if (gs2_name_take(first->name, &name) < 0)
        return false;
    if (first->gs2.authzid.len > 0 && gs2_name_take(first->gs2.authzid, &authzid) < 0)
        return false;
    return sasl_server_keep_names(s, buf_str(&name), buf_str(&authzid));
}

static void draw_nonce(struct buf *out)
{
    uint8_t random[NONCE_RANDOM_BYTES];

    secret_random(random, sizeof(random));
    sasl_base64_put(str_from_mem(random, sizeof(random)), out);
}

static bool are_usable(const struct scram_keys *keys, enum scram_hash hash)
{
    return keys->hash == hash && keys->key_bytes == scram_hash_bytes(hash) &&
           keys->salt_bytes > 0 && keys->salt_bytes <= sizeof(keys->salt) && keys->iterations > 0;
}

static enum sasl_outcome take_first(struct sasl_server *s, struct str response)
{
    CLEANUP(buf_done) struct buf nonce;
    struct scram_state *state = s->state;
    struct scram_client_first first;
    struct str binding_data;

    buf_init(&nonce, SCRAM_NONCE_MAX_BYTES - SCRAM_CLIENT_NONCE_MAX_BYTES);
    if (scram_read_client_first(response, &first) < 0 || !keep_names(s, &first))
        return sasl_server_fail(s, SASL_REASON_MALFORMED);
    if (!is_flag_right(s, &first.gs2, &binding_data))
        return sasl_server_fail(s, reason_of_flag(s, &first.gs2));
    struct sasl_login login = sasl_server_login(s);
    enum sasl_verdict verdict =
        s->backend->get_scram_keys(s->ctx, &login, state->exchange.hash, &state->keys);
    if (verdict != SASL_VERDICT_OK)
        return sasl_server_settle(s, verdict);
    /* They came from another process. */
    if (!are_usable(&state->keys, state->exchange.hash))
        return SASL_TEMPORARY;
    draw_nonce(&nonce);
    scram_server_answer(&state->exchange, &first, &state->keys, binding_data, buf_str(&nonce));
    buf_put_str(&s->challenge, buf_str(&state->exchange.server_first));
    return SASL_CONTINUE;
}

static enum sasl_reason reason_of(enum scram_check check)
{
    if (check == SCRAM_MALFORMED)
        return SASL_REASON_MALFORMED;
    return check == SCRAM_WRONG_BINDING ? SASL_REASON_BINDING : SASL_REASON_CREDENTIALS;
}

/* The account may have more than one password, of which the client has one. */
static bool has_other_keys(struct sasl_server *s, const struct sasl_login *login)
{
    struct scram_state *state = s->state;

    return s->backend->next_scram_keys != NULL &&
           s->backend->next_scram_keys(s->ctx, login, &state->keys) &&
           are_usable(&state->keys, state->exchange.hash);
}

static enum sasl_outcome take_final(struct sasl_server *s, struct str response)
{
    struct scram_state *state = s->state;
    struct sasl_login login = sasl_server_login(s);
    enum scram_check check =
        scram_server_check(&state->exchange, &state->keys, response, &s->challenge);

    while (check == SCRAM_WRONG_PROOF && has_other_keys(s, &login))
        check = scram_server_check(&state->exchange, &state->keys, response, &s->challenge);
    if (check != SCRAM_OK) {
        enum sasl_verdict verdict = s->backend->note_failure(s->ctx, &login);
        if (verdict == SASL_VERDICT_TOO_MANY || verdict == SASL_VERDICT_TEMPORARY)
            return sasl_server_settle(s, verdict);
        return sasl_server_fail(s, reason_of(check));
    }
    enum sasl_outcome outcome =
        sasl_server_settle(s, s->backend->note_success(s->ctx, &login, &s->identity));
    /* The server's proof is sent as a challenge; the client's last word is empty. */
    return outcome == SASL_DONE ? SASL_CONTINUE : outcome;
}

static enum sasl_outcome step(struct sasl_server *s, struct str response)
{
    if (s->step_count == 0)
        return take_first(s, response);
    if (s->step_count == 1)
        return take_final(s, response);
    return response.len == 0 ? SASL_DONE : sasl_server_fail(s, SASL_REASON_MALFORMED);
}

const struct sasl_server_mech sasl_mech_scram = {.begin = begin, .step = step, .end = end};
