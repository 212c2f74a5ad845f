/* Giving up privileges for good: see sandbox.h. */
#include "rt/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* What the headers of the build machine may not know yet (include/uapi/linux/landlock.h). */
struct landlock_attr {
    uint64_t handled_fs;
    uint64_t handled_net; /* since version 4 */
    uint64_t scoped;      /* since version 6 */
};

struct landlock_port_rule {
    uint64_t allowed;
    uint64_t port; /* 0: one that the system chooses */
};

enum {
    LANDLOCK_NET_VERSION = 4,
    LANDLOCK_PORT_RULE = 2,
    LANDLOCK_NET_BIND_TCP = 1,
    LANDLOCK_NET_CONNECT_TCP = 2,
    LANDLOCK_SCOPE_VERSION = 6,
    LANDLOCK_ABSTRACT_UNIX_SOCKET = 1,
    LANDLOCK_SIGNALS = 2,
};

/* What every process needs: memory, waiting, its open sockets, clocks, ending. Some more only with
 * certain arguments: see common_judged. */
static const char *const common_syscalls[] = {
    "read",
    "write",
    "readv",
    "writev",
    "close",
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "madvise",
    "mremap",
    "epoll_wait",
    "epoll_pwait",
    "epoll_ctl",
    "epoll_create1",
    "recvmsg",
    "recvfrom",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "clock_gettime",
    "clock_nanosleep",
    "gettimeofday",
    "time",
    "futex",
    "getrandom",
    "getpid",
    "gettid",
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "sigaltstack",
    "exit",
    "exit_group",
    "restart_syscall",
    "newfstatat",
    "fstat",
    "fstatat64",
    "lseek",
    "poll",
    "ppoll",
    "sched_yield",
    "sched_getaffinity",
    "getrlimit",
    "set_robust_list",
    "rseq",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "uname",
    "sysinfo",
    "eventfd2",
    "nanosleep",
    NULL,
};

static const char *const thread_syscalls[] = {
    "clone", "clone3", "set_robust_list", "rseq", "sched_setaffinity", "membarrier", NULL,
};

static const char *const connect_syscalls[] = {"connect", "bind", NULL};
/* One UDP socket asks many servers; a resolver also asks by fast open, which it may as well. */
static const char *const dns_syscalls[] = {"sendto", "sendmsg", "sendmmsg", NULL};

/* A call that is allowed if its arguments, each taken with a mask, have these values. Numbers and
 * flags are 32 bits wide: the kernel does not look at the rest, so neither does the filter. */
struct judged_syscall {
    int number;
    struct scmp_arg_cmp args[3];
    unsigned arg_count;
};

#define LOW_BITS 0xffffffffU
#define ARG_IS(n, value)                                                                           \
    {                                                                                              \
        .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = LOW_BITS, .datum_b = (value)              \
    }
#define ARG_LACKS(n, flag)                                                                         \
    {                                                                                              \
        .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (flag), .datum_b = 0                      \
    }
#define ARG_IS_NULL(n)                                                                             \
    {                                                                                              \
        .arg = (n), .op = SCMP_CMP_EQ, .datum_a = 0                                                \
    }
#define SOCKET(family, type, protocol)                                                             \
    {                                                                                              \
        SCMP_SYS(socket), {ARG_IS(0, family), TYPE_IS(1, type), ARG_IS(2, protocol)}, 3            \
    }
#define TYPE_IS(n, value)                                                                          \
    {                                                                                              \
        .arg = (n), .op = SCMP_CMP_MASKED_EQ,                                                      \
        .datum_a = LOW_BITS & ~(scmp_datum_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), .datum_b = (value)    \
    }
#define JUDGED(name, ...)                                                                          \
    {                                                                                              \
        SCMP_SYS(name), {__VA_ARGS__}, 1                                                           \
    }

