/* Fuzz target: answers of a hostile DNS to the questions of one resolution. Whatever comes, the
 * result keeps its promises: bounded, sorted, no forbidden address, a reason for each refusal. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/cursor.h"
#include "dns/mx_hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static uint32_t draw_nothing(void)
{
    return 7;
}

static void make_answer(struct cursor *c, struct arena *arena, struct dns_answer *out)
{
    static const struct str why = {"because", 7};

    *out = (struct dns_answer){.status = DNS_OK + cursor_u8(c) % 5, .why = why};
    out->is_secure = cursor_u8(c) & 1;
    out->ttl_s = cursor_u32(c);
    out->name = cursor_take(c, MIN((size_t)cursor_u8(c), cursor_left(c)));
    if (out->status != DNS_OK)
        return;
    out->count = cursor_u8(c);
    out->data = arena_alloc(arena, (out->count + 1) * sizeof(out->data[0]));
    for (size_t i = 0; i < out->count; i++)
        out->data[i] = cursor_take(c, MIN((size_t)cursor_u8(c), cursor_left(c)));
}

static int look_up(void *arg, const struct dns_question *questions, size_t count,
                   int64_t deadline_ms, struct arena *arena, struct dns_answer *out_answers)
{
    struct cursor *c = arg;

    (void)deadline_ms;
    ASSERT(count <= DNS_QUESTIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        ASSERT(dns_name_is_valid(questions[i].name));
        make_answer(c, arena, &out_answers[i]);
    }
    return cursor_u8(c) == 1 ? -EPIPE : 0;
}

static void check_result(const struct mx_config *config, const struct mx_result *r, bool is_mx)
{
    ASSERT(r->ttl_s >= 1 && r->host_count <= MX_HOSTS_MAX);
    ASSERT((r->outcome == MX_OK) == (r->host_count > 0));
    ASSERT(r->outcome == MX_OK || r->why.len > 0);
    for (size_t i = 0; i < r->host_count; i++) {
        const struct mx_host *host = &r->hosts[i];
        ASSERT(host->address_count >= 1 && host->address_count <= MX_ADDRESSES_MAX);
        ASSERT(i == 0 || host->preference >= r->hosts[i - 1].preference);
        for (size_t j = 0; j < host->address_count; j++)
            ASSERT(!is_mx || !mx_is_forbidden(config, &host->addresses[j]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor c = cursor_from(str_from_mem(bytes, len));
    struct ip_addr own = {.family = IP_V4, .bytes = {192, 0, 2, 1}};
    struct mx_config config = {.lookup = look_up,
                               .arg = &c,
                               .own_name = "own.example",
                               .own_addresses = &own,
                               .own_address_count = 1,
                               .own_port = 25,
                               .port = 25};
    struct mx_result result;
    struct arena arena;

    mx_random = draw_nothing;
    arena_init(&arena, MX_ARENA_BYTES);
    bool is_mx = cursor_u8(&c) & 1;
    config.families = cursor_u8(&c) & 3;
    struct str domain = cursor_take(&c, MIN((size_t)cursor_u8(&c), cursor_left(&c)));
    int r = is_mx ? mx_resolve(&config, domain, 0, &arena, &result)
                  : mx_resolve_host(&config, domain, 0, &arena, &result);
    ASSERT(r == 0);
    check_result(&config, &result, is_mx);
    ASSERT(mx_site_key(&result, &arena).len <= 2048);
    arena_done(&arena);
    return 0;
}
