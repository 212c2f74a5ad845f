/*
 * A client that is fed with any challenges: the first byte says which mechanism, then come the
 * server's lines, "!" before one that is sent as it is, "$" for what our server would say to the
 * client's last line (and what follows is put behind it), everything else is coded.
 *
 * Whatever a server says, a client of SCRAM is not done without the server's proof, and what it
 * says is bounded.
 */
#include <stdint.h>

#include "crypt/secret.h"
#include "sasl/base64.h"
#include "sasl/check_backend.h"
#include "sasl/client.h"
#include "sasl/scram_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { LINES_MAX = 8, ITERATIONS_MAX = 5000, ALL = (1 << SASL_MECHANISM_COUNT) - 1 };

struct meeting {
    struct check_backend backend;
    struct sasl_server *server;
    struct sasl_client *client;
    enum sasl_mechanism mechanism;
    bool is_server_alive, has_begun, has_lied;
    struct buf line, challenge;
};

/* What our server says to the client's line, if it still speaks. */
static void put_right(struct meeting *m, struct buf *out)
{
    CLEANUP(buf_done) struct buf challenge;
    enum sasl_outcome outcome = SASL_FAILED;

    buf_init(&challenge, SASL_CHALLENGE_MAX_BYTES);
    if (!m->has_begun)
        outcome = sasl_server_start(m->server, sasl_mechanism_name(m->mechanism),
                                    m->mechanism == SASL_LOGIN ? STR_NONE : buf_str(&m->line),
                                    &challenge);
    else if (m->is_server_alive)
        outcome = sasl_server_step(m->server, buf_str(&m->line), &challenge);
    m->has_begun = true;
    m->is_server_alive = outcome == SASL_CONTINUE;
    if (m->is_server_alive)
        ASSERT(sasl_base64_take(buf_str(&challenge), out) == 0);
}

static void put_challenge(struct meeting *m, struct str text)
{
    CLEANUP(buf_done) struct buf bytes;

    buf_init(&bytes, 2 * SASL_LINE_MAX_BYTES);
    buf_reset(&m->challenge);
    if (str_has_prefix(text, STR("!"))) {
        buf_put_str(&m->challenge, str_sub(text, 1, text.len));
        m->has_lied = true;
        return;
    }
    if (str_has_prefix(text, STR("$"))) {
        put_right(m, &bytes);
        text = str_sub(text, 1, text.len);
    }
    m->has_lied = m->has_lied || text.len > 0;
    buf_put_str(&bytes, text);
    sasl_base64_put(buf_str(&bytes), &m->challenge);
}

/* Whether the challenge asks for more work than a fuzzer has the time for. */
static bool is_costly(const struct meeting *m)
{
    CLEANUP(buf_done) struct buf bytes;
    struct scram_server_first first;

    buf_init(&bytes, SASL_LINE_MAX_BYTES);
    return sasl_base64_take(buf_str(&m->challenge), &bytes) == 0 &&
           scram_read_server_first(buf_str(&bytes), &first) == 0 &&
           first.iterations > ITERATIONS_MAX;
}

static void play(struct meeting *m, struct str script)
{
    enum sasl_client_outcome said = sasl_client_start(m->client, m->mechanism, ALL, &m->line);
    struct str text;

    for (unsigned i = 0; said != SASL_CLIENT_CANCEL && i < LINES_MAX; i++) {
        str_cut(script, '\n', &text, &script);
        put_challenge(m, text);
        if (is_costly(m))
            return;
        said = sasl_client_step(m->client, buf_str(&m->challenge), &m->line);
        ASSERT(said != SASL_CLIENT_WAIT);
        ASSERT(said == SASL_CLIENT_SEND || !sasl_client_is_done(m->client));
    }
    /* No mechanism has so many steps. */
    ASSERT(said == SASL_CLIENT_CANCEL);
    ASSERT(sasl_client_problem(m->client)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct sasl_offer offer = check_offer_full();
    struct sasl_client_login login = {.authcid = STR("taro"),
                                      .password = STR("pencil"),
                                      .is_encrypted = true,
                                      .bindings = check_bindings_full()};
    struct meeting m = {.backend = check_backend_usual()};

    if (len < 1)
        return 0;
    m.mechanism = bytes[0] % SASL_MECHANISM_COUNT;
    m.server = sasl_server_new(&offer, &CHECK_BACKEND, &m.backend);
    m.client = sasl_client_new(&login);
    buf_init(&m.line, SASL_CLIENT_LINE_MAX_BYTES);
    buf_init(&m.challenge, 4 * SASL_LINE_MAX_BYTES);
    play(&m, str_from_mem(&bytes[1], len - 1));
    sasl_server_free(m.server);
    sasl_client_free(m.client);
    secret_wipe_buf(&m.line);
    buf_done(&m.challenge);
    return 0;
}
