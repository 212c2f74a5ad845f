/* Headers of mail from programs on this machine: see submit.h. */
#include "mail/submit.h"

#include "base/utf8.h"
#include "mail/addrlist.h"
#include "mail/header.h"
#include "mail/transfer.h"

enum {
    LIST_MAX = 4096,      /* addresses of one field with recipients */
    NAME_MAX_BYTES = 400, /* of one author, as it goes out */
    LIST_ARENA_BYTES = 16 * SUBMIT_HEADER_MAX_BYTES + LIST_MAX * 512, /* of one field */
};

enum field_kind {
    FIELD_OTHER,
    FIELD_DROPPED,
    FIELD_FROM,
    FIELD_RESENT_FROM,
    FIELD_DATE,
    FIELD_MESSAGE_ID,
    FIELD_TO,
    FIELD_CC,
    FIELD_BCC,
    FIELD_RESENT_DATE,
    FIELD_RESENT_MESSAGE_ID,
    FIELD_RESENT_TO,
    FIELD_RESENT_CC,
    FIELD_RESENT_BCC,
};

/* Sender says who sends: that is ours to say. Return-Path is final delivery's, Content-Length a
 * mailbox file's. X-Original-From must be ours, or it could tell anything. */
static const struct {
    const char *name;
    enum field_kind kind;
} known_fields[] = {
    {"from", FIELD_FROM},
    {"resent-from", FIELD_RESENT_FROM},
    {"date", FIELD_DATE},
    {"message-id", FIELD_MESSAGE_ID},
    {"to", FIELD_TO},
    {"cc", FIELD_CC},
    {"bcc", FIELD_BCC},
    {"resent-date", FIELD_RESENT_DATE},
    {"resent-message-id", FIELD_RESENT_MESSAGE_ID},
    {"resent-to", FIELD_RESENT_TO},
    {"resent-cc", FIELD_RESENT_CC},
    {"resent-bcc", FIELD_RESENT_BCC},
    {"sender", FIELD_DROPPED},
    {"resent-sender", FIELD_DROPPED},
    {"return-path", FIELD_DROPPED},
    {"content-length", FIELD_DROPPED},
    {"x-original-from", FIELD_DROPPED},
};

static enum field_kind kind_of(const struct header_field *field)
{
    for (size_t i = 0; i < ARRAY_LEN(known_fields); i++) {
        if (str_eq_nocase(field->name, str_from_c(known_fields[i].name)))
            return known_fields[i].kind;
    }
    return FIELD_OTHER;
}

/* --- addresses --- */

static bool is_missing_domain(const struct summary_mailbox *m)
{
    return !m->has_host || str_eq_c(m->host, "MISSING_DOMAIN");
}

/* The address as a text of the envelope's grammar; false for group marks and broken ones. */
static bool print_mailbox(const struct summary_mailbox *m, struct str default_domain,
                          struct buf *out)
{
    struct address a = {.local = m->mailbox,
                        .domain = is_missing_domain(m) ? default_domain : m->host};

    if (m->is_broken || !m->has_host || !m->has_mailbox ||
        str_eq_c(m->mailbox, "MISSING_MAILBOX") || str_eq_c(m->host, "SYNTAX_ERROR") || m->has_adl)
        return false;
    buf_init(out, ADDRESS_TEXT_MAX_BYTES);
    address_print(&a, out);
    return buf_status(out) == 0;
}

static bool understand(const struct summary_mailbox *m, struct str default_domain,
                       struct arena *arena, struct submit_mailbox *out)
{
    CLEANUP(buf_done) struct buf text = {0};

    out->name = m->has_name ? m->name : STR("");
    return print_mailbox(m, default_domain, &text) &&
           address_parse(arena_str(arena, buf_str(&text)), ADDRESS_MAY_BE_UTF8, arena,
                         &out->address) == ADDRESS_OK;
}

/* --- reading --- */

static void read_authors(struct str body, struct str default_domain, struct arena *arena,
                         struct submit_authors *out)
{
    bool is_first = !out->is_present;

    /* A second field could be the one that is shown. */
    out->is_present = true;
    out->is_clean = false;
    if (!is_first)
        return;
    const struct summary_mailbox *m = addrlist_parse(body, SUBMIT_AUTHORS_MAX + 1, arena);
    out->is_clean = m != NULL;
    out->mailboxes = arena_alloc(arena, SUBMIT_AUTHORS_MAX * sizeof(*out->mailboxes));
    for (; m != NULL; m = m->next) {
        if (out->count == SUBMIT_AUTHORS_MAX ||
            !understand(m, default_domain, arena, &out->mailboxes[out->count]))
            out->is_clean = false;
        else
            out->count++;
    }
}

