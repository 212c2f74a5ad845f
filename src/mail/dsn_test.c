/* Unit tests of notices: the structure as our own scanner sees it, the fields for programs line by
 * line, the texts for people in both languages, and strangers' data that tries to break out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "mail/dsn_check.h"
#include "mail/dsn_text.h"

enum { TRIED_MS_FACTOR = 1000 };
static const int64_t arrival_ms = INT64_C(1795499000) * TRIED_MS_FACTOR;
static const int64_t tried_ms = INT64_C(1795500000) * TRIED_MS_FACTOR;
static const int64_t until_ms = INT64_C(1795900000) * TRIED_MS_FACTOR;

/* A notice with one recipient, as a base that the tests change. */
struct fixture {
    struct dsn_recipient recipients[DSN_RECIPIENTS_MAX];
    struct dsn dsn;
    struct buf out, text; /* the notice; its text for people, decoded */
    struct dsn_needs needs;
};

static void fixture_init(struct fixture *f, enum dsn_action action, unsigned languages)
{
    memset(f, 0, sizeof(*f));
    f->recipients[0] = (struct dsn_recipient){
        .action = action,
        .address = STR("taro@example.org"),
        .status = action == DSN_FAILED    ? STR("5.1.1")
                  : action == DSN_DELAYED ? STR("4.4.1")
                                          : STR("2.1.5"),
        .remote_mta = STR("mx.example.org"),
        .diagnostic = STR("550 5.1.1 <taro@example.org>: no"),
        .is_remote_words = true,
        .last_attempt_ms = tried_ms,
        .will_retry_until_ms = until_ms,
    };
    f->dsn = (struct dsn){
        .languages = languages,
        .reporting_mta = STR("mx.example.jp"),
        .from = STR("MAILER-DAEMON@mx.example.jp"),
        .to = STR("hanako@example.jp"),
        .message_id = STR("0sa3hmfk80201"),
        .notice_id = STR("0sa3hmfk80202"),
        .arrival_ms = arrival_ms,
        .now_ms = tried_ms,
        .original = STR("From: hanako@example.jp\r\nSubject: =?UTF-8?B?5pel5pys6Kqe?=\r\n\r\n"),
        .recipients = f->recipients,
        .recipient_count = 1,
    };
    buf_init(&f->out, DSN_MAX_BYTES);
    buf_init(&f->text, DSN_MAX_BYTES);
}

static void fixture_done(struct fixture *f)
{
    buf_done(&f->text);
    buf_done(&f->out);
}

static void print(struct fixture *f)
{
    buf_reset(&f->out);
    buf_reset(&f->text);
    f->needs = check_print(&f->dsn, &f->out);
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *root = check_scan(s, buf_str(&f->out), 0);
    check_decode(root->children, buf_str(&f->out), &f->text);
    mime_scanner_free(s);
}

static void expect_in(struct buf *text, const char *wanted)
{
    if (strstr(buf_c_str(text), wanted) == NULL)
        fail_msg("lacks \"%s\":\n%s", wanted, buf_c_str(text));
}

static void expect_absent(struct buf *text, const char *unwanted)
{
    if (strstr(buf_c_str(text), unwanted) != NULL)
        fail_msg("has \"%s\":\n%s", unwanted, buf_c_str(text));
}

/* --- structure --- */

static void the_whole_notice_is_as_expected(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
    f.dsn.original = STR("From: hanako@example.jp\r\nSubject: hello\r\n\r\nbody\r\n");
    f.dsn.is_original_whole = true;
    f.dsn.envid = STR("QQ314159");
    f.recipients[0].orcpt = STR("rfc822;taro+2Bold@example.org");
    print(&f);
    assert_string_equal(
        buf_c_str(&f.out),
        "Date: Tue, 24 Nov 2026 15:00:00 +0900\r\n"
        "From: \"Mail Delivery System\" <MAILER-DAEMON@mx.example.jp>\r\n"
        "To: <hanako@example.jp>\r\n"
        "Subject: Undelivered mail\r\n"
        "Message-ID: <0sa3hmfk80202@mx.example.jp>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        " boundary=\"=_hikyaku-0sa3hmfk80202.0000\"\r\n"
        "\r\n--=_hikyaku-0sa3hmfk80202.0000\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
        "This is the mail server mx.example.jp.\r\n\r\n"
        "Your message could not be delivered to:\r\n\r\n"
        "    taro@example.org\r\n\r\n"
        "  There is no such address at the recipient's server.\r\n"
        "  Please check the part before the @ for typing errors. If it is right,\r\n"
        "  the address may have been closed or changed: please ask the recipient\r\n"
        "  in another way.\r\n\r\n"
        "  The server mx.example.org answered:\r\n"
        "    > 550 5.1.1 <taro@example.org>: no\r\n\r\n"
        "  Last attempt: Tue, 24 Nov 2026 15:00:00 +0900\r\n\r\n"
        "About the message\r\n\r\n"
        "    Subject: hello\r\n"
        "    Received here: Tue, 24 Nov 2026 14:43:20 +0900\r\n"
        "    Reference: 0sa3hmfk80201\r\n\r\n"
        "If you ask your administrator for help, please give this reference.\r\n"
        "This notice was written by a program.\r\n"
        "\r\n--=_hikyaku-0sa3hmfk80202.0000\r\n"
        "Content-Type: message/delivery-status\r\n\r\n"
        "Original-Envelope-Id: QQ314159\r\n"
        "Reporting-MTA: dns; mx.example.jp\r\n"
        "Arrival-Date: Tue, 24 Nov 2026 14:43:20 +0900\r\n\r\n"
        "Original-Recipient: rfc822; taro+old@example.org\r\n"
        "Final-Recipient: rfc822; taro@example.org\r\n"
        "Action: failed\r\n"
        "Status: 5.1.1\r\n"
        "Remote-MTA: dns; mx.example.org\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <taro@example.org>: no\r\n"
        "Last-Attempt-Date: Tue, 24 Nov 2026 15:00:00 +0900\r\n"
        "\r\n--=_hikyaku-0sa3hmfk80202.0000\r\n"
        "Content-Type: message/rfc822\r\n\r\n"
        "From: hanako@example.jp\r\nSubject: hello\r\n\r\nbody\r\n"
        "\r\n--=_hikyaku-0sa3hmfk80202.0000--\r\n");
    fixture_done(&f);
}

