/* From replies to verdicts: see verdict.h. */
#include "svc/outbound/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int error;
    const char *status;
    const char *text;
} errors[] = {
    {ETIMEDOUT, "4.4.2", "no answer in time"},
    {ECONNRESET, "4.4.2", "the server closed the connection"},
    {EPIPE, "4.4.2", "the server closed the connection"},
    {ENODATA, "4.4.2", "the server closed the connection"},
    {ENOTSUP, "4.7.4", "the server offers no encryption, which this route demands"},
    {EPROTO, "4.5.0", "the server's answer is not SMTP"},
    {EMSGSIZE, "4.5.0", "the server's answer is too long"},
    {ECONNREFUSED, "4.4.1", "connection refused"},
    {EHOSTUNREACH, "4.4.1", "no route to the server"},
    {ENETUNREACH, "4.4.1", "no route to the server's network"},
    {EADDRNOTAVAIL, "4.4.1", "the configured source address is not an address of this machine"},
    {EACCES, "4.4.1", "a firewall of this machine forbids the connection"},
    {EPERM, "4.4.1", "a firewall of this machine forbids the connection"},
    {EMFILE, "4.3.2", "this machine has too many open files"},
    {ENOBUFS, "4.3.2", "this machine is short of memory"},
    {EIO, "4.3.0", "the message cannot be read from the disk"},
    {EBADMSG, "4.3.0", "the stored message is damaged"},
    {ENOENT, "4.3.0", "the message was taken out of the queue"},
    {ECANCELED, "4.3.2", "this server is stopping"},
};

/* Errors that mean something else at one stage than at others. */
static const struct {
    enum smtp_client_stage stage;
    int error;
    const char *status;
} at_stages[] = {
    {SMTP_CLIENT_CONNECT, ETIMEDOUT, "4.4.1"},
    {SMTP_CLIENT_TLS, EPROTO, "4.7.5"},
    {SMTP_CLIENT_AUTH, EACCES, "4.7.8"},
};

const char *verdict_error_status(const struct smtp_client_reply *reply)
{
    for (size_t i = 0; i < ARRAY_LEN(at_stages); i++) {
        if (at_stages[i].stage == reply->stage && at_stages[i].error == -reply->error)
            return at_stages[i].status;
    }
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].error == -reply->error)
            return errors[i].status;
    }
    return "4.4.0";
}

void verdict_host_status(const struct smtp_client_reply *reply, char out[VERDICT_STATUS_BYTES])
{
    const char *status = reply->code < 500 ? "4.3.2" : "4.7.0";

    if (reply->code == 0)
        status = verdict_error_status(reply);
    else if (reply->stage == SMTP_CLIENT_AUTH)
        status = "4.7.8";
    else if (reply->stage == SMTP_CLIENT_TLS)
        status = "4.7.5";
    else if (reply->enhanced[0] != '\0')
        status = reply->enhanced;
    (void)snprintf(out, VERDICT_STATUS_BYTES, "4%s", status + 1);
}

const char *verdict_error_text(int error)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].error == -error)
            return errors[i].text;
    }
    return strerror(-error);
}

void verdict_put_words(const struct smtp_client_reply *reply, char *out, size_t bytes)
{
    const char *space = reply->enhanced[0] != '\0' ? " " : "";
    const char *error = verdict_error_text(reply->error);

    if (reply->code != 0)
        (void)snprintf(out, bytes, "%u%s%s %.*s", reply->code, space, reply->enhanced,
                       STR_ARG(reply->text));
    else if (reply->text.len > 0 && reply->error == -EPROTO && reply->stage != SMTP_CLIENT_TLS)
        (void)snprintf(out, bytes, "%s: %.*s", error, STR_ARG(reply->text));
    else if (reply->text.len > 0)
        (void)snprintf(out, bytes, "%.*s", STR_ARG(reply->text));
    else
        (void)snprintf(out, bytes, "%s", error);
}