static void note_field(const struct header_field *field, struct str default_domain,
                       struct arena *arena, struct submit_header *out)
{
    if (str_has_prefix_nocase(field->name, STR("resent-")))
        out->is_resent = true;
    switch (kind_of(field)) {
    case FIELD_FROM:
        read_authors(field->body, default_domain, arena, &out->from);
        break;
    case FIELD_RESENT_FROM:
        read_authors(field->body, default_domain, arena, &out->resent_from);
        break;
    case FIELD_DATE:
        out->has_date = true;
        break;
    case FIELD_MESSAGE_ID:
        out->has_message_id = true;
        break;
    case FIELD_TO:
    case FIELD_CC:
        out->has_destination = true;
        break;
    case FIELD_RESENT_DATE:
        out->has_resent_date = true;
        break;
    case FIELD_RESENT_MESSAGE_ID:
        out->has_resent_message_id = true;
        break;
    default:
        break;
    }
}

static struct str skip_line(struct str text)
{
    ptrdiff_t lf = str_find(text, '\n');

    return lf < 0 ? STR("") : str_sub(text, (size_t)lf + 1, text.len);
}

void submit_header_read(struct str message, struct str default_domain, struct arena *arena,
                        struct submit_header *out)
{
    struct header_field field;

    *out = (struct submit_header){.is_resent = false};
    if (str_has_prefix(message, STR("From ")) || str_has_prefix(message, STR(">From ")))
        message = skip_line(message);
    struct str rest = message;
    for (struct str before = rest; header_next(&rest, &field); before = rest) {
        /* Not of the header: a message without one, or one whose author forgot the empty line. */
        if (!field.is_field) {
            out->fields = str_sub(message, 0, message.len - before.len);
            out->body = before;
            return;
        }
        note_field(&field, default_domain, arena, out);
    }
    out->fields = str_sub(message, 0, message.len - rest.len);
    out->body = skip_line(rest);
}

/* --- writing --- */

/* Lines with CRLF, whatever they ended with, and at least one end. */
static void put_lines(struct buf *out, struct str raw)
{
    struct str line;

    while (raw.len > 0) {
        (void)str_cut(raw, '\n', &line, &raw);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        buf_put_str(out, line);
        buf_put_c(out, "\r\n");
    }
}

static bool is_plain_phrase(struct str name)
{
    static const char specials[] = "()<>[]:;@\\,.\"";

    for (size_t i = 0; i < name.len; i++) {
        for (const char *s = specials; *s != '\0'; s++) {
            if (name.ptr[i] == *s)
                return false;
        }
    }
    return true;
}

static bool is_clean_utf8(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return utf8_is_valid(text);
}

/* A display name: encoded words and plain words as they are, others quoted (RFC 5322 3.2.4). */
static void put_name(struct buf *out, struct str name)
{
    bool is_plain = is_plain_phrase(name);

    if (utf8_has_non_ascii(name) && is_clean_utf8(name)) {
        transfer_put_words(name, out);
        buf_put_char(out, ' ');
        return;
    }
    name = str_sub(name, 0, NAME_MAX_BYTES);
    buf_put_c(out, is_plain ? "" : "\"");
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_control = (unsigned char)c < ' ' || c == 0x7f;
        if (!is_plain && (c == '"' || c == '\\'))
            buf_put_char(out, '\\');
        buf_put_char(out, is_control ? ' ' : c);
    }
    buf_put_c(out, is_plain ? " " : "\" ");
}

static void put_mailbox(struct buf *out, struct str name, struct str address)
{
    name = str_trim(name);
    if (name.len > 0)
        put_name(out, name);
    buf_put_c(out, name.len > 0 ? "<" : "");
    buf_put_str(out, address);
    buf_put_c(out, name.len > 0 ? ">" : "");
}

static void put_authors(struct buf *out, const char *field, const struct submit_authors *authors)
{
    struct buf printed;

    buf_printf(out, "%s: ", field);
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    for (size_t i = 0; i < authors->count; i++) {
        buf_reset(&printed);
        address_print(&authors->mailboxes[i].address, &printed);
        buf_put_c(out, i > 0 ? ",\r\n\t" : "");
        put_mailbox(out, authors->mailboxes[i].name, buf_str(&printed));
    }
    buf_done(&printed);
    buf_put_c(out, "\r\n");
}