static void every_action_speaks_every_language(void **state)
{
    static const struct {
        const char *english, *japanese, *action;
    } words[DSN_EXPANDED + 1] = {
        [DSN_FAILED] = {"could not be delivered to:", "お届けできませんでした。", "failed"},
        [DSN_DELAYED] = {"not been delivered yet", "まだお届けできていません。", "delayed"},
        [DSN_DELIVERED] = {"was delivered to:", "次の宛先へお届けしました。", "delivered"},
        [DSN_RELAYED] = {"was passed on", "引き渡しました。", "relayed"},
        [DSN_EXPANDED] = {"sent on to everyone", "皆さまへお送りしました。", "expanded"},
    };
    (void)state;

    for (enum dsn_action action = DSN_FAILED; action <= DSN_EXPANDED; action++) {
        for (unsigned languages = 0; languages <= 3; languages++) {
            struct fixture f;
            char line[40];
            fixture_init(&f, action, languages);
            print(&f);
            bool has_english = languages != DSN_JAPANESE;
            (has_english ? expect_in : expect_absent)(&f.text, words[action].english);
            (languages & DSN_JAPANESE ? expect_in : expect_absent)(&f.text, words[action].japanese);
            expect_in(&f.text, "日本語");
            (void)snprintf(line, sizeof(line), "\r\nAction: %s\r\n", words[action].action);
            expect_in(&f.out, line);
            assert_false(f.needs.is_8bit || f.needs.is_smtputf8);
            (action == DSN_DELAYED ? expect_in : expect_absent)(&f.out, "\r\nWill-Retry-Until: ");
            fixture_done(&f);
        }
    }
}

static void japanese_comes_first_and_times_are_local(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_DELAYED, DSN_ENGLISH | DSN_JAPANESE);
    print(&f);
    const char *text = buf_c_str(&f.text);
    assert_true(strstr(text, "お届けできていません") < strstr(text, "not been delivered yet"));
    expect_in(&f.text, "2026年11月24日(火) 15:00 (+0900)");
    expect_in(&f.text, "当サーバーが2026年11月29日(日) 6:06 (+0900)");
    expect_in(&f.text, "keeps trying until Sun, 29 Nov 2026 06:06:40 +0900 and");
    expect_in(&f.text, "you need not send the message again");
    expect_in(&f.out, "Subject: =?UTF-8?B?");
    fixture_done(&f);
}

/* Width on a terminal: what is not ASCII counts two here. */
static size_t columns(struct str line)
{
    size_t count = 0;

    while (line.len > 0) {
        size_t len = utf8_char_len(line);
        count += len > 1 ? 2 : 1;
        line = str_sub(line, len, line.len);
    }
    return count;
}

static void lines_for_people_are_72_columns(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH | DSN_JAPANESE);
    f.recipients[0].diagnostic =
        STR("550 one two three four five six seven eight nine ten eleven twelve 日本語の説明文が"
            "ここに入り、とても長く続いていきますので途中で折り返されるはずです。折り返しは文字の間"
            "で起こ"
            "ります。");
    print(&f);
    struct str rest = buf_str(&f.text), line;
    while (str_cut(rest, '\n', &line, &rest))
        assert_true(columns(str_trim(line)) <= 72);
    fixture_done(&f);
}

/* --- recipients --- */

