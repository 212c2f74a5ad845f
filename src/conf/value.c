/* Values as an operator writes them: see value.h. */
#include "conf/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"

enum {
    PORT_MAX = 65535,
    PORT_MAX_DIGITS = 5,
    PREFIX_MAX_DIGITS = 3,
    IPV4_BITS = 32,
    IPV6_BITS = 128,
    USER_MAX_CHARS = 32,
    LOCAL_PART_MAX_CHARS = 64,
    SECTION_LABEL_MAX_CHARS = 64,
    RECORD_TYPE_MAX_CHARS = 16,
    TTL_MAX_S = INT32_MAX, /* RFC 2181 section 8 */
    DNS_PORT = 53,
    SMTP_PORT = 25,
};

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first, so that the shortest text is found by walking down. */
static const struct unit size_units[] = {
    {"T", 1ULL << 40},
    {"G", 1ULL << 30},
    {"M", 1ULL << 20},
    {"K", 1ULL << 10},
};

static const struct unit duration_units[] = {
    {"d", 86400000ULL}, {"h", 3600000ULL}, {"min", 60000ULL}, {"s", 1000ULL}, {"ms", 1ULL},
};

static int fail_number(int error)
{
    return error == -ERANGE ? -ERANGE : -EINVAL;
}

/* Splits "12min" into the number and what follows. */
static int split_number(struct str s, uint64_t *out_number, struct str *out_unit)
{
    struct cursor c = cursor_from(s);
    struct str digits = cursor_take_while(&c, ascii_is_digit);

    if (digits.len == 0)
        return -EINVAL;
    *out_unit = cursor_rest(&c);
    return str_to_u64(digits, UINT64_MAX, out_number) < 0 ? -ERANGE : 0;
}

static int scale(uint64_t number, uint64_t factor, uint64_t max, uint64_t *out)
{
    if (__builtin_mul_overflow(number, factor, out) || *out > max)
        return -ERANGE;
    return 0;
}

int value_parse_bool(struct str s, bool *out)
{
    static const char *const names[] = {"true", "yes", "on", "false", "no", "off", NULL};
    enum { FIRST_FALSE = 3 };
    int index = value_find_name(s, names);

    if (index < 0)
        return -EINVAL;
    *out = index < FIRST_FALSE;
    return 0;
}

int value_parse_int(struct str s, int64_t *out)
{
    bool is_negative = str_has_prefix(s, STR("-"));
    uint64_t number = 0;
    struct str unit = STR_NONE;
    int rc = split_number(str_sub(s, is_negative ? 1 : 0, s.len), &number, &unit);

    if (unit.len > 0 && rc != -EINVAL)
        return -EINVAL;
    if (rc < 0)
        return rc;
    if (number > INT64_MAX)
        return -ERANGE;
    *out = is_negative ? -(int64_t)number : (int64_t)number;
    return 0;
}

static bool is_size_unit(struct str text, const char *letter)
{
    struct str head = str_sub(text, 0, 1);
    struct str tail = str_sub(text, 1, text.len);

    if (!str_eq_nocase(head, str_from_c(letter)))
        return false;
    return tail.len == 0 || str_eq_nocase(tail, STR("B")) || str_eq_nocase(tail, STR("iB"));
}

int value_parse_size(struct str s, uint64_t *out_bytes)
{
    uint64_t number;
    struct str unit;
    int rc = split_number(s, &number, &unit);

    if (rc == -EINVAL)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(size_units); i++) {
        if (is_size_unit(unit, size_units[i].name))
            return rc < 0 ? rc : scale(number, size_units[i].factor, UINT64_MAX, out_bytes);
    }
    if (unit.len > 0)
        return -EINVAL;
    return rc < 0 ? rc : scale(number, 1, UINT64_MAX, out_bytes);
}

int value_parse_duration(struct str s, int64_t *out_ms)
{
    uint64_t number, ms;
    struct str unit;
    int rc = split_number(s, &number, &unit);

    if (rc == -EINVAL)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(duration_units); i++) {
        if (!str_eq_nocase(unit, str_from_c(duration_units[i].name)))
            continue;
        if (rc == 0)
            rc = scale(number, duration_units[i].factor, INT64_MAX, &ms);
        if (rc == 0)
            *out_ms = (int64_t)ms;
        return rc;
    }
    if (unit.len > 0 || rc < 0 || number != 0)
        return -EINVAL;
    *out_ms = 0;
    return 0;
}

/* Digits without a needless zero in front: "025" would read as octal to some. */
static int parse_small(struct str s, size_t max_digits, uint64_t max, uint64_t *out)
{
    if (s.len == 0 || s.len > max_digits || (s.len > 1 && s.ptr[0] == '0'))
        return -EINVAL;
    int rc = str_to_u64(s, max, out);
    return rc < 0 ? fail_number(rc) : 0;
}

