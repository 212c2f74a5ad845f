/*
 * Tests of the store through its verbs, in a folder of its own: rows, bytes, group commit,
 * recovery, compaction. Jobs are run by the real executor; the loop is not needed.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "store/store_harness.h"

static _Atomic int segment_syncs_to_fail;

/* In place of libc's: the disk fails to sync segments when a test says so. */
int fdatasync(int fd)
{
    char link[64], path[256] = "";

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    bool is_segment = n > 4 && memcmp(path + n - 4, ".seg", 4) == 0;
    if (is_segment && segment_syncs_to_fail > 0) {
        segment_syncs_to_fail--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}
static int add_alias(const char *address, const char *target)
{
    struct buf *out = start_args();

    buf_put_lp(out, str_from_c(address));
    buf_put_u32(out, 1);
    buf_put_lp(out, str_from_c(target));
    return run_verb(STORE_ALIAS_ADD, out, NULL);
}

static int deliver_as(uint64_t id, const char *local, const char *domain, struct str text)
{
    struct deliver_recipient to = {.local = str_from_c(local), .domain = str_from_c(domain)};
    struct deliver_request q = {.message_id = id,
                                .session_id = 7,
                                .received_ms = clock_real_ms(),
                                .sender = STR("sender@elsewhere.example"),
                                .peer = STR("192.0.2.1"),
                                .helo = STR("client"),
                                .summary = STR("summary"),
                                .text = text,
                                .recipients = &to,
                                .recipient_count = 1};

    to.is_relay = strcmp(domain, "relay.example") == 0;
    wire_put_deliver(start_args(), &q);
    return run_verb(STORE_DELIVER, &args, NULL);
}

static int deliver(const char *local, const char *text)
{
    return deliver_as(id_make(&ids), local, "example.jp", str_from_c(text));
}

static void add_domain_and_accounts(void)
{
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "example.jp", NULL, NULL), 0);
    assert_int_equal(add_account("taro@example.jp"), 0);
    assert_int_equal(add_account("hanako@example.jp"), 0);
}

static enum recipient_kind check(const char *local, const char *domain)
{
    struct buf reply;

    buf_init(&reply, 1000);
    assert_int_equal(run_texts(STORE_RECIPIENT_CHECK, local, domain, &reply), 0);
    enum recipient_kind kind = (enum recipient_kind)reply.ptr[0];
    buf_done(&reply);
    return kind;
}

static void recipients_lead_where_the_directory_says(void **state)
{
    (void)state;
    add_domain_and_accounts();
    assert_int_equal(add_alias("info@example.jp", "taro@example.jp"), 0);
    assert_int_equal(add_alias("info@example.jp", "hanako@example.jp"), 0);
    assert_int_equal(add_alias("loop1@example.jp", "loop2@example.jp"), 0);
    assert_int_equal(add_alias("loop2@example.jp", "loop1@example.jp"), 0);
    assert_int_equal(check("taro", "example.jp"), RECIPIENT_LOCAL);
    assert_int_equal(check("TARO", "example.jp"), RECIPIENT_LOCAL);
    assert_int_equal(check("taro+news", "example.jp"), RECIPIENT_LOCAL);
    assert_int_equal(check("nobody", "example.jp"), RECIPIENT_UNKNOWN_USER);
    assert_int_equal(check("+taro", "example.jp"), RECIPIENT_UNKNOWN_USER);
    assert_int_equal(check("taro", "elsewhere.example"), RECIPIENT_REMOTE);
    assert_int_equal(check("PostMaster", "example.jp"), RECIPIENT_LOCAL);
    assert_int_equal(check("postmaster", ""), RECIPIENT_LOCAL);
    assert_int_equal(check("loop1", "example.jp"), RECIPIENT_ALIAS_LOOP);
    assert_int_equal(run_texts(STORE_DOMAIN_SET, "example.jp", "hanako@example.jp", NULL), 0);
    assert_int_equal(check("nobody", "example.jp"), RECIPIENT_LOCAL);
    assert_int_equal(deliver("info", "to both"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 2);
    assert_int_equal(get_int("SELECT refs FROM body"), 2);
}

static void wrong_directory_requests_say_why(void **state)
{
    (void)state;
    struct buf reply;

    buf_init(&reply, 1000);
    add_domain_and_accounts();
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "example.jp", NULL, &reply), -EEXIST);
    assert_string_equal(buf_c_str(&reply), "the domain example.jp exists already");
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "not a domain", NULL, &reply), -EINVAL);
    assert_int_equal(add_account("taro@other.example"), -ENOENT);
    assert_int_equal(add_account("TARO@example.jp"), -EEXIST);
    assert_int_equal(add_account("taro"), -EINVAL);
    assert_int_equal(run_texts(STORE_DOMAIN_REMOVE, "example.jp", NULL, &reply), -EBUSY);
    assert_int_equal(deliver("nobody", "x"), -ENOENT);
    assert_int_equal(get_int("SELECT COUNT(*) FROM body"), 0);
    buf_done(&reply);
}

