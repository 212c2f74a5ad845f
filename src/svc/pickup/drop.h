/*
 * The spool folder as the picking up process sees it: what lies there, taking it, opening it, being
 * done with it. Names, types, owners and sizes are strangers' until they are checked here.
 *
 *     msg.XXX                a mail that is complete; other names are not looked at for a day
 *     taken/ID.NOTICE        picked up: will become the message ID; a notice about it NOTICE
 *     taken/ID.NOTICE.N      the same, and N times this process died when it had begun with it
 *     taken/ID.NOTICE.refused  set aside
 *
 * Who sends is the owner of the file. That this cannot be forged rests on: regular file, one link,
 * not reached through a link, and the group that only files made in this folder have.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/id.h"

enum {
    DROP_BATCH = 256,           /* names of one round */
    DROP_NAMES_MAX = 64 * 1024, /* entries looked at in one listing */
    DROP_NAME_CHARS = 2 * ID_TEXT_CHARS + 3,
    DROP_DEATHS_MAX = 5, /* then a mail is set aside: it seems to be what kills */
};

struct drop {
    int dir_fd;
    int taken_fd;
    gid_t gid;
};

/* What was picked up. */
struct drop_entry {
    char name[DROP_NAME_CHARS + 1];
    uint64_t id;
    uint64_t notice_id;
    unsigned deaths;
};

enum drop_verdict {
    DROP_GOOD,
    DROP_GONE,       /* its owner took it back */
    DROP_UNREADABLE, /* its mode does not let the server read it */
    DROP_FOREIGN,    /* nobody knows who wrote it: linked, or made elsewhere */
    DROP_FAILED,     /* the folder cannot be used now */
};

/* 0 or negative errno. */
MUST_CHECK int drop_open(const char *path, struct drop *out);
void drop_close(struct drop *d);

/* Picks up to DROP_BATCH new mails up: each gets two ids and a place of its own. When this returns,
 * that is durable. What is no file is removed. The number, or negative errno. */
MUST_CHECK int drop_take(struct drop *d, struct id_maker *ids, struct drop_entry out[DROP_BATCH]);
/* Lists what was picked up and is not done; an id that the store would not take any more is
 * replaced. The number, or negative errno. */
MUST_CHECK int drop_list_taken(struct drop *d, struct id_maker *ids,
                               struct drop_entry out[DROP_BATCH]);
/* Notes, before it is begun with, that a mail was under way when the process before this one died.
 * False when that has happened too often. */
MUST_CHECK bool drop_note_death(struct drop *d, struct drop_entry *e);
/* It was not that mail: it could not be stored for another reason. */
void drop_forget_death(struct drop *d, struct drop_entry *e);
/* Opens for reading. *out_fd is the caller's with DROP_GOOD, else -1; *out_st is set with all but
 * DROP_GONE and DROP_FAILED. */
enum drop_verdict drop_read(struct drop *d, const struct drop_entry *e, int *out_fd,
                            struct stat *out_st);
/* It is stored: forget the file. */
void drop_done(struct drop *d, const struct drop_entry *e);
/* It is refused: kept for people to look at for DROP_REFUSED_MS; or not at all. */
void drop_refuse(struct drop *d, const struct drop_entry *e, bool is_kept);
/* Removes what is older than its time: refused mail, and files whose writer never finished. */
void drop_expire(struct drop *d);