static void recipients_with_one_reason_are_one_group(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
    f.recipients[1] = f.recipients[2] = f.recipients[0];
    f.recipients[1].address = STR("jiro@example.org");
    f.recipients[1].status = STR("5.2.2");
    f.recipients[1].diagnostic = STR("552 5.2.2 full");
    f.recipients[2].address = STR("saburo@example.org");
    f.dsn.recipient_count = 3;
    print(&f);
    expect_in(&f.text, "    taro@example.org\r\n    saburo@example.org\r\n\r\n  There is no such");
    expect_in(&f.text, "    jiro@example.org\r\n\r\n  The recipient's mailbox is full.");
    /* the same answer is shown once */
    const char *answer = strstr(buf_c_str(&f.text), "> 550 5.1.1");
    assert_non_null(answer);
    assert_null(strstr(answer + 1, "> 550 5.1.1"));
    fixture_done(&f);
}

static void a_hundred_recipients_with_the_longest_words_fit(void **state)
{
    static char words[5000], address[400], original[DSN_ORIGINAL_MAX_BYTES + 1];
    struct fixture f;
    (void)state;

    for (size_t i = 0; i + 3 <= sizeof(words); i += 3)
        memcpy(words + i, "\xe6\x97\xa5", 3);
    memset(address, 'a', sizeof(address));
    for (int is_utf8 = 0; is_utf8 <= 1; is_utf8++) {
        fixture_init(&f, DSN_FAILED, DSN_ENGLISH | DSN_JAPANESE);
        for (size_t i = 0; i < DSN_RECIPIENTS_MAX; i++) {
            f.recipients[i] = f.recipients[0];
            /* all different, so that nothing is shown once only */
            f.recipients[i].diagnostic = str_from_mem(words + 3 * i, sizeof(words) - 3 * i - 2);
            f.recipients[i].address = str_from_mem(words, 300);
            f.recipients[i].remote_mta = str_from_mem(address, sizeof(address));
            f.recipients[i].orcpt = str_from_mem(words, 600);
        }
        f.dsn.recipient_count = DSN_RECIPIENTS_MAX;
        f.dsn.is_utf8 = is_utf8 != 0;
        /* a header that must be encoded: three bytes for each */
        memset(original, '\xe9', sizeof(original));
        memcpy(original, "X: ", 3);
        for (size_t i = 900; i + 3 < sizeof(original); i += 900)
            memcpy(original + i, "\r\n ", 3);
        f.dsn.original = str_from_mem(original, sizeof(original));
        print(&f);
        /* all of an original, of the greatest length */
        for (size_t i = 0; i < sizeof(original); i++)
            original[i] = i % 100 == 98 ? '\r' : i % 100 == 99 ? '\n' : 'x';
        memcpy(original, "X: y\r\n\r\n", 8);
        f.dsn.original = str_from_mem(original, DSN_ORIGINAL_MAX_BYTES - 44);
        f.dsn.is_original_whole = true;
        print(&f);
        expect_in(&f.out, "\r\nContent-Type: message/rfc822\r\n");
        fixture_done(&f);
    }
}

struct status_case {
    enum dsn_action action;
    const char *status, *printed;
};

