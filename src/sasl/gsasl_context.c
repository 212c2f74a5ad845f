/* The handle of GNU SASL: see gsasl_context.h. */
#include "sasl/gsasl_context.h"

#include <stdlib.h>
#include <string.h>

static int dispatch(Gsasl *context UNUSED, Gsasl_session *session, Gsasl_property property)
{
    const struct sasl_gsasl_hook *hook = gsasl_session_hook_get(session);

    return hook != NULL ? hook->answer(hook->owner, session, (int)property) : GSASL_NO_CALLBACK;
}

/* Made once for the process: it registers every mechanism the library has. */
static Gsasl *context_get(void)
{
    static Gsasl *context;

    if (context != NULL)
        return context;
    ASSERT(gsasl_init(&context) == GSASL_OK);
    gsasl_callback_set(context, dispatch);
    return context;
}

Gsasl_session *sasl_gsasl_start(const char *mechanism, bool is_server, struct sasl_gsasl_hook *hook)
{
    Gsasl_session *session = NULL;
    Gsasl *context = context_get();
    int rc = is_server ? gsasl_server_start(context, mechanism, &session)
                       : gsasl_client_start(context, mechanism, &session);

    ASSERT(rc == GSASL_OK && session != NULL);
    gsasl_session_hook_set(session, hook);
    return session;
}

void sasl_gsasl_finish(Gsasl_session *session)
{
    const char *password = gsasl_property_fast(session, GSASL_PASSWORD);

    if (password != NULL)
        explicit_bzero((char *)(uintptr_t)password, strlen(password));
    gsasl_finish(session);
}

int sasl_gsasl_step(Gsasl_session *session, struct str in, struct buf *out)
{
    char *text = NULL;
    size_t len = 0;
    char *copy = xmalloc(in.len + 1); /* the library may look for a NUL at the end */

    if (in.len > 0)
        memcpy(copy, in.ptr, in.len);
    copy[in.len] = '\0';
    int rc = gsasl_step(session, copy, in.len, &text, &len);
    explicit_bzero(copy, in.len);
    free(copy);
    if (rc == GSASL_MALLOC_ERROR)
        die_at(__FILE__, __LINE__, "out of memory");
    if (text == NULL)
        return rc;
    buf_put(out, text, len);
    explicit_bzero(text, len);
    gsasl_free(text);
    return rc;
}
