/* Tests of questions to the auth process as bytes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "svc/outside_wire.h"

static char long_text[OUTSIDE_SECRET_MAX_BYTES + 1];

static void requests_come_back(void **state)
{
    struct outside_request in = {.name = STR("taro@example.jp"),
                                 .secret = STR("p\0ss\xff word"),
                                 .peer = STR("2001:db8::1")};
    struct outside_request out;
    struct buf bytes;

    (void)state;
    buf_init(&bytes, OUTSIDE_REQUEST_MAX_BYTES);
    outside_put_request(&bytes, &in);
    assert_int_equal(outside_get_request(buf_str(&bytes), &out), 0);
    assert_true(str_eq(in.name, out.name) && str_eq(in.secret, out.secret) &&
                str_eq(in.peer, out.peer));
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(outside_get_request(str_from_mem(bytes.ptr, len), &out), -EBADMSG);
    buf_put_u8(&bytes, 0);
    assert_int_equal(outside_get_request(buf_str(&bytes), &out), -EBADMSG);
    buf_done(&bytes);
}

static int send_request(size_t name, size_t secret, size_t peer)
{
    struct outside_request request = {.name = str_from_mem(long_text, name),
                                      .secret = str_from_mem(long_text, secret),
                                      .peer = str_from_mem(long_text, peer)};
    struct buf bytes;

    buf_init(&bytes, 2 * OUTSIDE_REQUEST_MAX_BYTES);
    outside_put_request(&bytes, &request);
    int r = outside_get_request(buf_str(&bytes), &request);
    buf_done(&bytes);
    return r;
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    assert_int_equal(
        send_request(OUTSIDE_NAME_MAX_BYTES, OUTSIDE_SECRET_MAX_BYTES, OUTSIDE_PEER_MAX_BYTES), 0);
    assert_int_equal(send_request(OUTSIDE_NAME_MAX_BYTES + 1, 1, 1), -EBADMSG);
    assert_int_equal(send_request(1, OUTSIDE_SECRET_MAX_BYTES + 1, 1), -EBADMSG);
    assert_int_equal(send_request(1, 1, OUTSIDE_PEER_MAX_BYTES + 1), -EBADMSG);
}

static void answers_come_back(void **state)
{
    struct outside_answer out;
    struct buf bytes;

    (void)state;
    for (uint8_t verdict = 0; verdict <= OUTSIDE_VERDICT_END; verdict++) {
        struct outside_answer in = {.verdict = verdict, .name = STR("taro@example.jp")};
        buf_init(&bytes, OUTSIDE_ANSWER_MAX_BYTES);
        outside_put_answer(&bytes, &in);
        int r = outside_get_answer(buf_str(&bytes), &out);
        assert_int_equal(r, verdict < OUTSIDE_VERDICT_END ? 0 : -EBADMSG);
        assert_true(r < 0 || (out.verdict == verdict && str_eq(out.name, in.name)));
        assert_int_equal(outside_get_answer(str_from_mem(bytes.ptr, bytes.len - 1), &out),
                         -EBADMSG);
        buf_done(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(answers_come_back),
    };

    return cmocka_run_group_tests_name("outside_wire", tests, NULL, NULL);
}
