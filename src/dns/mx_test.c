/* Unit tests of mx.h: a table of small DNS worlds and of what has to come of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns/mx_hosts.h"

enum { WORDS_MAX = 4, ALIASES_MAX = 8, RESULT_BYTES = 4096, TTL_S = 3600 };

/*
 * A world is lines "NAME TYPE VALUE", separated by ';':
 *   MX preference host, A address, AAAA address, CNAME name
 *   RAW-MX hex        record data as it is
 *   FAIL type, BOGUS type, LOST type   no answer; wrong signatures; the resolver is not there
 *   TTL seconds, SECURE (of all answers for that name)
 * Names without a line do not exist.
 */
struct world {
    const char *text;
    size_t calls; /* of the look-up function */
    size_t questions;
};

static struct world world;

static size_t split_line(const char **at, struct str out[WORDS_MAX])
{
    struct str line, word;
    size_t count = 0;

    struct str rest = str_from_c(*at);
    (void)str_cut(rest, ';', &line, &rest);
    *at = rest.ptr != NULL && rest.len > 0 ? rest.ptr : "";
    line = str_trim(line);
    while (line.len > 0 && count < WORDS_MAX) {
        (void)str_cut(line, ' ', &word, &line);
        if (word.len > 0)
            out[count++] = word;
    }
    return count;
}

static const char *type_name(enum dns_type type)
{
    return type == DNS_A ? "A" : type == DNS_AAAA ? "AAAA" : "MX";
}

static void put_name(struct buf *out, struct str name)
{
    struct str label;

    if (str_eq_c(name, "."))
        name = STR("");
    while (name.len > 0) {
        (void)str_cut(name, '.', &label, &name);
        buf_put_u8(out, (uint8_t)label.len);
        buf_put_str(out, label);
    }
    buf_put_u8(out, 0);
}

static void put_hex(struct buf *out, struct str hex)
{
    for (size_t i = 0; i + 1 < hex.len; i += 2)
        buf_put_u8(out,
                   (uint8_t)(ascii_hex_value(hex.ptr[i]) << 4 | ascii_hex_value(hex.ptr[i + 1])));
}

static void put_data(struct buf *out, enum dns_type type, const struct str *words)
{
    struct ip_addr ip;
    uint64_t preference;

    if (str_eq_c(words[1], "RAW-MX")) {
        put_hex(out, words[2]);
        return;
    }
    if (type == DNS_MX) {
        assert_int_equal(str_to_u64(words[2], 65535, &preference), 0);
        buf_put_u8(out, (uint8_t)(preference >> 8));
        buf_put_u8(out, (uint8_t)preference);
        put_name(out, words[3]);
        return;
    }
    assert_int_equal(ip_parse(words[2], &ip), 0);
    buf_put(out, ip.bytes, type == DNS_A ? IP_V4_BYTES : IP_V6_BYTES);
}

static void add_record(struct arena *arena, struct dns_answer *a, enum dns_type type,
                       const struct str *words)
{
    struct buf data;

    buf_init(&data, 1024);
    put_data(&data, type, words);
    if (a->data == NULL)
        a->data = arena_alloc(arena, DNS_RECORDS_MAX * sizeof(a->data[0]));
    assert_true(a->count < DNS_RECORDS_MAX);
    a->data[a->count++] = arena_str(arena, buf_str(&data));
    buf_done(&data);
}

static int take_failure(const struct str *words, enum dns_type type, struct dns_answer *a)
{
    if (!str_eq_c(words[2], type_name(type)))
        return 0;
    if (str_eq_c(words[1], "LOST"))
        return -EPIPE;
    if (str_eq_c(words[1], "FAIL"))
        *a = (struct dns_answer){.status = DNS_FAILED, .why = STR("time-out")};
    if (str_eq_c(words[1], "BOGUS"))
        *a = (struct dns_answer){.status = DNS_BOGUS, .why = STR("DNSSEC validation failed: x")};
    return 0;
}

/* One pass over the world for one name. An alias goes to *name. */
static int read_world(struct str *name, enum dns_type type, struct arena *arena,
                      struct dns_answer *a)
{
    struct str words[WORDS_MAX] = {{0}}, owner = *name;
    uint64_t number;
    int r = 0;

