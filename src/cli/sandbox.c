/* SPDX-License-Identifier: MIT */
#include "cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

char *fc_sandbox_folder(const char *path)
{
    char *real = realpath(path, NULL), *slash;

    if (!real && errno == ENOENT)
        real = strdup(path);
    if (!real)
        return NULL;
    slash = strrchr(real, '/');
    if (!slash) {
        free(real);
        return strdup(".");
    }
    slash[slash == real] = '\0'; /* the root folder keeps its slash */
    return real;
}

#if defined FC_SANITIZED

unsigned fc_sandbox_enter(const char *const *folders, unsigned count, unsigned needs)
{
    (void)folders;
    (void)count;
    (void)needs;
    return 0;
}

void fc_sandbox_enter_deleting(const char *index, const char *output, const char *const *folders, unsigned count,
                               bool names)
{
    (void)index;
    (void)output;
    (void)names;
    fc_sandbox_enter(folders, count, 0);
}

unsigned fc_sandbox_enter_server(const char *index, unsigned needs)
{
    (void)needs;
    (void)index;
    return 0;
}

#else

/* ---- Files: landlock(7). The numbers are those of linux/landlock.h, which is older than the kernel in places. ---- */

enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 }; /* on all machines */
enum { WANT_VERSION = 1, PATH_BENEATH = 1 };
enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_CHAR = 1 << 6,
    MAKE_DIR = 1 << 7,
    MAKE_REG = 1 << 8,
    MAKE_SOCK = 1 << 9,
    MAKE_FIFO = 1 << 10,
    MAKE_BLOCK = 1 << 11,
    MAKE_SYM = 1 << 12,
    REFER = 1 << 13,     /* from version 2 */
    TRUNCATE = 1 << 14,  /* 3 */
    IOCTL_DEV = 1 << 15, /* 5 */
    WRITING = WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE
};
enum { TCP_BIND = 1 << 0, TCP_CONNECT = 1 << 1, SCOPE_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 };