static void a_message_is_stored_once_and_listed_and_read(void **state)
{
    (void)state;
    struct buf reply;

    buf_init(&reply, 1 << 20);
    add_domain_and_accounts();
    assert_int_equal(deliver("taro", "Subject: one\r\n\r\nbody one\r\n"), 0);
    assert_int_equal(deliver("taro", "Subject: two\r\n\r\nbody two\r\n"), 0);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, STR("INBOX"));
    buf_put_u64(&args, 1);
    assert_int_equal(run_verb(STORE_MESSAGE_LIST, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(cursor_u64(&c), 2); /* uid */
    uint64_t id = cursor_u64(&c);
    assert_int_equal(cursor_u64(&c), 0); /* flags */
    buf_put_u64(start_args(), id);
    buf_put_u64(&args, 9);
    buf_put_u32(&args, 3);
    assert_int_equal(run_verb(STORE_MESSAGE_READ, &args, &reply), 0);
    c = cursor_from(buf_str(&reply));
    assert_int_equal(cursor_u64(&c), 26);
    assert_true(str_eq(cursor_rest(&c), STR("two")));
    assert_int_equal(deliver_as(id, "hanako", "example.jp", STR("again")), -EEXIST);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 2);
    buf_done(&reply);
}

static void mail_for_elsewhere_becomes_queue_rows(void **state)
{
    (void)state;
    add_domain_and_accounts();
    assert_int_equal(deliver_as(id_make(&ids), "someone", "relay.example", STR("x")), 0);
    assert_int_equal(deliver_as(id_make(&ids), "someone", "open.example", STR("x")), -ENOENT);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 1);
    assert_int_equal(
        get_int("SELECT COUNT(*) FROM recipient WHERE"
                " address = 'someone@relay.example' AND destination = 'relay.example'"),
        1);
}

static void a_large_body_becomes_a_segment_of_its_own(void **state)
{
    (void)state;
    struct deliver_recipient to = {.local = STR("taro"), .domain = STR("example.jp")};
    struct deliver_request q = {.message_id = id_make(&ids),
                                .sender = STR("a@b.example"),
                                .recipients = &to,
                                .recipient_count = 1};
    char *piece = xmalloc(100000);

    add_domain_and_accounts();
    memset(piece, 'p', 100000);
    q.spool = (uint64_t)store->next_segment++;
    wire_put_deliver(start_args(), &q);
    struct job *job = job_new(verb_find(STORE_DELIVER), buf_str(&args));
    assert_int_equal(spool_open(store->bodies, (int64_t)q.spool, &job->spool), 0);
    job->has_spool = true;
    for (int i = 0; i < 30; i++)
        assert_int_equal(spool_write(&job->spool, str_from_mem(piece, 100000)), 0);
    assert_int_equal(run_job(job)->status, 0);
    job_free(job);
    assert_int_equal(get_int("SELECT bytes FROM body"), 3000000);
    close_store();
    open_store();
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 1);
    free(piece);
}

