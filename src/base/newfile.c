/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <flowcarve/newfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWNER_ALONE = 0600 };

/* The name by which a descriptor is linked to (open(2), O_TMPFILE). */
struct link_name {
    char text[32];
};

static struct link_name name_of(int fd)
{
    struct link_name name;

    snprintf(name.text, sizeof name.text, "/proc/self/fd/%d", fd);
    return name;
}

static int no_memory(struct fc_new_file *f, const char *place, struct fc_error *err)
{
    fc_new_file_abandon(f);
    return fc_error_set(err, FC_E_NOMEM, place, FC_NO_OFFSET, "out of memory");
}

/* -1: the file system has none, or it could not be given a name later. */
static int open_unnamed(const char *place)
{
    const char *slash = strrchr(place, '/');
    char *folder = slash == place ? strdup("/") : slash ? strndup(place, (size_t)(slash - place)) : strdup(".");
    int fd = folder ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, OWNER_ALONE) : -1;

    free(folder);
    if (fd >= 0 && access(name_of(fd).text, F_OK) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int fc_rights_give(int fd, const struct fc_rights *rights, const char *name, struct fc_error *err)
{
    /* the group first: a change of it takes bits out of the mode */
    if (rights->has_group && fchown(fd, (uid_t)-1, rights->group) != 0)
        return fc_error_errno(err, FC_E_IO, name, FC_NO_OFFSET, "cannot be given to the group");
    if (rights->mode && fchmod(fd, rights->mode) != 0)
        return fc_error_errno(err, FC_E_IO, name, FC_NO_OFFSET, "cannot be given its mode");
    return 0;
}

FC_EXPORT int fc_new_file_open(struct fc_new_file *f, const char *place, const struct fc_rights *rights,
                               struct fc_error *err)
{
    struct stat st;
    int rc;

    *f = (struct fc_new_file){.fd = -1, .place = strdup(place)};
    if (!f->place)
        return no_memory(f, place, err);
    /* a name that cannot be is told before a long time of writing */
    if (lstat(place, &st) != 0 && errno != ENOENT) {
        rc = fc_error_errno(err, FC_E_IO, place, FC_NO_OFFSET, "cannot create");
        fc_new_file_abandon(f);
        return rc;
    }
    f->fd = open_unnamed(place);
    if (f->fd < 0) {
        if (asprintf(&f->temporary, "%s.XXXXXX", place) < 0) {
            f->temporary = NULL;
            return no_memory(f, place, err);
        }
        f->fd = mkostemp(f->temporary, O_CLOEXEC);
    }
    rc = f->fd < 0 ? fc_error_errno(err, FC_E_IO, place, FC_NO_OFFSET, "cannot create")
                   : fc_rights_give(f->fd, rights, place, err);
    if (rc) {
        if (f->fd < 0) { /* there is no such file */
            free(f->temporary);
            f->temporary = NULL;
        }
        fc_new_file_abandon(f);
    }
    return rc;
}

/* Gives a file without a name a temporary one, as an existing name can only be renamed to. */
static int link_temporary(struct fc_new_file *f)
{
    enum { TRIES = 100 };
    const struct link_name name = name_of(f->fd);
    uint32_t random = 0;
    char *temporary;

    for (int i = 0; i < TRIES; i++) {
        if (getrandom(&random, sizeof random, 0) < 0)
            random += (uint32_t)getpid();
        if (asprintf(&temporary, "%s.%08x", f->place, random) < 0) {
            errno = ENOMEM;
            return -1;
        }
        if (linkat(AT_FDCWD, name.text, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) == 0) {
            f->temporary = temporary;
            return 0;
        }
        int why = errno;
        free(temporary);
        errno = why;
        if (why != EEXIST)
            return -1;
    }
    return -1;
}

/* Of a temporary name, which is gone then. */
static int rename_to_place(struct fc_new_file *f, bool replace)
{
    int rc;

    if (replace) {
        rc = rename(f->temporary, f->place);
    } else {
        rc = renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->place, RENAME_NOREPLACE);
        if (rc != 0 && (errno == EINVAL || errno == ENOSYS)) { /* not of this file system */
            if ((rc = link(f->temporary, f->place)) == 0)
                unlink(f->temporary);
        }
    }
    if (rc == 0) {
        free(f->temporary);
        f->temporary = NULL;
    }
    return rc;
}

static int put_in_place(struct fc_new_file *f, bool replace)
{
    if (!f->temporary) {
        if (linkat(AT_FDCWD, name_of(f->fd).text, AT_FDCWD, f->place, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (!replace || errno != EEXIST || link_temporary(f) != 0)
            return -1;
    }
    return rename_to_place(f, replace);
}

FC_EXPORT int fc_new_file_finish(struct fc_new_file *f, bool replace, struct fc_error *err)
{
    int rc = fc_io_sync(f->fd) == 0 ? 0 : fc_error_errno(err, FC_E_IO, f->place, FC_NO_OFFSET, "cannot write to disk");

    if (rc == 0 && put_in_place(f, replace) != 0)
        rc = fc_error_errno(err, FC_E_IO, f->place, FC_NO_OFFSET, "cannot put the file in its place");
    if (rc == 0)
        fc_new_file_abandon(f); /* all that is left of it here */
    return rc;
}

FC_EXPORT int fc_new_files_finish(struct fc_new_file *files, size_t count, size_t *there, struct fc_error *err)
{
    bool synced = count && syncfs(files[0].fd) == 0;
    int rc = 0;

    for (size_t i = 0; i < count; i++) {
        struct fc_new_file *f = &files[i];
        int copy = -1; /* what a network file system tells when a descriptor is closed */
        if (rc == 0 && (synced ? (copy = dup(f->fd)) < 0 || close(copy) != 0 : fc_io_sync(f->fd) != 0))
            rc = fc_error_errno(err, FC_E_IO, f->place, FC_NO_OFFSET, "cannot write to disk");
        if (rc == 0 && put_in_place(f, false) != 0) {
            if (errno != EEXIST)
                rc = fc_error_errno(err, FC_E_IO, f->place, FC_NO_OFFSET, "cannot put the file in its place");
            else if (there)
                ++*there;
        }
        fc_new_file_abandon(f);
    }
    return rc;
}

FC_EXPORT int fc_new_folder(const char *path, const struct fc_rights *rights, struct fc_error *err)
{
    unsigned mode = rights->mode ? rights->mode : OWNER_ALONE;
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    if (mkdir(path, 0700) != 0)
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot create the folder");
    if ((rights->has_group && chown(path, (uid_t)-1, rights->group) != 0) ||
        chmod(path, 0700 | mode | (mode & 0444) >> 2) != 0)
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot be given its rights");
    return 0;
}

FC_EXPORT void fc_new_file_abandon(struct fc_new_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->temporary)
        unlink(f->temporary);
    free(f->temporary);
    free(f->place);
    *f = (struct fc_new_file){.fd = -1};
}