struct ruleset {
    uint64_t files, net, scoped;
};
struct path_rule {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

/* What is forbidden unless a rule allows it. Returns the bytes of the structure that this kernel knows. */
static size_t fill(struct ruleset *r, long version, bool names)
{
    r->files = EXECUTE | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_CHAR | MAKE_DIR | MAKE_REG | MAKE_SOCK |
               MAKE_FIFO | MAKE_BLOCK | MAKE_SYM;
    r->files |= (version >= 2 ? REFER : 0) | (version >= 3 ? TRUNCATE : 0) | (version >= 5 ? IOCTL_DEV : 0);
    r->net = names ? 0 : TCP_BIND | TCP_CONNECT;
    r->scoped = names ? SCOPE_SIGNAL : SCOPE_SOCKET | SCOPE_SIGNAL;
    return version >= 6 ? sizeof *r : version >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

/* Folders in which files may be made, changed and removed; and those in which they may be removed. */
struct places {
    const char *const *folders;
    unsigned count;
    const char *const *deleted;
    unsigned deleted_count;
};

/* False: the folder is there, but cannot be allowed. */
static bool allow_in(long rules, const struct ruleset *r, const char *folder, uint64_t what)
{
    struct path_rule rule = {.allowed = what & r->files, .parent = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    bool done =
        rule.parent < 0 ? errno == ENOENT || errno == ENOTDIR : syscall(ADD_RULE, rules, PATH_BENEATH, &rule, 0) == 0;

    if (rule.parent >= 0)
        close(rule.parent);
    return done;
}

/* Where SQLite puts temporary files: as it looks for it. */
static const char *temporary_folder(void)
{
    const char *const folders[] = {getenv("SQLITE_TMPDIR"), getenv("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp"};
    struct stat st;

    for (unsigned i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (folders[i] && stat(folders[i], &st) == 0 && S_ISDIR(st.st_mode) && access(folders[i], W_OK | X_OK) == 0)
            return folders[i];
    return ".";
}

static bool confine_files(const struct places *places, bool names)
{
    long version = syscall(CREATE_RULESET, NULL, 0, WANT_VERSION);
    struct ruleset r;

    if (version < 1)
        return false;
    size_t size = fill(&r, version, names);
    long rules = syscall(CREATE_RULESET, &r, size, 0);
    if (rules < 0)
        return false;
    bool done = allow_in(rules, &r, temporary_folder(), WRITING);
    for (unsigned i = 0; i < places->count; i++)
        done = done && (!places->folders[i] || allow_in(rules, &r, places->folders[i], WRITING));
    for (unsigned i = 0; i < places->deleted_count; i++)
        done = done && allow_in(rules, &r, places->deleted[i], REMOVE_FILE);
    done = done && syscall(RESTRICT_SELF, rules, 0) == 0;
    close((int)rules);
    return done;
}

/* ---- Calls: seccomp(2). ---- */

#if defined __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#elif defined __powerpc64__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE AUDIT_ARCH_PPC64LE
#elif defined __s390x__
#define MACHINE AUDIT_ARCH_S390X
#endif

#if defined MACHINE

/* Calls that the C library and ours make once everything is loaded. Those with arguments to look at stand below. */
static const uint16_t calls[] = {
    /* files that are open */
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_lseek,
    SYS_close,
    SYS_dup,
    SYS_fcntl,
    SYS_flock,
    SYS_fstat,
    SYS_fsync,
    SYS_fdatasync,
    SYS_syncfs,
    SYS_ftruncate,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_readahead,
    SYS_fchmod,
    SYS_fchown,
    SYS_getdents64,
    SYS_fstatfs,
    SYS_copy_file_range,
    /* files by name: which, is landlock's to say */
    SYS_openat,
    SYS_statfs,
    SYS_statx,
    SYS_faccessat,
    SYS_readlinkat,
    SYS_unlinkat,
    SYS_linkat,
    SYS_renameat2,
    SYS_getcwd,
    SYS_umask,
#if defined SYS_faccessat2
    SYS_faccessat2,
#endif
#if defined SYS_newfstatat
    SYS_newfstatat,
#endif
#if defined SYS_renameat
    SYS_renameat,
#endif
#if defined SYS_open
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_unlink,
    SYS_link,
    SYS_rename,
#endif
    /* memory */
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_mincore,
    SYS_msync,
    SYS_membarrier,
    /* threads and signals */
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getcpu,
    SYS_gettid,
    SYS_getpid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
#if defined SYS_set_tid_address
    SYS_set_tid_address,
#endif
    /* time, and what there is of the machine */
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_ppoll,
    SYS_getrandom,
    SYS_sysinfo,
    SYS_uname,
    SYS_prlimit64,
    SYS_getrusage,
    SYS_getrlimit,
#if defined SYS_poll
    SYS_poll,
#endif
    /* how many packets an interface has dropped */
    SYS_getsockopt,
};

/* To look up a host: files of the C library, and the network. Threads that do so for libcurl wake it by a pair of
 * sockets, or what is newer. */
static const uint16_t name_calls[] = {SYS_socket,      SYS_connect,  SYS_bind,       SYS_sendto,     SYS_recvfrom,
                                      SYS_sendmsg,     SYS_sendmmsg, SYS_recvmsg,    SYS_setsockopt, SYS_getsockname,
                                      SYS_getpeername, SYS_shutdown, SYS_socketpair, SYS_eventfd2,   SYS_pipe2};

/* To read captures by their URLs: what libcurl wakes itself by, beside the calls for names. */
static const uint16_t archive_calls[] = {SYS_socketpair, SYS_pipe2, SYS_eventfd2};

/* To talk to those who connect. There is no socket() among them: what is listened at is open. */
static const uint16_t server_calls[] = {
    SYS_accept4,    SYS_recvfrom, SYS_recvmsg,     SYS_sendto,      SYS_sendmsg,
    SYS_setsockopt, SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_sendfile,
    SYS_pipe2,      SYS_eventfd2, SYS_epoll_ctl,   SYS_epoll_pwait, SYS_epoll_create1,
#if defined SYS_epoll_wait
    SYS_epoll_wait,
#endif
};

/*
 * To open an interface again: by sockets of packets, and a local one, which libpcap asks for what the driver can do and
 * which can be connected to nothing.
 */
_Static_assert((AF_PACKET & AF_UNIX) == AF_UNIX && !((AF_PACKET ^ AF_UNIX) & ((AF_PACKET ^ AF_UNIX) - 1)),
               "one bit tells them apart");
static const uint16_t packet_calls[] = {SYS_setsockopt, SYS_bind, SYS_getsockname, SYS_recvfrom, SYS_eventfd2};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

enum {
    PROGRAM_MAX =
        66 + 2 * (COUNT(calls) + COUNT(name_calls) + COUNT(packet_calls) + COUNT(server_calls) + COUNT(archive_calls))
};

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short len;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    p->code[p->len++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *p, size_t off)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)off, 0, 0);
}

static void answer(struct program *p, uint32_t what)
{
    add(p, BPF_RET | BPF_K, what, 0, 0);
}

static void allow(struct program *p, const uint16_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add(p, BPF_JMP | BPF_JEQ | BPF_K, list[i], 0, 1);
        answer(p, SECCOMP_RET_ALLOW);
    }
}

/* The lower half of an argument, which holds all of those that are looked at. */
static size_t argument(unsigned i)
{
    return offsetof(struct seccomp_data, args) + i * 8 + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
}

/* The call is allowed when (argument & mask) == value. What is loaded before, and behind, is the number of the call. */
static void allow_when(struct program *p, long call, unsigned arg, uint32_t mask, uint32_t value)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 5);
    load(p, argument(arg));
    add(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(p, SECCOMP_RET_ALLOW);
    answer(p, SECCOMP_RET_ERRNO | EPERM);
}

