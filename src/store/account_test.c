/*
 * Tests of what an account has besides its password, through the store's verbs: app passwords, the
 * second factor, who may send as whom.
 */
#include "store/auth_harness.h"

#include <stdio.h>

#include "base/clock.h"
#include "crypt/totp.h"

/* --- app passwords --- */

static void app_passwords_have_a_purpose_and_can_be_revoked(void **state)
{
    struct auth_answer a;

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(add_user("jiro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    CLEANUP(cleanup_free) char *phone = add_app_password("電話", AUTH_READ, 0);
    int64_t phone_id = last_app_id;
    CLEANUP(cleanup_free) char *printer = add_app_password("printer", AUTH_SEND, 0);
    int64_t printer_id = last_app_id;

    a = login_for("taro", phone, AUTH_READ);
    assert_int_equal(a.verdict, AUTH_OK);
    assert_int_equal(a.scope, AUTH_READ);
    assert_int_equal(a.app_password, phone_id);
    assert_int_equal(login_for("taro", phone, AUTH_SEND).verdict, AUTH_NEEDS_APP_PASSWORD);
    a = login_for("taro", printer, AUTH_SEND);
    assert_int_equal(a.verdict, AUTH_OK);
    assert_int_equal(a.app_password, printer_id);
    assert_int_equal(login("jiro", printer), AUTH_BAD);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    /* As people type it. */
    for (char *c = printer; *c != '\0'; c++)
        *c = *c == '-' ? ' ' : *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
    assert_int_equal(login("taro", printer), AUTH_OK);

    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, STR("printer"));
    buf_put_u64(&args, 0);
    assert_int_equal(change(STORE_APP_PASSWORD_REMOVE, NULL), 0);
    assert_int_equal(login("taro", printer), AUTH_BAD);
    assert_int_equal(login_for("taro", phone, AUTH_READ).verdict, AUTH_OK);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, STR("no such name"));
    buf_put_u64(&args, (uint64_t)phone_id);
    assert_int_equal(change(STORE_APP_PASSWORD_REMOVE, NULL), 0);
    assert_int_equal(change(STORE_APP_PASSWORD_REMOVE, NULL), -ENOENT);
    assert_int_equal(login_for("taro", phone, AUTH_READ).verdict, AUTH_BAD);
    assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE app_password <> 0"), 0);
}

static void app_passwords_expire_and_tell_when_they_were_used(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    int64_t until_ms = clock_real_ms() + 10 * 86400000LL;
    CLEANUP(cleanup_free) char *password = add_app_password("old laptop", AUTH_ALL, until_ms);

    assert_int_equal(get_int("SELECT used FROM app_password"), 0);
    assert_int_equal(login("taro", password), AUTH_OK);
    int64_t used_ms = get_int("SELECT used FROM app_password");
    assert_true(used_ms > 0);
    clock_advance_ms(600000);
    assert_int_equal(login("taro", password), AUTH_OK);
    assert_int_equal(get_int("SELECT used FROM app_password"), used_ms);
    clock_advance_ms(3600000);
    assert_int_equal(login("taro", password), AUTH_OK);
    assert_true(get_int("SELECT used FROM app_password") > used_ms);
    clock_advance_ms(10 * 86400000LL);
    assert_int_equal(login("taro", password), AUTH_BAD);
}

static void app_passwords_have_limits(void **state)
{
    char name[32];

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    for (int i = 0; i < AUTH_APP_PASSWORDS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "program %d", i);
        free(add_app_password(name, AUTH_ALL, 0));
    }
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, STR("one more"));
    buf_put_u8(&args, AUTH_ALL);
    buf_put_u64(&args, 0);
    assert_int_equal(change(STORE_APP_PASSWORD_ADD, NULL), -ENOSPC);
    assert_int_equal(change_texts(STORE_APP_PASSWORD_LIST, "taro@example.jp", NULL, NULL), 0);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, STR("program 7"));
    buf_put_u64(&args, 0);
    assert_int_equal(change(STORE_APP_PASSWORD_REMOVE, NULL), 0);
    free(add_app_password("program 7", AUTH_ALL, 0));
    assert_int_equal(change(STORE_APP_PASSWORD_ADD, NULL), -ENOSPC);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, STR(""));
    buf_put_u8(&args, AUTH_ALL);
    buf_put_u64(&args, 0);
    assert_int_equal(change(STORE_APP_PASSWORD_ADD, NULL), -EINVAL);
}

