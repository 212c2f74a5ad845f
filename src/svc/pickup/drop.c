/* The spool folder as the picking up process sees it: see drop.h. */
#include "svc/pickup/drop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/wire.h"
#include "svc/pickup/spool_folder.h"

#define NEW_PREFIX     "msg."
#define REFUSED_SUFFIX ".refused"

enum { DAY_S = 24 * 3600, REFUSED_S = 7 * DAY_S, UNFINISHED_S = DAY_S };

int drop_open(const char *path, struct drop *out)
{
    struct stat st;

    *out = (struct drop){.dir_fd = -1, .taken_fd = -1};
    out->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out->dir_fd >= 0)
        out->taken_fd =
            openat(out->dir_fd, SPOOL_TAKEN, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out->taken_fd < 0 || fstat(out->dir_fd, &st) < 0) {
        int r = -errno;
        drop_close(out);
        return r;
    }
    out->gid = st.st_gid;
    return 0;
}

void drop_close(struct drop *d)
{
    if (d->dir_fd >= 0)
        close(d->dir_fd);
    if (d->taken_fd >= 0)
        close(d->taken_fd);
    d->dir_fd = d->taken_fd = -1;
}

/* Calls fn for every name until it says false. 0 or negative errno. */
static int list(int dir_fd, bool (*fn)(void *arg, const char *name), void *arg)
{
    const struct dirent *entry;

    /* A description of its own: another listing has another place. */
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int r = -errno;
        close(fd);
        return r;
    }
    for (int i = 0; i < DROP_NAMES_MAX && (entry = readdir(dir)) != NULL; i++) {
        bool is_dot = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (!is_dot && !fn(arg, entry->d_name))
            break;
    }
    closedir(dir);
    return 0;
}

/* --- names --- */

static void name_entry(struct drop_entry *e, struct id_maker *ids)
{
    char id[ID_TEXT_CHARS + 1], notice[ID_TEXT_CHARS + 1];

    e->id = id_make(ids);
    e->notice_id = id_make(ids);
    e->deaths = 0;
    (void)snprintf(e->name, sizeof(e->name), "%s.%s", id_format(e->id, id),
                   id_format(e->notice_id, notice));
}

static bool parse_entry(const char *name, struct drop_entry *out)
{
    struct str id, rest, notice, deaths;
    uint64_t count = 0;

    (void)str_cut(str_from_c(name), '.', &id, &rest);
    bool has_deaths = str_cut(rest, '.', &notice, &deaths);
    if (has_deaths && str_to_u64(deaths, DROP_DEATHS_MAX, &count) < 0)
        return false;
    out->deaths = (unsigned)count;
    return id.len == ID_TEXT_CHARS && notice.len == ID_TEXT_CHARS && id_parse(id, &out->id) == 0 &&
           id_parse(notice, &out->notice_id) == 0 &&
           str_copy(str_from_c(name), out->name, sizeof(out->name));
}

_Static_assert(DROP_DEATHS_MAX <= 9, "one digit");

static void set_deaths(struct drop *d, struct drop_entry *e, unsigned deaths)
{
    struct drop_entry noted = *e;

    noted.deaths = deaths;
    (void)snprintf(noted.name, sizeof(noted.name), "%.*s.%c", 2 * ID_TEXT_CHARS + 1, e->name,
                   '0' + (int)deaths);
    if (renameat(d->taken_fd, e->name, d->taken_fd, noted.name) == 0)
        *e = noted;
}

bool drop_note_death(struct drop *d, struct drop_entry *e)
{
    if (e->deaths >= DROP_DEATHS_MAX)
        return false;
    set_deaths(d, e, e->deaths + 1);
    return true;
}

void drop_forget_death(struct drop *d, struct drop_entry *e)
{
    if (e->deaths > 0)
        set_deaths(d, e, e->deaths - 1);
}

/* --- taking --- */

struct taking {
    struct drop *drop;
    struct id_maker *ids;
    struct drop_entry *out;
    int count;
};

/* What is no file, or has another name elsewhere, is nobody's mail. A folder with something in it
 * cannot be removed; it is moved out of sight under a name that is not looked at. */
static void remove_stranger(struct drop *d, const char *name, const struct stat *st)
{
    char aside[DROP_NAME_CHARS + 8];
    static unsigned count;

    LOG(LOG_WARNING, "pickup.not-a-mail", LOG_C("name", name), LOG_INT("uid", st->st_uid),
        LOG_INT("links", st->st_nlink), LOG_INT("type", (st->st_mode & S_IFMT) >> 12));
    if (unlinkat(d->dir_fd, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) == 0)
        return;
    (void)snprintf(aside, sizeof(aside), "bad.%lld.%u", (long long)clock_real_ms(), count++);
    (void)renameat(d->dir_fd, name, d->dir_fd, aside);
}

