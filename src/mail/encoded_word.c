/*
 * Header values for people: see encoded_word.h.
 *
 * The value is cut into runs: raw text, raw ISO-2022-JP (from an escape to the next return to
 * ASCII) and encoded words. The bytes of adjacent words of one charset are collected before they
 * are converted, since many mailers cut characters in two.
 */
#include "mail/encoded_word.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/cursor.h"
#include "base/utf8.h"

enum {
    EW_CHARSET_MAX_BYTES = 40,
    EW_RUN_MAX_BYTES = 256 * 1024, /* what one run of words may decode to */
    EW_CHUNK_BYTES = 1024,
    EW_ESC = 0x1b,
};

static const struct str replacement = {"\xef\xbf\xbd", 3};

struct decoder {
    struct buf *out;
    struct buf pending; /* decoded bytes of adjacent words, in `charset` */
    char charset[EW_CHARSET_MAX_BYTES + 1];
    bool is_after_word; /* spaces up to the next word are dropped */
    bool has_no_end;    /* no "?=" is left in the value */
};

/* --- out: only clean UTF-8, only whole characters --- */

static void put_char(struct buf *out, struct str ch)
{
    if (ch.len <= out->max - out->len)
        buf_put_str(out, ch);
    else
        out->max = out->len; /* nothing shorter may follow what was dropped */
}

/* U+202A..202E and U+2066..2069 reorder what stands beside them, also outside of the value. */
static bool is_bidi_control(struct str ch)
{
    if (ch.len != 3 || ch.ptr[0] != '\xe2')
        return false;
    unsigned char second = (unsigned char)ch.ptr[1], third = (unsigned char)ch.ptr[2];
    return (second == 0x80 && third >= 0xaa && third <= 0xae) ||
           (second == 0x81 && third >= 0xa6 && third <= 0xa9);
}

static struct str clean_char(struct str ch)
{
    unsigned char first = (unsigned char)ch.ptr[0];

    if (first == '\t' || first == '\n' || first == '\r')
        return STR(" ");
    if (first < ' ' || first == 0x7f)
        return replacement;
    if (first == 0xc2 && (unsigned char)ch.ptr[1] < 0xa0)
        return replacement;
    return is_bidi_control(ch) ? replacement : ch;
}

static void put_utf8(struct buf *out, struct str text)
{
    while (text.len > 0) {
        size_t len = utf8_char_len(text);
        put_char(out, len > 0 ? clean_char(str_sub(text, 0, len)) : replacement);
        text = str_sub(text, MAX(len, (size_t)1), text.len);
    }
}

/* --- charsets --- */

/* What mailers call a charset, and the superset of it that they mean. */
static const char *find_charset(struct str name)
{
    static const struct {
        const char *name, *meant;
    } aliases[] = {
        {"us-ascii", "UTF-8"},
        {"ascii", "UTF-8"},
        {"utf8", "UTF-8"},
        {"utf-8", "UTF-8"},
        {"iso-8859-1", "WINDOWS-1252"},
        {"latin1", "WINDOWS-1252"},
        {"iso-8859-8-i", "ISO-8859-8"},
        {"shift_jis", "CP932"},
        {"shift-jis", "CP932"},
        {"sjis", "CP932"},
        {"x-sjis", "CP932"},
        {"windows-31j", "CP932"},
        {"euc-jp", "EUC-JP-MS"},
        {"x-euc-jp", "EUC-JP-MS"},
        {"iso-2022-jp", "ISO-2022-JP"},
        {"iso-2022-jp-1", "ISO-2022-JP"},
        {"iso-2022-jp-ms", "ISO-2022-JP"},
        {"cp50220", "ISO-2022-JP"},
        {"cp50221", "ISO-2022-JP"},
        {"ks_c_5601-1987", "UHC"},
        {"euc-kr", "UHC"},
        {"gb2312", "GB18030"},
        {"gbk", "GB18030"},
        {"big5", "BIG5-HKSCS"},
        {"unicode-1-1-utf-7", "UTF-7"},
    };

    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (str_eq_nocase(name, str_from_c(aliases[i].name)))
            return aliases[i].meant;
    }
    return NULL;
}

/* The sets that ISO-2022-JP's escapes choose. */
enum jis_set { JIS_ASCII, JIS_KANA, JIS_0208, JIS_0212 };

