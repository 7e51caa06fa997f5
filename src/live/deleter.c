/* SPDX-License-Identifier: MIT */
#include "live/deleter.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* A time to come is one of a clock that was set back since, and tells nothing. */
static bool has_changed_lately(const struct stat *st, int64_t now_ns)
{
    int64_t age_ns = now_ns - time_ns(&st->st_mtim);

    return age_ns >= 0 && age_ns < FC_DELETER_QUIET_NS;
}

/*
 * A lease for reading is to be had when nobody has the file open for writing, by who owns the file or may take leases
 * of all. It is given back at once; should a writer come in between, the signal is one that does nothing.
 */
static bool is_written(int fd, bool newest)
{
    bool written;

    if (fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
        written = errno == EAGAIN || newest;
    } else {
        (void)fcntl(fd, F_SETLEASE, F_UNLCK);
        written = false;
    }
    return written;
}

static bool is_untouched(const struct fc_stored_file *f, const struct stat *st)
{
    return (uint64_t)st->st_size == f->size && st->st_dev == f->dev && time_ns(&st->st_mtim) == f->mtime_ns;
}

/* FC_E_CHANGED: it is not. Device numbers are not the same after each start of a system, so content may stand in. */
static int compare(struct fc_stored_file *f, const struct stat *st, struct fc_error *why)
{
    struct fc_file file;
    int rc;

    if (st->st_ino != f->ino)
        return fc_error_set(why, FC_E_CHANGED, f->path, FC_NO_OFFSET, "another file has the name of this capture");
    if (is_untouched(f, st))
        return 0;
    if ((rc = fc_stored_file_open(f, &file, why)))
        return rc;
    if (file.dev != st->st_dev || file.ino != st->st_ino)
        rc = fc_error_set(why, FC_E_CHANGED, f->path, FC_NO_OFFSET, "another file has the name of this capture");
    fc_file_close(&file);
    return rc;
}

/* The capture's folder, and the name in it. */
static bool enter_folder(struct fc_deleter *d, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == path ? 1 : (size_t)(slash - path);

    *name = slash + 1;
    if (d->folder && strlen(d->folder) == len && memcmp(d->folder, path, len) == 0)
        return true;
    fc_deleter_sync(d);
    if (!(d->folder = strndup(path, len)))
        return false;
    if ((d->fd = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0)
        return true;
    free(d->folder);
    d->folder = NULL;
    return false;
}

void fc_deleter_sync(struct fc_deleter *d)
{
    if (!d->folder)
        return;
    (void)fsync(d->fd); /* where a file system cannot, what comes back is found again */
    close(d->fd);
    free(d->folder);
    d->folder = NULL;
}

static enum fc_deletion failed(const struct fc_stored_file *f, struct fc_error *why)
{
    int missing = errno == ENOENT || errno == ENOTDIR;

    fc_error_errno(why, FC_E_IO, f->path, FC_NO_OFFSET, "cannot be deleted");
    return missing ? FC_DELETION_ABSENT : FC_DELETION_FAILED;
}

enum fc_deletion fc_deleter_delete(struct fc_deleter *d, struct fc_stored_file *f, bool newest, int64_t now_ns,
                                   struct fc_error *why)
{
    const char *name;
    struct stat st, last;
    int fd, rc;

    if (!enter_folder(d, f->path, &name) || fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return failed(f, why);
    if (!S_ISREG(st.st_mode)) {
        fc_error_set(why, FC_E_CHANGED, f->path, FC_NO_OFFSET, "is no file by itself, and not deleted");
        return FC_DELETION_OTHER;
    }
    if ((rc = compare(f, &st, why)))
        return rc == FC_E_CHANGED || rc == FC_E_MISSING ? FC_DELETION_OTHER : FC_DELETION_FAILED;
    if (!d->own && has_changed_lately(&st, now_ns))
        return FC_DELETION_BUSY;
    fd = openat(d->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool written = fd < 0 ? newest && !d->own : is_written(fd, newest && !d->own);
    if (fd >= 0)
        close(fd);
    if (written)
        return FC_DELETION_BUSY;
    if (fstatat(d->fd, name, &last, AT_SYMLINK_NOFOLLOW) != 0)
        return failed(f, why);
    if (last.st_ino != st.st_ino || last.st_dev != st.st_dev || last.st_size != st.st_size)
        return FC_DELETION_BUSY;
    return unlinkat(d->fd, name, 0) == 0 ? FC_DELETION_DONE : failed(f, why);
}