    for (const char *at = world.text; *at != '\0' && r == 0;) {
        size_t count = split_line(&at, words);
        if (count < 2 || !str_eq_nocase(words[0], owner))
            continue;
        if (a->status == DNS_NO_NAME)
            a->status = DNS_NO_DATA;
        if (str_eq_c(words[1], type_name(type)) ||
            (type == DNS_MX && str_eq_c(words[1], "RAW-MX"))) {
            add_record(arena, a, type, words);
            a->status = DNS_OK;
        } else if (str_eq_c(words[1], "CNAME")) {
            *name = words[2];
        } else if (str_eq_c(words[1], "SECURE")) {
            a->is_secure = true;
        } else if (str_eq_c(words[1], "TTL")) {
            assert_int_equal(str_to_u64(words[2], UINT32_MAX, &number), 0);
            a->ttl_s = (uint32_t)number;
        } else {
            r = take_failure(words, type, a);
        }
    }
    return r;
}

static int answer_one(const struct dns_question *q, struct arena *arena, struct dns_answer *a)
{
    struct str name = q->name;

    *a = (struct dns_answer){.status = DNS_NO_NAME, .ttl_s = TTL_S};
    for (int i = 0; i < ALIASES_MAX; i++) {
        struct str before = name;
        int r = read_world(&name, q->type, arena, a);
        a->name = name;
        if (r < 0 || str_eq(name, before))
            return r;
        a->status = DNS_NO_NAME;
    }
    *a = (struct dns_answer){.status = DNS_FAILED, .why = STR("too many aliases")};
    return 0;
}

static int look_up(void *arg, const struct dns_question *questions, size_t count,
                   int64_t deadline_ms, struct arena *arena, struct dns_answer *out_answers)
{
    int r = 0;

    assert_ptr_equal(arg, &world);
    assert_int_equal(deadline_ms, 12345);
    assert_in_range(count, 1, DNS_QUESTIONS_MAX);
    world.calls++;
    world.questions += count;
    for (size_t i = 0; i < count && r == 0; i++)
        r = answer_one(&questions[i], arena, &out_answers[i]);
    return r;
}

/* --- the table --- */

static char *allowed_items[] = {(char[]){"10.1.0.0/16"}, (char[]){"fd00::/16"}};
static const struct settings_list allowed = {allowed_items, ARRAY_LEN(allowed_items)};

struct mx_case {
    const char *what;
    const char *world;
    const char *domain;
    enum mx_outcome outcome;
    const char *hosts; /* "preference name address... | ...", or what `why` has to contain */
    int families;      /* and one; 0: IPv6 first */
    bool is_relay;     /* mx_resolve_host */
    bool on_other_port;
};

#define V4ONLY     (SETTINGS_FAMILIES_IPV4 + 1)
#define V6ONLY     (SETTINGS_FAMILIES_IPV6 + 1)
#define IPV4_FIRST (SETTINGS_FAMILIES_IPV4_FIRST + 1)
#define IPV6_FIRST (SETTINGS_FAMILIES_IPV6_FIRST + 1)