static void a_status_is_always_valid(void **state)
{
    static const struct status_case cases[] = {
        {DSN_FAILED, "5.7.515", "5.7.515"}, {DSN_FAILED, "4.4.7", "4.4.7"},
        {DSN_FAILED, "", "5.0.0"},          {DSN_FAILED, "5.1", "5.0.0"},
        {DSN_FAILED, "5.01.1", "5.0.0"},    {DSN_FAILED, "5.1.1.1", "5.0.0"},
        {DSN_FAILED, "5.1234.1", "5.0.0"},  {DSN_FAILED, "3.0.0", "5.0.0"},
        {DSN_DELAYED, "x", "4.0.0"},        {DSN_DELIVERED, "", "2.0.0"},
        {DSN_RELAYED, "", "2.0.0"},         {DSN_EXPANDED, "", "2.0.0"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        char line[40];
        fixture_init(&f, cases[i].action, DSN_ENGLISH);
        f.recipients[0].status = str_from_c(cases[i].status);
        print(&f);
        (void)snprintf(line, sizeof(line), "\r\nStatus: %s\r\n", cases[i].printed);
        expect_in(&f.out, line);
        fixture_done(&f);
    }
}

struct address_case {
    const char *address, *orcpt;
    bool is_utf8;
    const char *original, *final; /* lines; NULL: none */
};

/* RFC 3461 section 4, RFC 6533 section 3. */
static void addresses_are_written_as_the_types_ask(void **state)
{
    static const struct address_case cases[] = {
        {"a@b.example", "", false, NULL, "rfc822; a@b.example"},
        {"a@b.example", "rfc822;x+2By+3Dz@b.example", false, "rfc822; x+y=z@b.example",
         "rfc822; a@b.example"},
        {"a@b.example", "X400;/C=jp/", true, "X400; /C=jp/", "rfc822; a@b.example"},
        {"a@b.example", "bad type;x", false, "unknown; x", "rfc822; a@b.example"},
        {"a@b.example", "no-type", false, "unknown; no-type", "rfc822; a@b.example"},
        {"太郎@b.example", "", false, NULL, "utf-8; \\x{592A}\\x{90CE}@b.example"},
        {"太郎@b.example", "", true, NULL, "utf-8; 太郎@b.example"},
        {"太+郎@b.example", "utf-8;\\x{592A}\\x{2B}\\x{90CE}@b.example", false,
         "utf-8; \\x{592A}\\x{2B}\\x{90CE}@b.example",
         "utf-8; \\x{592A}\\x{2B}\\x{90CE}@b.example"},
        {"a@b.example", "UTF-8;\\x{592A}\\x{2B}\\x{1F600}@b.ex", true, "utf-8; 太+😀@b.ex",
         "rfc822; a@b.example"},
        {"a@b.example", "utf-8;太@b.example", true, "utf-8; 太@b.example", "rfc822; a@b.example"},
        {"a@b.example", "utf-8;太@b.example", false, "utf-8; \\x{592A}@b.example",
         "rfc822; a@b.example"},
        /* no code points */
        {"太@b.example", "utf-8;\\x{D800}\\x{110000}\\x{}", true,
         "utf-8; \\x{D800}\\x{110000}\\x{}", "utf-8; 太@b.example"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct address_case *c = &cases[i];
        struct fixture f;
        char line[200];
        fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
        f.recipients[0].address = str_from_c(c->address);
        f.recipients[0].orcpt = str_from_c(c->orcpt);
        f.dsn.is_utf8 = c->is_utf8;
        print(&f);
        (void)snprintf(line, sizeof(line), "\r\nFinal-Recipient: %s\r\n", c->final);
        expect_in(&f.out, line);
        (void)snprintf(line, sizeof(line), "\r\nOriginal-Recipient: %s\r\n",
                       c->original != NULL ? c->original : "");
        (c->original != NULL ? expect_in : expect_absent)(&f.out, line);
        fixture_done(&f);
    }
}

/* --- strangers --- */

static void nobody_breaks_out_of_a_field(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH | DSN_JAPANESE);
    f.recipients[0].address = STR("a\r\nAction: delivered\r\n\r\n--=_x@b");
    f.recipients[0].orcpt = STR("rfc822;a+0D+0AAction:+20delivered+00@b");
    f.recipients[0].remote_mta = STR("mx\r\nStatus: 2.0.0");
    f.recipients[0].diagnostic =
        STR("550 no\r\n\r\nAction: delivered\r\n--=_hikyaku-0sa3hmfk80202.0000--\r\n\x1b[31m\x80"
            "\xe2\x80\xae");
    f.dsn.envid = STR("id\r\nAction: delivered");
    f.dsn.to = STR("hanako@example.jp>\r\nBcc: <all@example.jp");
    f.dsn.notice_id = STR("x\"\r\nBcc: y");
    f.dsn.reporting_mta = STR("mx\r\nX: y");
    print(&f);
    expect_absent(&f.out, "\nAction: delivered");
    expect_absent(&f.out, "\nStatus: 2.0.0");
    expect_absent(&f.out, "\nBcc:");
    expect_absent(&f.out, "\nX: y");
    expect_absent(&f.out, "\x1b");
    expect_absent(&f.text, "\x1b");
    expect_absent(&f.text, "\xe2\x80\xae");
    expect_in(&f.out, "Original-Recipient: utf-8; a\\x{20}Action:\\x{20}delivered\\x{FFFD}@b");
    fixture_done(&f);
}

static void the_boundary_occurs_nowhere_else(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
    f.dsn.original = STR("Subject: x\r\n\r\n--=_hikyaku-0sa3hmfk80202.0000\r\n"
                         "--=_hikyaku-0sa3hmfk80202.0002\r\n--=_hikyaku-0sa3hmfk80202.0001--\r\n"
                         "=_hikyaku-0sa3hmfk80202.");
    f.dsn.is_original_whole = true;
    print(&f);
    expect_in(&f.out, " boundary=\"=_hikyaku-0sa3hmfk80202.0003\"\r\n");
    fixture_done(&f);
}

/* --- the original --- */

struct original_case {
    const char *original;
    bool is_whole, is_utf8;
    const char *type;     /* of the third part; NULL: none */
    const char *encoding; /* line behind it, or "" */
    bool is_8bit, is_smtputf8;
};

static void the_original_is_returned_as_fits(void **state)
{
#define HEADERS "\r\nContent-Type: text/rfc822-headers\r\n"
#define RFC822  "\r\nContent-Type: message/rfc822\r\n"
#define CTE_8   "Content-Transfer-Encoding: 8bit\r\n"
#define CTE_QP  "Content-Transfer-Encoding: quoted-printable\r\n"
    static const struct original_case cases[] = {
        {"", false, false, NULL, "", false, false},
        {"\r\nno header\r\n", true, false, NULL, "", false, false},
        {"A: b\r\n", false, false, HEADERS, "\r\nA: b\r\n\r\n--", false, false},
        {"A: b\r\n\r\nbody\r\n", false, false, HEADERS, "\r\nA: b\r\n\r\n--", false, false},
        {"A: b\r\n\r\nbody\r\n", true, false, RFC822, "\r\nA: b\r\n\r\nbody\r\n", false, false},
        /* 8 bits in the body: not encoded, RFC 2045 section 6.4 */
        {"A: b\r\n\r\n\xe9\r\n", true, false, RFC822, CTE_8, true, false},
        /* 8 bits in the header */
        {"A: \xc3\xa9\r\n\r\nbody\r\n", true, false, HEADERS, CTE_QP "\r\nA: =C3=A9\r\n", false,
         false},
        {"A: \xc3\xa9\r\n\r\nbody\r\n", true, true, "\r\nContent-Type: message/global\r\n", CTE_8,
         true, true},
        {"A: \xc3\xa9\r\n\r\nbody\r\n", false, true, "\r\nContent-Type: message/global-headers\r\n",
         CTE_8, true, true},
        {"A: \xe9\r\n\r\nbody\r\n", true, true, HEADERS, CTE_QP, false, false},
        /* lines that SMTP does not carry */
        {"A: b\r\n\r\nlone\nLF\r\n", true, false, HEADERS, "\r\nA: b", false, false},
        {"A: b\r\n\r\nlone\rCR\r\n", true, false, HEADERS, "\r\nA: b", false, false},
        {"A: b\n\nx", true, false, HEADERS, CTE_QP "\r\nA: b=0A", false, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct original_case *c = &cases[i];
        struct fixture f;
        char part[200];
        fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
        f.dsn.original = str_from_c(c->original);
        f.dsn.is_original_whole = c->is_whole;
        f.dsn.is_utf8 = c->is_utf8;
        print(&f);
        (void)snprintf(part, sizeof(part), "%s%s", c->type != NULL ? c->type : RFC822, c->encoding);
        (c->type != NULL ? expect_in : expect_absent)(&f.out, part);
        assert_int_equal(f.needs.is_8bit, c->is_8bit);
        assert_int_equal(f.needs.is_smtputf8, c->is_smtputf8);
        fixture_done(&f);
    }
}

/* RFC 3461 section 6.2. */
static void only_failures_return_all_of_it(void **state)
{
    (void)state;
    for (enum dsn_action action = DSN_FAILED; action <= DSN_EXPANDED; action++) {
        struct fixture f;
        fixture_init(&f, action, DSN_ENGLISH);
        f.dsn.original = STR("Subject: x\r\n\r\nbody\r\n");
        f.dsn.is_original_whole = true;
        print(&f);
        (action == DSN_FAILED ? expect_in : expect_absent)(&f.out, "\r\nbody\r\n");
        fixture_done(&f);
    }
}

static void long_originals_are_cut_at_a_line(void **state)
{
    static char original[DSN_ORIGINAL_MAX_BYTES + 100];
    struct fixture f;
    (void)state;

    for (size_t i = 0; i < sizeof(original); i++)
        original[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : i % 50 == 1 ? ':' : 'x';
    fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
    f.dsn.original = str_from_mem(original, sizeof(original));
    f.dsn.is_original_whole = true;
    print(&f);
    expect_in(&f.out, "text/rfc822-headers");
    assert_in_range(f.out.len, DSN_HEADER_MAX_BYTES, DSN_HEADER_MAX_BYTES + 4096);
    fixture_done(&f);
}

static void what_goes_to_a_7_bit_server_can_be_converted(void **state)
{
    CLEANUP(buf_done) struct buf converted;
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH | DSN_JAPANESE);
    f.dsn.original =
        STR("MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe6\x97\xa5\r\n");
    f.dsn.is_original_whole = true;
    print(&f);
    buf_init(&converted, CHECK_MAX_BYTES);
    assert_int_equal(check_conversion(buf_str(&f.out), MIME_7BIT_BYTES, &converted), 1);
    fixture_done(&f);
}

static void subjects_are_shown_where_they_can_be_read(void **state)
{
    static const struct {
        const char *original;
        bool may_load;
        const char *shown; /* NULL: no subject */
    } cases[] = {
        {"Subject: plain\r\n", false, "Subject: plain\r\n"},
        {"Subject:\r\n", false, NULL},
        {"X: y\r\n", false, NULL},
        {"Subject: what=?\r\n", false, "Subject: what=?\r\n"},
        {"Subject: =?utf-8?Q?caf=C3=A9?=\r\n", false, "Subject: café\r\n"},
        {"Subject: =?utf-8?Q?a=0D=0AB:_c?=\r\n", false, "Subject: a  B: c\r\n"},
        {"Subject: folded\r\n  on\r\n", false, "Subject: folded  on\r\n"},
        {"Subject: =?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=\r\n", false, NULL},
        {"Subject: =?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=\r\n", true, "Subject: 日本語\r\n"},
        {"Subject: \x1b$BF|K\\8l\x1b(B\r\n", false, NULL},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
        f.dsn.original = str_from_c(cases[i].original);
        f.dsn.may_load_charsets = cases[i].may_load;
        print(&f);
        (cases[i].shown != NULL ? expect_in : expect_absent)(
            &f.text, cases[i].shown != NULL ? cases[i].shown : "Subject:");
        fixture_done(&f);
    }
}

/* --- other readers and ways --- */

static void the_postmaster_is_told_the_sender(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH | DSN_JAPANESE);
    f.dsn.is_for_postmaster = true;
    f.dsn.sender = STR("hanako@example.jp");
    print(&f);
    expect_in(&f.text, "Sender: hanako@example.jp\r\n");
    expect_in(&f.text, "差出人: hanako@example.jp\r\n");
    expect_in(&f.text, "To the postmaster:");
    expect_in(&f.text, "管理者の方へ。");
    expect_absent(&f.text, "Your message");
    expect_absent(&f.text, "お送りいただいた");
    f.dsn.sender = STR("");
    print(&f);
    expect_in(&f.text, "Sender: <>\r\n");
    fixture_done(&f);
}

static void our_own_reasons_are_ours(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
    f.recipients[0].is_remote_words = false;
    f.recipients[0].remote_mta = STR("");
    f.recipients[0].diagnostic = STR("connect to mx.example.org: Connection refused");
    f.recipients[0].status = STR("4.4.1");
    print(&f);
    expect_in(&f.text, "  This server noted:\r\n    > connect to");
    expect_in(&f.out, "\r\nDiagnostic-Code: x-hikyaku; connect to");
    expect_absent(&f.out, "Remote-MTA");
    expect_in(&f.text, "  This server has tried again and again, and has now given up.\r\n");
    expect_in(&f.out, "\r\nAction: failed\r\nStatus: 4.4.1\r\n");
    fixture_done(&f);
}

static void times_that_were_asked_for_are_told(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH | DSN_JAPANESE);
    f.recipients[0].is_remote_words = false;
    f.recipients[0].remote_mta = STR("");
    f.recipients[0].diagnostic = STR("the deliver-by time has passed; last: connection refused");
    f.recipients[0].status = STR("5.4.7");
    f.dsn.deliver_by_ms = until_ms;
    f.dsn.release_request = STR("for;3600\r\nBcc: x");
    print(&f);
    expect_in(&f.out, "\r\nDeliver-By-Date: Sun, 29 Nov 2026 ");
    expect_in(&f.out, "\r\nFuture-Release-Request: for;3600 Bcc: x\r\n");
    expect_in(&f.text, "The message could not be delivered by the time");
    expect_in(&f.text, "send it again without");
    expect_in(&f.text, "ご指定の時刻までにお届けできませんでした。");
    f.recipients[0].action = DSN_DELAYED;
    f.recipients[0].status = STR("4.4.7");
    print(&f);
    expect_in(&f.text, "given up.");
    expect_in(&f.text, "配送は引き続き");
    expect_absent(&f.text, "send it again without");
    fixture_done(&f);
}

