/* Unit tests of the spool folder: its making, what is taken from it, what is not, and who may send
 * as whom. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "svc/pickup/drop.h"
#include "svc/pickup/identity.h"
#include "svc/pickup/spool_folder.h"

enum { SCRATCH_BYTES = 64 * 1024, PATH_BYTES = 256 };

static char place[] = "/tmp/hikyaku-drop-XXXXXX";
static char folder[PATH_BYTES];
static struct id_maker ids;

static const char *path_of(const char *name)
{
    static char path[2 * PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_EXCL, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static bool is_there(const char *name)
{
    struct stat st;

    return lstat(path_of(name), &st) == 0;
}

static void the_folder_is_made_as_it_must_be(void **state)
{
    struct stat st;

    (void)state;
    (void)umask(077);
    assert_int_equal(spool_folder_make(folder, geteuid(), getegid()), 0);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 03733);
    assert_int_equal(stat(path_of(SPOOL_TAKEN), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    /* Again, with what somebody has changed. */
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(spool_folder_make(folder, geteuid(), getegid()), 0);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 03733);
}

static void what_is_no_folder_is_refused(void **state)
{
    CLEANUP(cleanup_free) char *link = xasprintf("%s/link", place);
    CLEANUP(cleanup_free) char *file = xasprintf("%s/file", place);

    (void)state;
    assert_int_equal(symlink("/tmp", link), 0);
    assert_true(spool_folder_make(link, geteuid(), getegid()) < 0);
    int fd = open(file, O_WRONLY | O_CREAT, 0600);
    close(fd);
    assert_int_equal(spool_folder_make(file, geteuid(), getegid()), -ENOTDIR);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(unlink(file), 0);
}

