/* Passwords by PAM: see pam_check.h. */
#include "svc/auth/pam_check.h"

#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "svc/auth/complaint.h"
#include "svc/auth/name.h"

enum { PROMPTS_MAX = 8 /* that a stack of modules may have for one login */ };

/* One login. C strings, because libpam wants them. */
struct attempt {
    const struct check *check;
    char user[OUTSIDE_NAME_MAX_BYTES + 1];
    char password[OUTSIDE_SECRET_MAX_BYTES + 1];
    char peer[OUTSIDE_PEER_MAX_BYTES + 1];
    unsigned prompts;
};

/* --- the conversation --- */

static void free_responses(struct pam_response *responses, int count)
{
    for (int i = 0; i < count; i++) {
        if (responses[i].resp != NULL)
            explicit_bzero(responses[i].resp, strlen(responses[i].resp));
        free(responses[i].resp);
    }
    free(responses);
}

/* The one question that can be answered is for what is not shown while it is typed: a password. Two
 * modules may both ask for it. */
static int answer_message(struct attempt *a, const struct pam_message *message,
                          struct pam_response *out)
{
    switch (message->msg_style) {
    case PAM_PROMPT_ECHO_OFF:
        if (a->prompts++ == PROMPTS_MAX)
            return PAM_CONV_ERR;
        out->resp = xstrdup(a->password);
        return PAM_SUCCESS;
    case PAM_ERROR_MSG:
    case PAM_TEXT_INFO:
        LOG(LOG_DEBUG, "auth.pam-says", LOG_C("user", a->user), LOG_C("text", message->msg));
        return PAM_SUCCESS;
    default:
        return PAM_CONV_ERR;
    }
}

