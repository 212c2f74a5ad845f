/* Fuzz target: questions and answers as the other process might send them; what is taken is written
 * again, and must then read the same. */
#include <stdint.h>

#include "dns/dns_wire.h"
#include "dns/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_questions(struct str input)
{
    struct dns_question questions[DNS_QUESTIONS_MAX];
    struct buf again;
    size_t count;

    if (dns_wire_read_questions(input, questions, &count) < 0)
        return;
    buf_init(&again, DNS_WIRE_QUESTIONS_MAX_BYTES);
    dns_wire_put_questions(&again, questions, count);
    ASSERT(buf_status(&again) == 0 && str_eq(buf_str(&again), input));
    buf_done(&again);
}

static void check_data(struct str data)
{
    char name[DNS_NAME_TEXT_BYTES];
    struct ip_addr ip;
    uint16_t preference;

    int r = dns_mx_read(data, &preference, name);
    if (r == 0)
        ASSERT(name[0] == '\0' || dns_name_is_valid(str_from_c(name)));
    if (dns_address_read(DNS_A, data, &ip) == 0)
        ASSERT(data.len == IP_V4_BYTES);
    if (dns_address_read(DNS_AAAA, data, &ip) == 0)
        ASSERT(data.len == IP_V6_BYTES);
}

static bool is_same(const struct dns_answer *a, const struct dns_answer *b)
{
    if (a->status != b->status || a->is_secure != b->is_secure || a->ttl_s != b->ttl_s ||
        !str_eq(a->name, b->name) || !str_eq(a->why, b->why) || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!str_eq(a->data[i], b->data[i]))
            return false;
    }
    return true;
}

static void check_answers(struct str input, size_t count)
{
    struct dns_answer answers[DNS_QUESTIONS_MAX], second[DNS_QUESTIONS_MAX];
    struct arena arena;
    struct buf again;

    arena_init(&arena, 2 * DNS_ANSWER_ARENA_BYTES);
    buf_init(&again, 2 * DNS_WIRE_MAX_BYTES);
    if (dns_wire_read_answers(input, count, &arena, answers) == 0) {
        for (size_t i = 0; i < count; i++) {
            dns_wire_put_answer(&again, &answers[i], DNS_WIRE_MAX_BYTES);
            for (size_t j = 0; j < answers[i].count; j++)
                check_data(answers[i].data[j]);
        }
        ASSERT(dns_wire_read_answers(buf_str(&again), count, &arena, second) == 0);
        for (size_t i = 0; i < count; i++)
            ASSERT(is_same(&answers[i], &second[i]));
    }
    buf_done(&again);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str input = str_from_mem(bytes, len);

    check_questions(input);
    check_data(input);
    (void)dns_name_is_valid(input);
    check_answers(input, 1);
    check_answers(input, 3);
    return 0;
}