static const struct mx_case cases[] = {
    /* RFC 5321 section 5.1 */
    {"one host", "d.example MX 10 m.d.example; m.d.example A 192.0.2.9", "d.example", MX_OK,
     "10 m.d.example 192.0.2.9"},
    {"sorted by preference",
     "d.example MX 30 c.example; d.example MX 10 a.example; d.example MX 20 b.example;"
     "a.example A 192.0.2.11; b.example A 192.0.2.12; c.example A 192.0.2.13",
     "d.example", MX_OK,
     "10 a.example 192.0.2.11 | 20 b.example 192.0.2.12 | 30 c.example 192.0.2.13"},
    {"preferences above 32767 are not negative",
     "d.example MX 40000 a.example; d.example MX 100 b.example;"
     "a.example A 192.0.2.11; b.example A 192.0.2.12",
     "d.example", MX_OK, "100 b.example 192.0.2.12 | 40000 a.example 192.0.2.11"},
    {"equal ones in an order drawn by chance",
     "d.example MX 10 a.example; d.example MX 10 b.example; d.example MX 10 c.example;"
     "a.example A 192.0.2.11; b.example A 192.0.2.12; c.example A 192.0.2.13",
     "d.example", MX_OK,
     "10 c.example 192.0.2.13 | 10 b.example 192.0.2.12 | 10 a.example 192.0.2.11"},
    {"a host named twice counts once, at its best",
     "d.example MX 20 a.example; d.example MX 10 A.EXAMPLE; d.example MX 15 b.example;"
     "a.example A 192.0.2.11; b.example A 192.0.2.12",
     "d.example", MX_OK, "10 a.example 192.0.2.11 | 15 b.example 192.0.2.12"},
    {"the domain in upper case and with a final dot",
     "d.example MX 10 m.d.example; m.d.example A 192.0.2.9", "D.Example.", MX_OK,
     "10 m.d.example 192.0.2.9"},
    {"the domain's own address does not count beside MX records",
     "d.example MX 10 m.d.example; d.example A 192.0.2.8", "d.example", MX_NO_HOST,
     "no mail host of d.example has an address"},
    {"implicit MX", "d.example A 192.0.2.8", "d.example", MX_OK, "0 d.example 192.0.2.8"},
    {"implicit MX by IPv6", "d.example AAAA 2001:db8::8", "d.example", MX_OK,
     "0 d.example 2001:db8::8"},
    {"neither MX nor address", "d.example TXT x", "d.example", MX_NO_HOST,
     "the domain d.example has neither a mail host nor an address"},
    {"no such domain", "", "d.example", MX_NO_NAME, "the domain d.example does not exist"},
    {"the domain is an alias",
     "d.example CNAME e.example; e.example MX 10 m.example;"
     "m.example A 192.0.2.9",
     "d.example", MX_OK, "10 m.example 192.0.2.9"},
    {"an alias of a domain without MX", "d.example CNAME e.example; e.example A 192.0.2.9",
     "d.example", MX_OK, "0 e.example 192.0.2.9"},
    {"an alias of nothing", "d.example CNAME e.example", "d.example", MX_NO_NAME, "does not exist"},
    {"aliases without end", "d.example CNAME e.example; e.example CNAME d.example", "d.example",
     MX_TEMPORARY, "too many aliases"},
    {"an MX host that is an alias is tolerated",
     "d.example MX 10 m.example; m.example CNAME n.example; n.example A 192.0.2.9", "d.example",
     MX_OK, "10 m.example 192.0.2.9"},
    {"a host without an address is skipped",
     "d.example MX 10 a.example; d.example MX 20 b.example; a.example TXT x;"
     "b.example A 192.0.2.12",
     "d.example", MX_OK, "20 b.example 192.0.2.12"},
    {"a host that does not exist is skipped",
     "d.example MX 10 a.example; d.example MX 20 b.example; b.example A 192.0.2.12", "d.example",
     MX_OK, "20 b.example 192.0.2.12"},
    {"no host has an address", "d.example MX 10 a.example; d.example MX 20 b.example", "d.example",
     MX_NO_HOST, "no mail host of d.example has an address"},
    {"an address in the place of a name", "d.example MX 10 192.0.2.1", "d.example", MX_NO_HOST,
     "no mail host"},
    {"records of rubbish only", "d.example RAW-MX 000a; d.example RAW-MX 000ac00c", "d.example",
     MX_NO_HOST, "name no host"},
    {"rubbish beside a good record",
     "d.example RAW-MX 00; d.example MX 10 a.example; a.example A 192.0.2.11", "d.example", MX_OK,
     "10 a.example 192.0.2.11"},
    {"a host name with a dot in a label",
     "d.example RAW-MX 000a03612e6200; d.example MX 20 a.example; a.example A 192.0.2.11",
     "d.example", MX_OK, "20 a.example 192.0.2.11"},

    /* RFC 7505 */
    {"null MX", "d.example MX 0 .", "d.example", MX_NULL, "takes no mail"},
    {"null MX of any preference", "d.example MX 10 .", "d.example", MX_NULL, "takes no mail"},
    {"null MX although there is an address", "d.example MX 0 .; d.example A 192.0.2.8", "d.example",
     MX_NULL, "takes no mail"},
    {"null MX beside another is no host",
     "d.example MX 0 .; d.example MX 10 a.example; a.example A 192.0.2.11", "d.example", MX_OK,
     "10 a.example 192.0.2.11"},
    {"null MX said twice", "d.example MX 0 .; d.example MX 5 .", "d.example", MX_NULL, "no mail"},

    /* failures of the DNS */
    {"MX time-out", "d.example FAIL MX; d.example A 192.0.2.8", "d.example", MX_TEMPORARY,
     "the mail host of d.example could not be looked up: time-out"},
    {"MX bogus", "d.example BOGUS MX", "d.example", MX_TEMPORARY, "DNSSEC validation failed"},
    {"the resolver is not there", "d.example LOST MX", "d.example", MX_TEMPORARY,
     "the resolver cannot be asked"},
    {"it goes away before the addresses", "d.example MX 10 a.example; a.example LOST A",
     "d.example", MX_TEMPORARY, "the resolver cannot be asked"},
    {"a host that cannot be looked up is skipped",
     "d.example MX 10 a.example; d.example MX 20 b.example; a.example FAIL A; a.example FAIL AAAA;"
     "b.example A 192.0.2.12",
     "d.example", MX_OK, "20 b.example 192.0.2.12"},
    {"all that is left cannot be looked up",
     "d.example MX 10 a.example; d.example MX 20 b.example; a.example FAIL A; b.example TXT x",
     "d.example", MX_TEMPORARY, "the address of a.example could not be looked up: time-out"},
    {"bogus addresses are temporary, and said so",
     "d.example MX 10 a.example; d.example MX 20 b.example; a.example FAIL A; b.example BOGUS A",
     "d.example", MX_TEMPORARY, "b.example could not be looked up: DNSSEC validation failed"},
    {"one family fails, the other is there",
     "d.example MX 10 a.example; a.example FAIL AAAA; a.example A 192.0.2.11", "d.example", MX_OK,
     "10 a.example 192.0.2.11"},
    {"the implicit MX cannot be looked up", "d.example FAIL A", "d.example", MX_TEMPORARY,
     "could not be looked up"},

    /* ourselves */
    {"we are the best host", "d.example MX 10 own.example; own.example A 192.0.2.1", "d.example",
     MX_LOOP, "this server"},
    {"we are the second: the better ones are tried",
     "d.example MX 10 a.example; d.example MX 20 own.example; d.example MX 20 b.example;"
     "d.example MX 30 c.example; a.example A 192.0.2.11; b.example A 192.0.2.12;"
     "c.example A 192.0.2.13",
     "d.example", MX_OK, "10 a.example 192.0.2.11"},
    {"we are equal to others: nobody is left",
     "d.example MX 10 a.example; d.example MX 10 OWN.example; a.example A 192.0.2.11", "d.example",
     MX_LOOP, "circle"},
    {"another name for our address",
     "d.example MX 10 alias.example; d.example MX 20 b.example; alias.example A 192.0.2.1;"
     "b.example A 192.0.2.12",
     "d.example", MX_LOOP, "this server"},
    {"another name for our IPv6 address",
     "d.example MX 10 a.example; d.example MX 20 alias.example; d.example MX 30 b.example;"
     "alias.example AAAA 2001:db8::1; a.example A 192.0.2.11; b.example A 192.0.2.12",
     "d.example", MX_OK, "10 a.example 192.0.2.11"},
    {"our address at another port is not us", "d.example MX 10 a.example; a.example A 192.0.2.1",
     "d.example", MX_OK, "10 a.example 192.0.2.1", .on_other_port = true},
    {"our name is us at any port", "d.example MX 10 own.example; own.example A 192.0.2.1",
     "d.example", MX_LOOP, "this server", .on_other_port = true},
    {"the implicit MX is us", "d.example A 192.0.2.1", "d.example", MX_LOOP, "this server"},
    {"the better host cannot be looked up now, we are the second",
     "d.example MX 10 a.example; d.example MX 20 own.example; a.example FAIL A", "d.example",
     MX_TEMPORARY, "could not be looked up"},
    {"the better host does not exist, we are the second",
     "d.example MX 10 a.example; d.example MX 20 own.example", "d.example", MX_LOOP, "this server"},

    /* addresses where no mail goes to */
    {"a private address is left out",
     "d.example MX 10 a.example; a.example A 10.9.0.1; a.example A 192.0.2.11", "d.example", MX_OK,
     "10 a.example 192.0.2.11"},
    {"a host with only such is skipped",
     "d.example MX 10 a.example; d.example MX 20 b.example; a.example A 127.0.0.1;"
     "a.example AAAA ::1; b.example A 192.0.2.12",
     "d.example", MX_OK, "20 b.example 192.0.2.12"},
    {"localhost as mail host",
     "d.example MX 0 localhost; localhost A 127.0.0.1;"
     "localhost AAAA ::1",
     "d.example", MX_FORBIDDEN, "the mail host localhost of d.example has only private addresses"},
    {"only private ones", "d.example A 192.168.1.1", "d.example", MX_FORBIDDEN, "private"},
    {"mapped and embedded ones",
     "d.example AAAA ::ffff:10.9.9.9; d.example AAAA 2002:7f00:1::1;"
     "d.example AAAA 64:ff9b::169.254.1.1",
     "d.example", MX_FORBIDDEN, "private"},
    {"NAT64 of a public address", "d.example AAAA 64:ff9b::192.0.2.7", "d.example", MX_OK,
     "0 d.example 64:ff9b::c000:207"},
    {"a network that is allowed", "d.example A 10.1.2.3; d.example AAAA fd00::5", "d.example",
     MX_OK, "0 d.example fd00::5 10.1.2.3"},
    {"its neighbour is not", "d.example A 10.2.2.3", "d.example", MX_FORBIDDEN, "private"},
    {"a failure counts before a refusal",
     "d.example MX 10 a.example; d.example MX 20 b.example; a.example A 10.9.9.9;"
     "b.example FAIL A",
     "d.example", MX_TEMPORARY, "could not be looked up"},

    /* families */
    {"IPv6 before IPv4", "d.example A 192.0.2.8; d.example AAAA 2001:db8::8", "d.example", MX_OK,
     "0 d.example 2001:db8::8 192.0.2.8", IPV6_FIRST},
    {"IPv4 before IPv6", "d.example A 192.0.2.8; d.example AAAA 2001:db8::8", "d.example", MX_OK,
     "0 d.example 192.0.2.8 2001:db8::8", IPV4_FIRST},
    {"IPv4 only", "d.example A 192.0.2.8; d.example AAAA 2001:db8::8", "d.example", MX_OK,
     "0 d.example 192.0.2.8", V4ONLY},
    {"IPv6 only", "d.example A 192.0.2.8; d.example AAAA 2001:db8::8", "d.example", MX_OK,
     "0 d.example 2001:db8::8", V6ONLY},
    {"an IPv6 host for who has IPv4 only", "d.example AAAA 2001:db8::8", "d.example", MX_NO_HOST,
     "neither", V4ONLY},
    {"the same address twice", "d.example A 192.0.2.8; d.example A 192.0.2.8", "d.example", MX_OK,
     "0 d.example 192.0.2.8"},

    /* address literals */
    {"an IPv4 literal", "", "[192.0.2.77]", MX_OK, "0 [192.0.2.77] 192.0.2.77"},
    {"an IPv6 literal", "", "[IPv6:2001:db8::77]", MX_OK, "0 [IPv6:2001:db8::77] 2001:db8::77"},
    {"an IPv6 literal without its tag", "", "[2001:db8::77]", MX_NO_NAME, "neither"},
    {"our own literal", "", "[192.0.2.1]", MX_LOOP, "this server"},
    {"a private literal", "", "[127.0.0.1]", MX_FORBIDDEN, "private"},
    {"a mapped private literal", "", "[IPv6:::ffff:127.0.0.1]", MX_FORBIDDEN, "private"},
    {"a literal of the wrong family", "", "[IPv6:2001:db8::77]", MX_NO_HOST, "family", V4ONLY},
    {"no literal", "", "[192.0.2]", MX_NO_NAME, "neither"},

    /* no names */
    {"nothing", "", "", MX_NO_NAME, "neither"},
    {"the root", "", ".", MX_NO_NAME, "neither"},
    {"an empty label", "", "d..example", MX_NO_NAME, "neither"},
    {"blanks and controls", "", "d\x1b[2J .example", MX_NO_NAME, "\"d?[2J .example\" is neither"},

    /* smarthosts */
    {"a smarthost has no MX",
     "s.example MX 10 m.example; m.example A 192.0.2.9;"
     "s.example A 192.0.2.10",
     "s.example", MX_OK, "0 s.example 192.0.2.10", .is_relay = true},
    {"a private smarthost", "s.example A 10.9.9.9", "s.example", MX_OK, "0 s.example 10.9.9.9",
     .is_relay = true},
    {"a smarthost on this machine", "localhost A 127.0.0.1", "localhost", MX_OK,
     "0 localhost 127.0.0.1", .is_relay = true},
    {"a smarthost by address", "", "127.0.0.2", MX_OK, "0 127.0.0.2 127.0.0.2", .is_relay = true},
    {"in brackets", "", "[::1]", MX_OK, "0 [::1] ::1", .is_relay = true},
    {"a smarthost that does not exist", "", "s.example", MX_NO_NAME, "no host s.example",
     .is_relay = true},
    {"a smarthost without address", "s.example TXT x", "s.example", MX_NO_HOST, "no address",
     .is_relay = true},
    {"a smarthost that cannot be looked up", "s.example FAIL A", "s.example", MX_TEMPORARY,
     "could not be looked up", .is_relay = true},
    {"a smarthost that is us", "", "192.0.2.1", MX_LOOP, "this server", .is_relay = true},
    {"our name at another port", "own.example A 192.0.2.1", "own.example", MX_OK,
     "0 own.example 192.0.2.1", .is_relay = true, .on_other_port = true},
    {"our name", "own.example A 192.0.2.9", "own.example", MX_LOOP, "this server",
     .is_relay = true},
};

