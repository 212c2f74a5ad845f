/* Fuzz target: arbitrary text as claims, of both kinds. What is good has a name, and has not ended.
 */
#include <stdint.h>
#include <stdlib.h>

#include "token/claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct settings *make_settings(void)
{
    static char issuer[] = "i", scope[] = "mail", audience[] = "a", *audiences[] = {audience};
    struct settings *s = settings_defaults();

    free(s->auth_oauth_issuer);
    free(s->auth_oauth_scope);
    s->auth_oauth_issuer = issuer;
    s->auth_oauth_scope = scope;
    s->auth_oauth_audience = (struct settings_list){.items = audiences, .count = 1};
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    enum { NOW_MS = 1000 * 1000 };
    static struct settings *settings;
    struct claims claims;
    const char *why;

    if (settings == NULL)
        settings = make_settings();
    for (int source = CLAIMS_OF_JWT; source <= CLAIMS_OF_INTROSPECTION; source++) {
        int r = claims_judge(str_from_mem(bytes, len), (enum claims_source)source, settings, NOW_MS,
                             &claims, &why);
        ASSERT((r == 0) == (why == NULL));
        if (r == 0)
            ASSERT(claims.name[0] != '\0' && claims.until_ms > NOW_MS);
    }
    return 0;
}
