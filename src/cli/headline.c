/* What a listing says of a message: see headline.h. */
#include "cli/headline.h"

#include "base/arena.h"
#include "cli/text.h"
#include "mail/encoded_word.h"
#include "mail/summary.h"

enum { DECODED_MAX_BYTES = 4096, SUMMARY_ARENA_BYTES = 4 * 1024 * 1024 };

static void decode_from(struct headline *h, const struct summary_mailbox *from)
{
    /* A group's start has no host. */
    while (from != NULL && !from->has_host)
        from = from->next;
    if (from == NULL)
        return;
    text_put_safe(&h->address, from->mailbox);
    buf_put_char(&h->address, '@');
    text_put_safe(&h->address, from->host);
    if (from->has_name && from->name.len > 0)
        encoded_word_decode(from->name, &h->from);
    else
        buf_put_str(&h->from, buf_str(&h->address));
}

void headline_init(struct headline *h, struct str summary)
{
    struct summary_part *root;
    struct arena arena;

    arena_init(&arena, SUMMARY_ARENA_BYTES);
    buf_init(&h->from, DECODED_MAX_BYTES);
    buf_init(&h->address, DECODED_MAX_BYTES);
    buf_init(&h->subject, DECODED_MAX_BYTES);
    if (summary_decode(summary, &arena, &root) == 0 && root->envelope != NULL) {
        decode_from(h, root->envelope->lists[SUMMARY_FROM]);
        encoded_word_decode(root->envelope->subject, &h->subject);
    }
    arena_done(&arena);
}

void headline_done(struct headline *h)
{
    buf_done(&h->from);
    buf_done(&h->address);
    buf_done(&h->subject);
}
