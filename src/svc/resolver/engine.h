/*
 * Asking the DNS with libunbound: one cache, validation, its own thread; answers come back on the
 * loop.
 *
 * No file is read: what libunbound is to know comes as text. The number of questions under way and
 * the time of each are bounded here; what libunbound still does for a question that has been
 * answered in vain counts until it is done with it.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "conf/settings.h"
#include "dns/dns.h"

enum {
    ENGINE_QUESTIONS_MAX = 4096, /* under way; more fail at once */
    ENGINE_WHY_MAX_BYTES = 400,
};

struct engine;

/* The answer and all in it live until the function returns. Called on the loop's stack. */
typedef void engine_answer_fn(void *arg, const struct dns_answer *answer);

/* `anchors`: trust anchors as in a zone file, DS or DNSKEY, one a line; empty: nothing is
 * validated. 0 and *out; or negative errno and out_text says what is wrong. */
MUST_CHECK int engine_new(const struct settings *settings, struct str anchors, struct engine **out,
                          struct buf *out_text);
/* Drops all questions under way without a call. NULL is taken. */
void engine_free(struct engine *e);
/* New questions go by these settings and a new cache, those under way finish by the old ones. 0; or
 * negative errno, out_text says what is wrong, and nothing has changed. */
MUST_CHECK int engine_configure(struct engine *e, const struct settings *settings,
                                struct str anchors, struct buf *out_text);
/* Asks. The answer can come before this returns, when there is nothing to wait for. */
void engine_ask(struct engine *e, const struct dns_question *question, engine_answer_fn *answer,
                void *arg);
/* Questions that libunbound is busy with. */
size_t engine_under_way(const struct engine *e);