static uint32_t draws;

/* Falls, so that equal ones come out in the reverse of their order. */
static uint32_t draw(void)
{
    return --draws;
}

static const struct ip_addr own_addresses[] = {
    {.family = IP_V4, .bytes = {192, 0, 2, 1}},
    {.family = IP_V6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
};

static struct mx_config make_config(int families)
{
    return (struct mx_config){.lookup = look_up,
                              .arg = &world,
                              .own_name = "own.example",
                              .own_addresses = own_addresses,
                              .own_address_count = ARRAY_LEN(own_addresses),
                              .own_port = 25,
                              .port = 25,
                              .allowed_networks = &allowed,
                              .families = families};
}

static void print_hosts(const struct mx_result *r, struct buf *out)
{
    char text[IP_TEXT_BYTES];

    for (size_t i = 0; i < r->host_count; i++) {
        buf_printf(out, "%s%u %.*s", i > 0 ? " | " : "", r->hosts[i].preference,
                   STR_ARG(r->hosts[i].name));
        for (size_t j = 0; j < r->hosts[i].address_count; j++)
            buf_printf(out, " %s", ip_print(&r->hosts[i].addresses[j], text));
    }
}

static void check_case(const struct mx_case *c, struct arena *arena)
{
    struct mx_config config =
        make_config(c->families != 0 ? c->families - 1 : SETTINGS_FAMILIES_IPV6_FIRST);
    struct mx_result r;
    struct buf text;

    draws = 1000;
    world = (struct world){.text = c->world};
    config.port = c->on_other_port ? 2525 : 25;
    struct str domain = str_from_c(c->domain);
    int status = c->is_relay ? mx_resolve_host(&config, domain, 12345, arena, &r)
                             : mx_resolve(&config, domain, 12345, arena, &r);
    assert_int_equal(status, 0);
    buf_init(&text, RESULT_BYTES);
    if (r.outcome == MX_OK)
        print_hosts(&r, &text);
    else
        buf_put_str(&text, r.why);
    bool is_right = r.outcome == c->outcome && (r.host_count > 0) == (c->outcome == MX_OK);
    if (c->outcome == MX_OK)
        is_right = is_right && str_eq_c(buf_str(&text), c->hosts);
    else
        is_right = is_right && strstr(buf_c_str(&text), c->hosts) != NULL;
    if (!is_right)
        fail_msg("%s: outcome %d: %s", c->what, (int)r.outcome, buf_c_str(&text));
    assert_true(world.calls <= 2 && r.ttl_s >= 60 && r.ttl_s <= 86400);
    buf_done(&text);
}

static void each_world_has_its_outcome(void **state)
{
    struct arena arena;

    (void)state;
    assert_true(ARRAY_LEN(cases) >= 40);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        arena_init(&arena, MX_ARENA_BYTES);
        check_case(&cases[i], &arena);
        arena_done(&arena);
    }
}