/* The responses become libpam's, which frees them. */
static int converse(int count, const struct pam_message **messages, struct pam_response **out,
                    void *arg)
{
    if (count <= 0 || count > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    struct pam_response *responses = xcalloc((size_t)count, sizeof(*responses));
    for (int i = 0; i < count; i++) {
        int r = answer_message(arg, messages[i], &responses[i]);
        if (r != PAM_SUCCESS) {
            free_responses(responses, count);
            return r;
        }
    }
    *out = responses;
    return PAM_SUCCESS;
}

/* Modules want failures to take long. Here a thread would wait: the worker does, in a fiber. */
static void do_not_wait(int status, unsigned microseconds, void *arg)
{
    (void)status;
    (void)microseconds;
    (void)arg;
}

/* --- what the answers mean --- */

static enum outside_verdict judge_authentication(int status)
{
    switch (status) {
    case PAM_SUCCESS:
        return OUTSIDE_RIGHT;
    case PAM_AUTH_ERR:
    case PAM_USER_UNKNOWN:
    case PAM_MAXTRIES:
    case PAM_PERM_DENIED:
    case PAM_ACCT_EXPIRED:
        return OUTSIDE_WRONG;
    default:
        return OUTSIDE_TEMPORARY;
    }
}

/* Right, but not to be let in: expired, locked, not at this hour, to be changed first. */
static enum outside_verdict judge_account(int status)
{
    switch (status) {
    case PAM_SUCCESS:
        return OUTSIDE_RIGHT;
    case PAM_ACCT_EXPIRED:
    case PAM_AUTH_ERR:
    case PAM_NEW_AUTHTOK_REQD:
    case PAM_PERM_DENIED:
    case PAM_USER_UNKNOWN:
        return OUTSIDE_WRONG;
    default:
        return OUTSIDE_TEMPORARY;
    }
}

static void complain(const struct attempt *a, const char *step, const char *why)
{
    static struct complaint complaint;

    if (!complaint_may(&complaint))
        return;
    LOG(LOG_ERROR, "auth.pam-failed",
        LOG_C("service", a->check->config->settings->auth_pam_service), LOG_C("user", a->user),
        LOG_C("step", step), LOG_C("why", why),
        LOG_C("effect", "the client is told to try again later"),
        LOG_C("hint", "see what the modules of this service need: files, rights "
                      "(auth.outside_user, auth.outside_paths), servers; the system's log may say "
                      "more"));
}

/* --- one login --- */

static int set_items(pam_handle_t *pam, const struct attempt *a)
{
    int r = pam_set_item(pam, PAM_RHOST, a->peer);

    if (r == PAM_SUCCESS)
        r = pam_set_item(pam, PAM_TTY, "hikyaku");
    if (r == PAM_SUCCESS)
        r = pam_set_item(pam, PAM_FAIL_DELAY, (const void *)do_not_wait);
    return r;
}

static enum outside_verdict ask_modules(pam_handle_t *pam, struct attempt *a, int *out_status)
{
    const int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;

    *out_status = pam_authenticate(pam, flags);
    enum outside_verdict verdict = judge_authentication(*out_status);
    if (verdict == OUTSIDE_TEMPORARY)
        complain(a, "authenticate", pam_strerror(pam, *out_status));
    if (verdict != OUTSIDE_RIGHT)
        return verdict;
    *out_status = pam_acct_mgmt(pam, flags);
    verdict = judge_account(*out_status);
    if (verdict == OUTSIDE_TEMPORARY)
        complain(a, "account", pam_strerror(pam, *out_status));
    if (verdict == OUTSIDE_WRONG)
        LOG(LOG_INFO, "auth.pam-account-refused", LOG_C("user", a->user),
            LOG_C("why", pam_strerror(pam, *out_status)));
    return verdict;
}

static enum outside_verdict run(struct attempt *a)
{
    const struct settings *settings = a->check->config->settings;
    const char *dir = settings->auth_pam_dir[0] != '\0' ? settings->auth_pam_dir : NULL;
    struct pam_conv conversation = {.conv = converse, .appdata_ptr = a};
    enum outside_verdict verdict = OUTSIDE_TEMPORARY;
    pam_handle_t *pam = NULL;

    int status = pam_start_confdir(settings->auth_pam_service, a->user, &conversation, dir, &pam);
    if (status == PAM_SUCCESS)
        status = set_items(pam, a);
    if (status == PAM_SUCCESS)
        verdict = ask_modules(pam, a, &status);
    else
        complain(a, "start", pam_strerror(pam, status));
    if (pam != NULL)
        (void)pam_end(pam, status);
    return verdict;
}

/* Modules put the name into paths, lines and commands: what would be something else there is
 * nobody's name. */
static bool is_sound(const char *user)
{
    if (user[0] == '\0' || user[0] == '-' || user[0] == '.' || user[0] == '~')
        return false;
    for (const char *c = user; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '/' || *c == ':')
            return false;
    }
    return true;
}

static bool fill_in(struct attempt *a)
{
    const struct outside_request *request = &a->check->request;
    struct outside_name name = outside_name_of(request->name);
    bool is_address = a->check->config->settings->auth_pam_user == SETTINGS_PAM_USER_ADDRESS;

    return str_copy(is_address ? name.address : name.user, a->user, sizeof(a->user)) &&
           memchr(request->name.ptr, '\0', request->name.len) == NULL && is_sound(a->user) &&
           str_copy(request->secret, a->password, sizeof(a->password)) &&
           str_copy(request->peer, a->peer, sizeof(a->peer));
}

enum outside_verdict pam_check(const struct check *check)
{
    struct attempt *a = xcalloc(1, sizeof(*a));

    a->check = check;
    enum outside_verdict verdict = fill_in(a) ? run(a) : OUTSIDE_WRONG;
    explicit_bzero(a, sizeof(*a));
    free(a);
    return verdict;
}

void pam_check_service(const struct settings *settings)
{
    const char *dir = settings->auth_pam_dir[0] != '\0' ? settings->auth_pam_dir : "/etc/pam.d";
    CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", dir, settings->auth_pam_service);

    if (access(path, R_OK) < 0)
        LOG(LOG_WARNING, "auth.no-pam-service", LOG_C("file", path),
            LOG_C("effect", "PAM goes by its service \"other\", which as a rule refuses everybody"),
            LOG_C("hint", "write the file, or set auth.pam_service"));
}