/* RFC 5321 section 4.5.3.1.10: too many recipients was once 552, and is meant to be temporary. */
static bool is_too_many_recipients(const struct smtp_client_reply *reply)
{
    return reply->stage == SMTP_CLIENT_RCPT && reply->code == 552 && !reply->is_local &&
           (reply->enhanced[0] == '\0' || strcmp(reply->enhanced, "5.5.3") == 0);
}

/* What a server says before MAIL says little about this mail: try later, except 521 and 556 (RFC
 * 7504). What we found out ourselves, as that a domain takes no mail, stays as it is. */
static bool is_about_service(const struct smtp_client_reply *reply)
{
    bool is_early = reply->stage < SMTP_CLIENT_MAIL && !reply->is_local;

    return is_early && reply->code != 521 && reply->code != 556;
}

static struct queue_result_recipient of_error(const struct smtp_client_reply *reply,
                                              struct arena *arena)
{
    char words[QUEUE_REPLY_MAX_BYTES];

    verdict_put_words(reply, words, sizeof(words));
    return (struct queue_result_recipient){
        .verdict = QUEUE_DEFER,
        .status = str_from_c(verdict_error_status(reply)),
        .text = arena_str(arena, str_from_c(words)),
        .stage = str_from_c(smtp_client_stage_name(reply->stage)),
    };
}

/* The peer's own code when its class fits the verdict, else what the verdict is for sure. */
static struct str status_of(const struct smtp_client_reply *reply, enum queue_verdict verdict,
                            struct arena *arena)
{
    static const char classes[] = {
        [QUEUE_DELIVERED] = '2', [QUEUE_DEFER] = '4', [QUEUE_FAIL] = '5'};
    char wanted = classes[verdict];

    if (reply->enhanced[0] == '\0')
        return str_from_c(verdict == QUEUE_DELIVERED ? "2.0.0"
                          : verdict == QUEUE_DEFER   ? "4.0.0"
                                                     : "5.0.0");
    struct str status = arena_str(arena, str_from_c(reply->enhanced));
    if (status.ptr[0] == wanted)
        return status;
    return str_from_c(arena_printf(arena, "%c%s", wanted, reply->enhanced + 1));
}

/* As the peer said it, with its codes: that is what people search for, and what RFC 3464 section
 * 2.3.6 wants. */
static struct str words_of(const struct smtp_client_reply *reply, struct arena *arena)
{
    const char *space = reply->enhanced[0] != '\0' ? " " : "";

    if (reply->is_local)
        return reply->text;
    return str_from_c(arena_printf(arena, "%u%s%s %.*s", reply->code, space, reply->enhanced,
                                   STR_ARG(reply->text)));
}

struct queue_result_recipient verdict_of(const struct smtp_client_reply *reply, struct arena *arena)
{
    enum queue_verdict verdict = QUEUE_DEFER;

    if (reply->code == 0)
        return of_error(reply, arena);
    if (reply->code < 300)
        verdict = QUEUE_DELIVERED;
    else if (reply->code >= 500 && !is_too_many_recipients(reply) && !is_about_service(reply))
        verdict = QUEUE_FAIL;
    return (struct queue_result_recipient){
        .verdict = (uint8_t)verdict,
        .code = reply->is_local ? 0 : reply->code,
        .status = status_of(reply, verdict, arena),
        .text = words_of(reply, arena),
        .stage = str_from_c(smtp_client_stage_name(reply->stage)),
    };
}

/* The text could not be had from our own store, or nothing was asked of the peer. */
static bool is_our_own(const struct smtp_client_reply *reply)
{
    static const int own[] = {ECANCELED, EBADMSG, EIO, ENOENT, EINVAL};

    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (reply->error == -own[i])
            return true;
    }
    return reply->is_local;
}

bool verdict_may_try_next(const struct smtp_client_reply *reply)
{
    if (is_our_own(reply))
        return reply->is_about_host;
    return (reply->code == 0 || reply->code == 421) && reply->stage != SMTP_CLIENT_BODY;
}

bool verdict_blames_server(const struct smtp_client_reply *reply)
{
    if (is_our_own(reply))
        return false;
    return reply->code == 0 || reply->code == 421 ||
           (reply->stage == SMTP_CLIENT_MAIL && reply->code >= 400 && reply->code < 500);
}