static const struct judged_syscall common_judged[] = {
    /* MSG_FASTOPEN would connect; an address would send elsewhere. */
    {SCMP_SYS(sendto), {ARG_LACKS(3, MSG_FASTOPEN), ARG_IS_NULL(4)}, 2},
    JUDGED(sendmsg, ARG_LACKS(2, MSG_FASTOPEN)),
    /* Reading stays: a listener that stops reading is dead for all who share it. */
    JUDGED(shutdown, ARG_IS(1, SHUT_WR)),
    JUDGED(prlimit64, ARG_IS(0, 0)),
    JUDGED(ioctl, ARG_IS(1, FIONREAD)),
    JUDGED(ioctl, ARG_IS(1, TCGETS)), /* isatty(3) */
    JUDGED(ioctl, ARG_IS(1, TIOCGWINSZ)),
    JUDGED(fcntl, ARG_IS(1, F_GETFL)),
    JUDGED(fcntl, ARG_IS(1, F_SETFL)),
    JUDGED(fcntl, ARG_IS(1, F_GETFD)),
    JUDGED(fcntl, ARG_IS(1, F_SETFD)),
    JUDGED(fcntl, ARG_IS(1, F_DUPFD_CLOEXEC)),
};

/* Record locks for the database; shutdown as well, because its sockets are nobody else's. */
static const struct judged_syscall file_judged[] = {
    JUDGED(fcntl, ARG_IS(1, F_GETLK)),      JUDGED(fcntl, ARG_IS(1, F_SETLK)),
    JUDGED(fcntl, ARG_IS(1, F_SETLKW)),     JUDGED(fcntl, ARG_IS(1, F_OFD_GETLK)),
    JUDGED(fcntl, ARG_IS(1, F_OFD_SETLK)),  JUDGED(fcntl, ARG_IS(1, F_OFD_SETLKW)),
    JUDGED(shutdown, ARG_IS(1, SHUT_RDWR)),
};

static const struct judged_syscall connect_judged[] = {
    SOCKET(AF_INET, SOCK_STREAM, 0),
    SOCKET(AF_INET6, SOCK_STREAM, 0),
    SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
    SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
};

static const struct judged_syscall unix_judged[] = {
    SOCKET(AF_UNIX, SOCK_STREAM, 0),
};

static const struct judged_syscall dns_judged[] = {
    SOCKET(AF_INET, SOCK_DGRAM, 0),
    SOCKET(AF_INET6, SOCK_DGRAM, 0),
    SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
    SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
};

/* What no module for PAM, and no program that it runs, has to do with. Servers neither. */
static const char *const denied_to_modules[] = {
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "listen",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_writev",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
#ifndef HIKYAKU_SANITIZED /* whose leak checker inspects its own process */
    "process_vm_readv",
    "ptrace",
#endif
    NULL,
};

#ifdef HIKYAKU_SANITIZED
/* The sanitizers' run time opens its report files and inspects the process when it ends. */
static const char *const sanitizer_syscalls[] = {
    "open",
    "openat",
    "readlink",
    "readlinkat",
    "ptrace",
    "wait4",
    "clone",
    "prctl",
    "dup",
    "dup2",
    "pipe",
    "pipe2",
    "unlink",
    "rename",
    "stat",
    "lstat",
    "getdents64",
    "set_tid_address",
    "process_vm_readv",
    "getppid",
    "mkdir",
    "personality",
    "arch_prctl",
    NULL,
};
#endif

int sandbox_drop_user(const char *user, bool has_its_groups)
{
    if (geteuid() != 0)
        return 0;
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL)
        return errno != 0 ? -errno : -ENOENT;
    uid_t uid = pw->pw_uid;
    gid_t gid = pw->pw_gid;
    int r = has_its_groups ? initgroups(user, gid) : setgroups(0, NULL);
    if (r < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    /* A process that can still become root has dropped nothing. */
    ASSERT(uid == 0 || setuid(0) < 0);
    return 0;
}

/* Also of one who never was root: a service manager may have given him some. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};

    (void)setgroups(0, NULL); /* needs a capability; who has none keeps his groups */
    /* Before Linux 4.3 there are no ambient ones. */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

void sandbox_keep_supervisor(void)
{
    static const int kept[] = {CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN,
                               CAP_DAC_READ_SEARCH};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};

#ifndef HIKYAKU_SANITIZED
    /* Core files would hold keys. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    if (geteuid() != 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        sets[0].permitted |= 1U << kept[i];
    sets[0].effective = sets[0].permitted;
    /* The bounding set is what root gets back at an exec. */
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
        if (cap >= 32 || (sets[0].permitted & 1U << cap) == 0)
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
    if (syscall(SYS_capset, &header, sets) < 0)
        LOG(LOG_WARNING, "sandbox.capabilities-kept", LOG_ERR(-errno));
}

