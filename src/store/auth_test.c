/*
 * Tests of logins through the store's verbs: passwords in every form they are kept in, remembered
 * logins, SCRAM, CRAM-MD5, accounts of older versions.
 */
#include "store/auth_harness.h"

#include <sodium.h>
#include <stdio.h>

static char *get_text(const char *sql)
{
    struct db *db;

    assert_int_equal(db_open(store->db_path, DB_READER, true, &db), 0);
    struct db_stmt *stmt = db_query_values(db, sql, NULL, 0);
    assert_int_equal(db_step(stmt), 1);
    char *text = str_dup(db_column_text(stmt, 0));
    db_reset(stmt);
    db_close(db);
    return text;
}

static void assert_secret_begins(const char *prefix)
{
    CLEANUP(cleanup_free)
    char *secret = get_text("SELECT secret FROM account WHERE lookup = 'taro@example.jp'");

    if (!str_has_prefix(str_from_c(secret), str_from_c(prefix)))
        fail_msg("%s does not begin with %s", secret, prefix);
}

/* --- names and passwords --- */

static void names_are_the_own_address_in_any_form(void **state)
{
    static const struct {
        const char *name;
        enum auth_verdict verdict;
    } names[] = {
        {"taro@example.jp", AUTH_OK},
        {"TARO@Example.JP", AUTH_OK},
        {" taro@example.jp ", AUTH_OK},
        {"taro", AUTH_OK},
        {"Taro", AUTH_OK},
        {"hanako@xn--r8jz45g.jp", AUTH_OK},
        {"hanako@例え.jp", AUTH_OK},
        {"hanako", AUTH_BAD},
        {"taro+x@example.jp", AUTH_BAD},
        {"info@example.jp", AUTH_BAD},
        {"nobody@example.jp", AUTH_BAD},
        {"taro@elsewhere.example", AUTH_BAD},
        {"", AUTH_BAD},
        {"@", AUTH_BAD},
        {"taro@", AUTH_BAD},
        {"\xff\xfe", AUTH_BAD},
    };

    (void)state;
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "例え.jp", NULL, NULL), 0);
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(add_user("hanako@例え.jp", PASSWORD_TEXT, "correct horse"), 0);
    buf_put_lp(start_args(), STR("info@example.jp"));
    buf_put_u32(&args, 1);
    buf_put_lp(&args, STR("taro@example.jp"));
    assert_int_equal(run_verb(STORE_ALIAS_ADD, &args, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (login(names[i].name, "correct horse") != names[i].verdict)
            fail_msg("%s: not %d", names[i].name, names[i].verdict);
    }
}

static void answers_name_the_account_and_refusals_nobody(void **state)
{
    struct auth_answer a;

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(run_texts(STORE_ACCOUNT_LANGUAGE, "taro@example.jp", "ja", NULL), 0);
    a = login_for("TARO", "correct horse", AUTH_READ);
    assert_int_equal(a.verdict, AUTH_OK);
    assert_int_equal(a.scope, AUTH_ALL);
    assert_int_equal(a.app_password, 0);
    assert_int_equal(a.who.account, get_int("SELECT id FROM account WHERE lookup LIKE 'taro%'"));
    assert_true(str_eq(a.who.address, STR("taro@example.jp")));
    assert_true(str_eq(a.who.language, STR("ja")));
    a = login_for("taro", "correct horsf", AUTH_READ);
    assert_int_equal(a.verdict, AUTH_BAD);
    assert_int_equal(a.who.account, 0);
    assert_int_equal(a.who.address.len, 0);
    assert_int_equal(store->logins, 1);
    assert_int_equal(store->failed_logins, 1);
}