static void senders_with_foreign_letters_are_addressed(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH);
    f.dsn.to = STR("花子@example.jp");
    f.dsn.is_utf8 = true;
    print(&f);
    expect_in(&f.out, "\r\nTo: <花子@example.jp>\r\n");
    assert_true(f.needs.is_8bit && f.needs.is_smtputf8);
    f.dsn.is_utf8 = false;
    print(&f);
    expect_in(&f.out, "\r\nTo: =?UTF-8?B?6Iqx5a2QQGV4YW1wbGUuanA=?= :;\r\n");
    assert_false(f.needs.is_8bit || f.needs.is_smtputf8);
    fixture_done(&f);
}

/* --- reasons --- */

struct reason_case {
    const char *status, *diagnostic, *meaning; /* a part of it */
};

static const struct reason_case reason_cases[] = {
    {"5.1.1", "550 5.1.1 User unknown", "no such address"},
    {"", "550 5.1.1 spam trap", "no such address"},
    {"5.0.0", "550 No such user here", "no such address"},
    {"5.4.1", "550 5.4.1 Recipient address rejected: Access denied.", "no such address"},
    {"5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", "no such address"},
    {"5.1.10", "556 5.1.10 example.com has a null MX", "does not accept any mail"},
    {"5.1.2", "no such domain", "was not found"},
    {"5.4.310", "550 5.4.310 DNS domain example.com does not exist", "was not found"},
    {"5.1.3", "501 bad", "not written in a form"},
    {"5.1.8", "501 5.1.8 Sender domain not found", "your own address"},
    {"5.2.1", "550 5.2.1 mailbox", "not in use"},
    {"4.2.1",
     "450 4.2.1 The user you are trying to contact is receiving mail at a rate that "
     "prevents additional messages",
     "More mail was sent"},
    {"4.2.2", "452 4.2.2 Over quota", "mailbox is full"},
    {"5.7.1", "554 5.7.1 The recipient's inbox is full", "mailbox is full"},
    {"5.3.4", "552 5.3.4 too big", "larger than"},
    {"5.7.1", "552 Message size limit exceeded", "larger than"},
    {"5.2.0", "552 mailbox size limit exceeded", "mailbox is full"},
    {"4.1.8", "450 4.1.8 <a@b>: Sender address rejected: Domain not found", "your own address"},
    {"5.0.0", "550 <a@b>: Recipient address rejected: Domain not found", "was not found"},
    {"5.7.1", "550 5.7.1 <marble@b.example>: no", "rules of"},
    {"5.7.1", "550 5.7.1 <dane@b.example>: no", "rules of"},
    {"4.0.0", "452 recipient limit exceeded", "more recipients"},
    {"5.7.509", "550 5.7.509 Access denied", "verify that the message"},
    {"4.4.14", "554 5.4.14 Hop count exceeded", "in a circle"},
    {"5.0.0", "551 User not local; please try <x@y>", "has moved"},
    {"5.0.0", "530 5.7.0 Authentication required", "a user name"},
    {"4.7.5", "Server certificate not trusted", "protected connection"},
    {"5.2.4", "", "mailing list"},
    {"4.0.0", "450 Requested action not taken: mailbox unavailable", "for the time being"},
    {"5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable", "no such address"},
    {"4.3.1", "452 4.3.1 Insufficient system storage", "no room left"},
    {"5.6.1", "", "of this kind"},
    {"5.1.6", "", "has moved"},
    {"5.0.0", "552 Message size exceeds fixed limit", "larger than"},
    {"5.7.1",
     "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
     "block list"},
    {"5.7.1",
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet service provider since part of their network is on our block list (S3140).",
     "block list"},
    {"5.7.606", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "block list"},
    {"5.7.1", "550 5.7.1 Relaying denied", "not responsible"},
    {"5.7.1", "554 5.7.1 <a@b>: Relay access denied", "not responsible"},
    {"5.7.1", "550-5.7.1 Our system has detected that this message is likely unsolicited mail",
     "spam"},
    {"5.7.1", "550 5.7.1 rejected", "rules of the recipient's server"},
    {"5.7.1", "550 5.7.1 SPF check failed: DMARC policy", "verify that the message"},
    {"5.7.26", "550-5.7.26 This mail has been blocked because the sender is unauthenticated.",
     "verify that the message"},
    {"4.7.27", "421-4.7.27 Your email has been rate limited because SPF didn't pass",
     "verify that the message"},
    {"4.7.30", "421 4.7.30 DKIM did not pass", "verify that the message"},
    {"5.7.515",
     "550 5.7.515 Access denied, sending domain example.jp does not meet the required "
     "authentication level",
     "verify that the message"},
    {"5.7.25", "550 5.7.25 The IP address sending this message does not have a PTR record",
     "missing or does not match"},
    {"5.7.29", "550 5.7.29 no TLS", "protected connection"},
    {"5.7.0", "530 5.7.0 Must issue a STARTTLS command first", "protected connection"},
    {"5.7.10", "550 x", "protected connection"},
    {"4.7.28", "421 4.7.28 unusual rate", "More mail was sent"},
    {"4.7.0",
     "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected "
     "volume or user complaints",
     "More mail was sent"},
    {"4.7.1", "450 4.7.1 Greylisted, please try again", "try again after a while"},
    {"4.0.0", "421 Too many connections from your host", "More mail was sent"},
    {"4.5.3", "452 4.5.3 too many", "more recipients"},
    {"5.4.6", "554 5.4.6 x", "in a circle"},
    {"5.4.4", "mx.example has only private addresses", "names no mail server"},
    {"4.4.4", "", "which server receives mail"},
    {"5.0.0", "554 Too many hops", "in a circle"},
    {"4.4.1", "Connection refused", "could not be reached"},
    {"4.4.1", "connection timed out", "did not answer in time"},
    {"4.4.2", "lost connection while sending DATA", "broke off"},
    {"4.4.3", "DNS SERVFAIL for example.org", "which server receives mail"},
    {"4.4.7", "delivery time", "gave up"},
    {"5.4.7", "the deliver-by time has passed", "so it is returned to you"},
    {"4.4.7", "the deliver-by time has passed; last: x", "not given up"},
    {"5.4.7", "the receiving server does not offer deliver-by (RFC 2852)", "cannot keep to that"},
    {"5.4.7", "554 5.4.7 too late", "gave up"},
    {"5.7.30", "REQUIRETLS support required", "protected connection"},
    {"5.5.2", "500 5.5.2 what", "did not understand each other"},
    {"5.6.7", "550 5.6.7 x", "letters beyond a to z"},
    {"5.0.0", "SMTPUTF8 is not supported", "letters beyond a to z"},
    {"5.6.3", "conversion", "cannot carry"},
    {"5.7.0", "552 5.7.0 Our system detected an illegal attachment: virus found", "a virus"},
    {"5.7.8", "535 5.7.8 x", "a user name"},
    {"5.7.124", "550 5.7.124 x", "does not take mail from you"},
    {"5.7.1", "550 5.7.1 members only", "does not take mail from you"},
    {"4.3.2", "421 4.3.2 shutting", "having trouble"},
    {"", "421 busy", "having trouble"},
    {"4.0.0", "450 later", "for the time being"},
    {"5.0.0", "550 no", "for good"},
    {"", "", "for good"},
    {"4.9.9", "", "for the time being"},
    {"2.1.5", "250 2.1.5 ok", "was accepted"},
    {"garbage", "\xff\xfe", "for good"},
};

