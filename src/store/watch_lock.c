/* SPDX-License-Identifier: MIT */
#include "store/watch_lock.h"
#include "base/error.h"
#include "store/db.h"
#include "store/lock_holder.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A new string, or NULL. */
static char *lock_path(const char *index)
{
    char *place = fc_db_place(index), *path = NULL;

    if (place && asprintf(&path, "%s.watch", place) < 0)
        path = NULL;
    free(place);
    return path;
}

static int busy(const char *index, const char *path, struct fc_error *err)
{
    char who[80];

    return fc_error_set(err, FC_E_BUSY, index, FC_NO_OFFSET,
                        "is kept up to date by flowcarve watch (%s), which alone adds to it",
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

/* One that ends between our opening and our locking has removed what we lock. */
int fc_watch_lock_take(const char *index, struct fc_watch_lock *l, struct fc_error *err)
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
        if (fstat(l->fd, &locked) == 0 && (!S_ISREG(locked.st_mode) || locked.st_size)) {
            rc = fc_error_set(err, FC_E_DB, path, FC_NO_OFFSET, "is in the way: the lock of the index is made there");
            break;
        }
        if (!lock(l->fd)) {
            rc = busy(index, path, err);
            break;
        }
        if (lstat(path, &named) == 0 && named.st_dev == locked.st_dev && named.st_ino == locked.st_ino) {
            l->path = path;
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