static int allow(scmp_filter_ctx filter, const char *const *names)
{
    for (; *names != NULL; names++) {
        int number = seccomp_syscall_resolve_name(*names);
        /* Names of other architectures do not exist here. */
        if (number == __NR_SCMP_ERROR || number < 0)
            continue;
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return 0;
}

static int allow_judged(scmp_filter_ctx filter, const struct judged_syscall *calls, size_t count)
{
    int r = 0;

    for (size_t i = 0; (r >= 0 || r == -EEXIST) && i < count; i++)
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].number, calls[i].arg_count,
                                   calls[i].args);
    return r == -EEXIST ? 0 : r;
}

static bool uses_network(const struct sandbox_profile *profile)
{
    return profile->may_connect || profile->may_ask_dns;
}

static int allow_network(scmp_filter_ctx filter, const struct sandbox_profile *profile)
{
    if (!uses_network(profile))
        return 0;
    int r = allow(filter, connect_syscalls);
    if (r >= 0)
        r = allow_judged(filter, connect_judged, ARRAY_LEN(connect_judged));
    if (r >= 0 && profile->may_use_unix)
        r = allow_judged(filter, unix_judged, ARRAY_LEN(unix_judged));
    if (r < 0 || !profile->may_ask_dns)
        return r;
    r = allow(filter, dns_syscalls);
    return r < 0 ? r : allow_judged(filter, dns_judged, ARRAY_LEN(dns_judged));
}

/* Only to itself: abort(3) and raise(3). */
static int allow_own_signals(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp own = ARG_IS(0, (scmp_datum_t)getpid());

    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own);
}

/* Calls that libraries try and do without when they get an error. */
static int soften(scmp_filter_ctx filter, const struct sandbox_profile *profile)
{
    int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(statx), 0);

#ifndef HIKYAKU_SANITIZED
    /* When a thread frees much, glibc looks into /proc/sys/vm/overcommit_memory. */
    bool is_tried = profile->tries_files || (profile->has_threads && profile->paths == NULL);
    if (r >= 0 && is_tried)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
    /* Threads have names; what else prctl can do, and glibc's naming of memory, is denied. */
    struct scmp_arg_cmp name = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = PR_SET_NAME};
    struct scmp_arg_cmp other = {.arg = 0, .op = SCMP_CMP_NE, .datum_a = PR_SET_NAME};
    if (r >= 0)
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, &name);
    if (r >= 0 && !profile->fails_softly) /* where everything fails like that */
        r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1, &other);
#else
    (void)profile;
#endif
    return r;
}

static int fill_filter(scmp_filter_ctx filter, const struct sandbox_profile *profile)
{
    int r = allow(filter, common_syscalls);

    if (r >= 0 && profile->syscalls != NULL)
        r = allow(filter, profile->syscalls);
    if (r >= 0 && profile->has_threads)
        r = allow(filter, thread_syscalls);
    if (r >= 0)
        r = allow_network(filter, profile);
    if (r >= 0)
        r = allow_judged(filter, common_judged, ARRAY_LEN(common_judged));
    if (r >= 0 && (profile->has_threads || profile->paths != NULL))
        r = allow_judged(filter, file_judged, ARRAY_LEN(file_judged));
    if (r >= 0)
        r = allow_own_signals(filter);
#ifdef HIKYAKU_SANITIZED
    if (r >= 0)
        r = allow(filter, sanitizer_syscalls);
#endif
    return r < 0 ? r : soften(filter, profile);
}

/* TIOCSTI types into the terminal; TIOCLINUX, too. */
static int deny_to_modules(scmp_filter_ctx filter)
{
    static const struct judged_syscall typing[] = {JUDGED(ioctl, ARG_IS(1, TIOCSTI)),
                                                   JUDGED(ioctl, ARG_IS(1, TIOCLINUX))};
    int r = 0;

    for (const char *const *name = denied_to_modules; r >= 0 && *name != NULL; name++) {
        int number = seccomp_syscall_resolve_name(*name);
        if (number != __NR_SCMP_ERROR && number >= 0)
            r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(typing); i++)
        r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), typing[i].number,
                                   typing[i].arg_count, typing[i].args);
    return r;
}

