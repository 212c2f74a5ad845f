/* The envelope of a mail that was left by a program on this machine: see submit_file.h. */
#include "mail/submit_file.h"

#include <errno.h>

#include "base/cursor.h"
#include "base/utf8.h"

#define FIRST_LINE "hikyaku-mail 1"

bool submit_file_may_hold(struct str text)
{
    if (text.len > SUBMIT_TEXT_MAX_BYTES || !utf8_is_valid(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f)
            return false;
    }
    return true;
}

static void put_line(struct buf *out, const char *word, struct str value)
{
    if (value.len == 0)
        return;
    buf_put_c(out, word);
    buf_put_char(out, ' ');
    buf_put_str(out, value);
    buf_put_char(out, '\n');
}

void submit_file_put(struct buf *out, const struct submit_envelope *envelope)
{
    buf_put_c(out, FIRST_LINE "\n");
    if (envelope->has_sender && envelope->sender.len == 0)
        buf_put_c(out, "from <>\n");
    else if (envelope->has_sender)
        put_line(out, "from", envelope->sender);
    put_line(out, "name", envelope->full_name);
    put_line(out, "envid", envelope->envid);
    put_line(out, "ret", envelope->ret);
    put_line(out, "hold-until", envelope->hold_until);
    put_line(out, "by", envelope->by);
    put_line(out, "priority", envelope->priority);
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct submit_recipient *to = &envelope->recipients[i];
        buf_printf(out, "to %u ", to->notify);
        buf_put_str(out, to->orcpt.len > 0 ? to->orcpt : STR("-"));
        buf_put_char(out, ' ');
        buf_put_str(out, to->address);
        buf_put_char(out, '\n');
    }
    buf_put_char(out, '\n');
}

/* --- reading --- */

/* The next line without its LF; false when there is none, or what is no line of ours. */
static bool take_line(struct str *rest, struct str *out_line)
{
    struct str window = str_sub(*rest, 0, SUBMIT_LINE_MAX_BYTES);
    ptrdiff_t lf = str_find(window, '\n');

    if (lf < 0)
        return false;
    *out_line = str_sub(*rest, 0, (size_t)lf);
    *rest = str_sub(*rest, (size_t)lf + 1, rest->len);
    return true;
}

static bool parse_recipient(struct str value, struct submit_recipient *out)
{
    struct str notify, orcpt, rest;
    uint64_t bits;

    if (!str_cut(value, ' ', &notify, &rest) || !str_cut(rest, ' ', &orcpt, &out->address))
        return false;
    if (str_to_u64(notify, SUBMIT_NOTIFY_ALL, &bits) < 0 || orcpt.len == 0)
        return false;
    out->notify = (unsigned)bits;
    out->orcpt = str_eq_c(orcpt, "-") ? STR("") : orcpt;
    return out->address.len > 0 && submit_file_may_hold(out->address) &&
           submit_file_may_hold(out->orcpt);
}

static bool take_sender(struct submit_envelope *out, struct str value)
{
    bool is_first = !out->has_sender;

    out->has_sender = true;
    out->sender = str_eq_c(value, "<>") ? STR("") : value;
    return is_first && submit_file_may_hold(value);
}

static bool take_text(struct str *field, struct str value)
{
    bool is_first = field->len == 0;

    *field = value;
    return is_first && submit_file_may_hold(value);
}

/* Each becomes a parameter of SMTP: a space would begin another one. */
static bool take_time_field(struct submit_envelope *out, struct str word, struct str value)
{
    if (str_find(value, ' ') >= 0)
        return false;
    if (str_eq_c(word, "hold-until"))
        return take_text(&out->hold_until, value);
    if (str_eq_c(word, "by"))
        return take_text(&out->by, value);
    return str_eq_c(word, "priority") && take_text(&out->priority, value);
}

static bool take_field(struct submit_envelope *out, struct str line)
{
    struct str word, value;

    if (!str_cut(line, ' ', &word, &value) || value.len == 0)
        return false;
    if (str_eq_c(word, "from"))
        return take_sender(out, value);
    if (str_eq_c(word, "name"))
        return value.len <= SUBMIT_NAME_MAX_BYTES && take_text(&out->full_name, value);
    if (str_eq_c(word, "envid"))
        return take_text(&out->envid, value);
    if (str_eq_c(word, "ret"))
        return take_text(&out->ret, value);
    return take_time_field(out, word, value);
}

int submit_file_parse(struct str file, struct arena *arena, struct submit_envelope *out,
                      size_t *out_bytes)
{
    struct submit_recipient *list = NULL;
    struct str rest = file, line;

    *out = (struct submit_envelope){.has_sender = false};
    if (!take_line(&rest, &line) || !str_eq_c(line, FIRST_LINE))
        return -EBADMSG;
    while (take_line(&rest, &line)) {
        if (line.len == 0) {
            *out_bytes = file.len - rest.len;
            out->recipients = list;
            return out->recipient_count > 0 ? 0 : -EBADMSG;
        }
        if (!str_has_prefix(line, STR("to "))) {
            if (!take_field(out, line))
                return -EBADMSG;
            continue;
        }
        if (list == NULL)
            list = arena_alloc(arena, SUBMIT_RECIPIENTS_MAX * sizeof(*list));
        if (out->recipient_count == SUBMIT_RECIPIENTS_MAX ||
            !parse_recipient(str_sub(line, 3, line.len), &list[out->recipient_count]))
            return -EBADMSG;
        out->recipient_count++;
    }
    return -EBADMSG;
}
