/* Names and record data: see record.h. */
#include "dns/record.h"

#include <errno.h>
#include <string.h>

static bool may_stand_in_label(char c)
{
    return c > ' ' && c < 0x7f && c != '.' && c != '\\';
}

bool dns_name_is_valid(struct str name)
{
    size_t label_bytes = 0;

    if (str_eq_c(name, "."))
        return true;
    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > DNS_NAME_MAX_CHARS)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '.' && label_bytes == 0)
            return false;
        if (name.ptr[i] == '.') {
            label_bytes = 0;
            continue;
        }
        if (!may_stand_in_label(name.ptr[i]) || ++label_bytes > DNS_LABEL_MAX_BYTES)
            return false;
    }
    return label_bytes > 0;
}

/* Appends a label to the text of `len` characters. Whether its characters can stand there. */
static bool put_label(struct str label, char *text, size_t *len)
{
    bool is_plain = true;

    if (*len > 0)
        text[(*len)++] = '.';
    for (size_t i = 0; i < label.len; i++) {
        is_plain = is_plain && may_stand_in_label(label.ptr[i]);
        text[(*len)++] = ascii_lower(label.ptr[i]);
    }
    return is_plain;
}

int dns_name_read(struct cursor *c, char out[DNS_NAME_TEXT_BYTES])
{
    size_t len = 0;
    bool is_plain = true;

    out[0] = '\0';
    for (;;) {
        uint8_t bytes = cursor_u8(c);
        if (cursor_status(c) < 0)
            return -EBADMSG;
        if (bytes == 0)
            break;
        struct str label = cursor_take(c, bytes);
        /* Above 63 it would be a pointer. One more for the dot before it. */
        if (bytes > DNS_LABEL_MAX_BYTES || len + (len > 0) + bytes > DNS_NAME_MAX_CHARS)
            cursor_fail(c);
        if (cursor_status(c) < 0)
            return -EBADMSG;
        is_plain = put_label(label, out, &len) && is_plain;
    }
    out[len] = '\0';
    return is_plain ? 0 : -EINVAL;
}

int dns_mx_read(struct str data, uint16_t *out_preference, char out_name[DNS_NAME_TEXT_BYTES])
{
    struct cursor c = cursor_from(data);

    unsigned high = cursor_u8(&c);
    *out_preference = (uint16_t)(high << 8 | cursor_u8(&c));
    int r = dns_name_read(&c, out_name);
    return cursor_finish(&c) < 0 ? -EBADMSG : r;
}

int dns_address_read(enum dns_type type, struct str data, struct ip_addr *out)
{
    size_t bytes = type == DNS_A ? IP_V4_BYTES : IP_V6_BYTES;

    if ((type != DNS_A && type != DNS_AAAA) || data.len != bytes)
        return -EBADMSG;
    *out = (struct ip_addr){.family = type == DNS_A ? IP_V4 : IP_V6};
    memcpy(out->bytes, data.ptr, bytes);
    return 0;
}