static bool take_escape(struct cursor *c, enum jis_set *set)
{
    static const struct {
        struct str text;
        enum jis_set set;
    } escapes[] = {
        {{"\x1b(B", 3}, JIS_ASCII}, {{"\x1b(J", 3}, JIS_ASCII}, {{"\x1b(I", 3}, JIS_KANA},
        {{"\x1b$@", 3}, JIS_0208},  {{"\x1b$B", 3}, JIS_0208},  {{"\x1b$(B", 4}, JIS_0208},
        {{"\x1b$(D", 4}, JIS_0212},
    };

    for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
        if (!str_has_prefix(cursor_rest(c), escapes[i].text))
            continue;
        (void)cursor_take(c, escapes[i].text.len);
        *set = escapes[i].set;
        return true;
    }
    return false;
}

/*
 * ISO-2022-JP written as EUC: iconv's own decoder knows neither half-width kana nor the vendors'
 * characters that Japanese mail is full of, its EUC-JP-MS knows both.
 */
static void jis_to_euc(struct str jis, struct buf *euc)
{
    struct cursor c = cursor_from(jis);
    enum jis_set set = JIS_ASCII;

    while (cursor_left(&c) > 0) {
        if (take_escape(&c, &set))
            continue;
        char byte = (char)cursor_next(&c);
        bool is_graphic = byte > ' ' && byte < 0x7f;
        if (set == JIS_ASCII || !is_graphic) {
            buf_put_char(euc, byte);
            continue;
        }
        if (set != JIS_0208)
            buf_put_char(euc, set == JIS_KANA ? '\x8e' : '\x8f');
        buf_put_char(euc, (char)(byte | '\x80'));
        if (set != JIS_KANA && cursor_peek(&c) > ' ')
            buf_put_char(euc, (char)(cursor_next(&c) | '\x80'));
    }
}

static void convert_by(iconv_t cd, struct str text, struct buf *out)
{
    char chunk[EW_CHUNK_BYTES];
    /* iconv's prototype lacks the const; it does not write there. */
    char *from = (char *)(uintptr_t)text.ptr;
    size_t left = text.len;

    while (left > 0 && out->len < out->max) {
        char *to = chunk;
        size_t room = sizeof(chunk);
        bool is_stuck = iconv(cd, &from, &left, &to, &room) == (size_t)-1 && errno != E2BIG;
        put_utf8(out, str_from_mem(chunk, sizeof(chunk) - room));
        if (!is_stuck || left == 0)
            continue;
        put_char(out, replacement);
        from++;
        left--;
    }
    char *to = chunk;
    size_t room = sizeof(chunk);
    (void)iconv(cd, NULL, NULL, &to, &room);
    put_utf8(out, str_from_mem(chunk, sizeof(chunk) - room));
}

static void convert(const char *charset, struct str text, struct buf *out)
{
    if (strcmp(charset, "UTF-8") == 0) {
        put_utf8(out, text);
        return;
    }
    if (strcmp(charset, "ISO-2022-JP") == 0) {
        /* Every byte becomes three at most. */
        CLEANUP(buf_done) struct buf euc;
        buf_init(&euc, 3 * text.len);
        jis_to_euc(text, &euc);
        convert("EUC-JP-MS", buf_str(&euc), out);
        return;
    }
    iconv_t cd = iconv_open("UTF-8", charset);
    if (cd == (iconv_t)-1) {
        put_utf8(out, text);
        return;
    }
    convert_by(cd, text, out);
    iconv_close(cd);
}

/* --- encoded words --- */

static bool is_charset_char(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == ':' || c == '+';
}

static bool is_token_char(char c)
{
    return c > ' ' && c < 0x7f && c != '?' && c != '=';
}

static int base64_value(char c)
{
    if (ascii_is_alpha(c))
        return c >= 'a' ? c - 'a' + 26 : c - 'A';
    if (ascii_is_digit(c))
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Padding ends a group and is not asked for; what is not of the alphabet is skipped. */
static void decode_b(struct str text, struct buf *out)
{
    unsigned bits = 0, bit_count = 0;

    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.ptr[i]);
        if (text.ptr[i] == '=')
            bit_count = 0;
        if (value < 0)
            continue;
        bits = (bits << 6 | (unsigned)value) & 0xfff;
        bit_count += 6;
        if (bit_count < 8)
            continue;
        bit_count -= 8;
        buf_put_u8(out, (uint8_t)(bits >> bit_count));
    }
}

static void decode_q(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        int high = c == '=' && i + 2 < text.len ? ascii_hex_value(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex_value(text.ptr[i + 2]) : -1;
        if (low >= 0) {
            buf_put_u8(out, (uint8_t)(high << 4 | low));
            i += 2;
            continue;
        }
        buf_put_char(out, c == '_' ? ' ' : c);
    }
}

