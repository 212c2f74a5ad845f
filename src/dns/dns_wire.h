/*
 * How workers and the resolver process write questions and answers to each other, as the payload of
 * rpc frames. Pure; neither side trusts the other's bytes.
 *
 * An answer that would not fit loses records, never its form: each of n answers may use an n-th of
 * DNS_WIRE_MAX_BYTES.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "dns/dns.h"

enum dns_verb {
    DNS_VERB_LOOKUP = 1, /* questions; the reply holds an answer for each, in their order */
};

enum {
    DNS_WIRE_MAX_BYTES = 512 * 1024, /* of a reply: what it makes in the arena is bounded by it */
    DNS_WIRE_QUESTIONS_MAX_BYTES = 4 + DNS_QUESTIONS_MAX * (DNS_NAME_MAX_BYTES + 8),
    DNS_WHY_MAX_BYTES = 500, /* of the text; what is longer is cut */
};

/* At most DNS_QUESTIONS_MAX of them. A name longer than DNS_NAME_MAX_BYTES becomes the empty one,
 * which does not exist either. */
void dns_wire_put_questions(struct buf *out, const struct dns_question *questions, size_t count);
/* 0 and 1..DNS_QUESTIONS_MAX questions, whose names point into the payload; or -EBADMSG. The names
 * can still be nonsense. */
MUST_CHECK int dns_wire_read_questions(struct str payload,
                                       struct dns_question out[DNS_QUESTIONS_MAX],
                                       size_t *out_count);

/* Writes one answer into at most `max_bytes`, which are at least DNS_WIRE_ANSWER_MIN_BYTES. */
enum { DNS_WIRE_ANSWER_MIN_BYTES = DNS_WIRE_MAX_BYTES / DNS_QUESTIONS_MAX };
void dns_wire_put_answer(struct buf *out, const struct dns_answer *answer, size_t max_bytes);
/* Reads exactly `count` answers; everything in them lives in the arena. 0 or -EBADMSG. */
MUST_CHECK int dns_wire_read_answers(struct str payload, size_t count, struct arena *arena,
                                     struct dns_answer *out);