/* --- what the table cannot say --- */

static struct arena shared;

static struct mx_result resolve(const char *text, const char *domain)
{
    struct mx_config config = make_config(SETTINGS_FAMILIES_IPV6_FIRST);
    struct mx_result r;

    world = (struct world){.text = text};
    assert_int_equal(mx_resolve(&config, str_from_c(domain), 12345, &shared, &r), 0);
    return r;
}

static void a_domain_with_many_hosts_costs_two_calls(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, 65536);
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "d.example MX %d h%d.example; h%d.example A 192.0.2.%d;", 1000 - i, i, i,
                   i + 2);
    struct mx_result r = resolve(buf_c_str(&text), "d.example");
    assert_int_equal(r.outcome, MX_OK);
    assert_int_equal(r.host_count, MX_HOSTS_MAX);
    assert_int_equal(r.hosts[0].preference, 801);
    assert_int_equal(world.calls, 2);
    assert_int_equal(world.questions, 1 + 2 * MX_HOSTS_MAX);
    buf_done(&text);
}

static void a_host_with_many_addresses_is_cut(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, 65536);
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "d.example A 192.0.2.%d;", i + 2);
    struct mx_result r = resolve(buf_c_str(&text), "d.example");
    assert_int_equal(r.hosts[0].address_count, MX_ADDRESSES_MAX);
    buf_done(&text);
}

