/* The GS2 header and its names: see gs2.h. */
#include "sasl/gs2.h"

#include <errno.h>

#include "base/utf8.h"

static bool is_binding_char(char c)
{
    return ascii_is_alnum(c) || c == '.' || c == '-';
}

void gs2_take_header(struct cursor *in, struct gs2_header *out_header)
{
    struct str all = cursor_rest(in);
    size_t from = cursor_offset(in);
    int flag = cursor_next(in);

    *out_header = (struct gs2_header){.flag = GS2_NO_BINDING};
    if (flag != GS2_NO_BINDING && flag != GS2_BINDING_UNUSED && flag != GS2_BINDING_USED) {
        cursor_fail(in);
        return;
    }
    out_header->flag = (enum gs2_flag)flag;
    if (flag == GS2_BINDING_USED) {
        cursor_expect(in, '=');
        out_header->binding_name = cursor_take_while(in, is_binding_char);
        if (out_header->binding_name.len == 0)
            cursor_fail(in);
    }
    cursor_expect(in, ',');
    if (cursor_take_if(in, 'a')) {
        cursor_expect(in, '=');
        out_header->authzid = cursor_take_until(in, ',');
        if (out_header->authzid.len == 0)
            cursor_fail(in);
    }
    cursor_expect(in, ',');
    out_header->text = str_sub(all, 0, cursor_offset(in) - from);
}

int gs2_name_take(struct str written, struct buf *out)
{
    size_t before = out->len;
    struct cursor in = cursor_from(written);

    if (written.len == 0 || str_find(written, '\0') >= 0 || !utf8_is_valid(written))
        return -EINVAL;
    while (cursor_left(&in) > 0) {
        char c = (char)cursor_next(&in);
        if (c == ',')
            cursor_fail(&in);
        if (c == '=') {
            struct str code = cursor_take(&in, 2);
            c = str_eq(code, STR("2C")) ? ',' : '=';
            if (c == '=' && !str_eq(code, STR("3D")))
                cursor_fail(&in);
        }
        buf_put_char(out, c);
    }
    if (cursor_status(&in) < 0) {
        buf_cut(out, before);
        return -EINVAL;
    }
    return buf_status(out);
}

void gs2_name_put(struct str name, struct buf *out)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == ',')
            buf_put_c(out, "=2C");
        else if (name.ptr[i] == '=')
            buf_put_c(out, "=3D");
        else
            buf_put_char(out, name.ptr[i]);
    }
}
