/*
 * A server that is fed with any dialogue. The first byte says which mechanism, the second what the
 * connection and the backend are like, then come the client's lines: "!" before one that is sent as
 * it is, "$" for what a right client of SCRAM would say now (and what follows is put behind it),
 * everything else is coded.
 *
 * Whatever is said, nobody gets in whom the backend did not let in, and challenges are bounded.
 */
#include <stdint.h>

#include "sasl/base64.h"
#include "sasl/check_backend.h"
#include "sasl/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum {
    FLAG_CLEAR = 1 << 0,
    FLAG_UNBOUND = 1 << 1,
    FLAG_INITIAL = 1 << 2,
    FLAG_TEMPORARY = 1 << 3,
    FLAG_TOO_MANY = 1 << 4,
    LINES_MAX = 8,
};

struct client {
    struct scram_exchange exchange;
    unsigned said;
};

/* What a right client would say to the challenge. */
static void put_right(struct client *c, enum sasl_mechanism mechanism, const struct buf *challenge,
                      struct buf *out)
{
    CLEANUP(buf_done) struct buf bytes;
    struct scram_client_start start = {
        .flag = GS2_NO_BINDING, .name = STR("taro"), .nonce = STR("rOprNGfwEbeRWgbNEkqO")};

    buf_init(&bytes, SASL_CHALLENGE_MAX_BYTES);
    if ((sasl_mechanism_traits(mechanism) & SASL_TRAIT_BINDING) != 0) {
        start.flag = GS2_BINDING_USED;
        start.binding_name = sasl_binding_name(SASL_BINDING_TLS_EXPORTER);
        start.binding_data = check_bindings_full().data[SASL_BINDING_TLS_EXPORTER];
    }
    if (c->said++ == 0) {
        scram_client_begin(&c->exchange, &start, out);
        return;
    }
    ASSERT(sasl_base64_take(buf_str(challenge), &bytes) == 0);
    if (c->said == 2)
        (void)!scram_client_answer(&c->exchange, buf_str(&bytes), STR("pencil"), out);
}

static void put_line(struct client *c, enum sasl_mechanism mechanism, struct str text,
                     const struct buf *challenge, struct buf *out)
{
    CLEANUP(buf_done) struct buf bytes;

    buf_init(&bytes, 2 * SASL_LINE_MAX_BYTES);
    buf_reset(out);
    if (str_has_prefix(text, STR("!"))) {
        buf_put_str(out, str_sub(text, 1, text.len));
        return;
    }
    if (str_has_prefix(text, STR("$"))) {
        put_right(c, mechanism, challenge, &bytes);
        text = str_sub(text, 1, text.len);
    }
    buf_put_str(&bytes, text);
    sasl_base64_put(buf_str(&bytes), out);
}

static void check_end(const struct sasl_server *s, const struct check_backend *b,
                      enum sasl_outcome outcome)
{
    unsigned asked = b->passwords + b->tokens + b->certificates + b->successes;

    ASSERT((outcome == SASL_FAILED) == (sasl_server_reason(s) != SASL_REASON_NONE) ||
           outcome == SASL_CONTINUE);
    ASSERT(b->scrams + b->crams + b->passwords + b->tokens + b->certificates <= 1);
    ASSERT(b->successes + b->failures <= b->scrams + b->crams);
    ASSERT(sasl_server_authcid(s).len <= SASL_NAME_MAX_BYTES);
    if (outcome != SASL_DONE)
        return;
    ASSERT(asked == 1 && b->failures == 0);
    ASSERT(sasl_server_identity(s)->account_id > 0);
}

static void play(struct sasl_server *s, struct str mechanism_name, bool has_initial,
                 struct str script, const struct check_backend *b)
{
    CLEANUP(buf_done) struct buf line;
    CLEANUP(buf_done) struct buf challenge;
    enum sasl_mechanism mechanism = SASL_PLAIN;
    struct client c = {.said = 0};
    struct str text = STR_NONE, initial = STR_NONE;

    buf_init(&line, 4 * SASL_LINE_MAX_BYTES);
    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    (void)!sasl_mechanism_find(mechanism_name, &mechanism);
    scram_exchange_init(&c.exchange, (sasl_mechanism_traits(mechanism) & SASL_TRAIT_SHA_256) != 0
                                         ? SCRAM_SHA_256
                                         : SCRAM_SHA_1);
    if (has_initial) {
        str_cut(script, '\n', &text, &script);
        put_line(&c, mechanism, text, &challenge, &line);
        initial = str_from_mem(line.len > 0 ? line.ptr : "", line.len);
    }
    enum sasl_outcome outcome = sasl_server_start(s, mechanism_name, initial, &challenge);
    for (unsigned i = 0; outcome == SASL_CONTINUE && i < LINES_MAX; i++) {
        ASSERT(challenge.len <= SASL_CHALLENGE_MAX_BYTES);
        str_cut(script, '\n', &text, &script);
        put_line(&c, mechanism, text, &challenge, &line);
        outcome = sasl_server_step(s, buf_str(&line), &challenge);
    }
    /* No mechanism has so many steps. */
    ASSERT(outcome != SASL_CONTINUE);
    check_end(s, b, outcome);
    scram_exchange_done(&c.exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct sasl_offer offer = check_offer_full();
    struct check_backend b = check_backend_usual();

    if (len < 2)
        return 0;
    unsigned index = bytes[0] % (SASL_MECHANISM_COUNT + 1), flags = bytes[1];
    struct str name = index < SASL_MECHANISM_COUNT ? sasl_mechanism_name(index) : STR("NOSUCH");
    offer.is_encrypted = (flags & FLAG_CLEAR) == 0;
    if ((flags & FLAG_UNBOUND) != 0)
        offer.bindings = (struct sasl_bindings){.data = {STR_NONE}};
    if ((flags & FLAG_TEMPORARY) != 0)
        b.first_verdict = SASL_VERDICT_TEMPORARY;
    if ((flags & FLAG_TOO_MANY) != 0)
        b.failure_verdict = SASL_VERDICT_TOO_MANY;
    struct sasl_server *s = sasl_server_new(&offer, &CHECK_BACKEND, &b);
    play(s, name, (flags & FLAG_INITIAL) != 0, str_from_mem(&bytes[2], len - 2), &b);
    sasl_server_free(s);
    return 0;
}
