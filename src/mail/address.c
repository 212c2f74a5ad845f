/*
 * What is done with parsed mailboxes: printing, lookup keys, sub-addresses. The grammar is in
 * path.c, the names of hosts in domain.c.
 */
#include "mail/address.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>

#include "base/utf8.h"

enum { ADDRESS_FOLD_MAX_GROWTH = 4 };

const char *address_error_text(enum address_error error)
{
    switch (error) {
    case ADDRESS_OK:
        return "the address is valid";
    case ADDRESS_BAD_SYNTAX:
        return "not an address of the form local-part@domain";
    case ADDRESS_TOO_LONG:
        return "the address is too long (at most 64 bytes before the @, 254 in all)";
    case ADDRESS_NEEDS_SMTPUTF8:
        return "the address has non-ASCII characters and needs SMTPUTF8";
    case ADDRESS_BAD_DOMAIN:
        return "the part after the @ is not a valid domain name or address literal";
    }
    return "unknown error";
}

static bool is_atext(char c)
{
    if (ascii_is_alnum(c) || (unsigned char)c >= 0x80)
        return true;
    return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

/* Whether the local part is no Dot-string. */
static bool needs_quotes(struct str local)
{
    bool may_have_dot = false;

    for (size_t i = 0; i < local.len; i++) {
        bool is_dot = local.ptr[i] == '.';
        if (is_dot ? !may_have_dot : !is_atext(local.ptr[i]))
            return true;
        may_have_dot = !is_dot;
    }
    return !may_have_dot;
}

static void print_quoted(struct str local, struct buf *out)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < local.len; i++) {
        if (local.ptr[i] == '"' || local.ptr[i] == '\\')
            buf_put_char(out, '\\');
        buf_put_char(out, local.ptr[i]);
    }
    buf_put_char(out, '"');
}

void address_print(const struct address *a, struct buf *out)
{
    if (a->is_null)
        return;
    if (needs_quotes(a->local))
        print_quoted(a->local, out);
    else
        buf_put_str(out, a->local);
    if (a->domain.len == 0)
        return;
    buf_put_char(out, '@');
    buf_put_str(out, a->domain);
}

static struct str fold_ascii(struct str local, struct arena *arena)
{
    char *folded = arena_alloc(arena, local.len + 1);

    for (size_t i = 0; i < local.len; i++)
        folded[i] = ascii_lower(local.ptr[i]);
    return str_from_mem(folded, local.len);
}

struct str address_fold_local(struct str local, struct arena *arena)
{
    size_t len = 0;

    /* What is not UTF-8 is no mailbox of ours: its bytes stay what they are. */
    if (!utf8_has_non_ascii(local) || !utf8_is_valid(local))
        return fold_ascii(local, arena);
    uint8_t *folded =
        u8_casefold((const uint8_t *)local.ptr, local.len, NULL, UNINORM_NFC, NULL, &len);
    if (folded == NULL)
        die_at(__FILE__, __LINE__, "out of memory");
    struct str key = len > ADDRESS_FOLD_MAX_GROWTH * local.len
                         ? fold_ascii(local, arena)
                         : arena_str(arena, str_from_mem(folded, len));
    free(folded);
    return key;
}

bool address_split_detail(struct str local, struct str separators, struct str *out_user,
                          struct str *out_detail)
{
    for (size_t i = 1; i < local.len; i++) {
        if (str_find(separators, local.ptr[i]) < 0)
            continue;
        *out_user = str_sub(local, 0, i);
        *out_detail = str_sub(local, i + 1, local.len);
        return true;
    }
    *out_user = local;
    *out_detail = STR("");
    return false;
}
