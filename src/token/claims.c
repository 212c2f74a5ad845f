/* What a token says: see claims.h. */
#include "token/claims.h"

#include <errno.h>
#include <math.h>

#include "base/utf8.h"
#include "token/json.h"

enum { SECOND_MS = 1000 };
#define TIME_MAX_S 253402300799.0 /* the end of the year 9999 */

/* One look at a token. */
struct view {
    const json_t *claims;
    enum claims_source source;
    const struct settings *settings;
    int64_t now_ms;
};

static const char *check_active(const struct view *v, struct claims *out)
{
    (void)out;
    if (v->source != CLAIMS_OF_INTROSPECTION || json_is_true(json_object_get(v->claims, "active")))
        return NULL;
    return "it is not active";
}

static const char *check_issuer(const struct view *v, struct claims *out)
{
    struct str wanted = str_from_c(v->settings->auth_oauth_issuer);
    bool may_lack = v->source == CLAIMS_OF_INTROSPECTION;

    (void)out;
    if (may_lack && (wanted.len == 0 || json_object_get(v->claims, "iss") == NULL))
        return NULL;
    return str_eq(token_json_str(v->claims, "iss"), wanted) && wanted.len > 0
               ? NULL
               : "it is of another issuer";
}

static const char *check_audience(const struct view *v, struct claims *out)
{
    const struct settings_list *wanted = &v->settings->auth_oauth_audience;

    (void)out;
    if (wanted->count == 0 && v->source == CLAIMS_OF_INTROSPECTION)
        return NULL;
    for (size_t i = 0; i < wanted->count; i++) {
        if (token_json_has(v->claims, "aud", str_from_c(wanted->items[i])))
            return NULL;
    }
    return "it is for another audience";
}

/* A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction. False: none that could be.
 */
static bool read_time(const json_t *value, int64_t *out_ms)
{
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !isfinite(seconds) || seconds < 0 || seconds > TIME_MAX_S)
        return false;
    *out_ms = (int64_t)(seconds * SECOND_MS);
    return true;
}

static const char *check_end(const struct view *v, struct claims *out)
{
    const json_t *end = json_object_get(v->claims, "exp");

    out->until_ms = INT64_MAX;
    if (end == NULL && v->source == CLAIMS_OF_INTROSPECTION)
        return NULL;
    if (!read_time(end, &out->until_ms))
        return "it does not say until when it is good";
    out->until_ms += v->settings->auth_oauth_leeway;
    return v->now_ms < out->until_ms ? NULL : "it has expired";
}

static const char *check_begin(const struct view *v, struct claims *out)
{
    static const char *const names[] = {"nbf", "iat"};

    (void)out;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const json_t *begin = json_object_get(v->claims, names[i]);
        int64_t at_ms;
        if (begin == NULL)
            continue;
        if (!read_time(begin, &at_ms) || at_ms > v->now_ms + v->settings->auth_oauth_leeway)
            return "it is not good yet";
    }
    return NULL;
}

/* One that is bound to a key of its bearer is no bearer token (RFC 7800, 8705, 9449). */
static const char *check_bearer(const struct view *v, struct claims *out)
{
    struct str type = token_json_str(v->claims, "token_type");
    bool has_type = v->source == CLAIMS_OF_INTROSPECTION && type.len > 0;

    (void)out;
    if (json_object_get(v->claims, "cnf") != NULL ||
        (has_type && !str_eq_nocase(type, STR("Bearer")) &&
         !str_eq_nocase(type, STR("access_token"))))
        return "it is bound to a key, no bearer token";
    return NULL;
}

/* In "scope", words with blanks between them (RFC 8693 section 4.2); some issuers have an array, or
 * call it "scp". */
static bool has_scope(const json_t *claims, struct str word)
{
    static const char *const names[] = {"scope", "scp"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str rest = token_json_str(claims, names[i]), one;
        while (rest.len > 0) {
            (void)str_cut(rest, ' ', &one, &rest);
            if (str_eq(one, word))
                return true;
        }
        if (json_is_array(json_object_get(claims, names[i])) &&
            token_json_has(claims, names[i], word))
            return true;
    }
    return false;
}

static const char *check_scope(const struct view *v, struct claims *out)
{
    struct str rest = str_from_c(v->settings->auth_oauth_scope), word;

    (void)out;
    while (rest.len > 0) {
        (void)str_cut(rest, ' ', &word, &rest);
        if (word.len > 0 && !has_scope(v->claims, word))
            return "it lacks the scope";
    }
    return NULL;
}

static bool is_name_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f;
}

static bool is_name(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_name_char(text.ptr[i]))
            return false;
    }
    return text.len > 0 && utf8_is_valid(text);
}

static bool is_address(struct str text)
{
    ptrdiff_t at = str_rfind(text, '@');

    return is_name(text) && at > 0 && (size_t)at + 1 < text.len;
}

/* OpenID Connect Core section 5.1; some issuers write the truth as text. */
static bool is_disavowed(const json_t *claims)
{
    const json_t *verified = json_object_get(claims, "email_verified");

    return verified != NULL && !json_is_true(verified) &&
           !str_eq_nocase(token_json_str(claims, "email_verified"), STR("true"));
}

static const char *check_name(const struct view *v, struct claims *out)
{
    /* Without preferred_username, which users may change (OpenID Connect Core section 5.7). */
    static const char *const usual[] = {"email", "username", "sub"};
    const char *wanted = v->settings->auth_oauth_account_claim;
    bool is_chosen = wanted[0] != '\0';

    for (size_t i = 0; i < (is_chosen ? 1 : ARRAY_LEN(usual)); i++) {
        const char *claim = is_chosen ? wanted : usual[i];
        struct str name = token_json_str(v->claims, claim);
        if (!(is_chosen ? is_name(name) : is_address(name)))
            continue;
        if (str_eq_c(STR("email"), claim) && is_disavowed(v->claims))
            return "its issuer has not verified the address";
        return str_copy(name, out->name, sizeof(out->name)) ? NULL : "its name is too long";
    }
    return "it does not name an account";
}

int claims_judge(struct str json, enum claims_source source, const struct settings *settings,
                 int64_t now_ms, struct claims *out, const char **out_why)
{
    static const char *(*const checks[])(const struct view *v, struct claims *out) = {
        check_active, check_issuer, check_audience, check_end,
        check_begin,  check_bearer, check_scope,    check_name,
    };
    CLEANUP(token_json_free) json_t *claims = token_json_load(json);
    struct view view = {.claims = claims, .source = source, .settings = settings, .now_ms = now_ms};

    *out = (struct claims){.until_ms = 0};
    *out_why = claims == NULL ? "its claims are no JSON object" : NULL;
    for (size_t i = 0; *out_why == NULL && i < ARRAY_LEN(checks); i++)
        *out_why = checks[i](&view, out);
    return *out_why == NULL ? 0 : -EINVAL;
}
