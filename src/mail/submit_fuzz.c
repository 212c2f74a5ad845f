/*
 * Fuzz target of mail from programs on this machine: any bytes as the file, and what follows the
 * envelope (or all, if there is none) as a message. A mended header is a header: its fields are
 * fields with CRLF ends, there is one From, none of what must not stay, and mended again it keeps
 * its author.
 */
#include <stdint.h>

#include "mail/header.h"
#include "mail/submit.h"
#include "mail/submit_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FUZZ_OUT_BYTES = 64 * 1024 * 1024, FUZZ_FILE_ARENA_BYTES = 1024 * 1024 };

static bool is_text(const struct submit_envelope *e)
{
    bool is_good = submit_file_may_hold(e->sender) && submit_file_may_hold(e->full_name) &&
                   submit_file_may_hold(e->envid) && submit_file_may_hold(e->ret) &&
                   str_find(e->by, ' ') < 0 && str_find(e->priority, ' ') < 0;

    for (size_t i = 0; i < e->recipient_count; i++)
        is_good = is_good && submit_file_may_hold(e->recipients[i].address) &&
                  submit_file_may_hold(e->recipients[i].orcpt);
    return is_good;
}

/* What is read prints to what reads the same. Returns the message. */
static struct str check_file(struct str file)
{
    CLEANUP(arena_done) struct arena arena;
    CLEANUP(buf_done) struct buf out;
    struct submit_envelope e, again;
    size_t taken, retaken;

    arena_init(&arena, FUZZ_FILE_ARENA_BYTES);
    buf_init(&out, FUZZ_OUT_BYTES);
    if (submit_file_parse(file, &arena, &e, &taken) < 0)
        return file;
    ASSERT(taken <= file.len && is_text(&e));
    submit_file_put(&out, &e);
    ASSERT(submit_file_parse(buf_str(&out), &arena, &again, &retaken) == 0);
    ASSERT(retaken == out.len && again.recipient_count == e.recipient_count);
    ASSERT(str_eq(again.by, e.by) && str_eq(again.hold_until, e.hold_until));
    ASSERT(again.has_sender == e.has_sender && str_eq(again.sender, e.sender));
    return str_sub(file, taken, file.len);
}

static bool note(void *arg, struct str address, bool is_good)
{
    (void)arg;
    ASSERT(!is_good || address.len <= ADDRESS_TEXT_MAX_BYTES);
    return true;
}

static void check_lines(struct str header)
{
    for (size_t i = 0; i < header.len; i++)
        ASSERT(header.ptr[i] != '\n' || (i > 0 && header.ptr[i - 1] == '\r'));
}

static void check_mended(struct str mended, bool may_use)
{
    CLEANUP(arena_done) struct arena arena;
    struct submit_header header;
    struct header_field field;

    arena_init(&arena, SUBMIT_ARENA_BYTES);
    check_lines(mended);
    submit_header_read(mended, STR("d.example"), &arena, &header);
    ASSERT(header.body.len == 0);
    ASSERT(header.has_date && header.has_message_id && header.from.is_present);
    ASSERT(header.from.is_clean && header.from.count > 0);
    if (!may_use) {
        ASSERT(header.from.count == 1);
        ASSERT(str_eq_c(header.from.mailboxes[0].address.local, "own"));
    }
    struct str rest = header.fields;
    while (header_next(&rest, &field))
        ASSERT(!str_eq_nocase(field.name, STR("bcc")) &&
               !str_eq_nocase(field.name, STR("resent-bcc")));
}

static void check_message(struct str message, bool may_use)
{
    CLEANUP(arena_done) struct arena arena;
    CLEANUP(buf_done) struct buf out;
    struct submit_header header;
    struct submit_author author = {.own = STR("own@d.example"),
                                   .full_name = STR("O. \"W\" N"),
                                   .sender = STR("own@d.example"),
                                   .default_domain = STR("d.example"),
                                   .hostname = STR("h.example"),
                                   .login = STR("own"),
                                   .id = "0",
                                   .date = "D",
                                   .may_use_from = may_use,
                                   .may_use_resent_from = may_use};

    arena_init(&arena, SUBMIT_ARENA_BYTES);
    buf_init(&out, FUZZ_OUT_BYTES);
    submit_header_read(message, author.default_domain, &arena, &header);
    ASSERT(header.fields.len + header.body.len <= message.len);
    submit_list_recipients(&header, note, NULL);
    submit_header_mend(&header, &author, &out);
    if (buf_status(&out) == 0)
        check_mended(buf_str(&out), may_use || !header.from.is_present);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str message = check_file(str_from_mem(bytes, MIN(len, SUBMIT_HEADER_MAX_BYTES)));

    check_message(message, true);
    check_message(message, false);
    return 0;
}