static bool is_one_of(const char *text, const char *parts)
{
    struct str rest = str_from_c(parts), part;

    while (rest.len > 0) {
        (void)str_cut(rest, '|', &part, &rest);
        if (str_contains_nocase(str_from_c(text), part))
            return true;
    }
    return false;
}

static void every_status_has_a_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(reason_cases); i++) {
        const struct reason_case *c = &reason_cases[i];
        struct str status = str_from_c(c->status), diagnostic = str_from_c(c->diagnostic);
        struct dsn_reason english = dsn_explain(status, diagnostic, DSN_ENGLISH);
        struct dsn_reason japanese = dsn_explain(status, diagnostic, DSN_JAPANESE);
        if (!is_one_of(english.meaning, c->meaning))
            fail_msg("%s %s: %s", c->status, c->diagnostic, english.meaning);
        assert_true(english.remedy != NULL && japanese.remedy != NULL);
        assert_true(utf8_has_non_ascii(str_from_c(japanese.meaning)));
        assert_false(utf8_has_non_ascii(str_from_c(english.meaning)));
    }
}

/* The longest text: hardly two recipients share a reason, and all have long answers. */
static void a_hundred_different_reasons_fit(void **state)
{
    static char words[DSN_RECIPIENTS_MAX][3000];
    struct fixture f;
    (void)state;

    fixture_init(&f, DSN_FAILED, DSN_ENGLISH | DSN_JAPANESE);
    for (size_t i = 0; i < DSN_RECIPIENTS_MAX; i++) {
        const struct reason_case *c = &reason_cases[i % ARRAY_LEN(reason_cases)];
        size_t len = (size_t)snprintf(words[i], sizeof(words[i]), "%.300s ", c->diagnostic);
        for (; len + 3 <= sizeof(words[i]); len += 3)
            memcpy(words[i] + len, "\xe6\x97\xa5", 3);
        f.recipients[i] = f.recipients[0];
        f.recipients[i].action = i < ARRAY_LEN(reason_cases) ? DSN_FAILED : DSN_DELAYED;
        f.recipients[i].status = str_from_c(c->status);
        f.recipients[i].diagnostic = str_from_mem(words[i], len);
        f.recipients[i].address = str_from_mem(words[i] + sizeof(words[i]) / 3 * 3 - 600, 600);
    }
    f.dsn.recipient_count = DSN_RECIPIENTS_MAX;
    print(&f);
    expect_in(&f.text, "This notice was written by a program.\r\n");
    assert_in_range(f.text.len, 100 * 1024, DSN_TEXT_MAX_BYTES - 1);
    fixture_done(&f);
}