static void passwords_are_compared_as_saslprep_makes_them(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "ｐａｓｓ飛脚ガ"), 0);
    assert_int_equal(login("taro", "pass飛脚ガ"), AUTH_OK);
    assert_int_equal(login("taro", "ｐａｓｓ飛脚ガ"), AUTH_OK);
    assert_int_equal(login("taro", "pass飛脚\xe3\x82\xab\xe3\x82\x99"), AUTH_OK); /* NFD */
    assert_int_equal(login("taro", "pass飛脚カ"), AUTH_BAD);
    assert_int_equal(login("taro", "Pass飛脚ガ"), AUTH_BAD);
    assert_int_equal(login("taro", ""), AUTH_BAD);
    assert_int_equal(login_str(STR("taro"), STR("pass\0word"), AUTH_SEND).verdict, AUTH_BAD);
}

static void unfit_passwords_are_refused(void **state)
{
    char large[PASSWORD_MAX_BYTES + 2];

    (void)state;
    memset(large, 'x', sizeof(large));
    large[PASSWORD_MAX_BYTES + 1] = '\0';
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "short"), -EINVAL);
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, large), -EINVAL);
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "with\tcontrol"), -EINVAL);
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "not UTF-8 \xff\xff"), -EINVAL);
    assert_int_equal(get_int("SELECT COUNT(*) FROM account"), 1); /* postmaster */
    large[PASSWORD_MAX_BYTES] = '\0';
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, large), 0);
    assert_int_equal(login("taro", large), AUTH_OK);
    assert_int_equal(set_password("nobody@example.jp", PASSWORD_TEXT, "correct horse"), -ENOENT);
}

static void accounts_without_password_or_disabled_let_nobody_in(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    assert_int_equal(login("taro", ""), AUTH_BAD);
    assert_int_equal(login("postmaster", ""), AUTH_BAD);
    assert_int_equal(set_password("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_u8(&args, 0);
    assert_int_equal(change(STORE_ACCOUNT_ENABLE, NULL), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_BAD);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_u8(&args, 1);
    assert_int_equal(change(STORE_ACCOUNT_ENABLE, NULL), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    assert_int_equal(set_password("taro@example.jp", PASSWORD_NONE, ""), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_BAD);
    assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE account <> 0"), 0);
}

/* --- hashes of other systems --- */

static void imported_hashes_are_replaced_by_the_first_login(void **state)
{
    /* Of "correct horse"; made by openssl passwd, mkpasswd, doveadm pw, passlib. */
    static const char *const hashes[] = {
        "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
        "{CRYPT}$2b$08$a0hGcejeUVsdJIjuLnra4.GWT8aw5.Ya0fx2ZMBKFs7iPpw6e9Ecu",
        "{SSHA256}BMjF0OSFMwdXkmHHSQ+92ZUwn7A+1JPNRW9CJYPId8H6WybD",
        "{PBKDF2-SHA256}2000$TIlxrjXm/H.v1Rpj7F1LaQ$Z9sX/q8HMGSji7nqqG7qFxd7EuLUWjls6JhZm6y1d.M",
        "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQxMjM0NTY3OA$"
        "7zlRla3r7FJqYkZKN0Wj1yCevdFD5zynUApW6u5pbg4",
    };

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        assert_int_equal(set_password("taro@example.jp", PASSWORD_HASH, hashes[i]), 0);
        assert_secret_begins(hashes[i]);
        assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE account <> 0"), 0);
        assert_int_equal(login("taro", "wrong horse"), AUTH_BAD);
        assert_secret_begins(hashes[i]);
        assert_int_equal(login("taro", "correct horse"), AUTH_OK);
        assert_secret_begins("$argon2id$v=19$m=19456,t=2,p=1$");
        assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE account <> 0"), 2);
        assert_int_equal(login("taro", "wrong horse"), AUTH_BAD);
        auth_desk_done(&desk);
        auth_desk_init(&desk, store);
        assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    }
}

static void an_imported_hash_may_be_of_a_short_or_odd_password(void **state)
{
    /* openssl passwd -5 -salt saltsalt ｐ */
    static const char hash[] = "$5$saltsalt$M/216WaVcgt7YGpGHf/LkiO8hnf0JL6HK8Rf3Cr2.R.";

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_HASH, hash), 0);
    assert_int_equal(login("taro", "ｐ"), AUTH_OK);
    /* Too short to be set today; but what is kept of it is as good as of others. */
    assert_secret_begins("$argon2id$v=19$m=19456,t=2,p=1$");
    assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE account <> 0"), 2);
    auth_desk_done(&desk);
    auth_desk_init(&desk, store);
    assert_int_equal(login("taro", "ｐ"), AUTH_OK);
    assert_int_equal(login("taro", "x"), AUTH_BAD);
    assert_int_equal(set_password("taro@example.jp", PASSWORD_HASH, "{PLAIN}correct"), -EINVAL);
    assert_int_equal(add_user("jiro@example.jp", PASSWORD_HASH, "nonsense"), -EINVAL);
}