static void put_own(struct buf *out, const char *field, const struct submit_author *author,
                    struct str name)
{
    buf_printf(out, "%s: ", field);
    put_mailbox(out, name, author->own);
    buf_put_c(out, "\r\n");
}

static bool may_use(const struct submit_author *author, bool is_resent)
{
    return is_resent ? author->may_use_resent_from : author->may_use_from;
}

struct mend {
    const struct submit_header *header;
    const struct submit_author *author;
    struct buf *out;
    bool has_put[2]; /* From, Resent-From */
};

/* Only the first field is written, from what was judged. */
static void put_author_field(struct mend *m, const struct header_field *field, bool is_resent)
{
    const struct submit_authors *authors = is_resent ? &m->header->resent_from : &m->header->from;
    const char *name = is_resent ? "Resent-From" : "From";
    bool is_good = authors->is_clean && may_use(m->author, is_resent);

    if (!m->has_put[is_resent] && is_good)
        put_authors(m->out, name, authors);
    else if (!m->has_put[is_resent])
        put_own(m->out, name, m->author,
                authors->count > 0 ? authors->mailboxes[0].name : m->author->full_name);
    m->has_put[is_resent] = true;
    if (is_good || is_resent)
        return;
    /* A body that begins with a fold begins with its line end. */
    bool has_space = field->body.len > 0 && (unsigned char)field->body.ptr[0] <= ' ';
    buf_put_c(m->out, has_space ? "X-Original-From:" : "X-Original-From: ");
    put_lines(m->out, field->body.len > 0 ? field->body : STR("\n"));
}

/* --- recipients in the header --- */

/* Whether a name without a domain is among them. Groups and what is broken stay as they are: to
 * write them anew could only harm. */
static bool lacks_domain(const struct summary_mailbox *m, struct str default_domain)
{
    bool result = false;

    for (; m != NULL; m = m->next) {
        CLEANUP(buf_done) struct buf text = {0};
        if (!print_mailbox(m, default_domain, &text))
            return false;
        result |= is_missing_domain(m);
    }
    return result;
}

static void put_list(struct buf *out, const struct summary_mailbox *list, struct str default_domain)
{
    for (const struct summary_mailbox *it = list; it != NULL; it = it->next) {
        CLEANUP(buf_done) struct buf text = {0};
        if (it != list)
            buf_put_c(out, ",\r\n\t");
        if (print_mailbox(it, default_domain, &text))
            put_mailbox(out, it->has_name ? it->name : STR(""), buf_str(&text));
    }
    buf_put_c(out, "\r\n");
}

/* To and Cc: a name without a domain means nothing elsewhere. */
static void put_destination_field(struct mend *m, const struct header_field *field)
{
    const struct str domain = m->author->default_domain;
    struct arena scratch;

    arena_init(&scratch, LIST_ARENA_BYTES);
    const struct summary_mailbox *list = addrlist_parse(field->body, LIST_MAX + 1, &scratch);
    size_t count = 0;
    for (const struct summary_mailbox *it = list; it != NULL; it = it->next)
        count++;
    if (count <= LIST_MAX && lacks_domain(list, domain)) {
        buf_put_str(m->out, field->name);
        buf_put_c(m->out, ": ");
        put_list(m->out, list, domain);
    } else {
        put_lines(m->out, field->raw);
    }
    arena_done(&scratch);
}

static void put_field(struct mend *m, const struct header_field *field)
{
    switch (kind_of(field)) {
    case FIELD_DROPPED:
    case FIELD_BCC:
    case FIELD_RESENT_BCC:
        break;
    case FIELD_FROM:
        put_author_field(m, field, false);
        break;
    case FIELD_RESENT_FROM:
        put_author_field(m, field, true);
        break;
    case FIELD_TO:
    case FIELD_CC:
    case FIELD_RESENT_TO:
    case FIELD_RESENT_CC:
        put_destination_field(m, field);
        break;
    default:
        put_lines(m->out, field->raw);
        break;
    }
}

/* "Received: by", because no host handed it over: RFC 5321 section 4.4 wants "from" of SMTP only.
 */
static void put_received(struct mend *m)
{
    const struct submit_author *a = m->author;

    buf_printf(m->out, "Received: by %.*s (Hikyaku, from userid %u (", STR_ARG(a->hostname),
               a->uid);
    for (size_t i = 0; i < a->login.len; i++) {
        char c = a->login.ptr[i];
        bool is_plain = ascii_is_alnum(c) || c == '.' || c == '-' || c == '_';
        buf_put_char(m->out, is_plain ? c : '?');
    }
    buf_printf(m->out, "))\r\n\tid %s; %s\r\n", a->id, a->date);
}