/* Leaves the store as a kill would: no closing, no marks. */
static void crash(void)
{
    char command[256];

    (void)snprintf(command, sizeof(command), "rm -rf %s.copy && cp -r %s %s.copy", dir, dir, dir);
    assert_int_equal(system(command), 0);
    close_store();
    (void)snprintf(command, sizeof(command), "rm -rf %s && mv %s.copy %s", dir, dir, dir);
    assert_int_equal(system(command), 0);
}

static void overwrite_segment(int64_t from, size_t bytes)
{
    char path[128];
    char zeros[64] = {0};

    (void)snprintf(path, sizeof(path), "%s/segments/%012d.seg", dir, 1);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_true(bytes <= sizeof(zeros));
    assert_int_equal(pwrite(fd, zeros, bytes, from), (ssize_t)bytes);
    close(fd);
}

static void after_a_crash_whole_messages_stay_and_torn_ones_go(void **state)
{
    (void)state;
    add_domain_and_accounts();
    assert_int_equal(deliver("taro", "first message"), 0);
    assert_int_equal(deliver("taro", "second message"), 0);
    assert_int_equal(deliver("taro", "third message"), 0);
    crash();
    /* The bytes of the third never reached the disk (its record starts behind two of 48 bytes). */
    overwrite_segment(2 * 48 + 32, 13);
    open_store();
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 2);
    assert_int_equal(get_int("SELECT messages FROM mailbox"), 2);
    assert_int_equal(get_int("SELECT unseen FROM mailbox"), 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM expunged"), 1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM body"), 2);
    assert_int_equal(deliver("taro", "fourth message"), 0);
    assert_int_equal(get_int("SELECT MAX(uid) FROM message"), 4);
    close_store();
    open_store();
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 3);
}

static void left_over_files_are_removed_at_start(void **state)
{
    (void)state;
    char path[128];

    add_domain_and_accounts();
    assert_int_equal(deliver("taro", "message"), 0);
    close_store();
    (void)snprintf(path, sizeof(path), "%s/segments/000000000077.tmp", dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    (void)snprintf(path, sizeof(path), "%s/segments/000000000078.seg", dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    open_store();
    assert_int_equal(access(path, F_OK), -1);
    assert_true(store->next_segment > 78);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 1);
}

static int maintain(void)
{
    struct buf reply;
    int steps = 0;

    buf_init(&reply, 1000);
    do {
        assert_int_equal(run_verb(STORE_MAINTAIN, start_args(), &reply), 0);
        buf_put(start_args(), reply.ptr + 1, reply.len - 1);
        assert_int_equal(run_verb(STORE_DROP_FILES, &args, NULL), 0);
        steps++;
    } while (reply.ptr[0] != 0 && steps < 1000);
    buf_done(&reply);
    return steps;
}

static int expunge(unsigned verb, uint64_t uid)
{
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, STR("INBOX"));
    buf_put_u64(&args, uid);
    return run_verb(verb, &args, NULL);
}

static void expunged_messages_come_back_until_their_retention_ends(void **state)
{
    (void)state;
    add_domain_and_accounts();
    assert_int_equal(deliver("taro", "one"), 0);
    assert_int_equal(deliver("taro", "two"), 0);
    assert_int_equal(expunge(STORE_MESSAGE_EXPUNGE, 1), 0);
    assert_int_equal(expunge(STORE_MESSAGE_EXPUNGE, 1), -ENOENT);
    assert_int_equal(get_int("SELECT messages FROM mailbox"), 1);
    assert_int_equal(expunge(STORE_MESSAGE_UNDELETE, 1), 0);
    assert_int_equal(get_int("SELECT MAX(uid) FROM message"), 3);
    assert_int_equal(expunge(STORE_MESSAGE_UNDELETE, 1), -ENOENT);
    assert_int_equal(expunge(STORE_MESSAGE_EXPUNGE, 2), 0);
    settings->store_expunged_retention = -1000;
    maintain();
    assert_int_equal(expunge(STORE_MESSAGE_UNDELETE, 2), -ENOENT);
    assert_int_equal(get_int("SELECT COUNT(*) FROM body"), 1);
}