static bool take_one(void *arg, const char *name)
{
    struct taking *t = arg;
    struct drop *d = t->drop;
    struct stat st;

    if (strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) != 0 ||
        fstatat(d->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return true;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
        remove_stranger(d, name, &st);
        return true;
    }
    struct drop_entry *e = &t->out[t->count];
    name_entry(e, t->ids);
    /* Out of reach of its owner, who could otherwise give it an id of his choice. */
    if (renameat(d->dir_fd, name, d->taken_fd, e->name) < 0) {
        if (errno != ENOENT)
            LOG(LOG_ERROR, "pickup.not-taken", LOG_C("name", name), LOG_ERR(-errno));
        return true;
    }
    return ++t->count < DROP_BATCH;
}

int drop_take(struct drop *d, struct id_maker *ids, struct drop_entry out[DROP_BATCH])
{
    struct taking t = {.drop = d, .ids = ids, .out = out};

    int r = list(d->dir_fd, take_one, &t);
    if (r < 0 || t.count == 0)
        return r;
    /* Before the store hears of the ids: after a power failure the file must not be new again. */
    if (fsync(d->taken_fd) < 0 || fsync(d->dir_fd) < 0)
        return -errno;
    return t.count;
}

/* --- what was taken before --- */

/* The store would not take an id of another week; nor can it remember one for ever. */
static bool renew(struct taking *t, struct drop_entry *e)
{
    struct drop_entry fresh;

    if (wire_is_plausible_id(e->id) && wire_is_plausible_id(e->notice_id))
        return true;
    name_entry(&fresh, t->ids);
    if (renameat(t->drop->taken_fd, e->name, t->drop->taken_fd, fresh.name) < 0)
        return false;
    LOG(LOG_WARNING, "pickup.id-renewed", LOG_ID("message", fresh.id), LOG_ID("was", e->id));
    *e = fresh;
    return true;
}

static bool list_one(void *arg, const char *name)
{
    struct taking *t = arg;
    struct drop_entry *e = &t->out[t->count];

    if (parse_entry(name, e) && renew(t, e))
        t->count++;
    return t->count < DROP_BATCH;
}

int drop_list_taken(struct drop *d, struct id_maker *ids, struct drop_entry out[DROP_BATCH])
{
    struct taking t = {.drop = d, .ids = ids, .out = out};

    int r = list(d->taken_fd, list_one, &t);
    if (r == 0 && t.count > 0 && fsync(d->taken_fd) < 0)
        r = -errno;
    return r < 0 ? r : t.count;
}

/* --- reading --- */

enum drop_verdict drop_read(struct drop *d, const struct drop_entry *e, int *out_fd,
                            struct stat *out_st)
{
    *out_fd = -1;
    if (fstatat(d->taken_fd, e->name, out_st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? DROP_GONE : DROP_FAILED;
    bool is_file = S_ISREG(out_st->st_mode) && out_st->st_nlink == 1 && out_st->st_gid == d->gid;
    if (!is_file)
        return DROP_FOREIGN;
    int fd =
        openat(d->taken_fd, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES || errno == EPERM ? DROP_UNREADABLE : DROP_FAILED;
    /* Nobody but us can reach the name; the descriptor is asked nevertheless. */
    if (fstat(fd, out_st) < 0 || !S_ISREG(out_st->st_mode) || out_st->st_nlink != 1) {
        close(fd);
        return DROP_FOREIGN;
    }
    *out_fd = fd;
    return DROP_GOOD;
}

void drop_done(struct drop *d, const struct drop_entry *e)
{
    if (unlinkat(d->taken_fd, e->name, 0) < 0 && errno != ENOENT)
        LOG(LOG_ERROR, "pickup.not-removed", LOG_ID("message", e->id), LOG_ERR(-errno));
}

void drop_refuse(struct drop *d, const struct drop_entry *e, bool is_kept)
{
    char refused[DROP_NAME_CHARS + sizeof(REFUSED_SUFFIX)];

    (void)snprintf(refused, sizeof(refused), "%s%s", e->name, REFUSED_SUFFIX);
    if (!is_kept || renameat(d->taken_fd, e->name, d->taken_fd, refused) < 0)
        drop_done(d, e);
}

/* --- growing old --- */

struct expiry {
    int dir_fd;
    int64_t now_s;
};

static bool expire_refused(void *arg, const char *name)
{
    const struct expiry *x = arg;
    struct stat st;

    if (str_has_suffix_nocase(str_from_c(name), STR(REFUSED_SUFFIX)) &&
        fstatat(x->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_ctim.tv_sec < x->now_s - REFUSED_S)
        (void)unlinkat(x->dir_fd, name, 0);
    return true;
}

static bool expire_unfinished(void *arg, const char *name)
{
    const struct expiry *x = arg;
    struct stat st;

    if (strcmp(name, SPOOL_TAKEN) == 0 || strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0 ||
        fstatat(x->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        st.st_ctim.tv_sec >= x->now_s - UNFINISHED_S)
        return true;
    (void)unlinkat(x->dir_fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
    return true;
}

void drop_expire(struct drop *d)
{
    struct expiry x = {.dir_fd = d->taken_fd, .now_s = clock_real_ms() / 1000};

    (void)!list(d->taken_fd, expire_refused, &x);
    x.dir_fd = d->dir_fd;
    (void)!list(d->dir_fd, expire_unfinished, &x);
}
