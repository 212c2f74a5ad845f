/*
 * The spool files of one connection: bodies too long for a request arrive in them piece by piece.
 *
 * A file belongs to the connection that opened it: a write, deliver or append may name no other. A
 * piece is written on a reader thread; meanwhile the file is busy, and one that is given up then is
 * dropped when the piece is done. A deliver or append takes its file over: from then on it is the
 * job's. Knows nothing of frames and replies. Belongs to the loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/map.h"
#include "store/store.h"
#include "store/wire.h"

struct spools {
    struct store *store;
    struct map files; /* u64 id -> struct open_spool */
};

/* Embedded, without a file yet. Pair: spools_done. */
void spools_init(struct spools *s, struct store *store);
/* Gives up all files. May come twice; jobs that write a piece may end later than this. */
void spools_done(struct spools *s);

/* Opens a file under an id that is new. 0; -ENOSPC when the disk is too full; -EMFILE when the
 * connection has too many; other negative errno. */
MUST_CHECK int spools_open(struct spools *s, uint64_t id);
/* Gives the file up; an id that is not there is forgotten already. */
void spools_drop(struct spools *s, uint64_t id);
/* Finds the file that a request of this verb names and hands it to its job, which returns it by
 * on_done after a piece. 0, also when it names none; -ESTALE when there is no such file, or it is
 * busy; -EBADMSG. */
MUST_CHECK int spools_attach(struct spools *s, struct job *job, enum store_verb verb);