/* An account of before there were SCRAM keys gets them by its first login. */
static void older_accounts_get_keys_by_their_first_login(void **state)
{
    struct db *db;

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    close_store();
    char *path = xasprintf("%s/mail.db", dir);
    assert_int_equal(db_open(path, DB_WRITER, true, &db), 0);
    assert_int_equal(db_script(db, "DELETE FROM scram"), 0);
    db_close(db);
    free(path);
    open_store();
    desk.store = store;
    assert_int_equal(login("taro", "wrong horse"), AUTH_BAD);
    assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE account <> 0"), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE account <> 0"), 2);
}

/* --- remembered logins --- */

static void right_logins_are_remembered_for_a_while(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    assert_int_equal(checked, 1);
    struct auth_answer a = login_for("taro", "correct horse", AUTH_SEND);
    assert_int_equal(a.verdict, AUTH_OK);
    assert_true(str_eq(a.who.address, STR("taro@example.jp")));
    assert_int_equal(checked, 1);
    assert_int_equal(store->logins, 2);
    /* For another purpose, by another form of the name: checked by itself. */
    assert_int_equal(login_for("taro", "correct horse", AUTH_READ).verdict, AUTH_OK);
    assert_int_equal(login("Taro", "correct horse"), AUTH_OK);
    assert_int_equal(checked, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(login("taro", "wrong horse"), AUTH_BAD);
    assert_int_equal(checked, 6);
    /* Name and password are kept apart. */
    assert_int_equal(login("tarocorrect", " horse"), AUTH_BAD);
    assert_int_equal(checked, 7);
    clock_advance_ms(settings->auth_cache + 1);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    assert_int_equal(checked, 8);
    settings->auth_cache = 0;
    auth_desk_done(&desk);
    auth_desk_init(&desk, store);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    assert_int_equal(login("taro", "correct horse"), AUTH_OK);
    assert_int_equal(checked, 10);
}

static void any_change_of_an_account_forgets_its_logins(void **state)
{
    static const enum store_verb changes[] = {STORE_ACCOUNT_LANGUAGE, STORE_TOTP_SET,
                                              STORE_DELEGATE_ADD};
    static const char *const values[] = {"ja", NULL, "boss@example.jp"};

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(add_user("hanako@example.jp", PASSWORD_TEXT, "battery staple"), 0);
    assert_int_equal(login("hanako", "battery staple"), AUTH_OK);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        assert_int_equal(login("taro", "correct horse"), AUTH_OK);
        size_t before = checked;
        assert_int_equal(login("taro", "correct horse"), AUTH_OK);
        assert_int_equal(checked, before);
        assert_int_equal(change_texts(changes[i], "taro@example.jp", values[i], NULL), 0);
        assert_int_equal(login("taro", "correct horse"), AUTH_OK);
        assert_int_equal(checked, before + 1);
        assert_int_equal(login("hanako", "battery staple"), AUTH_OK);
        assert_int_equal(checked, before + 1);
    }
    assert_int_equal(set_password("taro@example.jp", PASSWORD_TEXT, "new password"), 0);
    assert_int_equal(login("taro", "correct horse"), AUTH_BAD);
    assert_int_equal(login("taro", "new password"), AUTH_OK);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_u8(&args, 0);
    assert_int_equal(change(STORE_ACCOUNT_REMOVE, NULL), 0);
    assert_int_equal(login("taro", "new password"), AUTH_BAD);
    assert_int_equal(get_int("SELECT COUNT(*) FROM scram WHERE account <> 0"), 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM delegation"), 0);
}

/* A login that was checked before a change, and answered after it, is not remembered. */
static void a_login_that_a_change_overtook_is_not_remembered(void **state)
{
    struct auth_request request = {
        .username = STR("taro"), .password = STR("correct horse"), .service = AUTH_SEND};

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    auth_put_request(start_args(), &request);
    struct job *job = run_job(job_new(verb_find(STORE_AUTH_PASSWORD), buf_str(&args)));
    job->generation = desk.generation;
    assert_int_equal(set_password("taro@example.jp", PASSWORD_TEXT, "new password"), 0);
    auth_desk_finish(&desk, job);
    job_free(job);
    assert_int_equal(login("taro", "correct horse"), AUTH_BAD);
}

static void memory_for_logins_is_bounded(void **state)
{
    struct auth_request request = {.service = AUTH_SEND, .password = STR("correct horse")};
    struct auth_answer answer = {.scope = AUTH_ALL, .who = {.account = 7}};
    char name[32];

    (void)state;
    for (int i = 0; i < AUTH_CACHE_MAX + 100; i++) {
        (void)snprintf(name, sizeof(name), "user%d", i);
        request.username = str_from_c(name);
        auth_put_request(start_args(), &request);
        struct job *job = job_new(verb_find(STORE_AUTH_PASSWORD), buf_str(&args));
        job->is_lasting = true;
        auth_put_answer(&job->reply, &answer);
        auth_desk_finish(&desk, job);
        job_free(job);
    }
    assert_int_equal(desk.logins.count, AUTH_CACHE_MAX);
    /* The oldest went, the newest are there. */
    assert_int_equal(auth_desk_answer(&desk, buf_str(&args)).len > 0, 1);
    request.username = STR("user0");
    auth_put_request(start_args(), &request);
    assert_int_equal(auth_desk_answer(&desk, buf_str(&args)).len, 0);
}

/* --- SCRAM --- */

static void scram_takes_every_password_of_an_account(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "ｃorrect horse"), 0);
    CLEANUP(cleanup_free) char *phone = add_app_password("phone", AUTH_READ, 0);
    int64_t phone_id = last_app_id;
    for (int hash = SCRAM_SHA_1; hash <= SCRAM_SHA_256; hash++) {
        struct auth_scram s = ask_scram("TARO@example.jp", (enum scram_hash)hash, AUTH_SEND);
        assert_int_equal(s.count, 2);
        assert_true(str_eq(s.who.address, STR("taro@example.jp")));
        assert_int_equal(s.iterations, PASSWORD_SCRAM_ITERATIONS);
        /* Clients prepare the password: full width and half width are one. */
        const struct auth_scram_key *key = prove(&s, (enum scram_hash)hash, "correct horse");
        assert_non_null(key);
        assert_int_equal(key->verdict, AUTH_OK);
        assert_int_equal(key->scope, AUTH_ALL);
        key = prove(&s, (enum scram_hash)hash, phone);
        assert_non_null(key);
        assert_int_equal(key->verdict, AUTH_NEEDS_APP_PASSWORD);
        assert_int_equal(key->app_password, phone_id);
        s = ask_scram("taro", (enum scram_hash)hash, AUTH_READ);
        assert_int_equal(prove(&s, (enum scram_hash)hash, phone)->verdict, AUTH_OK);
        assert_null(prove(&s, (enum scram_hash)hash, "correct horsf"));
    }
}

