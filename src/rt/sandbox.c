/* Giving up privileges for good: see sandbox.h. */
#include "rt/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* What every process needs: memory, waiting, its open sockets, clocks, ending. */
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
    "sendmsg",
    "recvfrom",
    "sendto",
    "shutdown",
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
    "tgkill",
    "kill",
    "fcntl",
    "restart_syscall",
    "newfstatat",
    "fstat",
    "fstatat64",
    "lseek",
    "poll",
    "ppoll",
    "sched_yield",
    "sched_getaffinity",
    "prlimit64",
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
    "ioctl",
    NULL,
};

static const char *const thread_syscalls[] = {
    "clone", "clone3", "set_robust_list", "rseq", "prctl", "sched_setaffinity", "membarrier", NULL,
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

int sandbox_drop_user(const char *user)
{
    if (geteuid() != 0)
        return 0;
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL)
        return errno != 0 ? -errno : -ENOENT;
    uid_t uid = pw->pw_uid;
    gid_t gid = pw->pw_gid;
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    /* A process that can still become root has dropped nothing. */
    ASSERT(uid == 0 || setuid(0) < 0);
    return 0;
}

void sandbox_keep_supervisor(void)
{
    static const int kept[] = {CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN,
                               CAP_DAC_READ_SEARCH};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};

    if (geteuid() != 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        sets[0].permitted |= 1U << kept[i];
    sets[0].effective = sets[0].inheritable = sets[0].permitted;
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

static int enter_seccomp(const struct sandbox_profile *profile)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

    if (filter == NULL)
        return -ENOMEM;
    int r = allow(filter, common_syscalls);
    if (r >= 0 && profile->syscalls != NULL)
        r = allow(filter, profile->syscalls);
    if (r >= 0 && profile->has_threads)
        r = allow(filter, thread_syscalls);
#ifdef HIKYAKU_SANITIZED
    if (r >= 0)
        r = allow(filter, sanitizer_syscalls);
#endif
    /* glibc probes these and copes with an error. */
    if (r >= 0)
        (void)seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(statx), 0);
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

static int add_path(int ruleset, const struct sandbox_path *rule, unsigned long long extra)
{
    CLEANUP(cleanup_close) int fd = open(rule->path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr attr = {
        .allowed_access = read_access | (rule->may_write ? write_access | extra : 0),
        .parent_fd = fd,
    };

    if (fd < 0)
        return -errno;
    long r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
    return r < 0 ? -errno : 0;
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
    struct landlock_ruleset_attr attr = {.handled_access_fs =
                                             read_access | write_access | other_access | extra};
    CLEANUP(cleanup_close)
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return -errno;
    for (const struct sandbox_path *p = profile->paths; p != NULL && p->path != NULL; p++) {
        int r = add_path(ruleset, p, extra);
        if (r < 0)
            return r;
    }
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int sandbox_enter(const struct sandbox_profile *profile)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
#ifndef HIKYAKU_SANITIZED
    /* Core files would hold letters. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int r = enter_landlock(profile);
    if (r < 0)
        LOG(LOG_WARNING, "sandbox.no-landlock", LOG_C("profile", profile->name), LOG_ERR(r),
            LOG_C("hint", "files are protected by user and seccomp only; use Linux 5.13 or later"));
#else
    /* The sanitizers write their reports to files. */
    int r = 0;
    (void)enter_landlock;
#endif
    r = enter_seccomp(profile);
    return r < 0 ? r : 0;
}