static void compaction_gives_room_back_and_keeps_the_living(void **state)
{
    (void)state;
    enum { MESSAGES = 300 };
    char *text = xmalloc(20001);
    struct buf reply;

    memset(text, 'x', 20000);
    text[20000] = '\0';
    buf_init(&reply, 1 << 20);
    add_domain_and_accounts();
    for (int i = 0; i < MESSAGES; i++) {
        text[0] = (char)('a' + i % 26);
        assert_int_equal(deliver("taro", text), 0);
    }
    int64_t before = get_int("SELECT SUM(bytes) FROM segment");
    settings->store_expunged_retention = -1000;
    for (uint64_t uid = 1; uid <= MESSAGES; uid++) {
        if (uid % 5 != 0)
            assert_int_equal(expunge(STORE_MESSAGE_EXPUNGE, uid), 0);
    }
    maintain();
    maintain();
    assert_true(get_int("SELECT SUM(bytes) FROM segment") < before / 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), MESSAGES / 5);
    close_store();
    open_store();
    for (uint64_t uid = 5; uid <= MESSAGES; uid += 5) {
        buf_put_lp(start_args(), STR("taro@example.jp"));
        buf_put_lp(&args, STR("INBOX"));
        buf_put_u64(&args, uid - 1);
        assert_int_equal(run_verb(STORE_MESSAGE_LIST, &args, &reply), 0);
        struct cursor c = cursor_from(buf_str(&reply));
        assert_int_equal(cursor_u64(&c), uid);
        buf_put_u64(start_args(), cursor_u64(&c));
        buf_put_u64(&args, 0);
        buf_put_u32(&args, 20000);
        assert_int_equal(run_verb(STORE_MESSAGE_READ, &args, &reply), 0);
        assert_int_equal(reply.len, 20008);
        assert_int_equal(reply.ptr[8], 'a' + (char)((uid - 1) % 26));
    }
    buf_done(&reply);
    free(text);
}

static void a_failed_sync_takes_back_only_what_was_not_acknowledged(void **state)
{
    (void)state;
    add_domain_and_accounts();
    assert_int_equal(deliver("taro", "kept"), 0);
    segment_syncs_to_fail = 1;
    assert_int_equal(deliver("taro", "lost"), -EIO);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 1);
    assert_int_equal(get_int("SELECT messages FROM mailbox"), 1);
    assert_int_equal(deliver("taro", "after"), 0);
    close_store();
    open_store();
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 2);
    assert_int_equal(get_int("SELECT MAX(modseq) FROM expunged"),
                     get_int("SELECT modseq FROM mailbox") - 1);
}

static void a_failed_sync_while_compacting_loses_nothing(void **state)
{
    (void)state;
    enum { MESSAGES = 120 };
    char *text = xmalloc(20001);
    struct buf reply;

    buf_init(&reply, 1000);
    memset(text, 'x', 20000);
    text[20000] = '\0';
    add_domain_and_accounts();
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(deliver("taro", text), 0);
    settings->store_expunged_retention = -1000;
    for (uint64_t uid = 1; uid <= MESSAGES; uid++) {
        if (uid % 3 != 0)
            assert_int_equal(expunge(STORE_MESSAGE_EXPUNGE, uid), 0);
    }
    segment_syncs_to_fail = 1;
    assert_int_equal(run_verb(STORE_MAINTAIN, start_args(), &reply), -EIO);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), MESSAGES / 3);
    maintain();
    close_store();
    open_store();
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), MESSAGES / 3);
    assert_int_equal(get_int("SELECT COUNT(*) FROM body WHERE state <> 0"), 0);
    free(text);
    buf_done(&reply);
}

static void removing_a_domain_leaves_others_alone(void **state)
{
    (void)state;
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "mail_a.example", NULL, NULL), 0);
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "mail-a.example", NULL, NULL), 0);
    assert_int_equal(add_alias("info@mail-a.example", "postmaster@mail-a.example"), 0);
    assert_int_equal(run_texts(STORE_DOMAIN_REMOVE, "mail_a.example", NULL, NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM alias"), 1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM account"), 1);
}