static void fakes_are_the_same_each_time_and_look_like_real_ones(void **state)
{
    char salt[SCRAM_SALT_BYTES];

    (void)state;
    struct auth_scram s = ask_scram("taro@example.jp", SCRAM_SHA_256, AUTH_SEND);
    assert_int_equal(s.verdict, AUTH_OK);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.salt.len, SCRAM_SALT_BYTES);
    assert_int_equal(s.keys[0].stored_key.len, 32);
    assert_int_equal(s.keys[0].verdict, AUTH_BAD);
    assert_int_equal(s.who.account, 0);
    memcpy(salt, s.salt.ptr, sizeof(salt));
    close_store();
    open_store();
    s = ask_scram(" TARO@EXAMPLE.JP", SCRAM_SHA_256, AUTH_READ);
    assert_memory_equal(s.salt.ptr, salt, sizeof(salt));
    s = ask_scram("hanako@example.jp", SCRAM_SHA_256, AUTH_SEND);
    assert_memory_not_equal(s.salt.ptr, salt, sizeof(salt));
    assert_int_equal(ask_scram("x", SCRAM_SHA_1, AUTH_SEND).keys[0].stored_key.len, 20);

    /* Not even making or disabling the account changes what everybody can see. */
    desk.store = store;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    s = ask_scram("taro@example.jp", SCRAM_SHA_256, AUTH_SEND);
    assert_non_null(prove(&s, SCRAM_SHA_256, "correct horse"));
    assert_memory_equal(s.salt.ptr, salt, sizeof(salt));
    assert_int_equal(s.iterations, PASSWORD_SCRAM_ITERATIONS);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_u8(&args, 0);
    assert_int_equal(change(STORE_ACCOUNT_ENABLE, NULL), 0);
    s = ask_scram("taro@example.jp", SCRAM_SHA_256, AUTH_SEND);
    assert_null(prove(&s, SCRAM_SHA_256, "correct horse"));
    assert_memory_equal(s.salt.ptr, salt, sizeof(salt));
    assert_int_equal(s.who.account, 0);
}

