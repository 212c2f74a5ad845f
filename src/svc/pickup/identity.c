/* Who may send as whom: see identity.h. */
#include "svc/pickup/identity.h"

#include "conf/value.h"

enum { SCRATCH_BYTES = 64 * 1024 };

static bool is_listed(const struct settings_list *list, const char *login)
{
    for (size_t i = 0; i < list->count; i++) {
        if (str_eq_c(str_from_c(list->items[i]), login))
            return true;
    }
    return false;
}

static struct str choose_domain(const struct settings *settings, struct arena *arena)
{
    const char *name =
        settings->submit_domain[0] != '\0' ? settings->submit_domain : settings->server_hostname;
    struct str domain;

    return domain_parse(str_from_c(name), arena, &domain) == ADDRESS_OK ? domain : str_from_c(name);
}

void identity_init(struct identity *i, const struct settings *settings,
                   const struct smtp_backend *backend, const struct user *user, struct arena *arena)
{
    struct buf text;

    *i = (struct identity){.settings = settings,
                           .backend = backend,
                           .user = user,
                           .is_trusted = is_listed(&settings->submit_trusted_users, user->login),
                           .domain = choose_domain(settings, arena)};
    i->own = (struct address){.local = str_from_c(user->login), .domain = i->domain};
    buf_init(&text, ADDRESS_TEXT_MAX_BYTES);
    address_print(&i->own, &text);
    i->own_text = arena_str(arena, buf_str(&text));
    buf_done(&text);
}

static bool is_same(const struct address *a, const struct address *b, struct arena *arena)
{
    return str_eq_nocase(a->domain, b->domain) &&
           str_eq(address_fold_local(a->local, arena), address_fold_local(b->local, arena));
}

/* The address as it is, or without its detail: user+list is user's. */
static bool is_his(const struct identity *i, const struct address *address,
                   const struct address *his, struct arena *arena)
{
    struct address plain = *address;
    struct str user, detail;
    struct str separators = str_from_c(i->settings->smtp_recipient_separators);

    if (is_same(address, his, arena))
        return true;
    if (!address_split_detail(address->local, separators, &user, &detail))
        return false;
    plain.local = user;
    return is_same(&plain, his, arena);
}

/* The address of a row if it is this user's. */
static bool parse_row(const struct identity *i, const char *row, struct arena *arena,
                      struct address *out)
{
    struct value_sender sender;

    return value_parse_sender(str_from_c(row), &sender) == 0 &&
           str_eq_c(sender.login, i->user->login) &&
           address_parse(sender.address, 0, arena, out) == ADDRESS_OK;
}

static bool is_given(const struct identity *i, const struct address *address)
{
    const struct settings_list *rows = &i->settings->submit_senders;
    struct address his;
    bool result = false;

    for (size_t n = 0; n < rows->count && !result; n++) {
        CLEANUP(arena_done) struct arena scratch;
        arena_init(&scratch, SCRATCH_BYTES);
        result = parse_row(i, rows->items[n], &scratch, &his) && is_his(i, address, &his, &scratch);
    }
    return result;
}

static bool is_own(const struct identity *i, const struct address *address)
{
    CLEANUP(arena_done) struct arena scratch;

    arena_init(&scratch, SCRATCH_BYTES);
    return is_his(i, address, &i->own, &scratch);
}

bool identity_is_own_domain(const struct identity *i, struct str domain)
{
    return str_eq_nocase(domain, i->domain) ||
           str_eq_nocase(domain, str_from_c(i->settings->server_hostname));
}

int identity_may_use(const struct identity *i, const struct address *address, bool *out_may)
{
    enum smtp_destination destination = SMTP_DESTINATION_LOCAL;

    *out_may = i->is_trusted || address->is_null || is_own(i, address) || is_given(i, address);
    if (*out_may || identity_is_own_domain(i, address->domain))
        return 0;
    int r = i->backend->find_recipient(i->backend->arg, address, NULL, &destination);
    *out_may = r == 0 && (destination == SMTP_DESTINATION_REMOTE ||
                          destination == SMTP_DESTINATION_SUPPRESSED);
    return r;
}

void identity_put_addresses(const struct identity *i, struct buf *out)
{
    const struct settings_list *rows = &i->settings->submit_senders;
    struct value_sender sender;

    buf_put_str(out, i->own_text);
    for (size_t n = 0; n < rows->count; n++) {
        if (value_parse_sender(str_from_c(rows->items[n]), &sender) == 0 &&
            str_eq_c(sender.login, i->user->login)) {
            buf_put_c(out, ", ");
            buf_put_str(out, sender.address);
        }
    }
}