/*
 * What is not known is answered as by a kernel that does not have it (ENOSYS), so that a C library with newer calls
 * takes the older ones.
 */
static bool confine_calls(unsigned needs)
{
    const bool names = needs & (FC_NEED_NAMES | FC_NEED_ARCHIVE);
    struct program program = {.len = 0}, *p = &program;
#if defined __s390x__
    enum { CLONE_FLAGS = 1 };
#else
    enum { CLONE_FLAGS = 0 };
#endif

    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    answer(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
    allow_when(p, SYS_mmap, 2, names ? 0 : PROT_EXEC, 0);
    allow_when(p, SYS_mprotect, 2, names ? 0 : PROT_EXEC, 0);
    allow_when(p, SYS_clone, CLONE_FLAGS, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM);
    allow_when(p, SYS_tgkill, 0, UINT32_MAX, (uint32_t)getpid());
    allow_when(p, SYS_kill, 0, UINT32_MAX, (uint32_t)getpid());
    add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5);
    load(p, argument(1));
    /* these put words into the mouth of who sits at the terminal */
    add(p, BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1);
    answer(p, SECCOMP_RET_ERRNO | EPERM);
    answer(p, SECCOMP_RET_ALLOW);
    allow(p, calls, COUNT(calls));
    if (names)
        allow(p, name_calls, COUNT(name_calls));
    else if (needs & FC_NEED_PACKETS)
        allow_when(p, SYS_socket, 0, ~(AF_PACKET ^ AF_UNIX), AF_UNIX);
    if (needs & FC_NEED_ARCHIVE)
        allow(p, archive_calls, COUNT(archive_calls));
    if (needs & FC_NEED_PACKETS)
        allow(p, packet_calls, COUNT(packet_calls));
    if (needs & FC_NEED_CLIENTS)
        allow(p, server_calls, COUNT(server_calls));
    answer(p, SECCOMP_RET_ERRNO | ENOSYS);
    struct sock_fprog whole = {.len = p->len, .filter = p->code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0;
}

#else

static bool confine_calls(unsigned needs)
{
    (void)needs;
    return false; /* the numbers of this machine's calls are not known here */
}

#endif

static unsigned enter(const struct places *places, unsigned needs)
{
    const char *word = getenv("FLOWCARVE_SANDBOX");

    if (word && strcmp(word, "off") == 0)
        return 0;
    /* without it only root may give up anything */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 0;
    unsigned force = confine_files(places, needs & (FC_NEED_NAMES | FC_NEED_ARCHIVE)) ? FC_SANDBOX_FILES : 0;
    return force | (confine_calls(needs) ? FC_SANDBOX_CALLS : 0);
}

unsigned fc_sandbox_enter(const char *const *folders, unsigned count, unsigned needs)
{
    return enter(&(struct places){.folders = folders, .count = count}, needs);
}

void fc_sandbox_enter_deleting(const char *index, const char *output, const char *const *folders, unsigned count,
                               bool names)
{
    char *beside[] = {fc_sandbox_folder(index), output ? fc_sandbox_folder(output) : NULL};

    enter(&(struct places){(const char *const *)beside, 2, folders, count}, names ? FC_NEED_NAMES : 0);
    free(beside[0]);
    free(beside[1]);
}

unsigned fc_sandbox_enter_server(const char *index, unsigned needs)
{
    char *folder = fc_sandbox_folder(index);
    unsigned force =
        enter(&(struct places){.folders = (const char *const *)&folder, .count = 1}, FC_NEED_CLIENTS | needs);

    free(folder);
    return force;
}

#endif

void fc_sandbox_enter_beside(const char *index, const char *output, unsigned needs)
{
    char *folders[] = {index ? fc_sandbox_folder(index) : NULL, output ? fc_sandbox_folder(output) : NULL};

    fc_sandbox_enter((const char *const *)folders, 2, needs);
    free(folders[0]);
    free(folders[1]);
}

void fc_sandbox_enter_capture(const char *index, const char *folder, const char *output, bool names)
{
    char *beside = fc_sandbox_folder(index), *other = output ? fc_sandbox_folder(output) : NULL;

    fc_sandbox_enter((const char *const[]){beside, folder, other}, 3, FC_NEED_PACKETS | (names ? FC_NEED_NAMES : 0));
    free(beside);
    free(other);
}
