/* SPDX-License-Identifier: MIT */
/*
 * What a new file asks of the system fails, each call once: then nothing has changed, nothing is left, no descriptor is
 * open, and the error names the file. Where nothing fails the file is whole and alone. All of it on a file system with
 * files that have no name, and on one without.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <flowcarve/newfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Calls that fail, by -Wl,--wrap. */
#define CALLS(X)                                                                                                       \
    X(OPEN)                                                                                                            \
    X(MKOSTEMP)                                                                                                        \
    X(FSYNC)                                                                                                           \
    X(DUP)                                                                                                             \
    X(CLOSE)                                                                                                           \
    X(LINKAT)                                                                                                          \
    X(RENAME)                                                                                                          \
    X(RENAMEAT2)                                                                                                       \
    X(FCHMOD)                                                                                                          \
    X(FCHOWN)
enum call {
#define X(name) name,
    CALLS(X)
#undef X
        KINDS
};
static const char *const names[] = {
#define X(name) #name,
    CALLS(X)
#undef X
};

static enum call failing = KINDS;
static int fail_at, calls[KINDS];
static int nameless = 1; /* has the file system files without a name? */
static int failures;

static int fails(enum call call)
{
    if (calls[call]++ != fail_at || call != failing)
        return 0;
    errno = EIO;
    return 1;
}

#define WRAP(result, name, call, parameters, arguments)                                                                \
    result __real_##name parameters;                                                                                   \
    result __wrap_##name parameters;                                                                                   \
    result __wrap_##name parameters                                                                                    \
    {                                                                                                                  \
        return fails(call) ? -1 : __real_##name arguments;                                                             \
    }
WRAP(int, mkostemp, MKOSTEMP, (char *name, int flags), (name, flags))
WRAP(int, fsync, FSYNC, (int fd), (fd))
WRAP(int, dup, DUP, (int fd), (fd))
WRAP(int, linkat, LINKAT, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
WRAP(int, rename, RENAME, (const char *from, const char *to), (from, to))
WRAP(int, renameat2, RENAMEAT2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
WRAP(int, fchmod, FCHMOD, (int fd, mode_t mode), (fd, mode))
WRAP(int, fchown, FCHOWN, (int fd, uid_t user, gid_t group), (fd, user, group))

/* A descriptor is closed also when that tells of an error. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int rc = __real_close(fd);

    return fails(CLOSE) ? -1 : rc;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    if ((flags & O_TMPFILE) == O_TMPFILE && !nameless) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return fails(OPEN) ? -1 : __real_open(path, flags, mode);
}

static char place[64], folder[] = "/tmp/flowcarve-newfile-XXXXXX";

static int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Names in the folder, and what is in the file. */
static void look(int *count, char text[16], unsigned *mode)
{
    struct dirent *e;
    struct stat st;
    DIR *dir = opendir(folder);
    int fd = __real_open(place, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, 15) : 0;

    *count = -2; /* the dots */
    while (dir && (e = readdir(dir)))
        ++*count;
    closedir(dir);
    text[n] = '\0';
    *mode = fd >= 0 && fstat(fd, &st) == 0 ? st.st_mode & 0777 : 0;
    if (fd >= 0)
        __real_close(fd);
}

static void expect(int holds, const char *what, const char *way)
{
    if (holds)
        return;
    fprintf(stderr, "%s (%s; call %d of %s fails, %s)\n", what, way, fail_at, failing < KINDS ? names[failing] : "none",
            nameless ? "without a name" : "with a name");
    failures++;
}

/* What there was before the file is made. */
static void prepare(int old)
{
    int fd;

    unlink(place);
    if (!old)
        return;
    fd = __real_open(place, O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || write(fd, "old", 3) != 3)
        abort();
    __real_close(fd);
}

/* 0: it was made. */
static int make(int replace, struct fc_error *err)
{
    const struct fc_rights rights = {.mode = 0640, .has_group = true, .group = getegid()};
    struct fc_new_file file;
    int rc = fc_new_file_open(&file, place, &rights, err);

    if (rc == 0 && write(file.fd, "new", 3) != 3)
        abort();
    if (rc == 0)
        rc = fc_new_file_finish(&file, replace, err);
    fc_new_file_abandon(&file);
    return rc;
}

/* One call of a kind fails; how many there were. */
static int one(int old, int replace, int allowed)
{
    char way[64], text[16];
    struct fc_error err = {.code = 0};
    int before = open_descriptors(), count, rc;
    unsigned mode;

    snprintf(way, sizeof way, "%s, %s", old ? "there was one" : "there was none", replace ? "replacing" : "new");
    prepare(old);
    memset(calls, 0, sizeof calls);
    rc = make(replace, &err);
    int made = failing < KINDS ? calls[failing] : 0, failed = made > fail_at;
    look(&count, text, &mode);
    expect(open_descriptors() == before, "a descriptor stays open", way);
    if (rc == 0) {
        /* without a descriptor that has no name it gets one; the last one is closed when all has been told */
        expect(allowed && (!failed || failing == OPEN || (failing == CLOSE && fail_at)), "a file that was not to be",
               way);
        expect(count == 1 && strcmp(text, "new") == 0 && mode == 0640, "the file is not whole, or not alone", way);
    } else {
        expect(!allowed || failed, err.cause, way);
        expect(rc == FC_E_IO && strcmp(err.file, place) == 0, "the error does not name the file", way);
        expect(count == old && strcmp(text, old ? "old" : "") == 0, "something is left, or lost", way);
    }
    return made;
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(place, sizeof place, "%s/it", folder);
    for (nameless = 0; nameless < 2; nameless++)
        for (int way = 0; way < 4; way++) {
            int old = way & 1, replace = way >> 1;
            failing = KINDS;
            one(old, replace, replace || !old);
            for (failing = 0; failing < KINDS; failing++)
                for (fail_at = 0; fail_at < one(old, replace, replace || !old); fail_at++)
                    continue;
        }
    unlink(place);
    rmdir(folder);
    return failures != 0;
}
