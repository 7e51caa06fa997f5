/* SPDX-License-Identifier: MIT */
#include "store/watch_lock.h"
#include "base/error.h"
#include "base/hash.h"
#include "store/db.h"
#include "store/lock_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char magic[8] = "fcwatch1";

struct head {
    char magic[8];
    uint32_t size, kind;
    uint64_t number, hash;
};

/* A new string, or NULL. */
static char *lock_path(const char *index)
{
    char *place = fc_db_place(index), *path = NULL;

    if (place && asprintf(&path, "%s.watch", place) < 0)
        path = NULL;
    free(place);
    return path;
}

/* Which command it is that has the lock, as far as it has told anything. */
static const char *command(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct head head = {.kind = 0};
    bool told = fd >= 0 && pread(fd, &head, sizeof head, 0) == sizeof head;

    if (fd >= 0)
        close(fd);
    return told && head.kind == FC_WATCH_CAPTURES ? "capture" : "watch";
}

static int busy(const char *index, const char *path, struct fc_error *err)
{
    char who[80];

    return fc_error_set(err, FC_E_BUSY, index, FC_NO_OFFSET,
                        "is kept up to date by flowcarve %s (%s), which alone adds to it", command(path),
                        fc_lock_holder_text(path, who, sizeof who));
}

/* Who checks locks it for a moment, too. */
static bool lock(int fd)
{
    enum { TRIES = 20 };
    const struct timespec pause = {.tv_nsec = 5000000};

    for (int i = 0; i < TRIES; i++, nanosleep(&pause, NULL))
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
    return false;
}

/* Empty, or left by a process that was killed. */
static bool is_ours(int fd, const struct stat *st)
{
    char head[sizeof magic];

    return S_ISREG(st->st_mode) &&
           (!st->st_size || (pread(fd, head, sizeof head, 0) == sizeof head && memcmp(head, magic, sizeof head) == 0));
}

/* Whoever reads the index may read what is told of it; nobody else writes it. */
static void give_rights(int fd, const char *index, const struct fc_rights *rights)
{
    enum { OWNER = 0600, READ = 0444 };
    struct stat st;
    bool there = stat(index, &st) == 0;
    unsigned mode = there ? st.st_mode : rights ? rights->mode : 0;
    gid_t group = there ? st.st_gid : rights && rights->has_group ? rights->group : (gid_t)-1;

    if (fchown(fd, (uid_t)-1, group) != 0)
        mode &= ~0070u;
    (void)fchmod(fd, OWNER | (mode & READ));
}

/* One that ends between our opening and our locking has removed what we lock. */
int fc_watch_lock_take(const char *index, const struct fc_rights *rights, struct fc_watch_lock *l, struct fc_error *err)
{
    struct stat named, locked;
    char *path = lock_path(index);
    int rc = 0;

    *l = (struct fc_watch_lock){.fd = -1};
    if (!path)
        return fc_error_set(err, FC_E_NOMEM, index, FC_NO_OFFSET, "out of memory");
    for (;; close(l->fd)) {
        if ((l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0) {
            rc = fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot create");
            break;
        }
        if (fstat(l->fd, &locked) == 0 && !is_ours(l->fd, &locked)) {
            rc = fc_error_set(err, FC_E_DB, path, FC_NO_OFFSET, "is in the way: the lock of the index is made there");
            break;
        }
        if (!lock(l->fd)) {
            rc = busy(index, path, err);
            break;
        }
        if (lstat(path, &named) == 0 && named.st_dev == locked.st_dev && named.st_ino == locked.st_ino) {
            l->path = path;
            give_rights(l->fd, index, rights);
            bool emptied = ftruncate(l->fd, 0) == 0; /* of what a process has told that was killed */
            (void)emptied;
            return 0;
        }
    }
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    free(path);
    return rc;
}

void fc_watch_lock_release(struct fc_watch_lock *l)
{
    if (l->fd < 0)
        return;
    unlink(l->path);
    close(l->fd);
    free(l->path);
    free(l->buffer);
    *l = (struct fc_watch_lock){.fd = -1};
}

int fc_watch_lock_check(const char *index, struct fc_error *err)
{
    char *path = lock_path(index);
    int rc = 0;

    if (!path)
        return fc_error_set(err, FC_E_NOMEM, index, FC_NO_OFFSET, "out of memory");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0)
        rc = busy(index, path, err);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

void fc_watch_lock_tell(struct fc_watch_lock *l, uint32_t kind, const void *note, size_t size)
{
    if (l->fd < 0 || size > FC_WATCH_NOTE_MAX ||
        (!l->buffer && !(l->buffer = malloc(sizeof(struct head) + FC_WATCH_NOTE_MAX))))
        return;
    struct head head = {.size = (uint32_t)size, .kind = kind, .number = ++l->notes};
    memcpy(head.magic, magic, sizeof magic);
    head.hash = fc_hash_bytes(note, size, head.number);
    memcpy(l->buffer, &head, sizeof head);
    memcpy(l->buffer + sizeof head, note, size);
    ssize_t written = pwrite(l->fd, l->buffer, sizeof head + size, 0);
    (void)written;
}

/* False: what is there is not whole, or is being written. */
static bool read_note(int fd, void *note, size_t size, struct fc_watch_note *found)
{
    struct head head;

    if (pread(fd, &head, sizeof head, 0) != sizeof head || memcmp(head.magic, magic, sizeof magic) != 0 ||
        head.size != size || pread(fd, note, size, sizeof head) != (ssize_t)size ||
        fc_hash_bytes(note, size, head.number) != head.hash)
        return false;
    found->kind = head.kind;
    found->number = head.number;
    return true;
}

int fc_watch_lock_read(const char *index, void *note, size_t size, struct fc_watch_note *found, struct fc_error *err)
{
    enum { TRIES = 50 };
    const struct timespec pause = {.tv_nsec = 2000000};
    char *path = lock_path(index);
    struct stat st;
    pid_t pid;
    int rc = 0;

    *found = (struct fc_watch_note){0};
    if (!path)
        return fc_error_set(err, FC_E_NOMEM, index, FC_NO_OFFSET, "out of memory");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == EACCES)
        found->held = fc_lock_holder(path, &pid);
    else if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
        rc = fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot open");
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        found->held = flock(fd, LOCK_SH | LOCK_NB) != 0;
        for (int i = 0; !read_note(fd, note, size, found) && found->held && st.st_size && i < TRIES; i++)
            nanosleep(&pause, NULL);
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}