static void flush_words(struct decoder *d)
{
    if (d->pending.len > 0)
        convert(d->charset, buf_str(&d->pending), d->out);
    buf_reset(&d->pending);
}

/* Words of another charset than the ones before start a new run. False: no charset at all. */
static bool choose_charset(struct decoder *d, struct str name)
{
    const char *meant = find_charset(name);
    struct str charset = meant != NULL ? str_from_c(meant) : name;

    if (charset.len == 0 || charset.len > EW_CHARSET_MAX_BYTES)
        return false;
    if (!str_eq_nocase(charset, str_from_c(d->charset)))
        flush_words(d);
    return str_copy(charset, d->charset, sizeof(d->charset));
}

/* The text up to the next "?=", which is taken too. */
static bool take_word_text(struct decoder *d, struct cursor *c, struct str *out_text)
{
    struct str rest = cursor_rest(c);
    const char *end = d->has_no_end ? NULL : memmem(rest.ptr, rest.len, "?=", 2);

    d->has_no_end = end == NULL;
    if (end == NULL)
        return false;
    *out_text = cursor_take(c, (size_t)(end - rest.ptr));
    (void)cursor_take(c, 2);
    return true;
}

/* "=?charset*language?B?text?=" at the cursor: decoded into `pending`; else the cursor stays. */
static bool take_word(struct decoder *d, struct cursor *c)
{
    struct cursor at = *c;
    struct str text;

    if (!cursor_take_if_nocase(&at, STR("=?")))
        return false;
    struct str charset = cursor_take_while(&at, is_charset_char);
    if (cursor_take_if(&at, '*'))
        (void)cursor_take_while(&at, is_token_char);
    cursor_expect(&at, '?');
    int encoding = cursor_next(&at) | 0x20;
    cursor_expect(&at, '?');
    if (cursor_status(&at) < 0 || (encoding != 'b' && encoding != 'q'))
        return false;
    if (!take_word_text(d, &at, &text) || !choose_charset(d, charset))
        return false;
    if (encoding == 'b')
        decode_b(text, &d->pending);
    else
        decode_q(text, &d->pending);
    *c = at;
    return true;
}

/* --- raw text --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_plain(char c)
{
    return c != '=' && c != EW_ESC && !is_space(c);
}

/* Unfolding takes the line ends away; spaces between two words are no part of the text. */
static void take_spaces(struct decoder *d, struct cursor *c)
{
    struct str spaces = cursor_take_while(c, is_space);
    struct cursor ahead = *c;

    if (d->is_after_word && take_word(d, &ahead)) {
        *c = ahead;
        return;
    }
    flush_words(d);
    d->is_after_word = false;
    for (size_t i = 0; i < spaces.len; i++) {
        if (spaces.ptr[i] == ' ' || spaces.ptr[i] == '\t')
            put_char(d->out, STR(" "));
    }
}

/* From an escape of ISO-2022-JP to the return to ASCII; in between, "=?" is Japanese text. */
static void take_raw_jis(struct decoder *d, struct cursor *c)
{
    struct str rest = cursor_rest(c);
    enum jis_set set = JIS_ASCII;

    if (!take_escape(c, &set)) {
        (void)cursor_next(c);
        put_char(d->out, replacement);
        return;
    }
    while (set != JIS_ASCII && cursor_left(c) > 0) {
        /* RFC 1468: a line ends in ASCII, whatever it forgot to say. */
        if (!take_escape(c, &set) && cursor_next(c) == '\n')
            break;
    }
    convert("ISO-2022-JP", str_sub(rest, 0, rest.len - cursor_left(c)), d->out);
}

static void take_text(struct decoder *d, struct cursor *c)
{
    flush_words(d);
    d->is_after_word = false;
    if (cursor_peek(c) == EW_ESC) {
        take_raw_jis(d, c);
        return;
    }
    if (cursor_take_if(c, '='))
        put_char(d->out, STR("="));
    put_utf8(d->out, cursor_take_while(c, is_plain));
}

void encoded_word_decode(struct str value, struct buf *out)
{
    struct decoder d = {.out = out};
    struct cursor c = cursor_from(value);
    size_t max_bytes = out->max;

    buf_init(&d.pending, EW_RUN_MAX_BYTES);
    while (cursor_left(&c) > 0 && out->len < out->max) {
        int ch = cursor_peek(&c);
        if (is_space((char)ch))
            take_spaces(&d, &c);
        else if (ch == '=' && take_word(&d, &c))
            d.is_after_word = true;
        else
            take_text(&d, &c);
    }
    flush_words(&d);
    buf_done(&d.pending);
    out->max = max_bytes;
}
