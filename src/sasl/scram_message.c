/* The grammar of SCRAM: see scram_message.h. */
#include "sasl/scram_message.h"

#include <errno.h>

#include "base/cursor.h"
#include "base/utf8.h"

/* printable = %x21-2B / %x2D-7E */
static bool is_printable(char c)
{
    return c >= '!' && c <= '~' && c != ',';
}

static bool is_readable(struct str message)
{
    return message.len <= SCRAM_MESSAGE_MAX_BYTES && str_find(message, '\0') < 0 &&
           utf8_is_valid(message);
}

/* value of attr-val: at least one character, up to the comma. */
static struct str take_value(struct cursor *in)
{
    struct str value = cursor_take_until(in, ',');

    if (value.len == 0)
        cursor_fail(in);
    return value;
}

static struct str take_attribute(struct cursor *in, char name)
{
    cursor_expect(in, name);
    cursor_expect(in, '=');
    return take_value(in);
}

static struct str take_nonce(struct cursor *in, size_t max_bytes)
{
    cursor_expect(in, 'r');
    cursor_expect(in, '=');
    struct str nonce = cursor_take_while(in, is_printable);
    if (nonce.len == 0 || nonce.len > max_bytes)
        cursor_fail(in);
    return nonce;
}

/* *("," attr-val) up to the end, or to the attribute `last`, whose comma is not taken. */
static void pass_extensions(struct cursor *in, char last)
{
    while (cursor_left(in) > 0) {
        struct str next = str_sub(cursor_rest(in), 0, 3);
        if (last != '\0' && next.len == 3 && next.ptr[1] == last && next.ptr[2] == '=')
            return;
        cursor_expect(in, ',');
        char name = (char)cursor_next(in);
        if (!ascii_is_alpha(name) || name == 'm')
            cursor_fail(in);
        cursor_expect(in, '=');
        (void)take_value(in);
    }
}

static int status_of(const struct cursor *in)
{
    return cursor_finish(in) < 0 ? -EINVAL : 0;
}

int scram_read_client_first(struct str message, struct scram_client_first *out)
{
    struct cursor in = cursor_from(message);

    *out = (struct scram_client_first){.bare = STR("")};
    if (!is_readable(message))
        return -EINVAL;
    gs2_take_header(&in, &out->gs2);
    out->bare = cursor_rest(&in);
    out->name = take_attribute(&in, 'n');
    cursor_expect(&in, ',');
    out->nonce = take_nonce(&in, SCRAM_CLIENT_NONCE_MAX_BYTES);
    pass_extensions(&in, '\0');
    return status_of(&in);
}

int scram_read_server_first(struct str message, struct scram_server_first *out)
{
    struct cursor in = cursor_from(message);
    uint64_t iterations = 0;

    *out = (struct scram_server_first){.iterations = 0};
    if (!is_readable(message))
        return -EINVAL;
    out->nonce = take_nonce(&in, SCRAM_NONCE_MAX_BYTES);
    cursor_expect(&in, ',');
    out->salt = take_attribute(&in, 's');
    cursor_expect(&in, ',');
    /* posit-number = %x31-39 *DIGIT */
    struct str count = take_attribute(&in, 'i');
    pass_extensions(&in, '\0');
    if (status_of(&in) < 0 || count.ptr[0] == '0' || str_to_u64(count, UINT32_MAX, &iterations) < 0)
        return -EINVAL;
    out->iterations = (uint32_t)iterations;
    return 0;
}

int scram_read_client_final(struct str message, struct scram_client_final *out)
{
    struct cursor in = cursor_from(message);

    *out = (struct scram_client_final){.proof = STR("")};
    if (!is_readable(message))
        return -EINVAL;
    out->binding = take_attribute(&in, 'c');
    cursor_expect(&in, ',');
    out->nonce = take_nonce(&in, SCRAM_NONCE_MAX_BYTES);
    pass_extensions(&in, 'p');
    out->without_proof = str_sub(message, 0, cursor_offset(&in));
    cursor_expect(&in, ',');
    out->proof = take_attribute(&in, 'p');
    return status_of(&in);
}

int scram_read_server_final(struct str message, struct scram_server_final *out)
{
    struct cursor in = cursor_from(message);

    *out = (struct scram_server_final){.error = STR("")};
    if (!is_readable(message))
        return -EINVAL;
    if (cursor_peek(&in) == 'e')
        out->error = take_attribute(&in, 'e');
    else
        out->verifier = take_attribute(&in, 'v');
    pass_extensions(&in, '\0');
    return status_of(&in);
}