static int parse_address(struct str s, bool is_ipv6, void *out_bytes)
{
    char text[VALUE_ADDRESS_MAX_CHARS + 1];

    if (memchr(s.ptr != NULL ? s.ptr : "", 0, s.len) != NULL || !str_copy(s, text, sizeof(text)))
        return -EINVAL;
    return inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text, out_bytes) == 1 ? 0 : -EINVAL;
}

static int parse_port(struct str s, uint16_t *out)
{
    uint64_t port;
    int rc = parse_small(s, PORT_MAX_DIGITS, PORT_MAX, &port);

    if (rc < 0)
        return rc;
    if (port == 0)
        return -ERANGE;
    *out = (uint16_t)port;
    return 0;
}

int value_parse_listen(struct str s, struct value_listen *out)
{
    uint8_t bytes[16];
    ptrdiff_t colon = str_rfind(s, ':');

    if (colon < 0)
        return -EINVAL;
    struct str address = str_sub(s, 0, (size_t)colon);
    bool is_ipv6 = str_has_prefix(address, STR("[")) && str_has_suffix_nocase(address, STR("]"));
    if (is_ipv6)
        address = str_sub(address, 1, address.len - 2);
    *out = (struct value_listen){.is_ipv6 = is_ipv6};
    if (parse_address(address, is_ipv6, bytes) < 0)
        return -EINVAL;
    int rc = parse_port(str_sub(s, (size_t)colon + 1, s.len), &out->port);
    if (rc < 0)
        return rc;
    return str_copy(address, out->address, sizeof(out->address)) ? 0 : -EINVAL;
}

/* Clears the bits after the prefix; true if any was set. */
static bool clear_host_bits(struct value_network *network)
{
    bool had_any = false;

    for (unsigned i = 0; i < sizeof(network->bytes); i++) {
        unsigned bits_before = i * 8U;
        unsigned kept = network->prefix_bits > bits_before ? network->prefix_bits - bits_before : 0;
        uint8_t mask = (uint8_t)(0xFF00U >> MIN(kept, 8U));
        had_any |= (network->bytes[i] & (uint8_t)~mask) != 0;
        network->bytes[i] &= mask;
    }
    return had_any;
}

int value_parse_network(struct str s, struct value_network *out)
{
    struct str address, prefix;
    bool has_prefix = str_cut(s, '/', &address, &prefix);
    bool is_ipv6 = str_find(address, ':') >= 0;
    uint64_t max = is_ipv6 ? IPV6_BITS : IPV4_BITS;
    uint64_t bits = max;

    *out = (struct value_network){.is_ipv6 = is_ipv6};
    if (parse_address(address, is_ipv6, out->bytes) < 0)
        return -EINVAL;
    if (has_prefix) {
        int rc = parse_small(prefix, PREFIX_MAX_DIGITS, max, &bits);
        if (rc < 0)
            return rc;
    }
    out->prefix_bits = (uint8_t)bits;
    return clear_host_bits(out) ? -EDOM : 0;
}

static bool is_label(struct str label)
{
    if (label.len == 0 || label.len > VALUE_LABEL_MAX_CHARS)
        return false;
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!ascii_is_alnum(label.ptr[i]) && label.ptr[i] != '-')
            return false;
    }
    return true;
}

static bool has_only_digits(struct str s)
{
    struct cursor c = cursor_from(s);

    return cursor_take_while(&c, ascii_is_digit).len == s.len;
}

/* Labels with dots between them, the last not all digits, so that it is no address. */
static bool is_name(struct str s, size_t min_labels)
{
    struct str label, rest = s;
    size_t labels = 0;

    if (s.len > VALUE_HOSTNAME_MAX_CHARS)
        return false;
    for (bool has_more = true; has_more; labels++) {
        has_more = str_cut(rest, '.', &label, &rest);
        if (!is_label(label))
            return false;
    }
    return labels >= min_labels && !has_only_digits(label);
}

bool value_is_hostname(struct str s)
{
    return is_name(s, 2);
}

bool value_is_ipv4(struct str s)
{
    uint8_t bytes[16];

    return parse_address(s, false, bytes) == 0;
}

bool value_is_ipv6(struct str s)
{
    uint8_t bytes[16];

    return parse_address(s, true, bytes) == 0;
}

int value_parse_server(struct str s, struct value_server *out)
{
    struct str address, port;
    bool has_port = str_cut(s, '@', &address, &port);

    *out = (struct value_server){.port = DNS_PORT, .is_ipv6 = str_find(address, ':') >= 0};
    if (!value_is_ipv4(address) && !value_is_ipv6(address))
        return -EINVAL;
    int rc = has_port ? parse_port(port, &out->port) : 0;
    if (rc < 0)
        return rc;
    return str_copy(address, out->address, sizeof(out->address)) ? 0 : -EINVAL;
}