/* --- the second factor --- */

static char secret[TOTP_SECRET_BYTES];

static void set_totp(void)
{
    struct buf reply;

    buf_init(&reply, 1000);
    assert_int_equal(change_texts(STORE_TOTP_SET, "taro@example.jp", NULL, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    struct str bytes = cursor_lp(&c);
    assert_int_equal(bytes.len, sizeof(secret));
    memcpy(secret, bytes.ptr, bytes.len);
    buf_done(&reply);
}

static const char *code_at(int64_t steps_from_now)
{
    static char code[TOTP_DIGITS_MAX + 1];
    int64_t step = clock_real_ms() / 1000 / TOTP_STEP_S + steps_from_now;

    assert_int_equal(
        totp_code(TOTP_SHA_1, str_from_mem(secret, sizeof(secret)), step, TOTP_DIGITS, code), 0);
    return code;
}

static enum auth_verdict ask_code(const char *code)
{
    struct buf reply;

    buf_init(&reply, 100);
    buf_put_u64(start_args(), (uint64_t)get_int("SELECT id FROM account WHERE lookup LIKE 't%'"));
    buf_put_lp(&args, str_from_c(code));
    assert_int_equal(change(STORE_AUTH_CODE, &reply), 0);
    enum auth_verdict verdict = (enum auth_verdict)reply.ptr[0];
    buf_done(&reply);
    return verdict;
}

/* So that no step ends between two lines of a test. */
static void enter_step(void)
{
    clock_advance_ms(30000 - clock_real_ms() % 30000 + 1000);
}

static void confirm_totp(void)
{
    set_totp();
    enter_step();
    assert_int_equal(change_texts(STORE_TOTP_CONFIRM, "taro@example.jp", code_at(0), NULL), 0);
}

static void with_a_second_factor_the_password_is_not_enough(void **state)
{
    struct auth_scram s;

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    set_totp();
    assert_int_equal(login("taro", "correct horse"), AUTH_OK); /* not confirmed yet */
    enter_step();
    assert_int_equal(change_texts(STORE_TOTP_CONFIRM, "taro@example.jp", "000000", NULL), -EACCES);
    assert_int_equal(change_texts(STORE_TOTP_CONFIRM, "taro@example.jp", code_at(0), NULL), 0);
    assert_int_equal(change_texts(STORE_TOTP_CONFIRM, "taro@example.jp", code_at(1), NULL),
                     -ENOENT);
    assert_int_equal(change_texts(STORE_TOTP_SET, "taro@example.jp", NULL, NULL), -EEXIST);
    for (int i = 0; i < 2; i++) {
        struct auth_answer a = login_for("taro", "correct horse", AUTH_SEND);
        assert_int_equal(a.verdict, AUTH_NEEDS_APP_PASSWORD);
        assert_int_equal(a.who.account, 0);
    }
    assert_int_equal(login("taro", "wrong horse"), AUTH_BAD);
    CLEANUP(cleanup_free) char *phone = add_app_password("phone", AUTH_ALL, 0);
    assert_int_equal(login("taro", phone), AUTH_OK);
    s = ask_scram("taro", SCRAM_SHA_256, AUTH_SEND);
    assert_int_equal(prove(&s, SCRAM_SHA_256, "correct horse")->verdict, AUTH_NEEDS_APP_PASSWORD);
    assert_int_equal(prove(&s, SCRAM_SHA_256, phone)->verdict, AUTH_OK);
    assert_int_equal(change_texts(STORE_TOTP_REMOVE, "taro@example.jp", NULL, NULL), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    assert_int_equal(login("taro", phone), AUTH_OK);
    assert_int_equal(change_texts(STORE_TOTP_REMOVE, "taro@example.jp", NULL, NULL), -ENOENT);
}

static void codes_work_once_and_a_step_early_or_late(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(ask_code("123456"), AUTH_BAD);
    confirm_totp();
    assert_int_equal(ask_code(code_at(0)), AUTH_BAD); /* it confirmed */
    clock_advance_ms(120000);
    assert_int_equal(ask_code(code_at(-2)), AUTH_BAD);
    assert_int_equal(ask_code(code_at(2)), AUTH_BAD);
    assert_int_equal(ask_code(code_at(-1)), AUTH_OK);
    assert_int_equal(ask_code(code_at(-1)), AUTH_BAD);
    assert_int_equal(ask_code(code_at(1)), AUTH_OK);
    assert_int_equal(ask_code(code_at(0)), AUTH_BAD); /* an earlier one than the last */
    clock_advance_ms(30000);
    assert_int_equal(ask_code(code_at(0)), AUTH_BAD); /* the same as code_at(1) then */
    clock_advance_ms(30000);
    assert_int_equal(ask_code(code_at(0)), AUTH_OK);
}

static void guessing_codes_is_slowed_down(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    confirm_totp();
    clock_advance_ms(60000);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask_code("not a code"), AUTH_BAD);
    assert_int_equal(ask_code(code_at(0)), AUTH_TOO_MANY);
    clock_advance_ms(14 * 60000);
    assert_int_equal(ask_code(code_at(0)), AUTH_TOO_MANY);
    clock_advance_ms(60001);
    assert_int_equal(ask_code(code_at(0)), AUTH_OK);
}

static void recovery_codes_work_once_each(void **state)
{
    struct buf reply;
    char *codes[10];

    (void)state;
    buf_init(&reply, 10000);
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(change_texts(STORE_RECOVERY_CODES, "taro@example.jp", NULL, NULL), -ENOENT);
    confirm_totp();
    for (int round = 0; round < 2; round++) {
        assert_int_equal(change_texts(STORE_RECOVERY_CODES, "taro@example.jp", NULL, &reply), 0);
        struct cursor c = cursor_from(buf_str(&reply));
        for (int i = 0; i < 10; i++)
            codes[i] = str_dup(cursor_lp(&c));
        assert_int_equal(cursor_finish(&c), 0);
        assert_int_equal(get_int("SELECT COUNT(*) FROM recovery_code WHERE used = 0"), 10);
        assert_int_equal(ask_code(codes[3]), AUTH_OK);
        assert_int_equal(ask_code(codes[3]), AUTH_BAD);
        assert_int_equal(ask_code(codes[9]), AUTH_OK);
        assert_int_equal(get_int("SELECT COUNT(*) FROM recovery_code WHERE used = 0"), 8);
        /* Mail protocols know nothing of them. */
        assert_int_equal(login("taro", codes[0]), AUTH_BAD);
        if (round == 1)
            assert_int_equal(ask_code(codes[0]), AUTH_OK);
        for (int i = 0; i < 10; i++)
            free(codes[i]);
    }
    assert_int_equal(change_texts(STORE_TOTP_REMOVE, "taro@example.jp", NULL, NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recovery_code"), 0);
    buf_done(&reply);
}

/* --- senders --- */

static void add_alias(const char *address, const char *target)
{
    buf_put_lp(start_args(), str_from_c(address));
    buf_put_u32(&args, 1);
    buf_put_lp(&args, str_from_c(target));
    assert_int_equal(run_verb(STORE_ALIAS_ADD, &args, NULL), 0);
}

static struct auth_senders check_login(const char *who, int64_t app_password, int64_t epoch,
                                       const char *address)
{
    static struct buf reply;
    struct auth_senders senders;
    CLEANUP(cleanup_free)
    char *sql = xasprintf("SELECT id FROM account WHERE lookup = '%s'", who);

    buf_done(&reply);
    buf_init(&reply, 100000);
    auth_put_sender_check(start_args(),
                          &(struct auth_sender_check){.account = (uint64_t)get_int(sql),
                                                      .app_password = app_password,
                                                      .epoch = epoch,
                                                      .is_any = address == NULL,
                                                      .address = str_from_c(address)});
    assert_int_equal(run_verb(STORE_SENDER_CHECK, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(auth_get_senders(&c, &senders), 0);
    return senders;
}

static struct auth_senders check_sender(const char *who, const char *address)
{
    return check_login(who, 0, 0, address);
}

static void logins_hold_as_long_as_what_they_came_by(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "the first password"), 0);
    int64_t until_ms = clock_real_ms() + 3600000;
    CLEANUP(cleanup_free) char *password = add_app_password("phone", AUTH_ALL, until_ms);
    int64_t app = get_int("SELECT id FROM app_password");
    int64_t old = login_for("taro", "the first password", AUTH_SEND).who.epoch;

    struct auth_senders s = check_login("taro@example.jp", 0, old, NULL);
    assert_true(s.may_send && !s.is_over);
    assert_int_equal(set_password("taro@example.jp", PASSWORD_TEXT, "another password"), 0);
    s = check_login("taro@example.jp", 0, old, "taro@example.jp");
    assert_true(s.is_over && !s.may_send);
    assert_int_equal(s.count, 0);
    /* A clock that is set back changes nothing. */
    clock_advance_ms(-24 * 3600000);
    int64_t new = login_for("taro", "another password", AUTH_SEND).who.epoch;
    assert_false(check_login("taro@example.jp", 0, new, NULL).is_over);
    assert_true(check_login("taro@example.jp", 0, old, NULL).is_over);
    assert_false(check_login("taro@example.jp", app, old, NULL).is_over);
    assert_true(check_login("taro@example.jp", app + 1, old, NULL).is_over);
    clock_advance_ms(25 * 3600000);
    assert_true(check_login("taro@example.jp", app, old, NULL).is_over);
}

static void what_somebody_has_is_no_detail_of_another(void **state)
{
    (void)state;
    assert_int_equal(add_user("info@example.jp", PASSWORD_NONE, ""), 0);
    assert_int_equal(add_user("info+ceo@example.jp", PASSWORD_NONE, ""), 0);
    add_alias("info+x@example.jp", "info+ceo@example.jp");
    add_alias("info+own@example.jp", "info@example.jp");
    assert_false(check_sender("info@example.jp", "info+ceo@example.jp").may_send);
    assert_false(check_sender("info@example.jp", "info+x@example.jp").may_send);
    assert_true(check_sender("info@example.jp", "info+own@example.jp").may_send);
    assert_true(check_sender("info@example.jp", "info+y@example.jp").may_send);
    assert_true(check_sender("info+ceo@example.jp", "info+x@example.jp").may_send);
}

static void senders_are_own_addresses_aliases_and_delegations(void **state)
{
    static const struct {
        const char *address;
        bool may_send;
    } cases[] = {
        {"taro@example.jp", true},
        {"TARO@EXAMPLE.JP", true},
        {"taro+list@example.jp", true},
        {"hanako@example.jp", false},
        {"info@example.jp", true},
        {"info+x@example.jp", true},
        {"team@example.jp", true},
        {"outer@example.jp", true},
        {"other@example.jp", false},
        {"unknown@example.jp", false},
        {"boss@example.jp", true},
        {"boss+x@example.jp", true},
        {"taro@elsewhere.example", false},
        {"me@mine.example", true},
        {"taro", false},
        {"", false},
        {"taro@example.jp@example.jp", false},
    };

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    assert_int_equal(add_user("hanako@example.jp", PASSWORD_NONE, ""), 0);
    add_alias("info@example.jp", "Taro@example.jp");
    add_alias("team@example.jp", "taro@example.jp");
    add_alias("team@example.jp", "hanako@example.jp");
    add_alias("team@example.jp", "far@elsewhere.example");
    add_alias("outer@example.jp", "info@example.jp");
    add_alias("other@example.jp", "hanako@example.jp");
    assert_int_equal(run_texts(STORE_DOMAIN_SET, "example.jp", "taro@example.jp", NULL), 0);
    assert_int_equal(run_texts(STORE_DELEGATE_ADD, "taro@example.jp", "Boss@example.jp", NULL), 0);
    assert_int_equal(run_texts(STORE_DELEGATE_ADD, "taro@example.jp", "me@mine.example", NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct auth_senders s = check_sender("taro@example.jp", cases[i].address);
        if (s.may_send != cases[i].may_send)
            fail_msg("%s: %d", cases[i].address, s.may_send);
        assert_int_equal(s.count, s.may_send ? 0 : 6);
    }
    struct auth_senders s = check_sender("taro@example.jp", "hanako@example.jp");
    assert_true(str_eq(s.addresses[0], STR("taro@example.jp")));
    assert_true(str_eq(s.addresses[1], STR("info@example.jp")));
    assert_true(str_eq(s.addresses[2], STR("team@example.jp")));
    assert_true(str_eq(s.addresses[3], STR("outer@example.jp")));
    assert_true(str_eq(s.addresses[4], STR("Boss@example.jp")));
    assert_int_equal(run_texts(STORE_DELEGATE_REMOVE, "taro@example.jp", "boss@example.jp", NULL),
                     0);
    assert_false(check_sender("taro@example.jp", "boss@example.jp").may_send);
    assert_int_equal(run_texts(STORE_DELEGATE_REMOVE, "taro@example.jp", "boss@example.jp", NULL),
                     -ENOENT);
}

static void who_has_an_address_next_is_somebody_else(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    assert_int_equal(add_user("boss@example.jp", PASSWORD_NONE, ""), 0);
    add_alias("sales@example.jp", "boss@example.jp");
    add_alias("sales@example.jp", "boss@elsewhere.example");
    assert_int_equal(run_texts(STORE_DELEGATE_ADD, "taro@example.jp", "boss@example.jp", NULL), 0);
    assert_int_equal(run_texts(STORE_DELEGATE_ADD, "taro@example.jp", "sales@example.jp", NULL), 0);
    assert_int_equal(run_texts(STORE_DELEGATE_ADD, "taro@example.jp", "me@mine.example", NULL), 0);
    /* Of two targets one is left: it is still the same address. */
    assert_int_equal(
        run_texts(STORE_ALIAS_REMOVE, "sales@example.jp", "boss@elsewhere.example", NULL), 0);
    assert_true(check_sender("taro@example.jp", "sales@example.jp").may_send);
    assert_int_equal(run_texts(STORE_ALIAS_REMOVE, "sales@example.jp", "", NULL), 0);
    assert_false(check_sender("taro@example.jp", "sales@example.jp").may_send);
    assert_true(check_sender("taro@example.jp", "boss@example.jp").may_send);
    buf_put_lp(start_args(), STR("boss@example.jp"));
    buf_put_u8(&args, 0);
    assert_int_equal(change(STORE_ACCOUNT_REMOVE, NULL), 0);
    assert_int_equal(add_user("boss@example.jp", PASSWORD_NONE, ""), 0);
    assert_false(check_sender("taro@example.jp", "boss@example.jp").may_send);
    /* An address elsewhere was nobody's here all the time. */
    assert_true(check_sender("taro@example.jp", "me@mine.example").may_send);
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "mine.example", NULL, NULL), 0);
    assert_int_equal(run_texts(STORE_DOMAIN_REMOVE, "mine.example", NULL, NULL), 0);
    assert_false(check_sender("taro@example.jp", "me@mine.example").may_send);
}

static void a_refusal_names_no_more_than_it_may(void **state)
{
    char alias[64];

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(alias, sizeof(alias), "alias%d@example.jp", i);
        add_alias(alias, "taro@example.jp");
    }
    struct auth_senders s = check_sender("taro@example.jp", "hanako@example.jp");
    assert_int_equal(s.count, AUTH_SENDERS_MAX);
    assert_true(str_eq(s.addresses[0], STR("taro@example.jp")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGIN_TEST(app_passwords_have_a_purpose_and_can_be_revoked),
        LOGIN_TEST(app_passwords_expire_and_tell_when_they_were_used),
        LOGIN_TEST(app_passwords_have_limits),
        LOGIN_TEST(with_a_second_factor_the_password_is_not_enough),
        LOGIN_TEST(codes_work_once_and_a_step_early_or_late),
        LOGIN_TEST(guessing_codes_is_slowed_down),
        LOGIN_TEST(recovery_codes_work_once_each),
        LOGIN_TEST(logins_hold_as_long_as_what_they_came_by),
        LOGIN_TEST(what_somebody_has_is_no_detail_of_another),
        LOGIN_TEST(senders_are_own_addresses_aliases_and_delegations),
        LOGIN_TEST(who_has_an_address_next_is_somebody_else),
        LOGIN_TEST(a_refusal_names_no_more_than_it_may),
    };

    return RUN_LOGIN_TESTS("account", tests);
}
