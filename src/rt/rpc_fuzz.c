/* Fuzz target: frames as a hostile worker might send them; whatever parses, prints back to itself.
 */
#include <stdint.h>
#include <string.h>

#include "rt/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str input = str_from_mem(bytes, len);
    struct rpc_frame frame;
    size_t taken = 0;

    while (rpc_frame_parse(input, &frame, &taken) > 0) {
        struct buf again;
        buf_init(&again, RPC_PAYLOAD_MAX_BYTES + RPC_HEADER_BYTES);
        rpc_frame_put(&again, frame.call_id, frame.code, frame.payload);
        ASSERT(str_eq(buf_str(&again), str_sub(input, 0, taken)));
        buf_done(&again);
        input = str_sub(input, taken, input.len);
    }
    return 0;
}