/* The next word; "" at the end. Words are parted by spaces. */
static struct str take_word(struct str *rest)
{
    struct str word, text = str_trim(*rest);

    (void)str_cut(text, ' ', &word, rest);
    return word;
}

static struct str without_final_dot(struct str name)
{
    return str_has_suffix_nocase(name, STR(".")) ? str_sub(name, 0, name.len - 1) : name;
}

int value_parse_stub(struct str s, struct value_stub *out)
{
    struct str rest = s;

    out->zone = take_word(&rest);
    if (!str_eq(out->zone, STR(".")) && !is_name(without_final_dot(out->zone), 1))
        return -EINVAL;
    return value_parse_server(str_trim(rest), &out->server);
}

/* "name", "name:25", "192.0.2.1:25", "[2001:db8::1]:25". */
static int parse_host_port(struct str s, struct value_host *out)
{
    struct str port;
    bool is_ipv6 = str_has_prefix(s, STR("["));
    ptrdiff_t end = is_ipv6 ? str_find(s, ']') : str_find(s, ':');

    if (is_ipv6 && end < 0)
        return -EINVAL;
    size_t name_len = end >= 0 ? (size_t)end : s.len;
    out->name = is_ipv6 ? str_sub(s, 1, name_len - 1) : str_sub(s, 0, name_len);
    port = str_sub(s, name_len + (is_ipv6 ? 1 : 0), s.len);
    out->is_address = is_ipv6 ? value_is_ipv6(out->name) : value_is_ipv4(out->name);
    bool is_good_name = out->is_address || (!is_ipv6 && is_name(out->name, 1));
    if (!is_good_name)
        return -EINVAL;
    if (port.len == 0)
        return 0;
    return port.ptr[0] == ':' ? parse_port(str_sub(port, 1, port.len), &out->port) : -EINVAL;
}

static int parse_weight(struct str s, uint32_t *out)
{
    enum { MAX_DIGITS = 4 };
    uint64_t weight;
    int rc = parse_small(s, MAX_DIGITS, VALUE_WEIGHT_MAX, &weight);

    if (rc < 0)
        return rc;
    if (weight == 0)
        return -ERANGE;
    *out = (uint32_t)weight;
    return 0;
}

int value_parse_host(struct str s, struct value_host *out)
{
    struct str rest = s;

    *out = (struct value_host){.port = SMTP_PORT};
    int rc = parse_host_port(take_word(&rest), out);
    while (rc == 0 && str_trim(rest).len > 0) {
        struct str word = take_word(&rest);
        if (str_has_prefix_nocase(word, STR("weight=")) && out->weight == 0)
            rc = parse_weight(str_sub(word, strlen("weight="), word.len), &out->weight);
        else if (str_eq_nocase(word, STR("backup")) && !out->is_backup)
            out->is_backup = true;
        else
            rc = -EINVAL;
    }
    out->weight = MAX(out->weight, 1U);
    return rc;
}

/* RFC 5321 section 4.1.2, Dot-string, without the characters of other scripts. */
static bool is_local_part(struct str s)
{
    static const char marks[] = "!#$%&'*+-/=?^_`{|}~.";

    if (s.len == 0 || s.len > LOCAL_PART_MAX_CHARS || s.ptr[0] == '.' || s.ptr[s.len - 1] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_alnum(s.ptr[i]) && str_find(str_from_c(marks), s.ptr[i]) < 0)
            return false;
        if (i > 0 && s.ptr[i] == '.' && s.ptr[i - 1] == '.')
            return false;
    }
    return true;
}

static bool is_mailbox(struct str s)
{
    struct str local, domain;

    return str_cut(s, '@', &local, &domain) && is_local_part(local) && is_name(domain, 1);
}

int value_parse_sender(struct str s, struct value_sender *out)
{
    struct str rest = s;

    out->login = take_word(&rest);
    out->address = str_trim(rest);
    return value_is_user(out->login) && is_mailbox(out->address) ? 0 : -EINVAL;
}

/* The name before a record: "_25._tcp.mx.example.org.", "*.example.org", ".". */
static bool is_owner_name(struct str s)
{
    struct str label, rest = without_final_dot(s);

    if (str_eq(s, STR(".")))
        return true;
    if (rest.len == 0 || rest.len > VALUE_HOSTNAME_MAX_CHARS)
        return false;
    for (bool has_more = true; has_more;) {
        has_more = str_cut(rest, '.', &label, &rest);
        if (label.len == 0 || label.len > VALUE_LABEL_MAX_CHARS)
            return false;
        for (size_t i = 0; i < label.len; i++) {
            if (!ascii_is_alnum(label.ptr[i]) && str_find(STR("-_*"), label.ptr[i]) < 0)
                return false;
        }
    }
    return true;
}