static uint32_t default_action(const struct sandbox_profile *profile)
{
    if (profile->runs_modules)
        return SCMP_ACT_ALLOW;
    return profile->fails_softly ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
}

static int enter_seccomp(const struct sandbox_profile *profile)
{
    scmp_filter_ctx filter = seccomp_init(default_action(profile));

    if (filter == NULL)
        return -ENOMEM;
    int r = profile->runs_modules ? deny_to_modules(filter) : fill_filter(filter, profile);
    if (r >= 0)
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r >= 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}

static const unsigned long long write_access =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK;
static const unsigned long long read_access =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const unsigned long long other_access =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO |
    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

/* What a rule for something that is no folder may speak of: more is an error. */
static const unsigned long long file_access =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_TRUNCATE;

static bool is_folder(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_path(int ruleset, const struct sandbox_path *rule, unsigned long long extra)
{
    CLEANUP(cleanup_close) int fd = open(rule->path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr attr = {
        .allowed_access = read_access | (rule->may_write ? write_access | extra : 0) |
                          (rule->may_execute ? LANDLOCK_ACCESS_FS_EXECUTE : 0),
        .parent_fd = fd,
    };

    if (fd < 0)
        return -errno;
    if (!is_folder(fd))
        attr.allowed_access &= file_access;
    long r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
    return r < 0 ? -errno : 0;
}

/* A source address is chosen by binding to it; the port stays the system's choice. */
static int allow_binding_without_port(int ruleset)
{
    struct landlock_port_rule rule = {.allowed = LANDLOCK_NET_BIND_TCP};

    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_PORT_RULE, &rule, 0) < 0 ? -errno : 0;
}

/* What is denied where the kernel knows it. The sanitizers write their reports to files. */
static struct landlock_attr landlock_denials(long abi, unsigned long long extra,
                                             const struct sandbox_profile *profile)
{
    struct landlock_attr attr = {.handled_fs = read_access | write_access | other_access | extra};

#ifdef HIKYAKU_SANITIZED
    attr.handled_fs = 0;
#endif
    if (abi >= LANDLOCK_NET_VERSION)
        attr.handled_net =
            LANDLOCK_NET_BIND_TCP | (uses_network(profile) ? 0 : LANDLOCK_NET_CONNECT_TCP);
    if (abi >= LANDLOCK_SCOPE_VERSION)
        attr.scoped = LANDLOCK_ABSTRACT_UNIX_SOCKET | LANDLOCK_SIGNALS;
    return attr;
}

static int enter_landlock(const struct sandbox_profile *profile)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 0)
        return -errno;
    unsigned long long extra = 0;
    if (abi >= 2)
        extra |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        extra |= LANDLOCK_ACCESS_FS_TRUNCATE;
    struct landlock_attr attr = landlock_denials(abi, extra, profile);
    if ((attr.handled_fs | attr.handled_net | attr.scoped) == 0)
        return 0;
    CLEANUP(cleanup_close)
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return -errno;
    const struct sandbox_path *paths = attr.handled_fs != 0 ? profile->paths : NULL;
    for (const struct sandbox_path *p = paths; p != NULL && p->path != NULL; p++) {
        int r = add_path(ruleset, p, extra);
        if (r < 0)
            return r;
    }
    if (attr.handled_net != 0 && uses_network(profile)) {
        int r = allow_binding_without_port(ruleset);
        if (r < 0)
            return r;
    }
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int sandbox_enter(const struct sandbox_profile *profile)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    int r = drop_capabilities();
    if (r < 0)
        return r;
#ifndef HIKYAKU_SANITIZED
    /* Core files would hold letters. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    r = enter_landlock(profile);
    if (r < 0)
        LOG(LOG_WARNING, "sandbox.no-landlock", LOG_C("profile", profile->name), LOG_ERR(r),
            LOG_C("hint", "files are protected by user and seccomp only; use Linux 5.13 or later"));
    r = enter_seccomp(profile);
    return r < 0 ? r : 0;
}
