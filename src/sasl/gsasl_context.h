/*
 * GNU SASL for mech_gsasl.c and client.c: the library's one handle, and a callback that finds the
 * session it is for. Nobody else includes this or gsasl.h.
 *
 * The library calls back from within gsasl_step, so a callback that yields holds the library's
 * frames on the fiber's stack (measured in stack_test.c). It keeps no state outside of its
 * sessions.
 */
#pragma once

#include <gsasl.h>

#include "base/buf.h"

/* The library asks for `property`; a GSASL code is the answer. */
typedef int sasl_gsasl_answer(void *owner, Gsasl_session *session, int property);

struct sasl_gsasl_hook {
    sasl_gsasl_answer *answer;
    void *owner;
};

/* Begins a session of a mechanism; `hook` stays the caller's and has to outlive it. */
Gsasl_session *sasl_gsasl_start(const char *mechanism, bool is_server, struct sasl_gsasl_hook *hook)
    __attribute__((returns_nonnull));
/* Wipes the password that the session knows, and ends it. */
void sasl_gsasl_finish(Gsasl_session *session);
/* One step; what the library says is appended to `out`. A GSASL code. */
int sasl_gsasl_step(Gsasl_session *session, struct str in, struct buf *out);
