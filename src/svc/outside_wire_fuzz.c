/*
 * Fuzz target: questions to the auth process and its answers from arbitrary bytes. What decodes is
 * within its bounds, and encodes to the same bytes.
 */
#include <stdint.h>

#include "base/error.h"
#include "svc/outside_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_request(struct str input)
{
    struct outside_request request;
    struct buf again;

    if (outside_get_request(input, &request) < 0)
        return;
    ASSERT(request.name.len <= OUTSIDE_NAME_MAX_BYTES);
    ASSERT(request.secret.len <= OUTSIDE_SECRET_MAX_BYTES);
    ASSERT(request.peer.len <= OUTSIDE_PEER_MAX_BYTES);
    buf_init(&again, OUTSIDE_REQUEST_MAX_BYTES);
    outside_put_request(&again, &request);
    ASSERT(str_eq(buf_str(&again), input));
    buf_done(&again);
}

static void check_answer(struct str input)
{
    struct outside_answer answer;
    struct buf again;

    if (outside_get_answer(input, &answer) < 0)
        return;
    ASSERT(answer.verdict < OUTSIDE_VERDICT_END && answer.name.len <= OUTSIDE_NAME_MAX_BYTES);
    buf_init(&again, OUTSIDE_ANSWER_MAX_BYTES);
    outside_put_answer(&again, &answer);
    ASSERT(str_eq(buf_str(&again), input));
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    check_request(str_from_mem(bytes, len));
    check_answer(str_from_mem(bytes, len));
    return 0;
}