static void the_result_lives_as_long_as_its_shortest_record(void **state)
{
    static const struct {
        const char *world;
        uint32_t ttl_s;
    } ttls[] = {
        {"d.example MX 1 m.example; m.example A 192.0.2.9", TTL_S},
        {"d.example MX 1 m.example; m.example A 192.0.2.9; d.example TTL 300", 300},
        {"d.example MX 1 m.example; m.example A 192.0.2.9; m.example TTL 200", 200},
        {"d.example MX 1 m.example; m.example A 192.0.2.9; m.example TTL 0", 60},
        {"d.example A 192.0.2.9; d.example TTL 4000000000", 86400},
        {"d.example MX 0 .; d.example TTL 86400", 900},
        {"d.example MX 0 .; d.example TTL 5", 60},
        {"d.example MX 1 m.example; m.example TXT x; m.example TTL 120", 120},
        {"d.example FAIL MX", 60},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ttls); i++)
        assert_int_equal(resolve(ttls[i].world, "d.example").ttl_s, ttls[i].ttl_s);
}

static void what_was_validated_is_told_for_records_and_hosts(void **state)
{
    (void)state;
    struct mx_result r = resolve("d.example MX 1 m.example; d.example MX 2 n.example;"
                                 "d.example SECURE; m.example A 192.0.2.9; m.example SECURE;"
                                 "n.example A 192.0.2.10",
                                 "d.example");
    assert_true(r.is_secure && !r.is_implicit);
    assert_true(r.hosts[0].is_secure && !r.hosts[1].is_secure);
    r = resolve("d.example A 192.0.2.9", "d.example");
    assert_true(!r.is_secure && r.is_implicit && !r.hosts[0].is_secure);
    assert_true(resolve("d.example MX 0 .; d.example SECURE", "d.example").is_secure);
}

