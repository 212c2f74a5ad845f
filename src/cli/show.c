/* One message for people: see show.h. */
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/id.h"
#include "cli/cli.h"
#include "cli/decode.h"
#include "cli/files.h"
#include "cli/text.h"
#include "mail/encoded_word.h"
#include "mail/header.h"
#include "mail/mime.h"

enum {
    HEADER_KEPT_BYTES = 1024 * 1024,
    BODY_SHOWN_BYTES = 256 * 1024, /* encoded */
    TEXT_MAX_BYTES = 2 * 1024 * 1024,
    VALUE_MAX_BYTES = 16 * 1024,
    ARENA_BYTES = 4 * 1024 * 1024,
    NAME_COLUMNS = 10,
    DEPTH_MAX = 100,
};

static const char *const shown_fields[] = {"From",    "To",   "Cc",        "Reply-To",
                                           "Subject", "Date", "Message-ID"};

/* A message read once for its structure, and the part of its bytes that is shown. */
struct view {
    struct mime_scanner *scanner;
    struct buf header;
    uint64_t at;          /* offset of the piece at hand */
    uint64_t from, until; /* range to keep in body */
    struct buf body;
};

static int see_piece(void *arg, struct str piece)
{
    struct view *v = arg;

    mime_scanner_feed(v->scanner, piece);
    buf_put_str(&v->header, str_sub(piece, 0, HEADER_KEPT_BYTES - v->header.len));
    return CLI_DONE;
}

static int keep_piece(void *arg, struct str piece)
{
    struct view *v = arg;
    uint64_t start = v->at, end = v->at + piece.len;

    if (end > v->from && start < v->until) {
        uint64_t from = MAX(v->from, start), until = MIN(v->until, end);
        buf_put_str(&v->body, str_sub(piece, from - start, until - from));
    }
    v->at = end;
    return CLI_DONE;
}

/* The first part that people read: text/plain, else any text; no attachment. */
static const struct summary_part *find_text(const struct summary_part *part, struct str subtype,
                                            int depth)
{
    if (depth > DEPTH_MAX)
        return NULL;
    for (; part != NULL; part = part->next) {
        bool is_attached = str_eq_nocase(part->disposition, STR("attachment"));
        bool is_text = str_eq_nocase(part->type, STR("text")) && !is_attached;
        if (is_text && (subtype.len == 0 || str_eq_nocase(part->subtype, subtype)))
            return part;
        const struct summary_part *inner = str_eq_nocase(part->type, STR("multipart"))
                                               ? find_text(part->children, subtype, depth + 1)
                                               : NULL;
        if (inner != NULL)
            return inner;
    }
    return NULL;
}

static struct str find_param(const struct summary_param *param, struct str name)
{
    for (; param != NULL; param = param->next) {
        if (str_eq_nocase(param->name, name))
            return param->value;
    }
    return STR("");
}

/* The header field's first value, decoded; empty when there is none. */
static void decode_field(const struct view *v, const char *name, struct buf *out)
{
    struct str block = buf_str(&v->header);
    struct header_field field;
    struct arena arena;

    while (header_next(&block, &field)) {
        if (!str_eq_nocase(field.name, str_from_c(name)))
            continue;
        arena_init(&arena, ARENA_BYTES);
        encoded_word_decode(header_unfold_text(field.body, &arena), out);
        arena_done(&arena);
        return;
    }
}

/* Appends the text of the part as UTF-8. True when it is not all of it. */
static bool decode_text(struct view *v, const struct summary_part *part, struct buf *out)
{
    struct buf bytes, text;

    buf_init(&bytes, TEXT_MAX_BYTES);
    buf_init(&text, TEXT_MAX_BYTES);
    decode_transfer(part->encoding, buf_str(&v->body), &bytes);
    decode_charset(find_param(part->params, STR("charset")), buf_str(&bytes), &text);
    text_put_safe_lines(out, buf_str(&text));
    buf_done(&text);
    buf_done(&bytes);
    return part->body_bytes > BODY_SHOWN_BYTES;
}

static int view_open(struct view *v, struct client *client, uint64_t id,
                     const struct summary_part **out_root, const struct summary_part **out_text)
{
    *v = (struct view){.scanner = mime_scanner_new()};
    buf_init(&v->header, HEADER_KEPT_BYTES);
    buf_init(&v->body, BODY_SHOWN_BYTES);
    int status = messages_read(client, id, see_piece, v);
    if (status != CLI_DONE)
        return status;
    *out_root = mime_scanner_finish(v->scanner);
    *out_text = find_text(*out_root, STR("plain"), 0);
    if (*out_text == NULL)
        *out_text = find_text(*out_root, STR(""), 0);
    if (*out_text == NULL)
        return CLI_DONE;
    v->from = (*out_text)->body_offset;
    v->until = v->from + MIN((*out_text)->body_bytes, (uint64_t)BODY_SHOWN_BYTES);
    return messages_read(client, id, keep_piece, v);
}

