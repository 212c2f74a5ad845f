/*
 * Envelope addresses from the wire. The first byte gives the flags, the rest is the path; it is
 * also read as a bare address, as a domain and as a local part. What is accepted must print to
 * something that is accepted with the same meaning, and lie within the sizes of RFC 5321.
 */
#include <stdint.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FUZZ_ARENA_BYTES = 64 * 1024 };

static void check_domain(struct str domain, struct arena *arena)
{
    struct str again;

    ASSERT(domain_parse(domain, arena, &again) == ADDRESS_OK);
    ASSERT(str_eq(domain, again));
    struct str shown = domain_to_unicode(domain, arena);
    ASSERT(utf8_is_valid(shown));
    if (shown.len <= ADDRESS_DOMAIN_MAX_BYTES) {
        ASSERT(domain_parse(shown, arena, &again) == ADDRESS_OK);
        ASSERT(str_eq(domain, again));
    }
}

static void check_address(const struct address *a, struct arena *arena)
{
    CLEANUP(buf_done) struct buf printed;
    struct address again;

    ASSERT(a->local.len <= ADDRESS_LOCAL_MAX_BYTES && a->domain.len <= ADDRESS_DOMAIN_MAX_BYTES);
    ASSERT(a->raw.len <= ADDRESS_PATH_MAX_BYTES - 2);
    ASSERT(utf8_is_valid(a->raw) && !utf8_has_non_ascii(a->domain));
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(a, &printed);
    ASSERT(buf_status(&printed) == 0 && printed.len <= ADDRESS_PATH_MAX_BYTES - 2);
    unsigned flags = ADDRESS_MAY_BE_NULL | ADDRESS_MAY_LACK_DOMAIN;
    ASSERT(address_parse(buf_str(&printed), flags, arena, &again) == ADDRESS_OK);
    ASSERT(str_eq(a->local, again.local) && str_eq(a->domain, again.domain));
    ASSERT(a->is_null == again.is_null && a->is_literal == again.is_literal);
    ASSERT(a->is_utf8 == again.is_utf8);
    if (!a->is_literal && a->domain.len > 0)
        check_domain(a->domain, arena);
}

static void check_fold(struct str local, struct arena *arena)
{
    struct str user, detail;
    struct str folded = address_fold_local(local, arena);
    struct str twice = address_fold_local(folded, arena);

    ASSERT(folded.len <= 4 * local.len);
    ASSERT(str_eq(folded, twice));
    if (address_split_detail(local, STR("+-"), &user, &detail))
        ASSERT(user.len > 0 && user.len + 1 + detail.len == local.len);
    else
        ASSERT(str_eq(user, local) && detail.len == 0);
}

static void check_input(unsigned flags, struct str text)
{
    CLEANUP(arena_done) struct arena arena;
    struct cursor c = cursor_from(text);
    struct address a;
    struct str domain;

    arena_init(&arena, FUZZ_ARENA_BYTES);
    if (path_parse(&c, flags, &arena, &a) == ADDRESS_OK)
        check_address(&a, &arena);
    if (address_parse(text, flags, &arena, &a) == ADDRESS_OK)
        check_address(&a, &arena);
    if (domain_parse(text, &arena, &domain) == ADDRESS_OK)
        check_domain(domain, &arena);
    (void)domain_to_unicode(text, &arena);
    if (text.len <= ADDRESS_LOCAL_MAX_BYTES)
        check_fold(text, &arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len > 0)
        check_input(bytes[0] & 7U, str_from_mem(bytes + 1, len - 1));
    return 0;
}