static int be_cancelled(void *arg, const struct dns_question *questions, size_t count,
                        int64_t deadline_ms, struct arena *arena, struct dns_answer *out_answers)
{
    (void)arg;
    (void)questions;
    (void)count;
    (void)deadline_ms;
    (void)arena;
    (void)out_answers;
    return -ECANCELED;
}

static void being_cancelled_is_no_outcome(void **state)
{
    struct mx_config config = make_config(SETTINGS_FAMILIES_IPV6_FIRST);
    struct mx_result r;

    (void)state;
    config.lookup = be_cancelled;
    assert_int_equal(mx_resolve(&config, STR("d.example"), 12345, &shared, &r), -ECANCELED);
    assert_int_equal(mx_resolve_host(&config, STR("s.example"), 12345, &shared, &r), -ECANCELED);
}

static void equal_sets_of_hosts_have_equal_keys(void **state)
{
    (void)state;
    struct mx_result a = resolve("d.example MX 1 b.example; d.example MX 2 A.example;"
                                 "a.example A 192.0.2.9; b.example A 192.0.2.10",
                                 "d.example");
    struct mx_result b = resolve("e.example MX 7 a.example; e.example MX 5 B.EXAMPLE;"
                                 "a.example A 192.0.2.9; b.example A 192.0.2.10",
                                 "e.example");
    struct mx_result c = resolve("e.example MX 7 a.example; a.example A 192.0.2.9", "e.example");
    assert_true(str_eq_c(mx_site_key(&a, &shared), "a.example,b.example"));
    assert_true(str_eq(mx_site_key(&a, &shared), mx_site_key(&b, &shared)));
    assert_false(str_eq(mx_site_key(&a, &shared), mx_site_key(&c, &shared)));
}

static void long_keys_are_bounded_and_still_differ(void **state)
{
    struct mx_host hosts[MX_HOSTS_MAX];
    struct mx_result r = {.hosts = hosts, .host_count = MX_HOSTS_MAX};

    (void)state;
    for (int i = 0; i < MX_HOSTS_MAX; i++) {
        char *name = arena_printf(&shared, "%c%0240d.example", 'a' + i, i);
        hosts[i] = (struct mx_host){.name = str_from_c(name)};
    }
    struct str one = mx_site_key(&r, &shared);
    hosts[MX_HOSTS_MAX - 1].name = STR("zz.example");
    struct str other = mx_site_key(&r, &shared);
    assert_true(one.len <= 2048 && other.len <= 2048);
    assert_false(str_eq(one, other));
}

