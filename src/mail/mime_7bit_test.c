/* Unit tests of what makes messages fit: what is written, what is refused, and that everything
 * decodes to what it was, however the message is cut. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/mime_7bit_check.h"
#include "mail/transfer.h"

#define E_ACUTE "\xc3\xa9"

struct conversion {
    const char *name, *message, *expected;
};

static void expect_conversion(const struct conversion *c)
{
    CLEANUP(buf_done) struct buf out;

    buf_init(&out, CHECK_MAX_BYTES);
    int decision = check_conversion(str_from_c(c->message), MIME_7BIT_BYTES, &out);
    bool is_same = strcmp(buf_c_str(&out), c->expected) == 0;
    if (decision != 1 || !is_same)
        fail_msg("%s: decision %d\n%s\nwanted\n%s", c->name, decision, buf_c_str(&out),
                 c->expected);
}

static int decide(struct str message, struct mime_7bit_facts *out_facts)
{
    CLEANUP(buf_done) struct buf out;

    buf_init(&out, CHECK_MAX_BYTES);
    return check_convert(message, MIME_7BIT_BYTES, 0, &out, out_facts);
}

static int decide_all_cuts(const char *message)
{
    CLEANUP(buf_done) struct buf out;

    buf_init(&out, CHECK_MAX_BYTES);
    return check_conversion(str_from_c(message), MIME_7BIT_BYTES, &out);
}

static const struct conversion conversions[] = {
    {"mostly ASCII text, with the field replaced where it stood",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain\r\n\r\n"
     "caf" E_ACUTE " = coffee \r\n.\r\n",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"
     "Content-Type: text/plain\r\n\r\ncaf=C3=A9 =3D coffee=20\r\n.\r\n"},
    {"no declaration at all", "Subject: x\r\n\r\ncaf" E_ACUTE " and much more ASCII\r\n",
     "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
     "caf=C3=A9 and much more ASCII\r\n"},
    {"a header without fields", "\r\nabcdefghijkl" E_ACUTE,
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
     "abcdefghijkl=C3=A9=\r\n"},
    {"declared twice, folded, with a comment",
     "mime-version: 1.0\r\ncontent-transfer-encoding:\r\n (so) 8BIT\r\nX: y\r\n"
     "Content-Transfer-Encoding: 7bit\r\n\r\nabcdefghijkl" E_ACUTE "\r\n",
     "mime-version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\nX: y\r\n\r\n"
     "abcdefghijkl=C3=A9\r\n"},
    {"Japanese text is shorter in base64",
     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\n\xe6\x97\xa5\xe6\x9c\xac\r\n",
     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
     "Content-Transfer-Encoding: base64\r\n\r\n5pel5pysDQo=\r\n"},
    {"an image", "MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nabcdefghijklmn\x89",
     "MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "YWJjZGVmZ2hpamtsbW6J\r\n"},
    {"only the part that needs it; containers are declared anew; loose text is masked",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\npr" E_ACUTE "\r\n--b\r\n\r\nplain = 7 bits \r\n"
     "--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nabcdefghijkl" E_ACUTE "\r\n"
     "--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nno need\r\n--b--\r\n" E_ACUTE "pi\r\n",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
     "Content-Transfer-Encoding: 7bit\r\n\r\npr**\r\n--b\r\n\r\nplain = 7 bits \r\n"
     "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nabcdefghijkl=C3=A9\r\n"
     "--b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nno need\r\n--b--\r\n**pi\r\n"},
    {"a message inside",
     "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n"
     "\r\nSubject: in\r\n\r\nabcdefghijkl" E_ACUTE,
     "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"
     "\r\nSubject: in\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
     "abcdefghijkl=C3=A9=\r\n"},
    {"a message of a digest, without any field",
     "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n\r\n"
     "abcdefghijkl" E_ACUTE "\r\n--b--",
     "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n"
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
     "abcdefghijkl=C3=A9\r\n--b--"},
    {"message/global is a leaf",
     "MIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
     "Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: " E_ACUTE
     "\r\n\r\nx\r\n--b--\r\n",
     "MIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
     "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "U3ViamVjdDogw6kNCg0KeA==\r\n--b--\r\n"},
    {"quoted-printable with stray bytes keeps its meaning",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3D" E_ACUTE
     "=\r\nb\r\n",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: "
     "quoted-printable\r\n\r\na=3D=C3=A9=\r\nb\r\n"},
    {"base64 with stray bytes keeps its meaning",
     "MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "QUJD\r\n" E_ACUTE "REVG\r\n",
     "MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "QUJD\r\nREVG\r\n"},
    {"lone CR, lone LF and white space at the end of lines survive",
     "MIME-Version: 1.0\r\n\r\na\rb\nc \r\n\t\r\nabcdefghijklmnopqrstuvwxyz" E_ACUTE " ",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
     "a=0Db=0Ac=20\r\n=09\r\nabcdefghijklmnopqrstuvwxyz=C3=A9=20=\r\n"},
    {"no line comes to look like a boundary",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"q=3D\"\r\n\r\n--q=3D\r\n\r\n"
     "--q=and some more text " E_ACUTE "\r\n--q=3D--\r\n",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"q=3D\"\r\n\r\n--q=3D\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
     "-=2Dq=3Dand some more text =C3=A9\r\n--q=3D--\r\n"},
};

static void what_must_change_changes_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conversions); i++)
        expect_conversion(&conversions[i]);
}

static void what_is_7_bits_is_left_alone(void **state)
{
    static const char *const messages[] = {
        "",
        "\r\n",
        "x",
        "Subject: x\r\n\r\nbody\r\n",
        "Content-Transfer-Encoding: 8bit\r\n\r\nbut it is not\r\n",
        ("Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
         "--b\r\n\r\nx\r\n--b--\r\n"),
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        assert_int_equal(decide_all_cuts(messages[i]), 0);
}

static void what_cannot_be_converted_is_refused(void **state)
{
    static const char *const cases[] = {
        "Content-Transfer-Encoding: x-uuencode\r\n\r\n" E_ACUTE,
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" E_ACUTE,
        "Content-Type: message/partial; number=1\r\n\r\n" E_ACUTE,
        /* multiparts without parts: what is in them may be all there is */
        "Content-Type: multipart/mixed\r\n\r\n" E_ACUTE,
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n" E_ACUTE "\r\n--c\r\n",
        /* behind a boundary */
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b " E_ACUTE "\r\n\r\nx\r\n",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(decide_all_cuts(cases[i]), -EILSEQ);
}

