/* SPDX-License-Identifier: MIT */
/*
 * Loaded into a program by LD_PRELOAD it counts what the program asks of the system and of memory, fails some of it,
 * and notes what is written, for test_failing.py and test_power.py. The C library's own calls (those of stdio) do not
 * pass here.
 *
 *   FAILING_CALL   a kind of call; those numbered FAILING_FROM to FAILING_TO, from 0, fail
 *   FAILING_HOW    EIO, ENOSPC..., as a number; 0: half of what was asked is read or written, once
 *   FAILING_HANG   a file; while it is there, calls that wait for the disk do not return, and a file
 *   FAILING_HANG.reached is
 *                  made when one is made
 *   FAILING_COUNTS a file that gets the number of calls of each kind, in the end
 *   FAILING_LOG    a file that gets each change to the files of folder FAILING_FOLDER (test_power.py knows its form)
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KINDS(X) X(memory) X(open) X(read) X(write) X(sync) X(size) X(name) X(look) X(map) X(close) X(thread)
enum kind {
#define X(name) K_##name,
    KINDS(X)
#undef X
        COUNT
};
static const char *const names[] = {
#define X(name) #name,
    KINDS(X)
#undef X
};

static atomic_ulong calls[COUNT];
static int failing = -1, how;
static unsigned long from, to;
static int counts_fd = -1, log_fd = -1;
static dev_t log_dev;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The next one behind this: the C library's. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);

static int high(int fd)
{
    int up = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 700); /* where the program has none */

    if (fd >= 0)
        close(fd);
    return up;
}