static void special_addresses_are_known(void **state)
{
    static const struct {
        const char *text;
        bool is_forbidden;
    } addresses[] = {
        {"0.1.2.3", true},
        {"10.255.0.1", true},
        {"100.64.0.1", true},
        {"100.128.0.1", false},
        {"127.255.255.254", true},
        {"169.254.0.1", true},
        {"172.15.255.255", false},
        {"172.16.0.1", true},
        {"172.31.255.255", true},
        {"172.32.0.1", false},
        {"192.0.0.1", true},
        {"192.0.1.1", false},
        {"192.0.2.1", false},
        {"192.88.99.1", true},
        {"192.168.255.1", true},
        {"192.169.0.1", false},
        {"198.17.255.255", false},
        {"198.18.0.1", true},
        {"198.19.255.255", true},
        {"198.51.100.1", false},
        {"203.0.113.1", false},
        {"224.0.0.1", true},
        {"239.255.255.255", true},
        {"240.0.0.1", true},
        {"255.255.255.255", true},
        {"8.8.8.8", false},
        {"::", true},
        {"::1", true},
        {"::10.0.0.1", true},
        {"::ffff:127.0.0.1", true},
        {"::ffff:8.8.8.8", false},
        {"64:ff9b::8.8.8.8", false},
        {"64:ff9b::10.0.0.1", true},
        {"64:ff9b:1::1", true},
        {"100::1", true},
        {"2001:db8::1", false},
        {"2002:a00:1::1", true},
        {"2002:808:808::1", false},
        {"fbff::1", false},
        {"fc00::1", true},
        {"fdff::1", true},
        {"fe80::1", true},
        {"febf::1", true},
        {"fec0::1", true},
        {"ff02::1", true},
        {"2a00::1", false},
        {"10.1.255.255", false},
        {"fd00::1", false},
    };
    struct mx_config config = make_config(0);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct ip_addr ip;
        assert_int_equal(ip_parse(str_from_c(addresses[i].text), &ip), 0);
        if (strncmp(addresses[i].text, "fdff", 4) == 0)
            assert_true(mx_is_forbidden(&config, &ip));
        else if (mx_is_forbidden(&config, &ip) != addresses[i].is_forbidden)
            fail_msg("%s", addresses[i].text);
    }
}

static void chance_is_chance(void **state)
{
    size_t first_is_a = 0;

    (void)state;
    uint32_t (*fixed)(void) = mx_random;
    for (int i = 0; i < 200; i++) {
        struct mx_candidates list = {0};
        struct arena arena;
        arena_init(&arena, 1 << 20);
        mx_add_candidate(&list, STR("a.example"), 10, &arena);
        mx_add_candidate(&list, STR("b.example"), 10, &arena);
        mx_sort_candidates(&list);
        first_is_a += str_eq_c(list.items[0].host.name, "a.example");
        arena_done(&arena);
    }
    mx_random = fixed;
    /* 200 fair throws leave this range once in ten million runs. */
    assert_in_range(first_is_a, 62, 138);
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&shared, 16 * MX_ARENA_BYTES);
    mx_random = draw;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&shared);
    return 0;
}

static uint32_t (*true_chance)(void);

static int use_true_chance(void **state)
{
    (void)state;
    mx_random = true_chance;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_world_has_its_outcome),
        cmocka_unit_test(a_domain_with_many_hosts_costs_two_calls),
        cmocka_unit_test(a_host_with_many_addresses_is_cut),
        cmocka_unit_test(the_result_lives_as_long_as_its_shortest_record),
        cmocka_unit_test(what_was_validated_is_told_for_records_and_hosts),
        cmocka_unit_test(being_cancelled_is_no_outcome),
        cmocka_unit_test(equal_sets_of_hosts_have_equal_keys),
        cmocka_unit_test(long_keys_are_bounded_and_still_differ),
        cmocka_unit_test(special_addresses_are_known),
        cmocka_unit_test_setup(chance_is_chance, use_true_chance),
    };

    true_chance = mx_random;
    return cmocka_run_group_tests_name("mx", tests, set_up, tear_down);
}