static void headers_are_left(void **state)
{
    static const char *const cases[] = {
        "Subject: " E_ACUTE "\r\n\r\nx\r\n",
        "no header but " E_ACUTE,
        "Subject: folded\r\n " E_ACUTE "\r\n\r\nx\r\n",
        /* the name of an attachment */
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        "Content-Disposition: attachment; filename=" E_ACUTE "\r\n\r\nx\r\n--b--\r\n",
        /* the header of a message inside */
        "Content-Type: message/rfc822\r\n\r\nSubject: " E_ACUTE "\r\n\r\nx\r\n",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_done) struct buf out;
        struct mime_7bit_facts facts;
        buf_init(&out, CHECK_MAX_BYTES);
        assert_int_equal(check_conversion(str_from_c(cases[i]), MIME_7BIT_BYTES, &out), 1);
        assert_string_equal(buf_c_str(&out), cases[i]);
        assert_int_equal(decide(str_from_c(cases[i]), &facts), 1);
        assert_true(facts.has_header_8bit);
    }
}

static void too_many_parts_are_refused_only_when_it_matters(void **state)
{
    static const struct {
        const char *last;
        int decision;
    } cases[] = {{"ASCII", 0}, {E_ACUTE, -EMSGSIZE}};
    (void)state;

    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        CLEANUP(buf_done) struct buf message;
        struct mime_7bit_facts facts;
        buf_init(&message, CHECK_MAX_BYTES);
        buf_put_c(&message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
        for (int i = 0; i < SUMMARY_MAX_PARTS + 1; i++)
            buf_put_c(&message, "--b\r\n\r\nx\r\n");
        buf_put_c(&message, cases[k].last);
        assert_int_equal(decide(buf_str(&message), &facts), cases[k].decision);
    }
}