static void view_close(struct view *v)
{
    mime_scanner_free(v->scanner);
    buf_done(&v->header);
    buf_done(&v->body);
}

static void print_fields(const struct view *v)
{
    struct buf value;

    buf_init(&value, VALUE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(shown_fields); i++) {
        buf_reset(&value);
        decode_field(v, shown_fields[i], &value);
        if (value.len > 0)
            (void)printf("%*s: %s\n", NAME_COLUMNS, shown_fields[i], buf_c_str(&value));
    }
    buf_done(&value);
}

/* "Attached: report.pdf, application/pdf, 12.3 KiB" */
static void print_attachments(const struct summary_part *part, const struct summary_part *text,
                              int depth)
{
    for (; part != NULL && depth <= DEPTH_MAX; part = part->next) {
        struct buf line;
        bool is_multipart = str_eq_nocase(part->type, STR("multipart"));
        if (is_multipart)
            print_attachments(part->children, text, depth + 1);
        if (is_multipart || part == text)
            continue;
        struct str name = find_param(part->disposition_params, STR("filename"));
        if (name.len == 0)
            name = find_param(part->params, STR("name"));
        buf_init(&line, 2 * VALUE_MAX_BYTES);
        encoded_word_decode(name, &line);
        if (line.len > 0)
            buf_put_c(&line, ", ");
        text_put_safe(&line, part->type);
        buf_put_char(&line, '/');
        text_put_safe(&line, part->subtype);
        buf_put_c(&line, ", ");
        text_put_size(&line, part->body_bytes);
        (void)printf("%*s: %s\n", NAME_COLUMNS, "Attached", buf_c_str(&line));
        buf_done(&line);
    }
}

int show_message(struct client *client, const struct message_row *row)
{
    const struct summary_part *root = NULL, *part = NULL;
    struct buf text;
    struct view v;
    bool is_cut = false;

    int status = view_open(&v, client, row->id, &root, &part);
    if (status == CLI_DONE) {
        buf_init(&text, 4 * TEXT_MAX_BYTES);
        print_fields(&v);
        print_attachments(root, part, 0);
        if (part != NULL)
            is_cut = decode_text(&v, part, &text);
        (void)printf("\n%s", buf_c_str(&text));
        if (text.len > 0 && text.ptr[text.len - 1] != '\n')
            (void)putchar('\n');
        if (part == NULL)
            (void)printf("(no text to show)\n");
        if (is_cut)
            (void)printf("\n(cut here; --raw shows everything)\n");
        buf_done(&text);
    }
    view_close(&v);
    return status;
}

static json_t *fields_json(const struct view *v)
{
    json_t *fields = json_object();
    struct buf value;

    buf_init(&value, VALUE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(shown_fields); i++) {
        buf_reset(&value);
        decode_field(v, shown_fields[i], &value);
        if (value.len > 0)
            (void)json_object_set_new(fields, shown_fields[i], cli_json_text(buf_str(&value)));
    }
    buf_done(&value);
    return fields;
}

int show_message_json(struct client *client, const struct message_row *row)
{
    const struct summary_part *root = NULL, *part = NULL;
    char id[ID_TEXT_CHARS + 1];
    struct buf text;
    struct view v;

    int status = view_open(&v, client, row->id, &root, &part);
    if (status == CLI_DONE) {
        buf_init(&text, 4 * TEXT_MAX_BYTES);
        bool is_cut = part != NULL && decode_text(&v, part, &text);
        status = cli_print_json(json_pack("{s:I, s:s, s:o, s:I, s:o, s:o, s:b}", "uid",
                                          (json_int_t)row->uid, "id", id_format(row->id, id),
                                          "received", cli_json_time(row->received_ms), "bytes",
                                          (json_int_t)row->bytes, "header", fields_json(&v), "text",
                                          cli_json_text(buf_str(&text)), "is_cut", (int)is_cut));
        buf_done(&text);
    }
    view_close(&v);
    return status;
}

static int put_raw(void *arg, struct str piece)
{
    (void)arg;
    int r = file_write_all(STDOUT_FILENO, piece);
    return r < 0 ? cli_fail("the output could not be written") : CLI_DONE;
}

int show_raw(struct client *client, uint64_t id)
{
    return messages_read(client, id, put_raw, NULL);
}