static void a_noted_login_counts_and_marks_the_app_password(void **state)
{
    struct auth_note note = {.username = STR("taro"),
                             .mechanism = STR("SCRAM-SHA-256"),
                             .verdict = AUTH_OK,
                             .service = AUTH_SEND};
    struct list done;

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_NONE, ""), 0);
    free(add_app_password("phone", AUTH_ALL, 0));
    note.account = get_int("SELECT account FROM app_password");
    note.app_password = last_app_id;
    auth_put_note(start_args(), &note);
    struct job *job = job_new(verb_find(STORE_AUTH_NOTE), buf_str(&args));
    assert_int_equal(job->verb->handler(store, job), 0);
    job_free(job);
    list_init(&done);
    while (list_is_empty(&done)) {
        struct pollfd p = {.fd = executor_event_fd(store->executor), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 10000), 1);
        executor_take_done(store->executor, &done);
    }
    job_free(CONTAINER_OF(list_pop(&done), struct job, link));
    assert_true(get_int("SELECT used FROM app_password") > 0);
    assert_int_equal(store->logins, 1);
    note.verdict = AUTH_BAD;
    auth_put_note(start_args(), &note);
    job = job_new(verb_find(STORE_AUTH_NOTE), buf_str(&args));
    assert_int_equal(job->verb->handler(store, job), 0);
    job_free(job);
    assert_int_equal(store->failed_logins, 1);
}

/* --- CRAM-MD5 --- */

static struct auth_cram ask_cram(const char *name)
{
    static struct buf reply;
    struct auth_request request = {.username = str_from_c(name), .service = AUTH_SEND};
    struct auth_cram cram;

