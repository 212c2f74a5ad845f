/*
 * Questions to the DNS, as a worker asks them: calls to the resolver process (svc/resolver), which
 * holds the one cache, validates, and follows aliases.
 *
 * Several questions go in one call and are asked at the same time. An answer says how far it can be
 * trusted: DNSSEC state is part of it. Nothing here parses packets: the resolver did that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "rt/rpc.h"

enum dns_type { /* RFC 1035 and the registry of types */
                DNS_A = 1,
                DNS_PTR = 12,
                DNS_MX = 15,
                DNS_TXT = 16,
                DNS_AAAA = 28,
                DNS_TLSA = 52,
};

enum dns_status {
    DNS_OK = 1,  /* there are records */
    DNS_NO_DATA, /* the name exists, without records of this type */
    DNS_NO_NAME, /* NXDOMAIN */
    DNS_FAILED,  /* no answer could be had now: time-outs, SERVFAIL, refusal */
    DNS_BOGUS,   /* there is an answer, but its signatures are wrong: treat as DNS_FAILED */
};

enum {
    DNS_QUESTIONS_MAX = 64, /* of one call */
    DNS_RECORDS_MAX = 256,  /* of one answer; more are dropped */
    DNS_NAME_MAX_BYTES = 255,
    DNS_RDATA_MAX_BYTES = 16 * 1024, /* of one record; larger ones are dropped */
    DNS_ANSWER_ARENA_BYTES = 1024 * 1024,
};

struct dns_question {
    struct str name; /* ASCII, A-labels, with or without the final dot */
    enum dns_type type;
};

struct dns_answer {
    enum dns_status status;
    bool is_secure;   /* validated up to a trust anchor, also the absence of records */
    uint32_t ttl_s;   /* how long it may be kept */
    struct str name;  /* canonical, in lower case without the final dot: where aliases led */
    struct str why;   /* of DNS_FAILED and DNS_BOGUS: a short text for people */
    struct str *data; /* record data in wire form; names in it are not compressed */
    size_t count;
};

/* Asks all questions at once and waits for all answers. Yields. Answers live in the arena. 0, or
 * negative errno when the resolver cannot be asked: -EPIPE, -ETIMEDOUT, -ECANCELED, -EBADMSG. A
 * question that fails is no error but an answer. */
MUST_CHECK int dns_lookup(struct rpc_client *resolver, const struct dns_question *questions,
                          size_t count, int64_t deadline_ms, struct arena *arena,
                          struct dns_answer *out_answers);