/* Each code there can be, alone: a text in both languages, and the same for the same. */
static void no_code_is_without_words(void **state)
{
    (void)state;
    for (int class = 0; class <= 9; class ++) {
        for (int subject = 0; subject <= 10; subject++) {
            for (int detail = 0; detail <= 999; detail++) {
                char status[20];
                (void)snprintf(status, sizeof(status), "%d.%d.%d", class, subject, detail);
                struct dsn_reason a = dsn_explain(str_from_c(status), STR(""), DSN_ENGLISH);
                struct dsn_reason b = dsn_explain(str_from_c(status), STR(""), DSN_JAPANESE);
                assert_true(a.meaning[0] != '\0' && b.meaning[0] != '\0');
                assert_int_equal(a.remedy[0] == '\0', b.remedy[0] == '\0');
            }
        }
    }
}

static int set_zone(void **state)
{
    (void)state;
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_notice_is_as_expected),
        cmocka_unit_test(every_action_speaks_every_language),
        cmocka_unit_test(japanese_comes_first_and_times_are_local),
        cmocka_unit_test(lines_for_people_are_72_columns),
        cmocka_unit_test(recipients_with_one_reason_are_one_group),
        cmocka_unit_test(a_hundred_recipients_with_the_longest_words_fit),
        cmocka_unit_test(a_status_is_always_valid),
        cmocka_unit_test(addresses_are_written_as_the_types_ask),
        cmocka_unit_test(nobody_breaks_out_of_a_field),
        cmocka_unit_test(the_boundary_occurs_nowhere_else),
        cmocka_unit_test(the_original_is_returned_as_fits),
        cmocka_unit_test(only_failures_return_all_of_it),
        cmocka_unit_test(long_originals_are_cut_at_a_line),
        cmocka_unit_test(what_goes_to_a_7_bit_server_can_be_converted),
        cmocka_unit_test(subjects_are_shown_where_they_can_be_read),
        cmocka_unit_test(the_postmaster_is_told_the_sender),
        cmocka_unit_test(our_own_reasons_are_ours),
        cmocka_unit_test(times_that_were_asked_for_are_told),
        cmocka_unit_test(senders_with_foreign_letters_are_addressed),
        cmocka_unit_test(every_status_has_a_meaning),
        cmocka_unit_test(a_hundred_different_reasons_fit),
        cmocka_unit_test(no_code_is_without_words),
    };

    return cmocka_run_group_tests(tests, set_zone, NULL);
}