static void many_recipients_of_one_alias_get_one_copy(void **state)
{
    (void)state;
    enum { RECIPIENTS = 50 };
    static struct deliver_recipient to[RECIPIENTS];
    static char locals[RECIPIENTS][16];
    char target[32];
    struct deliver_request q = {.message_id = id_make(&ids),
                                .text = STR("text"),
                                .recipients = to,
                                .recipient_count = RECIPIENTS};

    add_domain_and_accounts();
    for (int i = 0; i < 200; i++) {
        (void)snprintf(target, sizeof(target), "user%d@far.example", i);
        assert_int_equal(add_alias("list@example.jp", target), 0);
    }
    assert_int_equal(add_alias("list@example.jp", "taro@example.jp"), 0);
    for (int i = 0; i < RECIPIENTS; i++) {
        (void)snprintf(locals[i], sizeof(locals[i]), "list+%d", i);
        to[i] =
            (struct deliver_recipient){.local = str_from_c(locals[i]), .domain = STR("example.jp")};
    }
    wire_put_deliver(start_args(), &q);
    assert_int_equal(run_verb(STORE_DELIVER, &args, NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient"), 200);
}

static void bodies_without_rows_are_kept_aside(void **state)
{
    (void)state;
    char *path = xasprintf("%s/mail.db", dir);
    char *orphan = xasprintf("%s/segments/%012d.orphan", dir, 1);

    add_domain_and_accounts();
    assert_int_equal(deliver("taro", "somebody's letter"), 0);
    close_store();
    assert_int_equal(unlink(path), 0);
    open_store();
    assert_int_equal(access(orphan, F_OK), 0);
    settings->store_expunged_retention = -1000;
    close_store();
    open_store();
    assert_int_equal(access(orphan, F_OK), -1);
    free(path);
    free(orphan);
}

static void forgotten_bytes_cannot_be_undeleted(void **state)
{
    (void)state;
    add_domain_and_accounts();
    assert_int_equal(deliver("taro", "first message"), 0);
    assert_int_equal(expunge(STORE_MESSAGE_EXPUNGE, 1), 0);
    crash();
    overwrite_segment(32, 13);
    open_store();
    assert_int_equal(expunge(STORE_MESSAGE_UNDELETE, 1), -ENOENT);
    assert_int_equal(get_int("SELECT messages FROM mailbox"), 0);
}

static void ids_far_from_now_are_refused(void **state)
{
    (void)state;
    add_domain_and_accounts();
    assert_int_equal(deliver_as(0, "taro", "example.jp", STR("x")), -EBADMSG);
    assert_int_equal(
        deliver_as(id_at_ms(clock_real_ms() + 30LL * 86400000), "taro", "example.jp", STR("x")),
        -EBADMSG);
}

static void a_failing_request_does_not_harm_the_others_of_its_group(void **state)
{
    (void)state;
    enum { JOBS = 40 };
    struct list done;
    int good = 0, bad = 0;

    add_domain_and_accounts();
    for (int i = 0; i < JOBS; i++) {
        struct deliver_recipient to = {.local = i % 2 ? STR("taro") : STR("nobody"),
                                       .domain = STR("example.jp")};
        struct deliver_request q = {.message_id = id_make(&ids),
                                    .text = STR("text"),
                                    .recipients = &to,
                                    .recipient_count = 1};
        wire_put_deliver(start_args(), &q);
        assert_int_equal(
            executor_submit(store->executor, job_new(verb_find(STORE_DELIVER), buf_str(&args))), 0);
    }
    while (good + bad < JOBS) {
        struct pollfd p = {.fd = executor_event_fd(store->executor), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 10000), 1);
        list_init(&done);
        executor_take_done(store->executor, &done);
        struct list *link;
        while ((link = list_pop(&done)) != NULL) {
            struct job *job = CONTAINER_OF(link, struct job, link);
            if (job->status == 0)
                good++;
            else
                bad++;
            job_free(job);
        }
    }
    assert_int_equal(good, JOBS / 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), JOBS / 2);
    assert_int_equal(get_int("SELECT messages FROM mailbox"), JOBS / 2);
}