    buf_done(&reply);
    buf_init(&reply, 10000);
    auth_put_request(start_args(), &request);
    assert_int_equal(run_verb(STORE_AUTH_CRAM, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(auth_get_cram(&c, &cram), 0);
    return cram;
}

static void recoverable_passwords_are_kept_only_where_wanted(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recoverable_password"), 0);
    buf_reset(start_args());
    auth_put_request(&args, &(struct auth_request){.username = STR("taro"), .service = AUTH_SEND});
    assert_int_equal(run_verb(STORE_AUTH_CRAM, &args, NULL), -EPERM);
    settings->auth_cram_md5 = true;
    struct auth_cram cram = ask_cram("taro");
    assert_int_equal(cram.answer.verdict, AUTH_BAD);
    assert_false(str_eq(cram.password, STR("correct horse")));
    assert_int_equal(set_password("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    cram = ask_cram("taro@example.jp");
    assert_int_equal(cram.answer.verdict, AUTH_OK);
    assert_true(str_eq(cram.password, STR("correct horse")));
    assert_true(str_eq(cram.answer.who.address, STR("taro@example.jp")));
    assert_int_equal(ask_cram("nobody").answer.verdict, AUTH_BAD);
    assert_int_equal(ask_cram("nobody").password.len, 16);
    settings->auth_cram_md5 = false;
    assert_int_equal(set_password("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recoverable_password"), 0);
}

/* --- from older versions --- */

/* What the store says when somebody else has found out about a token or a certificate. */
static struct auth_answer tell_outside(enum auth_outside_kind kind,
                                       enum auth_outside_outcome outcome, const char *name)
{
    static struct buf reply;
    struct auth_outside outside = {
        .kind = (uint8_t)kind,
        .outcome = (uint8_t)outcome,
        .login = {.username = str_from_c(name), .password = STR(""), .service = AUTH_SEND}};
    struct auth_answer answer;

    buf_done(&reply);
    buf_init(&reply, 10000);
    auth_put_outside(start_args(), &outside);
    assert_int_equal(finish(job_new(verb_find(STORE_AUTH_OUTSIDE), buf_str(&args)), &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(auth_get_answer(&c, &answer), 0);
    return answer;
}

static void tokens_and_certificates_open_accounts_that_there_are(void **state)
{
    static const enum auth_outside_kind kinds[] = {AUTH_OUTSIDE_TOKEN, AUTH_OUTSIDE_CERTIFICATE};
    static const struct {
        enum auth_outside_outcome outcome;
        const char *name;
        enum auth_verdict verdict;
    } rows[] = {
        {AUTH_OUTSIDE_RIGHT, "taro@example.jp", AUTH_OK},
        {AUTH_OUTSIDE_RIGHT, "TARO@Example.JP", AUTH_OK},
        {AUTH_OUTSIDE_RIGHT, "info@example.jp", AUTH_BAD}, /* an alias is no name */
        {AUTH_OUTSIDE_RIGHT, "taro+x@example.jp", AUTH_BAD},
        {AUTH_OUTSIDE_RIGHT, "nobody@example.jp", AUTH_BAD},
        {AUTH_OUTSIDE_RIGHT, "", AUTH_BAD},
        {AUTH_OUTSIDE_WRONG, "taro@example.jp", AUTH_BAD},
        {AUTH_OUTSIDE_ASK, "taro@example.jp", AUTH_ELSEWHERE},
        {AUTH_OUTSIDE_ASK, "nobody@example.jp", AUTH_ELSEWHERE},
    };

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    buf_put_lp(start_args(), STR("info@example.jp"));
    buf_put_u32(&args, 1);
    buf_put_lp(&args, STR("taro@example.jp"));
    assert_int_equal(run_verb(STORE_ALIAS_ADD, &args, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(kinds); i++) {
        size_t row = i / ARRAY_LEN(kinds);
        struct auth_answer a =
            tell_outside(kinds[i % ARRAY_LEN(kinds)], rows[row].outcome, rows[row].name);
        assert_int_equal(a.verdict, rows[row].verdict);
        assert_int_equal(a.who.account != 0, rows[row].verdict == AUTH_OK);
    }
    /* What was right without a password is not remembered as one. */
    assert_int_equal(login("taro@example.jp", ""), AUTH_BAD);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_u8(&args, 0);
    assert_int_equal(change(STORE_ACCOUNT_ENABLE, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        assert_int_equal(tell_outside(kinds[i], AUTH_OUTSIDE_RIGHT, "taro@example.jp").verdict,
                         AUTH_BAD);
}

static void an_account_of_version_3_logs_in(void **state)
{
    struct schema third = schema_main;
    char hash[crypto_pwhash_STRBYTES];
    struct db *db;
    struct buf text;

    (void)state;
    third.step_count = 3;
    close_store();
    char *path = xasprintf("%s/mail.db", dir);
    assert_int_equal(unlink(path), 0);
    buf_init(&text, 1000);
    assert_int_equal(db_open(path, DB_WRITER, true, &db), 0);
    assert_int_equal(schema_migrate(db, &third, path, &text), 0);
    /* As version 3 made it. */
    assert_int_equal(crypto_pwhash_str_alg(hash, "correct horse", 13, 2, 19 * 1024 * 1024,
                                           crypto_pwhash_ALG_ARGON2ID13),
                     0);
    assert_int_equal(db_script(db, "INSERT INTO domain VALUES('example.jp', '', 1, 1000)"), 0);
    assert_true(db_run(db,
                       "INSERT INTO account(id, address, lookup, domain, secret, created, language)"
                       " VALUES(5, 'Taro@example.jp', 'taro@example.jp', 'example.jp', ?1, 1000,"
                       " 'ja')",
                       DB_TEXT(str_from_c(hash))) == 1);
    db_close(db);
    open_store();
    desk.store = store;
    assert_int_equal(get_int("SELECT version FROM schema_version"), schema_main.step_count);
    assert_int_equal(login("taro", "wrong horse"), AUTH_BAD);
    struct auth_answer a = login_for("taro", "correct horse", AUTH_READ);
    assert_int_equal(a.verdict, AUTH_OK);
    assert_int_equal(a.who.account, 5);
    assert_true(str_eq(a.who.language, STR("ja")));
    struct auth_scram s = ask_scram("taro", SCRAM_SHA_1, AUTH_READ);
    assert_non_null(prove(&s, SCRAM_SHA_1, "correct horse"));
    buf_done(&text);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGIN_TEST(names_are_the_own_address_in_any_form),
        LOGIN_TEST(answers_name_the_account_and_refusals_nobody),
        LOGIN_TEST(passwords_are_compared_as_saslprep_makes_them),
        LOGIN_TEST(unfit_passwords_are_refused),
        LOGIN_TEST(accounts_without_password_or_disabled_let_nobody_in),
        LOGIN_TEST(imported_hashes_are_replaced_by_the_first_login),
        LOGIN_TEST(an_imported_hash_may_be_of_a_short_or_odd_password),
        LOGIN_TEST(older_accounts_get_keys_by_their_first_login),
        LOGIN_TEST(right_logins_are_remembered_for_a_while),
        LOGIN_TEST(any_change_of_an_account_forgets_its_logins),
        LOGIN_TEST(a_login_that_a_change_overtook_is_not_remembered),
        LOGIN_TEST(memory_for_logins_is_bounded),
        LOGIN_TEST(scram_takes_every_password_of_an_account),
        LOGIN_TEST(fakes_are_the_same_each_time_and_look_like_real_ones),
        LOGIN_TEST(a_noted_login_counts_and_marks_the_app_password),
        LOGIN_TEST(recoverable_passwords_are_kept_only_where_wanted),
        LOGIN_TEST(tokens_and_certificates_open_accounts_that_there_are),
        LOGIN_TEST(an_account_of_version_3_logs_in),
    };
    return RUN_LOGIN_TESTS("auth", tests);
}