__attribute__((constructor)) static void begin(void)
{
    const char *call = getenv("FAILING_CALL"), *counts = getenv("FAILING_COUNTS"), *log = getenv("FAILING_LOG");
    struct stat st;

    real_write = REAL(write);
    real_pwrite = REAL(pwrite);
    if (counts)
        counts_fd = high(open(counts, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (log && REAL(stat)(getenv("FAILING_FOLDER"), &st) == 0) {
        log_dev = st.st_dev;
        log_fd = high(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    }
    for (int i = 0; i < COUNT; i++)
        atomic_store(&calls[i], 0);
    if (call) {
        from = strtoul(getenv("FAILING_FROM"), NULL, 10);
        to = strtoul(getenv("FAILING_TO"), NULL, 10);
        how = atoi(getenv("FAILING_HOW"));
        for (int i = 0; i < COUNT; i++)
            if (strcmp(names[i], call) == 0)
                failing = i;
    }
}

__attribute__((destructor)) static void end(void)
{
    char line[64];

    for (int i = 0; i < COUNT && counts_fd >= 0; i++)
        if (real_write(counts_fd, line, (size_t)snprintf(line, sizeof line, "%s %lu\n", names[i], calls[i])) < 0)
            break;
}

/* A disk that does not answer. */
static void hang(void)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    const char *file = getenv("FAILING_HANG");
    char reached[4096];

    if (!file || access(file, F_OK) != 0)
        return;
    snprintf(reached, sizeof reached, "%s.reached", file);
    close(REAL(open)(reached, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    while (access(file, F_OK) == 0)
        nanosleep(&pause, NULL);
}

/* 0: it is done as always; 1: it fails, with errno; 2: half of it is done. */
static int fails(enum kind kind)
{
    unsigned long i = atomic_fetch_add(&calls[kind], 1);

    if (kind == K_sync)
        hang();
    if ((int)kind != failing || i < from || i >= to)
        return 0;
    errno = how;
    return how ? 1 : 2;
}

/* ---- memory */

void *malloc(size_t n)
{
    if (!real_malloc)
        real_malloc = REAL(malloc);
    return fails(K_memory) == 1 ? NULL : real_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    static char early[4096]; /* dlsym() asks for some before it can tell where it is to be had */
    static size_t used;
    static bool looking;

    if (!real_calloc) {
        if (looking) {
            void *p = early + used;
            used += (n * size + 15) & ~(size_t)15;
            return used <= sizeof early ? p : NULL;
        }
        looking = true;
        real_calloc = REAL(calloc);
    }
    return fails(K_memory) == 1 ? NULL : real_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    if (!real_realloc)
        real_realloc = REAL(realloc);
    return fails(K_memory) == 1 ? NULL : real_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return fails(K_memory) == 1 ? NULL : REAL(aligned_alloc)(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
    return fails(K_memory) == 1 ? ENOMEM : REAL(posix_memalign)(out, alignment, n);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t off)
{
    return fails(flags & MAP_ANONYMOUS ? K_memory : K_map) == 1 ? MAP_FAILED
                                                                : REAL(mmap)(at, n, protection, flags, fd, off);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    return fails(K_thread) == 1 ? how : REAL(pthread_create)(thread, attr, run, arg);
}

/* ---- the log: changes to the files of one file system, by inode, and to its names */

static bool logs(int fd, uint64_t *inode)
{
    struct stat st;

    if (log_fd < 0 || REAL(fstat)(fd, &st) != 0 || st.st_dev != log_dev ||
        !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return false;
    *inode = st.st_ino;
    return true;
}

/* One change: kind, inode, offset, the length of what follows, and that: bytes or names. */
static void note(char kind, uint64_t inode, uint64_t off, const void *data, size_t n)
{
    char head[80];
    int len =
        snprintf(head, sizeof head, "%c %llu %llu %zu\n", kind, (unsigned long long)inode, (unsigned long long)off, n);

    if (real_write(log_fd, head, (size_t)len) != len || real_write(log_fd, data, n) != (ssize_t)n)
        abort();
}

static void note_names(char kind, const char *old, const char *new)
{
    char both[8192];
    int n = snprintf(both, sizeof both, "%s%c%s", old, 0, new);
    struct stat st;

    if (log_fd < 0)
        return;
    pthread_mutex_lock(&lock);
    note(kind, REAL(lstat)(*new ? new : old, &st) == 0 ? st.st_ino : 0, 0, both, (size_t)n);
    pthread_mutex_unlock(&lock);
}

/* ---- files that are open */

static int opened(int fd, const char *path, int flags, bool was)
{
    uint64_t inode;

    if (fd >= 0 && log_fd >= 0 && logs(fd, &inode)) {
        pthread_mutex_lock(&lock);
        if (flags & O_TRUNC)
            note('t', inode, 0, "", 0);
        if (flags & O_CREAT && (flags & O_TMPFILE) != O_TMPFILE && !was)
            note('c', inode, 0, path, strlen(path));
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        mode_t mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;                    \
        va_end(ap);                                                                                                    \
        bool was = log_fd >= 0 && access(path, F_OK) == 0;                                                             \
        return fails(K_open) == 1 ? -1 : opened(REAL(name)(path, flags, mode), path, flags, was);                      \
    }
OPEN(open)
OPEN(open64)

int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;

    va_start(ap, flags);
    mode_t mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    bool was = log_fd >= 0 && faccessat(dir, path, F_OK, 0) == 0;
    return fails(K_open) == 1 ? -1 : opened(REAL(openat)(dir, path, flags, mode), path, flags, was);
}

#define TRANSFER(result, name, kind, parameters, arguments)                                                            \
    result name parameters                                                                                             \
    {                                                                                                                  \
        int what = fails(kind);                                                                                        \
        if (what == 2 && n > 1)                                                                                        \
            n /= 2;                                                                                                    \
        return what == 1 ? -1 : REAL(name) arguments;                                                                  \
    }
TRANSFER(ssize_t, read, K_read, (int fd, void *data, size_t n), (fd, data, n))
TRANSFER(ssize_t, pread, K_read, (int fd, void *data, size_t n, off_t off), (fd, data, n, off))
TRANSFER(ssize_t, pread64, K_read, (int fd, void *data, size_t n, off_t off), (fd, data, n, off))

static ssize_t write_at(int fd, const void *data, size_t n, off_t off, bool at)
{
    int what = fails(K_write);
    uint64_t inode;

    if (what == 1)
        return -1;
    if (what == 2 && n > 1)
        n /= 2;
    if (!logs(fd, &inode))
        return at ? real_pwrite(fd, data, n, off) : real_write(fd, data, n);
    pthread_mutex_lock(&lock);
    if (!at)
        off = lseek(fd, 0, SEEK_CUR);
    ssize_t done = at ? real_pwrite(fd, data, n, off) : real_write(fd, data, n);
    if (done > 0)
        note('w', inode, (uint64_t)off, data, (size_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t n)
{
    return write_at(fd, data, n, 0, false);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t off)
{
    return write_at(fd, data, n, off, true);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t off)
{
    return write_at(fd, data, n, off, true);
}

static int synced(int fd)
{
    uint64_t inode;

    if (logs(fd, &inode)) {
        pthread_mutex_lock(&lock);
        note('s', inode, 0, "", 0);
        pthread_mutex_unlock(&lock);
    }
    return 0; /* no machine stops here, and waiting takes its time */
}

int fsync(int fd)
{
    return fails(K_sync) == 1 ? -1 : synced(fd);
}

int fdatasync(int fd)
{
    return fails(K_sync) == 1 ? -1 : synced(fd);
}

int syncfs(int fd)
{
    uint64_t inode;

    if (fails(K_sync) == 1)
        return -1;
    if (logs(fd, &inode)) {
        pthread_mutex_lock(&lock);
        note('S', 0, 0, "", 0);
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static int resize(int fd, off_t size, int (*call)(int, off_t))
{
    uint64_t inode;
    int rc = fails(K_size) == 1 ? -1 : call(fd, size);

    if (rc == 0 && logs(fd, &inode)) {
        pthread_mutex_lock(&lock);
        note('t', inode, (uint64_t)size, "", 0);
        pthread_mutex_unlock(&lock);
    }
    return rc;
}

int ftruncate(int fd, off_t size)
{
    return resize(fd, size, REAL(ftruncate));
}

int ftruncate64(int fd, off_t size)
{
    return resize(fd, size, REAL(ftruncate64));
}

int fallocate(int fd, int mode, off_t off, off_t n)
{
    if (log_fd >= 0) {
        errno = EOPNOTSUPP; /* not in the log */
        return -1;
    }
    return fails(K_size) == 1 ? -1 : REAL(fallocate)(fd, mode, off, n);
}

int posix_fallocate(int fd, off_t off, off_t n)
{
    return log_fd >= 0 ? EOPNOTSUPP : fails(K_size) == 1 ? how : REAL(posix_fallocate)(fd, off, n);
}

/* ---- a program that copies past write() would not be noted: it does without */
ssize_t copy_file_range(int in, off_t *in_off, int out, off_t *out_off, size_t n, unsigned flags)
{
    if (log_fd >= 0) {
        errno = ENOSYS;
        return -1;
    }
    return fails(K_write) == 1 ? -1 : REAL(copy_file_range)(in, in_off, out, out_off, n, flags);
}

/* A descriptor is closed also when that tells of an error. */
int close(int fd)
{
    int rc = REAL(close)(fd);

    return fails(K_close) == 1 ? -1 : rc;
}

/* ---- names */

int mkostemp(char *name, int flags)
{
    int fd = fails(K_open) == 1 ? -1 : REAL(mkostemp)(name, flags);

    return opened(fd, name, O_CREAT, false);
}

int rename(const char *old, const char *new)
{
    int rc = fails(K_name) == 1 ? -1 : REAL(rename)(old, new);

    if (rc == 0)
        note_names('r', old, new);
    return rc;
}

int renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned flags)
{
    int rc = fails(K_name) == 1 ? -1 : REAL(renameat2)(old_dir, old, new_dir, new, flags);

    if (rc == 0)
        note_names('r', old, new);
    return rc;
}

int linkat(int old_dir, const char *old, int new_dir, const char *new, int flags)
{
    int rc = fails(K_name) == 1 ? -1 : REAL(linkat)(old_dir, old, new_dir, new, flags);

    if (rc == 0)
        note_names('l', "", new);
    return rc;
}

int unlink(const char *path)
{
    int rc = fails(K_name) == 1 ? -1 : REAL(unlink)(path);

    if (rc == 0)
        note_names('u', path, "");
    return rc;
}

int unlinkat(int dir, const char *path, int flags)
{
    int rc = fails(K_name) == 1 ? -1 : REAL(unlinkat)(dir, path, flags);

    if (rc == 0)
        note_names('u', path, "");
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return fails(K_name) == 1 ? -1 : REAL(mkdir)(path, mode);
}

/* ---- looks at files */

int stat(const char *path, struct stat *st)
{
    return fails(K_look) == 1 ? -1 : REAL(stat)(path, st);
}

int lstat(const char *path, struct stat *st)
{
    return fails(K_look) == 1 ? -1 : REAL(lstat)(path, st);
}

int fstat(int fd, struct stat *st)
{
    return fails(K_look) == 1 ? -1 : REAL(fstat)(fd, st);
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return fails(K_look) == 1 ? -1 : REAL(fstatat)(dir, path, st, flags);
}
