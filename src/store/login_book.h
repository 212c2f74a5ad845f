/*
 * Who has logged in: the sessions that are open, and since the last writing, from where and by what
 * each account has come (verb_sessions.c keeps that as rows).
 *
 * A login costs no row: those of one account from one network, by one protocol, mechanism and app
 * password are one entry that is counted, and entries are written now and then. What a crash takes
 * away is a few seconds of it. A store that is started again does not know the sessions that were
 * open before. Belongs to the loop thread.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "store/auth_wire.h"

enum {
    LOGIN_BOOK_OPEN_MAX = 100000,
    LOGIN_BOOK_PENDING_MAX = 1024, /* then they have to be written */
    LOGIN_BOOK_LIST_MAX = 1000,
    LOGIN_BOOK_ROWS_MAX_BYTES = 1024 * 1024,
};

struct login_book {
    struct map open;    /* owner and session -> struct auth_session, owned */
    struct map pending; /* what makes an entry -> struct login_entry, owned */
};

/* An entry: what changes of its row (login.note). */
struct login_entry {
    uint64_t account;
    int64_t app_password;
    struct str network, protocol, mechanism;
    int64_t first_ms, last_ms;
    uint64_t count;
};
void login_put_entry(struct buf *out, const struct login_entry *e);
/* 1; 0 at the end; -EBADMSG. Views. */
MUST_CHECK int login_next_entry(struct cursor *c, struct login_entry *out);

void login_book_init(struct login_book *b);
void login_book_done(struct login_book *b);
/* A session of the worker `owner` has logged in. */
void login_book_add(struct login_book *b, const void *owner, const struct auth_session *s);
void login_book_end(struct login_book *b, const void *owner, uint64_t session);
void login_book_drop_owner(struct login_book *b, const void *owner);
bool login_book_is_full(const struct login_book *b);
/* Appends all entries since the last time and forgets them. Needs room for
 * LOGIN_BOOK_ROWS_MAX_BYTES. */
void login_book_take(struct login_book *b, struct buf *out);
/* Appends the open sessions of an account (0: of all), the newest LOGIN_BOOK_LIST_MAX, newest
 * first: struct auth_session. */
void login_book_list(const struct login_book *b, uint64_t account, struct buf *out);
