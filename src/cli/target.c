/* SPDX-License-Identifier: MIT */
#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int io_error(struct fc_error *err, const char *path, const char *what)
{
    memset(err, 0, sizeof *err);
    err->code = FC_E_IO;
    err->off = FC_NO_OFFSET;
    snprintf(err->file, sizeof err->file, "%s", path);
    snprintf(err->cause, sizeof err->cause, "%s: %s", what, strerror(errno));
    return FC_E_IO;
}

/* One that is there is replaced as if it were written in place: what a link points to, unless it is protected. */
static int open_file(struct fc_target *t, const struct stat *there, const struct fc_rights *rights,
                     struct fc_error *err)
{
    char *place = there ? realpath(t->path, NULL) : NULL;
    static const struct fc_rights owner_alone;
    int rc;

    if (there && access(t->path, W_OK) != 0) {
        rc = io_error(err, t->path, "cannot open for writing");
    } else {
        rc = fc_new_file_open(&t->file, place ? place : t->path, there ? &owner_alone : rights, err);
        t->fd = t->file.fd;
        if (rc == 0 && there) /* who is not of that group cannot keep it, and gives nothing to another one */
            (void)fchmod(t->fd,
                         fchown(t->fd, (uid_t)-1, there->st_gid) == 0 ? there->st_mode & 07777 : there->st_mode & 0707);
        if (rc)
            snprintf(err->file, sizeof err->file, "%s", t->path);
    }
    free(place);
    return rc;
}

int fc_target_open(struct fc_target *t, const char *path, const struct fc_rights *rights, struct fc_error *err)
{
    struct stat st;

    *t = (struct fc_target){.fd = -1, .path = path, .file = {.fd = -1}};
    if (strcmp(path, "-") == 0) {
        t->fd = STDOUT_FILENO;
        return 0;
    }
    bool there = stat(path, &st) == 0;
    if (!there || S_ISREG(st.st_mode))
        return open_file(t, there ? &st : NULL, rights, err);
    t->fd = open(path, O_WRONLY | O_CLOEXEC);
    return t->fd < 0 ? io_error(err, path, "cannot open for writing") : 0;
}

int fc_target_finish(struct fc_target *t, struct fc_error *err)
{
    int rc = 0;

    if (t->file.place) {
        if ((rc = fc_new_file_finish(&t->file, true, err)))
            return rc;
    } else if (t->fd > STDERR_FILENO && close(t->fd) != 0) {
        rc = io_error(err, t->path, "cannot write");
    }
    t->fd = -1;
    return rc;
}

void fc_target_abandon(struct fc_target *t)
{
    if (t->file.place)
        fc_new_file_abandon(&t->file);
    else if (t->fd > STDERR_FILENO)
        close(t->fd);
    t->fd = -1;
}