static void depth_is_bounded(void **state)
{
    CLEANUP(buf_done) struct buf message;
    struct mime_7bit_facts facts;
    (void)state;

    buf_init(&message, CHECK_MAX_BYTES);
    for (int i = 0; i < SUMMARY_MAX_DEPTH - 1; i++)
        buf_put_c(&message, "Content-Type: message/rfc822\r\n\r\n");
    size_t inside = message.len;
    buf_put_c(&message, "\r\n" E_ACUTE);
    assert_int_equal(decide(buf_str(&message), &facts), 1);
    message.len = inside;
    for (int i = 0; i < 20; i++)
        buf_put_c(&message, "Content-Type: message/rfc822\r\n\r\n");
    buf_put_c(&message, "\r\n" E_ACUTE);
    assert_int_equal(decide(buf_str(&message), &facts), -EMSGSIZE);
}

static void broken_signatures_are_told(void **state)
{
    static const char part[] = "--b\r\n\r\nabcdefghijklmnop" E_ACUTE "\r\n";
    CLEANUP(buf_done) struct buf message;
    struct mime_7bit_facts facts;
    (void)state;

    buf_init(&message, CHECK_MAX_BYTES);
    buf_put_c(&message, "Content-Type: multipart/signed; boundary=b\r\n\r\n");
    buf_put_c(&message, part);
    assert_int_equal(decide(buf_str(&message), &facts), 1);
    assert_true(facts.breaks_signature && !facts.has_dkim_signature);
    buf_reset(&message);
    buf_put_c(&message, "DKIM-Signature: v=1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
    buf_put_c(&message, part);
    /* a signed part beside the one that is converted */
    buf_put_c(&message,
              "--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n");
    assert_int_equal(decide(buf_str(&message), &facts), 1);
    assert_true(!facts.breaks_signature && facts.has_dkim_signature);
    assert_int_equal(facts.bytes_8bit, 2);
}

/* All byte values, and every length around the width of a line. */
static void every_byte_comes_back(void **state)
{
    static const char *const types[] = {"text/plain", "text/html", "application/x-y"};
    (void)state;

    for (size_t k = 0; k < ARRAY_LEN(types); k++) {
        for (int length = 0; length < 600; length += length < 160 ? 1 : 37) {
            CLEANUP(buf_done) struct buf message, out;
            buf_init(&message, CHECK_MAX_BYTES);
            buf_init(&out, CHECK_MAX_BYTES);
            buf_printf(&message, "MIME-Version: 1.0\r\nContent-Type: %s\r\n\r\n", types[k]);
            for (int i = 0; i < length; i++)
                buf_put_u8(&message, (uint8_t)(k == 0 ? ' ' + i % 95 : i));
            buf_put_c(&message, E_ACUTE);
            assert_int_equal(check_conversion(buf_str(&message), MIME_7BIT_BYTES, &out), 1);
        }
    }
}

static void lines_are_short(void **state)
{
    CLEANUP(buf_done) struct buf message, out;
    (void)state;

    buf_init(&message, CHECK_MAX_BYTES);
    buf_init(&out, CHECK_MAX_BYTES);
    buf_put_c(&message, "Content-Type: text/plain\r\n\r\n");
    for (int i = 0; i < 5000; i++)
        buf_put_c(&message, i % 17 == 0 ? E_ACUTE : i % 5 == 0 ? "-" : "= ");
    assert_int_equal(check_conversion(buf_str(&message), MIME_7BIT_BYTES, &out), 1);
    struct str rest = buf_str(&out), line;
    while (str_cut(rest, '\n', &line, &rest))
        assert_true(str_trim(line).len <= TRANSFER_LINE_MAX_BYTES);
}

static void words_of_header_fields_are_folded_between_characters(void **state)
{
    CLEANUP(buf_done) struct buf out;
    (void)state;

    buf_init(&out, 1000);
    transfer_put_words(STR("plain"), &out);
    assert_string_equal(buf_c_str(&out), "plain");
    buf_reset(&out);
    transfer_put_words(STR("配送できませんでした / Undelivered mail"), &out);
    assert_string_equal(buf_c_str(&out),
                        "=?UTF-8?B?6YWN6YCB44Gn44GN44G+44Gb44KT44Gn44GX44GfIC8gVW5k?=\r\n"
                        " =?UTF-8?B?ZWxpdmVyZWQgbWFpbA==?=");
}

/* --- long lines --- */

/* In a template, '@' is a run of 1001 letters, '#' of 300 words, '^' of the most that may be in a
 * line. */
static void expand(const char *template, struct buf *out)
{
    for (; *template != '\0'; template ++) {
        int count = *template == '@' ? 1001 : *template == '^' ? 998 : 0;
        for (int i = 0; i < count; i++)
            buf_put_char(out, 'x');
        for (int i = 0; *template == '#' && i < 300; i++)
            buf_put_c(out, i > 0 ? " word" : "word");
        if (count == 0 && *template != '#')
            buf_put_char(out, *template);
    }
}

static const struct lines_case {
    const char *name, *message;
    int decision;
    bool is_left;
    const char *has, *has_too; /* in the outcome, expanded */
} lines_cases[] = {
    {"as long as may be", "Subject: x\r\n\r\n^\r\nx\r\n", 0, false, "\r\n\r\n^\r\nx\r\n", ""},
    {"one more", "Subject: x\r\n\r\n^x\r\nx\r\n", 1, false,
     "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nxx",
     ""},
    {"as long as may be, without an end", "Subject: x\r\n\r\n^", 0, false, "\r\n\r\n^", ""},
    {"one more, without an end", "Subject: x\r\n\r\n^x", 1, false, "quoted-printable", ""},
    {"a page", "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n@\r\n", 1, false,
     "text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nxx", "=\r\nxx"},
    {"what is no text", "MIME-Version: 1.0\r\nContent-Type: application/json\r\n\r\n{@}\r\n", 1,
     false, "Content-Transfer-Encoding: base64\r\n\r\ne3h4", ""},
    {"encoded already",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41@=42@=\r\n=43\r\n",
     1, false, "Content-Transfer-Encoding: quoted-printable\r\n\r\n=41xx", "x=\r\nx"},
    {"encoded already, in one line",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n@\r\n", 1, false,
     "\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nxx",
     ""},
    {"a header of words", "X-Words: #\r\nSubject: x\r\n\r\nx\r\n", 1, false, "word\r\n word",
     "Subject: x\r\n\r\nx\r\n"},
    {"a header of one word", "X-Word: @\r\n\r\nx\r\n", 1, true, "X-Word:\r\n ", ""},
    {"a header of one word that is folded already", "X-Word:\r\n @@\r\n\r\nx\r\n", 0, true,
     "X-Word:\r\n @@", ""},
    {"spaces make no word", "X-Word: x @   \r\n\r\nx\r\n", 1, true, "X-Word: x\r\n @   \r\n", ""},
    {"all of it at once",
     "X-Words: #\r\nSubject: x\r\nContent-Transfer-Encoding: 7bit\r\nX-Words: ##\r\n\r\n@\r\n", 1,
     false, "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nX-Words: word",
     "\r\n\r\nxx"},
    {"the header of a part",
     "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX-Words: #\r\n\r\nx\r\n--b--\r\n", 1,
     false, "word\r\n word", ""},
    {"the part that needs it; 8 bits may stay",
     "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\n" E_ACUTE "\r\n--b\r\n\r\n@\r\n--b--\r\n",
     1, false,
     "boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\n" E_ACUTE "\r\n--b\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\nxx",
     ""},
    {"around the parts",
     "Content-Type: multipart/mixed; boundary=b\r\n\r\n@\r\n--b\r\n\r\nx\r\n--b--\r\n@\r\n", 1,
     false, "b\r\n\r\n^\r\n xxx\r\n--b", "--b--\r\n^\r\n xxx\r\n"},
    {"behind a boundary", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b@\r\n\r\nx\r\n", 0,
     true, "--b@\r\n", ""},
    {"what is signed is left",
     "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n@\r\n--b--\r\n", 0, true, "@",
     ""},
    {"so is a message that is", "DKIM-Signature: v=1\r\nX-Words: #\r\n\r\n@\r\n", 0, true,
     "X-Words: #", "@"},
    {"so are reports", "Content-Type: message/delivery-status\r\n\r\n@\r\n", 0, true, "@", ""},
    {"and unknown encodings", "Content-Transfer-Encoding: x-z\r\n\r\n@\r\n", 0, true, "@", ""},
};

static void expect_lines(const struct lines_case *c, unsigned wants)
{
    CLEANUP(buf_done) struct buf message, out, has, has_too;
    struct mime_7bit_facts facts;

    buf_init(&message, CHECK_MAX_BYTES);
    buf_init(&out, CHECK_MAX_BYTES);
    buf_init(&has, CHECK_MAX_BYTES);
    buf_init(&has_too, CHECK_MAX_BYTES);
    expand(c->message, &message);
    expand(c->has, &has);
    expand(c->has_too, &has_too);
    (void)check_convert(buf_str(&message), wants, 0, &out, &facts);
    buf_reset(&out);
    if (check_conversion(buf_str(&message), wants, &out) != c->decision ||
        facts.has_long_lines_left != c->is_left ||
        strstr(buf_c_str(&out), buf_c_str(&has)) == NULL ||
        strstr(buf_c_str(&out), buf_c_str(&has_too)) == NULL)
        fail_msg("%s: %s\n%s", c->name, facts.has_long_lines_left ? "left" : "none left",
                 buf_c_str(&out));
}

static void long_lines_are_mended_where_it_costs_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines_cases); i++) {
        expect_lines(&lines_cases[i], MIME_7BIT_LINES);
        if (strchr(lines_cases[i].message, '\xc3') == NULL)
            expect_lines(&lines_cases[i], MIME_7BIT_LINES | MIME_7BIT_BYTES);
    }
}