static struct str default_from(const struct submit_author *a)
{
    return a->sender.len > 0 ? a->sender : a->own;
}

/* RFC 5322 section 3.6.6: who passes a message on adds his own set. */
static void put_resent(struct mend *m)
{
    const struct submit_header *h = m->header;
    const struct submit_author *a = m->author;

    if (!h->is_resent)
        return;
    if (!h->resent_from.is_present)
        put_own(m->out, "Resent-From", a, a->full_name);
    if (!h->has_resent_date)
        buf_printf(m->out, "Resent-Date: %s\r\n", a->date);
    if (!h->has_resent_message_id)
        buf_printf(m->out, "Resent-Message-ID: <%s.r@%.*s>\r\n", a->id, STR_ARG(a->hostname));
}

/* Section 3.6.2: Sender is needed where From is not who sends, or is several people. */
static void put_sender(struct mend *m)
{
    const struct submit_authors *from = &m->header->from;
    const struct submit_author *a = m->author;
    CLEANUP(buf_done) struct buf printed = {0};

    if (!from->is_present || !from->is_clean || !a->may_use_from)
        return;
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(&from->mailboxes[0].address, &printed);
    bool is_sender =
        str_eq_nocase(buf_str(&printed), a->sender) || str_eq_nocase(buf_str(&printed), a->own);
    if (from->count > 1 || !is_sender)
        put_own(m->out, "Sender", a, STR(""));
}

static void put_missing(struct mend *m)
{
    const struct submit_header *h = m->header;
    const struct submit_author *a = m->author;

    if (!h->from.is_present) {
        buf_put_c(m->out, "From: ");
        put_mailbox(m->out, a->full_name, default_from(a));
        buf_put_c(m->out, "\r\n");
    }
    put_sender(m);
    if (!h->has_destination)
        buf_put_c(m->out, "To: undisclosed-recipients:;\r\n");
    if (!h->has_date)
        buf_printf(m->out, "Date: %s\r\n", a->date);
    if (!h->has_message_id)
        buf_printf(m->out, "Message-ID: <%s@%.*s>\r\n", a->id, STR_ARG(a->hostname));
}

void submit_header_mend(const struct submit_header *header, const struct submit_author *author,
                        struct buf *out)
{
    struct mend m = {.header = header, .author = author, .out = out};
    struct str rest = header->fields;
    struct header_field field;

    if (!author->is_remote)
        put_received(&m);
    put_resent(&m);
    while (header_next(&rest, &field))
        put_field(&m, &field);
    put_missing(&m);
    buf_put_c(out, "\r\n");
}

/* --- who is to get it --- */

static bool is_destination(enum field_kind kind, bool is_resent)
{
    if (is_resent)
        return kind == FIELD_RESENT_TO || kind == FIELD_RESENT_CC || kind == FIELD_RESENT_BCC;
    return kind == FIELD_TO || kind == FIELD_CC || kind == FIELD_BCC;
}

/* What was written, as far as it can be shown in a line. */
static struct str first_line(struct str body)
{
    struct str text = str_trim(body);
    size_t end = 0;

    while (end < text.len && text.ptr[end] != '\r' && text.ptr[end] != '\n')
        end++;
    return str_sub(text, 0, end);
}

/* False: fn has had enough. */
static bool list_field(struct str body, bool (*fn)(void *arg, struct str address, bool is_good),
                       void *arg)
{
    struct arena scratch;
    bool goes_on = true;

    arena_init(&scratch, LIST_ARENA_BYTES);
    const struct summary_mailbox *m = addrlist_parse(body, LIST_MAX, &scratch);
    for (; m != NULL && goes_on; m = m->next) {
        CLEANUP(buf_done) struct buf text = {0};
        if (!m->has_host) /* a group's mark */
            continue;
        bool is_good = print_mailbox(m, STR(""), &text);
        goes_on = fn(arg, is_good ? buf_str(&text) : first_line(body), is_good);
    }
    arena_done(&scratch);
    return goes_on;
}

void submit_list_recipients(const struct submit_header *header,
                            bool (*fn)(void *arg, struct str address, bool is_good), void *arg)
{
    struct str rest = header->fields;
    struct header_field field;
    bool goes_on = true;

    while (goes_on && header_next(&rest, &field)) {
        if (is_destination(kind_of(&field), header->is_resent))
            goes_on = list_field(field.body, fn, arg);
    }
}
