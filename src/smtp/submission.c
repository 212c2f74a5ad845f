/* The header of a user's message: see submission.h. */
#include "smtp/submission.h"

#include <errno.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "mail/submit.h"
#include "smtp/session.h"

enum {
    HEAD_MAX_BYTES = SUBMIT_HEADER_MAX_BYTES + 64 * 1024, /* with what comes along behind it */
    OWN_MAX_BYTES = 1024,                                 /* of addresses that a refusal names */
};

static struct reply unavailable(const struct smtp_session *s, int error)
{
    LOG(LOG_WARNING, "smtp.lookup-failed", LOG_ID("session", s->id), LOG_ERR(error));
    return reply_of(451, "4.3.0", "Addresses cannot be looked up now; try again later");
}

static struct reply refuse_sender(struct smtp_session *s, const struct address *a,
                                  const struct buf *own)
{
    struct buf printed;

    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(a, &printed);
    struct reply reply =
        reply_printf(&s->command_arena, 553, "5.7.1",
                     "You may not send as <%.*s>; %s may use: %.*s", STR_ARG(buf_str(&printed)),
                     s->login.address != NULL ? s->login.address : "you", STR_ARG(buf_str(own)));
    buf_done(&printed);
    return reply;
}

static struct reply end_login(struct smtp_session *s)
{
    LOG(LOG_INFO, "smtp.login-over", LOG_ID("session", s->id), LOG_C("peer", s->peer_text),
        LOG_C("login", s->login.address),
        LOG_C("why", "its account is disabled, or its password has changed or was removed"));
    return reply_last(reply_of(421, "4.7.0", "Your login does not hold any more; log in again"));
}

/* Code 0: the user may send in this name; NULL: at all. Yields. */
static struct reply judge_address(struct smtp_session *s, const struct address *a)
{
    struct reply reply = reply_of(0, "", "");
    struct buf own;

    buf_init(&own, OWN_MAX_BYTES);
    int r = s->backend->may_send_as(s->backend->arg, &s->login, a, &own);
    if (r == -EACCES)
        reply = end_login(s);
    else if (r < 0)
        reply = unavailable(s, r);
    else if (r == 0)
        reply = refuse_sender(s, a, &own);
    buf_done(&own);
    return reply;
}

static bool checks(const struct smtp_session *s, enum settings_check_sender what)
{
    return s->login.account != 0 && s->policy->settings->submission_check_sender >= (int)what;
}

struct reply smtp_submission_judge_sender(struct smtp_session *s, const struct address *sender)
{
    if (s->login.account == 0)
        return reply_of(0, "", "");
    /* The null sender is for notices: to whom answers of mail programs go without a way back. */
    bool is_any = sender->is_null || !checks(s, SETTINGS_CHECK_SENDER_ENVELOPE);
    return judge_address(s, is_any ? NULL : sender);
}

/* Most often From is the envelope's sender, who was judged at MAIL. */
static bool was_judged(const struct smtp_session *s, const struct address *a)
{
    const struct address *sender = &s->transaction.sender;

    return !sender->is_null && str_eq(a->local, sender->local) && str_eq(a->domain, sender->domain);
}

static struct reply judge_authors(struct smtp_session *s, const struct submit_authors *authors,
                                  const char *field)
{
    struct reply reply = reply_of(0, "", "");

    if (!authors->is_present || !checks(s, SETTINGS_CHECK_SENDER_HEADER))
        return reply;
    if (!authors->is_clean)
        return reply_printf(&s->command_arena, 550, "5.6.0",
                            "The field %s cannot be understood; it has to be there once, with "
                            "complete addresses",
                            field);
    for (size_t i = 0; reply.code == 0 && i < authors->count; i++) {
        const struct address *a = &authors->mailboxes[i].address;
        if (!was_judged(s, a))
            reply = judge_address(s, a);
    }
    return reply;
}

/* Code 0: the header may go out. */
static struct reply judge(struct smtp_session *s, const struct submit_header *header)
{
    struct reply reply = judge_authors(s, &header->from, "From");

    if (reply.code == 0)
        reply = judge_authors(s, &header->resent_from, "Resent-From");
    return reply;
}

static void mend(struct smtp_session *s, const struct submit_header *header)
{
    struct smtp_intake *in = &s->transaction.intake;
    char id[ID_TEXT_CHARS + 1], date[CLOCK_TEXT_BYTES];
    struct buf sender;

    buf_init(&sender, ADDRESS_TEXT_MAX_BYTES);
    address_print(&s->transaction.sender, &sender);
    struct submit_author author = {
        .own = str_from_c(s->login.address != NULL ? s->login.address : ""),
        .sender = s->transaction.sender.is_null ? STR("") : buf_str(&sender),
        .default_domain = s->transaction.sender.is_null
                              ? str_from_c(s->policy->settings->server_hostname)
                              : s->transaction.sender.domain,
        .hostname = str_from_c(s->policy->settings->server_hostname),
        .id = id_format(in->message_id, id),
        .date = clock_format_mail(in->received_ms, date),
        .may_use_from = true,
        .may_use_resent_from = true,
        .is_remote = true};
    if (author.own.len == 0)
        author.own = author.sender;
    submit_header_mend(header, &author, &in->text);
    buf_done(&sender);
}

/* The header is whole: judges it and moves it on. Yields. */
static void finish(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;
    struct smtp_submission *sub = &in->submission;
    struct submit_header header;
    struct arena arena;

    arena_init(&arena, SUBMIT_ARENA_BYTES);
    submit_header_read(buf_str(&sub->head), s->transaction.sender.domain, &arena, &header);
    sub->is_gathering = false;
    sub->refusal = judge(s, &header);
    if (sub->refusal.code == 0) {
        mend(s, &header);
        buf_put_str(&in->text, header.body);
    }
    if (sub->refusal.code == 0 && buf_status(&in->text) < 0)
        sub->refusal = reply_of(552, "5.3.4", "The header is too big");
    arena_done(&arena);
    buf_done(&sub->head);
}

void smtp_submission_open(struct smtp_session *s)
{
    struct smtp_submission *sub = &s->transaction.intake.submission;

    *sub = (struct smtp_submission){.is_gathering = s->is_submission};
    buf_init(&sub->head, HEAD_MAX_BYTES);
}

void smtp_submission_drop(struct smtp_session *s)
{
    buf_done(&s->transaction.intake.submission.head);
}

struct buf *smtp_submission_text(struct smtp_session *s)
{
    struct smtp_intake *in = &s->transaction.intake;

    return in->submission.is_gathering ? &in->submission.head : &in->text;
}

void smtp_submission_go_on(struct smtp_session *s, bool is_end)
{
    struct smtp_intake *in = &s->transaction.intake;
    struct smtp_submission *sub = &in->submission;
    bool is_whole = is_end || header_filter_is_done(&in->filter);

    if (!sub->is_gathering)
        return;
    if (buf_status(&sub->head) < 0 || (!is_whole && sub->head.len > SUBMIT_HEADER_MAX_BYTES)) {
        sub->refusal = reply_of(552, "5.3.4", "The header is too big");
        sub->is_gathering = false;
        buf_done(&sub->head);
        return;
    }
    if (is_whole)
        finish(s);
}