/* What has to be of 7 bits is changed anyway: then its lines are made short, too. */
static void long_lines_of_8_bits(void **state)
{
    static const struct lines_case cases[] = {
        {"text", "Subject: x\r\n\r\n@" E_ACUTE "\r\n", 1, false, "quoted-printable", "=C3=A9"},
        {"encoded already", "Content-Transfer-Encoding: quoted-printable\r\n\r\n@" E_ACUTE "\r\n",
         1, false, "x=\r\nx", "=C3=A9"},
        {"mended base64", "Content-Transfer-Encoding: base64\r\n\r\n@" E_ACUTE "\r\n", 1, false,
         "x\r\nx", ""},
        {"around the parts",
         "Content-Type: multipart/mixed; boundary=b\r\n\r\n@" E_ACUTE
         "\r\n--b\r\n\r\nx\r\n--b--\r\n",
         1, false, "^\r\n xxx**\r\n--b", ""},
        {"signed", "DKIM-Signature: v=1\r\nX-Words: #\r\n\r\n@" E_ACUTE "\r\n", 1, false,
         "word\r\n word", "=C3=A9"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_lines(&cases[i], MIME_7BIT_LINES | MIME_7BIT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_must_change_changes_and_nothing_else),
        cmocka_unit_test(what_is_7_bits_is_left_alone),
        cmocka_unit_test(what_cannot_be_converted_is_refused),
        cmocka_unit_test(headers_are_left),
        cmocka_unit_test(too_many_parts_are_refused_only_when_it_matters),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(broken_signatures_are_told),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(lines_are_short),
        cmocka_unit_test(long_lines_are_mended_where_it_costs_nothing),
        cmocka_unit_test(long_lines_of_8_bits),
        cmocka_unit_test(words_of_header_fields_are_folded_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
