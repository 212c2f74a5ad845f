/* Tokens of OAuth: see token_verdict.h. */
#include "svc/auth/token_verdict.h"

#include "base/log.h"
#include "svc/auth/complaint.h"
#include "token/check.h"

static struct complaint complaint;

/* What is wrong with a token, so that whoever set this up can find out; the token itself is never
 * written. */
static void log_bad(const struct check *check, const struct token_verdict *verdict)
{
    LOG(LOG_INFO, "auth.bad-token", LOG_STR("name", check->request.name),
        LOG_STR("peer", check->request.peer), LOG_C("why", verdict->why));
}

static void log_unknown(const struct check *check, const struct token_verdict *verdict)
{
    if (!complaint_may(&complaint))
        return;
    LOG(LOG_WARNING, "auth.token-not-checked", LOG_STR("peer", check->request.peer),
        LOG_C("why", verdict->why), LOG_C("effect", "the client is told to try again later"));
}

enum outside_verdict token_verdict(struct check *check)
{
    struct token_verdict verdict;

    if (check->config->tokens == NULL) {
        if (complaint_may(&complaint))
            LOG(LOG_WARNING, "auth.token-not-checked", LOG_C("why", "auth.oauth is off"));
        return OUTSIDE_TEMPORARY;
    }
    token_check(check->config->tokens, check->request.secret, &verdict);
    if (verdict.result == TOKEN_BAD) {
        log_bad(check, &verdict);
        return OUTSIDE_WRONG;
    }
    if (verdict.result == TOKEN_TEMPORARY) {
        log_unknown(check, &verdict);
        return OUTSIDE_TEMPORARY;
    }
    return str_copy(str_from_c(verdict.claims.name), check->name, sizeof(check->name))
               ? OUTSIDE_RIGHT
               : OUTSIDE_WRONG;
}