static bool is_record_type(struct str s)
{
    if (s.len == 0 || s.len > RECORD_TYPE_MAX_CHARS || !ascii_is_alpha(s.ptr[0]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_alnum(s.ptr[i]))
            return false;
    }
    return true;
}

bool value_is_record(struct str s)
{
    struct str rest = s;
    uint64_t ttl_s;

    if (!value_is_printable(s) || !is_owner_name(take_word(&rest)))
        return false;
    struct str word = take_word(&rest);
    if (word.len > 0 && ascii_is_digit(word.ptr[0])) {
        if (str_to_u64(word, TTL_MAX_S, &ttl_s) < 0)
            return false;
        word = take_word(&rest);
    }
    if (str_eq_nocase(word, STR("IN")))
        word = take_word(&rest);
    return is_record_type(word) && str_trim(rest).len > 0;
}

bool value_is_domain_pattern(struct str s)
{
    if (str_eq(s, STR("*")))
        return true;
    return is_name(str_has_prefix(s, STR("*.")) ? str_sub(s, 2, s.len) : s, 1);
}

bool value_is_sender_pattern(struct str s)
{
    /* "*@example.org" would match only a user of that name, which nobody means. */
    bool is_all_of_domain = str_has_prefix(s, STR("*@"));

    return str_eq(s, STR("<>")) || value_is_domain_pattern(s) ||
           (is_mailbox(s) && !is_all_of_domain);
}

bool value_is_section_label(struct str s)
{
    if (s.len == 0 || s.len > SECTION_LABEL_MAX_CHARS)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_alnum(s.ptr[i]) && str_find(STR("._-"), s.ptr[i]) < 0)
            return false;
    }
    return true;
}

bool value_is_path(struct str s)
{
    struct str part, rest;

    if (s.len < 2 || s.ptr[0] != '/')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7F)
            return false;
    }
    rest = str_sub(s, 1, s.len);
    for (bool has_more = true; has_more;) {
        has_more = str_cut(rest, '/', &part, &rest);
        bool is_trailing_slash = part.len == 0 && !has_more;
        if (is_trailing_slash)
            return true;
        if (part.len == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
    }
    return true;
}

bool value_is_user(struct str s)
{
    if (s.len == 0 || s.len > USER_MAX_CHARS || ascii_is_digit(s.ptr[0]) || s.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_lower = c >= 'a' && c <= 'z';
        if (!is_lower && !ascii_is_digit(c) && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool value_is_printable(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < ' ' || s.ptr[i] > '~')
            return false;
    }
    return true;
}

bool value_is_separators(struct str s)
{
    /* What may stand in an unquoted local part (RFC 5322, 3.2.3: atext), without letters and
     * digits, and the dot, which separates nothing because it is part of so many names. */
    static const char allowed[] = "!#$%&'*+-/=?^_`{|}~";

    for (size_t i = 0; i < s.len; i++) {
        if (str_find(str_from_c(allowed), s.ptr[i]) < 0)
            return false;
        if (str_find(str_sub(s, i + 1, s.len), s.ptr[i]) >= 0)
            return false;
    }
    return true;
}

int value_find_name(struct str s, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (str_eq_nocase(s, str_from_c(names[i])))
            return i;
    }
    return -1;
}

void value_format_size(uint64_t bytes, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(size_units); i++) {
        if (bytes == 0 || bytes % size_units[i].factor != 0)
            continue;
        buf_printf(out, "%llu%s", (unsigned long long)(bytes / size_units[i].factor),
                   size_units[i].name);
        return;
    }
    buf_printf(out, "%llu", (unsigned long long)bytes);
}

void value_format_duration(int64_t ms, struct buf *out)
{
    ASSERT(ms >= 0);
    for (size_t i = 0; i < ARRAY_LEN(duration_units); i++) {
        if (ms == 0 || (uint64_t)ms % duration_units[i].factor != 0)
            continue;
        buf_printf(out, "%llu%s", (unsigned long long)ms / duration_units[i].factor,
                   duration_units[i].name);
        return;
    }
    buf_put_c(out, "0");
}

void value_format_network(const struct value_network *network, struct buf *out)
{
    char text[VALUE_ADDRESS_MAX_CHARS + 1];
    int family = network->is_ipv6 ? AF_INET6 : AF_INET;

    ASSERT(inet_ntop(family, network->bytes, text, sizeof(text)) != NULL);
    buf_printf(out, "%s/%d", text, network->prefix_bits);
}

void value_format_quoted(struct str s, struct buf *out)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < ' ' || c == 0x7F)
            buf_printf(out, "\\u%04x", c);
        else
            buf_put_char(out, (char)c);
    }
    buf_put_char(out, '"');
}