static void only_complete_files_are_taken(void **state)
{
    static struct drop_entry batch[DROP_BATCH];
    struct drop drop;
    struct stat st;
    int fd;

    (void)state;
    assert_int_equal(drop_open(folder, &drop), 0);
    put_file("new.half");
    put_file("msg.one");
    put_file("msg.linked");
    CLEANUP(cleanup_free) char *other = xasprintf("%s/linked", place);
    assert_int_equal(link(path_of("msg.linked"), other), 0);
    assert_int_equal(symlink("/etc/passwd", path_of("msg.symlink")), 0);
    assert_int_equal(mkfifo(path_of("msg.fifo"), 0666), 0);
    assert_int_equal(mkdir(path_of("msg.dir"), 0777), 0);
    assert_int_equal(drop_take(&drop, &ids, batch), 1);
    assert_int_equal(unlink(other), 0);
    assert_true(is_there("new.half"));
    static const char *const gone[] = {"msg.one", "msg.linked", "msg.symlink", "msg.fifo",
                                       "msg.dir"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_false(is_there(gone[i]));
    assert_int_equal(drop_read(&drop, &batch[0], &fd, &st), DROP_GOOD);
    assert_int_equal(st.st_size, 1);
    close(fd);
    assert_true(batch[0].id != 0 && batch[0].notice_id != 0 && batch[0].id != batch[0].notice_id);
    /* The ids stay, whoever asks. */
    struct drop_entry first = batch[0];
    assert_int_equal(drop_list_taken(&drop, &ids, batch), 1);
    assert_true(batch[0].id == first.id && batch[0].notice_id == first.notice_id);
    drop_done(&drop, &first);
    assert_int_equal(drop_read(&drop, &first, &fd, &st), DROP_GONE);
    assert_int_equal(drop_list_taken(&drop, &ids, batch), 0);
    drop_close(&drop);
}

static void who_kills_again_and_again_is_found_out(void **state)
{
    static struct drop_entry batch[DROP_BATCH];
    struct drop drop;

    (void)state;
    assert_int_equal(drop_open(folder, &drop), 0);
    put_file("msg.poison");
    assert_int_equal(drop_take(&drop, &ids, batch), 1);
    uint64_t id = batch[0].id;
    for (unsigned i = 0; i < DROP_DEATHS_MAX; i++) {
        assert_int_equal(drop_list_taken(&drop, &ids, batch), 1);
        assert_true(batch[0].id == id && batch[0].deaths == i);
        assert_true(drop_note_death(&drop, &batch[0]));
        drop_forget_death(&drop, &batch[0]);
        assert_int_equal(batch[0].deaths, i);
        assert_true(drop_note_death(&drop, &batch[0]));
    }
    assert_int_equal(drop_list_taken(&drop, &ids, batch), 1);
    assert_false(drop_note_death(&drop, &batch[0]));
    drop_refuse(&drop, &batch[0], true);
    assert_int_equal(drop_list_taken(&drop, &ids, batch), 0);
    drop_close(&drop);
}

static void old_ids_are_renewed_and_old_files_removed(void **state)
{
    static struct drop_entry batch[DROP_BATCH];
    struct drop drop;
    const int64_t day_ms = 24 * 3600 * (int64_t)1000;

    (void)state;
    assert_int_equal(drop_open(folder, &drop), 0);
    put_file("msg.old");
    assert_int_equal(drop_take(&drop, &ids, batch), 1);
    uint64_t id = batch[0].id;
    clock_advance_ms(2 * day_ms);
    drop_expire(&drop);
    assert_false(is_there("new.half"));
    assert_int_equal(drop_list_taken(&drop, &ids, batch), 1);
    assert_true(batch[0].id == id);
    clock_advance_ms(6 * day_ms);
    assert_int_equal(drop_list_taken(&drop, &ids, batch), 1);
    assert_true(batch[0].id > id);
    drop_expire(&drop);
    drop_done(&drop, &batch[0]);
    /* Also the one that was set aside. */
    int fd = open(path_of(SPOOL_TAKEN), O_RDONLY | O_DIRECTORY);
    assert_int_equal(unlinkat(AT_FDCWD, path_of(SPOOL_TAKEN), AT_REMOVEDIR), 0);
    close(fd);
    drop_close(&drop);
}

/* --- identity --- */

static int find(void *arg, const struct address *a, const struct ip_addr *peer,
                enum smtp_destination *out)
{
    (void)arg;
    (void)peer;
    bool is_ours = str_eq_c(a->domain, "hosted.example");

    *out = is_ours ? SMTP_DESTINATION_UNKNOWN_USER : SMTP_DESTINATION_REMOTE;
    return 0;
}

static bool may_use(const struct identity *i, const char *text)
{
    struct arena arena;
    struct address address;
    bool may = false;

    arena_init(&arena, SCRATCH_BYTES);
    assert_int_equal(address_parse(str_from_c(text), ADDRESS_MAY_BE_NULL, &arena, &address),
                     ADDRESS_OK);
    assert_int_equal(identity_may_use(i, &address, &may), 0);
    arena_done(&arena);
    return may;
}

static void users_send_as_themselves(void **state)
{
    static const struct {
        const char *address;
        bool may;
    } cases[] = {
        {"", true},
        {"taro@local.example", true},
        {"TARO@Local.Example", true},
        {"taro+x@local.example", true},
        {"taro-x@local.example", false},
        {"jiro@local.example", false},
        {"taro@mx.example.jp", false},
        {"taro@hosted.example", false},
        {"info@hosted.example", true},
        {"info+a@hosted.example", true},
        {"sales@hosted.example", false},
        {"dev@elsewhere.example", true},
    };
    static char *rows[] = {(char *)(uintptr_t) "taro info@hosted.example",
                           (char *)(uintptr_t) "jiro sales@hosted.example"};
    struct settings settings = {.server_hostname = (char *)(uintptr_t) "mx.example.jp",
                                .submit_domain = (char *)(uintptr_t) "local.example",
                                .smtp_recipient_separators = (char *)(uintptr_t) "+",
                                .submit_senders = {.items = rows, .count = 2}};
    const struct smtp_backend backend = {.find_recipient = find};
    const struct user user = {.login = "taro"};
    struct identity identity;
    struct arena arena;

    (void)state;
    arena_init(&arena, SCRATCH_BYTES);
    identity_init(&identity, &settings, &backend, &user, &arena);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (may_use(&identity, cases[i].address) != cases[i].may)
            fail_msg("%s: not %d", cases[i].address, cases[i].may);
    }
    settings.submit_trusted_users =
        (struct settings_list){.items = (char *[]){(char *)(uintptr_t) "taro"}, .count = 1};
    identity_init(&identity, &settings, &backend, &user, &arena);
    assert_true(may_use(&identity, "sales@hosted.example"));
    arena_done(&arena);
}

static int make_place(void **state)
{
    char clock[PATH_BYTES];

    (void)state;
    if (mkdtemp(place) == NULL)
        return -1;
    (void)snprintf(folder, sizeof(folder), "%s/a/spool", place);
    (void)snprintf(clock, sizeof(clock), "%s/clock", place);
    id_maker_init(&ids, 0, 1);
    return clock_use_file(clock);
}

static int remove_place(void **state)
{
    CLEANUP(cleanup_free) char *above = xasprintf("%s/a", place);
    CLEANUP(cleanup_free) char *clock = xasprintf("%s/clock", place);

    (void)state;
    (void)unlink(clock);
    return rmdir(folder) < 0 || rmdir(above) < 0 || rmdir(place) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_folder_is_made_as_it_must_be),
        cmocka_unit_test(what_is_no_folder_is_refused),
        cmocka_unit_test(only_complete_files_are_taken),
        cmocka_unit_test(who_kills_again_and_again_is_found_out),
        cmocka_unit_test(old_ids_are_renewed_and_old_files_removed),
        cmocka_unit_test(users_send_as_themselves),
    };
    return cmocka_run_group_tests_name("pickup", tests, make_place, remove_place);
}
