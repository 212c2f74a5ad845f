/* Questions to the resolver process: see dns.h. */
#include "dns/dns.h"

#include <errno.h>

#include "dns/dns_wire.h"

/* What the callee's status can be; the caller is promised fewer kinds. */
static int simplify(int error)
{
    switch (error) {
    case -EPIPE:
    case -ETIMEDOUT:
    case -ECANCELED:
        return error;
    case -ENOBUFS: /* the resolver takes nothing more: as good as silent */
        return -ETIMEDOUT;
    default:
        return -EBADMSG;
    }
}

int dns_lookup(struct rpc_client *resolver, const struct dns_question *questions, size_t count,
               int64_t deadline_ms, struct arena *arena, struct dns_answer *out_answers)
{
    struct buf payload, reply;

    buf_init(&payload, DNS_WIRE_QUESTIONS_MAX_BYTES);
    buf_init(&reply, DNS_WIRE_MAX_BYTES);
    dns_wire_put_questions(&payload, questions, count);
    int r = buf_status(&payload);
    if (r == 0)
        r = rpc_call(resolver, DNS_VERB_LOOKUP, buf_str(&payload), deadline_ms, &reply);
    if (r == 0)
        r = dns_wire_read_answers(buf_str(&reply), count, arena, out_answers);
    buf_done(&payload);
    buf_done(&reply);
    return r < 0 ? simplify(r) : 0;
}