static int64_t count_found(struct trace_db *trace, const char *address)
{
    struct trace_query query = {.address = str_from_c(address), .max_rows = 100};
    struct trace_event e;
    struct buf found;
    int64_t count = 0;

    buf_init(&found, 1 << 20);
    assert_int_equal(trace_db_find(trace, &query, &found), 0);
    struct cursor c = cursor_from(buf_str(&found));
    while (trace_next_event(&c, &e) > 0)
        count++;
    buf_done(&found);
    return count;
}

static int64_t count_index(const char *path)
{
    struct db *db;
    int64_t value = -1;

    assert_int_equal(db_open(path, DB_READER, false, &db), 0);
    assert_int_equal(db_get_int(db, &value, "SELECT COUNT(*) FROM trace_address"), 1);
    db_close(db);
    return value;
}

static void a_refusal_is_found_by_its_sender_and_login_until_it_is_old(void **state)
{
    char path[128];
    struct trace_db *trace;
    struct buf text, event;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/parties.db", dir);
    buf_init(&text, 1000);
    buf_init(&event, 1000);
    assert_int_equal(trace_db_open(path, &trace, &text), 0);
    trace_put_event(&event, &(struct trace_event){.ref = id_make(&ids),
                                                  .time_ms = clock_real_ms(),
                                                  .event = STR("refused"),
                                                  .address = STR("jiro@example.net")});
    trace_put_detail(&event, 0, "sender", STR("Boss@Example.JP"));
    trace_put_detail(&event, 0, "login", STR("taro@example.jp"));
    trace_put_detail(&event, 0, "helo", STR("nobody@example.jp"));
    trace_db_record(trace, buf_str(&event));
    assert_int_equal(count_found(trace, "jiro@example.net"), 1);
    assert_int_equal(count_found(trace, "Boss@example.jp"), 1);
    assert_int_equal(count_found(trace, "taro@example.jp"), 1);
    assert_int_equal(count_found(trace, "nobody@example.jp"), 0);
    assert_int_equal(count_index(path), 3);
    trace_db_expire(trace, clock_real_ms() + 3600000);
    for (int64_t until_ms = clock_mono_ms() + 10000; count_index(path) > 0;)
        assert_true(clock_mono_ms() < until_ms);
    trace_db_close(trace);
    buf_done(&event);
    buf_done(&text);
}

static void the_trace_tells_what_became_of_a_message(void **state)
{
    (void)state;
    struct buf reply;
    struct trace_event e;
    uint64_t id = id_make(&ids);

    buf_init(&reply, 1 << 20);
    add_domain_and_accounts();
    assert_int_equal(deliver_as(id, "taro", "example.jp", STR("hello")), 0);
    buf_put_u64(start_args(), id);
    buf_put_lp(&args, STR(""));
    buf_put_u64(&args, 0);
    buf_put_u32(&args, 100);
    assert_int_equal(run_verb(STORE_TRACE_QUERY, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(trace_next_event(&c, &e), 1);
    assert_true(str_eq(e.event, STR("accepted")));
    assert_true(str_eq(e.address, STR("sender@elsewhere.example")));
    assert_int_equal(trace_next_event(&c, &e), 1);
    assert_true(str_eq(e.event, STR("delivered")));
    assert_true(str_eq(e.address, STR("taro@example.jp")));
    assert_int_equal(trace_next_event(&c, &e), 0);
    buf_put_u64(start_args(), 0);
    buf_put_lp(&args, STR("TARO@EXAMPLE.JP"));
    buf_put_u64(&args, 0);
    buf_put_u32(&args, 100);
    assert_int_equal(run_verb(STORE_TRACE_QUERY, &args, &reply), 0);
    buf_done(&reply);
}

static void a_newer_schema_is_refused_untouched(void **state)
{
    (void)state;
    struct buf text;
    struct db *db;

    close_store();
    char *path = xasprintf("%s/mail.db", dir);
    assert_int_equal(db_open(path, DB_WRITER, true, &db), 0);
    assert_int_equal(db_script(db, "UPDATE schema_version SET version = 99"), 0);
    db_close(db);
    buf_init(&text, 1000);
    assert_int_equal(store_open(settings, &store, &text), -EPROTO);
    assert_non_null(strstr(buf_c_str(&text), "version 99"));
    assert_int_equal(db_open(path, DB_WRITER, true, &db), 0);
    assert_true(
        db_run(db, "UPDATE schema_version SET version = ?1", DB_INT(schema_main.step_count)) == 1);
    db_close(db);
    open_store();
    buf_done(&text);
    free(path);
}

/* What the first release queued, before anything could be sent, is sent by the next one. */
static void a_queue_of_version_1_is_taken_over(void **state)
{
    (void)state;
    struct schema first = schema_main;
    struct db *db;
    struct buf text;

    first.step_count = 1;
    close_store();
    char *path = xasprintf("%s/mail.db", dir);
    assert_int_equal(unlink(path), 0);
    buf_init(&text, 1000);
    assert_int_equal(db_open(path, DB_WRITER, true, &db), 0);
    assert_int_equal(schema_migrate(db, &first, path, &text), 0);
    assert_int_equal(
        db_script(db, "INSERT INTO queue VALUES(5, 5, 'a@b.example', '', 0, 0, 1000);"
                      "INSERT INTO body VALUES(5, 1, 0, 4, 0, 0, 1, 1, x'');"
                      "INSERT INTO recipient VALUES(5, 0, 'c@d.example', 'd.example', '', 0, 0, 0,"
                      " 1000, 0, 0, '')"),
        0);
    db_close(db);
    open_store();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE destination = 'd.example' AND"
                             " state = 1 AND due = 1000"),
                     1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM destination WHERE name = 'd.example'"), 1);
    assert_int_equal(get_int("SELECT expires - created FROM queue"), 432000000);
    buf_done(&text);
    free(path);
}

static void old_schemas_migrate_forward_after_a_snapshot(void **state)
{
    (void)state;
    static const char *const steps[] = {"CREATE TABLE one(a INTEGER)",
                                        "CREATE TABLE two(b INTEGER)", "broken SQL"};
    struct schema first = {"test", steps, 1}, second = {"test", steps, 2},
                  broken = {"test", steps, 3};
    struct buf text;
    struct db *db;
    int64_t version;

    char *path = xasprintf("%s/test.db", dir);
    char *snapshot = xasprintf("%s.before-version-2", path);
    buf_init(&text, 1000);
    assert_int_equal(db_open(path, DB_WRITER, true, &db), 0);
    assert_int_equal(schema_migrate(db, &first, path, &text), 0);
    assert_int_equal(access(snapshot, F_OK), -1);
    assert_int_equal(schema_migrate(db, &second, path, &text), 0);
    assert_int_equal(access(snapshot, F_OK), 0);
    assert_true(schema_migrate(db, &broken, path, &text) < 0);
    assert_int_equal(db_get_int(db, &version, "SELECT version FROM schema_version"), 1);
    assert_int_equal(version, 2);
    db_close(db);
    buf_done(&text);
    free(path);
    free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(recipients_lead_where_the_directory_says, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(wrong_directory_requests_say_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_is_stored_once_and_listed_and_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(mail_for_elsewhere_becomes_queue_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_body_becomes_a_segment_of_its_own, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(after_a_crash_whole_messages_stay_and_torn_ones_go, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(left_over_files_are_removed_at_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(expunged_messages_come_back_until_their_retention_ends,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(compaction_gives_room_back_and_keeps_the_living, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failing_request_does_not_harm_the_others_of_its_group,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_sync_takes_back_only_what_was_not_acknowledged,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_sync_while_compacting_loses_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(removing_a_domain_leaves_others_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_recipients_of_one_alias_get_one_copy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bodies_without_rows_are_kept_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgotten_bytes_cannot_be_undeleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ids_far_from_now_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_is_found_by_its_sender_and_login_until_it_is_old,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_trace_tells_what_became_of_a_message, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused_untouched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_queue_of_version_1_is_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_schemas_migrate_forward_after_a_snapshot, set_up,
                                        tear_down),
    };
    int failed = cmocka_run_group_tests_name("store", tests, NULL, NULL);

    buf_done(&args);
    return failed;
}
